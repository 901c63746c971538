// SPDX-License-Identifier: GPL-2.0
/*
 * A partition whose hypervisor makes no DMA windows: iommufd says that there is
 * the default one alone, and what it says can be had.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define IOVA		MiB
#define REACHES		(DMA_READS | DMA_WRITES)

FIXTURE(without_ddw) {
	int iommufd;
	__u32 ioas;
	struct cdev cdev;
	char *memory;
	struct hw_info_windows info;
};

FIXTURE_SETUP(without_ddw)
{
	char address[PCI_ADDRESS_LEN];

	TRANSCRIPT_BEGIN(_metadata, NULL);
	self->iommufd = -1;
	self->cdev.file = -1;
	if (!testbed_is_partition())
		SKIP(return, "not a logical partition");
	if (dma_device_find(0, DMA_NO_MEMORY, address))
		SKIP(return, "no device");
	pci_bind(address, "vfio-pci");
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, cdev_open_for_dma(&self->cdev, address, self->iommufd));
	ASSERT_EQ(0, iommufd_hw_info(self->iommufd, self->cdev.id,
				     &self->info));
	if (self->info.num_windows > 1)
		SKIP(return, "the hypervisor makes windows");
	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &self->ioas));
	self->memory = memory_get_present(page_size());
}

FIXTURE_TEARDOWN(without_ddw)
{
	cdev_close(&self->cdev);
	vfio_close(&self->iommufd);
}

/* A page table with the default window, which has so many levels */
static long allocate(SELF(without_ddw) self, __u32 levels, __u32 *hwpt)
{
	const struct hwpt_windows windows = {
		.num_windows = 1,
		.windows = {
			{ self->info.window_start[0],
			  self->info.default_window_size, 12, levels },
		},
	};

	return iommufd_hwpt_alloc_windows(self->iommufd, self->cdev.id,
					  self->ioas, &windows, hwpt);
}

/* One level at least, and all that are said to be possible are accepted. */
TEST_F(without_ddw, levels)
{
	__u32 levels, hwpt;

	EXPECT_LE(1, self->info.max_levels);
	EXPECT_EQ(-EINVAL, allocate(self, self->info.max_levels + 1, &hwpt));
	for (levels = 0; levels <= self->info.max_levels; levels++)
		EXPECT_EQ(0, allocate(self, levels, &hwpt));

	ASSERT_EQ(0, allocate(self, 1, &hwpt));
	ASSERT_EQ(0, cdev_attach(&self->cdev, hwpt));
	ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, self->memory, IOVA,
				 page_size(), IOAS_READ_WRITE));
	EXPECT_EQ(REACHES, dma_reach(&self->cdev.dma, IOVA, self->memory, 0,
				     NULL));
}

TEST_HARNESS_MAIN
