// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows in software: what devices without DMA of their own look things up in
 *
 * A mediated device reaches memory through the kernel. It needs no table that
 * hardware reads, only to know which user page stands at a bus address, and
 * that a window's origins say already (asm/spapr_tce.h). So a window in
 * software is a window like any other on a table that is nowhere: its
 * operations do nothing and never fail.
 *
 * TCEs of such a window point to user memory that need not be pinned or
 * registered. A window moves from one kind of table to the other and keeps what
 * is mapped: to hardware when the first device with DMA of its own comes to its
 * owner, back when the last one leaves.
 *
 * Tables in software look to the owner like those of any group: the same
 * operations make them, and they are where the windows of hardware are.
 */
#include <linux/bits.h>
#include <linux/export.h>
#include <linux/kref.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/slab.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include <asm/spapr_tce.h>
#include "window.h"

/*
 * Where the second window of a group begins on all hosts known: bus address
 * bit 59 (IODA), which hypervisors follow
 */
#define SOFT_SECOND_START	BIT_ULL(59)
/* What a partition usually has */
#define SOFT_DEFAULT_SIZE	SZ_1G
/* As many as bare metal; there is nothing to be in levels */
#define SOFT_LEVELS		5

/* Nothing reads the table: there is no operation on it */
static struct iommu_table_ops soft_table_ops = {};

static int soft_may_map(struct spapr_tce_window *window, unsigned long ua,
			unsigned long size)
{
	return ua < TASK_SIZE_USER64 && size <= TASK_SIZE_USER64 - ua ?
	       0 : -EFAULT;
}

static long soft_map(struct spapr_tce_window *window, unsigned long index,
		     unsigned long ua, unsigned long npages, unsigned long perm)
{
	if (fatal_signal_pending(current))
		return -EINTR;

	spapr_tce_set_origins(window, index, ua, npages, perm);
	return npages;
}

static long soft_unmap(struct spapr_tce_window *window, unsigned long index,
		       unsigned long npages)
{
	spapr_tce_set_origins(window, index, 0, npages, 0);
	return 0;
}

const struct spapr_tce_kind spapr_tce_soft_kind = {
	.may_map = soft_may_map,
	.map = soft_map,
	.unmap = soft_unmap,
};

/**
 * spapr_tce_table_is_soft() - is there no hardware behind this table?
 * @tbl: the table
 *
 * Context: any.
 * Return: whether there is none.
 */
bool spapr_tce_table_is_soft(const struct iommu_table *tbl)
{
	return tbl->it_ops == &soft_table_ops;
}

/**
 * spapr_tce_soft_table() - make a table in software
 * @start: bus address where its window begins, in bytes
 * @npages: how many TCEs
 * @page_shift: log2 of the TCE page's size in bytes
 * @gfp: how to allocate
 *
 * Context: process context; may sleep if @gfp allows it.
 * Return: the table, or NULL for lack of memory.
 */
struct iommu_table *spapr_tce_soft_table(u64 start, unsigned long npages,
					 unsigned int page_shift, gfp_t gfp)
{
	struct iommu_table *tbl = kzalloc(sizeof(*tbl), gfp);

	if (!tbl)
		return NULL;

	kref_init(&tbl->it_kref);
	INIT_LIST_HEAD_RCU(&tbl->it_group_list);
	tbl->it_ops = &soft_table_ops;
	tbl->it_offset = start >> page_shift;
	tbl->it_size = npages;
	tbl->it_page_shift = page_shift;

	return tbl;
}

/* What the window's origins take when all of it is mapped */
static unsigned long soft_get_table_size(u32 page_shift, u64 size, u32 levels)
{
	return (size >> page_shift) * sizeof(u64);
}

static long soft_create_table(struct iommu_table_group *table_group, int num,
			      u32 page_shift, u64 size, u32 levels,
			      struct iommu_table **tbl)
{
	if (!is_power_of_2(size) || size > SOFT_SECOND_START || !levels ||
	    levels > SOFT_LEVELS)
		return -EINVAL;

	*tbl = spapr_tce_soft_table(num ? SOFT_SECOND_START : 0,
				    size >> page_shift, page_shift,
				    GFP_KERNEL_ACCOUNT);

	return *tbl ? 0 : -ENOMEM;
}

static long soft_set_window(struct iommu_table_group *table_group, int num,
			    struct iommu_table *tbl)
{
	return 0;
}

static long soft_unset_window(struct iommu_table_group *table_group, int num)
{
	return 0;
}

static struct iommu_table_group_ops soft_group_ops = {
	.get_table_size = soft_get_table_size,
	.create_table = soft_create_table,
	.set_window = soft_set_window,
	.unset_window = soft_unset_window,
};

/*
 * Stands for hardware where there is none: the default window and the
 * operations of an owner who has only devices without DMA of their own
 */
struct iommu_table_group spapr_tce_soft_group = {
	.tce32_start = 0,
	.tce32_size = SOFT_DEFAULT_SIZE,
	.pgsizes = SZ_4K | SZ_64K | SZ_2M | SZ_16M | SZ_1G,
	.max_dynamic_windows_supported = IOMMU_TABLE_GROUP_MAX_TABLES,
	.max_levels = SOFT_LEVELS,
	.ops = &soft_group_ops,
};

/**
 * spapr_tce_window_lookup() - the user memory that is mapped at a bus address
 * @window: the window
 * @bus: bus address, in bytes
 * @shift: log2 of the size in bytes of the piece that is wanted; the one that
 *	@bus lies in, naturally aligned
 * @perm: SPAPR_TCE_PERM bits that it has to be mapped with
 * @ua: receives the user address where the piece begins
 *
 * Context: any that sleeps; the caller keeps the owner of a watched window from
 * changing it.
 * Return: 0; -EINVAL where not all of the piece is mapped, or not to one piece
 * of user memory that is aligned alike; -EPERM where it is mapped without
 * @perm.
 */
int spapr_tce_window_lookup(struct spapr_tce_window *window, u64 bus,
			    unsigned int shift, unsigned long perm,
			    unsigned long *ua)
{
	const u64 size = 1ULL << window->page_shift, piece = 1ULL << shift;
	const u64 first = bus & ~(piece - 1);
	unsigned long index = (first >> window->page_shift) -
			      window->tbl->it_offset;
	unsigned long npages = DIV_ROUND_UP((first & (size - 1)) + piece, size);
	u64 expected = 0;

	if (index >= window->tbl->it_size ||
	    npages > window->tbl->it_size - index)
		return -EINVAL;

	for (unsigned long i = 0; i < npages; i++, expected += size) {
		u64 *slot = spapr_sparse_find(&window->origins, index + i);
		u64 origin = slot ? READ_ONCE(*slot) : 0;

		if (!(origin & SPAPR_TCE_PERM))
			return -EINVAL;
		if ((origin & perm) != perm)
			return -EPERM;
		origin &= ~SPAPR_TCE_PERM;
		if (!i)
			expected = origin;
		if (origin != expected)
			return -EINVAL;
	}

	*ua = expected - npages * size + (first & (size - 1));

	return *ua & (piece - 1) ? -EINVAL : 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_window_lookup);
