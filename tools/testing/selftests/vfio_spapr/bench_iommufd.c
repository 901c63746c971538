// SPDX-License-Identifier: GPL-2.0
/*
 * What iommufd's ioctls cost: 64 MiB and one page mapped and unmapped in an
 * address space with a device, with TCEs as large as the kernel's pages and
 * with those of 4 KiB, and a device attached.
 *
 * bench_iommufd [OPERATION]
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/cdev.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define BUFFER_SIZE	(64 * MiB)

static int iommufd;
static struct cdev cdev;
static char *buffer;
static struct hw_info_windows info;

static long map(__u32 ioas, __u64 iova, size_t size)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOAS_READ_WRITE | IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas,
		.user_va = (unsigned long)buffer,
		.length = size,
		.iova = iova,
	};

	return ioctl(iommufd, IOMMU_IOAS_MAP, &map);
}

static long unmap(__u32 ioas, __u64 iova, size_t size)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = size,
	};

	return ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap);
}

/* Count the one or the other, not both, as one run has one marker at a time */
static void bench_map_of(__u32 ioas, __u64 iova, unsigned int shift,
			 size_t size, bool of_map)
{
	char name[64];
	long ret;

	snprintf(name, sizeof(name), "IOAS_%s,%luK,%lu%s",
		 of_map ? "MAP" : "UNMAP", (1UL << shift) / KiB,
		 size < MiB ? size / KiB : size / MiB,
		 size < MiB ? "KiB" : "MiB");
	bench_rounds(name) {
		if (of_map)
			bench_begin();
		ret = map(ioas, iova, size);
		if (of_map)
			bench_end(name, "TCE", size >> shift);
		bench_require(!ret, name, "map", ret);
		if (!of_map)
			bench_begin();
		ret = unmap(ioas, iova, size);
		if (!of_map)
			bench_end(name, "TCE", size >> shift);
		bench_require(!ret, name, "unmap", ret);
	}
}

static void bench_maps(unsigned int shift)
{
	const struct hwpt_windows windows = {
		.num_windows = 1,
		.windows = { {
			info.window_start[0],
			info.default_window_size ?: GiB, shift
		} },
	};
	__u32 ioas, hwpt;
	char name[64];
	long ret;

	ret = iommufd_ioas_alloc(iommufd, &ioas);
	bench_require(!ret, "IOAS", "alloc", ret);
	ret = iommufd_hwpt_alloc_windows(iommufd, cdev.id, ioas, &windows,
					 &hwpt);
	if (ret)
		return;		/* No such pages in this machine's window */
	ret = cdev_attach(&cdev, hwpt);
	if (ret == -EINVAL)
		return;		/* The same, where a hypervisor says so */
	bench_require(!ret, "IOAS", "attach", ret);
	for (int of_map = 0; of_map < 2; of_map++) {
		bench_map_of(ioas, 64 * MiB, shift, BUFFER_SIZE, of_map);
		bench_map_of(ioas, 64 * MiB, shift, page_size(), of_map);
	}
	snprintf(name, sizeof(name), "ATTACH,%luK,64MiB", (1UL << shift) / KiB);
	bench_rounds(name) {
		cdev_detach(&cdev);
		ret = map(ioas, 64 * MiB, BUFFER_SIZE);
		bench_require(!ret, name, "map", ret);
		bench_begin();
		ret = cdev_attach(&cdev, hwpt);
		bench_end(name, "ioctl", 1);
		bench_require(!ret, name, "attach", ret);
		unmap(ioas, 64 * MiB, BUFFER_SIZE);
	}
	cdev_detach(&cdev);
}

int main(int argc, char **argv)
{
	char address[PCI_ADDRESS_LEN];
	long ret;

	bench_choose(argv[1]);
	transcript_mute(1);
	if (dma_device_find(0, 0, address))
		return 4;
	pci_bind(address, "vfio-pci");
	if (access("/dev/vfio/devices", F_OK))
		return 0;	/* A kernel without device files */
	buffer = memory_get_present(BUFFER_SIZE);
	iommufd = iommufd_open();
	bench_require(iommufd >= 0, "iommufd", "open", iommufd);
	ret = cdev_open(&cdev, address);
	bench_require(!ret, "cdev", "open", ret);
	ret = cdev_bind(&cdev, iommufd);
	bench_require(!ret, "cdev", "bind", ret);
	ret = iommufd_hw_info(iommufd, cdev.id, &info);
	bench_require(!ret, "iommufd", "info", ret);

	bench_maps(page_shift());
	if (page_shift() != 12)
		bench_maps(12);
	return 0;
}
