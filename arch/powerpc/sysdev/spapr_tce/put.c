// SPDX-License-Identifier: GPL-2.0-only
/*
 * Put and clear TCEs of a window inside walks, in any mode
 *
 * A hypercall handled in real mode needs only this file and the inline
 * functions of the engine's headers. So everything here touches the linear map
 * only, is built without instrumentation (see the Makefile), cannot be probed
 * (__kprobes), allocates nothing, takes no lock except in virtual mode, and does
 * at most SPAPR_TCE_LIST_MAX TCEs per call.
 *
 * Walks write two of the three kinds of table (kinds.c). The PHB reads a table in
 * memory by itself (IODA). The engine stores TCEs there, and makes the PHB
 * invalidate its cached copies. A hypervisor's table is written by hypercalls, and
 * reading it back costs too much. So the window's origins say what is mapped, and a
 * lock makes origins and table change together. Walks never write the third kind,
 * tables in software (soft.c).
 */
#include <linux/export.h>
#include <linux/kprobes.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/sched.h>

#include <asm/spapr_tce.h>
#include "window.h"

/**
 * spapr_tce_address() - find a TCE of a table in memory
 * @window: a window whose table is in memory
 * @index: index of the TCE
 *
 * Context: any, inside a walk.
 * Return: its address, or NULL where no level of the table is populated there.
 */
__kprobes __be64 *spapr_tce_address(const struct spapr_tce_window *window,
				    unsigned long index)
{
	__be64 *tce;

	return spapr_tce_in_memory(window->tbl, index, &tce) ? tce : NULL;
}

/* Lockdep knows of walks in virtual mode only */
static __always_inline void assert_walk(enum spapr_tce_mode mode)
{
	if (mode == SPAPR_TCE_VIRTUAL)
		lockdep_assert(lock_is_held(&spapr_tce_walk_map));
}

/* Invalidate TCEs in the PHBs, which see the stores before first */
static __always_inline void tce_kill(struct spapr_tce_window *window,
				     unsigned long index, unsigned long npages,
				     enum spapr_tce_mode mode)
{
	struct iommu_table *tbl = window->tbl;

	index += window->offset;
	if (mode != SPAPR_TCE_VIRTUAL)
		window->kill_in_guest(tbl, index, npages);
	else if (tbl->it_ops->tce_kill)
		tbl->it_ops->tce_kill(tbl, index, npages);
}

/**
 * spapr_tce_kill() - invalidate TCEs that were changed
 * @window: the window
 * @index: first TCE
 * @npages: number of TCEs
 *
 * Context: the host kernel proper, inside or outside a walk.
 */
void __kprobes spapr_tce_kill(struct spapr_tce_window *window,
			      unsigned long index, unsigned long npages)
{
	tce_kill(window, index, npages, SPAPR_TCE_VIRTUAL);
}

/**
 * spapr_tce_window_ready() - check that TCEs can be put without allocating
 * @window: the window
 * @index: first TCE
 * @npages: number of TCEs, 1 to SPAPR_TCE_LIST_MAX
 *
 * Context: any, inside the walk that is going to put them.
 * Return: false where a level is missing (spapr_tce_window_populate() adds it)
 * or the range is not in the window.
 */
bool __kprobes spapr_tce_window_ready(struct spapr_tce_window *window,
				      unsigned long index, unsigned long npages)
{
	struct iommu_table *tbl = window->tbl;

	if (index >= tbl->it_size || npages > tbl->it_size - index)
		return false;

	while (npages) {
		unsigned long run = spapr_sparse_leaf_run(index, npages);

		if (!spapr_sparse_find(&window->origins, index))
			return false;
		if (window->in_memory && !spapr_tce_address(window, index))
			return false;
		index += run;
		npages -= run;
	}

	return true;
}
EXPORT_SYMBOL_GPL(spapr_tce_window_ready);

static __always_inline void put_in_memory(__be64 *tce, u64 *origin,
					  const struct spapr_tce *list,
					  unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++)
		spapr_tce_set(&tce[i], &origin[i], &list[i]);
}

/*
 * The hypervisor's table and the origins change together. Otherwise another
 * CPU's request for the same TCE could leave a page mapped that has no origin.
 */
static long __kprobes put_by_hypervisor(struct spapr_tce_window *window,
					unsigned long index, u64 *origin,
					const struct spapr_tce *list,
					unsigned long npages)
{
	raw_spinlock_t *lock = spapr_tce_window_lock(window, index);
	unsigned long i, flags;
	long ret;

	/* Put nothing into a table in an unknown state */
	if (READ_ONCE(window->lost))
		return -EIO;

	raw_spin_lock_irqsave(lock, flags);
	ret = spapr_tce_window_put_list(window, index, list, npages);
	for (i = 0; !ret && i < npages; i++)
		WRITE_ONCE(origin[i], list[i].tce ? list[i].origin : 0);
	for (i = 0; ret && i < npages; i++)
		WRITE_ONCE(origin[i], 0);
	raw_spin_unlock_irqrestore(lock, flags);

	return ret;
}

/* What clearing TCEs in memory has to be followed by */
#define CLEAR_KILL	1	/* invalidation */
#define CLEAR_CONFIRM	2	/* then marking the origins as invalidated */

/* Clear TCEs of one leaf in memory */
static __always_inline unsigned int clear_leaf(struct spapr_tce_window *window,
					       unsigned long index, u64 *origin,
					       unsigned long npages)
{
	unsigned int todo = CLEAR_KILL;
	unsigned long i = 0;
	__be64 *tce;

	if (!spapr_tce_in_memory(window->tbl, index, &tce))
		return 0;

	/* Neither mapped, nor cached by the hardware */
	while (!READ_ONCE(tce[i]) && !READ_ONCE(origin[i]))
		if (++i == npages)
			return 0;

	/* Cleared before, maybe right now on another CPU */
	if (!READ_ONCE(tce[i]) && READ_ONCE(origin[i]) == SPAPR_TCE_CLEARED)
		todo |= CLEAR_CONFIRM;
	for (; i < npages; i++) {
		WRITE_ONCE(tce[i], 0);
		WRITE_ONCE(origin[i], SPAPR_TCE_CLEARED);
	}

	return todo;
}

/* TCEs are clear and invalidated, unless another request has put one since */
static noinline __kprobes void confirm_clear(struct spapr_tce_window *window,
					     unsigned long index,
					     unsigned long npages)
{
	unsigned long i, run;
	u64 *origin;

	for (; npages; npages -= run, index += run) {
		run = spapr_sparse_leaf_run(index, npages);
		origin = spapr_sparse_find(&window->origins, index);
		for (i = 0; origin && i < run; i++)
			if (READ_ONCE(origin[i]) == SPAPR_TCE_CLEARED)
				WRITE_ONCE(origin[i], 0);
	}
}

/* Has the hypervisor's table nothing in these TCEs of a leaf? */
static __always_inline bool
hypervisor_has_none(const struct spapr_tce_window *window, const u64 *origin,
		    unsigned long npages)
{
	unsigned long i;
	u64 any = 0;

	/* Mostly the first TCE is enough to tell */
	if (READ_ONCE(origin[0]) || READ_ONCE(window->lost))
		return false;

	/* An origin is cleared after its TCE has been */
#pragma GCC unroll 8
	for (i = 1; i < npages; i++)
		any |= READ_ONCE(origin[i]);

	return !any;
}

static long __kprobes clear_by_hypervisor(struct spapr_tce_window *window,
					  unsigned long index, u64 *origin,
					  unsigned long npages)
{
	raw_spinlock_t *lock = spapr_tce_window_lock(window, index);
	unsigned long i, flags;
	long ret;

	raw_spin_lock_irqsave(lock, flags);
	ret = spapr_tce_window_clear_list(window, index, npages);
	for (i = 0; !ret && i < npages; i++)
		WRITE_ONCE(origin[i], 0);
	raw_spin_unlock_irqrestore(lock, flags);

	return ret;
}

/**
 * spapr_tce_store() - put TCEs and leave the invalidation to the caller
 * @window: a window for which spapr_tce_window_ready() is true
 * @index: first TCE
 * @list: the TCEs; one whose tce is 0 clears
 * @npages: number of TCEs, 1 to SPAPR_TCE_LIST_MAX
 *
 * Context: any mode that spapr_tce_window_can(), inside the walk that made the
 * list. The caller goes on to spapr_tce_kill() before it reports success.
 * Return: 0, or the error of a hypervisor's table; then the TCEs of the list
 * up to the end of the part that failed are clear, the others as before.
 */
long __kprobes spapr_tce_store(struct spapr_tce_window *window,
			       unsigned long index,
			       const struct spapr_tce *list,
			       unsigned long npages)
{
	unsigned long first = index;
	long ret;

	while (npages) {
		unsigned long run = spapr_sparse_leaf_run(index, npages);
		u64 *origin = spapr_sparse_find(&window->origins, index);

		if (window->in_memory) {
			put_in_memory(spapr_tce_address(window, index), origin,
				      list, run);
		} else {
			ret = put_by_hypervisor(window, index, origin, list,
						run);
			if (ret) {
				if (index != first)
					spapr_tce_clear(window, first,
							index - first,
							SPAPR_TCE_VIRTUAL);
				return ret;
			}
		}
		index += run;
		list += run;
		npages -= run;
	}

	return 0;
}

/**
 * spapr_tce_put() - put a list of TCEs
 * @window: a window for which spapr_tce_window_ready() is true
 * @index: first TCE
 * @list: the TCEs; one whose tce is 0 clears
 * @npages: number of TCEs, 1 to SPAPR_TCE_LIST_MAX
 * @mode: one that spapr_tce_window_can()
 *
 * When this returns, the device sees the new TCEs and none of the old.
 *
 * Context: as @mode says, inside the walk that made the list.
 * Return: as spapr_tce_store(). Cannot fail where the table is in memory.
 */
long __kprobes spapr_tce_put(struct spapr_tce_window *window,
			     unsigned long index, const struct spapr_tce *list,
			     unsigned long npages, enum spapr_tce_mode mode)
{
	long ret;

	assert_walk(mode);

	ret = spapr_tce_store(window, index, list, npages);
	if (!ret)
		tce_kill(window, index, npages, mode);
	return ret;
}
EXPORT_SYMBOL_GPL(spapr_tce_put);

/**
 * spapr_tce_try_put() - put a list of TCEs if that needs no allocation
 * @window: the window; the range lies in it
 * @index: first TCE
 * @list: the TCEs; one whose tce is 0 clears
 * @npages: number of TCEs, 1 to SPAPR_TCE_LIST_MAX
 * @mode: one that spapr_tce_window_can()
 *
 * As spapr_tce_window_ready() and spapr_tce_put(), with one descent.
 *
 * Context: as @mode says, inside the walk that made the list.
 * Return: -EAGAIN and nothing changed where a level is missing; else as
 * spapr_tce_put()
 */
long __kprobes spapr_tce_try_put(struct spapr_tce_window *window,
				 unsigned long index,
				 const struct spapr_tce *list,
				 unsigned long npages, enum spapr_tce_mode mode)
{
	__be64 *tce;
	u64 *origin;

	assert_walk(mode);

	if (unlikely(!window->in_memory ||
		     spapr_sparse_leaf_run(index, npages) < npages)) {
		if (!spapr_tce_window_ready(window, index, npages))
			return -EAGAIN;
		return spapr_tce_put(window, index, list, npages, mode);
	}

	if (!spapr_sparse_lookup(&window->origins, index, &origin) ||
	    !spapr_tce_in_memory(window->tbl, index, &tce))
		return -EAGAIN;

	put_in_memory(tce, origin, list, npages);
	tce_kill(window, index, npages, mode);
	return 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_try_put);

/**
 * spapr_tce_clear() - clear a range of TCEs
 * @window: the window
 * @index: first TCE
 * @npages: number of TCEs, 1 to SPAPR_TCE_LIST_MAX
 * @mode: one that spapr_tce_window_can()
 *
 * When this returns, the device sees none of the TCEs. Leaves that were never
 * populated, and TCEs that are clear, cost no invalidation and no hypercall.
 *
 * Context: as @mode says, inside a walk.
 * Return: 0, or the error of a hypervisor's table; then the TCEs before the
 * part that failed are clear.
 */
long __kprobes spapr_tce_clear(struct spapr_tce_window *window,
			       unsigned long index, unsigned long npages,
			       enum spapr_tce_mode mode)
{
	unsigned long first = index, end = index + npages;
	unsigned int todo = 0;
	long ret;

	assert_walk(mode);

	while (index < end) {
		unsigned long run = spapr_sparse_leaf_run(index, end - index);
		u64 *origin = spapr_sparse_find(&window->origins, index);

		if (!origin) {
			index += run;
			continue;
		}

		if (window->in_memory) {
			todo |= clear_leaf(window, index, origin, run);
		} else if (!hypervisor_has_none(window, origin, run)) {
			ret = clear_by_hypervisor(window, index, origin, run);
			if (ret)
				return ret;
			todo = CLEAR_KILL;
		}
		index += run;
	}

	if (todo)
		tce_kill(window, first, npages, mode);
	if (unlikely(todo & CLEAR_CONFIRM))
		confirm_clear(window, first, npages);
	return 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_clear);
