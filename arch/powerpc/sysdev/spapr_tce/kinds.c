// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kinds of table: in this kernel's memory, or the hypervisor's
 *
 * An IODA host bridge reads its tables from the kernel's memory, so their TCEs
 * are stored and read directly. In a partition the hypervisor has the tables:
 * they are written by hypercalls, and the window keeps what it has to know of
 * them. soft.c has the third kind.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/spapr_tce.h>
#include "mem_user.h"
#include "window.h"

/* In memory */

static bool memory_populate(struct spapr_tce_window *window,
			    unsigned long index)
{
	struct iommu_table *tbl = window->tbl;

	return spapr_tce_address(window, index) ||
	       tbl->it_ops->populate(tbl, tbl->it_offset + index);
}

static long memory_empty(struct spapr_tce_window *window, unsigned long index,
			 unsigned long npages)
{
	__be64 *tce = spapr_tce_address(window, index);

	for (unsigned long i = 0; tce && i < npages; i++)
		WRITE_ONCE(tce[i], 0);

	return 0;
}

/* Only TCEs to clear, in a leaf that a move has not filled yet */
static long exchange_nothing(u64 *origin, const struct spapr_tce *list,
			     unsigned long npages)
{
	for (unsigned long i = 0; i < npages; i++)
		WRITE_ONCE(origin[i], list[i].origin);

	return 0;
}

static long memory_exchange(struct spapr_tce_window *window,
			    unsigned long index, struct spapr_tce *list,
			    unsigned long npages)
{
	u64 *origin = spapr_sparse_find(&window->origins, index);
	__be64 *tce = spapr_tce_address(window, index);

	if (!tce)
		return exchange_nothing(origin, list, npages);

	for (unsigned long i = 0; i < npages; i++) {
		u64 former = be64_to_cpup(&tce[i]);

		spapr_tce_write(&tce[i], list[i].tce);
		WRITE_ONCE(origin[i], list[i].origin);
		list[i].tce = former;
	}

	return 0;
}

static void memory_report(const struct spapr_tce_window *window,
			  unsigned long index, const u64 *origin,
			  unsigned long npages,
			  struct spapr_mem_search *search)
{
	const __be64 *tce = spapr_tce_address(window, index);

	for (unsigned long i = 0; tce && i < npages; i++) {
		u64 value = be64_to_cpu(READ_ONCE(tce[i]));

		if (value)
			spapr_mem_search_tce(search, READ_ONCE(origin[i]) &
					     ~SPAPR_TCE_PERM,
					     value & ~SPAPR_TCE_PERM);
	}
}

const struct spapr_tce_kind spapr_tce_memory_kind = {
	.report = memory_report,
	.forget = spapr_tce_forget_in_memory,
	.populate = memory_populate,
	.may_map = spapr_tce_may_map_registered,
	.map = spapr_tce_map_registered,
	.unmap = spapr_tce_unmap_registered,
	.empty = memory_empty,
	.exchange = memory_exchange,
};

/* The hypervisor's */

static int hv_prepare(struct spapr_tce_window *window,
		      const struct iommu_table *tbl, struct spapr_tce_hv **hv)
{
	*hv = kzalloc(sizeof(**hv), GFP_KERNEL_ACCOUNT);
	if (!*hv)
		return -ENOMEM;

	for (unsigned int i = 0; i < SPAPR_TCE_HV_LOCKS; i++)
		raw_spin_lock_init(&(*hv)->locks[i].lock);

	if (!spapr_tce_window_owner_pins(window))
		return 0;

	(*hv)->former = kcalloc(SPAPR_SPARSE_LEAF, sizeof(u64),
				GFP_KERNEL_ACCOUNT);
	if (!(*hv)->former ||
	    !spapr_sparse_init(&(*hv)->tces, fls64(tbl->it_size - 1),
			       GFP_KERNEL_ACCOUNT)) {
		spapr_tce_hv_destroy(*hv);
		return -ENOMEM;
	}

	return 0;
}

/*
 * The hypervisor has taken the table away: unpin what it failed to clear there.
 * Nothing to do without an owner that pins, or without @hv.
 */
void spapr_tce_hv_unpin(struct spapr_tce_hv *hv,
			const struct spapr_tce_owner *owner,
			unsigned long npages)
{
	unsigned long index = 0;
	u64 *tces;

	if (!hv || !owner)
		return;

	while (index < npages &&
	       (tces = spapr_sparse_next_leaf(&hv->tces, &index, npages - 1))) {
		unsigned long run = spapr_sparse_leaf_run(index, npages - index);

		owner->unpin(tces, run);
		index += run;
		cond_resched();
	}
	owner->unpin(hv->former, SPAPR_SPARSE_LEAF);
}

/* Free what hv_prepare() has allocated; NULL is allowed */
void spapr_tce_hv_destroy(struct spapr_tce_hv *hv)
{
	if (!hv)
		return;

	if (hv->tces.root)
		spapr_sparse_destroy(&hv->tces, true);
	kfree(hv->former);
	kfree(hv);
}

static bool hv_populate(struct spapr_tce_window *window, unsigned long index)
{
	struct iommu_table *tbl = window->tbl;

	if (spapr_tce_window_owner_pins(window))
		return spapr_sparse_populate(&window->hv->tces, index,
					     GFP_KERNEL_ACCOUNT);

	return !tbl->it_ops->populate ||
	       tbl->it_ops->populate(tbl, tbl->it_offset + index);
}

static long hv_empty(struct spapr_tce_window *window, unsigned long index,
		     unsigned long npages)
{
	raw_spinlock_t *lock = spapr_tce_window_lock(window, index);
	unsigned long flags;
	long ret;

	raw_spin_lock_irqsave(lock, flags);
	ret = spapr_tce_window_clear_list(window, index, npages);
	raw_spin_unlock_irqrestore(lock, flags);

	return ret;
}

/* The device may still reach the former pages: the owner does not get them yet */
static void leave_former(struct spapr_tce_hv *hv, unsigned long index,
			 struct spapr_tce *list, unsigned long npages)
{
	u64 *former = &hv->former[index & SPAPR_SPARSE_LEAF_MASK];

	for (unsigned long i = 0; i < npages; i++) {
		former[i] = list[i].tce;
		list[i].tce = 0;
	}
}

/* Only its owner writes the window: no lock */
static long hv_exchange(struct spapr_tce_window *window, unsigned long index,
			struct spapr_tce *list, unsigned long npages)
{
	u64 *origin = spapr_sparse_find(&window->origins, index);
	u64 *tce = spapr_sparse_find(&window->hv->tces, index);
	unsigned long flags, i = 0;
	bool clears, keeps;
	long ret;

	if (!tce)
		return exchange_nothing(origin, list, npages);

	while (i < npages && !list[i].tce)
		i++;
	clears = i == npages;

	local_irq_save(flags);
	if (clears)
		ret = spapr_tce_window_clear_list(window, index, npages);
	else
		ret = spapr_tce_window_put_list(window, index, list, npages);
	local_irq_restore(flags);

	/* After a clear that failed, the device reaches what it did before */
	if (ret && clears)
		return ret;
	/* After -EIO it reaches the new page, the former one, or neither */
	keeps = !ret || ret == -EIO;
	for (i = 0; i < npages; i++) {
		u64 former = tce[i];

		tce[i] = keeps ? list[i].tce : 0;
		WRITE_ONCE(origin[i], keeps ? list[i].origin : 0);
		list[i].tce = former;
	}
	if (ret == -EIO)
		leave_former(window->hv, index, list, npages);

	return ret;
}

/* Only the origins can be read. They change together with the TCEs. */
static void hv_report(const struct spapr_tce_window *window,
		      unsigned long index, const u64 *origin,
		      unsigned long npages, struct spapr_mem_search *search)
{
	for (unsigned long i = 0; i < npages; i++) {
		u64 value = READ_ONCE(origin[i]);

		if (value)
			spapr_mem_search_origin(search,
						value & ~SPAPR_TCE_PERM);
	}
}

const struct spapr_tce_kind spapr_tce_hv_kind = {
	.report = hv_report,
	.forget = spapr_tce_forget_of_hv,
	.prepare = hv_prepare,
	.populate = hv_populate,
	.may_map = spapr_tce_may_map_registered,
	.map = spapr_tce_map_registered,
	.unmap = spapr_tce_unmap_registered,
	.empty = hv_empty,
	.exchange = hv_exchange,
};

/* The kind that a table is of */
const struct spapr_tce_kind *spapr_tce_kind_of(const struct iommu_table *tbl)
{
	if (spapr_tce_table_is_soft(tbl))
		return &spapr_tce_soft_kind;

	return tbl->it_ops->put_list ? &spapr_tce_hv_kind :
				       &spapr_tce_memory_kind;
}

/**
 * spapr_tce_window_populate() - make TCEs writable without allocation
 * @window: the window
 * @index: first TCE
 * @npages: how many; the range lies in the window
 *
 * Context: process context, may sleep. Any number of callers at once.
 * Return: 0; -ENOMEM; -EIO if the hypervisor has lost track of the window.
 */
int spapr_tce_window_populate(struct spapr_tce_window *window,
			      unsigned long index, unsigned long npages)
{
	unsigned long end = index + npages;

	if (READ_ONCE(window->lost))
		return -EIO;

	for (; index < end; index = spapr_sparse_leaf_end(index, end)) {
		if (window->kind->populate &&
		    !window->kind->populate(window, index))
			return -ENOMEM;
		/* Last: where origins are, all is */
		if (!spapr_sparse_populate(&window->origins, index,
					   GFP_KERNEL_ACCOUNT))
			return -ENOMEM;
		cond_resched();
	}

	return 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_window_populate);
