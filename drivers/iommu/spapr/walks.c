// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows that walks write
 *
 * KVM answers a guest's TCE hypercalls in walks of the TCE engine, which write
 * windows of the engine (asm/spapr_tce.h) in any mode. The table of each window of
 * a nested domain's shadow is one of those, too. The nested domain itself writes
 * it in walks as well, and not by the functions of the shadow's page table. They
 * only allocate its levels, which stay until the shadow is freed.
 *
 * A bridge reads the table. Walks have the bridges of all PEs forget what they
 * changed. The platform's functions for that find the PEs in the table's list.
 * For a hypervisor the table is the record, and each PE's own table gets what the
 * record gets, under the lock of the shadow.
 */

#include <linux/rculist.h>
#include <linux/slab.h>

#include <asm/spapr_tce.h>

#include "spapr-iommu.h"

static struct tce_walks *to_tce_walks(struct iommu_table *tbl)
{
	return container_of(tbl, struct tce_walks, tbl);
}

/* Allocate the levels above a TCE. @index counts from bus address 0 */
static bool tce_walks_populate(struct iommu_table *tbl, unsigned long index)
{
	struct tce_walks *walks = to_tce_walks(tbl);

	return !pt_iommu_tce_populate(walks->domain->table[walks->w],
				      (u64)index << tbl->it_page_shift,
				      GFP_KERNEL_ACCOUNT);
}

/* A hypervisor may fail to clear the TCE: make room for keeping its page as well */
static bool tce_walks_populate_kept(struct iommu_table *tbl, unsigned long index)
{
	struct tce_walks *walks = to_tce_walks(tbl);

	return !tce_kept_populate(walks->domain, walks->w,
				  (u64)index << tbl->it_page_shift, 1,
				  GFP_KERNEL_ACCOUNT) &&
	       tce_walks_populate(tbl, index);
}

/* Write the record's TCEs from @index on, which are there once it was populated */
static void tce_write_record(struct iommu_table *tbl, unsigned long index,
			     unsigned long npages, const struct spapr_tce *list)
{
	__be64 *tce;
	unsigned long i;

	if (!spapr_tce_in_memory(tbl, index - tbl->it_offset, &tce))
		return;
	for (i = 0; i < npages; i++)
		spapr_tce_write(&tce[i], list ? list[i].tce : 0);
}

/* Clear TCEs of all PEs. Return the first error; the other PEs are done */
static long tce_clear_attached(struct tce_walks *walks, unsigned long index,
			       unsigned long npages)
{
	u64 iova = (u64)index << walks->tbl.it_page_shift;
	struct tce_attachment *attachment;
	long ret = 0, err;

	lockdep_assert_held(&walks->domain->lock);
	list_for_each_entry(attachment, &walks->domain->attachments, node) {
		err = tce_hypervisor_clear(attachment, walks->w, iova, npages);
		ret = ret ? ret : err;
	}
	return ret;
}

static long tce_walks_clear_list(struct iommu_table *tbl, unsigned long index,
				 unsigned long npages)
{
	struct tce_walks *walks = to_tce_walks(tbl);
	long ret;

	guard(raw_spinlock_irqsave)(&walks->domain->lock);
	ret = tce_clear_attached(walks, index, npages);
	tce_write_record(tbl, index, npages, NULL);
	return ret;
}

/*
 * If one PE does not get a TCE, none keeps it. What cannot be cleared then is what
 * the PE had, or what it was to get.
 *
 * A PE that leaves may still have what the record has here, and would keep it when the
 * record changes. So it is cleared, or its pages are kept until the window is gone.
 */
static long tce_walks_put_list(struct iommu_table *tbl, unsigned long index,
			       unsigned long npages,
			       const struct spapr_tce *list)
{
	struct tce_walks *walks = to_tce_walks(tbl);
	u64 iova = (u64)index << tbl->it_page_shift;
	struct tce_attachment *attachment;
	struct iommu_table *to;
	long ret = 0;

	guard(raw_spinlock_irqsave)(&walks->domain->lock);
	list_for_each_entry(attachment, &walks->domain->attachments, node) {
		to = attachment->table[walks->w];
		if (attachment->leaving)
			tce_hypervisor_clear(attachment, walks->w, iova,
					     npages);
		else if (to)
			ret = to->it_ops->put_list(to, index, npages, list);
		if (ret)
			break;
	}
	if (!ret) {
		tce_write_record(tbl, index, npages, list);
		return 0;
	}

	ret = tce_clear_attached(walks, index, npages);
	if (ret)
		tce_keep(walks->domain, walks->w, iova, list, npages);
	tce_write_record(tbl, index, npages, NULL);
	return ret ? -EIO : -EBUSY;
}

static void tce_walks_init_ops(struct tce_walks *walks,
			       struct iommu_table_group *group)
{
	const struct iommu_table_ops *platform;

	walks->tbl.it_ops = &walks->ops;
	if (!group->ops->user_table_ops) {
		walks->ops.populate = tce_walks_populate_kept;
		walks->ops.put_list = tce_walks_put_list;
		walks->ops.clear_list = tce_walks_clear_list;
		return;
	}

	walks->ops.populate = tce_walks_populate;
	platform = group->ops->user_table_ops(group);
	walks->ops.tce_kill = platform->tce_kill;
	walks->ops.tce_kill_in_guest = platform->tce_kill_in_guest;
}

static void tce_walks_init_table(struct tce_walks *walks)
{
	const struct iommu_aperture *a = &walks->domain->aperture[walks->w];
	struct iommu_table *tbl = &walks->tbl;
	struct pt_iommu_tce_hw_info info;

	pt_iommu_tce_hw_info(walks->domain->table[walks->w], &info);
	kref_init(&tbl->it_kref);
	INIT_LIST_HEAD_RCU(&tbl->it_group_list);
	tbl->it_page_shift = info.page_shift;
	tbl->it_offset = a->start >> info.page_shift;
	tbl->it_size = (a->last - a->start + 1) >> info.page_shift;
	tbl->it_base = (unsigned long)__va(info.table_pa);
	tbl->it_indirect_levels = info.levels - 1;
	tbl->it_level_size = info.table_size / sizeof(u64);
}

static int tce_walks_init_window(struct tce_domain *td, unsigned int w,
				 struct iommu_table_group *group,
				 const struct spapr_sparse *pages)
{
	struct tce_walks *walks = kzalloc_obj(*walks, GFP_KERNEL_ACCOUNT);

	if (!walks)
		return -ENOMEM;

	walks->domain = td;
	walks->w = w;
	tce_walks_init_ops(walks, group);
	tce_walks_init_table(walks);
	walks->window = spapr_tce_window_create_by_gpa(&walks->tbl, pages);
	if (IS_ERR(walks->window)) {
		kfree(walks);
		return -ENOMEM;
	}
	td->walks[w] = walks;
	return 0;
}

/**
 * tce_walks_init() - Let walks write the windows of a domain
 * @td: The domain, which no PE is attached to
 * @group: A PE that it is for
 * @pages: What is looked up by a guest's addresses, see
 *	spapr_tce_window_create_by_gpa()
 *
 * Context: process context.
 * Return: 0 or -ENOMEM. The caller calls tce_walks_destroy() in either case.
 */
int tce_walks_init(struct tce_domain *td, struct iommu_table_group *group,
		   const struct spapr_sparse *pages)
{
	unsigned int w;
	int ret = 0;

	for (w = 0; w < td->windows && !ret; w++)
		ret = tce_walks_init_window(td, w, group, pages);
	return ret;
}

/**
 * tce_walks_destroy() - Undo tce_walks_init()
 * @td: The domain, which no PE is attached to any more
 *
 * Context: process context.
 */
void tce_walks_destroy(struct tce_domain *td)
{
	unsigned int w;

	for (w = 0; w < TCE_WINDOWS; w++) {
		if (!td->walks[w])
			continue;
		spapr_tce_window_drain(td->walks[w]->window);
		spapr_tce_window_close(td->walks[w]->window);
		td->walks[w] = NULL;
	}
}

/**
 * tce_walks_fit() - Can walks reach a PE?
 * @td: A domain
 * @group: The PE
 *
 * Context: any.
 * Return: false if walks write windows of @td and the bridge of @group is not of
 *	the kind that they tell of it.
 */
bool tce_walks_fit(const struct tce_domain *td,
		   struct iommu_table_group *group)
{
	const struct tce_walks *walks = td->walks[0];

	return !walks || !group->ops->user_table_ops ||
	       group->ops->user_table_ops(group)->tce_kill_in_guest ==
		       walks->ops.tce_kill_in_guest;
}

/* The table keeps its list in a form that walks can read */
static int tce_walks_add_window(struct tce_attachment *attachment,
				unsigned int w)
{
	struct tce_domain *td = attachment->domain;
	struct iommu_table_group_link *link;
	unsigned long flags;

	link = kzalloc_obj(*link, GFP_KERNEL_ACCOUNT);
	if (!link)
		return -ENOMEM;
	if (spapr_tce_window_add_group(td->walks[w]->window,
				       attachment->group->group)) {
		kfree(link);
		return -ENOMEM;
	}

	link->table_group = attachment->group;
	attachment->link[w] = link;
	raw_spin_lock_irqsave(&td->lock, flags);
	list_add_rcu(&link->next, &td->walks[w]->tbl.it_group_list);
	raw_spin_unlock_irqrestore(&td->lock, flags);
	return 0;
}

/**
 * tce_walks_remove() - Undo tce_walks_add()
 * @attachment: The PE, which has none of the domain's windows any more
 * @windows: The number of windows that have been added, at least
 *
 * When this returns, no walk writes the windows for the PE.
 *
 * Context: process context, the group's mutex is held.
 */
void tce_walks_remove(struct tce_attachment *attachment, unsigned int windows)
{
	struct tce_domain *td = attachment->domain;
	unsigned long flags;
	unsigned int w;

	for (w = 0; w < windows; w++) {
		struct iommu_table_group_link *link = attachment->link[w];

		if (!link)
			continue;
		spapr_tce_window_remove_group(td->walks[w]->window,
					      attachment->group->group);
		raw_spin_lock_irqsave(&td->lock, flags);
		list_del_rcu(&link->next);
		raw_spin_unlock_irqrestore(&td->lock, flags);
		spapr_tce_quiesce();
		kfree(link);
	}
}

/**
 * tce_walks_add() - Let walks reach a PE
 * @attachment: The PE, and the domain whose windows it is about to get
 *
 * Context: process context, the group's mutex is held.
 * Return: 0 or -ENOMEM.
 */
int tce_walks_add(struct tce_attachment *attachment)
{
	unsigned int w;
	int ret;

	for (w = 0; w < TCE_WINDOWS; w++) {
		if (!attachment->domain->walks[w])
			continue;
		ret = tce_walks_add_window(attachment, w);
		if (ret) {
			tce_walks_remove(attachment, w);
			return ret;
		}
	}
	return 0;
}
