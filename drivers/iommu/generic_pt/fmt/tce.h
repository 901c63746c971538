/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Table of translation control entries (TCEs) of POWER's PCI host bridges
 *
 * The entries, the permissions and the levels are those of the "I/O Design
 * Architecture v2/v3" (IODA) of POWER8's PHB3, POWER9's PHB4 and POWER10's PHB5.
 *
 * An entry is a big-endian doubleword. Its two lowest bits permit a device to
 * read and to write. An entry of an upper level has the same layout and holds
 * the address of a table; the bridge rejects one with neither permission. The
 * bridge knows from its translation validation entry (TVE), not from the
 * entries, how many levels there are, how large each one is and what an entry
 * of the last level maps. So a table has one page size, and every table of it has
 * the same size. Here that is one page of the kernel.
 *
 * A bridge chooses the TVE, and so the table, by the high bits of the address.
 * The table translates the rest: all addresses of a table share the prefix that
 * struct pt_tce has as its start.
 */
#ifndef __GENERIC_PT_FMT_TCE_H
#define __GENERIC_PT_FMT_TCE_H

#include "defs_tce.h"
#include "../pt_defs.h"

#include <asm/page.h>
#include <linux/bitfield.h>
#include <linux/container_of.h>
#include <linux/log2.h>

#ifdef CONFIG_PPC64
#include <asm/asm-compat.h>
#endif

enum {
	/* Bits 63:60 choose no TVE and must be 0 */
	PT_MAX_VA_ADDRESS_LG2 = 60,
	PT_MAX_OUTPUT_ADDRESS_LG2 = 56,
	PT_ITEM_WORD_SIZE = sizeof(u64),
	/* A TVE has up to 5 levels */
	PT_MAX_TOP_LEVEL = 4,
	PT_TABLEMEM_LG2SZ = PAGE_SHIFT,
	PT_TOP_PHYS_MASK = GENMASK_ULL(PT_MAX_OUTPUT_ADDRESS_LG2 - 1, 12),
};

enum {
	TCE_FMT_READ = BIT(0),
	TCE_FMT_WRITE = BIT(1),
	TCE_FMT_PERMISSIONS = TCE_FMT_READ | TCE_FMT_WRITE,
	TCE_FMT_RPN = GENMASK_ULL(PT_MAX_OUTPUT_ADDRESS_LG2 - 1, 12),
};

static inline const struct pt_tce *tce_pt(const struct pt_common *common)
{
	return container_of(common, struct pt_tce, common);
}

static inline __be64 *tce_pt_entryp(const struct pt_state *pts)
{
	return pt_cur_table(pts, __be64) + pts->index;
}

static inline pt_oaddr_t tce_pt_table_pa(const struct pt_state *pts)
{
	return pts->entry & TCE_FMT_RPN;
}
#define pt_table_pa tce_pt_table_pa

static inline pt_oaddr_t tce_pt_entry_oa(const struct pt_state *pts)
{
	return pts->entry & TCE_FMT_RPN;
}
#define pt_entry_oa tce_pt_entry_oa

static inline bool tce_pt_can_have_leaf(const struct pt_state *pts)
{
	return pts->level == 0;
}
#define pt_can_have_leaf tce_pt_can_have_leaf

static inline unsigned int tce_pt_num_items_lg2(const struct pt_state *pts)
{
	return PT_TABLEMEM_LG2SZ - ilog2(PT_ITEM_WORD_SIZE);
}
#define pt_num_items_lg2 tce_pt_num_items_lg2

static inline unsigned int tce_pt_table_item_lg2sz(const struct pt_state *pts)
{
	return tce_pt(pts->range->common)->page_shift +
	       tce_pt_num_items_lg2(pts) * pts->level;
}
#define pt_table_item_lg2sz tce_pt_table_item_lg2sz

static inline unsigned int tce_pt_pgsz_lg2_to_level(struct pt_common *common,
						    unsigned int pgsize_lg2)
{
	return 0;
}
#define pt_pgsz_lg2_to_level tce_pt_pgsz_lg2_to_level

static inline pt_vaddr_t tce_pt_possible_sizes(const struct pt_state *pts)
{
	if (!tce_pt_can_have_leaf(pts))
		return 0;
	return log2_to_int(tce_pt_table_item_lg2sz(pts));
}
#define pt_possible_sizes tce_pt_possible_sizes

static inline bool tce_pt_has_system_page_size(const struct pt_common *common)
{
	return tce_pt(common)->page_shift == PAGE_SHIFT;
}
#define pt_has_system_page_size tce_pt_has_system_page_size

static inline pt_vaddr_t tce_pt_full_va_prefix(const struct pt_common *common)
{
	return tce_pt(common)->start;
}
#define pt_full_va_prefix tce_pt_full_va_prefix

/*
 * WRITE_ONCE() keeps the compiler from the instruction that swaps bytes on the way
 * to memory. It takes nine more to swap them in registers.
 */
static inline void tce_fmt_write(__be64 *entryp, u64 entry)
{
#ifdef CONFIG_PPC64
	asm volatile(STDX_BE " %1,%y0" : "=Z" (*entryp) : "r" (entry));
#else
	WRITE_ONCE(*entryp, cpu_to_be64(entry));
#endif
}

static inline enum pt_entry_type tce_pt_load_entry_raw(struct pt_state *pts)
{
	pts->entry = be64_to_cpu(READ_ONCE(*tce_pt_entryp(pts)));
	if (!(pts->entry & TCE_FMT_PERMISSIONS))
		return PT_ENTRY_EMPTY;
	return pts->level == 0 ? PT_ENTRY_OA : PT_ENTRY_TABLE;
}
#define pt_load_entry_raw tce_pt_load_entry_raw

static inline void
tce_pt_install_leaf_entry(struct pt_state *pts, pt_oaddr_t oa,
			  unsigned int oasz_lg2,
			  const struct pt_write_attrs *attrs)
{
	if (!pt_check_install_leaf_args(pts, oa, oasz_lg2))
		return;

	pts->entry = oa | attrs->permissions;
	tce_fmt_write(tce_pt_entryp(pts), pts->entry);
}
#define pt_install_leaf_entry tce_pt_install_leaf_entry

static inline bool tce_pt_install_table(struct pt_state *pts,
					pt_oaddr_t table_pa,
					const struct pt_write_attrs *attrs)
{
	u64 *entryp = (__force u64 *)tce_pt_entryp(pts);
	u64 old_entry = (__force u64)cpu_to_be64(pts->entry);
	u64 entry = table_pa | TCE_FMT_PERMISSIONS;

	/* The bridge must see the table's zeros before it sees the table */
	if (!IS_ENABLED(CONFIG_SMP))
		dma_wmb();
	if (!try_cmpxchg64_release(entryp, &old_entry,
				   (__force u64)cpu_to_be64(entry)))
		return false;
	pts->entry = entry;
	return true;
}
#define pt_install_table tce_pt_install_table

static inline void tce_pt_attr_from_entry(const struct pt_state *pts,
					  struct pt_write_attrs *attrs)
{
	attrs->permissions = pts->entry & TCE_FMT_PERMISSIONS;
}
#define pt_attr_from_entry tce_pt_attr_from_entry

/* --- iommu */
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>

#define pt_iommu_table pt_iommu_tce

/* The common struct is in the per-format common struct */
static inline struct pt_common *common_from_iommu(struct pt_iommu *iommu_table)
{
	return &container_of(iommu_table, struct pt_iommu_table, iommu)
			->tce_pt.common;
}

static inline struct pt_iommu *iommu_from_common(struct pt_common *common)
{
	return &container_of(common, struct pt_iommu_table, tce_pt.common)
			->iommu;
}

static inline int tce_pt_iommu_set_prot(struct pt_common *common,
					struct pt_write_attrs *attrs,
					unsigned int iommu_prot)
{
	switch (iommu_prot & (IOMMU_READ | IOMMU_WRITE)) {
	case IOMMU_READ:
		attrs->permissions = TCE_FMT_READ;
		return 0;
	case IOMMU_WRITE:
	case IOMMU_READ | IOMMU_WRITE:
		/*
		 * The bridge reads what it writes a part of. In a partition
		 * tce_hypervisor_map_pages() does the same.
		 */
		attrs->permissions = TCE_FMT_PERMISSIONS;
		return 0;
	default:
		/* Without a permission there is no entry */
		return -EINVAL;
	}
}
#define pt_iommu_set_prot tce_pt_iommu_set_prot

static inline int tce_pt_iommu_fmt_init(struct pt_iommu_tce *iommu_table,
					const struct pt_iommu_tce_cfg *cfg)
{
	struct pt_tce *table = &iommu_table->tce_pt;
	struct pt_range range = { .common = &table->common };
	struct pt_state pts = { .range = &range, .level = cfg->levels - 1 };
	unsigned int vasz_lg2 = cfg->common.hw_max_vasz_lg2;
	unsigned int item_lg2sz;

	if (!cfg->levels || cfg->levels > PT_MAX_TOP_LEVEL + 1)
		return -EINVAL;
	if (cfg->page_shift < 12 || cfg->page_shift > 34)
		return -EINVAL;
	if (log2_mod(cfg->start, vasz_lg2) ||
	    log2_div(cfg->start, PT_MAX_VA_ADDRESS_LG2))
		return -EINVAL;

	table->page_shift = cfg->page_shift;
	table->start = cfg->start;
	pt_top_set_level(&table->common, cfg->levels - 1);

	/* Each level decodes an address bit, and the top one no more than fit */
	item_lg2sz = tce_pt_table_item_lg2sz(&pts);
	if (vasz_lg2 <= item_lg2sz ||
	    vasz_lg2 > item_lg2sz + tce_pt_num_items_lg2(&pts))
		return -EINVAL;

	table->common.max_oasz_lg2 =
		min(PT_MAX_OUTPUT_ADDRESS_LG2, cfg->common.hw_max_oasz_lg2);
	return 0;
}
#define pt_iommu_fmt_init tce_pt_iommu_fmt_init

static inline void
tce_pt_iommu_fmt_hw_info(struct pt_iommu_tce *table,
			 const struct pt_range *top_range,
			 struct pt_iommu_tce_hw_info *info)
{
	info->table_pa = virt_to_phys(top_range->top_table);
	PT_WARN_ON(info->table_pa & ~PT_TOP_PHYS_MASK);
	/* The memory of the top level is rounded up to a page as well */
	info->table_size = log2_to_int(PT_TABLEMEM_LG2SZ);
	info->page_shift = table->tce_pt.page_shift;
	info->levels = top_range->top_level + 1;
}
#define pt_iommu_fmt_hw_info tce_pt_iommu_fmt_hw_info

#if defined(GENERIC_PT_KUNIT)
enum { TCE_KUNIT_LEVEL_LG2 = PAGE_SHIFT - 3 };
static const struct pt_iommu_tce_cfg tce_kunit_fmt_cfgs[] = {
	/* What powernv uses for a domain without windows of the user's */
	[0] = { .levels = 3, .page_shift = PAGE_SHIFT,
		.common.hw_max_vasz_lg2 = PAGE_SHIFT + 3 * TCE_KUNIT_LEVEL_LG2 -
					  1 },
	[1] = { .levels = 3, .page_shift = 12,
		.common.hw_max_vasz_lg2 = 12 + 3 * TCE_KUNIT_LEVEL_LG2 },
	/* A window of 1 GiB, as a partition's default one */
	[2] = { .levels = 2, .page_shift = 12,
		.common.hw_max_vasz_lg2 = 30 },
	/* One level */
	[3] = { .levels = 1, .page_shift = 16,
		.common.hw_max_vasz_lg2 = 16 + TCE_KUNIT_LEVEL_LG2 },
	/* The window that address bit 59 chooses, with each larger page */
	[4] = { .levels = 3, .page_shift = 16, .start = BIT_ULL(59),
		.common.hw_max_vasz_lg2 = 16 + 3 * TCE_KUNIT_LEVEL_LG2 - 1 },
	[5] = { .levels = 2, .page_shift = 21, .start = BIT_ULL(59),
		.common.hw_max_vasz_lg2 = 21 + 2 * TCE_KUNIT_LEVEL_LG2 },
	[6] = { .levels = 2, .page_shift = 24, .start = BIT_ULL(59),
		.common.hw_max_vasz_lg2 = 24 + 2 * TCE_KUNIT_LEVEL_LG2 },
	[7] = { .levels = 2, .page_shift = 30, .start = BIT_ULL(59),
		.common.hw_max_vasz_lg2 = 30 + 2 * TCE_KUNIT_LEVEL_LG2 },
};
#define kunit_fmt_cfgs tce_kunit_fmt_cfgs
/* A TVE cannot change its number of levels under DMA */
enum { KUNIT_FMT_FEATURES = BIT(PT_FEAT_DYNAMIC_TOP) };
#endif
#endif
