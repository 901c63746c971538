// SPDX-License-Identifier: GPL-2.0-only
/*
 * Report a window's TCEs to registered memory that is about to be unpinned
 *
 * Walks go on writing the window meanwhile. A walk stores TCE and origin one after
 * the other, so the two may contradict each other when they are read. Registered
 * memory copes with that (spapr_mem_search_tce()). What of a table can be read
 * depends on its kind (kinds.c).
 */
#include <linux/container_of.h>
#include <linux/sched.h>

#include <asm/spapr_tce.h>
#include "mem_user.h"
#include "window.h"

static struct spapr_tce_window *window_of(struct spapr_mem_user *user)
{
	return container_of(user, struct spapr_tce_window, memory);
}

/* The cost grows with what is populated */
static void search_window(struct spapr_mem_user *user,
			  struct spapr_mem_search *search)
{
	struct spapr_tce_window *window = window_of(user);
	unsigned long index = 0, end = window->npages;
	u64 *origin;

	lockdep_assert_held(&window->mem->lock);

	/* No TCE there relies on registration */
	if (!window->kind->report)
		return;

	while (index < end && !spapr_mem_search_over(search) &&
	       (origin = spapr_sparse_next_leaf(&window->origins, &index,
						end - 1))) {
		unsigned long run = spapr_sparse_leaf_run(index, end - index);

		window->kind->report(window, index, origin, run, search);
		index += run;
		cond_resched();
	}
}

/* Also of a window in software while the group still has the hardware's table */
static bool has_lost(struct spapr_mem_user *user)
{
	return READ_ONCE(window_of(user)->lost);
}

const struct spapr_mem_user_ops spapr_tce_memory_ops = {
	.search = search_window,
	.lost = has_lost,
};
