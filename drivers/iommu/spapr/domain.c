// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains
 *
 * What domains of all platforms have in common: they are allocated, attached to
 * PEs, mapped into and freed. How a PE gets the windows and what changes in them is
 * for the kind of platform, see struct tce_kind.
 */

#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "spapr-iommu.h"

/* A TCE holds every real address of the processors */
#define TCE_REAL_ADDRESS_LG2	56

/**
 * tce_take_ownership() - Take the PE of a device from the DMA API
 * @group: The PE
 * @dev: The device
 * @old: The domain that the core says @dev is in, NULL for a new device
 *
 * Where the PE has been taken with another device, only counts the device.
 *
 * Context: the group's mutex is held.
 * Return: 0, or -errno with the PE as it was: -EBUSY for a PE with a device that
 *	is in no group, else the platform's.
 */
int tce_take_ownership(struct iommu_table_group *group, struct device *dev,
		       struct iommu_domain *old)
{
	struct tce_device *tdev = dev_iommu_priv_get(dev);
	int ret;

	if (!group->user_owned && !tce_pe_is_whole(group))
		return -EBUSY;
	if (!old || tce_is_platform_domain(old)) {
		ret = group->ops->take_ownership(group, dev);
		if (ret)
			return ret < -1 ? ret : -EIO;
	}

	if (!tdev->counted) {
		tdev->counted = true;
		group->domain_devices++;
	}
	return 0;
}

/**
 * tce_release_ownership() - Give the PE of a device back to the DMA API
 * @group: The PE, which is in no paging domain
 * @dev: The device
 *
 * Where the platform cannot give the host a window again, for want of memory for
 * one, the PE reaches no memory but by the 64-bit bypass of bare metal. It is
 * tried again with each further device of the PE, and when the PE is given back
 * the next time.
 *
 * Context: the group's mutex is held.
 */
void tce_release_ownership(struct iommu_table_group *group, struct device *dev)
{
	group->ops->release_ownership(group, dev);
	if (!get_iommu_table_base(dev))
		dev_err_ratelimited(dev, "no window for drivers of the host\n");
}

static struct tce_attachment *tce_attach(struct tce_domain *td,
					 struct iommu_table_group *group)
{
	struct tce_attachment *attachment;
	unsigned long flags;

	attachment = kzalloc_obj(*attachment, GFP_KERNEL_ACCOUNT);
	if (!attachment)
		return NULL;

	attachment->domain = td;
	attachment->group = group;
	if (tce_walks_add(attachment)) {
		kfree(attachment);
		return NULL;
	}
	raw_spin_lock_irqsave(&td->lock, flags);
	list_add_tail(&attachment->node, &td->attachments);
	raw_spin_unlock_irqrestore(&td->lock, flags);
	return attachment;
}

/* The caller has cleared all TCEs of the domain in the PE */
static void tce_detach(struct tce_attachment *attachment)
{
	unsigned long flags;

	if (!attachment)
		return;

	raw_spin_lock_irqsave(&attachment->domain->lock, flags);
	list_del(&attachment->node);
	raw_spin_unlock_irqrestore(&attachment->domain->lock, flags);
	tce_walks_remove(attachment, TCE_WINDOWS);
	kfree(attachment);
}

/**
 * tce_leave_domain() - Take a PE's windows away if it is in a paging domain
 * @group: The PE, which reaches no memory afterwards
 * @dev: A device of it
 *
 * Context: the group's mutex is held.
 */
void tce_leave_domain(struct iommu_table_group *group, struct device *dev)
{
	struct tce_attachment *attachment = group->attachment;

	if (!attachment)
		return;

	attachment->domain->kind->leave(attachment, dev);
	tce_detach(attachment);
	group->attachment = NULL;
}

/**
 * tce_join_domain() - Give a PE the windows of a paging domain
 * @group: The PE, which has no windows or those of a domain
 * @td: The domain; may be the one that the PE is in
 * @dev: A device of @group
 *
 * Each domain passes on to the PE what it changes for as long as the PE may have
 * its TCEs, so it is known to both for a while.
 *
 * Context: the group's mutex is held.
 * Return: 0 or -errno. After an error the PE is where it was, or has no windows
 *	where the platform does not restore them.
 */
int tce_join_domain(struct iommu_table_group *group, struct tce_domain *td,
		    struct device *dev)
{
	struct tce_attachment *old = group->attachment;
	struct tce_attachment *new;
	int ret;

	if (old && old->domain == td)
		return 0;

	new = tce_attach(td, group);
	if (!new)
		return -ENOMEM;

	ret = td->kind->join(new, old, dev);
	if (ret) {
		tce_detach(new);
		return ret;
	}

	group->attachment = new;
	tce_detach(old);
	return 0;
}

/* Return true if the PE can have the windows of @td */
static bool tce_domain_fits(const struct tce_domain *td,
			    struct iommu_table_group *group)
{
	struct iommu_hwpt_spapr_tce data = { .num_windows = td->windows };
	unsigned int w;

	if (td->kind != tce_kind_of(group))
		return false;
	for (w = 0; w < td->windows; w++) {
		const struct iommu_aperture *a = &td->aperture[w];

		data.windows[w].start = a->start;
		data.windows[w].size = a->last - a->start + 1;
		data.windows[w].page_shift = tce_page_shift(td, w);
	}
	/* A nested domain has larger pages than others, so accept any size */
	if (tce_check_windows(group, &data, BITS_PER_LONG_LONG - 1))
		return false;
	return tce_walks_fit(td, group);
}

/**
 * tce_domain_attach_dev() - Attach a device to a paging domain
 * @domain: The domain
 * @dev: The device
 * @old: The domain that the core says @dev is in, NULL for a new device
 *
 * Context: the group's mutex is held.
 * Return: 0; or -EINVAL where the PE cannot have the domain's windows, or -errno
 *	of the platform. See tce_join_domain() for where the PE is then.
 */
int tce_domain_attach_dev(struct iommu_domain *domain, struct device *dev,
			  struct iommu_domain *old)
{
	struct iommu_table_group *group = tce_group(dev);
	struct tce_domain *td = to_tce_domain(domain);
	int ret;

	if (!tce_domain_fits(td, group))
		return -EINVAL;

	ret = tce_take_ownership(group, dev, old);
	if (ret)
		return ret;

	ret = tce_join_domain(group, td, dev);
	/* The core assumes that a device which fails is still where it was */
	if (ret && tce_is_platform_domain(old) && !group->attachment)
		tce_release_ownership(group, dev);
	return ret;
}

/**
 * tce_window_of() - Find the window of a bus address
 * @td: The domain
 * @iova: The bus address
 *
 * Context: any.
 * Return: which of the domain's windows, or -1.
 */
int tce_window_of(const struct tce_domain *td, u64 iova)
{
	unsigned int w;

	for (w = 0; w < td->windows; w++)
		if (iova >= td->aperture[w].start &&
		    iova <= td->aperture[w].last)
			return w;
	return -1;
}

/**
 * tce_window_of_range() - Find the window of a range of bus addresses
 * @td: The domain
 * @iova: First bus address
 * @size: How many bytes, not 0
 *
 * Context: any.
 * Return: which of the domain's windows, or -ERANGE for what is not in one window.
 */
int tce_window_of_range(const struct tce_domain *td, u64 iova, size_t size)
{
	int w = tce_window_of(td, iova);

	/* Not all callers of iommu_map() know that there are apertures */
	if (w < 0 || size - 1 > td->aperture[w].last - iova)
		return -ERANGE;
	return w;
}

/**
 * tce_domain_iova_to_phys() - Find what a paging domain maps at a bus address
 * @domain: The domain
 * @iova: The bus address
 *
 * Context: any. The caller sees to it that nothing is unmapped there meanwhile.
 * Return: the physical address, or 0.
 */
phys_addr_t tce_domain_iova_to_phys(struct iommu_domain *domain,
				    dma_addr_t iova)
{
	struct tce_domain *td = to_tce_domain(domain);
	int w = tce_window_of(td, iova);

	return w < 0 ? 0 : pt_iommu_tce_iova_to_phys(&td->table[w]->iommu.domain,
						     iova);
}

/**
 * tce_domain_apertures() - Return the windows of a paging domain
 * @domain: The domain
 * @count: Set to how many there are
 *
 * Context: any.
 * Return: the windows, by address. They stay as long as the domain.
 */
const struct iommu_aperture *
tce_domain_apertures(struct iommu_domain *domain, unsigned int *count)
{
	struct tce_domain *td = to_tce_domain(domain);

	*count = td->windows;
	return td->aperture;
}

/*
 * The page table code flushes what it has gathered before it gathers a range
 * that is apart. In a domain with two windows it does so for the table of one.
 * The index of a window in the array is its number.
 */
static void tce_window_sync(struct iommu_domain *window,
			    struct iommu_iotlb_gather *gather)
{
	struct pt_iommu_tce *pt = container_of(window, struct pt_iommu_tce,
					       iommu.domain);
	unsigned int w = tce_window_number(pt->tce_pt.start);
	struct tce_domain *td = container_of(pt - w, struct tce_domain,
					     window[0]);

	td->kind->ops->iotlb_sync(&td->domain, gather);
}

static const struct iommu_domain_ops tce_window_ops = {
	.iotlb_sync = tce_window_sync,
};

/**
 * tce_domain_free() - Free a paging domain
 * @domain: The domain, which no PE is attached to
 *
 * Context: process context.
 */
void tce_domain_free(struct iommu_domain *domain)
{
	struct tce_domain *td = to_tce_domain(domain);
	unsigned int w;

	WARN_ON(!list_empty(&td->attachments));
	if (td->kind->destroy)
		td->kind->destroy(td);
	if (td->outlives)
		return;
	for (w = 0; w < td->windows; w++)
		pt_iommu_deinit(&td->table[w]->iommu);
	kfree(td);
}

static int tce_init_window(struct tce_domain *td, unsigned int i,
			   const struct iommu_spapr_tce_window *w, int nid)
{
	unsigned int lg2 = ilog2(w->size);
	struct pt_iommu_tce_cfg cfg = {
		.common.features = BIT(PT_FEAT_FLUSH_RANGE_NO_GAPS),
		.common.hw_max_vasz_lg2 = lg2,
		.common.hw_max_oasz_lg2 = TCE_REAL_ADDRESS_LG2,
		.start = w->start,
		.page_shift = w->page_shift,
		.levels = tce_levels(lg2, w->page_shift),
	};

	td->table[i]->iommu.nid = nid;
	td->table[i]->iommu.domain.ops = &tce_window_ops;
	td->aperture[i].start = w->start;
	td->aperture[i].last = w->start + w->size - 1;
	return pt_iommu_tce_init(td->table[i], &cfg, GFP_KERNEL_ACCOUNT);
}

/* The core maps into tce_domain::only by itself, without @ops->map_pages */
static struct pt_iommu_tce *tce_table_of(struct tce_domain *td, u64 start)
{
	if (td->windows == 1 && td->kind->maps_single)
		return &td->only;
	return &td->window[tce_window_number(start)];
}

/*
 * The domain spans its windows. A mapping may be in any of them, so it is a
 * multiple of the largest page.
 */
static void tce_span_windows(struct tce_domain *td)
{
	struct iommu_domain *domain = &td->domain;
	unsigned int w;

	domain->type = __IOMMU_DOMAIN_PAGING;
	domain->geometry.aperture_start = td->aperture[0].start;
	domain->geometry.aperture_end = td->aperture[td->windows - 1].last;
	domain->geometry.force_aperture = true;
	for (w = 0; w < td->windows; w++)
		domain->pgsize_bitmap =
			max(domain->pgsize_bitmap, BIT(tce_page_shift(td, w)));
}

/**
 * tce_make_domain() - Make a paging domain
 * @group: A PE that can have the windows
 * @data: The windows
 * @nid: Node to have the tables on, or NUMA_NO_NODE
 *
 * Context: process context.
 * Return: the domain, or ERR_PTR of -ENOMEM, or -EINVAL for windows that the
 *	table format does not have.
 */
struct tce_domain *tce_make_domain(const struct iommu_table_group *group,
				   const struct iommu_hwpt_spapr_tce *data,
				   int nid)
{
	struct tce_domain *td = kzalloc_obj(*td, GFP_KERNEL_ACCOUNT);
	unsigned int w;
	int ret;

	if (!td)
		return ERR_PTR(-ENOMEM);

	raw_spin_lock_init(&td->lock);
	INIT_LIST_HEAD(&td->attachments);
	td->kind = tce_kind_of(group);
	td->windows = data->num_windows;
	for (w = 0; w < td->windows; w++)
		td->table[w] = tce_table_of(td, data->windows[w].start);

	for (w = 0; w < td->windows; w++) {
		ret = tce_init_window(td, w, &data->windows[w], nid);
		if (ret)
			goto free;
	}
	if (td->kind->init) {
		ret = td->kind->init(td);
		if (ret)
			goto free;
	}
	if (td->table[0] != &td->only)
		tce_span_windows(td);
	td->domain.ops = td->kind->ops;
	return td;

free:
	tce_domain_free(&td->domain);
	return ERR_PTR(ret);
}

/**
 * tce_domain_alloc_paging_flags() - Allocate a paging domain
 * @dev: Device that the domain has to fit
 * @flags: 0, or IOMMU_HWPT_ALLOC_NEST_PARENT for the memory of a guest
 * @user_data: struct iommu_hwpt_spapr_tce, or NULL for windows of our choice. A
 *	parent has none
 *
 * Context: process context.
 * Return: the domain; or ERR_PTR of -EOPNOTSUPP for what is not supported,
 *	-EINVAL for windows that the PE of @dev cannot have, -EFAULT, -ENOMEM.
 */
struct iommu_domain *
tce_domain_alloc_paging_flags(struct device *dev, u32 flags,
			      const struct iommu_user_data *user_data)
{
	struct tce_device *tdev = dev_iommu_priv_get(dev);
	struct iommu_table_group *group = tdev->group;
	struct iommu_hwpt_spapr_tce data = {};
	struct tce_domain *td;
	int ret;

	if (flags == IOMMU_HWPT_ALLOC_NEST_PARENT && !user_data)
		return tce_parent_alloc();
	if (flags)
		return ERR_PTR(-EOPNOTSUPP);

	if (user_data)
		ret = tce_user_windows(group, user_data, &data);
	else
		ret = tce_kind_of(group)->default_windows(group, &data);
	if (ret)
		return ERR_PTR(ret);

	td = tce_make_domain(group, &data, dev_to_node(dev));
	return IS_ERR(td) ? ERR_CAST(td) : &td->domain;
}
