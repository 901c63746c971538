// SPDX-License-Identifier: GPL-2.0
/*
 * Device files and iommufd: a device reaches what is mapped in the address
 * space that its group is attached to, through all of the apertures, and
 * nothing else.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/harness.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES		16
#define REACHES		(DMA_READS | DMA_WRITES)
#define MAX_RANGES	8
/* Where drivers of a bare-metal host reach all memory */
#define BYPASS		(1ULL << 59)

/* What drivers of devices need, at the same place in all address spaces */
#define DEVICE_MEMORY	(512 * KiB)
#define ROOM		(64 * KiB)	/* for each */

FIXTURE(iommufd) {
	struct testbed bed;
	int iommufd;
	__u32 ioas[2];
	struct cdev cdev[TESTBED_DEVICES];
	void *device_memory;
};

static long alloc_ioas(SELF(iommufd) self, __u32 *ioas)
{
	long ret = iommufd_ioas_alloc(self->iommufd, ioas);

	if (ret || !self->device_memory)
		return ret;
	return iommufd_map(self->iommufd, *ioas, self->device_memory,
			   DEVICE_MEMORY, TESTBED_DEVICES * ROOM,
			   IOAS_READ_WRITE);
}

FIXTURE_SETUP(iommufd)
{
	const char *lacking;
	int i;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	lacking = cdev_start_bed(&self->bed, 0, self->cdev, &self->iommufd);
	if (lacking)
		SKIP(return, "%s", lacking);
	testbed_take_memory(&self->bed, PAGES * self->bed.page);
	if (!testbed_can(&self->bed, DMA_NO_MEMORY))
		self->device_memory = memory_get(BASE_PAGES + GiB,
						 TESTBED_DEVICES * ROOM,
						 PROT_READ | PROT_WRITE);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, alloc_ioas(self, &self->ioas[i]));
}

FIXTURE_TEARDOWN(iommufd)
{
	cdev_close_bed(self->cdev, &self->iommufd);
}

static void start_dma(SELF(iommufd) self, int i)
{
	struct dma_device *dma = &self->cdev[i].dma;

	dma_device_open(dma, self->cdev[i].file);
	VFIO_REQUIRE(dma_device_memory(dma) <= ROOM, "room");
	dma_device_init(dma, self->device_memory + i * ROOM,
			DEVICE_MEMORY + i * ROOM);
}

/* Bring device number @i to where it can do DMA to the address space */
static long attach(SELF(iommufd) self, int i, __u32 to)
{
	struct cdev *cdev = &self->cdev[i];
	long ret;

	if (cdev->file < 0) {
		ret = cdev_open_bound(cdev, self->bed.address[i],
				      self->iommufd);
		if (ret)
			return ret;
		start_dma(self, i);
	}
	return cdev_attach(cdev, to);
}

static void *page_at(SELF(iommufd) self, int nr)
{
	return self->bed.memory + nr * self->bed.page;
}

static unsigned int reach(SELF(iommufd) self, int i, __u64 iova, int page)
{
	return dma_reach(&self->cdev[i].dma, iova, page_at(self, page), 0,
			 NULL);
}

/* Map one page, number @page of the test's memory */
static long map(SELF(iommufd) self, __u32 ioas, int page, __u64 iova)
{
	return iommufd_map(self->iommufd, ioas, page_at(self, page), iova,
			   self->bed.page, IOAS_READ_WRITE);
}

static long unmap(SELF(iommufd) self, __u32 ioas, __u64 iova)
{
	return iommufd_unmap(self->iommufd, ioas, iova, self->bed.page);
}

/* A device that is not bound cannot be attached. */
TEST_F(iommufd, order)
{
	struct cdev *cdev = &self->cdev[0];

	ASSERT_EQ(0, cdev_open(cdev, self->bed.address[0]));
	EXPECT_EQ(-EINVAL, cdev_attach(cdev, self->ioas[0]));
	EXPECT_EQ(-EINVAL, cdev_bind(cdev, -1));
	ASSERT_EQ(0, cdev_bind(cdev, self->iommufd));
	EXPECT_EQ(-EINVAL, cdev_bind(cdev, self->iommufd));
	EXPECT_EQ(-ENOENT, cdev_attach(cdev, 12345));
	EXPECT_EQ(0, cdev_attach(cdev, self->ioas[0]));
	EXPECT_EQ(0, cdev_attach(cdev, self->ioas[0]));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas[0]));
	EXPECT_EQ(0, cdev_detach(cdev));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas[0]));
}

/* A device that is bound but not attached reaches nothing, by no way. */
TEST_F(iommufd, bound)
{
	const __u64 iova = MiB;
	__u64 real;

	/* Nothing pins the page yet, so only a write makes it be there */
	memset(page_at(self, 0), 1, self->bed.page);
	real = memory_physical(page_at(self, 0));
	ASSERT_EQ(0, map(self, self->ioas[0], 0, iova));
	ASSERT_EQ(0, cdev_open_bound(&self->cdev[0], self->bed.address[0],
				     self->iommufd));
	start_dma(self, 0);
	EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);
	EXPECT_EQ(0, reach(self, 0, real, 0) & REACHES);
	EXPECT_EQ(0, reach(self, 0, BYPASS | real, 0) & REACHES);

	/* The bypass does not come back either, attached or detached again */
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
	EXPECT_EQ(0, reach(self, 0, BYPASS | real, 0) & REACHES);
	ASSERT_EQ(0, cdev_detach(&self->cdev[0]));
	EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);
	EXPECT_EQ(0, reach(self, 0, BYPASS | real, 0) & REACHES);
}

/* The first and the last page of each range, and pages between them */
TEST_F(iommufd, edges)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	const size_t page = self->bed.page;
	long count, i;

	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	count = iommufd_ranges(self->iommufd, self->ioas[0], ranges,
			       MAX_RANGES);
	ASSERT_LE(1, count);
	ASSERT_GE(MAX_RANGES, count);

	for (i = 0; i < count; i++) {
		const __u64 first = ranges[i].start;
		const __u64 last = ranges[i].last + 1 - page;

		EXPECT_EQ(0, map(self, self->ioas[0], 0, first));
		EXPECT_EQ(0, map(self, self->ioas[0], 1, last));
		EXPECT_EQ(REACHES, reach(self, 0, first, 0));
		EXPECT_EQ(REACHES, dma_reach(&self->cdev[0].dma,
					     first + page - 8,
					     page_at(self, 0) + page - 8, 0,
					     NULL));
		EXPECT_EQ(REACHES, reach(self, 0, last, 1));
		if (last != first + page)
			EXPECT_EQ(0, reach(self, 0, first + page, 2) & REACHES);
		EXPECT_EQ(0, unmap(self, self->ioas[0], first));
		EXPECT_EQ(0, unmap(self, self->ioas[0], last));
		EXPECT_EQ(0, reach(self, 0, first, 0) & REACHES);
		EXPECT_EQ(0, reach(self, 0, last, 1) & REACHES);
	}

	/* What lies outside of the ranges cannot be mapped */
	for (i = 0; i < count; i++)
		EXPECT_EQ(-EINVAL, map(self, self->ioas[0], 0,
				       ranges[i].last + 1));
}

/* Room for the memory of any user, at its own address */
TEST_F(iommufd, large)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	long count, i;
	bool found = false;

	if (testbed_is_partition())
		SKIP(return, "a partition has what the hypervisor grants");
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	count = iommufd_ranges(self->iommufd, self->ioas[0], ranges,
			       MAX_RANGES);
	ASSERT_LE(1, count);
	for (i = 0; i < count && i < MAX_RANGES; i++)
		found |= ranges[i].last >= (1ULL << 47) - 1 &&
			 ranges[i].start <= 1ULL << 32;
	EXPECT_TRUE(found);
	EXPECT_EQ(0, map(self, self->ioas[0], 3,
			 (unsigned long)page_at(self, 3)));
	EXPECT_EQ(REACHES, reach(self, 0, (unsigned long)page_at(self, 3), 3));
}

/*
 * Where the hypervisor makes windows, a partition has room for all of its memory
 * in a second one without asking for it.
 */
TEST_F(iommufd, large_window)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	struct hw_info_windows info;
	struct sysinfo memory;
	__u64 iova;

	if (!testbed_is_partition())
		SKIP(return, "a host has all in one window");
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	ASSERT_EQ(0, iommufd_hw_info(self->iommufd, self->cdev[0].id, &info));
	ASSERT_EQ(info.num_windows, iommufd_ranges(self->iommufd, self->ioas[0],
						   ranges, MAX_RANGES));
	EXPECT_EQ(info.window_start[0], ranges[0].start);
	EXPECT_EQ(info.window_start[0] + info.default_window_size - 1,
		  ranges[0].last);
	if (info.num_windows == 1)
		SKIP(return, "the hypervisor makes no windows");

	ASSERT_EQ(0, sysinfo(&memory));
	iova = info.window_start[1] +
	       (memory.totalram * memory.mem_unit & -self->bed.page);
	EXPECT_EQ(info.window_start[1], ranges[1].start);
	EXPECT_LE(iova, ranges[1].last);
	EXPECT_EQ(0, map(self, self->ioas[0], 3, iova));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 3));
}

/* A page that may only be read is not written */
TEST_F(iommufd, read_only)
{
	const __u64 iova = MiB;

	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(0, iommufd_map(self->iommufd, self->ioas[0], self->bed.memory,
				 iova, self->bed.page,
				 IOMMU_IOAS_MAP_READABLE));
	EXPECT_EQ(0, map(self, self->ioas[0], 1, 2 * iova));
	EXPECT_EQ(DMA_READS, dma_reach(&self->cdev[0].dma, iova,
				       self->bed.memory, 2 * iova,
				       page_at(self, 1)));
}

/* What was mapped before the device came, and what is unmapped later */
TEST_F(iommufd, mapped_before)
{
	const __u64 iova = MiB;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
	EXPECT_EQ(0, unmap(self, self->ioas[0], iova));
	EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);
	/* Another page at the same address */
	EXPECT_EQ(0, map(self, self->ioas[0], 1, iova));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 1));
}

/* Detached, a device reaches nothing, and attached again all that is mapped. */
TEST_F(iommufd, detach)
{
	const __u64 iova = MiB;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(0, cdev_detach(&self->cdev[0]));
	EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);
	EXPECT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
}

/* Devices of one group are attached one by one and detached so. */
TEST_F(iommufd, siblings)
{
	const __u64 iova = MiB;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	ASSERT_EQ(0, attach(self, 1, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
	EXPECT_EQ(REACHES, reach(self, 1, iova, 0));
	/* The group stays for as long as one is attached */
	EXPECT_EQ(0, cdev_detach(&self->cdev[0]));
	EXPECT_EQ(REACHES, reach(self, 1, iova, 0));
	EXPECT_EQ(0, cdev_detach(&self->cdev[1]));
	EXPECT_EQ(0, reach(self, 1, iova, 0) & REACHES);
}

/* Siblings cannot be in two address spaces; they change together. */
TEST_F(iommufd, siblings_apart)
{
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(-EINVAL, attach(self, 1, self->ioas[1]));
	EXPECT_EQ(0, attach(self, 1, self->ioas[0]));
}

/* Two groups in one address space */
TEST_F(iommufd, groups)
{
	const __u64 iova = MiB;
	__u32 hwpt;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	ASSERT_EQ(0, attach(self, 2, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
	EXPECT_EQ(REACHES, reach(self, 2, iova, 0));
	EXPECT_EQ(0, map(self, self->ioas[0], 1, 2 * iova));
	EXPECT_EQ(REACHES, reach(self, 0, 2 * iova, 1));
	EXPECT_EQ(REACHES, reach(self, 2, 2 * iova, 1));
	EXPECT_EQ(0, unmap(self, self->ioas[0], iova));
	EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);
	EXPECT_EQ(0, reach(self, 2, iova, 0) & REACHES);

	/* And in one page table */
	EXPECT_EQ(0, iommufd_hwpt_alloc(self->iommufd, self->cdev[0].id,
					self->ioas[0], 0, &hwpt));
	EXPECT_EQ(0, attach(self, 0, hwpt));
	EXPECT_EQ(0, attach(self, 2, hwpt));
	EXPECT_EQ(REACHES, reach(self, 0, 2 * iova, 1));
	EXPECT_EQ(REACHES, reach(self, 2, 2 * iova, 1));
	cdev_close(&self->cdev[0]);
	EXPECT_EQ(REACHES, reach(self, 2, 2 * iova, 1));
}

/* A change of the address space, there and back */
TEST_F(iommufd, replace)
{
	const __u64 iova = MiB;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	EXPECT_EQ(0, map(self, self->ioas[1], 1, iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
	EXPECT_EQ(0, attach(self, 0, self->ioas[1]));
	EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);
	EXPECT_EQ(REACHES, reach(self, 0, iova, 1));
	EXPECT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
}

/*
 * Change device 0 between two page tables that map page 0 at @iova, while it
 * does DMA there. On bare metal it reaches the page at any time. A partition has
 * moments without a window.
 */
static void expect_dma_goes_on(struct __test_metadata *_metadata,
			       SELF(iommufd) self, const __u32 to[2],
			       __u64 iova)
{
	unsigned int lost;

	EXPECT_EQ(0, cdev_change_under_dma(&self->cdev[0], to, iova,
					   page_at(self, 0), &lost));
	if (!testbed_is_partition())
		EXPECT_EQ(0, lost);
}

TEST_F(iommufd, replace_under_dma)
{
	const __u64 iova = MiB;

	if (!testbed_can(&self->bed, DMA_TAKES_TIME))
		SKIP(return, "nothing can happen during a copy");
	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	EXPECT_EQ(0, map(self, self->ioas[1], 0, iova));
	EXPECT_EQ(0, map(self, self->ioas[1], 1, 2 * iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	expect_dma_goes_on(_metadata, self, self->ioas, iova);

	/* And where it ends up it has all of that address space */
	EXPECT_EQ(0, attach(self, 0, self->ioas[1]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
	EXPECT_EQ(REACHES, reach(self, 0, 2 * iova, 1));
}

/*
 * A page is unmapped while device 0 writes there, each time later in a copy. From
 * then on the device does not write to it, and writes to the next one that is
 * mapped there.
 */
TEST_F(iommufd, unmap_under_dma)
{
	const size_t page = self->bed.page;
	const __u64 iova = MiB;
	struct dma_writer writer;
	int i;

	if (!testbed_can(&self->bed, DMA_TAKES_TIME))
		SKIP(return, "nothing can happen during a copy");
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	transcript_mute(1);
	dma_writer_start(&writer, &self->cdev[0].dma, iova);
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(0, map(self, self->ioas[0], i, iova));
		EXPECT_TRUE(dma_writer_reaches(&writer, page_at(self, i), page,
					       DMA_MANY_COPIES));
		usleep(i * 10 * 1000);
		EXPECT_EQ(0, unmap(self, self->ioas[0], iova));
		EXPECT_FALSE(dma_writer_reaches(&writer, page_at(self, i), page,
						DMA_NEXT_COPIES));
	}
	dma_writer_stop(&writer);
	/* Nor has it been while others were mapped */
	EXPECT_EQ(0, memcmp(page_at(self, 0), page_at(self, 0) + 1,
			    PAGES * page - 1));
}

/* Devices of one group change together. */
TEST_F(iommufd, siblings_replace)
{
	const __u64 iova = MiB;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	EXPECT_EQ(0, map(self, self->ioas[1], 1, iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	ASSERT_EQ(0, attach(self, 1, self->ioas[0]));
	EXPECT_EQ(0, attach(self, 0, self->ioas[1]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 1));
	EXPECT_EQ(REACHES, reach(self, 1, iova, 1));
	EXPECT_EQ(0, reach(self, 1, iova, 0) & REACHES);
}

static void *unplug(void *address)
{
	__pci_remove(address);
	return NULL;
}

/*
 * A device is unplugged while it is attached: this waits for its user. The
 * sibling keeps what it reaches, and what is plugged in again gets it, too.
 */
TEST_F(iommufd, unplug)
{
	char *address = self->bed.address[0];
	const __u64 iova = MiB;
	pthread_t thread;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	ASSERT_EQ(0, attach(self, 1, self->ioas[0]));
	VFIO_REQUIRE(!pthread_create(&thread, NULL, unplug, address), "thread");
	usleep(200 * 1000);
	EXPECT_TRUE(pci_present(address));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
	cdev_close(&self->cdev[0]);
	pthread_join(thread, NULL);
	EXPECT_FALSE(pci_present(address));

	EXPECT_EQ(REACHES, reach(self, 1, iova, 0));
	EXPECT_EQ(0, map(self, self->ioas[0], 1, 2 * iova));
	EXPECT_EQ(REACHES, reach(self, 1, 2 * iova, 1));
	ASSERT_TRUE(pci_comes_back(address));
	EXPECT_EQ(REACHES, reach(self, 1, iova, 0));
	pci_bind(address, "vfio-pci");
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, 2 * iova, 1));
}

/* All devices of a group are unplugged: nothing of it is in the domain then. */
TEST_F(iommufd, unplug_all)
{
	const __u64 iova = MiB;
	pthread_t thread[2];
	int i;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, attach(self, i, self->ioas[0]));
	for (i = 0; i < 2; i++) {
		VFIO_REQUIRE(!pthread_create(&thread[i], NULL, unplug,
					     self->bed.address[i]), "thread");
		usleep(100 * 1000);
		cdev_close(&self->cdev[i]);
		pthread_join(thread[i], NULL);
	}
	/* The other group goes on, and changes reach it alone */
	EXPECT_EQ(0, map(self, self->ioas[0], 1, 2 * iova));
	EXPECT_EQ(REACHES, reach(self, 2, 2 * iova, 1));
	EXPECT_EQ(0, unmap(self, self->ioas[0], iova));
	EXPECT_EQ(0, reach(self, 2, iova, 0) & REACHES);

	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(pci_comes_back(self->bed.address[i]));
		pci_bind(self->bed.address[i], "vfio-pci");
	}
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, 2 * iova, 1));
	EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);
}

/* Two device files and the iommufd are closed in each order. */
TEST_F(iommufd, close_orders)
{
	static const int orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	const __u64 iova = MiB;
	unsigned int order, i;

	for (order = 0; order < ARRAY_SIZE(orders); order++) {
		EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
		ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
		ASSERT_EQ(0, attach(self, 1, self->ioas[0]));
		for (i = 0; i < 3; i++) {
			const int which = orders[order][i];

			if (which == 2)
				vfio_close(&self->iommufd);
			else
				cdev_close(&self->cdev[which]);
			/* The device files keep what they are attached to */
			if (self->cdev[0].file >= 0)
				EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
			if (self->cdev[1].file >= 0)
				EXPECT_EQ(REACHES, reach(self, 1, iova, 0));
		}
		self->iommufd = iommufd_open();
		ASSERT_LE(0, self->iommufd);
		ASSERT_EQ(0, alloc_ioas(self, &self->ioas[0]));
		/* Closing the iommufd has unmapped the page */
		ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
		EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);
	}
}

/* Allocate a page table with @windows for the address space @ioas */
static long alloc_windows(SELF(iommufd) self, __u32 ioas,
			  const struct hwpt_windows *windows, __u32 *hwpt)
{
	return iommufd_hwpt_alloc_windows(self->iommufd, self->cdev[0].id, ioas,
					  windows, hwpt);
}

/* Attach device 0 to such a page table */
static long attach_windows(SELF(iommufd) self, __u32 ioas,
			   const struct hwpt_windows *windows)
{
	__u32 hwpt;
	long ret = alloc_windows(self, ioas, windows, &hwpt);

	return ret ? ret : attach(self, 0, hwpt);
}

/* Two windows that every machine can have */
static void two_windows(SELF(iommufd) self, struct hwpt_windows *windows)
{
	struct hw_info_windows info;

	if (iommufd_hw_info(self->iommufd, self->cdev[0].id, &info))
		return;
	*windows = (struct hwpt_windows) {
		.num_windows = 2,
		.windows = {
			{ info.window_start[0],
			  info.default_window_size ?: GiB, 12 },
			{ info.window_start[1], 8 * GiB, page_shift() },
		},
	};
}

static struct hwpt_windows first_window(const struct hwpt_windows *windows)
{
	struct hwpt_windows one = *windows;

	one.num_windows = 1;
	memset(&one.windows[1], 0, sizeof(one.windows[1]));
	return one;
}

/*
 * Whether device 0 reaches memory from @iova, which is in no window. On bare
 * metal it is a page further: QEMU's bridges leave out the bits of an address
 * that the window has no room for, and find what is mapped at the rest.
 */
static bool strays(SELF(iommufd) self, __u64 iova)
{
	const size_t page = self->bed.page;

	return dma_strays(&self->cdev[0].dma,
			  testbed_is_partition() ? iova : iova + page,
			  self->bed.memory, PAGES * page);
}

/* Windows of the user's choice are what can be mapped, and all that can. */
TEST_F(iommufd, windows)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	struct hwpt_windows windows = {};
	const size_t page = self->bed.page;
	__u64 low, high;

	ASSERT_EQ(0, cdev_open_bound(&self->cdev[0], self->bed.address[0],
				     self->iommufd));
	start_dma(self, 0);
	two_windows(self, &windows);
	ASSERT_EQ(2, windows.num_windows);
	ASSERT_EQ(0, attach_windows(self, self->ioas[0], &windows));

	low = windows.windows[0].start + windows.windows[0].size - page;
	high = windows.windows[1].start;
	ASSERT_EQ(2, iommufd_ranges(self->iommufd, self->ioas[0], ranges,
				    MAX_RANGES));
	EXPECT_EQ(windows.windows[0].start, ranges[0].start);
	EXPECT_EQ(low + page - 1, ranges[0].last);
	EXPECT_EQ(high, ranges[1].start);
	EXPECT_EQ(high + windows.windows[1].size - 1, ranges[1].last);

	EXPECT_EQ(0, map(self, self->ioas[0], 0, low));
	EXPECT_EQ(0, map(self, self->ioas[0], 1, high));
	EXPECT_EQ(0, map(self, self->ioas[0], 2, ranges[1].last + 1 - page));
	EXPECT_EQ(-EINVAL, map(self, self->ioas[0], 3, low + page));
	EXPECT_EQ(-EINVAL, map(self, self->ioas[0], 3, high - page));
	EXPECT_EQ(-EINVAL, map(self, self->ioas[0], 3, ranges[1].last + 1));
	EXPECT_EQ(REACHES, reach(self, 0, low, 0));
	EXPECT_EQ(REACHES, reach(self, 0, high, 1));
	EXPECT_EQ(REACHES, reach(self, 0, ranges[1].last + 1 - page, 2));
	EXPECT_EQ(0, reach(self, 0, high + page, 3) & REACHES);
	EXPECT_FALSE(strays(self, low + page));
	EXPECT_FALSE(strays(self, high - 3 * page));
	EXPECT_FALSE(strays(self, ranges[1].last + 1));
	EXPECT_EQ(0, unmap(self, self->ioas[0], high));
	EXPECT_EQ(0, reach(self, 0, high, 1) & REACHES);
	EXPECT_EQ(REACHES, reach(self, 0, low, 0));
}

/* To change windows is to change the page table: there and back. */
TEST_F(iommufd, change_windows)
{
	struct hwpt_windows windows = {}, one;
	const size_t page = self->bed.page;
	__u64 low, high;

	ASSERT_EQ(0, cdev_open_bound(&self->cdev[0], self->bed.address[0],
				     self->iommufd));
	start_dma(self, 0);
	two_windows(self, &windows);
	ASSERT_EQ(2, windows.num_windows);
	one = first_window(&windows);
	low = windows.windows[0].start + page;
	high = windows.windows[1].start + page;

	ASSERT_EQ(0, attach_windows(self, self->ioas[0], &one));
	EXPECT_EQ(0, map(self, self->ioas[0], 0, low));
	EXPECT_EQ(REACHES, reach(self, 0, low, 0));
	EXPECT_EQ(-EINVAL, map(self, self->ioas[0], 1, high));
	/* The other address space has both windows */
	EXPECT_EQ(0, map(self, self->ioas[1], 0, low));
	EXPECT_EQ(0, map(self, self->ioas[1], 1, high));
	ASSERT_EQ(0, attach_windows(self, self->ioas[1], &windows));
	EXPECT_EQ(REACHES, reach(self, 0, low, 0));
	EXPECT_EQ(REACHES, reach(self, 0, high, 1));
	ASSERT_EQ(0, attach_windows(self, self->ioas[0], &one));
	EXPECT_EQ(REACHES, reach(self, 0, low, 0));
	EXPECT_EQ(0, reach(self, 0, high, 1) & REACHES);
	EXPECT_EQ(0, cdev_detach(&self->cdev[0]));
	EXPECT_EQ(0, reach(self, 0, low, 0) & REACHES);
}

/* A second window is added and removed while DMA goes on in the first one. */
TEST_F(iommufd, change_windows_under_dma)
{
	struct hwpt_windows windows = {}, one;
	const size_t page = self->bed.page;
	__u64 low, high;
	__u32 to[2];

	if (!testbed_can(&self->bed, DMA_TAKES_TIME))
		SKIP(return, "nothing can happen during a copy");
	ASSERT_EQ(0, cdev_open_bound(&self->cdev[0], self->bed.address[0],
				     self->iommufd));
	start_dma(self, 0);
	two_windows(self, &windows);
	ASSERT_EQ(2, windows.num_windows);
	one = first_window(&windows);
	low = windows.windows[0].start + page;
	high = windows.windows[1].start + page;
	ASSERT_EQ(0, alloc_windows(self, self->ioas[0], &one, &to[0]));
	ASSERT_EQ(0, alloc_windows(self, self->ioas[1], &windows, &to[1]));
	ASSERT_EQ(0, map(self, self->ioas[0], 0, low));
	ASSERT_EQ(0, map(self, self->ioas[1], 0, low));
	ASSERT_EQ(0, map(self, self->ioas[1], 1, high));
	ASSERT_EQ(0, attach(self, 0, to[0]));
	expect_dma_goes_on(_metadata, self, to, low);

	EXPECT_EQ(0, attach(self, 0, to[1]));
	EXPECT_EQ(REACHES, reach(self, 0, low, 0));
	EXPECT_EQ(REACHES, reach(self, 0, high, 1));
	EXPECT_EQ(0, attach(self, 0, to[0]));
	EXPECT_EQ(REACHES, reach(self, 0, low, 0));
	EXPECT_EQ(0, reach(self, 0, high, 1) & REACHES);
}

/* The smallest window */
TEST_F(iommufd, four_pages)
{
	struct hwpt_windows windows = {};
	const size_t page = self->bed.page;
	__u64 high;

	ASSERT_EQ(0, cdev_open_bound(&self->cdev[0], self->bed.address[0],
				     self->iommufd));
	start_dma(self, 0);
	two_windows(self, &windows);
	ASSERT_EQ(2, windows.num_windows);
	windows.windows[1].size = 4 * page;
	high = windows.windows[1].start;
	ASSERT_EQ(0, attach_windows(self, self->ioas[0], &windows));
	EXPECT_EQ(0, map(self, self->ioas[0], 0, high));
	EXPECT_EQ(0, map(self, self->ioas[0], 1, high + 3 * page));
	EXPECT_EQ(-EINVAL, map(self, self->ioas[0], 2, high + 4 * page));
	EXPECT_EQ(REACHES, reach(self, 0, high, 0));
	EXPECT_EQ(REACHES, reach(self, 0, high + 3 * page, 1));
	EXPECT_FALSE(strays(self, high + 4 * page));
}

/* Windows that no bridge has, one mistake at a time */
TEST_F(iommufd, wrong_windows)
{
	struct hwpt_windows good = {}, bad;

	ASSERT_EQ(0, cdev_open_bound(&self->cdev[0], self->bed.address[0],
				     self->iommufd));
	start_dma(self, 0);
	two_windows(self, &good);
	ASSERT_EQ(2, good.num_windows);

#define WRONG(error, change) do {					\
	bad = good;							\
	change;								\
	EXPECT_EQ(error, attach_windows(self, self->ioas[0], &bad));	\
} while (0)

	WRONG(-EOPNOTSUPP, bad.flags = 1);
	WRONG(-EINVAL, bad.num_windows = 0);
	WRONG(-EOPNOTSUPP, bad.num_windows = 1);
	WRONG(-EINVAL, bad.num_windows = 3);
	WRONG(-EINVAL, bad.windows[0].size = 0);
	WRONG(-EINVAL, bad.windows[0].size = 3 * MiB);
	WRONG(-EINVAL, bad.windows[0].size = 1ULL << 63);
	WRONG(-EINVAL, bad.windows[1].size = 1ULL << page_shift());
	WRONG(-EINVAL, bad.windows[1].size = 2ULL << page_shift());
	WRONG(-EINVAL, bad.windows[0].page_shift = 0);
	WRONG(-EINVAL, bad.windows[0].page_shift = 13);
	WRONG(-EINVAL, bad.windows[0].page_shift = 30);
	WRONG(-EINVAL, bad.windows[0].page_shift = ~0U);
	WRONG(-EINVAL, bad.windows[0].levels = 6);
	WRONG(-EINVAL, bad.windows[0].levels = ~0U);
	WRONG(-EINVAL, bad.windows[0].start = 4096);
	WRONG(-EINVAL, bad.windows[0].start = good.windows[1].start);
	WRONG(-EINVAL, bad.windows[1].start = 1ULL << 60);
	WRONG(-EINVAL, bad.windows[1].start = good.windows[0].start);
#undef WRONG
	EXPECT_EQ(0, attach_windows(self, self->ioas[0], &good));
}

/* What a partition has without asking can be used in part, and not changed. */
TEST_F(iommufd, wrong_default_window)
{
	struct hwpt_windows good = {}, bad;
	struct hw_info_windows info;
	__u32 hwpt;

	ASSERT_EQ(0, cdev_open_bound(&self->cdev[0], self->bed.address[0],
				     self->iommufd));
	ASSERT_EQ(0, iommufd_hw_info(self->iommufd, self->cdev[0].id, &info));
	if (!info.default_window_size)
		SKIP(return, "no default window");
	two_windows(self, &good);

#define ALLOC(error, change) do {					\
	bad = good;							\
	change;								\
	EXPECT_EQ(error, iommufd_hwpt_alloc_windows(self->iommufd,	\
						    self->cdev[0].id,	\
						    self->ioas[0], &bad, \
						    &hwpt));		\
} while (0)

	ALLOC(-EINVAL, bad.windows[0].size *= 2);
	ALLOC(-EINVAL, bad.windows[0].page_shift = 16);
	ALLOC(0, bad.windows[0].size /= 2);
#undef ALLOC
}

/* A group's file and its device files exclude each other. */
TEST_F(iommufd, group_file)
{
	struct testbed *bed = &self->bed;

	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(-EBUSY, __vfio_group_open(bed->iommu_group[0]));
	cdev_close(&self->cdev[0]);

	testbed_open(bed, VFIO_SPAPR_TCE_v2_IOMMU);
	ASSERT_EQ(0, cdev_open(&self->cdev[1], bed->address[1]));
	EXPECT_GT(0, cdev_bind(&self->cdev[1], self->iommufd));
	/* Another group has no part in it */
	EXPECT_EQ(0, attach(self, 2, self->ioas[0]));
	testbed_close(bed);
}

/* After iommufd the sPAPR container, and after that iommufd */
TEST_F(iommufd, in_turn)
{
	struct testbed *bed = &self->bed;
	const __u64 iova = MiB;

	EXPECT_EQ(0, map(self, self->ioas[0], 0, iova));
	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
	cdev_close(&self->cdev[0]);

	testbed_open(bed, VFIO_SPAPR_TCE_v2_IOMMU);
	ASSERT_EQ(0, testbed_get_info(bed));
	testbed_open_device(bed, 0);
	EXPECT_EQ(0, dma_reach(&bed->dma[0], iova, bed->memory, 0, NULL) &
		     REACHES);
	testbed_close(bed);

	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	EXPECT_EQ(REACHES, reach(self, 0, iova, 0));
}

/* Map page number @page in the container of @bed, whatever its type is */
static long map_in(struct testbed *bed, int page, __u64 iova)
{
	const __u64 memory = (unsigned long)bed->memory + page * bed->page;
	long ret = 0;

	if (bed->type == VFIO_SPAPR_TCE_v2_IOMMU)
		ret = container_register(bed->container, memory, bed->page);
	return ret ? ret : container_map(bed->container, memory, iova,
					 bed->page, READ_WRITE);
}

/* A container and an iommufd with a device each do not disturb each other. */
TEST_F(iommufd, beside_container)
{
	struct testbed *bed = &self->bed;
	const __u64 iova = MiB;
	__u64 bus;

	testbed_open(bed, VFIO_SPAPR_TCE_v2_IOMMU);
	ASSERT_EQ(0, testbed_get_info(bed));
	bus = bed->start + iova;
	testbed_open_device(bed, 0);
	ASSERT_EQ(0, map_in(bed, 0, bus));
	ASSERT_EQ(0, attach(self, 2, self->ioas[0]));
	ASSERT_EQ(0, map(self, self->ioas[0], 1, iova));
	EXPECT_EQ(REACHES, dma_reach(&bed->dma[0], bus, page_at(self, 0), 0,
				     NULL));
	EXPECT_EQ(REACHES, reach(self, 2, iova, 1));
	EXPECT_EQ(0, dma_reach(&bed->dma[0], bus, page_at(self, 1), 0, NULL) &
		     REACHES);
	EXPECT_EQ(0, reach(self, 2, iova, 0) & REACHES);

	EXPECT_EQ(0, unmap(self, self->ioas[0], iova));
	EXPECT_EQ(0, reach(self, 2, iova, 1) & REACHES);
	EXPECT_EQ(REACHES, dma_reach(&bed->dma[0], bus, page_at(self, 0), 0,
				     NULL));
	EXPECT_EQ(0, map(self, self->ioas[0], 1, iova));
	testbed_close(bed);
	EXPECT_EQ(REACHES, reach(self, 2, iova, 1));
}

/* An iommufd as a container of type 1, for programs of other platforms */
TEST_F(iommufd, type1)
{
	struct testbed *bed = &self->bed;
	const int iommufd = iommufd_open();
	const __u64 iova = MiB;

	ASSERT_LE(0, iommufd);
	testbed_open_as(bed, iommufd, VFIO_TYPE1v2_IOMMU);
	testbed_open_device(bed, 0);
	ASSERT_EQ(0, map_in(bed, 0, iova));
	EXPECT_EQ(REACHES, dma_reach(&bed->dma[0], iova, page_at(self, 0), 0,
				     NULL));
	ASSERT_EQ(0, container_map(iommufd, (__u64)page_at(self, 1), 2 * iova,
				   bed->page, READ_ONLY));
	EXPECT_EQ(DMA_READS, dma_reach(&bed->dma[0], 2 * iova, page_at(self, 1),
				       iova, page_at(self, 0)));
	EXPECT_EQ(0, container_unmap(iommufd, iova, bed->page));
	EXPECT_EQ(0, dma_reach(&bed->dma[0], iova, page_at(self, 0), 0, NULL) &
		     REACHES);
	EXPECT_EQ(-ENOTTY, container_enable(iommufd));
	testbed_close(bed);
}

/* Map what the limit of locked memory lets through, and a page more. */
static void expect_limit(struct __test_metadata *_metadata,
			 SELF(iommufd) self)
{
	const size_t page = self->bed.page;
	const __u64 iova = MiB;
	long pins;
	int i;

	ASSERT_EQ(0, attach(self, 0, self->ioas[0]));
	pins = leak_pins();
	ASSERT_TRUE(memory_limit_locked(4 * page));
	EXPECT_EQ(-ENOMEM, iommufd_map(self->iommufd, self->ioas[0],
				       self->bed.memory, iova, 5 * page,
				       IOAS_READ_WRITE));
	EXPECT_EQ(pins, leak_pins());
	EXPECT_EQ(0, reach(self, 0, iova, 0) & REACHES);

	/* Nothing has been charged for what failed */
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, map(self, self->ioas[0], i, iova + i * page));
	EXPECT_EQ(-ENOMEM, map(self, self->ioas[0], 4, iova + 4 * page));
	EXPECT_EQ(pins + 4, leak_pins());
	EXPECT_EQ(REACHES, reach(self, 0, iova + 3 * page, 3));
	EXPECT_EQ(0, reach(self, 0, iova + 4 * page, 4) & REACHES);

	EXPECT_EQ(0, unmap(self, self->ioas[0], iova + page));
	EXPECT_EQ(0, map(self, self->ioas[0], 4, iova + 4 * page));
	EXPECT_EQ(REACHES, reach(self, 0, iova + 4 * page, 4));
	EXPECT_EQ(pins + 4, leak_pins());
}

TEST_F(iommufd, limit_of_user)
{
	const long locked = memory_locked();

	expect_limit(_metadata, self);
	EXPECT_EQ(locked, memory_locked());
}

/* Also by process, as containers count */
TEST_F(iommufd, limit_of_process)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = 1,
	};
	const long locked = memory_locked();

	vfio_close(&self->iommufd);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioctl(self->iommufd, IOMMU_OPTION, &option));
	ASSERT_EQ(0, alloc_ioas(self, &self->ioas[0]));
	expect_limit(_metadata, self);
	EXPECT_EQ(locked + 4 * self->bed.page / KiB, memory_locked());
}

TEST_HARNESS_MAIN
