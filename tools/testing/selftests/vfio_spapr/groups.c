// SPDX-License-Identifier: GPL-2.0
/*
 * Groups that join and leave a live v2 container get and lose all its windows
 * with what is mapped there.
 *
 * A partition's windows belong to one group each: there a second group is
 * refused.
 */
#include <errno.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES	16

FIXTURE(groups) {
	struct testbed bed;
};

FIXTURE_SETUP(groups)
{
	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (!testbed_find(&self->bed))
		SKIP(return, "no devices");
	ASSERT_EQ(0, testbed_start(&self->bed, VFIO_SPAPR_TCE_v2_IOMMU,
				   PAGES * self->bed.page));
	ASSERT_EQ(0, container_register(self->bed.container, BASE_PAGES,
					PAGES * self->bed.page));
}

FIXTURE_TEARDOWN(groups)
{
	testbed_close(&self->bed);
}

static long leave(struct testbed *bed, int group)
{
	return transcript_errno(__vfio_group_unset_container(bed->group[group]),
				"UNSET_CONTAINER of group %d", group);
}

/* Devices of one group reach the same. */
TEST_F(groups, siblings)
{
	struct testbed *bed = &self->bed;

	EXPECT_EQ(0, container_map(bed->container, BASE_PAGES, bed->start,
				   bed->page, READ_WRITE));
	testbed_open_device(bed, 0);
	testbed_open_device(bed, 1);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL));
	EXPECT_EQ(3, dma_reach(&bed->dma[1], bed->start, bed->memory, 0,
			       NULL));
	EXPECT_EQ(0, container_unmap(bed->container, bed->start,
				     bed->page));
	EXPECT_EQ(0, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL) & 3);
	EXPECT_EQ(0, dma_reach(&bed->dma[1], bed->start, bed->memory, 0,
			       NULL) & 3);
}

/* Who joins before there is a window gets it when it is made. */
TEST_F(groups, join_early)
{
	struct testbed *bed = &self->bed;
	const int c = bed->container;

	EXPECT_EQ(testbed_is_partition() ? -EPERM : 0, testbed_join(bed));
	if (testbed_is_partition())
		return;
	EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start, bed->page,
				   READ_WRITE));
	testbed_open_device(bed, 0);
	testbed_open_device(bed, 2);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL));
	EXPECT_EQ(3, dma_reach(&bed->dma[2], bed->start, bed->memory, 0,
			       NULL));
}

/* Who joins later finds what is mapped. */
TEST_F(groups, join_live)
{
	struct testbed *bed = &self->bed;
	const int c = bed->container;
	const size_t page = bed->page;
	const bool partition = testbed_is_partition();
	__u64 second = ~0ULL;

	EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start, page,
				   READ_WRITE));
	EXPECT_EQ(0, container_create_window(c, page_shift(), GiB, 1,
					     &second));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + page, second, page,
				   READ_WRITE));
	testbed_open_device(bed, 0);
	EXPECT_EQ(partition ? -EPERM : 0, testbed_join(bed));
	EXPECT_EQ(3, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL));
	if (partition)
		return;

	testbed_open_device(bed, 2);
	EXPECT_EQ(3, dma_reach(&bed->dma[2], bed->start, bed->memory, 0,
			       NULL));
	EXPECT_EQ(3, dma_reach(&bed->dma[2], second, bed->memory + page, 0,
			       NULL));
	/* Both lose what is unmapped, and a window that is removed */
	EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start + page, page,
				   READ_WRITE));
	EXPECT_EQ(0, container_unmap(c, bed->start, page));
	EXPECT_EQ(0, container_remove_window(c, second));
	EXPECT_EQ(0, dma_reach(&bed->dma[0], bed->start, bed->memory,
			       bed->start + page, bed->memory) & 3);
	EXPECT_EQ(0, dma_reach(&bed->dma[2], bed->start, bed->memory,
			       bed->start + page, bed->memory) & 3);
	EXPECT_EQ(0, dma_reach(&bed->dma[0], second, bed->memory + page,
			       bed->start + page, bed->memory) & 3);
	EXPECT_EQ(0, dma_reach(&bed->dma[2], second, bed->memory + page,
			       bed->start + page, bed->memory) & 3);
}

/* Who leaves reaches nothing; who stays keeps the windows. */
TEST_F(groups, second_leaves)
{
	struct testbed *bed = &self->bed;
	const int c = bed->container;
	struct vfio_iommu_spapr_tce_info info;

	if (testbed_is_partition())
		SKIP(return, "one group in a container of a partition");
	EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start, bed->page,
				   READ_WRITE));
	EXPECT_EQ(0, testbed_join(bed));
	EXPECT_EQ(0, leave(bed, 1));
	testbed_open_device(bed, 0);
	/* Earlier kernels clear the TCEs that the first group uses */
	EXPECT_EQ(3, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL));
	container_get_info(c, &info);
	EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start, bed->page,
				   READ_WRITE));
	EXPECT_EQ(3, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL));
	/* It can come back */
	EXPECT_EQ(0, testbed_join(bed));
	testbed_open_device(bed, 2);
	EXPECT_EQ(3, dma_reach(&bed->dma[2], bed->start, bed->memory, 0,
			       NULL));
}

/* The one that came first may leave first. */
TEST_F(groups, first_leaves)
{
	struct testbed *bed = &self->bed;
	const int c = bed->container;
	struct vfio_iommu_spapr_tce_info info;
	__u64 second = ~0ULL;

	if (testbed_is_partition())
		SKIP(return, "one group in a container of a partition");
	EXPECT_EQ(0, testbed_join(bed));
	EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start, bed->page,
				   READ_WRITE));
	EXPECT_EQ(0, leave(bed, 0));
	container_get_info(c, &info);
	EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start, bed->page,
				   READ_WRITE));
	EXPECT_EQ(0, container_create_window(c, page_shift(), GiB, 1,
					     &second));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + bed->page, second,
				   bed->page, READ_WRITE));
	testbed_open_device(bed, 2);
	EXPECT_EQ(3, dma_reach(&bed->dma[2], bed->start, bed->memory, 0,
			       NULL));
	EXPECT_EQ(3, dma_reach(&bed->dma[2], second,
			       bed->memory + bed->page, 0, NULL));
	/* Its open device keeps it */
	EXPECT_EQ(-EBUSY, leave(bed, 1));
}

/* A group is in one container. */
TEST_F(groups, one_container)
{
	struct testbed *bed = &self->bed;
	int other = vfio_container_open();

	EXPECT_EQ(-EINVAL, __vfio_group_set_container(bed->group[0], other));
	EXPECT_EQ(0, leave(bed, 0));
	EXPECT_EQ(-EINVAL, leave(bed, 0));
	EXPECT_EQ(0, __vfio_group_set_container(bed->group[0], other));
	EXPECT_EQ(0, container_set_iommu(other, VFIO_SPAPR_TCE_v2_IOMMU));
	EXPECT_EQ(0, container_register(other, BASE_PAGES, bed->page));
	EXPECT_EQ(0, container_map(other, BASE_PAGES, bed->start, bed->page,
				   READ_WRITE));
	testbed_open_device(bed, 0);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL));
	/* An open device keeps its group */
	EXPECT_EQ(-EBUSY, leave(bed, 0));
	vfio_close(&other);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL));
}

/* From one group to the other and back, the container staying open */
TEST_F(groups, change)
{
	struct testbed *bed = &self->bed;
	const int c = bed->container;
	int round;

	EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start, bed->page,
				   READ_WRITE));
	memory_see_locked("mapped");
	for (round = 0; round < 3; round++) {
		EXPECT_EQ(0, leave(bed, 0));
		memory_see_locked("left");
		EXPECT_EQ(0, __vfio_group_set_container(bed->group[0], c));
		EXPECT_EQ(0, container_set_iommu(c, VFIO_SPAPR_TCE_v2_IOMMU));
		EXPECT_EQ(-EPERM, container_map(c, BASE_PAGES, bed->start,
						bed->page, READ_WRITE));
		EXPECT_EQ(0, container_register(c, BASE_PAGES, bed->page));
		EXPECT_EQ(0, container_map(c, BASE_PAGES, bed->start,
					   bed->page, READ_WRITE));
		memory_see_locked("mapped again");
	}
	testbed_open_device(bed, 0);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], bed->start, bed->memory, 0,
			       NULL));
}

TEST_HARNESS_MAIN
