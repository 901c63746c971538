/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * External users of VFIO groups: code in the kernel that works on the DMA of
 * a group's devices for the process that owns the group, such as KVM.
 *
 * See Documentation/driver-api/vfio-external-user.rst
 */
#ifndef _LINUX_VFIO_EXTERNAL_USER_H
#define _LINUX_VFIO_EXTERNAL_USER_H

#include <linux/list.h>

struct file;
struct iommu_group;
struct vfio_group;

/**
 * struct vfio_external_user - an external user that is told of revocation
 * @revoke: called once, when the group loses its last device while this user
 *	is registered.  When it returns the user has stopped all access to the
 *	group's DMA tables.  Runs in process context without any lock of VFIO's
 *	that a function of this API takes, except as said for
 *	vfio_external_user_register() and vfio_external_user_unregister().
 *
 * Belongs to the user, who embeds it; it must stay in memory until
 * vfio_external_user_unregister() returns or @revoke is called.
 */
struct vfio_external_user {
	void (*revoke)(struct vfio_external_user *user);
	/* private: entry of vfio_group::external_list */
	struct list_head node;
};

struct vfio_group *vfio_group_get_external_user(struct file *filep);
void vfio_group_put_external_user(struct vfio_group *group);

int vfio_external_user_iommu_id(struct vfio_group *group);
struct iommu_group *vfio_external_user_iommu_group(struct vfio_group *group);

int vfio_external_user_register(struct vfio_group *group,
				struct vfio_external_user *user);
void vfio_external_user_unregister(struct vfio_group *group,
				   struct vfio_external_user *user);

#endif /* _LINUX_VFIO_EXTERNAL_USER_H */
