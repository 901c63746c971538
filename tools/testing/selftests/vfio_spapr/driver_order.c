// SPDX-License-Identifier: GPL-2.0
/*
 * The order of calls of a user-space driver, without KVM: what DPDK's EAL does
 * with its hugepages, and what it does after a first failure.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define SEGMENTS	1000

FIXTURE(driver_order) {
	struct testbed bed;
	struct vfio_iommu_spapr_tce_info info;
	size_t segment;		/* size of a hugepage, or what stands for it */
	unsigned int segments;
	char *memory;
};

/* As many hugepages as the machine gives, else base pages */
FIXTURE_SETUP(driver_order)
{
	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (!testbed_find(&self->bed))
		SKIP(return, "no devices");
	self->segment = page_size();
	self->segments = SEGMENTS;
	self->memory = memory_get_huge(HUGE_PAGES, 64 * 16 * MiB, 16 * MiB);
	if (self->memory) {
		self->segment = 16 * MiB;
		self->segments = 64;
		return;
	}
	self->memory = memory_get_huge(HUGE_PAGES, SEGMENTS * 2 * MiB, 2 * MiB);
	if (self->memory)
		self->segment = 2 * MiB;
	else
		self->memory = memory_get(BASE_PAGES, SEGMENTS * self->segment,
					  PROT_READ | PROT_WRITE);
}

FIXTURE_TEARDOWN(driver_order)
{
	testbed_close(&self->bed);
}

/* One level first, more when that is refused for want of memory */
static long create_window(int c, unsigned int shift, __u64 size,
			  unsigned int most_levels, __u64 *start)
{
	unsigned int levels;
	long ret = -EINVAL;

	for (levels = 1; levels <= most_levels; levels++) {
		ret = container_create_window(c, shift, size, levels, start);
		if (ret != -ENOMEM && ret != -EINVAL)
			break;
	}
	return ret;
}

TEST_F(driver_order, all)
{
	struct testbed *bed = &self->bed;
	const size_t segment = self->segment;
	const __u64 total = self->segments * segment;
	const unsigned int shift = __builtin_ctzl(segment);
	struct vfio_iommu_type1_dma_unmap unmap = { .size = 0 };
	long before = memory_locked(), window;
	unsigned int i;
	__u64 start = ~0ULL, size;
	int c;

	/* Types are tried in turn: type1 first, which is refused */
	testbed_open(bed, 0);
	c = bed->container;
	if (container_check_extension(c, VFIO_TYPE1_IOMMU))
		EXPECT_GT(0, container_set_iommu(c, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-ENODEV, container_set_iommu(c, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, container_check_extension(c, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_EQ(0, container_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU));

	/* The default window goes, a large one comes, at 0 where it can */
	EXPECT_EQ(0, container_get_info(c, &self->info));
	EXPECT_EQ(0, container_remove_window(c,
					     self->info.dma32_window_start));
	size = 1ULL << 40;
	if (testbed_is_partition())
		size = 1ULL << 32;
	EXPECT_EQ(0, create_window(c, shift, size, self->info.ddw.levels,
				   &start));
	if (!testbed_is_partition())
		EXPECT_EQ(0, start);

	window = memory_see_locked("window created");

	/* Hugepages one by one, as the allocator finds them */
	transcript_mute(1);
	for (i = 0; i < self->segments; i++) {
		const __u64 address = (__u64)self->memory + i * segment;

		ASSERT_EQ(0, container_register(c, address, segment));
		ASSERT_EQ(0, container_map(c, address, start + i * segment,
					   segment, READ_WRITE));
	}
	transcript_mute(0);
	EXPECT_EQ(window + (long)(total / KiB),
		  memory_see_locked("all mapped"));

	testbed_open_device(bed, 0);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], start, self->memory, 0, NULL));
	EXPECT_EQ(3, dma_reach(&bed->dma[0], start + total - 8,
			       self->memory + total - 8, 0, NULL));

	/* A second device is plugged in: its group joins what is there */
	if (!testbed_join(bed)) {
		testbed_open_device(bed, 2);
		EXPECT_EQ(3, dma_reach(&bed->dma[2], start + total / 2,
				       self->memory + total / 2, 0, NULL));
	}

	/* A hugepage is given back: with an argsz for a longer structure */
	unmap.argsz = sizeof(unmap) + 16;
	unmap.iova = start;
	unmap.size = segment;
	EXPECT_EQ(0, __container_unmap(c, &unmap));
	EXPECT_EQ(0, container_unregister(c, (__u64)self->memory, segment));
	EXPECT_EQ(0, dma_reach(&bed->dma[0], start, self->memory,
			       start + segment, self->memory + segment) & 3);

	/* The rest ends with the files */
	testbed_close(bed);
	EXPECT_EQ(before, memory_see_locked("closed"));
}

TEST_HARNESS_MAIN
