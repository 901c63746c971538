// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arguments of an sPAPR TCE container's ioctls
 *
 * They are read before the container is locked, and results are written after it is
 * unlocked, so that no page is faulted in with the lock held (container.c).
 */
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include "container.h"

/*
 * Read the @size bytes of a structure that all versions of it have. Each begins
 * with argsz, how many there are; more than we know is no error.
 */
int tce_read_args(void *args, void __user *from, size_t size)
{
	if (copy_from_user(args, from, size))
		return -EFAULT;

	return *(u32 *)args < size ? -EINVAL : 0;
}

/* Bytes that all versions of an ioctl's structure have; 0 if it has none */
static size_t args_size(unsigned int cmd)
{
	switch (cmd) {
	case VFIO_IOMMU_MAP_DMA:
		return offsetofend(struct vfio_iommu_type1_dma_map, size);
	case VFIO_IOMMU_UNMAP_DMA:
		return offsetofend(struct vfio_iommu_type1_dma_unmap, size);
	case VFIO_IOMMU_SPAPR_TCE_GET_INFO:
		return offsetofend(struct vfio_iommu_spapr_tce_info,
				   dma32_window_size);
	case VFIO_IOMMU_SPAPR_TCE_CREATE:
		return offsetofend(struct vfio_iommu_spapr_tce_create,
				   start_addr);
	case VFIO_IOMMU_SPAPR_TCE_REMOVE:
		return offsetofend(struct vfio_iommu_spapr_tce_remove,
				   start_addr);
	case VFIO_IOMMU_SPAPR_REGISTER_MEMORY:
	case VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY:
		return offsetofend(struct vfio_iommu_spapr_register_memory,
				   size);
	}

	return 0;
}

/* Read the arguments of an ioctl; the container is not locked */
void tce_get_args(struct tce_args *args, unsigned int cmd, void __user *from)
{
	size_t size = args_size(cmd);

	args->wrong = size ? tce_read_args(&args->argsz, from, size) : 0;
	args->written = 0;
}

/* Write back what the ioctl answers: 0 or -EFAULT; the container is not locked */
int tce_put_args(const struct tce_args *args, void __user *to)
{
	return copy_to_user(to, &args->argsz, args->written) ? -EFAULT : 0;
}
