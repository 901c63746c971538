/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the container's tests start from: three devices that do DMA, the first
 * two in one IOMMU group, the third in another.
 */
#ifndef VFIO_SPAPR_TESTBED_H
#define VFIO_SPAPR_TESTBED_H

#include <stdbool.h>

#include "dma_device.h"
#include "vfio_pci.h"

#define TESTBED_DEVICES	3
#define TESTBED_GROUPS	2

struct testbed {
	char address[TESTBED_DEVICES][PCI_ADDRESS_LEN];
	int iommu_group[TESTBED_GROUPS];
	/* Files, -1 when not open */
	int container;
	int group[TESTBED_GROUPS];
	int device[TESTBED_DEVICES];
	struct dma_device dma[TESTBED_DEVICES];
	/* What drivers of devices need; NULL when it is not mapped */
	void *device_memory[TESTBED_DEVICES];
	/* Of the container: VFIO_SPAPR_TCE_..., 0 when the test sets it */
	unsigned int type;
	/* Size of the kernel's pages, and memory for DMA */
	size_t page;
	char *memory;
	/* The container's windows; @end is the first byte after the default one */
	struct vfio_iommu_spapr_tce_info info;
	__u64 start, end;
};

/**
 * testbed_find() - Find the devices and give them to vfio-pci
 * @bed: no file of it is open afterwards
 *
 * Return: false when the machine lacks them; then TAP's reason is printed.
 */
bool testbed_find(struct testbed *bed);

/*
 * As testbed_find(), but devices with no other abilities than these. Where they
 * work with memory of the program, testbed_open_device() maps some in the
 * default window, from TESTBED_MEMORY on: a container of v1 has to be enabled
 * then.
 */
bool testbed_find_with(struct testbed *bed, unsigned int abilities);

#define TESTBED_MEMORY	0x4000000

/* Whether the devices that were found have these abilities */
bool testbed_can(const struct testbed *bed, unsigned int abilities);

/* Whether the machine is a partition whose windows belong to a hypervisor */
bool testbed_is_partition(void);

/* Get @size bytes of memory at BASE_PAGES, see memory.h */
void testbed_take_memory(struct testbed *bed, size_t size);

/*
 * Open a container with the first group in it; with the IOMMU set unless @type
 * is 0
 */
void testbed_open(struct testbed *bed, unsigned int type);

/* The same with a file that takes the container's place; it is closed with it */
void testbed_open_as(struct testbed *bed, int container, unsigned int type);

/* Ask the container for its windows: 0 or -errno */
long testbed_get_info(struct testbed *bed);

/* All three, with nothing between them: 0 or -errno */
long testbed_start(struct testbed *bed, unsigned int type, size_t size);

/* Open the second group and join it to the container: 0 or -errno */
int testbed_join(struct testbed *bed);

/* Open a device of a group that is in a container, ready for DMA */
void testbed_open_device(struct testbed *bed, unsigned int device);

/* Close a device and end the mapping that holds it as well */
void testbed_close_device(struct testbed *bed, unsigned int device);

/* Close devices, groups and container, in this order, whatever is open */
void testbed_close(struct testbed *bed);

#endif
