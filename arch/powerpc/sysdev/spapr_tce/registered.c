// SPDX-License-Identifier: GPL-2.0-only
/*
 * Map registered memory: operations of kinds of table
 *
 * The owner of a window on registered memory maps by user address. The pages are
 * looked up in walks, as hypercalls do it.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>

#include <asm/spapr_tce.h>
#include "window.h"

/*
 * Make TCEs for user memory from @ua on. Those for one of the host's pages
 * follow from one lookup.
 */
static __always_inline bool
make_registered(struct spapr_mem_cursor *cursor, struct spapr_tce *list,
		unsigned long ua, unsigned long npages, unsigned long step,
		unsigned long perm, unsigned long bits)
{
	const struct spapr_tce *end = list + npages;
	unsigned long hpa;

	while (list < end) {
		if (!spapr_mem_next_to_phys(cursor, ua, &hpa))
			return false;
		do {
			list->origin = ua | perm;
			list->tce = hpa | bits;
			list++;
			ua += step;
			hpa += step;
		} while (list < end && ua & ~PAGE_MASK);
	}

	return true;
}

/*
 * Map registered memory in one leaf. The walk ends after the device has been
 * told to forget what was replaced, so unregistering that waits for it.
 */
long spapr_tce_map_registered(struct spapr_tce_window *window,
			      unsigned long index, unsigned long ua,
			      unsigned long npages, unsigned long perm)
{
	const unsigned long step = window->page_mask + 1;
	struct spapr_tce list[SPAPR_TCE_BATCH] __uninitialized;
	struct spapr_mem_cursor cursor;
	unsigned long done = 0, n;
	long ret = 0;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	cursor = spapr_mem_cursor(window->pages, window->page_shift);
	while (done < npages) {
		n = min(npages - done, SPAPR_TCE_BATCH);
		ret = -EINVAL;
		if (make_registered(&cursor, list, ua, n, step, perm,
				    window->perm[perm]))
			ret = spapr_tce_store(window, index + done, list, n);
		if (ret)
			break;
		done += n;
		ua += n * step;
	}
	if (done)
		spapr_tce_kill(window, index, done);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	/* After a part was mapped, the next call for the rest returns the error */
	return done ?: ret;
}

long spapr_tce_unmap_registered(struct spapr_tce_window *window,
				unsigned long index, unsigned long npages)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	ret = spapr_tce_clear(window, index, npages, SPAPR_TCE_VIRTUAL);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

int spapr_tce_may_map_registered(struct spapr_tce_window *window,
				 unsigned long ua, unsigned long size)
{
	return spapr_mem_covers(window->mem, ua, size, window->page_shift) ?
	       0 : -EINVAL;
}
