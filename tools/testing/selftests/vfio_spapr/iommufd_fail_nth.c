// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each copy from user space fails in turn, in each call
 * that gives a device to iommufd, maps for it and changes its page table
 * (lib/fault.h).
 */
#include <linux/iommufd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../kselftest.h"
#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define IOVA		MiB
#define READ_WRITE	(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

static char address[PCI_ADDRESS_LEN];
static int iommufd = -1;
static struct cdev cdev = { .file = -1 };
static __u32 ioas[2], hwpt;
static struct hwpt_windows windows;
static void *memory;

static int bind(void)
{
	int ret = cdev_open(&cdev, address);

	if (!ret)
		ret = cdev_bind(&cdev, iommufd);
	if (ret)
		cdev_close(&cdev);
	return fault_result(ret);
}

static void unbind(void)
{
	cdev_close(&cdev);
}

static int attach(void)
{
	return fault_result(cdev_attach(&cdev, ioas[0]));
}

static void detach(void)
{
	cdev_detach(&cdev);
}

static int replace(void)
{
	return fault_result(cdev_attach(&cdev, ioas[1]));
}

static void replace_back(void)
{
	cdev_attach(&cdev, ioas[0]);
}

static int map(void)
{
	return fault_result(iommufd_map(iommufd, ioas[0], memory, IOVA,
					page_size(), READ_WRITE));
}

static void unmap(void)
{
	iommufd_unmap(iommufd, ioas[0], IOVA, page_size());
}

static int allocate(void)
{
	return fault_result(iommufd_hwpt_alloc_windows(iommufd, cdev.id,
						       ioas[0], &windows,
						       &hwpt));
}

static void deallocate(void)
{
	iommufd_destroy(iommufd, hwpt);
}

static void start(void)
{
	struct hw_info_windows info;

	pci_bind(address, "vfio-pci");
	memory = memory_get(BASE_PAGES, page_size(), PROT_READ | PROT_WRITE);
	iommufd = iommufd_open();
	VFIO_REQUIRE(iommufd >= 0, "/dev/iommu");
	VFIO_REQUIRE(!iommufd_ioas_alloc(iommufd, &ioas[0]), "IOAS");
	VFIO_REQUIRE(!iommufd_ioas_alloc(iommufd, &ioas[1]), "IOAS");
	VFIO_REQUIRE(!bind(), "bind");
	VFIO_REQUIRE(!iommufd_hw_info(iommufd, cdev.id, &info), "info");
	windows.num_windows = 1;
	windows.windows[0].start = info.window_start[0];
	windows.windows[0].size = info.default_window_size ?: GiB;
	windows.windows[0].page_shift = 12;
	unbind();
}

int main(void)
{
	ksft_print_header();
	if (__pci_find(EDU_VENDOR, EDU_DEVICE, 0, address))
		ksft_exit_skip("an edu device is needed\n");
	if (access("/dev/vfio/devices", F_OK))
		ksft_exit_skip("no device files\n");
	fault_allow();
	ksft_set_plan(5);
	transcript_mute(1);
	start();

	fault_test("bind", bind, unbind);
	VFIO_REQUIRE(!bind(), "bind");
	fault_test("attach", attach, detach);
	VFIO_REQUIRE(!attach(), "attach");
	fault_test("map", map, unmap);
	fault_test("replace", replace, replace_back);
	detach();
	fault_test("windows", allocate, deallocate);

	cdev_close(&cdev);
	vfio_close(&iommufd);
	ksft_finished();
}
