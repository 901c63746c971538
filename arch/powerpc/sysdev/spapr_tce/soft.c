// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows in software, which only mediated devices use
 *
 * A mediated device reaches memory through the kernel. It needs no table that
 * hardware reads, only to know which user page is mapped at a bus address, and
 * the window's origins say that (asm/spapr_tce.h). A window in software has
 * origins alone. They name user memory that need be neither pinned nor
 * registered.
 *
 * To the domain, tables in software look like those of any group: the same
 * operations make them, and they begin at the same bus addresses as hardware's.
 */
#include <linux/bits.h>
#include <linux/kref.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include <asm/spapr_tce.h>
#include "window.h"

/* What a partition usually has */
#define SOFT_DEFAULT_SIZE	SZ_1G
/* As many as bare metal has; they make no difference */
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

/* Is this a table in software? */
bool spapr_tce_table_is_soft(const struct iommu_table *tbl)
{
	return tbl->it_ops == &soft_table_ops;
}

/* Make a table in software, whose window begins at @start; NULL: no memory */
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
	if (!is_power_of_2(size) || size > SPAPR_TCE_SECOND_START || !levels ||
	    levels > SOFT_LEVELS)
		return -EINVAL;

	*tbl = spapr_tce_soft_table(num ? SPAPR_TCE_SECOND_START : 0,
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

/* Stands for hardware in a domain that has none: makes tables in software */
struct iommu_table_group spapr_tce_soft_group = {
	.tce32_start = 0,
	.tce32_size = SOFT_DEFAULT_SIZE,
	.pgsizes = SZ_4K | SZ_64K | SZ_2M | SZ_16M | SZ_1G,
	.max_dynamic_windows_supported = IOMMU_TABLE_GROUP_MAX_TABLES,
	.max_levels = SOFT_LEVELS,
	.ops = &soft_group_ops,
};
