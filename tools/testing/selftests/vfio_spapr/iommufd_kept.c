// SPDX-License-Identifier: GPL-2.0
/*
 * A hypervisor fails to clear TCEs. The kernel keeps the pages that they point to
 * from other use until the TCEs are cleared or the window is removed. Or it refuses
 * TCEs: then nothing is mapped.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/nested.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define REACHES		(DMA_READS | DMA_WRITES)
#define PARAMETERS	"/sys/module/refuse_tces/parameters/"
#define REFUSE		PARAMETERS "refuse"
#define REFUSE_PUT	PARAMETERS "refuse_put"
#define PUTS		PARAMETERS "puts"
#define PFN		((1ULL << 55) - 1)
#define TABLE		(1ULL << 40)
#define TCE_RW		3ULL

FIXTURE(kept) {
	struct testbed bed;
	int iommufd, pagemap;
	__u32 ioas, hwpt;
	struct cdev cdev[TESTBED_DEVICES];
	struct hw_info_windows info;
	size_t page;
	char *memory, *other;
	__u64 frame;
};

FIXTURE_VARIANT(kept) {
	const char *name;
	int window;
	bool nested;
};

FIXTURE_VARIANT_ADD(kept, default_window) { "default_window", 0, false };
FIXTURE_VARIANT_ADD(kept, second_window) { "second_window", 1, false };
FIXTURE_VARIANT_ADD(kept, nested_default_window) { "nested_default_window", 0, true };
FIXTURE_VARIANT_ADD(kept, nested_second_window) { "nested_second_window", 1, true };

static __u64 frame_of(SELF(kept) self, const void *memory)
{
	const off_t at = (unsigned long)memory / self->page * sizeof(__u64);
	__u64 entry = 0;

	VFIO_REQUIRE(pread(self->pagemap, &entry, sizeof(entry), at) ==
		     sizeof(entry) && entry & PFN, "pagemap");
	return entry & PFN;
}

static char *take(SELF(kept) self, size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	VFIO_REQUIRE(memory != MAP_FAILED, "memory");
	madvise(memory, size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < size; i += self->page)
		memory[i] = 1;
	return memory;
}

/* Does somebody who needs memory get the page? */
static bool given(SELF(kept) self)
{
	struct sysinfo info;
	bool found = false;
	size_t size, i;
	char *memory;

	VFIO_REQUIRE(!sysinfo(&info), "sysinfo");
	size = info.freeram * info.mem_unit / 4 * 3 & ~(self->page - 1);
	memory = take(self, size);
	for (i = 0; i < size && !found; i += self->page)
		found = frame_of(self, memory + i) == self->frame;
	munmap(memory, size);
	return found;
}

/* Have the hypervisor refuse device 0 what @parameter stands for, or no longer */
static void set_refused(SELF(kept) self, const char *parameter, bool refused)
{
	VFIO_REQUIRE(!file_write(parameter, refused ? self->bed.address[0] : "-"),
		     "refuse_tces");
}

static void refuse(SELF(kept) self, bool refused)
{
	set_refused(self, REFUSE, refused);
}

static long map(SELF(kept) self, const void *memory, __u64 iova)
{
	return iommufd_map(self->iommufd, self->ioas, memory, iova, self->page,
			   IOAS_READ_WRITE);
}

static long unmap(SELF(kept) self, __u64 iova)
{
	return iommufd_unmap(self->iommufd, self->ioas, iova, self->page);
}

static __u64 window_start(SELF(kept) self, VARIANT(kept) variant)
{
	return self->info.window_start[variant->window];
}

/* Where both pages are mapped: in the window, or as a guest's memory */
static __u64 place(SELF(kept) self, VARIANT(kept) variant, int page)
{
	return (variant->nested ? 0 : window_start(self, variant)) +
	       page * self->page;
}

static struct hwpt_window window(SELF(kept) self, VARIANT(kept) variant)
{
	const bool first = !variant->window;

	return (struct hwpt_window) {
		.start = window_start(self, variant),
		.size = first ? self->info.default_window_size : GiB,
		.page_shift = first ? 12 : page_shift(),
	};
}

static long start_plain(SELF(kept) self, VARIANT(kept) variant)
{
	struct hwpt_windows windows = {
		.num_windows = 1,
		.windows = { window(self, variant) },
	};
	long ret;

	ret = iommufd_hwpt_alloc_windows(self->iommufd, self->cdev[0].id,
					 self->ioas, &windows, &self->hwpt);
	if (!ret)
		ret = cdev_attach(&self->cdev[0], self->hwpt);
	if (!ret)
		ret = map(self, self->memory, place(self, variant, 0));
	return ret;
}

/* The guest's table says that the window's first bytes are its first page. */
static long start_nested(SELF(kept) self, VARIANT(kept) variant)
{
	struct nested_windows windows = { .num_windows = 1 };
	const struct hwpt_window w = window(self, variant);
	size_t size = w.size >> w.page_shift << 3;
	char *table = take(self, size);
	__u32 parent;
	long ret;

	for (size_t i = 0; i < self->page >> w.page_shift; i++)
		((__be64 *)table)[i] = htobe64(i << w.page_shift | TCE_RW);
	windows.windows[0].start = w.start;
	windows.windows[0].size = w.size;
	windows.windows[0].page_shift = w.page_shift;
	windows.windows[0].table = TABLE;
	ret = iommufd_map(self->iommufd, self->ioas, table, TABLE, size,
			  IOAS_READ_WRITE);
	if (!ret)
		ret = iommufd_hwpt_alloc(self->iommufd, self->cdev[0].id,
					 self->ioas,
					 IOMMU_HWPT_ALLOC_NEST_PARENT, &parent);
	if (!ret)
		ret = map(self, self->memory, place(self, variant, 0));
	if (!ret)
		ret = iommufd_hwpt_alloc_nested(self->iommufd,
						self->cdev[0].id, parent,
						&windows, &self->hwpt);
	return ret ? ret : cdev_attach(&self->cdev[0], self->hwpt);
}

FIXTURE_SETUP(kept)
{
	const char *lacking;
	cpu_set_t cpu;

	TRANSCRIPT_BEGIN(_metadata, variant->name);
	lacking = cdev_start_bed(&self->bed, DMA_NO_MEMORY, self->cdev,
				 &self->iommufd);
	if (lacking)
		SKIP(return, "%s", lacking);

	/* A page that is freed is given first to who needs one on that CPU. */
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	self->page = page_size();
	self->pagemap = open("/proc/self/pagemap", O_RDONLY);
	self->memory = take(self, self->page);
	self->other = take(self, self->page);
	self->frame = frame_of(self, self->memory);

	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, cdev_open(&self->cdev[0], self->bed.address[0]));
	ASSERT_EQ(0, cdev_bind(&self->cdev[0], self->iommufd));
	cdev_start_dma(&self->cdev[0]);
	ASSERT_EQ(0, iommufd_hw_info(self->iommufd, self->cdev[0].id,
				     &self->info));
	ASSERT_EQ(0, variant->nested ? start_nested(self, variant) :
				       start_plain(self, variant));
	ASSERT_EQ(REACHES, dma_reach(&self->cdev[0].dma,
				     window_start(self, variant), self->memory,
				     0, NULL));
}

FIXTURE_TEARDOWN(kept)
{
	refuse(self, false);
	set_refused(self, REFUSE_PUT, false);
	cdev_close_bed(self->cdev, &self->iommufd);
	close(self->pagemap);
}

/* Unmap what the device reaches, and give it back to the kernel */
static long lose(SELF(kept) self, VARIANT(kept) variant)
{
	long ret = unmap(self, place(self, variant, 0));

	munmap(self->memory, self->page);
	return ret;
}

/* The hypervisor clears the TCE, and nothing is kept. */
TEST_F(kept, cleared)
{
	ASSERT_EQ(0, lose(self, variant));
	EXPECT_TRUE(given(self));
}

/* It does not, and clears it the next time that it is asked to. */
TEST_F(kept, cleared_later)
{
	refuse(self, true);
	ASSERT_EQ(0, lose(self, variant));
	EXPECT_FALSE(given(self));
	ASSERT_EQ(0, map(self, self->other, place(self, variant, 1)));
	ASSERT_EQ(0, unmap(self, place(self, variant, 1)));
	EXPECT_FALSE(given(self));

	refuse(self, false);
	ASSERT_EQ(0, map(self, self->other, place(self, variant, 1)));
	ASSERT_EQ(0, unmap(self, place(self, variant, 1)));
	EXPECT_TRUE(given(self));
}

/* Other memory is mapped at the address, and unmapped. */
TEST_F(kept, mapped_over)
{
	refuse(self, true);
	ASSERT_EQ(0, lose(self, variant));
	ASSERT_EQ(0, map(self, self->other, place(self, variant, 0)));
	EXPECT_FALSE(given(self));
	refuse(self, false);
	ASSERT_EQ(0, unmap(self, place(self, variant, 0)));
	EXPECT_TRUE(given(self));
}

/* The window goes with its TCEs, except for the one that the partition starts with. */
TEST_F(kept, detached)
{
	refuse(self, true);
	ASSERT_EQ(0, lose(self, variant));
	EXPECT_FALSE(given(self));
	ASSERT_EQ(0, cdev_detach(&self->cdev[0]));
	EXPECT_EQ(variant->window == 1, given(self));
	ASSERT_EQ(0, iommufd_destroy(self->iommufd, self->hwpt));
	EXPECT_EQ(variant->window == 1, given(self));
}

/*
 * Of memory that takes more than one list, the hypervisor has taken the first for one
 * PE. No PE keeps anything of it, and it can be mapped later.
 */
TEST_F(kept, put_refused)
{
	const __u64 iova = place(self, variant, 1);
	const size_t size = 600 * self->page;
	struct cdev *cdev = self->cdev;
	char *memory;
	int i;

	if (variant->nested)
		SKIP(return, "a guest's TCEs are put by its hypercalls");
	ASSERT_EQ(0, cdev_open_bound(&cdev[2], self->bed.address[2],
				     self->iommufd));
	cdev_start_dma(&cdev[2]);
	ASSERT_EQ(0, cdev_attach(&cdev[2], self->hwpt));
	memory = take(self, size);

	/* Refuse all but one list */
	ASSERT_EQ(0, file_write(PUTS, "1"));
	set_refused(self, REFUSE_PUT, true);
	EXPECT_EQ(-ENOSPC, iommufd_map(self->iommufd, self->ioas, memory, iova,
				       size, IOAS_READ_WRITE));
	for (i = 0; i < 3; i += 2) {
		EXPECT_EQ(0, REACHES & dma_reach(&cdev[i].dma, iova, memory, 0,
						 NULL));
		EXPECT_EQ(REACHES, dma_reach(&cdev[i].dma,
					     window_start(self, variant),
					     self->memory, 0, NULL));
	}

	set_refused(self, REFUSE_PUT, false);
	ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, memory, iova, size,
				 IOAS_READ_WRITE));
	for (i = 0; i < 3; i += 2)
		EXPECT_EQ(REACHES, dma_reach(&cdev[i].dma,
					     iova + size - self->page,
					     memory + size - self->page, 0,
					     NULL));
}

TEST_HARNESS_MAIN
