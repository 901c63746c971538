// SPDX-License-Identifier: GPL-2.0-only
/*
 * External users of VFIO groups
 *
 * Kernel code that works on a group's DMA tables for the group's owner holds the
 * group as an external user: Documentation/driver-api/vfio-external-user.rst. It
 * counts in vfio_group::external_users and holds the group's open file, as an open
 * device does. So neither UNSET_CONTAINER nor the release of the file detaches the
 * group.
 *
 * The removal of the group's last device does. Before it detaches the group,
 * vfio_group_revoke_external_users() calls each registered user. Once
 * vfio_group::drivers is zero it stays zero: no group is handed out and no user is
 * added to external_list.
 *
 * Locks: vfio_group::external_lock protects external_list and is held while a user
 * is called, so that vfio_external_user_unregister() waits for a call that is under
 * way. vfio_group::group_lock, which protects the container and the IOMMU group,
 * nests inside it. Giving a group up takes no lock, because users do that under
 * locks of their own, and VFIO takes some of these below group_lock (kvm->lock, when
 * closing a device drops the last reference on a virtual machine).
 */
#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/vfio_external_user.h>

#include "vfio.h"

void vfio_group_init_external_users(struct vfio_group *group)
{
	atomic_set(&group->external_users, 0);
	mutex_init(&group->external_lock);
	INIT_LIST_HEAD(&group->external_list);
}

void vfio_group_destroy_external_users(struct vfio_group *group)
{
	WARN_ON(atomic_read(&group->external_users));
	WARN_ON(!list_empty(&group->external_list));
	mutex_destroy(&group->external_lock);
}

/* "false" stays valid under group_lock, as only the get increments the count. */
bool vfio_group_has_external_users(struct vfio_group *group)
{
	lockdep_assert_held(&group->group_lock);

	/* Pairs with the put: what the user did to the tables is complete. */
	return atomic_read_acquire(&group->external_users);
}

/* Zero for good once the group's last device has left its driver. */
static bool vfio_group_is_revoked(struct vfio_group *group)
{
	return !refcount_read(&group->drivers);
}

/*
 * Takes the group from its registered users. The caller has brought
 * group->drivers to zero, holds a reference on the group's device and none of
 * VFIO's locks, and detaches the group afterwards.
 */
void vfio_group_revoke_external_users(struct vfio_group *group)
{
	struct vfio_external_user *user;

	lockdep_assert_not_held(&group->group_lock);

	guard(mutex)(&group->external_lock);
	while ((user = list_first_entry_or_null(&group->external_list,
						struct vfio_external_user,
						node))) {
		/* The callback may free @user. */
		list_del_init(&user->node);
		user->revoke(user);
	}
}

/*
 * A group in a container owns the DMA of all its devices, which is what makes
 * it viable; devices without an IOMMU have no DMA to own.
 */
static bool vfio_group_is_ready(struct vfio_group *group)
{
	lockdep_assert_held(&group->group_lock);

	return group->type != VFIO_NO_IOMMU &&
	       !vfio_group_is_revoked(group) &&
	       group->container &&
	       vfio_container_has_iommu(group->container);
}

/**
 * vfio_group_get_external_user() - take a VFIO group as an external user
 * @filep: file that user space names as its VFIO group; the caller holds a
 *	reference on it for the time of the call
 *
 * The group must be ready for DMA: attached to a container whose IOMMU has
 * been set. Until vfio_group_put_external_user() the group then stays in its
 * container: VFIO_GROUP_UNSET_CONTAINER answers -EBUSY, and closing the files
 * of the group and of the container leaves the container, its IOMMU driver's
 * state, DMA windows and pinned memory in place. Opening the group again
 * answers -EBUSY as long as it is held. Only the removal of the group's last
 * device takes the group away; a user that touches DMA tables therefore calls
 * vfio_external_user_register() before it does.
 *
 * A group can be taken any number of times, by one user or by several.
 *
 * Context: Process context, may sleep. Takes vfio_group::group_lock, and the
 *	container's lock under it.
 * Return: the group, or ERR_PTR(-EINVAL) when @filep is no VFIO group, or its
 *	group is not in a container (an iommufd is none), its container has no
 *	IOMMU set, its devices have no IOMMU, or its last device has gone.
 */
struct vfio_group *vfio_group_get_external_user(struct file *filep)
{
	struct vfio_group *group = vfio_group_from_file(filep);

	if (!group)
		return ERR_PTR(-EINVAL);

	guard(mutex)(&group->group_lock);
	if (!vfio_group_is_ready(group))
		return ERR_PTR(-EINVAL);

	get_file(group->opened_file);
	atomic_inc(&group->external_users);
	return group;
}
EXPORT_SYMBOL_GPL(vfio_group_get_external_user);

/**
 * vfio_group_put_external_user() - give a VFIO group up
 * @group: group from vfio_group_get_external_user(), not used afterwards
 *
 * The caller has stopped all access to the group's DMA tables, and has
 * unregistered what it registered, unless its callback has been called.
 *
 * When the group's file has been closed and this was its last user, the group
 * leaves its container, and the container goes with its last group. That
 * happens as with any last reference on a file: before the current task
 * returns to user space, or from a worker when it is a kernel thread.
 *
 * Context: Any context, under any lock, also from the revocation callback.
 */
void vfio_group_put_external_user(struct vfio_group *group)
{
	/* The release of this file is what would clear the pointer. */
	struct file *filep = group->opened_file;

	WARN_ON(atomic_dec_return_release(&group->external_users) < 0);
	fput(filep);
}
EXPORT_SYMBOL_GPL(vfio_group_put_external_user);

/**
 * vfio_external_user_iommu_group() - get the IOMMU group of a held VFIO group
 * @group: group from vfio_group_get_external_user()
 *
 * Takes no reference. The pointer is good for a registered user only, and
 * for as long as it holds @group and its callback has not returned. A user
 * that takes a reference of its own gives it back by then: platforms free what
 * backs an IOMMU group together with its last device (powernv warns when the
 * group outlives it).
 *
 * Context: Process context, may sleep. Takes vfio_group::group_lock.
 * Return: the IOMMU group, or ERR_PTR(-ENODEV) after revocation.
 */
struct iommu_group *vfio_external_user_iommu_group(struct vfio_group *group)
{
	guard(mutex)(&group->group_lock);
	if (vfio_group_is_revoked(group))
		return ERR_PTR(-ENODEV);

	return group->iommu_group;
}
EXPORT_SYMBOL_GPL(vfio_external_user_iommu_group);

/**
 * vfio_external_user_iommu_id() - get the number of a held VFIO group
 * @group: group from vfio_group_get_external_user()
 *
 * Context: Process context, may sleep. Takes vfio_group::group_lock.
 * Return: the id of the group's IOMMU group, which names it in /dev/vfio and
 *	in /sys/kernel/iommu_groups, or -ENODEV after revocation.
 */
int vfio_external_user_iommu_id(struct vfio_group *group)
{
	guard(mutex)(&group->group_lock);
	if (vfio_group_is_revoked(group))
		return -ENODEV;

	return iommu_group_id(group->iommu_group);
}
EXPORT_SYMBOL_GPL(vfio_external_user_iommu_id);

/**
 * vfio_external_user_register() - ask to be told of revocation
 * @group: group from vfio_group_get_external_user()
 * @user: the user, with its callback set; on no list
 *
 * When the group's last device leaves its driver (unbind, removal, hot
 * unplug) each registered user is called, one after the other, and only when
 * all calls have returned does the group leave its container. An open device
 * file delays the removal, and so the calls, until user space closes it.
 *
 * The callback runs in process context and may sleep: it may take the locks
 * of its own subsystem and wait for readers of SRCU. It is called with the
 * driver core's lock of the departing device held, in hot unplug also that of
 * PCI removal and rescan (pci_rescan_remove_lock), and with
 * vfio_group::external_lock. It may call vfio_group_put_external_user(); it
 * may call vfio_group_get_external_user(), vfio_external_user_iommu_id() and
 * vfio_external_user_iommu_group(), which answer their errors. It must not
 * call vfio_external_user_register() or vfio_external_user_unregister(), for
 * whichever group, nor wait for a lock under which somebody does.
 *
 * Context: Process context, may sleep. Takes vfio_group::external_lock, so
 *	that it waits for callbacks that are under way.
 * Return: 0, or -ENODEV when the group has been revoked already; the callback
 *	is not called then.
 */
int vfio_external_user_register(struct vfio_group *group,
				struct vfio_external_user *user)
{
	guard(mutex)(&group->external_lock);
	/*
	 * Either the revocation, which takes this lock after @drivers became
	 * zero, comes later and finds @user, or it has been and shows here.
	 */
	if (vfio_group_is_revoked(group))
		return -ENODEV;

	list_add_tail(&user->node, &group->external_list);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_external_user_register);

/**
 * vfio_external_user_unregister() - end what vfio_external_user_register() began
 * @group: group from vfio_group_get_external_user(), still held
 * @user: the user, registered successfully, whether revoked meanwhile or not
 *
 * After return the callback neither runs nor will run.
 *
 * Context: Process context, may sleep. Takes vfio_group::external_lock, so
 *	that it waits for callbacks that are under way; not to be called from
 *	one, nor with a lock that one takes, nor as a reader of SRCU that one
 *	waits for.
 */
void vfio_external_user_unregister(struct vfio_group *group,
				   struct vfio_external_user *user)
{
	guard(mutex)(&group->external_lock);
	list_del_init(&user->node);
}
EXPORT_SYMBOL_GPL(vfio_external_user_unregister);

const struct vfio_external_user_ops vfio_external_user_ops = {
	.get = vfio_group_get_external_user,
	.put = vfio_group_put_external_user,
	.iommu_id = vfio_external_user_iommu_id,
	.iommu_group = vfio_external_user_iommu_group,
	.register_user = vfio_external_user_register,
	.unregister_user = vfio_external_user_unregister,
};
EXPORT_SYMBOL_GPL(vfio_external_user_ops);
