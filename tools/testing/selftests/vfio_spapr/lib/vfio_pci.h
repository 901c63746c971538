/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI functions under VFIO, for test programs.
 *
 * Nouns: a PCI function is named by its address ("0000:01:00.0"); a container,
 * a group and a device are the three VFIO files.  struct vfio_pci is one
 * function with all three open, ready for DMA.
 *
 * A function whose name begins with two underscores returns -errno and leaves
 * the judgement to the test; its namesake without them ends the test with a
 * message when the operation fails.
 */
#ifndef SELFTESTS_VFIO_SPAPR_LIB_VFIO_PCI_H
#define SELFTESTS_VFIO_SPAPR_LIB_VFIO_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/vfio.h>

#define PCI_ADDRESS_LEN	16

#define VFIO_REQUIRE(cond, fmt, ...)					\
do {									\
	if (!(cond))							\
		vfio_require_failed(__FILE__, __LINE__, #cond,		\
				    fmt, ##__VA_ARGS__);		\
} while (0)

void vfio_require_failed(const char *file, int line, const char *cond,
			 const char *fmt, ...);

/* PCI functions through sysfs */

/*
 * Finds the function number @nth (from 0, in the order of addresses) with
 * these IDs.  Returns -ENODEV when there is none.
 */
int __pci_find(__u16 vendor, __u16 device, unsigned int nth,
	       char address[PCI_ADDRESS_LEN]);
bool pci_present(const char *address);

/* The function's IDs: 0 or -ENODEV */
int __pci_ids(const char *address, __u16 *vendor, __u16 *device);

/*
 * The environment variable VFIO_SPAPR_DEVICES names the functions to test, by
 * their addresses with spaces between them: whether it is set, and the
 * function number @nth (from 0) in it.  Returns -ENODEV when there is none.
 */
bool pci_are_named(void);
int __pci_named(unsigned int nth, char address[PCI_ADDRESS_LEN]);

/* Name of the function's driver; an empty string when it has none. */
void pci_driver(const char *address, char *name, size_t len);

/*
 * Gives the function to @driver with driver_override, taking it from the one
 * that has it; NULL leaves it without driver and without override.
 * Unbinding waits, as the kernel does, until no VFIO device file is open.
 */
int __pci_bind(const char *address, const char *driver);
void pci_bind(const char *address, const char *driver);

/* Takes the function from its driver; the override stays. */
int __pci_unbind(const char *address);
void pci_unbind(const char *address);

/* The function is given back to the driver that claims it by its IDs. */
void pci_bind_default(const char *address);

/* Hot removal of one function, and the rescan that finds it again. */
int __pci_remove(const char *address);
void pci_remove(const char *address);
void pci_rescan(void);

/* Rescans; false if the function is not there within five seconds. */
bool pci_comes_back(const char *address);

/* Write to a file of sysfs or the like, in one piece: 0 or -errno */
int file_write(const char *path, const char *text);
int file_write_bytes(const char *path, const void *bytes, size_t size);

/* 0 or -errno, which is -EAGAIN for a module in use */
int __module_unload(const char *name);

/* Number of the function's IOMMU group: the name under /dev/vfio. */
int pci_iommu_group(const char *address);

/* The vendor ID as the host reads it; ones while a reset keeps it out */
__u16 pci_vendor(const char *address);

/* VFIO files */

int vfio_container_open(void);
int __vfio_container_set_iommu(int container, unsigned int type);
void vfio_container_set_iommu(int container, unsigned int type);

int __vfio_group_open(int iommu_group);
int vfio_group_open(int iommu_group);
int __vfio_group_set_container(int group, int container);
void vfio_group_set_container(int group, int container);
int __vfio_group_unset_container(int group);
void vfio_group_unset_container(int group);
__u32 vfio_group_flags(int group);

int __vfio_device_open(int group, const char *address);
int vfio_device_open(int group, const char *address);

/* PCI configuration space of an open device; @len is 1, 2 or 4. */
__u32 vfio_device_config_read(int device, unsigned int offset,
			      unsigned int len);
void vfio_device_config_write(int device, unsigned int offset,
			      __u32 value, unsigned int len);
/* Where the capability begins, 0 when the function has none */
unsigned int vfio_device_capability(int device, unsigned int capability);
/* Without it the function's own DMA does not leave it. */
void vfio_device_set_bus_master(int device, bool on);

#define VFIO_MAX_EVENTFDS	8
/*
 * Has interrupts arrive at @count eventfds, from number @start of @index on
 * (VFIO_PCI_..._IRQ_INDEX); -1 is none. 0 or -errno.
 */
int __vfio_device_set_eventfds(int device, unsigned int index,
			       unsigned int start, unsigned int count,
			       const int *eventfds);

/*
 * Maps BAR number @bar; its size in bytes goes to @size when that is not NULL.
 * munmap() ends the mapping.
 */
void *vfio_device_map_bar(int device, unsigned int bar, size_t *size);

/* A function, bound to vfio-pci, with its container, group and device open. */
struct vfio_pci {
	char address[PCI_ADDRESS_LEN];
	int iommu_group;
	int container;
	int group;
	int device;
};

/* Opens all three; a descriptor that the test closes itself is set to -1. */
void vfio_pci_open(struct vfio_pci *pci, const char *address,
		   unsigned int iommu_type);
/* As vfio_pci_open(), but stops before the device is opened. */
void vfio_pci_open_group(struct vfio_pci *pci, const char *address,
			 unsigned int iommu_type);
void vfio_pci_close(struct vfio_pci *pci);

/* Closes *@fd once and sets it to -1. */
void vfio_close(int *fd);

#endif
