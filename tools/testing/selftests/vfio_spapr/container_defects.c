// SPDX-License-Identifier: GPL-2.0
/*
 * Defects of VFIO's container in Linux before this series, one test for each.
 *
 * The tests fail on such a kernel ("the plain kernel" in other tests). Some crash
 * it. Run those one at a time, with -t.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define TCE_PAGE	(4 * KiB)	/* of the default window */
#define PAGES		16

FIXTURE(defects) {
	struct testbed bed;
};

FIXTURE_SETUP(defects)
{
	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (!testbed_find(&self->bed))
		SKIP(return, "no devices");
	ASSERT_EQ(0, testbed_start(&self->bed, VFIO_SPAPR_TCE_v2_IOMMU,
				   PAGES * self->bed.page));
}

FIXTURE_TEARDOWN(defects)
{
	testbed_close(&self->bed);
}

static void use_v1(struct __test_metadata *const _metadata,
		   SELF(defects) self)
{
	testbed_close(&self->bed);
	testbed_open(&self->bed, VFIO_SPAPR_TCE_IOMMU);
	EXPECT_EQ(0, container_enable(self->bed.container));
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* All of a MAP_DMA's range has to lie in the window. */
TEST_F(defects, map_past_end_v1)
{
	use_v1(_metadata, self);
	EXPECT_EQ(-EINVAL, container_map(self->bed.container, BASE_PAGES,
					 self->bed.end - TCE_PAGE, 2 * TCE_PAGE,
					 READ_WRITE));
	EXPECT_EQ(-EINVAL,
		  container_map(self->bed.container, BASE_PAGES,
				self->bed.start + TCE_PAGE,
				self->bed.end - self->bed.start, READ_WRITE));
	/* A size that wraps back into the window */
	EXPECT_EQ(-EINVAL, container_map(self->bed.container, BASE_PAGES,
					 self->bed.start + 2 * TCE_PAGE,
					 -TCE_PAGE, READ_WRITE));
}

TEST_F(defects, map_past_end_v2)
{
	const int c = self->bed.container;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, PAGES * self->bed.page));
	EXPECT_EQ(-EINVAL,
		  container_map(c, BASE_PAGES, self->bed.end - TCE_PAGE,
				2 * TCE_PAGE, READ_WRITE));
	/* Nothing is left of what was refused */
	EXPECT_EQ(0,
		  container_unregister(c, BASE_PAGES, PAGES * self->bed.page));
}

/* Two threads and a window that comes and goes */
struct race {
	int container;
	__u64 start, second;
	size_t page;
	atomic_bool over;
};

static void *race_maps(void *arg)
{
	struct race *race = arg;
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };

	transcript_mute(1);
	while (!race->over) {
		container_map(race->container, BASE_PAGES, race->second,
			      PAGES * race->page, READ_WRITE);
		container_unmap(race->container, race->second,
				PAGES * race->page);
		container_map(race->container, BASE_PAGES, race->start,
			      PAGES * race->page, READ_WRITE);
		container_unmap(race->container, race->start,
				PAGES * race->page);
		__container_get_info(race->container, &info);
	}
	return NULL;
}

TEST_F(defects, remove_while_mapping)
{
	const int c = self->bed.container;
	struct race race = { .container = c, .page = self->bed.page };
	double end = seconds() + 10;
	pthread_t thread;
	__u64 start = 0;
	long locked;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, PAGES * self->bed.page));
	race.start = self->bed.start;
	EXPECT_EQ(0, container_create_window(c, page_shift(), GiB, 1,
					     &race.second));
	EXPECT_EQ(0, container_remove_window(c, race.second));
	locked = memory_locked();

	ASSERT_EQ(0, pthread_create(&thread, NULL, race_maps, &race));
	transcript_mute(1);
	while (seconds() < end) {
		if (container_create_window(c, page_shift(), GiB, 1, &start))
			continue;
		container_remove_window(c, start);
	}
	race.over = true;
	pthread_join(thread, NULL);
	transcript_mute(0);
	EXPECT_EQ(locked, memory_locked());
	EXPECT_EQ(0, container_remove_window(c, self->bed.start));
	EXPECT_EQ(0,
		  container_unregister(c, BASE_PAGES, PAGES * self->bed.page));
}

/* Threads that all need the default window make it once. */
static void *race_first_unmap(void *arg)
{
	struct race *race = arg;

	while (!race->over)
		;
	container_unmap(race->container, race->start, race->page);
	return NULL;
}

TEST_F(defects, default_window_twice)
{
	int round, i;

	transcript_mute(1);
	for (round = 0; round < 50; round++) {
		struct race race = { .page = self->bed.page };
		pthread_t threads[4];
		long locked;

		testbed_close(&self->bed);
		testbed_open(&self->bed, VFIO_SPAPR_TCE_v2_IOMMU);
		race.container = self->bed.container;
		race.start = self->bed.start;
		container_register(race.container, BASE_PAGES, self->bed.page);
		locked = memory_locked();
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    race_first_unmap, &race));
		race.over = true;
		for (i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		ASSERT_EQ(0, container_remove_window(race.container,
						     self->bed.start));
		ASSERT_EQ(locked, memory_locked());
		ASSERT_GT(0, container_remove_window(race.container,
						     self->bed.start));
	}
}

/* Memory that a device reaches stays registered. */
TEST_F(defects, unregister_mapped)
{
	const int c = self->bed.container;
	const size_t page = self->bed.page;
	long locked;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + page, self->bed.start, page,
				   READ_WRITE));
	locked = memory_locked();
	EXPECT_EQ(-EBUSY, container_unregister(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(locked, memory_locked());
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(3, dma_reach(&self->bed.dma[0], self->bed.start,
			       self->bed.memory + page, 0, NULL));
	/* The region is as before: mapped, unmapped, then given up */
	EXPECT_EQ(0, container_map(c, BASE_PAGES, self->bed.start + page, page,
				   READ_WRITE));
	EXPECT_EQ(0, container_unmap(c, self->bed.start, page));
	EXPECT_EQ(-EBUSY, container_unregister(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(0, container_unmap(c, self->bed.start + page, page));
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, 4 * page));
	EXPECT_EQ(locked - 4 * (long)(page / KiB), memory_locked());
}

/* Whichever container made the mapping or has registered the memory as well */
TEST_F(defects, unregister_mapped_by_another)
{
	struct vfio_pci other;
	const int c = self->bed.container;
	const size_t page = self->bed.page;

	vfio_pci_open_group(&other, self->bed.address[2],
			    VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_EQ(0, container_register(c, BASE_PAGES, page));
	EXPECT_EQ(0, container_register(other.container, BASE_PAGES, page));
	EXPECT_EQ(0, container_map(other.container, BASE_PAGES, self->bed.start,
				   page, READ_WRITE));
	/* The other container's registration keeps it */
	EXPECT_EQ(0, container_unregister(c, BASE_PAGES, page));
	EXPECT_EQ(-EBUSY, container_unregister(other.container, BASE_PAGES,
					       page));
	EXPECT_EQ(0, container_unmap(other.container, self->bed.start, page));
	EXPECT_EQ(0, container_unregister(other.container, BASE_PAGES, page));
	vfio_pci_close(&other);
}

/* What DISABLE gives back is not in use any more. */
TEST_F(defects, disable_mapped)
{
	use_v1(_metadata, self);
	EXPECT_EQ(0, container_map(self->bed.container, BASE_PAGES,
				   self->bed.start, 4 * self->bed.page,
				   READ_WRITE));
	testbed_open_device(&self->bed, 0);
	EXPECT_EQ(3, dma_reach(&self->bed.dma[0], self->bed.start,
			       self->bed.memory, 0, NULL));
	EXPECT_EQ(0, container_disable(self->bed.container));
	EXPECT_EQ(0, dma_reach(&self->bed.dma[0], self->bed.start,
			       self->bed.memory, 0, NULL) & 3);
	/* ... and does not come back by itself */
	EXPECT_EQ(0, container_enable(self->bed.container));
	EXPECT_EQ(0, dma_reach(&self->bed.dma[0], self->bed.start,
			       self->bed.memory, 0, NULL) & 3);
}

/* A window that was not made costs nothing. */
TEST_F(defects, create_charges_nothing)
{
	const int c = self->bed.container;
	long locked;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, self->bed.page));
	EXPECT_EQ(0, container_unmap(c, self->bed.start, self->bed.page));
	locked = memory_see_locked("before");
	if (testbed_is_partition()) {
		EXPECT_EQ(-EINVAL, container_create_window(c, 16, 96 * MiB, 1,
							   NULL));
		/* More TCEs than the hypervisor can be asked for */
		EXPECT_GT(0, container_create_window(c, 16, 1ULL << 50, 1,
						     NULL));
	} else {
		/* One level too large for the allocator, too many levels */
		EXPECT_EQ(-ENOMEM, container_create_window(c, 16, 1ULL << 40,
							   1, NULL));
		EXPECT_EQ(-EINVAL, container_create_window(c, 16, GiB, 5,
							   NULL));
	}
	EXPECT_EQ(locked, memory_see_locked("refused"));
}

/* A refused size says nothing about the next one. */
TEST_F(defects, refused_size)
{
	const int c = self->bed.container;
	__u64 start;

	/* Less than a page of the window */
	EXPECT_GT(0, container_create_window(c, 16, 4 * KiB, 1, NULL));
	/* More than two windows, or than the hypervisor has */
	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &start));
	EXPECT_GT(0, container_create_window(c, 16, GiB, 1, NULL));
	EXPECT_EQ(0, container_remove_window(c, start));
	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &start));
	EXPECT_EQ(0, container_remove_window(c, start));

	testbed_close(&self->bed);
	testbed_open(&self->bed, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_EQ(0, container_register(self->bed.container, BASE_PAGES,
					self->bed.page));
	EXPECT_EQ(0,
		  container_map(self->bed.container, BASE_PAGES,
				self->bed.start, self->bed.page, READ_WRITE));
}

/* The same where the hypervisor says no: two windows beside no default one */
TEST_F(defects, refused_second_window)
{
	const int c = self->bed.container;
	__u64 first, second;

	EXPECT_EQ(0, container_remove_window(c, self->bed.start));
	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &first));
	if (!container_create_window(c, 16, GiB, 1, &second))
		EXPECT_EQ(0, container_remove_window(c, second));
	EXPECT_EQ(0, container_remove_window(c, first));
	EXPECT_EQ(0, container_create_window(c, 16, GiB, 1, &first));
	EXPECT_EQ(0, container_remove_window(c, first));
}

/* A bad range is an error, not a 1. */
TEST_F(defects, positive_answer)
{
	const int c = self->bed.container;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, self->bed.page));
	EXPECT_EQ(-EINVAL, container_map(c, BASE_PAGES, self->bed.start + 8,
					 TCE_PAGE, READ_WRITE));
	EXPECT_EQ(-EINVAL, container_unmap(c, self->bed.start + 8, TCE_PAGE));
	EXPECT_EQ(-EINVAL, container_unmap(c, self->bed.end - TCE_PAGE,
					   2 * TCE_PAGE));
}

/* So is a registration that comes to a hole after some pages. */
TEST_F(defects, registers_part)
{
	ASSERT_EQ(0, munmap(self->bed.memory + self->bed.page, self->bed.page));
	EXPECT_EQ(-EFAULT, container_register(self->bed.container, BASE_PAGES,
					      3 * self->bed.page));
}

/* A region of no pages is no region; the kernel does not warn of it. */
TEST_F(defects, registers_nothing)
{
	EXPECT_GT(0, container_register(self->bed.container, BASE_PAGES, 0));
	EXPECT_GT(0, container_unregister(self->bed.container, BASE_PAGES, 0));
}

/*
 * A map that fails at its first page and ranges of no bytes have nothing to
 * invalidate, at bus address 0, too: there PHB3 was told to invalidate 2^52
 * TCEs.
 */
TEST_F(defects, first_page_fails)
{
	const int c = self->bed.container;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, self->bed.page));
	EXPECT_EQ(0, container_unmap(c, self->bed.start, 0));
	EXPECT_EQ(0,
		  container_map(c, BASE_PAGES, self->bed.start, 0, READ_WRITE));
	EXPECT_EQ(-EINVAL,
		  container_map(c, BASE_PAGES + 2 * self->bed.page,
				self->bed.start, self->bed.page, READ_WRITE));
	use_v1(_metadata, self);
	EXPECT_EQ(-EFAULT,
		  container_map(self->bed.container, TCE_PAGE, self->bed.start,
				TCE_PAGE, READ_WRITE));
}

/* A window takes the time of what is in it, not of what could be. */
TEST_F(defects, large_window)
{
	const bool partition = testbed_is_partition();
	const int c = self->bed.container;
	/* As many TCEs whatever the page size */
	const unsigned int largest = 31 + page_shift();
	unsigned int shift, levels;
	double begin, created;
	__u64 start;
	long ret = -1;

	EXPECT_EQ(0, container_register(c, BASE_PAGES, 2 * self->bed.page));
	begin = seconds();
	for (shift = largest; shift > largest - 11; shift--) {
		for (levels = 1; levels <= self->bed.info.ddw.levels;
		     levels++) {
			ret = container_create_window(c, page_shift(),
						      1ULL << shift, levels,
						      &start);
			if (!ret)
				break;
		}
		if (!ret)
			break;
	}
	ASSERT_EQ(0, ret);
	created = seconds();
	EXPECT_EQ(0, container_map(c, BASE_PAGES, start, self->bed.page,
				   READ_WRITE));
	EXPECT_EQ(0, container_map(c, BASE_PAGES + self->bed.page,
				   start + (1ULL << shift) - self->bed.page,
				   self->bed.page, READ_WRITE));
	EXPECT_EQ(0, container_unmap(c, start, 1ULL << shift));
	EXPECT_EQ(0, container_remove_window(c, start));
	printf("# 2^%u bytes%s: made in %.1f s, cleared and removed in %.1f s\n",
	       shift, partition ? " of the hypervisor" : "", created - begin,
	       seconds() - created);
	EXPECT_GT(20, seconds() - created);
}

TEST_HARNESS_MAIN
