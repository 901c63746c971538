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
 *	is registered. When it returns the user has stopped all access to the
 *	group's DMA tables. Runs in process context without any lock of VFIO's
 *	that a function of this API takes, except as said for
 *	vfio_external_user_register() and vfio_external_user_unregister().
 *
 * The user embeds it, and keeps it until vfio_external_user_unregister() returns or
 * @revoke is called.
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

/**
 * struct vfio_external_user_ops - the functions above, for optional users
 * @get: vfio_group_get_external_user()
 * @put: vfio_group_put_external_user()
 * @iommu_id: vfio_external_user_iommu_id()
 * @iommu_group: vfio_external_user_iommu_group()
 * @register_user: vfio_external_user_register()
 * @unregister_user: vfio_external_user_unregister()
 *
 * VFIO may be absent, or a module that is loaded later than its user. Such a
 * user takes the structure, and with it a reference on the module, by
 * symbol_get(vfio_external_user_ops).
 */
struct vfio_external_user_ops {
	struct vfio_group *(*get)(struct file *filep);
	void (*put)(struct vfio_group *group);
	int (*iommu_id)(struct vfio_group *group);
	struct iommu_group *(*iommu_group)(struct vfio_group *group);
	int (*register_user)(struct vfio_group *group,
			     struct vfio_external_user *user);
	void (*unregister_user)(struct vfio_group *group,
				struct vfio_external_user *user);
};

extern const struct vfio_external_user_ops vfio_external_user_ops;

#endif /* _LINUX_VFIO_EXTERNAL_USER_H */
