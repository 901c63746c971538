// SPDX-License-Identifier: GPL-2.0
/*
 * Bridges whose windows differ: a page table fits a device only if the device's
 * bridge can have all of its windows. Wants a partition whose second host bridge
 * has another default window than the first one.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES		2
#define IOVA		MiB
#define REACHES		(DMA_READS | DMA_WRITES)
#define MAX_RANGES	8

FIXTURE(fit) {
	struct testbed bed;
	int iommufd;
	__u32 ioas;
	struct cdev cdev[TESTBED_DEVICES];
	/* Devices with the larger default window and with the smaller one */
	int large, small;
	struct hw_info_windows info[TESTBED_DEVICES];
};

static __u64 size_of(SELF(fit) self, int i)
{
	return self->info[i].default_window_size;
}

FIXTURE_SETUP(fit)
{
	const char *lacking;
	int i;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	lacking = cdev_start_bed(&self->bed, DMA_NO_MEMORY, self->cdev,
				 &self->iommufd);
	if (lacking)
		SKIP(return, "%s", lacking);
	testbed_take_memory(&self->bed, PAGES * self->bed.page);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &self->ioas));
	for (i = 0; i < TESTBED_DEVICES; i += 2) {
		ASSERT_EQ(0, cdev_open_for_dma(&self->cdev[i],
					       self->bed.address[i],
					       self->iommufd));
		ASSERT_EQ(0, iommufd_hw_info(self->iommufd, self->cdev[i].id,
					     &self->info[i]));
	}
	if (size_of(self, 0) == size_of(self, 2))
		SKIP(return, "the bridges are alike");
	self->large = size_of(self, 0) < size_of(self, 2) ? 2 : 0;
	self->small = 2 - self->large;
}

FIXTURE_TEARDOWN(fit)
{
	cdev_close_bed(self->cdev, &self->iommufd);
}

static long map(SELF(fit) self, int page, __u64 iova)
{
	return iommufd_map(self->iommufd, self->ioas,
			   self->bed.memory + page * self->bed.page, iova,
			   self->bed.page, IOAS_READ_WRITE);
}

static unsigned int reach(SELF(fit) self, int i, int page, __u64 iova)
{
	return dma_reach(&self->cdev[i].dma, iova,
			 self->bed.memory + page * self->bed.page, 0, NULL);
}

/* A page table with @size bytes of the larger default window */
static long allocate(SELF(fit) self, __u64 size, __u32 *hwpt)
{
	const struct hwpt_windows windows = {
		.num_windows = 1,
		.windows = {
			{ self->info[self->large].window_start[0], size, 12 },
		},
	};

	return iommufd_hwpt_alloc_windows(self->iommufd,
					  self->cdev[self->large].id,
					  self->ioas, &windows, hwpt);
}

/* What is too large is refused, and the device that fits does not notice. */
TEST_F(fit, refused)
{
	__u32 hwpt;

	ASSERT_EQ(0, allocate(self, size_of(self, self->large), &hwpt));
	ASSERT_EQ(0, map(self, 0, IOVA));
	ASSERT_EQ(0, cdev_attach(&self->cdev[self->large], hwpt));
	EXPECT_EQ(-EINVAL, cdev_attach(&self->cdev[self->small], hwpt));
	EXPECT_EQ(REACHES, reach(self, self->large, 0, IOVA));
	EXPECT_EQ(0, reach(self, self->small, 0, IOVA) & REACHES);

	/* Neither does the other one lose what it has */
	ASSERT_EQ(0, cdev_attach(&self->cdev[self->small], self->ioas));
	EXPECT_EQ(-EINVAL, cdev_attach(&self->cdev[self->small], hwpt));
	EXPECT_EQ(REACHES, reach(self, self->small, 0, IOVA));
}

/* The hypervisor has the last page of a window that is offered. */
TEST_F(fit, last_page)
{
	const __u64 size = size_of(self, self->large);
	const __u64 iova = self->info[self->large].window_start[0] + size -
			   self->bed.page;
	__u32 hwpt;

	ASSERT_EQ(0, allocate(self, size, &hwpt));
	ASSERT_EQ(0, cdev_attach(&self->cdev[self->large], hwpt));
	ASSERT_EQ(0, map(self, 0, iova));
	EXPECT_EQ(REACHES, reach(self, self->large, 0, iova));
}

/* A part of the larger window is one that both can have. */
TEST_F(fit, part)
{
	__u32 hwpt;

	ASSERT_EQ(0, allocate(self, size_of(self, self->small), &hwpt));
	ASSERT_EQ(0, map(self, 0, IOVA));
	ASSERT_EQ(0, cdev_attach(&self->cdev[self->large], hwpt));
	ASSERT_EQ(0, cdev_attach(&self->cdev[self->small], hwpt));
	EXPECT_EQ(REACHES, reach(self, self->large, 0, IOVA));
	EXPECT_EQ(REACHES, reach(self, self->small, 0, IOVA));
}

/* An address space has page tables for both, and ranges that are in both. */
TEST_F(fit, address_space)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	const __u64 size = size_of(self, self->small);

	ASSERT_EQ(0, cdev_attach(&self->cdev[self->large], self->ioas));
	ASSERT_EQ(0, cdev_attach(&self->cdev[self->small], self->ioas));
	ASSERT_LE(1, iommufd_ranges(self->iommufd, self->ioas, ranges,
				    MAX_RANGES));
	EXPECT_EQ(size - 1, ranges[0].last);
	EXPECT_EQ(0, map(self, 0, size - self->bed.page));
	EXPECT_EQ(-EINVAL, map(self, 1, size));
	EXPECT_EQ(REACHES, reach(self, self->large, 0, size - self->bed.page));
	EXPECT_EQ(REACHES, reach(self, self->small, 0, size - self->bed.page));
}

TEST_HARNESS_MAIN
