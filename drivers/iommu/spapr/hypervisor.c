// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows of a hypervisor
 *
 * In a partition a window is a table of the hypervisor's that each PE has for
 * itself and that hypercalls write. The domain's own table is the record of what
 * those tables hold: a PE that joins gets all of it, and the PEs that are there get
 * each change with it.
 *
 * A TCE is added to the record before it is put into a hypervisor's table. It leaves
 * the record after it is cleared there. Otherwise both change with the lock held. So
 * while the lock is free, the tables contain only what the record contains. The one
 * exception is a TCE that a hypervisor has failed to clear (kept.c). The caller of the
 * core sees to it that an address is not mapped and unmapped at the same time.
 *
 * A PE that joins while a range is being unmapped may get TCEs that other tables
 * have already lost. In that case the range is cleared once more.
 */

#define pr_fmt(fmt) "spapr-iommu: " fmt

#include <linux/memblock.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include <asm/mmzone.h>
#include <asm/spapr_tce.h>
#include <asm/tce.h>

#include "../iommu-pages.h"
#include "spapr-iommu.h"

/**
 * tce_hypervisor_clear() - Clear TCEs of a PE, or keep their pages
 * @attachment: The PE
 * @w: The window
 * @iova: Bus address of the first TCE, which the record still has
 * @npages: How many, at most SPAPR_TCE_LIST_MAX
 *
 * Does nothing in a window that is being closed, which has been cleared. The pages
 * of what could not be cleared are kept.
 *
 * Context: the domain's lock is held.
 * Return: 0, or -errno with the pages kept that the record has.
 */
long tce_hypervisor_clear(struct tce_attachment *attachment, unsigned int w,
			  u64 iova, unsigned long npages)
{
	struct tce_domain *td = attachment->domain;
	struct iommu_table *tbl = attachment->table[w];
	long ret;

	lockdep_assert_held(&td->lock);
	if (!tbl || attachment->closing[w])
		return 0;

	ret = tbl->it_ops->clear_list(tbl, iova >> tbl->it_page_shift, npages);
	if (!ret)
		return 0;

	tce_keep_recorded(td, w, iova, npages);
	pr_err_ratelimited("LIOBN %lx: %lu TCEs from %llx on not cleared: error %ld; pages of %lu TCEs are kept\n",
			   tbl->it_index, npages, iova, ret, td->nr_kept);
	return ret;
}

/* Write what the record has of a window, a list of TCEs at a time */
static int tce_write_window(struct tce_attachment *attachment, unsigned int w)
{
	struct tce_domain *td = attachment->domain;
	u64 iova = td->aperture[w].start, last = td->aperture[w].last;
	struct iommu_table *tbl = attachment->table[w];
	unsigned int n = 1;
	long rc = 0;

	while (n && !rc && iova < last) {
		scoped_guard(raw_spinlock_irqsave, &td->lock) {
			n = pt_iommu_tce_read_run(td->table[w], &iova, last,
						  td->list, SPAPR_TCE_LIST_MAX);
			if (n)
				rc = tbl->it_ops->put_list(tbl,
					iova >> tbl->it_page_shift, n, td->list);
			td->joins++;
		}
		iova += (u64)n << tbl->it_page_shift;
		cond_resched();
	}
	return rc;
}

/* Clear the TCEs that the record has or, for @all, every TCE of the window */
static void tce_clear_window(struct tce_attachment *attachment, unsigned int w,
			     bool all)
{
	struct tce_domain *td = attachment->domain;
	unsigned int page_shift = tce_page_shift(td, w);
	u64 iova = td->aperture[w].start, last = td->aperture[w].last;
	unsigned long flags;
	unsigned int n = 1;

	while (n && iova < last) {
		raw_spin_lock_irqsave(&td->lock, flags);
		n = all ? min(SPAPR_TCE_LIST_MAX,
			      (last - iova + 1) >> page_shift) :
			  pt_iommu_tce_read_run(td->table[w], &iova, last,
						td->list, SPAPR_TCE_LIST_MAX);
		if (n)
			tce_hypervisor_clear(attachment, w, iova, n);
		raw_spin_unlock_irqrestore(&td->lock, flags);
		iova += (u64)n << page_shift;
		cond_resched();
	}
}

static void tce_set_hypervisor_table(struct tce_attachment *attachment,
				     unsigned int w, struct iommu_table *tbl)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&attachment->domain->lock, flags);
	attachment->table[w] = tbl;
	attachment->closing[w] = false;
	raw_spin_unlock_irqrestore(&attachment->domain->lock, flags);
}

static void tce_set_closing(struct tce_attachment *attachment, unsigned int w,
			    bool closing)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&attachment->domain->lock, flags);
	attachment->closing[w] = closing;
	raw_spin_unlock_irqrestore(&attachment->domain->lock, flags);
}

/* Return the error of attach_dev for one of open_window(), which may be -1 */
static int tce_open_error(long rc)
{
	switch (rc) {
	case -EINVAL:
	case -ENODEV:
	case -ENOMEM:
		return rc;
	default:
		return -EIO;
	}
}

/* The hypervisor chooses where the window is. Fail unless @td has it there */
static int tce_open_window(struct tce_attachment *attachment, unsigned int w,
			   struct pci_dev *pdev)
{
	struct iommu_table_group *group = attachment->group;
	struct tce_domain *td = attachment->domain;
	unsigned int page_shift = tce_page_shift(td, w);
	u64 start = td->aperture[w].start;
	u64 size = td->aperture[w].last - start + 1;
	int num = start == group->tce32_start ||
		  group->max_dynamic_windows_supported == 1 ? 0 : 1;
	struct iommu_table *tbl;
	long rc;

	rc = group->ops->open_window(group, pdev, num, page_shift, size, 1,
				     &tbl);
	if (rc)
		return tce_open_error(rc);

	if ((u64)tbl->it_offset << page_shift != start ||
	    !tbl->it_ops->put_list) {
		group->ops->close_window(group, pdev, num);
		iommu_tce_table_put(tbl);
		return -EINVAL;
	}

	attachment->number[w] = num;
	tce_set_hypervisor_table(attachment, w, tbl);
	return tce_write_window(attachment, w);
}

static void tce_close_window(struct tce_attachment *attachment, unsigned int w,
			     struct pci_dev *pdev)
{
	struct iommu_table_group *group = attachment->group;
	struct iommu_table *tbl = attachment->table[w];

	if (!tbl)
		return;

	/*
	 * A window that goes takes with it what cannot be cleared. Its LIOBN is
	 * gone before the table is, and hypercalls for it fail then.
	 */
	tce_clear_window(attachment, w, false);
	tce_set_closing(attachment, w, true);
	if (group->ops->close_window(group, pdev, attachment->number[w])) {
		pr_err_ratelimited("LIOBN %lx: the window stays\n", tbl->it_index);
		tce_set_closing(attachment, w, false);
		tce_clear_window(attachment, w, true);
		tce_keep_for_good(attachment, w);
	}
	tce_set_hypervisor_table(attachment, w, NULL);
	iommu_tce_table_put(tbl);
}

static void tce_set_leaving(struct tce_attachment *attachment, bool leaving)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&attachment->domain->lock, flags);
	attachment->leaving = leaving;
	raw_spin_unlock_irqrestore(&attachment->domain->lock, flags);
}

static void tce_hypervisor_leave(struct tce_attachment *attachment,
				 struct device *dev)
{
	unsigned int w;

	tce_set_leaving(attachment, true);
	for (w = attachment->domain->windows; w--; )
		tce_close_window(attachment, w, to_pci_dev(dev));
	tce_retry_kept(attachment->domain);
}

static int tce_open_windows(struct tce_attachment *attachment,
			    struct device *dev)
{
	unsigned int w;
	int ret;

	tce_set_leaving(attachment, false);
	for (w = 0; w < attachment->domain->windows; w++) {
		ret = tce_open_window(attachment, w, to_pci_dev(dev));
		if (ret) {
			tce_hypervisor_leave(attachment, dev);
			return ret;
		}
	}
	return 0;
}

/*
 * A PE has the windows of one domain at a time, so the old ones go first. If
 * there is no way back either, the PE is left without.
 */
static int tce_hypervisor_join(struct tce_attachment *attachment,
			       struct tce_attachment *old, struct device *dev)
{
	int ret;

	if (old)
		tce_hypervisor_leave(old, dev);
	ret = tce_open_windows(attachment, dev);
	if (ret && old && tce_open_windows(old, dev))
		pr_err_ratelimited("PE of group %d is left without windows\n",
				   iommu_group_id(attachment->group->group));
	return ret;
}

/*
 * The default window and, where the hypervisor makes others, one as large as the
 * partition's memory may become
 */
static int tce_hypervisor_windows(const struct iommu_table_group *group,
				  struct iommu_hwpt_spapr_tce *data)
{
	struct iommu_spapr_tce_window *w = data->windows;

	if (!group->tce32_size)
		return -EOPNOTSUPP;

	w->start = group->tce32_start;
	w->size = group->tce32_size;
	w->page_shift = IOMMU_PAGE_SHIFT_4K;
	data->num_windows = 1;
	if (group->max_dynamic_windows_supported != TCE_WINDOWS)
		return 0;

	w++;
	w->start = SPAPR_TCE_SECOND_START;
	w->size = roundup_pow_of_two(memory_hotplug_max());
	w->page_shift = __fls(tce_host_page_sizes(group));
	data->num_windows++;
	return 0;
}

/* Clear a range in the tables of all PEs. Return what @joins was before */
static unsigned long tce_clear_range(struct tce_domain *td, unsigned int w,
				     u64 iova, u64 last)
{
	const u64 step = (u64)SPAPR_TCE_LIST_MAX << tce_page_shift(td, w);
	struct tce_attachment *attachment;
	unsigned long joins = 0, flags;
	u64 at, n;

	for (at = iova; at <= last; at += n) {
		n = min(last - at + 1, step);
		raw_spin_lock_irqsave(&td->lock, flags);
		if (at == iova)
			joins = td->joins;
		list_for_each_entry(attachment, &td->attachments, node)
			tce_hypervisor_clear(attachment, w, at,
					     n >> tce_page_shift(td, w));
		raw_spin_unlock_irqrestore(&td->lock, flags);
	}
	return joins;
}

/*
 * Clear a range in the tables of all PEs, then remove it from the record, which
 * has the pages of TCEs that are not cleared until then. If a PE got TCEs of the
 * record in between, do so again.
 */
static size_t tce_unmap_range(struct tce_domain *td, unsigned int w, u64 iova,
			      size_t size, struct iommu_iotlb_gather *gather)
{
	struct pt_iommu *pt = &td->table[w]->iommu;
	unsigned long joins;

	for (;;) {
		joins = tce_clear_range(td, w, iova, iova + size - 1);
		guard(raw_spinlock_irqsave)(&td->lock);
		if (joins == td->joins)
			return pt->ops->unmap_range(pt, iova, size, gather);
	}
}

/* A table of the last level at a time, as interrupts are off meanwhile */
static size_t tce_hypervisor_unmap_pages(struct iommu_domain *domain,
					 unsigned long iova, size_t pgsize,
					 size_t pgcount,
					 struct iommu_iotlb_gather *gather)
{
	struct tce_domain *td = to_tce_domain(domain);
	size_t size, done = 0, n, unmapped;
	int w = tce_window_of(td, iova);
	u64 table_size;

	if (w < 0)
		return 0;
	size = tce_size_in_window(td, w, iova, pgsize * pgcount);
	table_size = (PAGE_SIZE / sizeof(u64)) << tce_page_shift(td, w);
	do {
		n = min(size - done, table_size - (iova & (table_size - 1)));
		/* Synchronise what has been gathered: not with the lock held */
		if (iommu_iotlb_gather_is_disjoint(gather, iova, n))
			iommu_iotlb_sync(domain, gather);
		unmapped = tce_unmap_range(td, w, iova, n, gather);
		done += unmapped;
		iova += unmapped;
	} while (unmapped == n && done < size);
	return done;
}

static long tce_put_list(struct tce_attachment *attachment, unsigned int w,
			 u64 iova, unsigned int count)
{
	struct tce_domain *td = attachment->domain;
	struct iommu_table *tbl = attachment->table[w];

	lockdep_assert_held(&td->lock);
	if (!tbl || attachment->leaving)
		return 0;
	return tbl->it_ops->put_list(tbl, iova >> tbl->it_page_shift, count,
				     td->list);
}

/*
 * Put the TCEs of contiguous memory into the tables of all PEs, a list at a time.
 * They equal the record, as the caller keeps the range from being unmapped. Reading
 * the record would take longer.
 */
static int tce_put_mapped(struct tce_domain *td, unsigned int w, u64 iova,
			  u64 tce, unsigned long npages)
{
	const unsigned int page_shift = tce_page_shift(td, w);
	struct tce_attachment *attachment;
	struct spapr_tce *list = td->list;
	unsigned int i, count;
	long ret;

	for (; npages; npages -= count, iova += (u64)count << page_shift) {
		count = min(npages, SPAPR_TCE_LIST_MAX);
		guard(raw_spinlock_irqsave)(&td->lock);
		for (i = 0; i < count; i++, tce += BIT_ULL(page_shift))
			list[i] = (struct spapr_tce){ .tce = tce };
		list_for_each_entry(attachment, &td->attachments, node) {
			ret = tce_put_list(attachment, w, iova, count);
			if (ret)
				return ret;
		}
	}
	return 0;
}

static int tce_hypervisor_map_pages(struct iommu_domain *domain,
				    unsigned long iova, phys_addr_t paddr,
				    size_t pgsize, size_t pgcount, int prot,
				    gfp_t gfp, size_t *mapped)
{
	/* As in the record, see tce_pt_iommu_set_prot() */
	u64 perm = prot & IOMMU_WRITE ? TCE_PCI_READ | TCE_PCI_WRITE :
					TCE_PCI_READ;
	struct tce_domain *td = to_tce_domain(domain);
	const size_t size = pgsize * pgcount;
	int w = tce_window_of_range(td, iova, size);
	struct pt_iommu *pt;
	int ret;

	if (w < 0)
		return w;
	ret = tce_kept_populate(td, w, iova, size, gfp);
	if (ret)
		return ret;
	pt = &td->table[w]->iommu;
	ret = pt->ops->map_range(pt, iova, paddr, size, prot, gfp, mapped);
	if (ret)
		return ret;
	return tce_put_mapped(td, w, iova, paddr | perm,
			      size >> tce_page_shift(td, w));
}

/* The tables were cleared before TCEs left the record */
static void tce_hypervisor_sync(struct iommu_domain *domain,
				struct iommu_iotlb_gather *gather)
{
	iommu_put_pages_list(&gather->freelist);
	tce_retry_kept(to_tce_domain(domain));
}

static void tce_hypervisor_destroy(struct tce_domain *td)
{
	tce_kept_destroy(td);
	kfree(td->list);
}

static int tce_hypervisor_init(struct tce_domain *td)
{
	td->list = kmalloc_array(SPAPR_TCE_LIST_MAX, sizeof(*td->list),
				 GFP_KERNEL_ACCOUNT);
	return td->list ? tce_kept_init(td) : -ENOMEM;
}

static const struct iommu_domain_ops tce_hypervisor_domain_ops = {
	.attach_dev = tce_domain_attach_dev,
	.map_pages = tce_hypervisor_map_pages,
	.unmap_pages = tce_hypervisor_unmap_pages,
	.iotlb_sync = tce_hypervisor_sync,
	.iova_to_phys = tce_domain_iova_to_phys,
	.apertures = tce_domain_apertures,
	.free = tce_domain_free,
};

const struct tce_kind tce_kind_hypervisor = {
	.ops = &tce_hypervisor_domain_ops,
	.init = tce_hypervisor_init,
	.destroy = tce_hypervisor_destroy,
	.default_windows = tce_hypervisor_windows,
	.join = tce_hypervisor_join,
	.leave = tce_hypervisor_leave,
};
