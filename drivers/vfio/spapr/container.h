/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sPAPR TCE container: what its files share
 *
 * container.c has what VFIO calls, args.c the arguments of ioctls, process.c the
 * process that is served, groups.c how groups join and leave, windows.c the DMA
 * windows, memory.c the registration of memory, pin.c the pages that v1 pins,
 * eeh.c error handling, mediated.c mediated devices.
 *
 * Functions that take a struct tce_container are called with tce_container::lock
 * held, except those that are declared to take it.
 */
#ifndef VFIO_SPAPR_CONTAINER_H
#define VFIO_SPAPR_CONTAINER_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <linux/xarray.h>
#include <asm/iommu.h>
#include <asm/spapr_domain.h>
#include "mediated.h"

/**
 * struct tce_slot - what a container keeps of one of its windows
 * @levels: levels of its table that user space asked for
 * @charge: host pages charged for the table
 * @serial: tells it from all other windows that the container has had
 */
struct tce_slot {
	u32 levels;
	unsigned long charge;
	u64 serial;
};

/**
 * struct tce_pins - how a v1 container pins the pages that it maps
 * @owner: what the engine calls
 * @no_fault: answer -EAGAIN for a page that is not there
 */
struct tce_pins {
	struct spapr_tce_owner owner;
	bool no_fault;
};

/**
 * struct tce_container - what VFIO calls iommu_data
 * @eeh_lock: held over an operation on the PE of a group, and while a group
 *	leaves. Taken below device locks and PCI's rescan-remove lock, for which
 *	an EEH operation of a user never waits, and before @lock.
 * @lock: protects all other members
 * @v2: the container is of type VFIO_SPAPR_TCE_v2_IOMMU
 * @enabled: DMA may be mapped: v1 between ENABLE and DISABLE, v2 since the first
 *	registration, or since hardware joined a container with windows
 * @default_due: the default window is still to be made. It is made when first
 *	needed, so that a program that removes it at once does not pay for it.
 * @default_size: bytes of the default window while it exists. A window that was
 *	made in software keeps its size on hardware that would have another.
 * @charge: host pages charged by ENABLE
 * @mm: the process served, once there is one; a reference is held
 * @domain: windows and groups; @mediated's lock is held as well where a window
 *	comes or goes
 * @slots: by number of the window
 * @serial: of the latest window
 * @pins: v1 only
 * @regions: struct spapr_mem_region by number of its first user page; the
 *	container holds one registration of each
 * @mediated: state of mediated devices. Its lock is held while mappings change.
 */
struct tce_container {
	struct mutex eeh_lock;	/* one EEH operation at a time */
	struct mutex lock;	/* one ioctl at a time */
	bool v2;
	bool enabled;
	bool default_due;
	u64 default_size;
	unsigned long charge;
	struct mm_struct *mm;
	struct spapr_tce_domain domain;
	struct tce_slot slots[IOMMU_TABLE_GROUP_MAX_TABLES];
	u64 serial;
	struct tce_pins pins;
	struct xarray regions;
	struct tce_mediated mediated;
};

/**
 * struct tce_args - arguments of an ioctl, and what it answers
 * @wrong: the error of arguments that cannot be read or are too short, else 0.
 *	Errors of the container's state come before it.
 * @written: bytes of the structure that are written back after success
 * @serial: of a window that is created
 * @argsz: what each structure begins with
 * @map: of VFIO_IOMMU_MAP_DMA
 * @unmap: of VFIO_IOMMU_UNMAP_DMA
 * @info: of VFIO_IOMMU_SPAPR_TCE_GET_INFO
 * @create: of VFIO_IOMMU_SPAPR_TCE_CREATE
 * @remove: of VFIO_IOMMU_SPAPR_TCE_REMOVE
 * @memory: of VFIO_IOMMU_SPAPR_REGISTER_MEMORY and UNREGISTER_MEMORY
 */
struct tce_args {
	int wrong;
	size_t written;
	u64 serial;
	union {
		u32 argsz;
		struct vfio_iommu_type1_dma_map map;
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_iommu_spapr_tce_info info;
		struct vfio_iommu_spapr_tce_create create;
		struct vfio_iommu_spapr_tce_remove remove;
		struct vfio_iommu_spapr_register_memory memory;
	};
};

/* args.c: without tce_container::lock */
int tce_read_args(void *args, void __user *from, size_t size);
void tce_get_args(struct tce_args *args, unsigned int cmd, void __user *from);
int tce_put_args(const struct tce_args *args, void __user *to);

/* process.c */
int tce_bind_mm(struct tce_container *container);
bool tce_serves_another(const struct tce_container *container);

/* windows.c: ioctls */
long tce_map_dma(struct tce_container *container, const struct tce_args *args);
long tce_unmap_dma(struct tce_container *container,
		   const struct tce_args *args);
long tce_get_info(struct tce_container *container, struct tce_args *args);
long tce_create_window(struct tce_container *container, struct tce_args *args);
long tce_remove_window(struct tce_container *container,
		       const struct tce_args *args);
/* windows.c: takes the lock */
void tce_undo_create_window(struct tce_container *container,
			    const struct tce_args *args);
/* windows.c: for others */
u64 tce_default_size(struct tce_container *container,
		     struct iommu_table_group *tg);
int tce_unmap_windows(struct tce_container *container);
void tce_close_windows(struct tce_container *container);

/* groups.c */
int tce_join(struct tce_container *container, struct iommu_group *group,
	     bool mediated);
void tce_leave(struct tce_container *container, struct iommu_group *group);

/* pin.c: how v1 maps */
void tce_pins_init(struct tce_pins *pins);
int tce_pins_fault_in(const struct vfio_iommu_type1_dma_map *map);

/* memory.c; the first takes the lock */
long tce_register_memory(struct tce_container *container,
			 const struct tce_args *args);
long tce_unregister_memory(struct tce_container *container,
			   const struct tce_args *args);
void tce_release_memory(struct tce_container *container);

/* eeh.c: the first takes both locks, the second is called with eeh_lock alone */
long tce_eeh_op(struct tce_container *container, void __user *arg);
void tce_eeh_leave(struct tce_container *container, struct iommu_group *group);

#endif
