// SPDX-License-Identifier: GPL-2.0
/*
 * Nested translation: a device reaches what a guest's tables of TCEs say, within
 * the memory that the guest has, and nothing else.
 *
 * The guest's memory is the first pages of the test's. Its tables lie behind
 * them, and far above in the address space of the parent.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/nested.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES		16
#define ROUNDS		16
#define READ		IOMMU_IOAS_MAP_READABLE
#define REACHES		(DMA_READS | DMA_WRITES)
#define MAX_RANGES	8
#define PARENT_END	(1ULL << 47)
#define TABLES		(1ULL << 40)
#define TCE_READ	1ULL
#define TCE_WRITE	2ULL
#define TCE_RW		(TCE_READ | TCE_WRITE)
#define LOW		0
#define HIGH		1
#define SLOW		"/sys/module/refuse_tces/parameters/"
#define UNREADABLE	"/sys/module/unreadable_table/parameters/unreadable"

FIXTURE(nested) {
	struct testbed bed;
	int iommufd;
	__u32 ioas, parent, hwpt;
	struct cdev cdev[TESTBED_DEVICES];
	struct nested_windows windows;
	__u64 page_sizes;
	size_t memory_size, tables_size;
	/* Where the tables are in the test's memory */
	__be64 *table[2];
};

static size_t table_size(SELF(nested) self, int w)
{
	return (self->windows.windows[w].size >>
		self->windows.windows[w].page_shift) * sizeof(__u64);
}

/* Windows that every machine can have, with tables one behind the other */
static long choose_windows(SELF(nested) self)
{
	struct hw_info_windows info;
	long ret;

	ret = iommufd_hw_info(self->iommufd, self->cdev[0].id, &info);
	if (ret)
		return ret;
	self->page_sizes = info.nested_page_sizes;
	self->windows = (struct nested_windows) {
		.num_windows = 2,
		.windows = {
			{ { info.window_start[0],
			    info.default_window_size ?: GiB, 12 }, TABLES },
			{ { info.window_start[1], 8 * GiB, page_shift() } },
		},
	};
	self->windows.windows[1].table = TABLES + table_size(self, LOW);
	self->tables_size = table_size(self, LOW) + table_size(self, HIGH);
	return 0;
}

/* Map memory that begins @offset bytes from the test's at @gpa */
static long map(SELF(nested) self, size_t offset, __u64 gpa, size_t size,
		__u32 flags)
{
	return iommufd_map(self->iommufd, self->ioas, self->bed.memory + offset,
			   gpa, size, flags);
}

static long start_device(SELF(nested) self, int i)
{
	return cdev_open_for_dma(&self->cdev[i], self->bed.address[i],
				 self->iommufd);
}

FIXTURE_SETUP(nested)
{
	const char *lacking;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	lacking = cdev_start_bed(&self->bed, DMA_NO_MEMORY, self->cdev,
				 &self->iommufd);
	if (lacking)
		SKIP(return, "%s", lacking);
	ASSERT_EQ(0, start_device(self, 0));
	ASSERT_EQ(0, choose_windows(self));
	self->memory_size = PAGES * self->bed.page;
	testbed_take_memory(&self->bed, self->memory_size + self->tables_size);
	self->table[LOW] = (void *)(self->bed.memory + self->memory_size);
	self->table[HIGH] = (void *)((char *)self->table[LOW] +
				     table_size(self, LOW));
	memset(self->table[LOW], 0, self->tables_size);

	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, map(self, 0, 0, self->memory_size, IOAS_READ_WRITE));
	ASSERT_EQ(0, map(self, self->memory_size, TABLES, self->tables_size,
			 READ));
	ASSERT_EQ(0, iommufd_hwpt_alloc(self->iommufd, self->cdev[0].id,
					self->ioas,
					IOMMU_HWPT_ALLOC_NEST_PARENT,
					&self->parent));
}

FIXTURE_TEARDOWN(nested)
{
	file_write(SLOW "hold", "-");
	file_write(UNREADABLE, "N");
	cdev_close_bed(self->cdev, &self->iommufd);
}

static __u64 bus(SELF(nested) self, int w, unsigned long index)
{
	return self->windows.windows[w].start +
	       ((__u64)index << self->windows.windows[w].page_shift);
}

/* What a guest does: write a TCE, which maps its page number @page */
static void put(SELF(nested) self, int w, unsigned long index, int page,
		__u64 permissions)
{
	self->table[w][index] = htobe64(page * self->bed.page | permissions);
}

static unsigned int reach(SELF(nested) self, int i, int w, unsigned long index,
			  int page)
{
	return dma_reach(&self->cdev[i].dma, bus(self, w, index),
			 self->bed.memory + page * self->bed.page, 0, NULL);
}

static long allocate(SELF(nested) self, __u32 *hwpt)
{
	return iommufd_hwpt_alloc_nested(self->iommufd, self->cdev[0].id,
					 self->parent, &self->windows, hwpt);
}

/* Allocate a nested page table and attach the first device to it */
static long start(SELF(nested) self)
{
	long ret = allocate(self, &self->hwpt);

	return ret ? ret : cdev_attach(&self->cdev[0], self->hwpt);
}

/* What a monitor does for the guest then. Return: bad TCEs, or -errno */
static long invalidate(SELF(nested) self, int w, unsigned long index,
		       unsigned long count)
{
	struct nested_invalidate request = {
		.start = bus(self, w, index),
		.size = (__u64)count << self->windows.windows[w].page_shift,
	};
	__u32 handled = 1;
	long ret;

	ret = iommufd_invalidate(self->iommufd, self->hwpt,
				 HWPT_INVALIDATE_DATA_SPAPR_TCE, &request,
				 &handled);
	if (!ret && handled != 1)
		return -EPROTO;
	return ret ? ret : (long)request.out_bad;
}

static long unmap(SELF(nested) self, __u64 gpa, size_t size)
{
	return iommufd_unmap(self->iommufd, self->ioas, gpa, size);
}

/* A parent has addresses for guest memory, and no device is in it. */
TEST_F(nested, parent)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	struct hwpt_windows windows = { .num_windows = 1 };
	__u32 hwpt;

	EXPECT_EQ(4096 | self->bed.page,
		  self->page_sizes & (4096 | self->bed.page));
	EXPECT_EQ(-EINVAL, cdev_attach(&self->cdev[0], self->parent));
	ASSERT_EQ(1, iommufd_ranges(self->iommufd, self->ioas, ranges,
				    MAX_RANGES));
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_EQ(PARENT_END - 1, ranges[0].last);
	EXPECT_EQ(0, map(self, 0, PARENT_END - self->bed.page, self->bed.page,
			 IOAS_READ_WRITE));
	EXPECT_EQ(-EINVAL, map(self, 0, PARENT_END, self->bed.page,
			       IOAS_READ_WRITE));
	EXPECT_EQ(-EOPNOTSUPP,
		  iommufd_hwpt_alloc(self->iommufd, self->cdev[0].id,
				     self->ioas,
				     IOMMU_HWPT_ALLOC_NEST_PARENT |
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	EXPECT_EQ(-EINVAL, iommufd_hwpt_alloc_windows(self->iommufd,
						      self->cdev[0].id,
						      self->parent, &windows,
						      &hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->parent));
}

/* What the tables have when the page table is allocated */
TEST_F(nested, filled)
{
	const unsigned long last[] = {
		table_size(self, LOW) / sizeof(__u64) - 1,
		table_size(self, HIGH) / sizeof(__u64) - 1,
	};

	put(self, LOW, 0, 0, TCE_RW);
	put(self, LOW, 513, 1, TCE_RW);
	put(self, LOW, last[LOW], 2, TCE_RW);
	put(self, HIGH, 0, 3, TCE_RW);
	put(self, HIGH, last[HIGH], 4, TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 0, 0));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 513, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, last[LOW], 2));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 0, 3));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, last[HIGH], 4));
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 0) & REACHES);
	EXPECT_EQ(0, reach(self, 0, HIGH, 513, 1) & REACHES);
}

/* A part of a page of the host's */
TEST_F(nested, small_pages)
{
	const size_t offset = self->bed.page - 4096;

	self->table[LOW][5] = htobe64(7 * self->bed.page + offset + TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, dma_reach(&self->cdev[0].dma, bus(self, LOW, 5),
				     self->bed.memory + 7 * self->bed.page +
				     offset, 0, NULL));
}

/* New, changed, the same again, and cleared */
TEST_F(nested, invalidate)
{
	ASSERT_EQ(0, start(self));
	put(self, LOW, 4, 1, TCE_RW);
	put(self, HIGH, 700, 2, TCE_RW);
	EXPECT_EQ(0, reach(self, 0, LOW, 4, 1) & REACHES);
	EXPECT_EQ(0, invalidate(self, LOW, 4, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 4, 1));
	EXPECT_EQ(0, reach(self, 0, HIGH, 700, 2) & REACHES);
	EXPECT_EQ(0, invalidate(self, HIGH, 0, 1024));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 700, 2));

	put(self, LOW, 4, 3, TCE_RW);
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 4, 1));
	EXPECT_EQ(0, invalidate(self, LOW, 0, 4));
	EXPECT_EQ(0, invalidate(self, LOW, 5, 600));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 4, 1));
	EXPECT_EQ(0, invalidate(self, LOW, 4, 1));
	EXPECT_EQ(0, reach(self, 0, LOW, 4, 1) & REACHES);
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 4, 3));
	EXPECT_EQ(0, invalidate(self, LOW, 4, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 4, 3));

	put(self, LOW, 4, 0, 0);
	EXPECT_EQ(0, invalidate(self, LOW, 4, 1));
	EXPECT_EQ(0, reach(self, 0, LOW, 4, 3) & REACHES);
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 700, 2));
}

/* A device may do what the TCE allows, and the guest what its memory allows. */
TEST_F(nested, read_only)
{
	const __u64 gpa = GiB;

	put(self, LOW, 1, 1, TCE_READ);
	put(self, LOW, 2, 2, TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(DMA_READS, dma_reach(&self->cdev[0].dma, bus(self, LOW, 1),
				       self->bed.memory + self->bed.page,
				       bus(self, LOW, 2),
				       self->bed.memory + 2 * self->bed.page));

	ASSERT_EQ(0, map(self, 3 * self->bed.page, gpa, self->bed.page, READ));
	self->table[LOW][3] = htobe64(gpa | TCE_RW);
	EXPECT_EQ(1, invalidate(self, LOW, 3, 1));
	EXPECT_EQ(0, reach(self, 0, LOW, 3, 3) & REACHES);
	self->table[LOW][3] = htobe64(gpa | TCE_READ);
	EXPECT_EQ(0, invalidate(self, LOW, 3, 1));
	EXPECT_EQ(DMA_READS, dma_reach(&self->cdev[0].dma, bus(self, LOW, 3),
				       self->bed.memory + 3 * self->bed.page,
				       bus(self, LOW, 2),
				       self->bed.memory + 2 * self->bed.page));
}

/* A bad TCE is clear and is told; it does no harm to others. */
TEST_F(nested, bad)
{
	const __u64 bad[] = {
		TCE_RW | self->memory_size,
		TCE_RW | 1ULL << 46,
		TCE_RW | PARENT_END,
		TCE_RW | 1ULL << 63,
		TCE_RW | 4,
		TCE_RW | 1 << 11,
	};
	struct nested_invalidate request = {
		.start = bus(self, LOW, 0),
		.size = 64 << 12,
	};
	__u32 handled = 1;
	unsigned int i;

	put(self, LOW, 1, 1, TCE_RW);
	ASSERT_EQ(0, start(self));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
		self->table[LOW][1] = htobe64(bad[i]);
		EXPECT_EQ(1, invalidate(self, LOW, 1, 1));
		EXPECT_EQ(0, reach(self, 0, LOW, 1, 1) & REACHES);
		put(self, LOW, 1, 1, TCE_RW);
		EXPECT_EQ(0, invalidate(self, LOW, 1, 1));
	}

	self->table[LOW][9] = htobe64(bad[0]);
	self->table[LOW][17] = htobe64(bad[1]);
	put(self, LOW, 18, 2, TCE_RW);
	EXPECT_EQ(0, iommufd_invalidate(self->iommufd, self->hwpt,
					HWPT_INVALIDATE_DATA_SPAPR_TCE,
					&request, &handled));
	EXPECT_EQ(1, handled);
	EXPECT_EQ(2, request.out_bad);
	EXPECT_EQ(bus(self, LOW, 9), request.out_first_bad);
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 18, 2));
	/* In a window of larger pages a small one is not aligned */
	if (self->bed.page > 4096) {
		self->table[HIGH][0] = htobe64(TCE_RW | 4096);
		EXPECT_EQ(1, invalidate(self, HIGH, 0, 1));
	}
}

/* Requests that are wrong change nothing; those before them are done. */
TEST_F(nested, wrong_invalidations)
{
	const __u64 end = bus(self, LOW, table_size(self, LOW) / 8);
	struct nested_invalidate good = {
		.start = bus(self, LOW, 1), .size = 4096,
	}, bad[3];
	__u32 count;

	ASSERT_EQ(0, start(self));
	put(self, LOW, 1, 1, TCE_RW);
	put(self, LOW, 2, 2, TCE_RW);

#define WRONG(error, change) do {					\
	bad[0] = good;							\
	count = 1;							\
	change;								\
	EXPECT_EQ(error, iommufd_invalidate(self->iommufd, self->hwpt,	\
		HWPT_INVALIDATE_DATA_SPAPR_TCE, bad, &count));		\
	EXPECT_EQ(0, count);						\
} while (0)

	WRONG(-EINVAL, bad[0].size = 0);
	WRONG(-EINVAL, bad[0].size = 1);
	WRONG(-EINVAL, bad[0].size = 4097);
	WRONG(-EINVAL, bad[0].size = ~0ULL);
	WRONG(-EINVAL, bad[0].size = -4096ULL);
	WRONG(-EINVAL, bad[0].size = end - good.start + 4096);
	WRONG(-EINVAL, bad[0].start++);
	WRONG(-EINVAL, bad[0].start = end);
	WRONG(-EINVAL, bad[0].start = -4096ULL);
	WRONG(-EINVAL, bad[0].start = bus(self, HIGH, 0) - 4096);
	WRONG(-EOPNOTSUPP, bad[0].flags = 1);
	WRONG(-EOPNOTSUPP, bad[0].reserved = 1);
#undef WRONG
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 1) & REACHES);

	count = 1;
	EXPECT_EQ(-EINVAL, iommufd_invalidate(self->iommufd, self->hwpt, 0,
					      &good, &count));
	EXPECT_EQ(0, count);
	EXPECT_EQ(0, iommufd_invalidate(self->iommufd, self->hwpt,
					HWPT_INVALIDATE_DATA_SPAPR_TCE, NULL,
					&count));
	count = 1;
	EXPECT_EQ(-EINVAL, iommufd_invalidate(self->iommufd, self->parent,
					      HWPT_INVALIDATE_DATA_SPAPR_TCE,
					      &good, &count));

	bad[0] = good;
	bad[1] = good;
	bad[1].size = 0;
	bad[2] = good;
	bad[2].start += 4096;
	count = 3;
	EXPECT_EQ(-EINVAL, iommufd_invalidate(self->iommufd, self->hwpt,
					      HWPT_INVALIDATE_DATA_SPAPR_TCE,
					      bad, &count));
	EXPECT_EQ(1, count);
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(0, reach(self, 0, LOW, 2, 2) & REACHES);
}

/*
 * Memory that is unmapped takes along the TCEs that came from it, and no others.
 * They do not come back by themselves.
 */
TEST_F(nested, unmap)
{
	const size_t page = self->bed.page;
	const __u64 gpa = GiB;

	/* The same page twice, at addresses of their own */
	ASSERT_EQ(0, map(self, page, gpa, page, IOAS_READ_WRITE));
	ASSERT_EQ(0, map(self, page, 2 * gpa, page, IOAS_READ_WRITE));
	self->table[LOW][1] = htobe64(gpa | TCE_RW);
	self->table[LOW][2000] = htobe64((gpa + page - 4096) | TCE_RW);
	self->table[HIGH][600] = htobe64(gpa | TCE_RW);
	self->table[LOW][2] = htobe64(2 * gpa | TCE_RW);
	put(self, LOW, 3, 2, TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 600, 1));

	EXPECT_EQ(0, unmap(self, gpa, page));
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 1) & REACHES);
	EXPECT_EQ(0, dma_reach(&self->cdev[0].dma, bus(self, LOW, 2000),
			       self->bed.memory + 2 * page - 4096, 0, NULL) &
		     REACHES);
	EXPECT_EQ(0, reach(self, 0, HIGH, 600, 1) & REACHES);
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 2, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 3, 2));
	EXPECT_EQ(1, invalidate(self, HIGH, 600, 1));

	/* Other memory at the same address */
	EXPECT_EQ(0, map(self, 5 * page, gpa, page, IOAS_READ_WRITE));
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 5) & REACHES);
	EXPECT_EQ(0, invalidate(self, LOW, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 5));
	EXPECT_EQ(0, reach(self, 0, HIGH, 600, 5) & REACHES);
	EXPECT_EQ(0, invalidate(self, HIGH, 600, 1));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 600, 5));
}

/*
 * The same while the device writes there, each time later in a copy. Memory at the
 * same address again is not written before the guest's TCE has been named.
 */
TEST_F(nested, unmap_under_dma)
{
	const size_t page = self->bed.page;
	void *memory = self->bed.memory;
	struct dma_writer writer;
	const __u64 gpa = GiB;
	int i;

	ASSERT_EQ(0, map(self, 0, gpa, page, IOAS_READ_WRITE));
	self->table[LOW][1] = htobe64(gpa | TCE_RW);
	ASSERT_EQ(0, start(self));
	transcript_mute(1);
	dma_writer_start(&writer, &self->cdev[0].dma, bus(self, LOW, 1));
	for (i = 0; i < ROUNDS; i++) {
		EXPECT_TRUE(dma_writer_reaches(&writer, memory, page,
					       DMA_MANY_COPIES));
		usleep(i * 10 * 1000);
		EXPECT_EQ(0, unmap(self, gpa, page));
		EXPECT_FALSE(dma_writer_reaches(&writer, memory, page,
						DMA_NEXT_COPIES));
		EXPECT_EQ(0, map(self, 0, gpa, page, IOAS_READ_WRITE));
		EXPECT_FALSE(dma_writer_reaches(&writer, memory, page,
						DMA_NEXT_COPIES));
		EXPECT_EQ(0, invalidate(self, LOW, 1, 1));
	}
	dma_writer_stop(&writer);
}

/* Also for a page table that no device is attached to */
TEST_F(nested, unmap_detached)
{
	put(self, LOW, 1, 1, TCE_RW);
	ASSERT_EQ(0, allocate(self, &self->hwpt));
	EXPECT_EQ(0, unmap(self, 0, self->memory_size));
	EXPECT_EQ(0, cdev_attach(&self->cdev[0], self->hwpt));
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 1) & REACHES);
	EXPECT_EQ(0, map(self, 0, 0, self->memory_size, IOAS_READ_WRITE));
	EXPECT_EQ(0, invalidate(self, LOW, 0, 8));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
}

/* A table that is not mapped cannot be read; what was read from it stays. */
TEST_F(nested, unmap_table)
{
	__u32 hwpt;

	put(self, LOW, 1, 1, TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, unmap(self, TABLES, self->tables_size));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(-EFAULT, invalidate(self, LOW, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(-EFAULT, allocate(self, &hwpt));
}

/* Neither can a table whose memory has an error, and the kernel survives that. */
TEST_F(nested, memory_error)
{
	__u32 hwpt;

	put(self, LOW, 1, 1, TCE_RW);
	ASSERT_EQ(0, start(self));
	if (file_write(UNREADABLE, "Y"))
		SKIP(return, "the kernel has no probes");
	put(self, LOW, 1, 2, TCE_RW);
	put(self, HIGH, 1, 3, TCE_RW);
	EXPECT_EQ(-EFAULT, invalidate(self, LOW, 1, 1));
	EXPECT_EQ(-EFAULT, invalidate(self, LOW, 0, 600));
	EXPECT_EQ(-EFAULT, invalidate(self, HIGH, 0, 600));
	EXPECT_EQ(-EFAULT, allocate(self, &hwpt));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	ASSERT_EQ(0, file_write(UNREADABLE, "N"));
	EXPECT_EQ(0, invalidate(self, LOW, 1, 1));
	EXPECT_EQ(0, invalidate(self, HIGH, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 2));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 1, 3));
}

static void drop_second_window(SELF(nested) self)
{
	self->windows.num_windows = 1;
	memset(&self->windows.windows[1], 0, sizeof(self->windows.windows[1]));
}

/* A second window is added and removed; what the first has stays. */
TEST_F(nested, replace)
{
	const struct nested_windows two = self->windows;
	__u32 both;

	put(self, LOW, 1, 1, TCE_RW);
	put(self, HIGH, 1, 2, TCE_RW);
	drop_second_window(self);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(0, reach(self, 0, HIGH, 1, 2) & REACHES);
	self->windows = two;
	ASSERT_EQ(0, allocate(self, &both));
	ASSERT_EQ(0, cdev_attach(&self->cdev[0], both));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 1, 2));
	ASSERT_EQ(0, cdev_attach(&self->cdev[0], self->hwpt));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(0, reach(self, 0, HIGH, 1, 2) & REACHES);
}

/*
 * The same, again and again, while a device does DMA in the first window. On bare
 * metal nothing of it is lost. A partition has moments without a window.
 */
TEST_F(nested, replace_under_dma)
{
	const struct nested_windows two = self->windows;
	unsigned int lost;
	__u32 to[2];

	put(self, LOW, 1, 1, TCE_RW);
	put(self, HIGH, 1, 2, TCE_RW);
	drop_second_window(self);
	ASSERT_EQ(0, allocate(self, &to[0]));
	self->windows = two;
	ASSERT_EQ(0, allocate(self, &to[1]));
	ASSERT_EQ(0, cdev_attach(&self->cdev[0], to[0]));
	EXPECT_EQ(0, cdev_change_under_dma(&self->cdev[0], to,
					   bus(self, LOW, 1),
					   self->bed.memory + self->bed.page,
					   &lost));
	if (!testbed_is_partition())
		EXPECT_EQ(0, lost);

	EXPECT_EQ(0, cdev_attach(&self->cdev[0], to[1]));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 1, 2));
	EXPECT_EQ(0, cdev_attach(&self->cdev[0], to[0]));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(0, reach(self, 0, HIGH, 1, 2) & REACHES);
}

/* From the guest's tables to the addresses of the IOAS itself, and back */
TEST_F(nested, flat)
{
	__u32 flat;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &flat));
	ASSERT_EQ(0, iommufd_map(self->iommufd, flat, self->bed.memory, MiB,
				 self->bed.page, IOAS_READ_WRITE));
	put(self, LOW, 1, 1, TCE_RW);
	ASSERT_EQ(0, cdev_attach(&self->cdev[0], flat));
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(0, dma_reach(&self->cdev[0].dma, MiB, self->bed.memory, 0,
			       NULL) & REACHES);
	ASSERT_EQ(0, cdev_attach(&self->cdev[0], flat));
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 1) & REACHES);
	EXPECT_EQ(REACHES, dma_reach(&self->cdev[0].dma, MiB, self->bed.memory,
				     0, NULL));
}

/* What is in use stays; detached, a device reaches nothing. */
TEST_F(nested, order)
{
	put(self, LOW, 1, 1, TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->parent));
	EXPECT_EQ(0, cdev_detach(&self->cdev[0]));
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 1) & REACHES);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->parent));
	EXPECT_EQ(0, cdev_attach(&self->cdev[0], self->hwpt));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(0, cdev_detach(&self->cdev[0]));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->parent));
	EXPECT_EQ(0, unmap(self, 0, self->memory_size));
}

/* Devices of one group, and those of another */
TEST_F(nested, groups)
{
	int i;

	put(self, LOW, 1, 1, TCE_RW);
	ASSERT_EQ(0, start(self));
	for (i = 1; i < TESTBED_DEVICES; i++) {
		ASSERT_EQ(0, start_device(self, i));
		ASSERT_EQ(0, cdev_attach(&self->cdev[i], self->hwpt));
		EXPECT_EQ(REACHES, reach(self, i, LOW, 1, 1));
	}
	put(self, LOW, 1, 2, TCE_RW);
	EXPECT_EQ(0, invalidate(self, LOW, 1, 1));
	for (i = 0; i < TESTBED_DEVICES; i++) {
		EXPECT_EQ(0, reach(self, i, LOW, 1, 1) & REACHES);
		EXPECT_EQ(REACHES, reach(self, i, LOW, 1, 2));
	}
	EXPECT_EQ(0, unmap(self, 0, self->memory_size));
	for (i = 0; i < TESTBED_DEVICES; i++)
		EXPECT_EQ(0, reach(self, i, LOW, 1, 2) & REACHES);
}

/* Guest memory may be where bridges have their windows for BARs. */
TEST_F(nested, reserved)
{
	const __u64 gpa = 4 * GiB - self->bed.page;

	ASSERT_EQ(0, map(self, self->bed.page, gpa, self->bed.page,
			 IOAS_READ_WRITE));
	self->table[LOW][1] = htobe64(gpa | TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	if (!testbed_is_partition())
		EXPECT_GT(0, cdev_attach(&self->cdev[0], self->ioas));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
}

/* Windows that cannot be, one mistake at a time */
TEST_F(nested, wrong_windows)
{
	const struct nested_windows good = self->windows;
	__u32 hwpt, ioas, paging;

#define WRONG(error, change) do {					\
	self->windows = good;						\
	change;								\
	EXPECT_EQ(error, allocate(self, &hwpt));			\
} while (0)

	WRONG(-EOPNOTSUPP, self->windows.flags = 2);
	WRONG(-EINVAL, self->windows.num_windows = 0);
	WRONG(-EOPNOTSUPP, self->windows.num_windows = 1);
	WRONG(-EINVAL, self->windows.num_windows = 3);
	WRONG(-EINVAL, self->windows.windows[0].size = 0);
	WRONG(-EINVAL, self->windows.windows[0].size = 3 * MiB);
	WRONG(-EINVAL, self->windows.windows[0].size = 1ULL << 63);
	WRONG(-EINVAL, self->windows.windows[1].size = 2 * self->bed.page);
	WRONG(-EINVAL, self->windows.windows[0].page_shift = 13);
	WRONG(-EINVAL, self->windows.windows[0].page_shift = 31);
	WRONG(-EINVAL, self->windows.windows[0].page_shift = ~0U);
	WRONG(-EINVAL, self->windows.windows[0].levels = ~0U);
	WRONG(-EINVAL, self->windows.windows[0].start = 4096);
	WRONG(-EINVAL, self->windows.windows[1].start = good.windows[0].start);
	WRONG(-EINVAL, self->windows.windows[0].table++);
	WRONG(-EINVAL, self->windows.windows[1].table = PARENT_END);
	WRONG(-EINVAL, self->windows.windows[1].table =
		       PARENT_END - table_size(self, HIGH) + 8);
	WRONG(-EINVAL, self->windows.windows[1].table = -8ULL);
	WRONG(-EFAULT, self->windows.windows[1].table =
		       PARENT_END - table_size(self, HIGH));
	WRONG(-EFAULT, self->windows.windows[1].table = self->memory_size - 8);
	WRONG(-EFAULT, self->windows.windows[1].table += self->bed.page);
	WRONG(-EFAULT, self->windows.windows[1].size = 1ULL << 52);
#undef WRONG
	self->windows = good;
	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &ioas));
	ASSERT_EQ(0, iommufd_hwpt_alloc(self->iommufd, self->cdev[0].id, ioas,
					0, &paging));
	EXPECT_EQ(-EINVAL, iommufd_hwpt_alloc_nested(self->iommufd,
						     self->cdev[0].id, paging,
						     &good, &hwpt));
	EXPECT_EQ(-EINVAL, iommufd_hwpt_alloc_nested(self->iommufd,
						     self->cdev[0].id,
						     self->ioas, &good, &hwpt));
	EXPECT_EQ(0, start(self));
}

/* TCEs for huge pages, while the guest's memory has them */
TEST_F(nested, huge_pages)
{
	static const unsigned int shifts[] = { 24, 21 };
	const __u64 gpa = GiB;
	char *huge = NULL;
	unsigned int i;
	size_t size;

	for (i = 0; !huge && i < ARRAY_SIZE(shifts); i++) {
		size = 1UL << shifts[i];
		if (!(self->page_sizes & size))
			continue;
		huge = memory_get_huge(HUGE_PAGES, size, size);
		self->windows.windows[HIGH].page_shift = shifts[i];
	}
	if (!huge)
		SKIP(return, "no huge pages");
	if (testbed_is_partition())
		SKIP(return, "a partition has what the hypervisor grants");
	ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, huge, gpa, size,
				 IOAS_READ_WRITE));
	self->table[HIGH][1] = htobe64(gpa | TCE_RW);
	/* Memory of small pages does not do */
	self->table[HIGH][2] = htobe64(TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, dma_reach(&self->cdev[0].dma, bus(self, HIGH, 1),
				     huge, 0, NULL));
	EXPECT_EQ(REACHES, dma_reach(&self->cdev[0].dma,
				     bus(self, HIGH, 2) - 8, huge + size - 8, 0,
				     NULL));
	EXPECT_EQ(1, invalidate(self, HIGH, 0, 4));
	EXPECT_EQ(0, unmap(self, gpa, size));
	EXPECT_EQ(0, dma_reach(&self->cdev[0].dma, bus(self, HIGH, 1), huge, 0,
			       NULL) & REACHES);
	munmap(huge, size);
}

/* --- Threads against each other */

struct race {
	SELF(nested) self;
	atomic_bool stop, pause;
	atomic_long errors;
};

static void *invalidate_all(void *arg)
{
	struct race *race = arg;

	while (!race->stop)
		if (invalidate(race->self, LOW, 0, 600) < 0)
			race->errors++;
	return NULL;
}

/* A guest that changes what is read */
static void *write_tces(void *arg)
{
	struct race *race = arg;
	int i;

	for (i = 0; !race->stop; i++)
		put(race->self, LOW, i % 600, i % PAGES, i & TCE_RW);
	return NULL;
}

static void *allocate_and_free(void *arg)
{
	struct race *race = arg;
	__u32 hwpt;

	while (!race->stop)
		if (allocate(race->self, &hwpt) ||
		    iommufd_destroy(race->self->iommufd, hwpt))
			race->errors++;
	return NULL;
}

TEST_F(nested, races)
{
	void *(*const bodies[])(void *) = {
		invalidate_all, invalidate_all, write_tces, allocate_and_free,
	};
	struct race race = { .self = self };
	pthread_t threads[ARRAY_SIZE(bodies)];
	unsigned int i;

	/* Small tables, to be allocated often */
	drop_second_window(self);
	ASSERT_EQ(0, start(self));
	transcript_mute(1);
	for (i = 0; i < ARRAY_SIZE(bodies); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, bodies[i],
					    &race));
	for (i = 0; i < 50; i++) {
		EXPECT_EQ(0, unmap(self, 0, self->memory_size));
		EXPECT_EQ(0, map(self, 0, 0, self->memory_size,
				 IOAS_READ_WRITE));
		EXPECT_EQ(0, cdev_detach(&self->cdev[0]));
		EXPECT_EQ(0, cdev_attach(&self->cdev[0], self->hwpt));
	}
	/* With the guest still writing nothing comes back */
	EXPECT_EQ(0, unmap(self, 0, self->memory_size));
	race.stop = true;
	for (i = 0; i < ARRAY_SIZE(bodies); i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, race.errors);

	for (i = 0; i < PAGES; i++)
		put(self, LOW, i, i, TCE_RW);
	EXPECT_EQ(PAGES, invalidate(self, LOW, 0, PAGES));
	for (i = 0; i < PAGES; i += 5)
		EXPECT_EQ(0, reach(self, 0, LOW, i, i) & REACHES);
	EXPECT_EQ(0, map(self, 0, 0, self->memory_size, IOAS_READ_WRITE));
	EXPECT_EQ(0, invalidate(self, LOW, 0, PAGES));
	for (i = 0; i < PAGES; i += 5)
		EXPECT_EQ(REACHES, reach(self, 0, LOW, i, i));
}

static void *invalidate_at_times(void *arg)
{
	struct race *race = arg;

	while (!race->stop)
		if (race->pause)
			usleep(1000);
		else if (invalidate(race->self, LOW, 0, 512) < 0)
			race->errors++;
	return NULL;
}

/*
 * Memory is unmapped while its TCE is being named for the last time: what has been
 * found before is not in the page table afterwards. Named again, memory that has
 * been mapped again is written.
 */
TEST_F(nested, unmap_while_named)
{
	struct race race = { .self = self };
	const size_t page = self->bed.page;
	void *memory = self->bed.memory;
	struct dma_writer writer;
	const __u64 gpa = GiB;
	pthread_t thread;
	int i;

	self->table[LOW][1] = htobe64(gpa | TCE_RW);
	ASSERT_EQ(0, start(self));
	transcript_mute(1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, invalidate_at_times, &race));
	dma_writer_start(&writer, &self->cdev[0].dma, bus(self, LOW, 1));
	for (i = 0; i < 2 * ROUNDS; i++) {
		EXPECT_EQ(0, map(self, 0, gpa, page, IOAS_READ_WRITE));
		race.pause = false;
		EXPECT_TRUE(dma_writer_reaches(&writer, memory, page,
					       DMA_MANY_COPIES));
		race.pause = true;
		EXPECT_EQ(0, unmap(self, gpa, page));
		EXPECT_FALSE(dma_writer_reaches(&writer, memory, page,
						DMA_NEXT_COPIES));
	}
	dma_writer_stop(&writer);
	race.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, race.errors);
}

/* --- A hypervisor that takes its time to remove a window */

static void *detach(void *arg)
{
	SELF(nested) self = arg;

	return (void *)cdev_detach(&self->cdev[0]);
}

/* Return true if a window waits to be removed */
static bool held(void)
{
	char count = '0';
	int fd, tries;

	for (tries = 0; tries < 1000 && count == '0'; tries++) {
		usleep(10000);
		fd = open(SLOW "held", O_RDONLY);
		if (fd < 0 || read(fd, &count, 1) != 1)
			count = '0';
		close(fd);
	}
	return count != '0';
}

/*
 * Detach the device up to the removal of its second window, or just behind that.
 * Return false if that cannot be held
 */
static bool begin_to_leave(SELF(nested) self, bool late, pthread_t *thread)
{
	return !file_write(SLOW "hold_late", late ? "Y" : "N") &&
	       !file_write(SLOW "hold", self->bed.address[0]) &&
	       !pthread_create(thread, NULL, detach, self) && held();
}

static long leave(pthread_t thread)
{
	void *ret;

	file_write(SLOW "hold", "-");
	return pthread_join(thread, &ret) ? -EIO : (long)ret;
}

/*
 * The first window, whose turn comes later, does not keep what the guest clears
 * or replaces and then loses.
 */
TEST_F(nested, leaving)
{
	pthread_t thread;

	if (!testbed_is_partition())
		SKIP(return, "no hypervisor");
	put(self, LOW, 1, 1, TCE_RW);
	put(self, LOW, 2, 2, TCE_RW);
	put(self, LOW, 3, 3, TCE_RW);
	put(self, HIGH, 1, 4, TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 2, 2));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 3, 3));
	transcript_mute(1);
	ASSERT_TRUE(begin_to_leave(self, false, &thread));
	put(self, LOW, 1, 0, 0);
	put(self, LOW, 2, 5, TCE_RW);
	EXPECT_EQ(0, invalidate(self, LOW, 1, 1));
	EXPECT_EQ(0, invalidate(self, LOW, 2, 1));
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 1) & REACHES);
	EXPECT_EQ(0, reach(self, 0, LOW, 2, 2) & REACHES);
	EXPECT_EQ(0, unmap(self, 0, self->memory_size));
	EXPECT_EQ(0, reach(self, 0, LOW, 1, 1) & REACHES);
	EXPECT_EQ(0, reach(self, 0, LOW, 2, 2) & REACHES);
	EXPECT_EQ(0, reach(self, 0, LOW, 3, 3) & REACHES);
	EXPECT_EQ(0, leave(thread));
}

/* A page table is not lost with a window that the hypervisor has removed. */
TEST_F(nested, left)
{
	pthread_t thread;

	if (!testbed_is_partition())
		SKIP(return, "no hypervisor");
	put(self, LOW, 1, 1, TCE_RW);
	put(self, HIGH, 1, 2, TCE_RW);
	put(self, HIGH, 2, 3, TCE_RW);
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 1, 2));
	transcript_mute(1);
	ASSERT_TRUE(begin_to_leave(self, true, &thread));
	put(self, HIGH, 2, 0, 0);
	EXPECT_EQ(0, invalidate(self, HIGH, 2, 1));
	EXPECT_EQ(0, unmap(self, 0, self->memory_size));
	EXPECT_EQ(0, map(self, 0, 0, self->memory_size, IOAS_READ_WRITE));
	EXPECT_EQ(0, invalidate(self, HIGH, 1, 2));
	EXPECT_EQ(0, leave(thread));

	EXPECT_EQ(0, cdev_attach(&self->cdev[0], self->hwpt));
	EXPECT_EQ(0, invalidate(self, LOW, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, LOW, 1, 1));
	EXPECT_EQ(REACHES, reach(self, 0, HIGH, 1, 2));
}

TEST_HARNESS_MAIN
