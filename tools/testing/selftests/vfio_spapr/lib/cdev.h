/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VFIO device files and the iommufd that they are bound to, for test programs.
 *
 * Each function returns 0, or what it says, or -errno, and writes the call to
 * the transcript. Objects of an iommufd are named by their IDs.
 */
#ifndef VFIO_SPAPR_CDEV_H
#define VFIO_SPAPR_CDEV_H

#include <linux/types.h>
#include <stddef.h>

#include "dma_device.h"
#include "testbed.h"

struct iommu_iova_range;
struct vfio_eeh_pe_err;

/* What memory is mapped for, see <linux/iommufd.h> */
#define IOAS_READ_WRITE	(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

/* Return: a file, which the caller closes */
int iommufd_open(void);

long iommufd_ioas_alloc(int iommufd, __u32 *ioas);
long iommufd_destroy(int iommufd, __u32 id);

/**
 * iommufd_map() - Map memory at an address of the test's choice
 * @iommufd: the file
 * @ioas: the address space
 * @memory: page aligned
 * @iova: bus address
 * @size: in bytes
 * @flags: IOMMU_IOAS_MAP_READABLE and _WRITEABLE
 *
 * Return: 0 or -errno.
 */
long iommufd_map(int iommufd, __u32 ioas, const void *memory, __u64 iova,
		 size_t size, __u32 flags);

/* Return: 0 when all @size bytes were unmapped, else -errno */
long iommufd_unmap(int iommufd, __u32 ioas, __u64 iova, size_t size);

/* Fill in up to @count ranges. Return: how many there are, or -errno */
long iommufd_ranges(int iommufd, __u32 ioas, struct iommu_iova_range *ranges,
		    unsigned int count);

/* Allocate a page table for @device that follows the IOAS or page table @of */
long iommufd_hwpt_alloc(int iommufd, __u32 device, __u32 of, __u32 flags,
			__u32 *hwpt);

/*
 * IOMMU_HWPT_DATA_SPAPR_TCE and IOMMU_HW_INFO_TYPE_SPAPR_TCE with their
 * structures, see <linux/iommufd.h>, which not all kernels have
 */
#define HWPT_DATA_SPAPR_TCE	4
#define HW_INFO_SPAPR_TCE	5

struct hwpt_window {
	__u64 start;
	__u64 size;
	__u32 page_shift;
	__u32 levels;
};

struct hwpt_windows {
	__u32 flags;
	__u32 num_windows;
	struct hwpt_window windows[2];
};

struct hw_info_windows {
	__u32 flags;
	__u32 num_windows;
	__u64 page_sizes;
	__u64 window_start[2];
	__u64 max_size;
	__u64 default_window_size;
	__u32 max_levels;
	__u32 reserved;
	/* 0 where the kernel has no nested page tables */
	__u64 nested_page_sizes;
};

/*
 * As iommufd_hwpt_alloc(), with @data of @type, @size bytes long. Without a
 * transcript: returns what the ioctl does.
 */
int iommufd_hwpt_alloc_data(int iommufd, __u32 device, __u32 of, __u32 type,
			    const void *data, __u32 size, __u32 *hwpt);

/* As iommufd_hwpt_alloc(), with @windows of the test's choice */
long iommufd_hwpt_alloc_windows(int iommufd, __u32 device, __u32 of,
				const struct hwpt_windows *windows,
				__u32 *hwpt);

/* What windows @device can have */
long iommufd_hw_info(int iommufd, __u32 device, struct hw_info_windows *info);

/**
 * struct cdev - PCI function behind a device file
 * @file: the device file, -1 when it is not open
 * @id: of the function in the iommufd that it is bound to
 * @dma: the function's driver and registers, once it is started
 */
struct cdev {
	int file;
	__u32 id;
	struct dma_device dma;
};

/* Find the device file of the function at @address, bound to vfio-pci */
long cdev_path(const char *address, char *path, size_t size);

/* Open that file */
long cdev_open(struct cdev *cdev, const char *address);
long cdev_bind(struct cdev *cdev, int iommufd);
/* Both; after an error the device file may be open */
long cdev_open_bound(struct cdev *cdev, const char *address, int iommufd);
/* And start DMA, see cdev_start_dma() */
long cdev_open_for_dma(struct cdev *cdev, const char *address, int iommufd);
/* Attach to, or change to, the IOAS or page table @to */
long cdev_attach(struct cdev *cdev, __u32 to);
long cdev_detach(struct cdev *cdev);

/**
 * cdev_change_under_dma() - Change between page tables while the function does DMA
 * @cdev: the function, attached to one of them
 * @to: what it is attached to in turn, all the time, by another thread
 * @bus: bus address that both map
 * @memory: what they map there
 * @lost: receives how many times the function did not reach it
 *
 * Return: 0 or -errno of the last change that failed.
 */
long cdev_change_under_dma(struct cdev *cdev, const __u32 to[2], __u64 bus,
			   void *memory, unsigned int *lost);

/* Make a bound function ready for DMA that needs no memory for it */
void cdev_start_dma(struct cdev *cdev);

/*
 * VFIO_DEVICE_FEATURE_EEH_PE, see <linux/vfio.h>, which not all kernels have.
 * Functions that take @cdev want no more than its file to be open.
 */
#define FEATURE_EEH_PE		14
#define FEATURE_EEH_PE_SIZE	32

/* The ioctl with @flags and @size bytes of @data behind the header */
long cdev_feature_eeh(struct cdev *cdev, __u32 flags, const void *data,
		      size_t size);
/* The state of the PE: VFIO_EEH_PE_STATE_* or -errno */
long cdev_eeh_state(struct cdev *cdev);
/* VFIO_EEH_PE_*; @err is NULL for all but VFIO_EEH_PE_INJECT_ERR */
long cdev_eeh(struct cdev *cdev, __u32 op, const struct vfio_eeh_pe_err *err);

/* Close what is open */
void cdev_close(struct cdev *cdev);

/*
 * As testbed_find_with(), for use of the devices through their files. Return:
 * what the machine lacks, NULL for nothing.
 */
const char *cdev_find_bed(struct testbed *bed, unsigned int abilities);

/**
 * cdev_start_bed() - Find the devices and open an iommufd for them
 * @bed: receives the devices
 * @abilities: what they need to be able to do, DMA_... flags
 * @cdev: for each of its devices; none is open afterwards
 * @iommufd: receives the file, -1 when the machine lacks something
 *
 * Return: what the machine lacks, NULL for nothing.
 */
const char *cdev_start_bed(struct testbed *bed, unsigned int abilities,
			   struct cdev cdev[TESTBED_DEVICES], int *iommufd);

/* Close the device files that are open, and the iommufd */
void cdev_close_bed(struct cdev cdev[TESTBED_DEVICES], int *iommufd);

#endif
