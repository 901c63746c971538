// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_SPAPR_TCE_v2_IOMMU: memory is registered, and accounted, before it is
 * mapped. Windows have their own program.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/container_alike.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES		16

FIXTURE(v2) {
	struct testbed bed;
};

FIXTURE_SETUP(v2)
{
	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (!testbed_find_with(&self->bed, 0))
		SKIP(return, "no devices");
	ASSERT_EQ(0, testbed_start(&self->bed, VFIO_SPAPR_TCE_v2_IOMMU,
				   PAGES * self->bed.page));
}

FIXTURE_TEARDOWN(v2)
{
	testbed_close(&self->bed);
}

/* Mapping begins with the first registration. */
TEST_F(v2, nothing_registered)
{
	const int c = self->bed.container;

	EXPECT_EQ(-EPERM, container_map(c, BASE_PAGES, self->bed.start,
					TCE_PAGE, READ_WRITE));
	EXPECT_EQ(-EPERM, container_unmap(c, self->bed.start, TCE_PAGE));
	EXPECT_EQ(-EPERM, container_unregister(c, BASE_PAGES, self->bed.page));
	EXPECT_EQ(-EPERM, container_ioctl(c, VFIO_IOMMU_MAP_DMA, NULL, "null"));

	EXPECT_EQ(0, container_register(c, BASE_PAGES, self->bed.page));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, self->bed.page));
	/* ... and does not end with the last */
	EXPECT_EQ(0, container_unmap(c, self->bed.start, TCE_PAGE));
	EXPECT_EQ(-EINVAL,
		  container_map(c, BASE_PAGES, self->bed.start + TCE_PAGE,
				TCE_PAGE, READ_WRITE));
}

/* A failed registration does not open the way to mapping. */
TEST_F(v2, registration_refused)
{
	const int c = self->bed.container;

	EXPECT_EQ(-EINVAL,
		  container_register(c, BASE_PAGES + 1, self->bed.page));
	EXPECT_EQ(-EPERM, container_unmap(c, self->bed.start, TCE_PAGE));
	EXPECT_EQ(-ENOENT, container_unregister(c, BASE_PAGES, self->bed.page));
}

TEST_F(v2, register_arguments)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	const struct vfio_iommu_spapr_register_memory good = {
		.argsz = sizeof(good),
		.vaddr = BASE_PAGES,
		.size = page,
	};
	const __u32 sizes[] = { 0, 23, 24, 25, ~0U };
	struct vfio_iommu_spapr_register_memory memory;
	unsigned int i;

	EXPECT_EQ(-EFAULT, container_ioctl(c, VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
					   NULL, "null"));
	EXPECT_EQ(-EFAULT, container_ioctl(c,
					   VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
					   NULL, "null"));

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memory = good;
		memory.argsz = sizes[i];
		EXPECT_EQ(sizes[i] < sizeof(memory) ? -EINVAL : 0,
			  __container_register(c, &memory));
		EXPECT_EQ(sizes[i] < sizeof(memory) ? -EINVAL : 0,
			  __container_unregister(c, &memory));
	}
	for (i = 1; i; i <<= 1) {
		memory = good;
		memory.flags = i;
		EXPECT_EQ(-EINVAL, __container_register(c, &memory));
		EXPECT_EQ(-EINVAL, __container_unregister(c, &memory));
	}

	/* Address and size are multiples of the processor's page */
	EXPECT_EQ(-EINVAL, container_register(c, BASE_PAGES + 1, page));
	EXPECT_EQ(-EINVAL, container_register(c, BASE_PAGES + page / 2, page));
	EXPECT_EQ(-EINVAL, container_register(c, BASE_PAGES, 1));
	EXPECT_EQ(-EINVAL, container_register(c, BASE_PAGES, page / 2));
	EXPECT_EQ(-EINVAL, container_unregister(c, BASE_PAGES + 1, page));
	EXPECT_EQ(-EINVAL, container_unregister(c, BASE_PAGES, page + 1));

	/* The region does not wrap */
	EXPECT_EQ(-EINVAL, container_register(c, -page, 2 * page));
	EXPECT_EQ(-EINVAL, container_register(c, BASE_PAGES, -page));
	container_unregister(c, -page, 2 * page);
	container_unregister(c, BASE_PAGES, 0);
	memory_see_locked("at the end");
}

/* A region is all there and writable, or it is not registered at all. */
TEST_F(v2, register_protection)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	const long before = memory_see_locked("before");

	ASSERT_EQ(0, mprotect(self->bed.memory, page, PROT_READ));
	ASSERT_EQ(0, mprotect(self->bed.memory + 4 * page, page, PROT_NONE));
	ASSERT_EQ(0, munmap(self->bed.memory + 8 * page, page));

	EXPECT_EQ(-EFAULT, container_register(c, BASE_PAGES, page));
	EXPECT_EQ(-EFAULT, container_register(c, BASE_PAGES + 4 * page, page));
	EXPECT_EQ(-EFAULT, container_register(c, BASE_PAGES + 8 * page, page));
	/* Beginning, middle, end */
	EXPECT_EQ(-EFAULT, container_register(c, BASE_PAGES, 3 * page));
	/* Pinned in part: earlier kernels return how many pages were */
	container_register(c, BASE_PAGES + 3 * page, 3 * page);
	container_register(c, BASE_PAGES + 3 * page, 2 * page);
	container_register(c, BASE_PAGES + 7 * page, 3 * page);
	container_register(c, BASE_PAGES + 7 * page, 2 * page);
	EXPECT_EQ(-EFAULT, container_register(c, 0, page));
	EXPECT_EQ(-EFAULT, container_register(c, 0xc000000000000000, page));
	EXPECT_EQ(before, memory_see_locked("all refused"));

	EXPECT_EQ(0, container_register(c, BASE_PAGES + page, 3 * page));
	EXPECT_EQ(before + 3 * page / KiB, memory_see_locked("registered"));
}

/* Regions may touch but not overlap; they end as they were made. */
TEST_F(v2, regions)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	const __u64 here = BASE_PAGES + 4 * page;

	EXPECT_EQ(0, container_register(c, here, 4 * page));
	EXPECT_EQ(-EBUSY, container_register(c, here, 4 * page));
	EXPECT_EQ(-EINVAL, container_register(c, here, page));
	EXPECT_EQ(-EINVAL, container_register(c, here, 5 * page));
	EXPECT_EQ(-EINVAL, container_register(c, here + page, page));
	EXPECT_EQ(-EINVAL, container_register(c, here + 3 * page, page));
	EXPECT_EQ(-EINVAL, container_register(c, here + 3 * page, 2 * page));
	EXPECT_EQ(-EINVAL, container_register(c, here - page, 2 * page));
	EXPECT_EQ(-EINVAL, container_register(c, here - page, 6 * page));
	memory_see_locked("overlaps refused");

	EXPECT_EQ(0, container_register(c, here - page, page));
	EXPECT_EQ(0, container_register(c, here + 4 * page, page));
	memory_see_locked("neighbours");

	EXPECT_EQ(-ENOENT, container_unregister(c, here, page));
	EXPECT_EQ(-ENOENT, container_unregister(c, here, 5 * page));
	EXPECT_EQ(-ENOENT, container_unregister(c, here + page, 3 * page));
	EXPECT_EQ(-ENOENT, container_unregister(c, here - page, 5 * page));
	EXPECT_EQ(0, container_unregister(c, here, 4 * page));
	EXPECT_EQ(-ENOENT, container_unregister(c, here, 4 * page));
	memory_see_locked("middle unregistered");
	EXPECT_EQ(0, container_register(c, here, 2 * page));
	EXPECT_EQ(0, container_register(c, here + 2 * page, 2 * page));
	EXPECT_EQ(0, container_unregister(c, here - page, page));
	EXPECT_EQ(0, container_unregister(c, here + 4 * page, page));
	EXPECT_EQ(0, container_unregister(c, here, 2 * page));
	EXPECT_EQ(0, container_unregister(c, here + 2 * page, 2 * page));
	memory_see_locked("all unregistered");
}

/* A map's arguments, wrong one by one */
TEST_F(v2, map_arguments)
{
	const int c = self->bed.container;
	const struct vfio_iommu_type1_dma_map good = good_map(self->bed.start);
	struct vfio_iommu_type1_dma_map map;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, PAGES * self->bed.page));
	expect_map_arguments(_metadata, c, &good);

	map = good;
	map.iova = self->bed.end;
	EXPECT_EQ(-ENXIO, __container_map(c, &map));
	map.iova = 1ULL << 59;
	EXPECT_EQ(-ENXIO, __container_map(c, &map));
	map.iova = -TCE_PAGE;
	EXPECT_EQ(-ENXIO, __container_map(c, &map));
	map.iova = self->bed.end - TCE_PAGE;
	EXPECT_EQ(0, __container_map(c, &map));

	/* Nothing is no range */
	EXPECT_EQ(0, container_map(c, BASE_PAGES, self->bed.start + TCE_PAGE, 0,
				   READ_WRITE));

	/* Off its pages: earlier kernels return 1, no errno */
	map = good;
	map.iova += 1;
	EXPECT_NE(0, __container_map(c, &map));
	map.iova = self->bed.start + TCE_PAGE / 2;
	EXPECT_NE(0, __container_map(c, &map));
}

/* An unmap's arguments, wrong one by one */
TEST_F(v2, unmap_arguments)
{
	const int c = self->bed.container;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, self->bed.page));
	expect_unmap_structure(_metadata, c, self->bed.start);
	expect_unmap_ranges(_metadata, c, self->bed.start, self->bed.end);
}

/* Only registered memory is mapped, and a TCE has its page from one region. */
TEST_F(v2, map_unregistered)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	const __u64 here = BASE_PAGES + 4 * page;
	/* Not the window's first page, see first_page_fails in container_defects.c */
	const __u64 iova = self->bed.start + TCE_PAGE;
	const struct dma_device *dma = &self->bed.dma[0];

	EXPECT_EQ(0, container_register(c, here, 2 * page));
	EXPECT_EQ(0, container_register(c, here + 2 * page, 2 * page));
	testbed_open_device(&self->bed, 0);

	EXPECT_EQ(-EINVAL, container_map(c, BASE_PAGES, iova, TCE_PAGE,
					 READ_WRITE));
	EXPECT_EQ(-EINVAL, container_map(c, here - TCE_PAGE, iova, TCE_PAGE,
					 READ_WRITE));
	EXPECT_EQ(-EINVAL, container_map(c, here + 4 * page, iova, TCE_PAGE,
					 READ_WRITE));
	EXPECT_EQ(-EINVAL, container_map(c, -page, iova, page, READ_WRITE));
	EXPECT_EQ(0, container_map(c, here + 4 * page - TCE_PAGE,
				   self->bed.start, TCE_PAGE, READ_WRITE));
	/* One map over two regions */
	EXPECT_EQ(0, container_map(c, here, self->bed.start, 4 * page,
				   READ_WRITE));
	EXPECT_EQ(3,
		  dma_reach(dma, self->bed.start + 2 * page - TCE_PAGE,
			    self->bed.memory + 6 * page - TCE_PAGE, 0, NULL));
	EXPECT_EQ(3, dma_reach(dma, self->bed.start + 2 * page,
			       self->bed.memory + 6 * page, 0, NULL));
	/* ... and over their end */
	EXPECT_EQ(-EINVAL, container_map(c, here + 2 * page,
					 self->bed.start + 8 * page, 3 * page,
					 READ_WRITE));
	EXPECT_EQ(0, dma_reach(dma, self->bed.start + 8 * page,
			       self->bed.memory + 6 * page, self->bed.start,
			       self->bed.memory + 4 * page) & 3);
	EXPECT_EQ(0, container_unmap(c, self->bed.start, 4 * page));
	EXPECT_EQ(0, container_unregister(c, here, 2 * page));
	EXPECT_EQ(0, container_unregister(c, here + 2 * page, 2 * page));
	memory_see_locked("at the end");
}

/*
 * A map that cannot be completed leaves everything as it was; nothing of the
 * regions stays taken. Earlier kernels clear what was mapped in the part before
 * the failure.
 */
TEST_F(v2, map_fails_in_the_middle)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	const struct dma_device *dma = &self->bed.dma[0];
	const __u64 old = BASE_PAGES + 8 * page;
	unsigned int i;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 2 * page));
	EXPECT_EQ(0, container_register(c, old, 8 * page));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0,
		  container_map(c, old + 7 * page, self->bed.start + 7 * page,
				page, READ_WRITE));
	EXPECT_EQ(0,
		  container_map(c, old, self->bed.start, 4 * page, READ_WRITE));
	EXPECT_EQ(-EINVAL, container_map(c, BASE_PAGES, self->bed.start,
					 4 * page, READ_WRITE));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(3,
			  dma_reach(dma, self->bed.start + i * page,
				    self->bed.memory + (8 + i) * page,
				    self->bed.start + 7 * page,
				    self->bed.memory + 15 * page) & 3);
	EXPECT_EQ(0, dma_reach(dma, self->bed.start, self->bed.memory,
			       self->bed.start + 7 * page,
			       self->bed.memory + 15 * page) & 3);

	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 2 * page));
	EXPECT_EQ(0, container_unmap(c, self->bed.start, 8 * page));
	EXPECT_EQ(0, container_unregister(c, old, 8 * page));
}

/* The device may do what the flags say, and nothing after UNMAP_DMA. */
TEST_F(v2, directions)
{
	EXPECT_EQ(0, container_register(self->bed.container, BASE_PAGES,
					2 * self->bed.page));
	expect_directions(_metadata, &self->bed, self->bed.page);
}

/* Memory is registered as it is then; what lies there later is no matter. */
TEST_F(v2, memory_given_up)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	const struct dma_device *dma = &self->bed.dma[0];

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 2 * page));
	*(__u64 *)self->bed.memory = 0x600df00d600df00d;
	ASSERT_EQ(0, munmap(self->bed.memory, page));
	memory_get(BASE_PAGES, page, PROT_READ | PROT_WRITE);

	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_map(c, BASE_PAGES, self->bed.start, 2 * page,
				   READ_WRITE));
	EXPECT_TRUE(dma_load(dma, self->bed.start, 0, 8));
	EXPECT_TRUE(dma_store(dma, self->bed.start + page, 0, 8));
	EXPECT_EQ(0x600df00d600df00d,
		  *(volatile __u64 *)(self->bed.memory + page));
	EXPECT_EQ(0, dma_reach(dma, self->bed.start, self->bed.memory,
			       self->bed.start + page,
			       self->bed.memory + page) & 3);
	EXPECT_EQ(0, container_unmap(c, self->bed.start, 2 * page));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 2 * page));
}

TEST_HARNESS_MAIN
