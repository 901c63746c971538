/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What containers of v1 and v2 have to answer alike, once either is enabled or
 * has the bed's memory registered: the same calls in the same order, so that
 * the transcripts of both say the same, too.
 */
#ifndef VFIO_SPAPR_CONTAINER_ALIKE_H
#define VFIO_SPAPR_CONTAINER_ALIKE_H

#include <errno.h>

#include "container.h"
#include "harness.h"
#include "memory.h"
#include "testbed.h"

#define TCE_PAGE	(4 * KiB)	/* of the default window */

/* A map without fault, of a page at BASE_PAGES */
static inline struct vfio_iommu_type1_dma_map good_map(__u64 iova)
{
	return (struct vfio_iommu_type1_dma_map) {
		.argsz = sizeof(struct vfio_iommu_type1_dma_map),
		.flags = READ_WRITE,
		.vaddr = BASE_PAGES,
		.iova = iova,
		.size = TCE_PAGE,
	};
}

/*
 * A map's structure, flags, address and size, wrong one by one; bus addresses
 * are the callers'
 */
static inline void
expect_map_arguments(struct __test_metadata *_metadata, int c,
		     const struct vfio_iommu_type1_dma_map *good)
{
	const __u32 sizes[] = { 0, 31, 32, 33, ~0U };
	struct vfio_iommu_type1_dma_map map;
	unsigned int i;

	EXPECT_EQ(-EFAULT, container_ioctl(c, VFIO_IOMMU_MAP_DMA, NULL,
					   "null"));

	/* argsz covers the structure, more is no fault */
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		map = *good;
		map.argsz = sizes[i];
		EXPECT_EQ(sizes[i] < sizeof(map) ? -EINVAL : 0,
			  __container_map(c, &map));
	}

	/* Reading and writing are the known flags, one is needed */
	for (i = 0; i < 8; i++) {
		map = *good;
		map.flags = i;
		EXPECT_EQ(i == 0 || i > READ_WRITE ? -EINVAL : 0,
			  __container_map(c, &map));
	}
	map = *good;
	map.flags |= 1U << 31;
	EXPECT_EQ(-EINVAL, __container_map(c, &map));

	/* Address and size are multiples of the window's page */
	map = *good;
	map.vaddr += 1;
	EXPECT_EQ(-EINVAL, __container_map(c, &map));
	map.vaddr = good->vaddr + TCE_PAGE / 2;
	EXPECT_EQ(-EINVAL, __container_map(c, &map));
	map = *good;
	map.size = 1;
	EXPECT_EQ(-EINVAL, __container_map(c, &map));
	map.size = TCE_PAGE + 1;
	EXPECT_EQ(-EINVAL, __container_map(c, &map));
	map.size = TCE_PAGE - 1;
	EXPECT_EQ(-EINVAL, __container_map(c, &map));
}

/* An unmap's structure and flags, wrong one by one */
static inline void
expect_unmap_structure(struct __test_metadata *_metadata, int c, __u64 start)
{
	const struct vfio_iommu_type1_dma_unmap good = {
		.argsz = sizeof(good),
		.iova = start,
		.size = TCE_PAGE,
	};
	const __u32 sizes[] = { 0, 23, 24, 25, 64, ~0U };
	struct vfio_iommu_type1_dma_unmap unmap;
	unsigned int i;

	EXPECT_EQ(-EFAULT, container_ioctl(c, VFIO_IOMMU_UNMAP_DMA, NULL,
					   "null"));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unmap = good;
		unmap.argsz = sizes[i];
		EXPECT_EQ(sizes[i] < sizeof(unmap) ? -EINVAL : 0,
			  __container_unmap(c, &unmap));
	}
	for (i = 1; i; i <<= 1) {
		unmap = good;
		unmap.flags = i;
		EXPECT_EQ(-EINVAL, __container_unmap(c, &unmap));
	}
}

/* Ranges good and bad, of a default window from @start to @end */
static inline void
expect_unmap_ranges(struct __test_metadata *_metadata, int c, __u64 start,
		    __u64 end)
{
	EXPECT_EQ(-EINVAL, container_unmap(c, start, 1));
	EXPECT_EQ(-EINVAL, container_unmap(c, start, TCE_PAGE - 1));
	EXPECT_EQ(-EINVAL, container_unmap(c, start, TCE_PAGE + 1));
	EXPECT_EQ(-EINVAL, container_unmap(c, start, -1ULL));
	EXPECT_EQ(-ENXIO, container_unmap(c, end, TCE_PAGE));
	EXPECT_EQ(-ENXIO, container_unmap(c, 1ULL << 59, TCE_PAGE));
	EXPECT_EQ(-ENXIO, container_unmap(c, -TCE_PAGE, TCE_PAGE));

	/* Off its pages, or beyond it: earlier kernels return 1, no errno */
	EXPECT_NE(0, container_unmap(c, start + 1, TCE_PAGE));
	EXPECT_NE(0, container_unmap(c, end - TCE_PAGE, 2 * TCE_PAGE));
	EXPECT_NE(0, container_unmap(c, start, end - start + TCE_PAGE));
	EXPECT_NE(0, container_unmap(c, start, -TCE_PAGE));

	/* What is not mapped can be unmapped */
	EXPECT_EQ(0, container_unmap(c, start, end - start));
	EXPECT_EQ(0, container_unmap(c, start + TCE_PAGE, 0));
}

/*
 * The device may do what a map's flags say, and nothing after UNMAP_DMA. Where
 * it may only read takes a second page, @apart from the first.
 */
static inline void
expect_directions(struct __test_metadata *_metadata, struct testbed *bed,
		  size_t apart)
{
	const int c = bed->container;
	const __u64 scratch = bed->start + apart;
	char *scratch_memory = bed->memory + apart;
	unsigned int flags, found;

	testbed_open_device(bed, 0);
	EXPECT_EQ(0, container_map(c, (__u64)scratch_memory, scratch, TCE_PAGE,
				   READ_WRITE));
	for (flags = READ_ONLY; flags <= READ_WRITE; flags++) {
		EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start, TCE_PAGE,
					   flags));
		found = dma_reach(&bed->dma[0], bed->start, bed->memory,
				  scratch, scratch_memory);
		if (flags & READ_ONLY)
			EXPECT_EQ(DMA_READS, found & DMA_READS);
		EXPECT_EQ(!!(flags & WRITE_ONLY), !!(found & DMA_WRITES));

		EXPECT_EQ(0, container_unmap(c, bed->start, TCE_PAGE));
		found = dma_reach(&bed->dma[0], bed->start, bed->memory,
				  scratch, scratch_memory);
		EXPECT_EQ(0, found & (DMA_READS | DMA_WRITES));
	}
}

#endif
