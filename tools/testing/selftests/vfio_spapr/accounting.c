// SPDX-License-Identifier: GPL-2.0
/*
 * Locked memory is accounted exactly: once for each page and process, however
 * many containers use it, and given back when the last use ends.
 */
#include <errno.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES	16

FIXTURE(accounting) {
	struct testbed bed;
	long page_kib;
	long before;
};

FIXTURE_SETUP(accounting)
{
	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (!testbed_find(&self->bed))
		SKIP(return, "no devices");
	self->page_kib = self->bed.page / KiB;
	ASSERT_EQ(0, testbed_start(&self->bed, VFIO_SPAPR_TCE_v2_IOMMU,
				   PAGES * self->bed.page));
	self->before = memory_see_locked("before");
}

FIXTURE_TEARDOWN(accounting)
{
	testbed_close(&self->bed);
}

/* Regions are charged one by one and given back one by one. */
TEST_F(accounting, regions)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	int i;

	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(0, container_register(c, BASE_PAGES + i * page,
						page));
		EXPECT_EQ(self->before + (i + 1) * self->page_kib,
			  memory_see_locked("one more"));
	}
	for (i = PAGES - 1; i >= 0; i--) {
		EXPECT_EQ(0, container_unregister(c, BASE_PAGES + i * page,
						  page));
		EXPECT_EQ(self->before + i * self->page_kib,
			  memory_see_locked("one less"));
	}
}

/* Refused and repeated calls charge nothing. */
TEST_F(accounting, refused)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(-EBUSY, container_register(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(-EINVAL, container_register(c, BASE_PAGES, 2 * page));
	EXPECT_EQ(-EINVAL, container_register(c, BASE_PAGES + page, 8 * page));
	EXPECT_EQ(-ENOENT, container_unregister(c, BASE_PAGES, 2 * page));
	EXPECT_EQ(-ENOENT, container_unregister(c, BASE_PAGES + 8 * page,
						page));
	EXPECT_EQ(self->before + 4 * self->page_kib,
		  memory_see_locked("once"));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(-ENOENT, container_unregister(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(self->before, memory_see_locked("given back"));
}

/* A registration that fails after some pages gives them all back. */
TEST_F(accounting, fails_in_the_middle)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	int hole;

	for (hole = 0; hole < 4; hole++) {
		ASSERT_EQ(0, mprotect(self->bed.memory + hole * page, page,
				      PROT_NONE));
		EXPECT_NE(0, container_register(c, BASE_PAGES, 4 * page));
		EXPECT_EQ(self->before, memory_see_locked("refused"));
		ASSERT_EQ(0, mprotect(self->bed.memory + hole * page, page,
				      PROT_READ | PROT_WRITE));
	}
	EXPECT_EQ(0, container_register(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(self->before + 4 * self->page_kib,
		  memory_see_locked("registered"));
}

/* The limit may be met to the page. */
TEST_F(accounting, limit)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;

	ASSERT_TRUE(memory_limit_locked(4 * page));
	EXPECT_EQ(-ENOMEM, container_register(c, BASE_PAGES, 5 * page));
	EXPECT_EQ(self->before, memory_see_locked("refused"));
	EXPECT_EQ(0, container_register(c, BASE_PAGES, 3 * page));
	EXPECT_EQ(-ENOMEM, container_register(c, BASE_PAGES + 8 * page,
					      2 * page));
	EXPECT_EQ(0, container_register(c, BASE_PAGES + 8 * page, page));
	EXPECT_EQ(-ENOMEM, container_register(c, BASE_PAGES + 10 * page,
					      page));
	/* The default window's table needs room, too */
	EXPECT_EQ(-ENOMEM, container_map(c, BASE_PAGES,
					 self->bed.start, page,
					 READ_WRITE));
	EXPECT_EQ(-ENOMEM, container_unmap(c, self->bed.start,
					   page));
	EXPECT_EQ(-ENOMEM, container_create_window(c, 16, GiB, 1, NULL));
	EXPECT_EQ(self->before + 4 * self->page_kib,
		  memory_see_locked("at the limit"));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 3 * page));
	EXPECT_EQ(0, container_register(c, BASE_PAGES + 10 * page, page));
	EXPECT_EQ(self->before + 2 * self->page_kib,
		  memory_see_locked("below the limit"));
}

/* Mapping and unmapping cost nothing beyond the window's table. */
TEST_F(accounting, mappings)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	const __u64 start = self->bed.start;
	long window;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 8 * page));
	EXPECT_EQ(0, container_unmap(c, start, page));
	window = memory_see_locked("with a window");
	EXPECT_EQ(0, container_map(c, BASE_PAGES, start, 8 * page,
				   READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES, start + 8 * page, 8 * page,
				   READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES, start, 8 * page,
				   READ_WRITE));
	EXPECT_EQ(window, memory_see_locked("mapped"));
	EXPECT_EQ(0, container_unmap(c, start, 16 * page));
	EXPECT_EQ(window, memory_see_locked("unmapped"));
	EXPECT_EQ(0, container_remove_window(c, start));
	EXPECT_EQ(self->before + 8 * self->page_kib,
		  memory_see_locked("window removed"));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 8 * page));
	EXPECT_EQ(self->before, memory_see_locked("unregistered"));
}

/* Windows' tables are charged as they are made, by the size they can have. */
TEST_F(accounting, windows)
{
	const int c = self->bed.container;
	unsigned int shift;

	/* Makes the default window, which stays */
	EXPECT_EQ(0, container_register(c, BASE_PAGES, self->bed.page));
	EXPECT_EQ(0, container_unmap(c, self->bed.start,
				     self->bed.page));
	memory_see_locked("default window");
	for (shift = 30; shift < 37; shift++) {
		__u64 start;
		long locked = memory_locked();

		if (container_create_window(c, 16, 1ULL << shift, 1, &start))
			break;
		memory_see_locked("window");
		EXPECT_EQ(0, container_remove_window(c, start));
		EXPECT_EQ(locked, memory_see_locked("removed"));
	}
	testbed_close(&self->bed);
	EXPECT_EQ(self->before, memory_see_locked("closed"));
}

/* Two containers of a process over the same memory charge it once. */
TEST_F(accounting, two_containers)
{
	struct vfio_pci other;
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	const long once = self->before + 8 * self->page_kib;

	vfio_pci_open_group(&other, self->bed.address[2],
			    VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_EQ(0, container_register(c, BASE_PAGES, 8 * page));
	EXPECT_EQ(0, container_register(other.container, BASE_PAGES, 8 * page));
	EXPECT_EQ(once, memory_see_locked("both"));
	EXPECT_EQ(-EINVAL, container_register(other.container, BASE_PAGES,
					      4 * page));
	EXPECT_EQ(-EBUSY, container_register(other.container, BASE_PAGES,
					     8 * page));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 8 * page));
	EXPECT_EQ(once, memory_see_locked("the other"));
	EXPECT_EQ(-ENOENT, container_unregister(c, BASE_PAGES, 8 * page));
	/* Registered in the process: the other container may map it */
	EXPECT_EQ(0, container_map(c, BASE_PAGES,
				   self->bed.start, page,
				   READ_WRITE));
	EXPECT_EQ(0, container_unmap(c, self->bed.start, page));
	EXPECT_EQ(0, container_remove_window(c,
					     self->bed.start));
	EXPECT_EQ(0, container_unregister(other.container, BASE_PAGES,
					  8 * page));
	EXPECT_EQ(self->before, memory_see_locked("none"));

	EXPECT_EQ(0, container_register(other.container, BASE_PAGES, 8 * page));
	EXPECT_EQ(0, container_register(c, BASE_PAGES, 8 * page));
	vfio_pci_close(&other);
	EXPECT_EQ(once, memory_see_locked("the other closed"));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 8 * page));
	EXPECT_EQ(self->before, memory_see_locked("none"));
}

/* Closing the files gives back everything, mapped or not. */
TEST_F(accounting, close)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 8 * page));
	EXPECT_EQ(0, container_register(c, BASE_PAGES + 8 * page, 8 * page));
	EXPECT_EQ(0, container_map(c, BASE_PAGES,
				   self->bed.start, 16 * page,
				   READ_WRITE));
	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, NULL));
	testbed_close(&self->bed);
	EXPECT_EQ(self->before, memory_see_locked("closed"));
}

/* v1 and v2 of one process have an account each. */
TEST_F(accounting, both_versions)
{
	struct vfio_pci other;
	const size_t page = self->bed.page;

	vfio_pci_open_group(&other, self->bed.address[2], VFIO_SPAPR_TCE_IOMMU);
	EXPECT_EQ(0, container_enable(other.container));
	memory_see_locked("v1 enabled");
	EXPECT_EQ(0, container_register(self->bed.container, BASE_PAGES,
					4 * page));
	memory_see_locked("v2 registered");
	EXPECT_EQ(0, container_map(other.container, BASE_PAGES,
				   self->bed.start, 4 * page,
				   READ_WRITE));
	EXPECT_EQ(0, container_map(self->bed.container, BASE_PAGES,
				   self->bed.start, 4 * page,
				   READ_WRITE));
	memory_see_locked("both mapped");
	vfio_pci_close(&other);
	memory_see_locked("v1 closed");
	testbed_close(&self->bed);
	EXPECT_EQ(self->before, memory_see_locked("both closed"));
}

TEST_HARNESS_MAIN
