// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's container back end for sPAPR TCE tables
 *
 * A container of type VFIO_SPAPR_TCE_IOMMU (v1) or VFIO_SPAPR_TCE_v2_IOMMU (v2)
 * owns the DMA windows of its groups on behalf of one process. The files of this
 * directory turn the ioctls of <linux/vfio.h> into calls of the TCE engine
 * (asm/spapr_domain.h, asm/spapr_tce.h, asm/spapr_mem.h). They guarantee:
 *
 *  - Ioctls of a container run one at a time, with tce_container::lock held, and
 *    so do the joining and leaving of groups.
 *  - No page of user space is faulted in with that lock or tce_mediated::lock
 *    held, because user space can make a fault last. Arguments are copied in
 *    before the lock is taken and results copied out after it is released
 *    (args.c). REGISTER_MEMORY pins without it, and MAP_DMA of v1 drops it while
 *    it faults in pages. Only a group that brings hardware to a v1 container has
 *    what is mapped pinned with both held.
 *  - VFIO_EEH_PE_OP takes tce_container::lock only to find each group's PE. Over
 *    the operation it holds tce_container::eeh_lock, since a reset takes seconds.
 *    A group leaves the container with both held, so that no operation reaches a
 *    PE that has another user.
 *  - A container that has touched the memory of one process serves that
 *    process only.
 *  - All groups of a container have the same windows (asm/spapr_domain.h).
 *  - A page that a mediated device has pinned stays mapped until the device
 *    unpins it (mediated.h).
 *  - Locked memory is charged and given back to the page. A call that fails
 *    gives back what it has charged. When the last group has left, what is still
 *    charged is given back after the last ioctl.
 *  - A call that fails changes nothing, with three exceptions: TCEs that MAP_DMA
 *    was replacing may be clear, the default window may have been made, and where a
 *    hypervisor has failed some of the TCEs may have changed.
 *
 * v1 pins the pages of each TCE when it is put, and charges the size of the
 * whole 32-bit window at ENABLE. v2 maps what REGISTER_MEMORY has pinned and
 * charged. A window in software maps memory that need not be there; pages that
 * mediated devices pin are charged when they are pinned.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/xarray.h>
#include <asm/eeh.h>
#include <asm/spapr_mem.h>
#include "../vfio.h"
#include "container.h"

/* Only v1 */

/*
 * What ENABLE charges: the most that can be mapped in the 32-bit window. Host
 * pages that are mapped in part only are pinned all the same; monitors that
 * map 4 KiB of a page at a time could not afford to have these charged as well.
 */
static unsigned long enable_charge(struct tce_container *container)
{
	struct iommu_table_group *tg =
		spapr_tce_domain_hardware(&container->domain);

	return tg ? tce_default_size(container, tg) >> PAGE_SHIFT : 0;
}

/* VFIO_IOMMU_ENABLE */
static long enable(struct tce_container *container)
{
	struct iommu_table_group *tg =
		spapr_tce_domain_table_group(&container->domain);
	unsigned long charge;
	int ret;

	lockdep_assert_held(&container->lock);

	if (container->enabled)
		return -EBUSY;
	if (!tg)
		return -ENODEV;
	if (!tg->tce32_size)
		return -EPERM;
	ret = tce_bind_mm(container);
	if (ret)
		return ret;

	charge = enable_charge(container);
	ret = account_locked_vm(container->mm, charge, true);
	if (ret)
		return ret;

	container->charge = charge;
	container->enabled = true;

	return 0;
}

/*
 * VFIO_IOMMU_DISABLE: the windows stay, empty. As long as something is mapped
 * the container stays enabled and charged.
 */
static long disable(struct tce_container *container)
{
	int ret;

	lockdep_assert_held(&container->lock);

	if (!container->enabled)
		return 0;

	ret = tce_unmap_windows(container);
	if (ret)
		return ret;
	container->enabled = false;

	account_locked_vm(container->mm, container->charge, false);
	container->charge = 0;

	return 0;
}

static long ioctl_v1(struct tce_container *container, unsigned int cmd)
{
	switch (cmd) {
	case VFIO_IOMMU_ENABLE:
		return enable(container);
	case VFIO_IOMMU_DISABLE:
		return disable(container);
	}

	return -ENOTTY;
}

static long ioctl_v2(struct tce_container *container, unsigned int cmd,
		     struct tce_args *args)
{
	switch (cmd) {
	case VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY:
		return tce_unregister_memory(container, args);
	case VFIO_IOMMU_SPAPR_TCE_CREATE:
		return tce_create_window(container, args);
	case VFIO_IOMMU_SPAPR_TCE_REMOVE:
		return tce_remove_window(container, args);
	}

	return -ENOTTY;
}

/* What VFIO calls */

static long check_extension(unsigned long extension)
{
	if (extension == VFIO_EEH)
		return eeh_enabled();

	return extension == VFIO_SPAPR_TCE_IOMMU ||
	       extension == VFIO_SPAPR_TCE_v2_IOMMU;
}

/* How often a page may have gone again before MAP_DMA has pinned it */
#define MAP_TRIES	16

/* VFIO_IOMMU_MAP_DMA: no lock is held while pages are faulted in */
static long map_dma(struct tce_container *container,
		    const struct tce_args *args)
{
	int fault = 0;
	long ret;

	for (int tries = 0; tries < MAP_TRIES; tries++) {
		scoped_guard(mutex, &container->lock)
			ret = tce_serves_another(container) ? -EPERM :
			      tce_map_dma(container, args);
		if (ret != -EAGAIN)
			return ret;
		/* What lies before a hole has been mapped and cleared now */
		if (fault)
			return fault;
		fault = tce_pins_fault_in(&args->map);
	}

	return -EFAULT;
}

static long locked_ioctl(struct tce_container *container, unsigned int cmd,
			 struct tce_args *args)
{
	guard(mutex)(&container->lock);

	if (tce_serves_another(container))
		return -EPERM;

	switch (cmd) {
	case VFIO_IOMMU_SPAPR_TCE_GET_INFO:
		return tce_get_info(container, args);
	case VFIO_IOMMU_UNMAP_DMA:
		return tce_unmap_dma(container, args);
	}

	return container->v2 ? ioctl_v2(container, cmd, args) :
			       ioctl_v1(container, cmd);
}

static long tce_iommu_ioctl(void *iommu_data, unsigned int cmd,
			    unsigned long value)
{
	struct tce_container *container = iommu_data;
	void __user *arg = (void __user *)value;
	struct tce_args args;
	long ret;

	/* Asked also before there is a container */
	if (cmd == VFIO_CHECK_EXTENSION)
		return check_extension(value);
	if (cmd == VFIO_EEH_PE_OP)
		return tce_eeh_op(container, arg);

	tce_get_args(&args, cmd, arg);
	if (cmd == VFIO_IOMMU_MAP_DMA)
		return map_dma(container, &args);
	if (cmd == VFIO_IOMMU_SPAPR_REGISTER_MEMORY && container->v2)
		return tce_register_memory(container, &args);

	ret = locked_ioctl(container, cmd, &args);
	if (ret)
		return ret;

	ret = tce_put_args(&args, arg);
	if (ret && cmd == VFIO_IOMMU_SPAPR_TCE_CREATE)
		tce_undo_create_window(container, &args);

	return ret;
}

static void *tce_iommu_open(unsigned long type)
{
	struct tce_container *container;

	if (type != VFIO_SPAPR_TCE_IOMMU && type != VFIO_SPAPR_TCE_v2_IOMMU)
		return ERR_PTR(-EINVAL);

	container = kzalloc(sizeof(*container), GFP_KERNEL_ACCOUNT);
	if (!container)
		return ERR_PTR(-ENOMEM);

	container->v2 = type == VFIO_SPAPR_TCE_v2_IOMMU;
	mutex_init(&container->eeh_lock);
	mutex_init(&container->lock);
	spapr_tce_domain_init(&container->domain, &container->lock);
	xa_init(&container->regions);
	tce_pins_init(&container->pins);
	tce_mediated_init(&container->mediated, &container->domain);

	return container;
}

/* The last group has left, and taken the windows with it */
static void tce_iommu_release(void *iommu_data)
{
	struct tce_container *container = iommu_data;

	WARN_ON_ONCE(!list_empty(&container->domain.groups));

	scoped_guard(mutex, &container->lock)
		tce_release_memory(container);
	tce_mediated_destroy(&container->mediated);

	if (container->mm) {
		account_locked_vm(container->mm, container->charge, false);
		mmdrop(container->mm);
	}

	mutex_destroy(&container->lock);
	mutex_destroy(&container->eeh_lock);
	kfree(container);
}

static int tce_iommu_attach_group(void *iommu_data, struct iommu_group *group,
				  enum vfio_group_type type)
{
	struct tce_container *container = iommu_data;
	bool first;
	int ret;

	guard(mutex)(&container->lock);

	first = list_empty(&container->domain.groups);
	ret = tce_join(container, group, type == VFIO_EMULATED_IOMMU);
	if (!ret && first)
		container->default_due = true;

	return ret;
}

/* The others keep what is mapped; with the last one the windows go */
static void tce_iommu_detach_group(void *iommu_data, struct iommu_group *group)
{
	struct tce_container *container = iommu_data;

	guard(mutex)(&container->eeh_lock);
	tce_eeh_leave(container, group);

	guard(mutex)(&container->lock);

	if (list_is_singular(&container->domain.groups))
		tce_close_windows(container);

	tce_leave(container, group);
}

static int tce_iommu_pin_pages(void *iommu_data, struct iommu_group *group,
			       dma_addr_t bus, int npages, int prot,
			       struct page **pages)
{
	struct tce_container *container = iommu_data;

	/* Hypercalls of a guest ask no device before they change a mapping */
	if (iommu_group_get_iommudata(group))
		return -EINVAL;

	return tce_mediated_pin(&container->mediated, bus, npages, prot, pages);
}

static void tce_iommu_unpin_pages(void *iommu_data, dma_addr_t bus, int npages)
{
	struct tce_container *container = iommu_data;

	tce_mediated_unpin(&container->mediated, bus, npages);
}

static int tce_iommu_dma_rw(void *iommu_data, dma_addr_t bus, void *buffer,
			    size_t size, bool write)
{
	struct tce_container *container = iommu_data;

	return tce_mediated_copy(&container->mediated, bus, buffer, size,
				 write);
}

static void tce_iommu_register_device(void *iommu_data,
				      struct vfio_device *device)
{
	struct tce_container *container = iommu_data;

	tce_mediated_add(&container->mediated, device);
}

static void tce_iommu_unregister_device(void *iommu_data,
					struct vfio_device *device)
{
	struct tce_container *container = iommu_data;

	tce_mediated_remove(&container->mediated, device);
}

static const struct vfio_iommu_driver_ops tce_iommu_driver_ops = {
	.owner = THIS_MODULE,
	.name = "iommu-vfio-powerpc",
	.open = tce_iommu_open,
	.attach_group = tce_iommu_attach_group,
	.detach_group = tce_iommu_detach_group,
	.pin_pages = tce_iommu_pin_pages,
	.unpin_pages = tce_iommu_unpin_pages,
	.dma_rw = tce_iommu_dma_rw,
	.register_device = tce_iommu_register_device,
	.unregister_device = tce_iommu_unregister_device,
	.ioctl = tce_iommu_ioctl,
	.release = tce_iommu_release,
};

module_driver(tce_iommu_driver_ops, vfio_register_iommu_driver,
	      vfio_unregister_iommu_driver);

MODULE_DESCRIPTION("VFIO container back end for sPAPR TCE tables");
MODULE_LICENSE("GPL");
