/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of a VFIO container on sPAPR, each a function that adds itself to
 * the transcript and returns what the ioctl did, or -errno.
 *
 * A function whose name starts with two underscores takes the structure as it
 * is, for the tests of wrong ones; the others fill in argsz and flags.
 */
#ifndef VFIO_SPAPR_CONTAINER_H
#define VFIO_SPAPR_CONTAINER_H

#include <linux/types.h>
#include <linux/vfio.h>

#define READ_ONLY	VFIO_DMA_MAP_FLAG_READ
#define WRITE_ONLY	VFIO_DMA_MAP_FLAG_WRITE
#define READ_WRITE	(READ_ONLY | WRITE_ONLY)

long container_check_extension(int container, unsigned long extension);
long container_set_iommu(int container, unsigned long type);
long container_enable(int container);
long container_disable(int container);

long __container_get_info(int container, struct vfio_iommu_spapr_tce_info *info);
long container_get_info(int container, struct vfio_iommu_spapr_tce_info *info);

long __container_map(int container, struct vfio_iommu_type1_dma_map *map);
long container_map(int container, __u64 vaddr, __u64 iova, __u64 size,
		   __u32 flags);
long __container_unmap(int container, struct vfio_iommu_type1_dma_unmap *unmap);
long container_unmap(int container, __u64 iova, __u64 size);

long __container_register(int container,
			  struct vfio_iommu_spapr_register_memory *memory);
long container_register(int container, __u64 vaddr, __u64 size);
long __container_unregister(int container,
			    struct vfio_iommu_spapr_register_memory *memory);
long container_unregister(int container, __u64 vaddr, __u64 size);

long __container_create_window(int container,
			       struct vfio_iommu_spapr_tce_create *create);
/* *start: bus address of the new window, untouched on errors; may be NULL */
long container_create_window(int container, __u32 page_shift, __u64 size,
			     __u32 levels, __u64 *start);
long __container_remove_window(int container,
			       struct vfio_iommu_spapr_tce_remove *remove);
long container_remove_window(int container, __u64 start);

long __container_eeh(int container, struct vfio_eeh_pe_op *op);
long container_eeh(int container, __u32 op);

/* Any ioctl, with an address that the transcript calls @what */
long container_ioctl(int container, unsigned long request, void *address,
		     const char *what);

/* Name of a container's ioctl */
const char *container_ioctl_name(unsigned long request);

#endif
