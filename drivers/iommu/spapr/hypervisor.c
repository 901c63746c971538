// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows of a hypervisor
 *
 * In a partition a window is a table of the hypervisor's that each PE has for
 * itself and that hypercalls write. The domain's own table, which the IOMMU
 * core maps into, is the log of what those tables hold: a PE that joins gets
 * all of it, and after each change the PEs that are there get the change.
 *
 * Both read the log under the domain's lock, so their order does not matter: a
 * TCE that was unmapped in the meantime is either gone from the log, or is
 * cleared after it was written.
 */

#define pr_fmt(fmt) "spapr-iommu: " fmt

#include <linux/memblock.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <uapi/linux/iommufd.h>

#include <asm/mmzone.h>

#include "spapr-iommu.h"

/*
 * A hypervisor that does not clear a TCE leaves the device access to a page
 * that is about to be given to others. All that is left to do is to report it.
 */
static void tce_report_lost(const struct iommu_table *tbl, unsigned long start,
			    unsigned long npages, long rc)
{
	pr_err_ratelimited("LIOBN %lx: %lu TCEs from %lx on stay: %ld\n",
			   tbl->it_index, npages, start, rc);
}

static void tce_hypervisor_unmap(struct tce_attachment *attachment,
				 unsigned int w, unsigned long start,
				 unsigned long npages)
{
	struct iommu_table *tbl = attachment->table[w];
	unsigned long n;
	long rc;

	lockdep_assert_held(&attachment->domain->lock);
	if (!tbl)
		return;

	for (; npages; npages -= n) {
		n = min(npages, TCE_LIST_MAX);
		rc = tbl->it_ops->clear_list(tbl, start >> tbl->it_page_shift,
					     n);
		if (rc)
			tce_report_lost(tbl, start, n, rc);
		start += n << tbl->it_page_shift;
	}
}

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
				  TCE_LIST_MAX);
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
		raw_spin_unlock_irqrestore(&td->lock, flags);
		cond_resched();
	}
	return min(n, 0);
}

/*
 * Clear the TCEs that the log has or, for @all, every TCE of the window. The core
 * may have removed TCEs from the log that it has not told of yet.
 */
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
		n = all ? min(TCE_LIST_MAX, (last - iova + 1) >> page_shift) :
			  pt_iommu_tce_read_run(td->table[w], &iova, last,
						td->list, TCE_LIST_MAX);
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
	raw_spin_unlock_irqrestore(&attachment->domain->lock, flags);
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
		return rc;

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
	bool outlasts = attachment->domain->aperture[w].start ==
			group->tce32_start;

	if (!tbl)
		return;

	/* The default window may stay. Others are removed with all their TCEs */
	tce_clear_window(attachment, w, outlasts);
	if (group->ops->close_window(group, pdev, attachment->number[w])) {
		pr_err("LIOBN %lx: the window stays\n", tbl->it_index);
		tce_clear_window(attachment, w, true);
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
	u64 pgsizes = group->pgsizes & GENMASK_ULL(PAGE_SHIFT, 0);
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
	w->start = TCE_SECOND_WINDOW;
	w->size = roundup_pow_of_two(memory_hotplug_max());
	w->page_shift = __fls(pgsizes);
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
