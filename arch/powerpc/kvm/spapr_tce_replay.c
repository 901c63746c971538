// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replay: what a table has is written into a window that it gets linked to
 *
 * Once a group is linked, the device sees what the table says. User space chooses
 * how many entries the table has. So they are written in slices, of a walk's TCEs
 * of the window or of one entry that is larger: ending the link waits for one
 * slice, under locks that an unbind of a device needs.
 *
 * What a nested domain's window has and the table has not is cleared: the guest's
 * tables have been read for it, and may have changed since.
 *
 * Entries whose memory is not registered are left to user space, as hypercalls
 * leave them.
 */
#include <linux/minmax.h>
#include <linux/sched.h>

#include "spapr_tce.h"

/* Find the table's next entry with permissions, from *@index on before @end */
static bool next_entry(const struct kvmppc_spapr_tce_table *table,
		       unsigned long *index, unsigned long end, u64 *tce)
{
	for (; *index < end; (*index)++) {
		const u64 *view = READ_ONCE(table->view[*index >>
							TCE_VIEW_SHIFT]);

		if (!(*index & (TCE_VIEW_TCES - 1)))
			cond_resched();
		if (!view) {
			/* On to the next page */
			*index |= TCE_VIEW_TCES - 1;
			continue;
		}

		/* User space may write it meanwhile */
		*tce = READ_ONCE(view[*index & (TCE_VIEW_TCES - 1)]);
		if (*tce & SPAPR_TCE_PERM)
			return true;
	}

	return false;
}

/*
 * Did the domain put this TCE itself? It also maps memory that is only read, and
 * registers of devices, which hypercalls leave to user space.
 */
static bool has_been_put(const struct kvmppc_spapr_tce_link *link,
			 unsigned long index, u64 tce)
{
	u64 *origin;

	if (!link->window->by_gpa || link->subpage_shift)
		return false;

	origin = spapr_sparse_find(&link->window->origins, index);
	return origin && READ_ONCE(*origin) == tce;
}

/* Write a TCE of the guest's view, or nothing if its memory is not registered */
static int replay_tce(struct kvmppc_spapr_tce_table *table,
		      struct kvmppc_spapr_tce_link *link, unsigned long index,
		      u64 tce, struct spapr_tce *list)
{
	int ret = kvmppc_tce_put_parts(table, link, index, tce, list, true);

	if (ret != -EFAULT)
		return ret;
	if (has_been_put(link, index, tce))
		return 0;
	return kvmppc_tce_clear_parts(link, index, 1) ? 0 : -EIO;
}

/*
 * Find the table's next entry from *@index on, and clear what a window on the
 * guest's memory has before it. *@found is whether there is one before @end.
 */
static int replay_next(struct kvmppc_spapr_tce_table *table,
		       struct kvmppc_spapr_tce_link *link,
		       unsigned long *index, unsigned long end, u64 *tce,
		       bool *found)
{
	unsigned long from = *index;

	*found = next_entry(table, index, end, tce);
	*index = min(*index, end);
	if (!link->window->by_gpa || from == *index)
		return 0;

	return kvmppc_tce_clear_parts(link, from, *index - from) ? 0 : -EIO;
}

/**
 * kvmppc_tce_replay_slice() - write entries of a table into a window
 * @table: the table, whose links are frozen and no walk uses
 * @link: the window
 * @index: first entry; moved behind the last one that has been dealt with
 * @list: room for SPAPR_TCE_LIST_MAX TCEs
 *
 * Context: process context, may sleep; kvm->arch.spapr_tce_lock held.
 * Return: 0; -ENOMEM; -EIO where the window's table could not be written.
 */
int kvmppc_tce_replay_slice(struct kvmppc_spapr_tce_table *table,
			    struct kvmppc_spapr_tce_link *link,
			    unsigned long *index, struct spapr_tce *list)
{
	unsigned long end;
	bool found = true;
	int ret = 0;
	u64 tce;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	end = SPAPR_TCE_LIST_MAX >> link->subpage_shift;
	end = min(*index + max(end, 1UL), table->size);
	while (!ret && found) {
		ret = replay_next(table, link, index, end, &tce, &found);
		if (!ret && found)
			ret = replay_tce(table, link, (*index)++, tce, list);
	}

	return ret;
}

/**
 * kvmppc_tce_replay_goes_on() - tell whether more of a table is to be written
 * @table: the table
 * @window: the window
 * @index: where to look from; moved over what need not be looked at
 *
 * Context: process context, may sleep.
 * Return: true if there is more.
 */
bool kvmppc_tce_replay_goes_on(const struct kvmppc_spapr_tce_table *table,
			       const struct spapr_tce_window *window,
			       unsigned long *index)
{
	u64 tce;

	if (window->by_gpa)
		return *index < table->size;

	return next_entry(table, index, table->size, &tce);
}
