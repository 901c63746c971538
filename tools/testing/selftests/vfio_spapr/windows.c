// SPDX-License-Identifier: GPL-2.0
/*
 * Windows of a v2 container: the default one, and those made with TCE_CREATE
 * and ended with TCE_REMOVE.
 *
 * Sizes that the hypervisor of a logical partition refuses are left out here:
 * on the plain kernel one such request ends window creation for the PE until
 * the next boot, see container_defects.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES	16
#define DEFAULT_SHIFT	12

/* A table has at least one page of the processor, of 64 KiB at most */
#define LEAST_TCES	(64 * KiB / 8)

FIXTURE(windows) {
	struct testbed bed;
	bool partition;		/* windows belong to a hypervisor */
};

FIXTURE_SETUP(windows)
{
	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (!testbed_find_with(&self->bed, 0))
		SKIP(return, "no devices");
	self->partition = testbed_is_partition();
	ASSERT_EQ(0, testbed_start(&self->bed, VFIO_SPAPR_TCE_v2_IOMMU,
				   PAGES * self->bed.page));
}

FIXTURE_TEARDOWN(windows)
{
	testbed_close(&self->bed);
}

TEST_F(windows, create_arguments)
{
	const int c = self->bed.container;
	const struct vfio_iommu_spapr_tce_create good = {
		.argsz = sizeof(good),
		.page_shift = 16,
		.window_size = GiB,
		.levels = 1,
		.start_addr = 0xa5a5a5a5a5a5a5a5,
	};
	const __u32 sizes[] = { 0, 39, sizeof(good) - 1 };
	struct vfio_iommu_spapr_tce_create create;
	unsigned int i;

	EXPECT_EQ(-EFAULT, container_ioctl(c, VFIO_IOMMU_SPAPR_TCE_CREATE,
					   NULL, "null"));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		create = good;
		create.argsz = sizes[i];
		EXPECT_EQ(-EINVAL, __container_create_window(c, &create));
	}
	for (i = 1; i; i <<= 1) {
		create = good;
		create.flags = i;
		EXPECT_EQ(-EINVAL, __container_create_window(c, &create));
	}
	/* A page size that the window cannot have */
	for (i = 0; i < 64; i++) {
		if (self->bed.info.ddw.pgsizes & 1ULL << i)
			continue;
		create = good;
		create.page_shift = i;
		EXPECT_EQ(-EINVAL, __container_create_window(c, &create));
	}
	/* What the kernel does not look at */
	create = good;
	create.argsz = ~0U;
	create.__resv1 = ~0U;
	create.__resv2 = ~0U;
	EXPECT_EQ(0, __container_create_window(c, &create));
	EXPECT_EQ(0, container_remove_window(c, create.start_addr));
}

/* Sizes are powers of two */
TEST_F(windows, create_sizes)
{
	const int c = self->bed.container;
	const __u64 sizes[] = {
		0, 3 * MiB, GiB + 64 * KiB, GiB - 64 * KiB, ~0ULL,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		EXPECT_EQ(-EINVAL, container_create_window(c, 16, sizes[i], 1,
							   NULL));
}

/* Every page size that GET_INFO tells can be had, and the device sees it. */
TEST_F(windows, page_sizes)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	unsigned int shift;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, PAGES * page));
	testbed_open_device(&self->bed, 0);

	for (shift = 0; shift < 64; shift++) {
		const __u64 size = 1ULL << shift;
		__u64 start, end;

		if (!(self->bed.info.ddw.pgsizes & size))
			continue;
		if (container_create_window(c, shift, LEAST_TCES * size, 1,
					    &start))
			continue;
		end = start + LEAST_TCES * size;

		/* Huge TCE pages need huge pages of memory */
		EXPECT_EQ(size <= page ? 0 : -EINVAL,
			  container_map(c, BASE_PAGES, start, size,
					READ_WRITE));
		if (size <= page)
			EXPECT_EQ(3, dma_reach(&self->bed.dma[0], start,
					       self->bed.memory, 0, NULL));
		/* Half a page is no page */
		EXPECT_EQ(-EINVAL, container_map(c, BASE_PAGES, start,
						 size / 2, READ_WRITE));
		if (size <= page)
			EXPECT_EQ(0, container_map(c, BASE_PAGES, end -
						   size, size,
						   READ_WRITE));
		EXPECT_EQ(-ENXIO, container_map(c, BASE_PAGES,
						end, size, READ_WRITE));
		EXPECT_EQ(0, container_remove_window(c, start));
	}
}

/* Huge TCE pages over huge pages of memory, at most as large as these */
TEST_F(windows, huge_pages)
{
	const int c = self->bed.container;
	const struct dma_device *dma = &self->bed.dma[0];
	unsigned int huge, shift;

	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_register(c, BASE_PAGES, self->bed.page));
	for (huge = 20; huge < 31; huge++) {
		const __u64 huge_size = 1ULL << huge;
		char *memory = memory_get_huge(HUGE_PAGES, 4 * huge_size,
					       huge_size);

		if (!memory)
			continue;
		EXPECT_EQ(0, container_register(c, HUGE_PAGES, 4 * huge_size));
		memory_see_locked("huge pages registered");
		for (shift = 12; shift < 40; shift++) {
			const __u64 size = 1ULL << shift;
			__u64 start;

			if (!(self->bed.info.ddw.pgsizes & size))
				continue;
			if (container_create_window(c, shift, 4 * GiB, 1,
						    &start))
				continue;
			if (container_map(c, HUGE_PAGES, start, 4 * huge_size,
					  READ_WRITE) == 0) {
				EXPECT_EQ(3, dma_reach(dma, start, memory, 0,
						       NULL));
				EXPECT_EQ(3, dma_reach(dma, start +
						       4 * huge_size - 8,
						       memory + 4 * huge_size -
						       8, 0, NULL));
				EXPECT_EQ(0, container_unmap(c, start +
							     huge_size,
							     huge_size));
				EXPECT_EQ(0, dma_reach(dma, start + huge_size,
						       memory + huge_size,
						       start, memory) & 3);
			}
			EXPECT_EQ(0, container_remove_window(c, start));
		}
		EXPECT_EQ(0, container_unregister(c, HUGE_PAGES,
						  4 * huge_size));
		ASSERT_EQ(0, munmap(memory, 4 * huge_size));
	}
	memory_see_locked("at the end");
}

/* A huge TCE page does not come from a region that ends inside it. */
TEST_F(windows, huge_page_in_part)
{
	const unsigned int shifts[] = { 24, 21 };
	const int c = self->bed.container;
	unsigned int i, shift = 0;
	char *memory = NULL;
	__u64 huge_size, start;

	for (i = 0; !memory && i < ARRAY_SIZE(shifts); i++) {
		shift = shifts[i];
		huge_size = 1ULL << shift;
		if (self->bed.info.ddw.pgsizes & huge_size)
			memory = memory_get_huge(HUGE_PAGES, 4 * huge_size,
						 huge_size);
	}
	if (!memory)
		SKIP(return, "no huge pages of 16 or 2 MiB");
	EXPECT_EQ(0, container_create_window(c, shift, 4 * GiB, 1, &start));
	EXPECT_EQ(0, container_register(c, HUGE_PAGES, huge_size / 2));
	container_map(c, HUGE_PAGES, start, huge_size, READ_WRITE);
	EXPECT_EQ(0, container_register(c, HUGE_PAGES + huge_size,
					huge_size + self->bed.page));
	container_map(c, HUGE_PAGES + huge_size, start, huge_size, READ_WRITE);
	container_map(c, HUGE_PAGES + 2 * huge_size, start, huge_size,
		      READ_WRITE);
	EXPECT_EQ(0, container_unmap(c, start, 4 * huge_size));
	EXPECT_EQ(0, container_unregister(c, HUGE_PAGES, huge_size / 2));
	EXPECT_EQ(0, container_unregister(c, HUGE_PAGES + huge_size,
					  huge_size + self->bed.page));
	EXPECT_EQ(0, container_register(c, HUGE_PAGES, huge_size));
	EXPECT_EQ(0, container_register(c, HUGE_PAGES + huge_size,
					3 * huge_size));
	EXPECT_EQ(0, container_map(c, HUGE_PAGES, start, 4 * huge_size,
				   READ_WRITE));
	EXPECT_EQ(0, container_unmap(c, start, 4 * huge_size));
}

TEST_F(windows, remove_arguments)
{
	const int c = self->bed.container;
	const __u32 sizes[] = { 0, 15 };
	struct vfio_iommu_spapr_tce_remove remove;
	unsigned int i;

	EXPECT_EQ(-EFAULT, container_ioctl(c, VFIO_IOMMU_SPAPR_TCE_REMOVE,
					   NULL, "null"));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		remove = (struct vfio_iommu_spapr_tce_remove) {
			.argsz = sizes[i],
		};
		EXPECT_EQ(-EINVAL, __container_remove_window(c, &remove));
	}
	for (i = 1; i; i <<= 1) {
		remove = (struct vfio_iommu_spapr_tce_remove) {
			.argsz = sizeof(remove),
			.flags = i,
		};
		EXPECT_EQ(-EINVAL, __container_remove_window(c, &remove));
	}
	EXPECT_EQ(-EINVAL, container_remove_window(c, 1ULL << 59));
	EXPECT_EQ(-EINVAL, container_remove_window(c, ~0ULL));
	/* The default window, before and after it is gone */
	EXPECT_EQ(0, container_remove_window(c,
					     self->bed.start));
	EXPECT_EQ(-EINVAL, container_remove_window(c, 0));
}

/* The default window appears with the first call that needs one. */
TEST_F(windows, default_window)
{
	const int c = self->bed.container;
	const __u64 start = self->bed.start;
	const __u64 size = self->bed.info.dma32_window_size;
	__u64 second = ~0ULL;

	memory_see_locked("before");
	EXPECT_EQ(0, container_register(c, BASE_PAGES, self->bed.page));
	memory_see_locked("registered");
	EXPECT_EQ(0, container_unmap(c, start, 4 * KiB));
	memory_see_locked("default window");
	EXPECT_EQ(0, container_map(c, BASE_PAGES, start, 4 * KiB, READ_WRITE));
	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &second));
	memory_see_locked("second window");
	EXPECT_NE(start, second);
	/* There are two at most */
	EXPECT_EQ(-ENOSPC, container_create_window(c, 16, GiB, 1, NULL));
	EXPECT_EQ(0, container_remove_window(c, start));
	memory_see_locked("default window removed");
	EXPECT_EQ(-ENXIO, container_map(c, BASE_PAGES, start, 4 * KiB,
					READ_WRITE));
	EXPECT_EQ(0, container_remove_window(c, second));
	memory_see_locked("both removed");
	EXPECT_EQ(-ENXIO, container_unmap(c, start, 4 * KiB));

	/* It can be made again like any other */
	container_create_window(c, DEFAULT_SHIFT, size, 1, NULL);
	container_map(c, BASE_PAGES, start, 4 * KiB, READ_WRITE);
	memory_see_locked("made again");
}

/* TCE_CREATE makes the default window first, TCE_REMOVE forgets it. */
TEST_F(windows, default_window_order)
{
	const int c = self->bed.container;
	__u64 first = ~0ULL, second = ~0ULL;

	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &second));
	EXPECT_EQ(-ENOSPC, container_create_window(c, 16, GiB, 1, NULL));
	EXPECT_EQ(0, container_remove_window(c, 0));
	EXPECT_EQ(0, container_remove_window(c, second));
	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &first));
	/* A hypervisor gives one window in addition to the default one */
	if (!self->partition) {
		EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &second));
		EXPECT_EQ(-ENOSPC, container_create_window(c, 16, GiB, 1,
							   NULL));
		EXPECT_EQ(0, container_remove_window(c, second));
	}
	EXPECT_EQ(0, container_remove_window(c, first));
	EXPECT_EQ(-EINVAL, container_remove_window(c, first));
	memory_see_locked("at the end");
}

/* Any address in a window names it. */
TEST_F(windows, remove_inside)
{
	const int c = self->bed.container;
	__u64 start = 0;

	EXPECT_EQ(0, container_remove_window(c, 0));
	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &start));
	EXPECT_EQ(-EINVAL, container_remove_window(c, start + GiB));
	container_remove_window(c, start + GiB - 1);
	container_remove_window(c, start);
}

/* One table more levels: only where the platform has them */
TEST_F(windows, levels)
{
	const int c = self->bed.container;
	/* Larger ones are for container_defects.c: PHB3 takes its time to clear them */
	const __u64 sizes[] = { MiB, GiB, 1ULL << 36 };
	unsigned int i, levels;

	if (self->partition)
		SKIP(return, "a partition has tables of one level");
	EXPECT_EQ(0, container_remove_window(c, 0));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (levels = 0; levels < 7; levels++) {
			__u64 start;

			if (container_create_window(c, 16, sizes[i], levels,
						    &start))
				continue;
			EXPECT_EQ(0, container_remove_window(c, start));
		}
	}
	EXPECT_EQ(-EINVAL, container_create_window(c, 16, GiB, 0, NULL));
	EXPECT_EQ(-EINVAL, container_create_window(c, 16, GiB, ~0U, NULL));
}

/* Maps at both ends of a sparse window reach what they should. */
TEST_F(windows, sparse)
{
	const int c = self->bed.container;
	const __u64 size = 1ULL << 36;
	const struct dma_device *dma = &self->bed.dma[0];
	const size_t page = self->bed.page;
	__u64 start;

	if (self->partition)
		SKIP(return, "a partition has tables of one level");
	EXPECT_EQ(0, container_register(c, BASE_PAGES, 4 * page));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_create_window(c, page_shift(), size, 2,
					     &start));
	memory_see_locked("window created");
	EXPECT_EQ(0, container_map(c, BASE_PAGES, start, page, READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + page, start + size / 2,
				   page, READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + 2 * page,
				   start + size - page, page, READ_WRITE));
	EXPECT_EQ(-ENXIO, container_map(c, BASE_PAGES, start + size, page,
					READ_WRITE));
	memory_see_locked("mapped");
	EXPECT_EQ(3, dma_reach(dma, start, self->bed.memory, 0, NULL));
	EXPECT_EQ(3, dma_reach(dma, start + size / 2, self->bed.memory + page,
			       0, NULL));
	EXPECT_EQ(3, dma_reach(dma, start + size - page,
			       self->bed.memory + 2 * page, 0, NULL));
	EXPECT_EQ(0, dma_reach(dma, start + size / 4, self->bed.memory, start,
			       self->bed.memory) & 3);
	EXPECT_EQ(0, container_unmap(c, start + size / 2, size / 2));
	EXPECT_EQ(0, dma_reach(dma, start + size - page,
			       self->bed.memory + 2 * page, start,
			       self->bed.memory) & 3);
	EXPECT_EQ(3, dma_reach(dma, start, self->bed.memory, 0, NULL));
	EXPECT_EQ(0, container_unmap(c, start, size));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(0, container_remove_window(c, start));
	memory_see_locked("removed");
}

/* With the window its mappings end. */
TEST_F(windows, remove_mapped)
{
	const int c = self->bed.container;
	const struct dma_device *dma = &self->bed.dma[0];
	const __u64 start = self->bed.start;
	const size_t page = self->bed.page;
	__u64 second = ~0ULL;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 2 * page));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_create_window(c, page_shift(), GiB, 1,
					     &second));
	EXPECT_EQ(0, container_map(c, BASE_PAGES, second, 2 * page,
				   READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + page, start, page,
				   READ_WRITE));
	EXPECT_EQ(3, dma_reach(dma, second, self->bed.memory, 0, NULL));
	EXPECT_EQ(3, dma_reach(dma, start, self->bed.memory + page, 0, NULL));

	EXPECT_EQ(0, container_remove_window(c, second));
	EXPECT_EQ(0, dma_reach(dma, second, self->bed.memory, start,
			       self->bed.memory + page) & 3);
	EXPECT_EQ(0, container_unmap(c, start, page));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 2 * page));
}

/*
 * A driver whose memory grows puts a window of twice the size in the place of
 * the one that it has, and maps all that it had and more.
 */
TEST_F(windows, growing)
{
	const int c = self->bed.container;
	const struct dma_device *dma = &self->bed.dma[0];
	const size_t page = self->bed.page;
	unsigned int step;

	/* It would lie in the window that is removed */
	if (!testbed_can(&self->bed, DMA_NO_MEMORY))
		SKIP(return, "the device needs memory");
	EXPECT_EQ(0, container_register(c, BASE_PAGES, PAGES * page));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_remove_window(c, self->bed.start));
	for (step = 0; step < 3; step++) {
		const __u64 size = (LEAST_TCES << step) * page;
		const size_t last = (PAGES >> 2 << step) - 1;
		__u64 start = ~0ULL;

		EXPECT_EQ(0, container_create_window(c, page_shift(), size, 1,
						     &start));
		EXPECT_EQ(0, container_map(c, BASE_PAGES, start,
					   (last + 1) * page, READ_WRITE));
		EXPECT_EQ(0, container_map(c, BASE_PAGES,
					   start + size - page, page,
					   READ_WRITE));
		EXPECT_EQ(3, dma_reach(dma, start, self->bed.memory, 0, NULL));
		EXPECT_EQ(3, dma_reach(dma, start + last * page,
				       self->bed.memory + last * page, 0,
				       NULL));
		EXPECT_EQ(3, dma_reach(dma, start + size - page,
				       self->bed.memory, 0, NULL));
		memory_see_locked("grown");
		EXPECT_EQ(0, container_remove_window(c, start));
	}
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, PAGES * page));
	memory_see_locked("at the end");
}

/* A TCE in the middle of a mapping is given other memory, its neighbours not. */
TEST_F(windows, part_mapped_again)
{
	const int c = self->bed.container;
	const struct dma_device *dma = &self->bed.dma[0];
	const __u64 tce = 1ULL << DEFAULT_SHIFT;
	const size_t page = self->bed.page;
	const __u64 start = self->bed.start;
	const __u64 part = start + page + page / 2;
	char *const memory = self->bed.memory;
	char *const before = memory + page + page / 2;
	char *const after = memory + 3 * page;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 4 * page));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(0, container_map(c, BASE_PAGES, start, 3 * page, READ_WRITE));
	EXPECT_EQ(3, dma_reach(dma, part, before, 0, NULL));

	EXPECT_EQ(0, container_unmap(c, part, tce));
	EXPECT_EQ(0, dma_reach(dma, part, before, start, memory) & 3);
	EXPECT_EQ(3, dma_reach(dma, part + tce, before + tce, 0, NULL));
	EXPECT_EQ(3, dma_reach(dma, part - tce, before - tce, 0, NULL));

	EXPECT_EQ(0, container_map(c, (__u64)after, part, tce, READ_WRITE));
	EXPECT_EQ(3, dma_reach(dma, part, after, 0, NULL));
	EXPECT_EQ(0, dma_reach(dma, part, before, start, memory) & 3);
	EXPECT_EQ(3, dma_reach(dma, part + tce, before + tce, 0, NULL));
	EXPECT_EQ(3, dma_reach(dma, part - tce, before - tce, 0, NULL));
	EXPECT_EQ(0, container_unmap(c, start, 3 * page));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 4 * page));
}

TEST_HARNESS_MAIN
