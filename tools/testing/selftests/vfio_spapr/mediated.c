// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediated devices in a container of their own: there is no hardware, and what
 * they pin is looked up by bus address, counted, and accounted to the page.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/mediated.h"
#include "lib/memory.h"
#include "lib/messages.h"
#include "lib/vfio_pci.h"

#define MEMORY_SIZE	(4 * MiB)
#define BUS		(16 * MiB)
#define TCE_PAGE	(4 * KiB)
#define WINDOW_SIZE	(1 * GiB)

FIXTURE(mediated)
{
	unsigned long page;
	char *memory;
	int container;
	struct mediated device, other;
	long locked;		/* with the default window there */
};

FIXTURE_VARIANT(mediated)
{
	unsigned int type;
};

FIXTURE_VARIANT_ADD(mediated, v1)
{
	.type = VFIO_SPAPR_TCE_IOMMU,
};

FIXTURE_VARIANT_ADD(mediated, v2)
{
	.type = VFIO_SPAPR_TCE_v2_IOMMU,
};

/* Number of a page of the memory, bus address in pages from BUS on */
#define map(self, number, bus, pages, flags)				\
	container_map((self)->container,				\
		      (unsigned long)(self)->memory +			\
		      (number) * (self)->page,				\
		      BUS + (bus) * (self)->page,			\
		      (pages) * (self)->page, flags)
#define unmap(self, bus, pages)						\
	container_unmap((self)->container, BUS + (bus) * (self)->page,	\
			(pages) * (self)->page)
#define at(self, bus)		(BUS + (bus) * (self)->page)
#define mem(self, number)	((self)->memory + (number) * (self)->page)

/* Pages more that are locked than before anything was pinned */
#define locked(self)							\
	((memory_locked() - (self)->locked) / (long)((self)->page / KiB))

/* The pages have these pins each, and so many of them are locked */
#define EXPECT_PINNED(self, number, pins, pages)			\
do {									\
	EXPECT_EQ(pins, mediated_pins_of(&(self)->device,		\
					 mem(self, number)));		\
	EXPECT_EQ(pages, locked(self));					\
} while (0)

/* End all mappings at once */
static long end_all(SELF(mediated) self, unsigned int type)
{
	return type == VFIO_SPAPR_TCE_IOMMU ?
	       container_disable(self->container) :
	       container_remove_window(self->container, 0);
}

FIXTURE_SETUP(mediated)
{
	if (!mediated_available())
		SKIP(return, "mediated_dma is not loaded");

	self->page = page_size();
	self->memory = memory_get_present(MEMORY_SIZE);

	mediated_create(&self->device, 0);
	mediated_create(&self->other, 1);
	self->container = vfio_container_open();
	ASSERT_EQ(0, mediated_join(&self->device, self->container));
	vfio_container_set_iommu(self->container, variant->type);
	mediated_open(&self->device);
	if (variant->type == VFIO_SPAPR_TCE_IOMMU)
		ASSERT_EQ(0, container_enable(self->container));

	/* The default window is there from the first map on */
	ASSERT_EQ(0, map(self, 0, 0, 1, READ_WRITE));
	ASSERT_EQ(0, unmap(self, 0, 1));
	self->locked = memory_locked();
}

FIXTURE_TEARDOWN(mediated)
{
	if (!mediated_available())
		return;
	mediated_remove(&self->device);
	mediated_remove(&self->other);
	vfio_close(&self->container);
	EXPECT_EQ(0, memory_locked());
}

TEST_F(mediated, info)
{
	struct vfio_iommu_spapr_tce_info info;

	ASSERT_EQ(0, container_get_info(self->container, &info));
	EXPECT_EQ(0, info.dma32_window_start);
	EXPECT_EQ(WINDOW_SIZE, info.dma32_window_size);
	if (variant->type == VFIO_SPAPR_TCE_v2_IOMMU) {
		EXPECT_EQ(VFIO_IOMMU_SPAPR_INFO_DDW, info.flags);
		EXPECT_EQ(2, info.ddw.max_dynamic_windows_supported);
		EXPECT_TRUE(info.ddw.pgsizes & self->page);
	}

	EXPECT_EQ(0, container_map(self->container,
				   (unsigned long)self->memory,
				   WINDOW_SIZE - self->page, self->page,
				   READ_WRITE));
	EXPECT_EQ(-EINVAL, container_map(self->container,
					 (unsigned long)self->memory,
					 WINDOW_SIZE - self->page,
					 2 * self->page, READ_WRITE));
	EXPECT_EQ(-ENXIO, container_map(self->container,
					(unsigned long)self->memory,
					WINDOW_SIZE, self->page, READ_WRITE));
}

/* Nothing is pinned or accounted because it is mapped */
TEST_F(mediated, mapping_pins_nothing)
{
	ASSERT_EQ(0, map(self, 0, 0, 4, READ_WRITE));
	EXPECT_PINNED(self, 0, 0, 0);

	/* Nor need there be any memory, unless it can't be user memory at all */
	EXPECT_EQ(0, container_map(self->container, HUGE_PAGES, at(self, 8),
				   self->page, READ_WRITE));
	EXPECT_EQ(-EFAULT, mediated_pin(&self->device, at(self, 8), 1,
					MEDIATED_BOTH));
	EXPECT_EQ(-EFAULT, container_map(self->container, -self->page,
					 at(self, 8), self->page, READ_WRITE));
	EXPECT_EQ(0, locked(self));
}

TEST_F(mediated, pins_are_counted)
{
	ASSERT_EQ(0, map(self, 0, 0, 4, READ_WRITE));

	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 1), 1,
				  MEDIATED_BOTH));
	EXPECT_PINNED(self, 1, 1, 1);
	EXPECT_PINNED(self, 0, 0, 1);

	/* Once more, beginning anywhere in the page, and with its neighbours */
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 1) + 471, 1,
				  MEDIATED_DMA_READ));
	ASSERT_EQ(3, mediated_pin(&self->device, at(self, 0), 3,
				  MEDIATED_BOTH));
	EXPECT_PINNED(self, 1, 1, 3);

	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 1), 1, 0));
	EXPECT_PINNED(self, 1, 1, 3);
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 0), 3, 0));
	EXPECT_PINNED(self, 0, 0, 1);
	EXPECT_PINNED(self, 1, 1, 1);
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 1), 1, 0));
	EXPECT_PINNED(self, 1, 0, 0);
}

/* A page that is mapped twice is one page */
TEST_F(mediated, page_at_two_addresses)
{
	ASSERT_EQ(0, map(self, 0, 0, 1, READ_WRITE));
	ASSERT_EQ(0, map(self, 0, 9, 1, READ_WRITE));

	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_BOTH));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 9), 1,
				  MEDIATED_BOTH));
	EXPECT_PINNED(self, 0, 1, 1);

	/* What is looked up is the address: the other one stays pinned */
	ASSERT_EQ(0, unmap(self, 0, 1));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(1, mediated_report(&self->device).ranges);
	EXPECT_PINNED(self, 0, 1, 1);
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 9), 1, 0));
	EXPECT_PINNED(self, 0, 0, 0);
}

/* Ranges that overlap, given back page by page */
TEST_F(mediated, overlapping)
{
	ASSERT_EQ(0, map(self, 0, 0, 8, READ_WRITE));

	ASSERT_EQ(6, mediated_pin(&self->device, at(self, 0), 6,
				  MEDIATED_BOTH | MEDIATED_DMA_SINGLY));
	ASSERT_EQ(4, mediated_pin(&self->device, at(self, 4), 4,
				  MEDIATED_BOTH | MEDIATED_DMA_SINGLY));
	EXPECT_PINNED(self, 4, 1, 8);

	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 3), 5,
				    MEDIATED_DMA_SINGLY));
	EXPECT_PINNED(self, 3, 0, 5);
	EXPECT_PINNED(self, 4, 1, 5);
	EXPECT_PINNED(self, 6, 0, 5);
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 0), 3,
				    MEDIATED_DMA_SINGLY));
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 4), 2,
				    MEDIATED_DMA_SINGLY));
	EXPECT_PINNED(self, 4, 0, 0);
}

TEST_F(mediated, copies)
{
	char text[] = "from one page to the next", buffer[sizeof(text)];
	__u64 bus = at(self, 1) - 10;

	/* What is side by side on the bus is not so in memory */
	ASSERT_EQ(0, map(self, 5, 0, 1, READ_WRITE));
	ASSERT_EQ(0, map(self, 2, 1, 1, READ_WRITE));

	memcpy(mem(self, 6) - 10, text, 10);
	memcpy(mem(self, 2), text + 10, sizeof(text) - 10);
	ASSERT_EQ(0, mediated_read(&self->device, bus, buffer, sizeof(text)));
	EXPECT_STREQ(text, buffer);
	memset(buffer, 0, sizeof(text));
	ASSERT_EQ(0, mediated_thread_read(&self->device, bus, buffer,
					  sizeof(text)));
	EXPECT_STREQ(text, buffer);

	ASSERT_EQ(2, mediated_pin(&self->device, bus, 2, MEDIATED_BOTH));
	memset(buffer, 0, sizeof(text));
	ASSERT_EQ(0, mediated_run_read(&self->device, bus, buffer,
				       sizeof(text)));
	EXPECT_STREQ(text, buffer);

	ASSERT_EQ(0, mediated_run_write(&self->device, bus + 100, text,
					sizeof(text)));
	EXPECT_STREQ(text, mem(self, 2) + 90);
	ASSERT_EQ(0, mediated_write(&self->device, bus + 200, text,
				    sizeof(text)));
	EXPECT_STREQ(text, mem(self, 2) + 190);
	ASSERT_EQ(0, mediated_unpin(&self->device, bus, 2, 0));
	ASSERT_EQ(0, mediated_thread_write(&self->device, bus + 300, text,
					   sizeof(text)));
	EXPECT_STREQ(text, mem(self, 2) + 290);
	EXPECT_PINNED(self, 2, 0, 0);
}

TEST_F(mediated, permissions)
{
	char byte = 7;

	ASSERT_EQ(0, map(self, 0, 0, 1, READ_ONLY));
	ASSERT_EQ(0, map(self, 1, 1, 1, WRITE_ONLY));

	EXPECT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_DMA_READ));
	EXPECT_EQ(-EPERM, mediated_pin(&self->device, at(self, 0), 1,
				       MEDIATED_DMA_WRITE));
	EXPECT_EQ(-EPERM, mediated_pin(&self->device, at(self, 0), 2,
				       MEDIATED_DMA_READ));
	EXPECT_EQ(1, mediated_pin(&self->device, at(self, 1), 1,
				  MEDIATED_DMA_WRITE));
	EXPECT_EQ(-EPERM, mediated_pin(&self->device, at(self, 1), 1,
				       MEDIATED_BOTH));
	EXPECT_EQ(2, locked(self));

	EXPECT_EQ(0, mediated_read(&self->device, at(self, 0), &byte, 1));
	EXPECT_EQ(-EPERM, mediated_write(&self->device, at(self, 0), &byte, 1));
	EXPECT_EQ(0, mediated_write(&self->device, at(self, 1), &byte, 1));
	EXPECT_EQ(-EPERM, mediated_read(&self->device, at(self, 1), &byte, 1));
	EXPECT_EQ(1, *mem(self, 0));
}

/* Memory that the process itself may not write can't be pinned for long */
TEST_F(mediated, read_only_memory)
{
	ASSERT_EQ(0, mprotect(mem(self, 3), self->page, PROT_READ));
	ASSERT_EQ(0, map(self, 2, 0, 3, READ_WRITE));
	EXPECT_EQ(-EFAULT, mediated_pin(&self->device, at(self, 0), 3,
					MEDIATED_BOTH));
	EXPECT_PINNED(self, 2, 0, 0);
	ASSERT_EQ(0, mprotect(mem(self, 3), self->page,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(3, mediated_pin(&self->device, at(self, 0), 3,
				  MEDIATED_BOTH));
	EXPECT_PINNED(self, 3, 1, 3);
}

TEST_F(mediated, not_mapped)
{
	char bytes[2];

	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, 0), 1,
					MEDIATED_BOTH));
	ASSERT_EQ(0, map(self, 0, 0, 2, READ_WRITE));
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, 0), 3,
					MEDIATED_BOTH));
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, -1), 2,
					MEDIATED_BOTH));
	EXPECT_PINNED(self, 0, 0, 0);

	/* In no window, and beyond all addresses */
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, WINDOW_SIZE, 1,
					MEDIATED_BOTH));
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, -self->page, 2,
					MEDIATED_BOTH));
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, 0), 0,
					MEDIATED_BOTH));

	EXPECT_EQ(0, mediated_read(&self->device, at(self, 2) - 1, bytes, 1));
	EXPECT_EQ(-EINVAL, mediated_read(&self->device, at(self, 2) - 1, bytes,
					 2));
	EXPECT_EQ(-EINVAL, mediated_read(&self->device, -1, bytes, 2));
	EXPECT_EQ(-EINVAL, mediated_read(&self->device, at(self, 0), bytes, 0));
}

/* The default window's pages are smaller than the system's */
TEST_F(mediated, part_of_a_page)
{
	unsigned long memory = (unsigned long)self->memory;
	char byte = 3;

	if (self->page == TCE_PAGE)
		SKIP(return, "pages of the bus are those of the system");

	/* A half, then all */
	ASSERT_EQ(0, container_map(self->container, memory, at(self, 0),
				   self->page / 2, READ_WRITE));
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, 0), 1,
					MEDIATED_BOTH));
	EXPECT_EQ(0, mediated_write(&self->device, at(self, 0), &byte, 1));
	EXPECT_EQ(3, *self->memory);
	ASSERT_EQ(0, container_map(self->container, memory + self->page / 2,
				   at(self, 0) + self->page / 2,
				   self->page / 2, READ_WRITE));
	EXPECT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_BOTH));
	EXPECT_PINNED(self, 0, 1, 1);

	/* Before a part of it is removed the device has to unpin it */
	ASSERT_EQ(0, container_unmap(self->container, at(self, 0) + TCE_PAGE,
				     TCE_PAGE));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(at(self, 0), mediated_report(&self->device).bus);
	EXPECT_EQ(self->page, mediated_report(&self->device).size);
	EXPECT_PINNED(self, 0, 0, 0);

	/* One page on the bus, two in memory */
	ASSERT_EQ(0, container_map(self->container, memory, at(self, 6),
				   self->page / 2, READ_WRITE));
	ASSERT_EQ(0, container_map(self->container,
				   memory + self->page + self->page / 2,
				   at(self, 6) + self->page / 2,
				   self->page / 2, READ_WRITE));
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, 6), 1,
					MEDIATED_BOTH));
	ASSERT_EQ(0, container_map(self->container, memory + TCE_PAGE,
				   at(self, 2), self->page, READ_WRITE));
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, 2), 1,
					MEDIATED_BOTH));

	/* Only what all of it permits */
	ASSERT_EQ(0, map(self, 0, 4, 1, READ_WRITE));
	ASSERT_EQ(0, container_map(self->container, memory, at(self, 4),
				   TCE_PAGE, READ_ONLY));
	EXPECT_EQ(-EPERM, mediated_pin(&self->device, at(self, 4), 1,
				       MEDIATED_BOTH));
	EXPECT_EQ(1, mediated_pin(&self->device, at(self, 4), 1,
				  MEDIATED_DMA_READ));
}

/* A window's pages can be larger than the system's, without huge pages */
TEST_F(mediated, large_pages)
{
	unsigned long memory = (unsigned long)self->memory;
	char *end = self->memory + 4 * MiB;
	__u64 start;
	char byte = 4;

	if (variant->type != VFIO_SPAPR_TCE_v2_IOMMU)
		SKIP(return, "v1 has one window");

	ASSERT_EQ(0, container_create_window(self->container, 21, 1 * GiB, 1,
					     &start));
	EXPECT_EQ(-EINVAL, container_map(self->container, memory, start,
					 self->page, READ_WRITE));
	EXPECT_EQ(-EINVAL, container_map(self->container, memory + self->page,
					 start, 2 * MiB, READ_WRITE));
	ASSERT_EQ(0, container_map(self->container, memory + 2 * MiB, start,
				   2 * MiB, READ_WRITE));
	ASSERT_EQ(0, container_map(self->container, memory, start + 2 * MiB,
				   2 * MiB, READ_WRITE));
	self->locked = memory_locked();

	start += 2 * MiB - self->page;
	ASSERT_EQ(2, mediated_pin(&self->device, start, 2, MEDIATED_BOTH));
	EXPECT_EQ(2, locked(self));
	EXPECT_EQ(1, mediated_pins_of(&self->device, end - self->page));
	EXPECT_EQ(1, mediated_pins_of(&self->device, self->memory));
	EXPECT_EQ(0, mediated_run_write(&self->device, start + self->page + 5,
					&byte, 1));
	EXPECT_EQ(4, self->memory[5]);
	EXPECT_EQ(0, mediated_write(&self->device, start + 6, &byte, 1));
	EXPECT_EQ(4, *(end - self->page + 6));
}

TEST_F(mediated, as_many_as_can_be)
{
	const int most = self->page / sizeof(unsigned long);

	for (int i = 0; i < most; i++)
		ASSERT_EQ(0, map(self, 0, i, 1, READ_WRITE));

	EXPECT_EQ(-E2BIG, mediated_pin(&self->device, at(self, 0), most + 1,
				       MEDIATED_BOTH));
	EXPECT_PINNED(self, 0, 0, 0);
	EXPECT_EQ(most, mediated_pin(&self->device, at(self, 0), most,
				     MEDIATED_BOTH));
	EXPECT_PINNED(self, 0, 1, 1);
	EXPECT_EQ(0, mediated_unpin(&self->device, at(self, 0), most, 0));
	EXPECT_PINNED(self, 0, 0, 0);
}

TEST_F(mediated, unmap_asks)
{
	ASSERT_EQ(0, map(self, 0, 0, 8, READ_WRITE));
	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 2), 2,
				  MEDIATED_BOTH));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 6), 1,
				  MEDIATED_BOTH));

	/* What is not pinned is no business of the device's */
	ASSERT_EQ(0, unmap(self, 0, 2));
	EXPECT_EQ(0, mediated_report(&self->device).asked);

	ASSERT_EQ(0, unmap(self, 1, 3));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(at(self, 1), mediated_report(&self->device).bus);
	EXPECT_EQ(3 * self->page, mediated_report(&self->device).size);
	EXPECT_PINNED(self, 2, 0, 1);
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, 2), 1,
					MEDIATED_BOTH));
	EXPECT_PINNED(self, 6, 1, 1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* The mapping stays until the device has unpinned the page */
TEST_F(mediated, unmap_waits)
{
	const struct mediated_dma_manners slow = { .delay_ms = 400 };
	double begin;

	ASSERT_EQ(0, map(self, 0, 0, 1, READ_WRITE));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_BOTH));
	mediated_behave(&self->device, &slow);

	begin = now();
	ASSERT_EQ(0, unmap(self, 0, 1));
	EXPECT_LE(begin + 0.35, now());
	EXPECT_PINNED(self, 0, 0, 0);
}

TEST_F(mediated, device_never_lets_go)
{
	const struct mediated_dma_manners stubborn = { .stubborn = 1 };
	char byte = 5;

	ASSERT_EQ(0, map(self, 0, 0, 2, READ_WRITE));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_BOTH));
	mediated_behave(&self->device, &stubborn);

	/* Neither gone nor replaced, nor is anything else of the range */
	EXPECT_EQ(-EBUSY, unmap(self, 0, 2));
	EXPECT_LE(2, mediated_report(&self->device).asked);
	EXPECT_EQ(-EBUSY, map(self, 4, 0, 2, READ_WRITE));
	EXPECT_PINNED(self, 0, 1, 1);
	EXPECT_EQ(0, mediated_run_write(&self->device, at(self, 0), &byte, 1));
	EXPECT_EQ(5, *mem(self, 0));
	EXPECT_EQ(0, mediated_write(&self->device, at(self, 1), &byte, 1));
	EXPECT_EQ(5, *mem(self, 1));

	/* No road around it */
	EXPECT_EQ(-EBUSY, end_all(self, variant->type));
	EXPECT_PINNED(self, 0, 1, 1);

	EXPECT_EQ(0, mediated_unpin(&self->device, at(self, 0), 1, 0));
	EXPECT_EQ(0, unmap(self, 0, 2));
	EXPECT_PINNED(self, 0, 0, 0);
}

/* A mapping that is replaced is a mapping removed */
TEST_F(mediated, replaced)
{
	char byte = 9;

	ASSERT_EQ(0, map(self, 0, 0, 2, READ_WRITE));
	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 0), 2,
				  MEDIATED_BOTH));
	ASSERT_EQ(0, map(self, 8, 1, 1, READ_WRITE));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(at(self, 1), mediated_report(&self->device).bus);
	EXPECT_PINNED(self, 1, 0, 0);

	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 0), 2,
				  MEDIATED_BOTH));
	EXPECT_EQ(0, mediated_run_write(&self->device, at(self, 1), &byte, 1));
	EXPECT_EQ(9, *mem(self, 8));
	EXPECT_PINNED(self, 8, 1, 2);
	EXPECT_PINNED(self, 1, 0, 2);
}

/* All mappings go at once: with the window, or when DMA is disabled */
TEST_F(mediated, all_unmapped)
{
	ASSERT_EQ(0, map(self, 0, 0, 2, READ_WRITE));
	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 0), 2,
				  MEDIATED_BOTH));
	ASSERT_EQ(0, end_all(self, variant->type));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(0, mediated_pins_of(&self->device, mem(self, 0)));
	EXPECT_EQ(-EINVAL, mediated_pin(&self->device, at(self, 0), 1,
					MEDIATED_BOTH));
}

/* The last device that is closed leaves nothing behind, whatever it does */
TEST_F(mediated, litter)
{
	const struct mediated_dma_manners litters = { .litters = 1 };
	int messages = messages_open();

	ASSERT_LE(0, messages);
	ASSERT_EQ(0, mediated_join(&self->other, self->container));
	mediated_open(&self->other);
	ASSERT_EQ(0, map(self, 0, 0, 4, READ_WRITE));
	ASSERT_EQ(3, mediated_pin(&self->other, at(self, 0), 3, MEDIATED_BOTH));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_BOTH));

	mediated_behave(&self->other, &litters);
	mediated_leave(&self->other);
	EXPECT_PINNED(self, 0, 1, 3);
	EXPECT_FALSE(messages_have(messages, "pages pinned"));
	mediated_behave(&self->device, &litters);
	vfio_close(&self->device.device);
	EXPECT_EQ(0, locked(self));
	EXPECT_TRUE(messages_have(messages, "left 3 pages pinned"));
	close(messages);

	mediated_open(&self->device);
	EXPECT_PINNED(self, 0, 0, 0);
	EXPECT_PINNED(self, 2, 0, 0);
	ASSERT_EQ(0, unmap(self, 0, 4));
	EXPECT_EQ(0, mediated_report(&self->device).asked);
}

/* What another process has the device pin is accounted to the container's */
TEST_F(mediated, pinned_by_another)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, map(self, 0, 0, 4, READ_WRITE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (mediated_pin(&self->device, at(self, 1), 2,
				 MEDIATED_BOTH) != 2)
			_exit(1);
		_exit(memory_locked() ? 2 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_PINNED(self, 1, 1, 2);

	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 1), 2, 0));
	EXPECT_PINNED(self, 1, 0, 0);
}

/* What a device wants of a page, in a thread of its own */
struct reach {
	const struct mediated *device;
	bool copies;
	__u64 bus;
	int ret;
};

static void *reach(void *arg)
{
	struct reach *reach = arg;
	char byte;

	reach->ret = reach->copies ?
		     mediated_read(reach->device, reach->bus, &byte, 1) :
		     mediated_pin(reach->device, reach->bus, 1, MEDIATED_BOTH);
	return NULL;
}

static void *unmap_other(void *arg)
{
	container_unmap(*(int *)arg, BUS, page_size());
	return NULL;
}

/* While a device waits for a page, other mappings of the container change */
TEST_F(mediated, withheld_page)
{
	for (int copies = 0; copies < 2; copies++) {
		void *page = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct reach waits = {
			.device = &self->device,
			.copies = copies,
			.bus = at(self, 8),
		};
		pthread_t waiter, other;
		bool quick;
		int fd;

		ASSERT_NE(MAP_FAILED, page);
		fd = pages_withhold((unsigned long)page, page_size());
		ASSERT_EQ(0, container_map(self->container, (unsigned long)page,
					   waits.bus, self->page, READ_WRITE));
		ASSERT_EQ(0, pthread_create(&waiter, NULL, reach, &waits));
		EXPECT_TRUE(page_wanted(fd));

		ASSERT_EQ(0, pthread_create(&other, NULL, unmap_other,
					    &self->container));
		quick = thread_ends(other, 30);
		EXPECT_TRUE(quick);

		page_supply(fd, (unsigned long)page);
		pthread_join(waiter, NULL);
		if (!quick)
			pthread_join(other, NULL);
		EXPECT_EQ(copies ? 0 : 1, waits.ret);
		EXPECT_EQ(0, unmap(self, 8, 1));
		munmap(page, self->page);
	}
}

/* Groups come and go while others have something pinned */
TEST_F(mediated, two_devices)
{
	ASSERT_EQ(0, map(self, 0, 0, 2, READ_WRITE));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_BOTH));

	ASSERT_EQ(0, mediated_join(&self->other, self->container));
	mediated_open(&self->other);
	ASSERT_EQ(2, mediated_pin(&self->other, at(self, 0), 2, MEDIATED_BOTH));
	EXPECT_PINNED(self, 0, 1, 2);
	EXPECT_PINNED(self, 1, 1, 2);

	/* Both are asked */
	ASSERT_EQ(0, unmap(self, 0, 1));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(1, mediated_report(&self->other).asked);
	EXPECT_PINNED(self, 1, 0, 0);

	ASSERT_EQ(0, map(self, 0, 0, 1, READ_WRITE));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_BOTH));
	mediated_leave(&self->other);
	EXPECT_PINNED(self, 0, 1, 1);
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 0), 1, 0));
	EXPECT_PINNED(self, 0, 0, 0);
}

/* Beyond the limit nothing is pinned, not even a part */
TEST_F(mediated, limit)
{
	int status;
	pid_t pid;

	/* The container serves another process then: this one */
	mediated_leave(&self->device);
	vfio_close(&self->container);

	pid = fork();
	ASSERT_NE(-1, pid);
	if (!pid) {
		self->container = vfio_container_open();
		if (mediated_join(&self->device, self->container))
			_exit(1);
		vfio_container_set_iommu(self->container, variant->type);
		/* What the default window costs, and four pages */
		if (!memory_limit_locked(WINDOW_SIZE / TCE_PAGE * 8 +
					 4 * self->page))
			_exit(2);
		if (variant->type == VFIO_SPAPR_TCE_IOMMU &&
		    container_enable(self->container))
			_exit(3);
		mediated_open(&self->device);
		if (map(self, 0, 0, 8, READ_WRITE))
			_exit(4);
		self->locked = memory_locked();
		if (mediated_pin(&self->device, at(self, 0), 5,
				 MEDIATED_BOTH) != -ENOMEM ||
		    locked(self) ||
		    mediated_pins_of(&self->device, mem(self, 0)))
			_exit(5);
		if (mediated_pin(&self->device, at(self, 0), 4,
				 MEDIATED_BOTH) != 4 || locked(self) != 4)
			_exit(6);
		/* What is pinned already costs nothing */
		if (mediated_pin(&self->device, at(self, 1), 3,
				 MEDIATED_BOTH) != 3 || locked(self) != 4)
			_exit(7);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status >> 8);
	EXPECT_TRUE(WIFEXITED(status));
}

/* What is registered is pinned and accounted already, before or after */
TEST_F(mediated, registered)
{
	unsigned long memory = (unsigned long)self->memory;

	if (variant->type != VFIO_SPAPR_TCE_v2_IOMMU)
		SKIP(return, "v1 registers nothing");

	ASSERT_EQ(0, map(self, 0, 0, 8, READ_WRITE));
	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 3), 2,
				  MEDIATED_BOTH));
	EXPECT_EQ(2, locked(self));

	/* Page 3 is registered, page 4 is not */
	ASSERT_EQ(0, container_register(self->container, memory,
					4 * self->page));
	EXPECT_EQ(5, locked(self));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 2), 1,
				  MEDIATED_BOTH));
	EXPECT_EQ(5, locked(self));
	EXPECT_EQ(2, mediated_pins_of(&self->device, mem(self, 2)));
	EXPECT_EQ(2, mediated_pins_of(&self->device, mem(self, 3)));

	/* What is pinned stays so, and is accounted, without registration */
	ASSERT_EQ(0, container_unregister(self->container, memory,
					  4 * self->page));
	EXPECT_EQ(3, locked(self));
	EXPECT_EQ(1, mediated_pins_of(&self->device, mem(self, 2)));
	EXPECT_EQ(1, mediated_pins_of(&self->device, mem(self, 3)));
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 3), 2, 0));
	EXPECT_PINNED(self, 3, 0, 1);
	EXPECT_PINNED(self, 2, 1, 1);

	/* Registration once more does not account it twice either */
	ASSERT_EQ(0, container_register(self->container, memory,
					4 * self->page));
	EXPECT_EQ(4, locked(self));
	ASSERT_EQ(0, unmap(self, 0, 8));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(4, locked(self));
	ASSERT_EQ(0, container_unregister(self->container, memory,
					  4 * self->page));
	EXPECT_PINNED(self, 2, 0, 0);
}

TEST_HARNESS_MAIN
