// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows of a hypervisor
 *
 * In a partition a window is a table of the hypervisor's that each PE has for
 * itself and that hypercalls write. The domain's own table, which the IOMMU
 * core maps into, is the log of what those tables hold: a PE that joins gets
 * all of it, and after each change the PEs that are there get the change.
 *
 * What is mapped is in the log first, and a TCE leaves the log after it has been
 * cleared in the hypervisor's tables; or the lock is held while both change. So with
 * the lock free the tables have no more than the log, except for TCEs that a
 * hypervisor has not cleared. A PE that joins while a range is unmapped may get TCEs
 * of it that have been cleared in other tables, so the range is cleared once more
 * then.
 *
 * A hypervisor may fail to clear a TCE. The core unmaps its page all the same, and
 * the page is freed, while the device still reaches it. So a reference keeps the
 * page from being given to others. The address is taken from the log, and noted in
 * tce_domain::kept, which has room for each TCE before it is mapped. The reference
 * is dropped when the TCE has been cleared after all, or the PE has lost the window.
 * The pages of a window that stays with the hypervisor are kept for good.
 */

#define pr_fmt(fmt) "spapr-iommu: " fmt

#include <linux/memblock.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <uapi/linux/iommufd.h>

#include <asm/mmzone.h>
#include <asm/spapr_tce.h>

#include "spapr-iommu.h"

/* --- Pages of TCEs that a hypervisor has not cleared */

static unsigned long tce_window_index(const struct tce_domain *td,
				      unsigned int w, u64 iova)
{
	return (iova - td->aperture[w].start) >> tce_page_shift(td, w);
}

static u64 tce_window_iova(const struct tce_domain *td, unsigned int w,
			   unsigned long index)
{
	return td->aperture[w].start + ((u64)index << tce_page_shift(td, w));
}

/**
 * tce_kept_init() - Let pages of a domain be kept
 * @td: The domain, with its windows
 *
 * Context: process context.
 * Return: 0 or -ENOMEM. The caller calls tce_kept_destroy() in either case.
 */
int tce_kept_init(struct tce_domain *td)
{
	unsigned int w;

	for (w = 0; w < td->windows; w++) {
		u64 last = tce_window_index(td, w, td->aperture[w].last);

		if (!spapr_sparse_init(&td->kept[w], fls64(last),
				       GFP_KERNEL_ACCOUNT))
			return -ENOMEM;
	}
	return 0;
}

/**
 * tce_kept_destroy() - Undo tce_kept_init()
 * @td: The domain, which no PE is attached to any more
 *
 * Context: process context.
 */
void tce_kept_destroy(struct tce_domain *td)
{
	unsigned int w;

	tce_retry_kept(td);
	for (w = 0; w < td->windows; w++)
		spapr_sparse_destroy(&td->kept[w], true);
}

/**
 * tce_kept_populate() - Make room for keeping the pages of TCEs
 * @td: The domain
 * @w: The window
 * @iova: Bus address of the first TCE
 * @size: How many bytes the TCEs map, not 0
 * @gfp: How to allocate
 *
 * Context: as @gfp allows.
 * Return: 0 or -ENOMEM.
 */
int tce_kept_populate(struct tce_domain *td, unsigned int w, u64 iova,
		      u64 size, gfp_t gfp)
{
	unsigned long index = tce_window_index(td, w, iova);
	unsigned long end = tce_window_index(td, w, iova + size - 1) + 1;

	for (; index < end; index = spapr_sparse_leaf_end(index, end))
		if (!spapr_sparse_populate(&td->kept[w], index, gfp))
			return -ENOMEM;
	return 0;
}

/* Registers of devices are not the kernel's to give away */
static struct folio *tce_folio(unsigned long pfn)
{
	if (!pfn_valid(pfn) || is_zone_device_page(pfn_to_page(pfn)))
		return NULL;
	return page_folio(pfn_to_page(pfn));
}

/* Take, or drop, a reference of each of the kernel's pages that a TCE maps */
static void tce_refer(u64 tce, unsigned int page_shift, bool take)
{
	unsigned long pfn = PHYS_PFN(tce);
	unsigned long end = pfn + DIV_ROUND_UP(BIT(page_shift), PAGE_SIZE);

	for (; pfn < end; pfn++) {
		struct folio *folio = tce_folio(pfn);

		if (folio && take)
			folio_get(folio);
		else if (folio)
			folio_put(folio);
	}
}

/**
 * tce_keep() - Keep the pages of TCEs that a hypervisor may still have
 * @td: The domain
 * @w: The window
 * @iova: Bus address of the first TCE
 * @list: The TCEs. Their pages have not been given back yet
 * @count: How many
 *
 * The page of a second TCE at an address is kept for good.
 *
 * Context: the domain's lock is held.
 */
void tce_keep(struct tce_domain *td, unsigned int w, u64 iova,
	      const struct spapr_tce *list, unsigned int count)
{
	unsigned long index = tce_window_index(td, w, iova);
	unsigned int i;

	lockdep_assert_held(&td->lock);
	for (i = 0; i < count; i++) {
		u64 *kept = spapr_sparse_find(&td->kept[w], index + i);
		u64 tce = list[i].tce;

		if (!(tce & SPAPR_TCE_PERM) || (kept && *kept == tce))
			continue;
		tce_refer(tce, tce_page_shift(td, w), true);
		if (!kept || *kept)
			continue;
		WRITE_ONCE(*kept, tce);
		td->nr_kept++;
	}
}

/* Keep the pages of what the log has from @iova on */
static void tce_keep_logged(struct tce_domain *td, unsigned int w, u64 iova,
			    unsigned long npages)
{
	unsigned int page_shift = tce_page_shift(td, w);
	u64 last = iova + ((u64)npages << page_shift) - 1;
	unsigned int n;

	lockdep_assert_held(&td->lock);
	while (iova < last) {
		n = pt_iommu_tce_read_run(td->table[w], &iova, last, td->list,
					  SPAPR_TCE_LIST_MAX);
		if (!n)
			return;
		tce_keep(td, w, iova, td->list, n);
		iova += (u64)n << page_shift;
	}
}

static bool tce_logged(struct tce_domain *td, unsigned int w, u64 iova)
{
	return pt_iommu_tce_read_run(td->table[w], &iova,
				     iova + BIT(tce_page_shift(td, w)) - 1,
				     td->list, 1);
}

static int tce_clear_one(struct tce_attachment *attachment, unsigned int w,
			 u64 iova)
{
	struct iommu_table *tbl = attachment->table[w];

	if (!tbl)
		return 0;
	if (attachment->closing[w])
		return -EBUSY;
	return tbl->it_ops->clear_list(tbl, iova >> tbl->it_page_shift, 1);
}

/*
 * Clear a TCE whose page is kept in all PEs, and move it to *@tce. It stays where
 * another has been mapped over it, which will be cleared in its turn. 0 or -errno
 */
static int tce_retry_one(struct tce_domain *td, unsigned int w,
			 unsigned long index, u64 *kept, u64 *tce)
{
	u64 iova = tce_window_iova(td, w, index);
	struct tce_attachment *attachment;
	int ret;

	guard(raw_spinlock_irqsave)(&td->lock);
	*tce = 0;
	if (!*kept || tce_logged(td, w, iova))
		return 0;
	list_for_each_entry(attachment, &td->attachments, node) {
		ret = tce_clear_one(attachment, w, iova);
		if (ret)
			return ret;
	}
	*tce = *kept;
	WRITE_ONCE(*kept, 0);
	td->nr_kept--;
	return 0;
}

/* Do so for a window, up to the first error */
static void tce_retry_window(struct tce_domain *td, unsigned int w)
{
	unsigned long last = tce_window_index(td, w, td->aperture[w].last);
	unsigned long index = 0;
	u64 *kept, tce;

	for (; index <= last && READ_ONCE(td->nr_kept); index++) {
		cond_resched();
		kept = spapr_sparse_next_leaf(&td->kept[w], &index, last);
		if (!kept)
			return;
		/* Few are kept: take the lock for these only */
		if (!READ_ONCE(*kept))
			continue;
		if (tce_retry_one(td, w, index, kept, &tce))
			return;
		if (tce)
			tce_refer(tce, tce_page_shift(td, w), false);
	}
}

/**
 * tce_retry_kept() - Clear the TCEs again whose pages are kept, and drop the pages
 * @td: The domain
 *
 * Context: process context.
 */
void tce_retry_kept(struct tce_domain *td)
{
	unsigned int w;

	for (w = 0; w < td->windows && READ_ONCE(td->nr_kept); w++)
		tce_retry_window(td, w);
}

/* A PE leaves and its window stays: keep for good what is not cleared now */
static void tce_keep_for_good(struct tce_attachment *attachment, unsigned int w)
{
	struct tce_domain *td = attachment->domain;
	unsigned long last = tce_window_index(td, w, td->aperture[w].last);
	unsigned long index = 0, flags;
	u64 *kept;

	for (; index <= last && READ_ONCE(td->nr_kept); index++) {
		cond_resched();
		kept = spapr_sparse_next_leaf(&td->kept[w], &index, last);
		if (!kept)
			return;
		if (!READ_ONCE(*kept))
			continue;
		raw_spin_lock_irqsave(&td->lock, flags);
		if (*kept && tce_clear_one(attachment, w,
					   tce_window_iova(td, w, index))) {
			WRITE_ONCE(*kept, 0);
			td->nr_kept--;
		}
		raw_spin_unlock_irqrestore(&td->lock, flags);
	}
}

/**
 * tce_hypervisor_clear() - Clear TCEs of a PE, or keep their pages
 * @attachment: The PE
 * @w: The window
 * @iova: Bus address of the first TCE, which the log still has
 * @npages: How many, at most SPAPR_TCE_LIST_MAX
 *
 * Does nothing in a window that is being closed, which has been cleared. The pages
 * of what could not be cleared are kept.
 *
 * Context: the domain's lock is held.
 * Return: 0, or -errno with the pages kept that the log has.
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

	tce_keep_logged(td, w, iova, npages);
	pr_err_ratelimited("LIOBN %lx: %lu TCEs from %llx on not cleared: error %ld; pages of %lu TCEs are kept\n",
			   tbl->it_index, npages, iova, ret, td->nr_kept);
	return ret;
}

static void tce_hypervisor_unmap(struct tce_attachment *attachment,
				 unsigned int w, unsigned long start,
				 unsigned long npages)
{
	unsigned int page_shift = tce_page_shift(attachment->domain, w);
	unsigned long n;

	for (; npages; npages -= n) {
		n = min(npages, SPAPR_TCE_LIST_MAX);
		tce_hypervisor_clear(attachment, w, start, n);
		start += n << page_shift;
	}
}

/* --- Windows */

/*
 * Write the first TCEs that the log has in *@iova to @last, and move *@iova
 * behind them. Return how many these are, 0 for none, or -errno.
 */
static long tce_write_run(struct tce_attachment *attachment, unsigned int w,
			  u64 *iova, u64 last)
{
	struct tce_domain *td = attachment->domain;
	struct iommu_table *tbl = attachment->table[w];
	unsigned int page_shift = tce_page_shift(td, w);
	unsigned int n;
	long rc;

	lockdep_assert_held(&td->lock);
	n = pt_iommu_tce_read_run(td->table[w], iova, last, td->list,
				  SPAPR_TCE_LIST_MAX);
	if (!n)
		return 0;

	rc = tbl->it_ops->put_list(tbl, *iova >> page_shift, n, td->list);
	if (rc)
		return rc;
	*iova += (u64)n << page_shift;
	return n;
}

static int tce_hypervisor_map(struct tce_attachment *attachment,
			      unsigned int w, unsigned long start,
			      unsigned long npages)
{
	u64 iova = start;
	u64 last = start + (npages << tce_page_shift(attachment->domain, w)) - 1;
	long n = 1;

	if (!attachment->table[w] || attachment->leaving)
		return 0;

	while (n > 0 && iova < last)
		n = tce_write_run(attachment, w, &iova, last);
	return min(n, 0);
}

/* Write all of a window, a list at a time, and drop the lock in between */
static int tce_write_window(struct tce_attachment *attachment, unsigned int w)
{
	struct tce_domain *td = attachment->domain;
	u64 iova = td->aperture[w].start;
	unsigned long flags;
	long n = 1;

	while (n > 0 && iova < td->aperture[w].last) {
		raw_spin_lock_irqsave(&td->lock, flags);
		n = tce_write_run(attachment, w, &iova, td->aperture[w].last);
		td->joins++;
		raw_spin_unlock_irqrestore(&td->lock, flags);
		cond_resched();
	}
	return min(n, 0);
}

/* Clear the TCEs that the log has or, for @all, every TCE of the window */
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
		tce_hypervisor_unmap(attachment, w, iova, n);
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
		pr_err("LIOBN %lx: the window stays\n", tbl->it_index);
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
		pr_err("PE of group %d is left without windows\n",
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

	if (!is_power_of_2(group->tce32_size))
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

const struct tce_kind tce_kind_hypervisor = {
	.lists = true,
	.default_windows = tce_hypervisor_windows,
	.join = tce_hypervisor_join,
	.leave = tce_hypervisor_leave,
	.map = tce_hypervisor_map,
	.unmap = tce_hypervisor_unmap,
};
