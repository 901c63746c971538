// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of calls that Documentation/arch/powerpc/spapr-tce.rst describes,
 * from opening the files to DMA and back. The documentation shows the middle
 * part of this file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "lib/flow.h"

/* Begin of what the documentation shows */
static int open_container(int group)
{
	int container = open("/dev/vfio/vfio", O_RDWR);

	check(container >= 0, "open the container");
	check(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container),
	      "VFIO_GROUP_SET_CONTAINER");
	check(ioctl(container, VFIO_CHECK_EXTENSION,
		    VFIO_SPAPR_TCE_v2_IOMMU) == 1, "VFIO_CHECK_EXTENSION");
	check(!ioctl(container, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU),
	      "VFIO_SET_IOMMU");

	return container;
}

/*
 * A window for @size bytes of DMA with the largest pages that the memory
 * allows, instead of the default window. Returns its bus address.
 */
static __u64 make_window(int container, __u64 size, __u64 page_size)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_spapr_tce_remove remove = { .argsz = sizeof(remove) };
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.window_size = size,
		.levels = 1,
	};
	__u64 fit;
	int ret;

	check(!ioctl(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info),
	      "VFIO_IOMMU_SPAPR_TCE_GET_INFO");
	check(info.flags & VFIO_IOMMU_SPAPR_INFO_DDW, "windows can be made");

	/* Costs nothing as long as nothing has been mapped or created */
	remove.start_addr = info.dma32_window_start;
	check(!ioctl(container, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove),
	      "VFIO_IOMMU_SPAPR_TCE_REMOVE");

	fit = info.ddw.pgsizes & (page_size | (page_size - 1));
	create.page_shift = 63 - __builtin_clzll(fit);

	/* A table of one level is one piece of memory: too large at some point */
	do {
		ret = ioctl(container, VFIO_IOMMU_SPAPR_TCE_CREATE, &create);
	} while (ret && errno == ENOMEM && ++create.levels <= info.ddw.levels);
	check(!ret, "VFIO_IOMMU_SPAPR_TCE_CREATE");

	return create.start_addr;
}

static void use_memory(int container, int device, void *memory, __u64 bus)
{
	struct vfio_iommu_spapr_register_memory range = {
		.argsz = sizeof(range),
		.vaddr = (__u64)memory,
		.size = DMA_SIZE,
	};
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (__u64)memory,
		.iova = bus,
		.size = DMA_SIZE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = bus,
		.size = DMA_SIZE,
	};

	/* Pins the memory and counts it against RLIMIT_MEMLOCK */
	check(!ioctl(container, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &range),
	      "VFIO_IOMMU_SPAPR_REGISTER_MEMORY");
	check(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map), "VFIO_IOMMU_MAP_DMA");

	device_copies(device, memory, bus, bus);

	/* Mapped memory cannot be taken away from the device */
	check(ioctl(container, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &range) &&
	      errno == EBUSY, "mapped memory stays registered");

	check(!ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap),
	      "VFIO_IOMMU_UNMAP_DMA");
	check(!ioctl(container, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &range),
	      "VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY");
}

static void flow(int group, const char *address)
{
	int container = open_container(group);
	__u64 bus = make_window(container, 1UL << 30, sysconf(_SC_PAGESIZE));
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	void *memory;

	check(device >= 0, "VFIO_GROUP_GET_DEVICE_FD");
	memory = mmap(NULL, DMA_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(memory != MAP_FAILED, "memory for DMA");

	use_memory(container, device, memory, bus);

	/* In any order; what is left is undone by the last of them */
	close(device);
	close(container);
	close(group);
}

/* End of what the documentation shows */

int main(void)
{
	char address[PCI_ADDRESS_LEN];

	ksft_print_header();
	if (dma_device_find(0, 0, address))
		ksft_exit_skip("no device\n");
	ksft_set_plan(18);

	pci_bind(address, "vfio-pci");
	flow(vfio_group_open(pci_iommu_group(address)), address);

	ksft_finished();
}
