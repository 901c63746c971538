// SPDX-License-Identifier: GPL-2.0
/*
 * A partition creates a DMA window whatever number of levels is requested.
 *
 * The hypervisor owns the table, so the kernel ignores the number of levels. It
 * charges for a table of one level. A request for no level succeeds as well. Bare
 * metal refuses that (windows.c). Linux has always behaved like this on both.
 */
#include <errno.h>
#include <sys/mman.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/harness.h"

FIXTURE(levels) {
	struct vfio_pci pci;
	struct dma_device dma;
	void *memory;
};

FIXTURE_VARIANT(levels) {
	unsigned int levels;
};

FIXTURE_VARIANT_ADD(levels, zero) { .levels = 0 };
FIXTURE_VARIANT_ADD(levels, one) { .levels = 1 };
FIXTURE_VARIANT_ADD(levels, two) { .levels = 2 };
FIXTURE_VARIANT_ADD(levels, five) { .levels = 5 };

FIXTURE_SETUP(levels)
{
	char address[PCI_ADDRESS_LEN];

	if (!testbed_is_partition())
		SKIP(return, "not a logical partition");
	if (dma_device_find(0, DMA_NO_MEMORY, address))
		SKIP(return, "no device");

	self->memory = memory_get(BASE_PAGES, MiB, PROT_READ | PROT_WRITE);
	vfio_pci_open(&self->pci, address, VFIO_SPAPR_TCE_v2_IOMMU);
	VFIO_REQUIRE(!container_register(self->pci.container,
					 (__u64)self->memory, MiB), "memory");
	VFIO_REQUIRE(!container_remove_window(self->pci.container, 0),
		     "default window");
	dma_device_start(&self->dma, self->pci.device);
}

FIXTURE_TEARDOWN(levels)
{
	dma_device_close(&self->dma);
	vfio_pci_close(&self->pci);
	munmap(self->memory, MiB);
}

static long create(SELF(levels) self, VARIANT(levels) variant,
		   unsigned int page_shift, __u64 size, __u64 *start)
{
	return container_create_window(self->pci.container, page_shift, size,
				       variant->levels, start);
}

/* The device reaches memory at both ends of the window. */
static void expect_used(struct __test_metadata *_metadata, SELF(levels) self,
			__u64 start, __u64 size)
{
	const __u64 last = start + size - page_size();
	char *second = self->memory + page_size();

	ASSERT_EQ(container_map(self->pci.container, (__u64)self->memory,
				start, page_size(), READ_WRITE), 0);
	ASSERT_EQ(container_map(self->pci.container, (__u64)second, last,
				page_size(), READ_WRITE), 0);
	EXPECT_EQ(dma_reach(&self->dma, last, second, start, self->memory),
		  DMA_READS | DMA_WRITES);
	EXPECT_EQ(dma_reach(&self->dma, start, self->memory, last, second),
		  DMA_READS | DMA_WRITES);
}

TEST_F(levels, unlimited)
{
	__u64 start;

	ASSERT_EQ(create(self, variant, 16, GiB, &start), 0);
	expect_used(_metadata, self, start, GiB);
}

/* The first size at which monitors ask for two levels */
TEST_F(levels, many_tces)
{
	const __u64 size = 128 * GiB;
	__u64 start;

	ASSERT_EQ(create(self, variant, 12, size, &start), 0);
	expect_used(_metadata, self, start, size);
}

/* A table costs eight bytes a TCE. */
TEST_F(levels, limited)
{
	const long table_kib = 4 * GiB / (4 * KiB) * 8 / KiB;
	long before = memory_locked();
	__u64 start;

	ASSERT_TRUE(memory_limit_locked(64 * MiB));
	ASSERT_EQ(create(self, variant, 12, 4 * GiB, &start), 0);
	EXPECT_EQ(memory_locked() - before, table_kib);
	expect_used(_metadata, self, start, 4 * GiB);
	EXPECT_EQ(container_remove_window(self->pci.container, start), 0);
	EXPECT_EQ(memory_locked(), before);
}

TEST_F(levels, limit_too_low)
{
	long before = memory_locked();

	ASSERT_TRUE(memory_limit_locked(4 * MiB));
	EXPECT_EQ(create(self, variant, 12, 4 * GiB, NULL), -ENOMEM);
	EXPECT_EQ(memory_locked(), before);
}

/* Not a power of two: wrong whatever there is to pay with */
TEST_F(levels, bad_size)
{
	const __u64 size = 3 * GiB;

	EXPECT_EQ(create(self, variant, 12, size, NULL), -EINVAL);
	ASSERT_TRUE(memory_limit_locked(4 * MiB));
	EXPECT_EQ(create(self, variant, 12, size, NULL), -EINVAL);
}

TEST_HARNESS_MAIN
