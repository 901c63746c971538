// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_SPAPR_TCE_IOMMU: accounting at ENABLE, mapping of memory that is pinned
 * by the mapping itself, one group in a container.
 *
 * A device looks at what the answers claim.
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

#define MEMORY_SIZE	(1 * MiB)

FIXTURE(v1) {
	struct testbed bed;
};

FIXTURE_SETUP(v1)
{
	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (!testbed_find_with(&self->bed, 0))
		SKIP(return, "no devices");
	ASSERT_EQ(0, testbed_start(&self->bed, VFIO_SPAPR_TCE_IOMMU,
				   MEMORY_SIZE));
}

FIXTURE_TEARDOWN(v1)
{
	testbed_close(&self->bed);
}

/* Nothing is mapped before ENABLE, whatever the arguments are. */
TEST_F(v1, not_enabled)
{
	const int c = self->bed.container;
	struct vfio_iommu_type1_dma_map map = { 0 };
	struct vfio_iommu_type1_dma_unmap unmap = { 0 };

	EXPECT_EQ(-EPERM, container_map(c, BASE_PAGES, self->bed.start,
					TCE_PAGE, READ_WRITE));
	EXPECT_EQ(-EPERM, container_unmap(c, self->bed.start, TCE_PAGE));
	EXPECT_EQ(-EPERM, __container_map(c, &map));
	EXPECT_EQ(-EPERM, __container_unmap(c, &unmap));
	EXPECT_EQ(-EPERM, container_ioctl(c, VFIO_IOMMU_MAP_DMA, NULL, "null"));
	EXPECT_EQ(0, container_disable(c));

	EXPECT_EQ(0, container_enable(c));
	EXPECT_EQ(0, container_disable(c));
	EXPECT_EQ(-EPERM, container_map(c, BASE_PAGES, self->bed.start,
					TCE_PAGE, READ_WRITE));
}

/* ENABLE charges the whole default window once, DISABLE gives it back. */
TEST_F(v1, enable_charges)
{
	const int c = self->bed.container;
	const long window = self->bed.info.dma32_window_size / KiB;
	const long before = memory_see_locked("before");

	EXPECT_EQ(0, container_enable(c));
	EXPECT_EQ(before + window, memory_see_locked("enabled"));
	EXPECT_EQ(-EBUSY, container_enable(c));
	EXPECT_EQ(before + window, memory_see_locked("enabled again"));
	EXPECT_EQ(0, container_disable(c));
	EXPECT_EQ(before, memory_see_locked("disabled"));
	EXPECT_EQ(0, container_disable(c));
	EXPECT_EQ(before, memory_see_locked("disabled again"));
	EXPECT_EQ(0, container_enable(c));
	testbed_close(&self->bed);
	EXPECT_EQ(before, memory_see_locked("closed"));
}

/* The limit may be met but not exceeded. */
TEST_F(v1, enable_limit)
{
	const int c = self->bed.container;
	const unsigned long window = self->bed.info.dma32_window_size;

	ASSERT_TRUE(memory_limit_locked(window));
	EXPECT_EQ(0, container_enable(c));
	EXPECT_EQ(0, container_disable(c));
	ASSERT_TRUE(memory_limit_locked(window - 1));
	EXPECT_EQ(-ENOMEM, container_enable(c));
	memory_see_locked("refused");
	ASSERT_TRUE(memory_limit_locked(0));
	EXPECT_EQ(-ENOMEM, container_enable(c));
	EXPECT_EQ(-EPERM, container_map(c, BASE_PAGES, self->bed.start,
					TCE_PAGE, READ_WRITE));
	EXPECT_EQ(0, container_disable(c));
	memory_see_locked("disabled");
}

/* The window's own table is charged too, when the first call needs it. */
TEST_F(v1, enable_limit_table)
{
	const int c = self->bed.container;

	ASSERT_TRUE(memory_limit_locked(self->bed.info.dma32_window_size));
	EXPECT_EQ(0, container_enable(c));
	EXPECT_EQ(-ENOMEM, container_map(c, BASE_PAGES, self->bed.start,
					 TCE_PAGE, READ_WRITE));
	EXPECT_EQ(-ENOMEM, container_unmap(c, self->bed.start, TCE_PAGE));
	memory_see_locked("refused");
}

/* One container takes one group. */
TEST_F(v1, second_group)
{
	EXPECT_EQ(-EBUSY, testbed_join(&self->bed));
	EXPECT_EQ(0, container_enable(self->bed.container));
	EXPECT_EQ(-EBUSY, testbed_join(&self->bed));
}

/* A map's arguments, wrong one by one */
TEST_F(v1, map_arguments)
{
	const int c = self->bed.container;
	const struct vfio_iommu_type1_dma_map good = good_map(self->bed.start);
	struct vfio_iommu_type1_dma_map map;

	EXPECT_EQ(0, container_enable(c));
	expect_map_arguments(_metadata, c, &good);

	/* So is the bus address; earlier kernels return 1, no errno */
	map = good;
	map.iova += 1;
	EXPECT_NE(0, __container_map(c, &map));
	map.iova = good.iova + TCE_PAGE / 2;
	EXPECT_NE(0, __container_map(c, &map));

	/* Nothing is no range */
	EXPECT_EQ(0, container_map(c, BASE_PAGES, self->bed.start + TCE_PAGE, 0,
				   READ_WRITE));

	/* Two faults: which one is told */
	map = good;
	map.iova = self->bed.end;
	map.vaddr += 1;
	__container_map(c, &map);
	map.flags = 0;
	__container_map(c, &map);
	map.iova = self->bed.start;
	__container_map(c, &map);
}

/* Bus addresses at and outside the window's edges */
TEST_F(v1, map_edges)
{
	const int c = self->bed.container;
	const __u64 last = self->bed.end - TCE_PAGE;

	EXPECT_EQ(0, container_enable(c));
	EXPECT_EQ(0, container_map(c, BASE_PAGES, self->bed.start, TCE_PAGE,
				   READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + TCE_PAGE, last, TCE_PAGE,
				   READ_WRITE));
	EXPECT_EQ(-ENXIO, container_map(c, BASE_PAGES, self->bed.end, TCE_PAGE,
					READ_WRITE));
	EXPECT_EQ(-ENXIO, container_map(c, BASE_PAGES, 1ULL << 59, TCE_PAGE,
					READ_WRITE));
	EXPECT_EQ(-ENXIO, container_map(c, BASE_PAGES, 1ULL << 63, TCE_PAGE,
					READ_WRITE));
	EXPECT_EQ(-ENXIO, container_map(c, BASE_PAGES, -TCE_PAGE, TCE_PAGE,
					READ_WRITE));

	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(DMA_READS | DMA_WRITES,
		  dma_reach(&self->bed.dma[0], self->bed.start,
			    self->bed.memory, last,
			    self->bed.memory + TCE_PAGE));
	EXPECT_EQ(DMA_READS | DMA_WRITES,
		  dma_reach(&self->bed.dma[0], last,
			    self->bed.memory + TCE_PAGE, self->bed.start,
			    self->bed.memory));
	/* The last 8 bytes of a TCE's page are reached, too */
	EXPECT_EQ(DMA_READS | DMA_WRITES,
		  dma_reach(&self->bed.dma[0], last + TCE_PAGE - 8,
			    self->bed.memory + 2 * TCE_PAGE - 8,
			    self->bed.start, self->bed.memory));
}

/* An unmap's arguments, wrong one by one */
TEST_F(v1, unmap_arguments)
{
	const int c = self->bed.container;

	EXPECT_EQ(0, container_enable(c));
	expect_unmap_structure(_metadata, c, self->bed.start);
	expect_unmap_ranges(_metadata, c, self->bed.start, self->bed.end);
}

/* The device may do what the flags say, and nothing after UNMAP_DMA. */
TEST_F(v1, directions)
{
	EXPECT_EQ(0, container_enable(self->bed.container));
	expect_directions(_metadata, &self->bed, 16 * TCE_PAGE);
}

/* What the process itself may not write is not mapped, not even to read. */
TEST_F(v1, protection)
{
	const int c = self->bed.container;
	const size_t page = page_size();
	/* Not the window's first page, see first_page_fails in container_defects.c */
	const __u64 iova = self->bed.start + TCE_PAGE;
	unsigned int flags;

	EXPECT_EQ(0, container_enable(c));
	ASSERT_EQ(0, mprotect(self->bed.memory, page, PROT_READ));
	ASSERT_EQ(0, mprotect(self->bed.memory + page, page, PROT_NONE));
	ASSERT_EQ(0, munmap(self->bed.memory + 2 * page, page));

	for (flags = READ_ONLY; flags <= READ_WRITE; flags++) {
		EXPECT_EQ(-EFAULT, container_map(c, BASE_PAGES, iova,
						 TCE_PAGE, flags));
		EXPECT_EQ(-EFAULT, container_map(c, BASE_PAGES + page,
						 iova, TCE_PAGE, flags));
		EXPECT_EQ(-EFAULT, container_map(c, BASE_PAGES + 2 * page,
						 iova, TCE_PAGE, flags));
	}
	EXPECT_EQ(-EFAULT, container_map(c, 0, iova, TCE_PAGE,
					 READ_WRITE));
	EXPECT_EQ(-EFAULT, container_map(c, -TCE_PAGE, iova, TCE_PAGE,
					 READ_WRITE));
	EXPECT_EQ(-EFAULT, container_map(c, 0xc000000000000000, iova,
					 TCE_PAGE, READ_WRITE));
}

/*
 * A map that cannot be completed leaves its range without any mapping up to
 * the page that failed, the page itself and what follows as they were.
 */
TEST_F(v1, map_fails_in_the_middle)
{
	const int c = self->bed.container;
	const size_t page = page_size();
	const __u64 scratch = self->bed.start + MEMORY_SIZE;
	char *old = self->bed.memory + 8 * page;
	const struct dma_device *dma = &self->bed.dma[0];
	unsigned int i;

	EXPECT_EQ(0, container_enable(c));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_map(c, BASE_PAGES + 15 * page, scratch,
				   TCE_PAGE, READ_WRITE));

	EXPECT_EQ(0, container_map(c, (__u64)old, self->bed.start, 4 * page,
				   READ_WRITE));
	ASSERT_EQ(0, mprotect(self->bed.memory + 2 * page, page, PROT_NONE));
	EXPECT_EQ(-EFAULT, container_map(c, BASE_PAGES, self->bed.start,
					 4 * page, READ_WRITE));

	for (i = 0; i < 4; i++) {
		__u64 iova = self->bed.start + i * page;
		unsigned int found;

		if (i < 2)
			dma_reach(dma, iova, self->bed.memory + i * page,
				  scratch, self->bed.memory + 15 * page);
		found = dma_reach(dma, iova, old + i * page, scratch,
				  self->bed.memory + 15 * page);
		EXPECT_EQ(i < 2 ? 0 : DMA_READS | DMA_WRITES,
			  found & (DMA_READS | DMA_WRITES));
	}
}

/* A map over a mapping replaces it. */
TEST_F(v1, replace)
{
	const int c = self->bed.container;
	const size_t page = page_size();
	const struct dma_device *dma = &self->bed.dma[0];

	EXPECT_EQ(0, container_enable(c));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_map(c, BASE_PAGES, self->bed.start, 4 * page,
				   READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + 4 * page,
				   self->bed.start + page, page, READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + 4 * page,
				   self->bed.start + page, page, READ_WRITE));
	EXPECT_EQ(3,
		  dma_reach(dma, self->bed.start, self->bed.memory, 0, NULL));
	EXPECT_EQ(0, dma_reach(dma, self->bed.start + page,
			       self->bed.memory + page, self->bed.start,
			       self->bed.memory) & 3);
	EXPECT_EQ(3, dma_reach(dma, self->bed.start + page,
			       self->bed.memory + 4 * page, 0, NULL));
	EXPECT_EQ(3, dma_reach(dma, self->bed.start + 2 * page,
			       self->bed.memory + 2 * page, 0, NULL));

	/* The middle of a mapping can be taken out */
	EXPECT_EQ(0, container_unmap(c, self->bed.start + page, page));
	EXPECT_EQ(3, dma_reach(dma, self->bed.start + 2 * page,
			       self->bed.memory + 2 * page, 0, NULL));
	EXPECT_EQ(0, dma_reach(dma, self->bed.start + page,
			       self->bed.memory + 4 * page, self->bed.start,
			       self->bed.memory) & 3);
}

/* A TCE's page is reached and not the rest of the processor's page. */
TEST_F(v1, part_of_a_page)
{
	const int c = self->bed.container;
	const struct dma_device *dma = &self->bed.dma[0];
	const unsigned int pieces = 2 * page_size() / TCE_PAGE;

	EXPECT_EQ(0, container_enable(c));
	testbed_open_device(&self->bed, 0);
	/* From the end of the processor's second page into the next */
	EXPECT_EQ(0, container_map(c, BASE_PAGES + (pieces - 1) * TCE_PAGE,
				   self->bed.start + TCE_PAGE, 2 * TCE_PAGE,
				   READ_WRITE));
	EXPECT_EQ(3, dma_reach(dma, self->bed.start + TCE_PAGE,
			       self->bed.memory + (pieces - 1) * TCE_PAGE, 0,
			       NULL));
	EXPECT_EQ(3, dma_reach(dma, self->bed.start + 2 * TCE_PAGE,
			       self->bed.memory + pieces * TCE_PAGE, 0, NULL));
	EXPECT_EQ(0, dma_reach(dma, self->bed.start,
			       self->bed.memory + (pieces - 2) * TCE_PAGE,
			       self->bed.start + TCE_PAGE, self->bed.memory +
			       (pieces - 1) * TCE_PAGE) & 3);
	EXPECT_EQ(0, dma_reach(dma, self->bed.start + 3 * TCE_PAGE,
			       self->bed.memory + (pieces + 1) * TCE_PAGE,
			       self->bed.start + TCE_PAGE, self->bed.memory +
			       (pieces - 1) * TCE_PAGE) & 3);
}

/* Pages stay with the device when the process gives them up. */
TEST_F(v1, memory_given_up)
{
	const int c = self->bed.container;
	const size_t page = page_size();
	const struct dma_device *dma = &self->bed.dma[0];
	char *other = memory_get(BASE_PAGES + GiB, page,
				 PROT_READ | PROT_WRITE);

	EXPECT_EQ(0, container_enable(c));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_map(c, BASE_PAGES, self->bed.start, page,
				   READ_WRITE));
	EXPECT_EQ(0, container_map(c, (__u64)other, self->bed.start + page,
				   page, READ_WRITE));
	*(__u64 *)self->bed.memory = 0x600df00d600df00d;
	ASSERT_EQ(0, munmap(self->bed.memory, page));
	memory_get(BASE_PAGES, page, PROT_READ | PROT_WRITE);

	EXPECT_TRUE(dma_load(dma, self->bed.start, 0, 8));
	EXPECT_TRUE(dma_store(dma, self->bed.start + page, 0, 8));
	EXPECT_EQ(0x600df00d600df00d, *(volatile __u64 *)other);
	EXPECT_EQ(0, dma_reach(dma, self->bed.start, self->bed.memory,
			       self->bed.start + page, other) & 3);
	EXPECT_EQ(0, container_unmap(c, self->bed.start, page));
}

TEST_HARNESS_MAIN
