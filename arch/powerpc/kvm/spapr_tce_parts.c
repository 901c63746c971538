// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing one TCE of a table in parts, in process context
 *
 * A TCE of a table can become more TCEs of a window than a walk may write. So
 * these functions write it in several walks, and make the window's levels on the
 * way. A hypercall for such a table comes here, and so does a new link, whose
 * window gets the entries that the table has.
 */
#include <linux/sched.h>

#include "spapr_tce_make.h"

/**
 * kvmppc_tce_clear_parts() - clear what TCEs of a table became in a window
 * @link: the window
 * @index: index of the first TCE in the table
 * @count: number of TCEs of the table
 *
 * Context: process context, may sleep; kvm->arch.spapr_tce_lock held.
 * Return: false where the window's table could not be written.
 */
bool kvmppc_tce_clear_parts(struct kvmppc_spapr_tce_link *link,
			    unsigned long index, unsigned long count)
{
	unsigned long first = index << link->subpage_shift;
	unsigned long end = (index + count) << link->subpage_shift, n;
	bool cleared = true;

	for (; first < end; first += n) {
		n = min(end - first, SPAPR_TCE_LIST_MAX);
		spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
		if (spapr_tce_clear(link->window, first, n,
				    SPAPR_TCE_VIRTUAL))
			cleared = false;
		spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
		cond_resched();
	}

	return cleared;
}

/* Check, or if @write write, a walk's part of a TCE */
static int put_part(struct kvmppc_spapr_tce_table *table,
		    struct kvmppc_spapr_tce_link *link, unsigned long index,
		    u64 tce, unsigned long first, unsigned long n,
		    struct spapr_tce *list, bool write)
{
	const struct kvmppc_spapr_tce_slot none = {};
	struct tce_maker maker;
	int ret;

	index = (index << link->subpage_shift) + first;
	ret = spapr_tce_window_populate(link->window, index, n);
	if (ret)
		return ret;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	maker = tce_maker(table, link, &none);
	if (!tce_make_part(&maker, tce, first, n, list))
		ret = -EFAULT;
	else if (write && spapr_tce_put(link->window, index, list, n,
					SPAPR_TCE_VIRTUAL))
		ret = -EIO;
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

/**
 * kvmppc_tce_put_parts() - check or write a TCE of a table in a window
 * @table: the table
 * @link: the window
 * @index: index of the TCE in the table
 * @tce: the TCE as the guest gave it, with permissions
 * @list: room for SPAPR_TCE_LIST_MAX TCEs
 * @write: write it; else only check it
 *
 * What was written before an error stays, see kvmppc_tce_clear_parts().
 *
 * Context: process context, may sleep; kvm->arch.spapr_tce_lock held.
 * Return: 0; -EFAULT where the page is not guest memory or its memory is not
 * registered in pages of the window's size; -ENOMEM; -EIO where the window's
 * table could not be written.
 */
int kvmppc_tce_put_parts(struct kvmppc_spapr_tce_table *table,
			 struct kvmppc_spapr_tce_link *link,
			 unsigned long index, u64 tce, struct spapr_tce *list,
			 bool write)
{
	const unsigned long subpages = 1UL << link->subpage_shift;
	unsigned long first, n;
	int ret;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	for (first = 0; first < subpages; first += n) {
		n = min(subpages - first, SPAPR_TCE_LIST_MAX);
		ret = put_part(table, link, index, tce, first, n, list, write);
		if (ret)
			return ret;
		cond_resched();
	}

	return 0;
}
