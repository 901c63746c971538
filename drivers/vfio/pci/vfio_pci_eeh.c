// SPDX-License-Identifier: GPL-2.0-only
/*
 * EEH of the PE of a PCI device: VFIO_DEVICE_FEATURE_EEH_PE
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <asm/eeh.h>

#include "vfio_pci_priv.h"

/* The PE, held, of the group that the device is in: NULL if there is none */
static struct eeh_pe *hold_pe(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct eeh_pe *pe = eeh_iommu_group_to_pe(group);

	iommu_group_put(group);
	return pe;
}

/**
 * vfio_pci_core_feature_eeh_pe - Get the state of a device's PE or operate on it
 * @vdev: the device, which is open
 * @flags: VFIO_DEVICE_FEATURE_GET, _SET and _PROBE, checked against each other
 * @arg: user memory behind struct vfio_device_feature
 * @argsz: bytes that the user says are there
 *
 * The PE is held over the operation. The device stays, since the user has it
 * open, but others of the PE may be removed.
 *
 * Context: process context without locks: a reset takes the device locks of the
 * PE, and what unbinds the device holds its lock while it waits for the user
 *
 * Return: 0, or an error as in the description of VFIO_DEVICE_FEATURE_EEH_PE
 */
int vfio_pci_core_feature_eeh_pe(struct vfio_pci_core_device *vdev, u32 flags,
				 struct vfio_device_feature_eeh_pe __user *arg,
				 size_t argsz)
{
	struct eeh_pe *pe __free(eeh_pe_put) = NULL;
	struct vfio_device_feature_eeh_pe data;
	int ret;

	if (!eeh_enabled())
		return -ENOTTY;

	pe = hold_pe(&vdev->pdev->dev);
	if (!pe)
		return -ENODEV;

	ret = vfio_check_feature(flags, argsz,
				 VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_SET, sizeof(data));
	if (ret != 1)
		return ret;

	if (flags & VFIO_DEVICE_FEATURE_GET) {
		ret = vfio_eeh_pe_op(pe, VFIO_EEH_PE_GET_STATE, NULL);
		return ret < 0 ? ret : put_user(ret, &arg->state);
	}

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	if (data.op == VFIO_EEH_PE_GET_STATE || data.state)
		return -EINVAL;

	return vfio_eeh_pe_op(pe, data.op, &data.err);
}
