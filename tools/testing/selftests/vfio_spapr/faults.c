// SPDX-License-Identifier: GPL-2.0-only
/*
 * User space decides how long a page fault takes. An ioctl of a container that
 * waits for one keeps no other waiting.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/vfio.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

/* For what does not take long, unless the machine is busy */
#define WAIT_SECONDS	60

FIXTURE(faults) {
	struct vfio_pci pci;
	struct vfio_iommu_spapr_tce_info info;
	char *page;		/* whose fault waits for us */
	int withheld;		/* its file */
	int answer;		/* that ask() has got */
};

FIXTURE_SETUP(faults)
{
	char address[PCI_ADDRESS_LEN];

	if (dma_device_find(0, 0, address))
		SKIP(return, "no device");
	self->page = memory_get(BASE_PAGES, page_size(),
				PROT_READ | PROT_WRITE);
	self->withheld = pages_withhold((unsigned long)self->page,
					page_size());

	pci_bind(address, "vfio-pci");
	vfio_pci_open(&self->pci, address, VFIO_SPAPR_TCE_IOMMU);
	ASSERT_EQ(container_enable(self->pci.container), 0);
	ASSERT_EQ(container_get_info(self->pci.container, &self->info), 0);
}

FIXTURE_TEARDOWN(faults)
{
	vfio_pci_close(&self->pci);
	munmap(self->page, page_size());
}

static void *map_page(void *arg)
{
	SELF(faults) self = arg;
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = READ_WRITE,
		.vaddr = (unsigned long)self->page,
		.iova = self->info.dma32_window_start,
		.size = page_size(),
	};

	return (void *)(long)ioctl(self->pci.container, VFIO_IOMMU_MAP_DMA,
				   &map);
}

static void *ask(void *arg)
{
	SELF(faults) self = arg;
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };

	self->answer = ioctl(self->pci.container,
			     VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);
	return NULL;
}

TEST_F(faults, map_v1)
{
	pthread_t mapper, asker;
	bool in_time;
	void *ret;

	ASSERT_EQ(pthread_create(&mapper, NULL, map_page, self), 0);
	EXPECT_TRUE(page_wanted(self->withheld));

	ASSERT_EQ(pthread_create(&asker, NULL, ask, self), 0);
	in_time = thread_ends(asker, WAIT_SECONDS);
	EXPECT_TRUE(in_time);

	page_supply(self->withheld, (unsigned long)self->page);
	if (!in_time)
		ASSERT_EQ(pthread_join(asker, NULL), 0);
	EXPECT_EQ(self->answer, 0);
	ASSERT_EQ(pthread_join(mapper, &ret), 0);
	EXPECT_EQ((long)ret, 0);
}

TEST_HARNESS_MAIN
