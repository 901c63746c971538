/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains: DMA windows that are programmed into any number of groups
 *
 * A domain is what an owner of IOMMU groups gives them: up to two windows
 * (asm/spapr_tce.h), the same for all groups. The owner serialises all calls with
 * a mutex of its own, which the domain knows so that it can assert it.
 *
 * It is not a domain of the IOMMU core. The core attaches devices one by one and
 * maps by itself (generic_pt), which drivers/iommu/spapr serves; a container opens
 * and closes windows one at a time, and moves them between software and hardware.
 */
#ifndef _ASM_POWERPC_SPAPR_DOMAIN_H
#define _ASM_POWERPC_SPAPR_DOMAIN_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <asm/iommu.h>
#include <asm/spapr_tce.h>

/**
 * struct spapr_tce_domain_group - a group in a domain
 * @node: in spapr_tce_domain::groups
 * @group: the group, which the domain's owner holds
 * @table_group: its hardware; NULL if it has none
 */
struct spapr_tce_domain_group {
	struct list_head node;
	struct iommu_group *group;
	struct iommu_table_group *table_group;
};

/**
 * struct spapr_tce_domain - windows and the groups that have them
 * @windows: the windows by number; NULL where there is none
 * @groups: struct spapr_tce_domain_group, the latest first
 * @lock: the owner's mutex, which serialises its calls
 *
 * The owner reads both, and changes them by the functions below.
 */
struct spapr_tce_domain {
	struct spapr_tce_window *windows[IOMMU_TABLE_GROUP_MAX_TABLES];
	struct list_head groups;
	struct mutex *lock;	/* the owner's */
};

/**
 * struct spapr_tce_window_spec - the window that is wanted
 * @page_shift: log2 of the TCE page's size in bytes
 * @levels: levels of the table
 * @size: bytes
 * @mm: as for spapr_tce_window_create()
 * @owner: likewise
 */
struct spapr_tce_window_spec {
	u32 page_shift;
	u32 levels;
	u64 size;
	struct mm_struct *mm;
	const struct spapr_tce_owner *owner;
};

/**
 * struct spapr_tce_tables - tables that a domain's windows are to move to
 * @tbl: a table for each window; NULL where there is no window
 * @levels: levels of each table
 */
struct spapr_tce_tables {
	struct iommu_table *tbl[IOMMU_TABLE_GROUP_MAX_TABLES];
	u32 levels[IOMMU_TABLE_GROUP_MAX_TABLES];
};

/**
 * spapr_tce_domain_next_window() - iterate over the windows of a domain
 * @domain: the domain
 * @num: number of the window before, at first -1; receives that of this one
 *
 * A window may be closed before the next one is asked for.
 *
 * Context: any; the caller keeps other windows from being opened and closed.
 * Return: the window, or NULL if there is no more.
 */
static inline struct spapr_tce_window *
spapr_tce_domain_next_window(const struct spapr_tce_domain *domain, int *num)
{
	while (++*num < IOMMU_TABLE_GROUP_MAX_TABLES)
		if (domain->windows[*num])
			return domain->windows[*num];

	return NULL;
}

void spapr_tce_domain_init(struct spapr_tce_domain *domain, struct mutex *lock);
struct iommu_table_group *
spapr_tce_domain_hardware(struct spapr_tce_domain *domain);
struct iommu_table_group *
spapr_tce_domain_table_group(struct spapr_tce_domain *domain);
int spapr_tce_domain_find(const struct spapr_tce_domain *domain, u64 bus);

int spapr_tce_domain_open(struct spapr_tce_domain *domain, int num,
			  const struct spapr_tce_window_spec *spec);
void spapr_tce_domain_close(struct spapr_tce_domain *domain, int num);

bool spapr_tce_domain_alike(struct spapr_tce_domain *domain,
			    const struct iommu_table_group *tg);
int spapr_tce_domain_make_tables(struct spapr_tce_domain *domain,
				 struct iommu_table_group *tg,
				 struct spapr_tce_tables *tables);
void spapr_tce_domain_drop_tables(struct spapr_tce_domain *domain,
				  struct iommu_table_group *tg,
				  struct spapr_tce_tables *tables);
int spapr_tce_domain_join(struct spapr_tce_domain *domain,
			  struct iommu_group *group,
			  struct iommu_table_group *tg,
			  struct spapr_tce_tables *tables);
void spapr_tce_domain_leave(struct spapr_tce_domain *domain,
			    struct iommu_group *group);

#endif /* _ASM_POWERPC_SPAPR_DOMAIN_H */
