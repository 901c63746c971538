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

/*
 * The PE, held, of the group that the device is in: NULL if there is none. A no-IOMMU
 * group is no PE, and the host may use other devices of the PE.
 */
static struct eeh_pe *hold_pe(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct eeh_pe *pe = NULL;

	if (group && iommu_group_get_iommudata(group))
		pe = eeh_iommu_group_to_pe(group);
	iommu_group_put(group);
	return pe;
}

/*
 * Does the operation reach PEs below as well? Those may have another user, as
 * they are of other groups. A frozen PE may be reset when EEH is enabled.
 */
static bool reaches_below(u32 op)
{
	switch (op) {
	case VFIO_EEH_PE_ENABLE:
	case VFIO_EEH_PE_RESET_DEACTIVATE ... VFIO_EEH_PE_RESET_FUNDAMENTAL:
	case VFIO_EEH_PE_CONFIGURE:
		return true;
	}

	return false;
}

/**
 * vfio_pci_core_feature_eeh_pe - Get the state of a device's PE or operate on it
 * @vdev: the device, which is open
 * @flags: VFIO_DEVICE_FEATURE_GET, _SET and _PROBE, checked against each other
 * @arg: user memory behind struct vfio_device_feature
 * @argsz: bytes that the user says are there
 *
 * The PE is held over the operation. The device stays, since the user has it
 * open, but others of the PE may be removed. A device that is plugged in below
 * while the PE is being reset is reset with it.
 *
 * Context: process context; may sleep for seconds. A reset only tries the device
 * locks of the PE: unbinding holds one while it waits for the user.
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

	if (reaches_below(data.op) && eeh_pe_has_children(pe))
		return -EPERM;

	return vfio_eeh_pe_op(pe, data.op, &data.err);
}
