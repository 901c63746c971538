// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of calls that Documentation/arch/powerpc/iommufd.rst describes, from
 * opening the files to DMA by two windows and back. The documentation shows the
 * middle part of this file.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "lib/cdev.h"
#include "lib/flow.h"

/* Begin of what the documentation shows */
static __u32 bind_device(int device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};

	check(!ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind),
	      "VFIO_DEVICE_BIND_IOMMUFD");

	return bind.out_devid;
}

static unsigned int log2_of(__u64 number)
{
	return 63 - __builtin_clzll(number);
}

/*
 * A window for devices with addresses of 32 bits, and one of 1 GiB with the
 * largest pages that the memory allows
 */
static struct iommu_hwpt_spapr_tce choose_windows(int iommufd, __u32 id,
						  __u64 page_size)
{
	struct iommu_hw_info_spapr_tce info;
	struct iommu_hw_info query = {
		.size = sizeof(query),
		.dev_id = id,
		.data_len = sizeof(info),
		.data_uptr = (__u64)&info,
	};
	struct iommu_hwpt_spapr_tce windows = {
		.num_windows = 2,
	};
	__u64 fit;

	check(!ioctl(iommufd, IOMMU_GET_HW_INFO, &query) &&
	      query.out_data_type == IOMMU_HW_INFO_TYPE_SPAPR_TCE,
	      "IOMMU_GET_HW_INFO");
	check(info.num_windows == 2, "there can be two windows");

	/* In a partition the hypervisor has made it, of a size of its choice */
	windows.windows[0].start = info.window_start[0];
	windows.windows[0].size = 1ULL << 30;
	if (info.default_window_size)
		windows.windows[0].size =
			1ULL << log2_of(info.default_window_size);
	windows.windows[0].page_shift = 12;

	fit = info.page_sizes & (page_size | (page_size - 1));
	windows.windows[1].start = info.window_start[1];
	windows.windows[1].size = 1ULL << 30;
	windows.windows[1].page_shift = log2_of(fit);

	return windows;
}

/* Returns the page table's ID. The page table follows the IOAS. */
static __u32 make_page_table(int iommufd, __u32 id, __u32 ioas,
			     const struct iommu_hwpt_spapr_tce *windows)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = id,
		.pt_id = ioas,
		.data_type = IOMMU_HWPT_DATA_SPAPR_TCE,
		.data_len = sizeof(*windows),
		.data_uptr = (__u64)windows,
	};

	check(!ioctl(iommufd, IOMMU_HWPT_ALLOC, &alloc), "IOMMU_HWPT_ALLOC");

	return alloc.out_hwpt_id;
}

/* The same memory in both windows */
static void use_memory(int iommufd, __u32 ioas, int device, void *memory,
		       const struct iommu_hwpt_spapr_tce *windows)
{
	const __u64 low = windows->windows[0].start;
	const __u64 high = windows->windows[1].start;
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (__u64)memory,
		.length = DMA_SIZE,
		.iova = low,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = low,
		.length = DMA_SIZE,
	};

	/* Pins the memory and counts it against RLIMIT_MEMLOCK */
	check(!ioctl(iommufd, IOMMU_IOAS_MAP, &map),
	      "IOMMU_IOAS_MAP in the lower window");
	map.iova = high;
	check(!ioctl(iommufd, IOMMU_IOAS_MAP, &map),
	      "IOMMU_IOAS_MAP in the upper window");

	/* It reads by the lower window and writes by the upper one */
	device_copies(device, memory, low, high);

	check(!ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap),
	      "IOMMU_IOAS_UNMAP in the lower window");
	unmap.iova = high;
	check(!ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap),
	      "IOMMU_IOAS_UNMAP in the upper window");
}

static void flow(const char *path)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};
	int iommufd = open("/dev/iommu", O_RDWR);
	int device = open(path, O_RDWR);
	struct iommu_hwpt_spapr_tce windows;
	void *memory;
	__u32 id;

	check(iommufd >= 0, "open /dev/iommu");
	check(device >= 0, "open /dev/vfio/devices/vfioX");
	id = bind_device(device, iommufd);
	windows = choose_windows(iommufd, id, sysconf(_SC_PAGESIZE));

	check(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas), "IOMMU_IOAS_ALLOC");
	attach.pt_id = make_page_table(iommufd, id, ioas.out_ioas_id, &windows);
	check(!ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach),
	      "VFIO_DEVICE_ATTACH_IOMMUFD_PT");

	memory = mmap(NULL, DMA_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(memory != MAP_FAILED, "memory for DMA");
	use_memory(iommufd, ioas.out_ioas_id, device, memory, &windows);

	check(!ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach),
	      "VFIO_DEVICE_DETACH_IOMMUFD_PT");

	/* In any order; what is left is undone by the last of them */
	close(device);
	close(iommufd);
}

/* End of what the documentation shows */

int main(void)
{
	char address[PCI_ADDRESS_LEN], path[64];

	ksft_print_header();
	if (dma_device_find(0, 0, address))
		ksft_exit_skip("no device\n");
	pci_bind(address, "vfio-pci");
	if (cdev_path(address, path, sizeof(path)))
		ksft_exit_skip("no device files\n");
	ksft_set_plan(17);

	flow(path);

	ksft_finished();
}
