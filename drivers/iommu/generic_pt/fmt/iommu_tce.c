// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE tables for IOMMU drivers: what generic_pt makes of the format, and two walks
 * of the sPAPR driver's own, which allocate a table's levels ahead of a map and
 * read TCEs one after the other.
 */
#define PT_FMT tce
#define PT_SUPPORTED_FEATURES \
	(BIT(PT_FEAT_FLUSH_RANGE) | BIT(PT_FEAT_FLUSH_RANGE_NO_GAPS))

#include "iommu_template.h"

#if !defined(GENERIC_PT_KUNIT) && IS_ENABLED(CONFIG_SPAPR_TCE_IOMMU)
#include <asm/iommu.h>

static int __populate(struct pt_range *range, void *arg, unsigned int level,
		      struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	struct pt_write_attrs *attrs = arg;
	int ret;

	if (!level)
		return 0;

	do {
		if (pt_load_single_entry(&pts) == PT_ENTRY_TABLE)
			return pt_descend(&pts, arg, __populate);
		ret = pt_iommu_new_table(&pts, attrs);
		/* Another CPU may have installed a table first */
	} while (!ret || ret == -EAGAIN);
	return ret;
}

/**
 * pt_iommu_tce_populate() - Allocate the levels above a TCE
 * @table: Table that has the TCE
 * @iova: Address that the TCE is for
 * @gfp: How to allocate
 *
 * Levels stay until something that includes all of one is unmapped.
 *
 * Context: As @gfp says. The table may be mapped and populated meanwhile, not
 * unmapped.
 *
 * Returns: 0, -ERANGE for an address that is not the table's, or -ENOMEM.
 */
int pt_iommu_tce_populate(struct pt_iommu_tce *table, u64 iova, gfp_t gfp)
{
	struct pt_range range =
		pt_make_range(&table->tce_pt.common, iova, iova);
	struct pt_write_attrs attrs = { .gfp = gfp };
	int ret = pt_check_range(&range);

	return ret ? ret : pt_walk_range(&range, __populate, &attrs);
}
EXPORT_SYMBOL_NS_GPL(pt_iommu_tce_populate, "GENERIC_PT_IOMMU");

struct tce_run {
	struct spapr_tce *list;
	pt_vaddr_t start;
	unsigned int count;
	unsigned int max;
};

/* 1 where the run has ended */
static int tce_add_to_run(const struct pt_state *pts, struct tce_run *run)
{
	if (pts->type == PT_ENTRY_EMPTY)
		return run->count != 0;
	if (!run->count)
		run->start = pts->range->va;
	run->list[run->count].origin = 0;
	run->list[run->count].tce = pts->entry;
	return ++run->count == run->max;
}

static int __read_run(struct pt_range *range, void *arg, unsigned int level,
		      struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	int ret;

	for_each_pt_level_entry(&pts) {
		if (pts.type == PT_ENTRY_TABLE)
			ret = pt_descend(&pts, arg, __read_run);
		else
			ret = tce_add_to_run(&pts, arg);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * pt_iommu_tce_read_run() - Read TCEs that follow each other
 * @table: Table to read
 * @iova: Where to begin to look; receives the address of the first TCE
 * @last: Where to stop
 * @list: Receives the TCEs as struct spapr_tce has them, without origins
 * @max: Length of @list, not 0
 *
 * Context: Nothing that is read may be freed meanwhile. TCEs may change.
 *
 * Returns: how many TCEs were read. 0 if there is none from *@iova to @last.
 */
unsigned int pt_iommu_tce_read_run(struct pt_iommu_tce *table, u64 *iova,
				   u64 last, struct spapr_tce *list,
				   unsigned int max)
{
	struct pt_range range =
		pt_make_range(&table->tce_pt.common, *iova, last);
	struct tce_run run = { .list = list, .max = max };

	if (PT_WARN_ON(pt_check_range(&range)))
		return 0;
	pt_walk_range(&range, __read_run, &run);
	if (run.count)
		*iova = run.start;
	return run.count;
}
EXPORT_SYMBOL_NS_GPL(pt_iommu_tce_read_run, "GENERIC_PT_IOMMU");
#endif
