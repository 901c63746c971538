// SPDX-License-Identifier: GPL-2.0-only
/*
 * An external user of VFIO groups that does what a test program tells it:
 * see external_user_test.h.
 *
 * It reaches VFIO as KVM does, by symbol_get() for the time of each call, so
 * that what keeps VFIO loaded in between is the hold on the group alone.
 */
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/vfio_external_user.h>

#include "external_user_test.h"

struct test_user {
	struct vfio_external_user user;

	/*
	 * Serialises the ioctls of one file.  The callback does not take it,
	 * since it is held over vfio_external_user_unregister().
	 */
	struct mutex lock;
	bool registered;
	/* Good while registered and not revoked */
	struct iommu_group *iommu_group;
	struct external_user_callback callback;
	struct completion released;

	/* Protects what ioctls and callback use */
	spinlock_t report_lock;
	struct vfio_group *group;
	struct external_user_report report;
};

static atomic_t sequence = ATOMIC_INIT(0);
static atomic_t unbound_seq = ATOMIC_INIT(0);

/* Calls a function of the API, or answers @missing without VFIO. */
#define vfio_call(fn, missing, ...)					\
({									\
	typeof(fn) *__fn = symbol_get(fn);				\
	typeof((fn)(__VA_ARGS__)) __ret = (missing);			\
									\
	if (__fn) {							\
		__ret = __fn(__VA_ARGS__);				\
		symbol_put(fn);						\
	}								\
	__ret;								\
})

#define vfio_call_void(fn, ...)						\
do {									\
	typeof(fn) *__fn = symbol_get(fn);				\
									\
	if (!WARN_ON(!__fn)) {						\
		__fn(__VA_ARGS__);					\
		symbol_put(fn);						\
	}								\
} while (0)

/* The group that is held, if any, is the caller's to put. */
static struct vfio_group *test_user_steal_group(struct test_user *t)
{
	guard(spinlock)(&t->report_lock);
	return no_free_ptr(t->group);
}

static void test_user_revoke(struct vfio_external_user *user)
{
	struct test_user *t = container_of(user, struct test_user, user);
	struct vfio_group *group = t->group;
	bool owned;
	int id;

	scoped_guard(spinlock, &t->report_lock)
		t->report.begin_seq = atomic_inc_return(&sequence);

	id = vfio_call(vfio_external_user_iommu_id, -EOPNOTSUPP, group);
	if (t->callback.delay_ms)
		msleep(t->callback.delay_ms);
	if (t->callback.hold)
		wait_for_completion(&t->released);
	owned = t->iommu_group &&
		iommu_group_dma_owner_claimed(t->iommu_group);

	scoped_guard(spinlock, &t->report_lock) {
		t->report.calls++;
		t->report.end_seq = atomic_inc_return(&sequence);
		t->report.id = id;
		t->report.owned = owned;
		if (t->callback.put)
			t->group = NULL;
	}

	if (t->callback.put)
		vfio_call_void(vfio_group_put_external_user, group);
}

static int test_user_get(struct test_user *t, int fd)
{
	struct vfio_group *group;
	struct file *filep;

	if (t->group)
		return -EBUSY;

	filep = fget(fd);
	if (!filep)
		return -EBADF;

	group = vfio_call(vfio_group_get_external_user, ERR_PTR(-EOPNOTSUPP),
			  filep);
	fput(filep);
	if (IS_ERR(group))
		return PTR_ERR(group);

	t->group = group;
	return 0;
}

static void test_user_unregister(struct test_user *t)
{
	if (!t->registered)
		return;

	/* A callback that has put the group leaves nothing to unregister. */
	if (t->group)
		vfio_call_void(vfio_external_user_unregister, t->group,
			       &t->user);
	t->registered = false;
}

static int test_user_put(struct test_user *t)
{
	struct vfio_group *group;

	test_user_unregister(t);
	group = test_user_steal_group(t);
	if (!group)
		return -ENOENT;

	vfio_call_void(vfio_group_put_external_user, group);
	return 0;
}

static int test_user_iommu_id(struct test_user *t)
{
	if (!t->group)
		return -ENOENT;

	return vfio_call(vfio_external_user_iommu_id, -EOPNOTSUPP, t->group);
}

static int test_user_register(struct test_user *t,
			      const struct external_user_callback __user *arg)
{
	struct iommu_group *iommu_group;
	int ret;

	if (!t->group)
		return -ENOENT;
	if (t->registered)
		return -EBUSY;
	if (copy_from_user(&t->callback, arg, sizeof(t->callback)))
		return -EFAULT;

	/*
	 * The callback uses it: it is known before that can run.  An error is
	 * not this function's to find, but the registration's.
	 */
	iommu_group = vfio_call(vfio_external_user_iommu_group,
				ERR_PTR(-EOPNOTSUPP), t->group);
	t->iommu_group = IS_ERR(iommu_group) ? NULL : iommu_group;

	ret = vfio_call(vfio_external_user_register, -EOPNOTSUPP, t->group,
			&t->user);
	t->registered = !ret;
	return ret;
}

static int test_user_report(struct test_user *t,
			    struct external_user_report __user *arg)
{
	struct external_user_report report;

	scoped_guard(spinlock, &t->report_lock)
		report = t->report;
	report.unbound_seq = atomic_read(&unbound_seq);
	return copy_to_user(arg, &report, sizeof(report)) ? -EFAULT : 0;
}

static long test_ioctl(struct file *filep, unsigned int cmd, unsigned long arg)
{
	struct test_user *t = filep->private_data;
	void __user *uarg = (void __user *)arg;
	int fd;

	/* While a callback runs, and unregister may wait for it. */
	switch (cmd) {
	case EXTERNAL_USER_REPORT:
		return test_user_report(t, uarg);
	case EXTERNAL_USER_RELEASE:
		complete(&t->released);
		return 0;
	}

	guard(mutex)(&t->lock);
	switch (cmd) {
	case EXTERNAL_USER_GET:
		if (get_user(fd, (int __user *)uarg))
			return -EFAULT;
		return test_user_get(t, fd);
	case EXTERNAL_USER_PUT:
		return test_user_put(t);
	case EXTERNAL_USER_IOMMU_ID:
		return test_user_iommu_id(t);
	case EXTERNAL_USER_REGISTER:
		return test_user_register(t, uarg);
	case EXTERNAL_USER_UNREGISTER:
		if (!t->registered)
			return -ENOENT;
		test_user_unregister(t);
		return 0;
	default:
		return -ENOTTY;
	}
}

static int test_open(struct inode *inode, struct file *filep)
{
	struct test_user *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;

	t->user.revoke = test_user_revoke;
	mutex_init(&t->lock);
	init_completion(&t->released);
	spin_lock_init(&t->report_lock);
	filep->private_data = t;
	return 0;
}

static int test_release(struct inode *inode, struct file *filep)
{
	struct test_user *t = filep->private_data;

	/* A program that has died cannot release the group any more. */
	complete_all(&t->released);
	test_user_put(t);
	kfree(t);
	return 0;
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.unlocked_ioctl = test_ioctl,
};

static struct miscdevice test_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = EXTERNAL_USER_TEST_NAME,
	.fops = &test_fops,
};

static int test_pci_event(struct notifier_block *nb, unsigned long event,
			  void *data)
{
	if (event == BUS_NOTIFY_UNBOUND_DRIVER)
		atomic_set(&unbound_seq, atomic_inc_return(&sequence));
	return NOTIFY_DONE;
}

static struct notifier_block test_pci_nb = {
	.notifier_call = test_pci_event,
};

static int __init external_user_test_init(void)
{
	int ret = bus_register_notifier(&pci_bus_type, &test_pci_nb);

	if (ret)
		return ret;

	ret = misc_register(&test_device);
	if (ret)
		bus_unregister_notifier(&pci_bus_type, &test_pci_nb);
	return ret;
}
module_init(external_user_test_init);

static void __exit external_user_test_exit(void)
{
	misc_deregister(&test_device);
	bus_unregister_notifier(&pci_bus_type, &test_pci_nb);
}
module_exit(external_user_test_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("External user of VFIO groups, for tests");
