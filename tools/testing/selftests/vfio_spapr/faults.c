// SPDX-License-Identifier: GPL-2.0-only
/*
 * User space decides how long a page fault takes. An ioctl of a container that
 * waits for one keeps no other waiting.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
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
	int uffd;
};

/* A page that is not there before fill() */
static bool empty_page(SELF(faults) self)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	self->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (self->uffd < 0 || ioctl(self->uffd, UFFDIO_API, &api))
		return false;

	self->page = memory_get(BASE_PAGES, page_size(),
				PROT_READ | PROT_WRITE);
	reg.range.start = (unsigned long)self->page;
	reg.range.len = page_size();

	return !ioctl(self->uffd, UFFDIO_REGISTER, &reg);
}

static bool fault_waits(SELF(faults) self)
{
	struct pollfd uffd = { .fd = self->uffd, .events = POLLIN };

	return poll(&uffd, 1, WAIT_SECONDS * 1000) == 1;
}

static bool fill(SELF(faults) self)
{
	struct uffdio_zeropage zero = {
		.range.start = (unsigned long)self->page,
		.range.len = page_size(),
	};

	return !ioctl(self->uffd, UFFDIO_ZEROPAGE, &zero);
}

FIXTURE_SETUP(faults)
{
	char address[PCI_ADDRESS_LEN];

	if (dma_device_find(0, 0, address))
		SKIP(return, "no device");
	if (!empty_page(self))
		SKIP(return, "no userfaultfd");

	pci_bind(address, "vfio-pci");
	vfio_pci_open(&self->pci, address, VFIO_SPAPR_TCE_IOMMU);
	ASSERT_EQ(container_enable(self->pci.container), 0);
	ASSERT_EQ(container_get_info(self->pci.container, &self->info), 0);
}

FIXTURE_TEARDOWN(faults)
{
	close(self->uffd);
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

	return (void *)(long)ioctl(self->pci.container,
				   VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);
}

TEST_F(faults, map_v1)
{
	struct timespec end;
	pthread_t mapper, asker;
	void *ret = (void *)-1L;
	int timeout;

	ASSERT_EQ(pthread_create(&mapper, NULL, map_page, self), 0);
	EXPECT_TRUE(fault_waits(self));

	ASSERT_EQ(pthread_create(&asker, NULL, ask, self), 0);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_SECONDS;
	timeout = pthread_timedjoin_np(asker, &ret, &end);
	EXPECT_EQ(timeout, 0);

	EXPECT_TRUE(fill(self));
	if (timeout)
		ASSERT_EQ(pthread_join(asker, &ret), 0);
	EXPECT_EQ((long)ret, 0);
	ASSERT_EQ(pthread_join(mapper, &ret), 0);
	EXPECT_EQ((long)ret, 0);
}

TEST_HARNESS_MAIN
