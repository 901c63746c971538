// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of a page table are charged to the memory cgroup of the user who
 * makes it or maps into it. Where that has a limit, both fail as a whole.
 *
 * In a partition the page table is the kernel's record of the hypervisor's tables,
 * which takes as much.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

/* Of the last level, each a page of the kernel's with 8 bytes for each TCE */
#define TABLES		256
#define REACHES		(DMA_READS | DMA_WRITES)

FIXTURE(table) {
	struct testbed bed;
	int iommufd;
	__u32 ioas, hwpt;
	struct cdev cdev[TESTBED_DEVICES];
	/* Bus addresses of a table, those of all, and where they begin */
	__u64 span, window, start;
	/* Bytes of all tables, and by which the cgroup may be off */
	long size, batch;
};

FIXTURE_SETUP(table)
{
	struct hw_info_windows info;
	const char *lacking;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	lacking = cdev_start_bed(&self->bed, DMA_NO_MEMORY, self->cdev,
				 &self->iommufd);
	if (lacking)
		SKIP(return, "%s", lacking);
	if (!memory_enter_cgroup())
		SKIP(return, "no memory cgroups");
	testbed_take_memory(&self->bed, self->bed.page);
	ASSERT_EQ(0, cdev_open_for_dma(&self->cdev[0], self->bed.address[0],
				       self->iommufd));
	ASSERT_EQ(0, iommufd_hw_info(self->iommufd, self->cdev[0].id, &info));
	if (info.num_windows == 1)
		SKIP(return, "no window that is large enough");
	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &self->ioas));

	self->span = self->bed.page / 8 * 4 * KiB;
	self->window = TABLES * self->span;
	self->start = info.window_start[1];
	self->size = TABLES * self->bed.page;
	/* It counts in batches of 64 pages, see memory_enter_cgroup() */
	self->batch = 64 * self->bed.page;
	transcript_mute(1);
}

FIXTURE_TEARDOWN(table)
{
	cdev_close_bed(self->cdev, &self->iommufd);
	memory_unlimit_charged();
}

static __u64 iova(SELF(table) self, int table)
{
	return self->start + table * self->span;
}

/* The same page for each table */
static long map(SELF(table) self, int table)
{
	return iommufd_map(self->iommufd, self->ioas, self->bed.memory,
			   iova(self, table), self->bed.page, IOAS_READ_WRITE);
}

static unsigned int reach(SELF(table) self, int table)
{
	return dma_reach(&self->cdev[0].dma, iova(self, table),
			 self->bed.memory, 0, NULL) & REACHES;
}

/* A page table with one window, with pages of that size */
static long allocate(SELF(table) self, unsigned int shift, __u32 *hwpt)
{
	const struct hwpt_windows windows = {
		.num_windows = 1,
		.windows = { { self->start, self->window, shift } },
	};

	return iommufd_hwpt_alloc_windows(self->iommufd, self->cdev[0].id,
					  self->ioas, &windows, hwpt);
}

/* A new page table maps all that the IOAS has, and is charged for it at once. */
TEST_F(table, allocated)
{
	long before;
	int i;

	for (i = 0; i < TABLES; i++)
		ASSERT_EQ(0, map(self, i));
	before = memory_charged();
	ASSERT_EQ(0, allocate(self, 12, &self->hwpt));
	EXPECT_GE(memory_charged() - before, self->size - self->batch);
	ASSERT_EQ(0, iommufd_destroy(self->iommufd, self->hwpt));
	EXPECT_LT(memory_charged() - before, self->size / 2);
}

/* A page table is charged for tables that a later mapping adds. */
TEST_F(table, mapped)
{
	const long before = memory_charged();
	long empty;
	int i;

	ASSERT_EQ(0, allocate(self, 12, &self->hwpt));
	empty = memory_charged();
	for (i = 0; i < TABLES; i++)
		ASSERT_EQ(0, map(self, i));
	EXPECT_GE(memory_charged() - empty, self->size - self->batch);
	ASSERT_EQ(0, iommufd_destroy(self->iommufd, self->hwpt));
	EXPECT_LT(memory_charged() - before, self->size / 2);
}

/*
 * A page table that is too large is not made. The device does not notice, and the
 * cgroup has as much as before.
 */
TEST_F(table, limited)
{
	long before;
	__u32 large;
	int i;

	ASSERT_EQ(0, allocate(self, page_shift(), &self->hwpt));
	ASSERT_EQ(0, cdev_attach(&self->cdev[0], self->hwpt));
	for (i = 0; i < TABLES; i++)
		ASSERT_EQ(0, map(self, i));
	before = memory_charged();
	memory_limit_charged(self->size / 2);
	EXPECT_EQ(-ENOMEM, allocate(self, 12, &large));
	EXPECT_LT(memory_charged() - before, self->size / 2);
	EXPECT_EQ(REACHES, reach(self, 0));
	EXPECT_EQ(REACHES, reach(self, TABLES - 1));

	memory_unlimit_charged();
	ASSERT_EQ(0, allocate(self, 12, &large));
	ASSERT_EQ(0, cdev_attach(&self->cdev[0], large));
	EXPECT_EQ(REACHES, reach(self, 0));
	EXPECT_EQ(REACHES, reach(self, TABLES - 1));
}

/* What has been mapped stays mapped, and nothing else is. */
TEST_F(table, limited_map)
{
	const long pins = leak_pins();
	long ret = 0;
	int i;

	ASSERT_EQ(0, allocate(self, 12, &self->hwpt));
	ASSERT_EQ(0, cdev_attach(&self->cdev[0], self->hwpt));
	memory_limit_charged(self->size / 2);
	for (i = 0; !ret && i < TABLES; i++)
		ret = map(self, i);
	memory_unlimit_charged();
	/* The number of the one that failed */
	i--;
	EXPECT_EQ(-ENOMEM, ret);
	ASSERT_LT(0, i);
	EXPECT_EQ(pins + i, leak_pins());
	EXPECT_EQ(REACHES, reach(self, 0));
	EXPECT_EQ(REACHES, reach(self, i - 1));
	EXPECT_EQ(0, reach(self, i));

	EXPECT_EQ(0, map(self, i));
	EXPECT_EQ(REACHES, reach(self, i));
	EXPECT_EQ(REACHES, reach(self, 0));
}

TEST_HARNESS_MAIN
