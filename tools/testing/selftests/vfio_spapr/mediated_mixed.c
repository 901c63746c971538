// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediated devices and devices with DMA of their own in one container, which
 * join and leave while the other kind is in use. What is mapped stays mapped,
 * and a page stays accounted once, as registered or as pinned.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/dma_device.h"
#include "lib/harness.h"
#include "lib/container.h"
#include "lib/mediated.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/vfio_pci.h"

#define MEMORY_PAGES	16
#define BUS		(16 * MiB)
/* In another part of the window's table than BUS is */
#define FAR		(BUS + 8 * MiB)
/* Where second windows are */
#define SECOND		(1ULL << 59)

/* What a table of the default window costs in software, on any machine at most */
#define TABLE_SOFT	(GiB / (4 * KiB) * sizeof(__u64))
#define TABLE_MAX	(16 * MiB)

FIXTURE(mixed)
{
	unsigned long page;
	char *memory;
	struct testbed bed;
	struct mediated device;
	bool v1, enabled;
	bool ready;
};

FIXTURE_VARIANT(mixed)
{
	unsigned int type;
};

FIXTURE_VARIANT_ADD(mixed, v1)
{
	.type = VFIO_SPAPR_TCE_IOMMU,
};

FIXTURE_VARIANT_ADD(mixed, v2)
{
	.type = VFIO_SPAPR_TCE_v2_IOMMU,
};

static char *mem(SELF(mixed) self, unsigned int number)
{
	return self->memory + number * self->page;
}

static __u64 at(SELF(mixed) self, unsigned int number)
{
	return BUS + number * self->page;
}

/* Map pages of the memory where @at() says that they are */
static long map(SELF(mixed) self, unsigned int number,
		unsigned int pages)
{
	return container_map(self->bed.container,
			     (unsigned long)mem(self, number),
			     at(self, number), pages * self->page, READ_WRITE);
}

static long unmap(SELF(mixed) self, unsigned int number,
		  unsigned int pages)
{
	return container_unmap(self->bed.container, at(self, number),
			       pages * self->page);
}

static long map_far(SELF(mixed) self, __u64 bus)
{
	return container_map(self->bed.container, (unsigned long)mem(self, 5),
			     bus, self->page, READ_WRITE);
}

/* Make the container ready for DMA with all of the memory */
static long prepare(SELF(mixed) self)
{
	self->enabled = true;
	return self->v1 ? container_enable(self->bed.container) :
	       container_register(self->bed.container,
				  (unsigned long)self->memory,
				  MEMORY_PAGES * self->page);
}

/* End all mappings at once */
static long end_all(SELF(mixed) self)
{
	return self->v1 ? container_disable(self->bed.container) :
	       container_remove_window(self->bed.container, 0);
}

static int open_alone(SELF(mixed) self, unsigned int type)
{
	int ret;

	self->bed.container = vfio_container_open();
	ret = mediated_join(&self->device, self->bed.container);
	if (ret)
		return ret;
	vfio_container_set_iommu(self->bed.container, type);
	mediated_open(&self->device);

	return 0;
}

static int join_hardware(SELF(mixed) self)
{
	if (self->bed.group[0] < 0)
		self->bed.group[0] = vfio_group_open(self->bed.iommu_group[0]);
	return __vfio_group_set_container(self->bed.group[0],
					  self->bed.container);
}

static void leave_hardware(SELF(mixed) self)
{
	testbed_close_device(&self->bed, 0);
	vfio_close(&self->bed.group[0]);
}

/* Does the hardware read and write the page where it is mapped? */
static unsigned int reach(SELF(mixed) self, __u64 bus, char *memory)
{
	if (!self->bed.dma[0].bar)
		testbed_open_device(&self->bed, 0);
	return dma_reach(&self->bed.dma[0], bus, memory, bus + 64,
			 memory + 64);
}

#define EXPECT_REACHED(self, number)					\
	EXPECT_EQ(DMA_READS | DMA_WRITES,				\
		  reach(self, at(self, number), mem(self, number)))

#define EXPECT_MEDIATED(self, number)					\
do {									\
	char __byte = 0x40 + (number);					\
									\
	EXPECT_EQ(0, mediated_run_write(&(self)->device,		\
					at(self, number) + 8, &__byte, 1)); \
	EXPECT_EQ(__byte, mem(self, number)[8]);			\
	EXPECT_EQ(0, mediated_read(&(self)->device,			\
				   at(self, number) + 8, &__byte, 1));	\
	EXPECT_EQ(0x40 + (number), __byte);				\
} while (0)

FIXTURE_SETUP(mixed)
{
	if (!mediated_available())
		SKIP(return, "mediated_dma is not loaded");
	if (!testbed_find(&self->bed))
		SKIP(return, "there are no devices");

	self->v1 = variant->type == VFIO_SPAPR_TCE_IOMMU;
	self->page = page_size();
	self->memory = memory_get_present(MEMORY_PAGES * self->page);
	mediated_create(&self->device, 0);
	self->ready = true;
}

FIXTURE_TEARDOWN(mixed)
{
	if (!self->ready)
		return;
	mediated_leave(&self->device);
	testbed_close(&self->bed);
	mediated_remove(&self->device);
	EXPECT_EQ(0, memory_locked());
}

TEST_F(mixed, mediated_joins)
{
	long locked;
	int pins;

	testbed_open(&self->bed, variant->type);
	ASSERT_EQ(0, prepare(self));
	ASSERT_EQ(0, map(self, 0, 4));
	EXPECT_REACHED(self, 0);
	locked = memory_locked();

	ASSERT_EQ(0, mediated_join(&self->device, self->bed.container));
	mediated_open(&self->device);
	EXPECT_REACHED(self, 0);
	pins = mediated_pins_of(&self->device, mem(self, 1));
	EXPECT_LE(1, pins);

	/* What the hardware has mapped is accounted already */
	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 1), 2,
				  MEDIATED_BOTH));
	EXPECT_EQ(locked, memory_locked());
	EXPECT_EQ(pins + 1, mediated_pins_of(&self->device, mem(self, 1)));
	EXPECT_MEDIATED(self, 1);

	/* What is unmapped is so for both */
	ASSERT_EQ(0, unmap(self, 1, 1));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(self->v1 ? 0 : 1,
		  mediated_pins_of(&self->device, mem(self, 1)));
	ASSERT_EQ(0, map(self, 1, 1));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 1), 1,
				  MEDIATED_BOTH));
	EXPECT_REACHED(self, 1);

	/* The device gives back what it has when it is closed */
	mediated_leave(&self->device);
	EXPECT_EQ(locked, memory_locked());
	EXPECT_REACHED(self, 0);
	EXPECT_REACHED(self, 1);
	EXPECT_EQ(0, unmap(self, 0, 4));

	/* And again */
	ASSERT_EQ(0, map(self, 0, 4));
	ASSERT_EQ(0, mediated_join(&self->device, self->bed.container));
	mediated_open(&self->device);
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 3), 1,
				  MEDIATED_BOTH));
	EXPECT_MEDIATED(self, 3);
	EXPECT_REACHED(self, 3);
}

TEST_F(mixed, hardware_joins_and_leaves)
{
	struct vfio_iommu_spapr_tce_info info, before;
	long alone, page = self->page / KiB, both;
	__u64 last;

	ASSERT_EQ(0, open_alone(self, variant->type));
	ASSERT_EQ(0, prepare(self));
	ASSERT_EQ(0, map(self, 0, 8));
	ASSERT_EQ(0, container_get_info(self->bed.container, &before));
	alone = memory_locked();
	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 0), 2,
				  MEDIATED_BOTH));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 1), 1,
				  MEDIATED_BOTH));
	EXPECT_EQ(alone + (self->v1 ? 2 * page : 0), memory_locked());

	/* It reaches what was mapped before, pinned or not */
	ASSERT_EQ(0, join_hardware(self));
	EXPECT_REACHED(self, 1);
	EXPECT_REACHED(self, 7);
	EXPECT_MEDIATED(self, 1);
	/* The window stays as it is, to its last page */
	ASSERT_EQ(0, container_get_info(self->bed.container, &info));
	EXPECT_EQ(before.dma32_window_start, info.dma32_window_start);
	EXPECT_EQ(before.dma32_window_size, info.dma32_window_size);
	last = info.dma32_window_start + (__u64)info.dma32_window_size -
	       self->page;
	EXPECT_EQ(0, map_far(self, last));
	EXPECT_EQ(0, container_unmap(self->bed.container, last, self->page));
	both = memory_locked();
	if (self->v1) {
		EXPECT_LE(alone + info.dma32_window_size / KiB, both);
		EXPECT_GE(alone + info.dma32_window_size / KiB +
			  TABLE_MAX / KiB, both);
	} else {
		EXPECT_LE(alone, both);
		EXPECT_GE(alone + TABLE_MAX / KiB, both);
	}

	/* Neither is asked for the other's sake; pins cost nothing now */
	EXPECT_EQ(0, mediated_report(&self->device).asked);
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 4), 1,
				  MEDIATED_BOTH));
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 0), 2, 0));
	EXPECT_EQ(both, memory_locked());

	/* What is mapped now is there when the hardware has gone */
	ASSERT_EQ(0, map(self, 8, 1));
	EXPECT_REACHED(self, 8);
	leave_hardware(self);
	EXPECT_EQ(alone + (self->v1 ? 2 * page : 0), memory_locked());
	EXPECT_MEDIATED(self, 1);
	EXPECT_MEDIATED(self, 4);
	EXPECT_EQ(self->v1 ? 1 : 2,
		  mediated_pins_of(&self->device, mem(self, 4)));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 8), 1,
				  MEDIATED_BOTH));
	EXPECT_MEDIATED(self, 8);
	EXPECT_EQ(alone + (self->v1 ? 3 * page : 0), memory_locked());

	/* Once more, and all is given back in the other order */
	ASSERT_EQ(0, join_hardware(self));
	EXPECT_REACHED(self, 8);
	EXPECT_EQ(both, memory_locked());
	mediated_leave(&self->device);
	EXPECT_EQ(both, memory_locked());
	EXPECT_REACHED(self, 8);
	ASSERT_EQ(0, unmap(self, 0, 9));
}

/* Hardware can map by what another container has registered, and unmap then. */
TEST_F(mixed, registered_elsewhere)
{
	int container, group;

	if (self->v1)
		SKIP(return, "v1 registers nothing");

	container = vfio_container_open();
	group = vfio_group_open(self->bed.iommu_group[1]);
	vfio_group_set_container(group, container);
	vfio_container_set_iommu(container, variant->type);
	ASSERT_EQ(0, container_register(container, (unsigned long)self->memory,
					MEMORY_PAGES * self->page));

	ASSERT_EQ(0, open_alone(self, variant->type));
	ASSERT_EQ(0, map(self, 0, 2));
	ASSERT_EQ(0, join_hardware(self));
	EXPECT_REACHED(self, 1);
	EXPECT_EQ(0, unmap(self, 0, 2));
	vfio_close(&group);
	vfio_close(&container);
}

/* Hardware does not come to memory that it may not reach; nothing changes */
TEST_F(mixed, hardware_refused)
{
	long locked;

	ASSERT_EQ(0, open_alone(self, variant->type));
	ASSERT_EQ(0, self->v1 ? prepare(self) : 0);
	ASSERT_EQ(0, map(self, 0, 4));
	ASSERT_EQ(0, map_far(self, FAR));
	ASSERT_EQ(0, self->v1 ? munmap(mem(self, 3), self->page) : 0);
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 2), 1,
				  MEDIATED_BOTH));
	locked = memory_locked();

	EXPECT_EQ(self->v1 ? -EFAULT : -EINVAL, join_hardware(self));
	EXPECT_EQ(locked, memory_locked());
	EXPECT_EQ(1, mediated_pins_of(&self->device, mem(self, 2)));
	EXPECT_EQ(0, mediated_pins_of(&self->device, mem(self, 0)));
	EXPECT_MEDIATED(self, 2);
	EXPECT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_BOTH));
	EXPECT_MEDIATED(self, 0);
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 0), 1, 0));

	ASSERT_EQ(0, self->v1 ? unmap(self, 3, 1) : prepare(self));
	ASSERT_EQ(0, join_hardware(self));
	EXPECT_REACHED(self, 0);
	EXPECT_REACHED(self, 2);
	EXPECT_EQ(DMA_READS | DMA_WRITES, reach(self, FAR, mem(self, 5)));
	EXPECT_MEDIATED(self, 2);
}

/* While a device does not unpin a page the hardware keeps the mapping, too */
TEST_F(mixed, device_never_lets_go)
{
	const struct mediated_dma_manners stubborn = { .stubborn = 1 };

	testbed_open(&self->bed, variant->type);
	ASSERT_EQ(0, prepare(self));
	ASSERT_EQ(0, mediated_join(&self->device, self->bed.container));
	mediated_open(&self->device);
	ASSERT_EQ(0, map(self, 0, 4));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 1), 1,
				  MEDIATED_BOTH));
	mediated_behave(&self->device, &stubborn);

	EXPECT_EQ(-EBUSY, unmap(self, 0, 4));
	EXPECT_REACHED(self, 0);
	EXPECT_REACHED(self, 1);
	EXPECT_EQ(-EBUSY, end_all(self));
	EXPECT_REACHED(self, 0);

	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 1), 1, 0));
	EXPECT_EQ(0, unmap(self, 0, 4));
}

/* Have the container serve this process, without anything mapped */
static long claim(SELF(mixed) self)
{
	return self->v1 ? container_enable(self->bed.container) :
	       map(self, 0, 1) ?: unmap(self, 0, 1);
}

/*
 * A process that may lock @joiner bytes lets the hardware join a container that
 * serves one that may lock @served bytes
 */
static int join_for_another(SELF(mixed) self, unsigned long served,
			    unsigned long joiner)
{
	int claimed[2], joined[2], status = -1, failed = -1;
	pid_t process;
	char byte = 0;

	if (pipe(claimed) || pipe(joined))
		return -1;
	process = fork();
	if (!process) {
		close(joined[1]);
		if (!memory_limit_locked(served) || claim(self) ||
		    write(claimed[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(joined[0], &byte, 1) != 0);
	}
	close(claimed[1]);
	if (read(claimed[0], &byte, 1) == 1) {
		pid_t other = fork();

		if (!other) {
			if (!memory_limit_locked(joiner))
				_exit(EIO);
			_exit(-join_hardware(self));
		}
		waitpid(other, &status, 0);
	}
	close(claimed[0]);
	close(joined[0]);
	close(joined[1]);
	waitpid(process, &failed, 0);

	return failed || !WIFEXITED(status) ? -EIO : -WEXITSTATUS(status);
}

/* What hardware costs counts for the process that is served, within its limit */
TEST_F(mixed, joined_by_another)
{
	ASSERT_EQ(0, open_alone(self, variant->type));
	EXPECT_EQ(self->v1 ? -EPERM : 0,
		  join_for_another(self, TABLE_MAX, 0));

	mediated_leave(&self->device);
	vfio_close(&self->bed.container);
	ASSERT_EQ(0, open_alone(self, variant->type));
	/* A partition's table costs what one in software does */
	EXPECT_EQ(self->v1 ? -EPERM : testbed_is_partition() ? 0 : -ENOMEM,
		  join_for_another(self, TABLE_SOFT, TABLE_MAX));
}

/*
 * Windows of v2 with pages as large as the system's, made without hardware, one
 * of them with more levels than a partition's table can have
 */
TEST_F(mixed, second_window)
{
	const __u64 size = 1 * GiB;
	__u64 start;
	char byte = 0x5a;

	if (self->v1)
		SKIP(return, "v1 has one window");

	ASSERT_EQ(0, open_alone(self, variant->type));
	ASSERT_EQ(0, prepare(self));
	ASSERT_EQ(0, container_remove_window(self->bed.container, 0));
	ASSERT_EQ(0, container_create_window(self->bed.container, 12, size, 1,
					     &start));
	EXPECT_EQ(0, start);
	ASSERT_EQ(0, container_create_window(self->bed.container, page_shift(),
					     size, 2, &start));
	EXPECT_EQ(SECOND, start);
	EXPECT_EQ(-ENOSPC, container_create_window(self->bed.container,
						   page_shift(), size, 1, NULL));

	ASSERT_EQ(0, map(self, 0, 1));
	ASSERT_EQ(0, container_map(self->bed.container,
				   (unsigned long)mem(self, 2), SECOND,
				   2 * self->page, READ_WRITE));
	ASSERT_EQ(2, mediated_pin(&self->device, SECOND, 2, MEDIATED_BOTH));
	EXPECT_EQ(0, mediated_run_write(&self->device, SECOND + self->page,
					&byte, 1));
	EXPECT_EQ(byte, *mem(self, 3));

	ASSERT_EQ(0, join_hardware(self));
	EXPECT_REACHED(self, 0);
	EXPECT_EQ(DMA_READS | DMA_WRITES,
		  reach(self, SECOND + self->page, mem(self, 3)));

	ASSERT_EQ(0, container_remove_window(self->bed.container, SECOND));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(1, mediated_pins_of(&self->device, mem(self, 2)));
	leave_hardware(self);
	ASSERT_EQ(0, container_create_window(self->bed.container, page_shift(),
					     size, 1, &start));
	EXPECT_EQ(SECOND, start);
}

TEST_HARNESS_MAIN
