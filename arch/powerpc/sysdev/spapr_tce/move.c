// SPDX-License-Identifier: GPL-2.0-only
/*
 * Move a window to another table
 *
 * The TCEs of the former table are cleared, and the new table gets TCEs for what
 * the window's origins say is mapped.
 */
#include <linux/bug.h>
#include <linux/mutex.h>

#include <asm/spapr_tce.h>
#include "window.h"

/* Clear the former table and fill the new one; after an error go back */
static long exchange_table(struct spapr_tce_window *window,
			   struct iommu_table *tbl, struct spapr_tce_hv *hv)
{
	struct spapr_tce_hv *old_hv = window->hv;
	struct iommu_table *old = window->tbl;
	long ret = 0;

	if (!spapr_tce_window_is_soft(window))
		spapr_tce_empty_table(window);

	spapr_tce_window_set_table(window, tbl, hv);
	if (!spapr_tce_window_is_soft(window))
		ret = spapr_tce_refill_table(window);
	if (ret) {
		spapr_tce_empty_table(window);
		spapr_tce_window_set_table(window, old, old_hv);
	}

	return ret;
}

/**
 * spapr_tce_window_move() - put a window on another table
 * @window: a window that is watched
 * @tbl: for a window in software, a table of the same start, size and page size, in
 *	which nothing is mapped; for any other, the one in software
 *
 * What is mapped stays mapped. On success the reference to @tbl passes to the
 * window, and the one to the table that it had to the caller. That table is
 * empty then, unless a hypervisor has failed to clear it; in that case
 * spapr_tce_window::lost is set.
 *
 * Context: process context, may sleep, of the process itself if an owner pins;
 * calls are serialised by the owner, which has the window programmed into no
 * hardware or only into that of the table that the window leaves.
 * Return: 0, or an error, then all is as before: -EINVAL if memory is mapped
 * that is not registered, or not as pages of the window's size; the error of
 * spapr_tce_owner::map; -ENOMEM; or the error of a hypervisor's table. To a
 * table in software nothing fails.
 */
int spapr_tce_window_move(struct spapr_tce_window *window,
			  struct iommu_table *tbl)
{
	const struct spapr_tce_kind *kind = spapr_tce_kind_of(tbl);
	struct spapr_tce_hv *hv = NULL, *old_hv = window->hv;
	long ret;

	spapr_tce_window_assert_owned(window);

	WARN_ON_ONCE(!window->watched);
	if (kind->prepare) {
		ret = kind->prepare(window, tbl, &hv);
		if (ret)
			return ret;
	}

	/* No registration ends while only the origins tell what it is used for */
	if (window->mem)
		mutex_lock(&window->mem->lock);
	ret = exchange_table(window, tbl, hv);
	if (window->mem)
		mutex_unlock(&window->mem->lock);
	hv = ret ? hv : old_hv;
	/* Pages of TCEs that are left stay pinned as long as the table exists */
	if (window->lost && !window->left_hv)
		window->left_hv = hv;
	else
		spapr_tce_hv_destroy(hv);

	return ret;
}
