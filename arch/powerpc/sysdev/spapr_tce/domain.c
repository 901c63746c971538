// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains: DMA windows that are programmed into any number of groups
 *
 * All groups of a domain have the same windows, at the same bus addresses and
 * with the same contents. A group that joins gets every window of the domain or
 * does not join, and a window that is opened is programmed into every group or
 * is not opened.
 *
 * Groups without hardware, of mediated devices, are noted only. While a domain
 * has no other groups its windows are in software. They move to hardware with
 * the first group that has hardware, and back with the last. What is mapped
 * stays mapped.
 *
 * One table serves all groups with hardware, so they have to be alike: of the
 * same kind of host bridge, and none with tables of its own as in a partition.
 */
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/spapr_domain.h>
#include "window.h"

/* The first group with hardware, or without, or NULL */
static struct spapr_tce_domain_group *
find_kind(struct spapr_tce_domain *domain, bool hardware)
{
	struct spapr_tce_domain_group *dg;

	list_for_each_entry(dg, &domain->groups, node)
		if (!!dg->table_group == hardware)
			return dg;

	return NULL;
}

static struct spapr_tce_domain_group *
find_group(struct spapr_tce_domain *domain, struct iommu_group *group)
{
	struct spapr_tce_domain_group *dg;

	list_for_each_entry(dg, &domain->groups, node)
		if (dg->group == group)
			return dg;

	return NULL;
}

/**
 * spapr_tce_domain_init() - initialise a domain without windows and groups
 * @domain: the domain
 * @lock: held by the owner when it calls any other function for the domain
 *
 * Context: any.
 */
void spapr_tce_domain_init(struct spapr_tce_domain *domain, struct mutex *lock)
{
	memset(domain, 0, sizeof(*domain));
	domain->lock = lock;
	INIT_LIST_HEAD(&domain->groups);
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_init);

/**
 * spapr_tce_domain_hardware() - get the hardware of a domain
 * @domain: the domain
 *
 * Context: calls are serialised by the owner.
 * Return: the group that stands for all with hardware, which are alike, or NULL
 * if there is none.
 */
struct iommu_table_group *
spapr_tce_domain_hardware(struct spapr_tce_domain *domain)
{
	struct spapr_tce_domain_group *dg;

	lockdep_assert_held(domain->lock);

	dg = find_kind(domain, true);
	return dg ? dg->table_group : NULL;
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_hardware);

/**
 * spapr_tce_domain_table_group() - get what makes the tables of a domain
 * @domain: the domain
 *
 * Context: calls are serialised by the owner.
 * Return: the domain's hardware; or what stands for hardware if no group has
 * any; or NULL if there is no group.
 */
struct iommu_table_group *
spapr_tce_domain_table_group(struct spapr_tce_domain *domain)
{
	if (list_empty(&domain->groups))
		return NULL;

	return spapr_tce_domain_hardware(domain) ?: &spapr_tce_soft_group;
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_table_group);

/**
 * spapr_tce_domain_find() - find the window that has a bus address
 * @domain: the domain
 * @bus: bus address, in bytes
 *
 * Context: any; the caller keeps windows from being opened and closed.
 * Return: the window's number, or -ENXIO.
 */
int spapr_tce_domain_find(const struct spapr_tce_domain *domain, u64 bus)
{
	struct spapr_tce_window *window;
	int num = -1;

	while ((window = spapr_tce_domain_next_window(domain, &num))) {
		const struct iommu_table *tbl = window->tbl;

		if ((bus >> tbl->it_page_shift) - tbl->it_offset < tbl->it_size)
			return num;
	}

	return -ENXIO;
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_find);

/* Windows */

/* Take a window from the groups before @end in the list */
static void detach_until(struct spapr_tce_domain *domain, int num,
			 const struct list_head *end)
{
	struct spapr_tce_domain_group *dg;

	list_for_each_entry(dg, &domain->groups, node) {
		if (&dg->node == end)
			break;
		spapr_tce_window_detach(domain->windows[num], dg->group, num);
	}
}

/* Program a window into all groups, or into none */
static int attach_all(struct spapr_tce_domain *domain, int num)
{
	struct spapr_tce_domain_group *dg;

	list_for_each_entry(dg, &domain->groups, node) {
		int ret = spapr_tce_window_attach(domain->windows[num],
						  dg->group, num);

		if (ret) {
			detach_until(domain, num, &dg->node);
			return ret;
		}
	}

	return 0;
}

/*
 * Drop a table that has no window. A hypervisor's table serves its group once it
 * is created. If the group may still have the table, it is never freed: freed, it
 * would be memory that a device reaches.
 */
static void drop_table(struct iommu_table_group *tg, int num,
		       struct iommu_table *tbl)
{
	if (!spapr_tce_group_unset_window(tg, num))
		iommu_tce_table_put(tbl);
}

/**
 * spapr_tce_domain_open() - open a window
 * @domain: the domain, with at least one group
 * @num: which of the domain's windows this is to be; there is none yet
 * @spec: what window; the platform chooses where it starts
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 * Return: 0; -ENOMEM; or the platform's error, then nothing has changed.
 */
int spapr_tce_domain_open(struct spapr_tce_domain *domain, int num,
			  const struct spapr_tce_window_spec *spec)
{
	struct iommu_table_group *tg = spapr_tce_domain_table_group(domain);
	struct spapr_tce_window *window;
	struct iommu_table *tbl;
	int ret;

	lockdep_assert_held(domain->lock);

	ret = tg->ops->create_table(tg, num, spec->page_shift, spec->size,
				    spec->levels, &tbl);
	if (ret)
		return ret;

	window = spapr_tce_window_create(tbl, spec->mm, spec->owner);
	if (IS_ERR(window)) {
		drop_table(tg, num, tbl);
		return PTR_ERR(window);
	}
	window->owner_lock = domain->lock;
	if (find_kind(domain, false))
		spapr_tce_window_watch(window, true);

	domain->windows[num] = window;
	ret = attach_all(domain, num);
	if (ret) {
		domain->windows[num] = NULL;
		spapr_tce_window_drain(window);
		/* A hypervisor's table serves its group once it is created */
		spapr_tce_window_unset(window, tg, num);
		spapr_tce_window_close(window);
	}

	return ret;
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_open);

/**
 * spapr_tce_domain_close() - close a window
 * @domain: the domain
 * @num: the window's number
 *
 * Writers are revoked and TCEs cleared before the groups lose the window, because
 * a hypervisor's table goes with it.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_domain_close(struct spapr_tce_domain *domain, int num)
{
	struct spapr_tce_window *window = domain->windows[num];

	lockdep_assert_held(domain->lock);

	spapr_tce_window_drain(window);
	detach_until(domain, num, NULL);
	domain->windows[num] = NULL;
	spapr_tce_window_close(window);
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_close);

/* Groups */

/**
 * spapr_tce_domain_alike() - check whether a group can share a domain's tables
 * @domain: the domain
 * @tg: the group's hardware
 *
 * Context: calls are serialised by the owner.
 * Return: true if it can, or if the domain has no hardware yet.
 */
bool spapr_tce_domain_alike(struct spapr_tce_domain *domain,
			    const struct iommu_table_group *tg)
{
	const struct iommu_table_group *other =
		spapr_tce_domain_hardware(domain);

	/* A table of the hypervisor's serves the group that it was made for */
	return !other || (other->ops->create_table == tg->ops->create_table &&
			  !tg->ops->exclusive_tables);
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_alike);

/* A table of @tg's like that of @window, with *@levels levels or more */
static int make_alike(const struct spapr_tce_window *window,
		      struct iommu_table_group *tg, int num, u32 *levels,
		      struct iommu_table **tbl)
{
	u64 size = spapr_tce_window_size(window);
	int ret;

	if (!(tg->pgsizes & BIT_ULL(window->page_shift)))
		return -EINVAL;

	/* A table in software has no levels, so any number was accepted */
	*levels = min(*levels, max(tg->max_levels, 1U));
	do {
		ret = tg->ops->create_table(tg, num, window->page_shift, size,
					    *levels, tbl);
	} while (ret == -ENOMEM && ++*levels <= tg->max_levels);
	if (ret)
		return ret;

	if ((*tbl)->it_offset == window->tbl->it_offset &&
	    (*tbl)->it_size == window->tbl->it_size &&
	    (*tbl)->it_page_shift == window->page_shift)
		return 0;

	drop_table(tg, num, *tbl);
	*tbl = NULL;

	return -EINVAL;
}

/**
 * spapr_tce_domain_make_tables() - make tables for windows that are to move
 * @domain: a domain without hardware
 * @tg: the hardware that they are to move to
 * @tables: with the levels that each window's table is wanted with; receives
 *	the tables and their levels
 *
 * Context: process context, may sleep; calls are serialised by the owner, which
 * goes on to spapr_tce_domain_join() or spapr_tce_domain_drop_tables().
 * Return: 0; -EINVAL if @tg cannot have the windows that there are; or the
 * platform's error. After an error there are no tables.
 */
int spapr_tce_domain_make_tables(struct spapr_tce_domain *domain,
				 struct iommu_table_group *tg,
				 struct spapr_tce_tables *tables)
{
	struct spapr_tce_window *window;
	int num = -1, ret;

	lockdep_assert_held(domain->lock);

	while ((window = spapr_tce_domain_next_window(domain, &num))) {
		ret = make_alike(window, tg, num,
				 &tables->levels[num], &tables->tbl[num]);
		if (ret) {
			tables->tbl[num] = NULL;
			spapr_tce_domain_drop_tables(domain, tg, tables);
			return ret;
		}
	}

	return 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_make_tables);

/**
 * spapr_tce_domain_drop_tables() - undo spapr_tce_domain_make_tables()
 * @domain: as it was called with
 * @tg: likewise
 * @tables: likewise
 *
 * A window that could not move may have left TCEs in its table. What they point to
 * is kept with the table if @tg may still have that.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_domain_drop_tables(struct spapr_tce_domain *domain,
				  struct iommu_table_group *tg,
				  struct spapr_tce_tables *tables)
{
	lockdep_assert_held(domain->lock);

	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		struct spapr_tce_window *window = domain->windows[num];

		if (!tables->tbl[num])
			continue;
		if (window && (window->lost || window->stuck)) {
			spapr_tce_window_unset(window, tg, num);
			spapr_tce_window_put_table(window, tables->tbl[num]);
		} else {
			drop_table(tg, num, tables->tbl[num]);
		}
		tables->tbl[num] = NULL;
	}
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_drop_tables);

static void watch_windows(struct spapr_tce_domain *domain, bool watched)
{
	struct spapr_tce_window *window;
	int num = -1;

	while ((window = spapr_tce_domain_next_window(domain, &num)))
		spapr_tce_window_watch(window, watched);
}

/* Take all windows below @end from a group */
static void detach_windows(struct spapr_tce_domain *domain,
			   struct iommu_group *group, int end)
{
	struct spapr_tce_window *window;
	int num = -1;

	while ((window = spapr_tce_domain_next_window(domain, &num)))
		if (num < end)
			spapr_tce_window_detach(window, group, num);
}

/* Give a group all windows, or none */
static int attach_windows(struct spapr_tce_domain *domain,
			  struct iommu_group *group)
{
	struct spapr_tce_window *window;
	int num = -1, ret;

	while ((window = spapr_tce_domain_next_window(domain, &num))) {
		ret = spapr_tce_window_attach(window, group, num);
		if (ret) {
			detach_windows(domain, group, num);
			return ret;
		}
	}

	return 0;
}

/* Put a window back on a table in software. Returns the table that it had. */
static struct iommu_table *to_software(struct spapr_tce_window *window)
{
	struct iommu_table *old = window->tbl, *soft;

	/* A few bytes, without which the window cannot go on */
	soft = spapr_tce_soft_table(spapr_tce_window_start(window),
				    old->it_size, window->page_shift,
				    GFP_KERNEL | __GFP_NOFAIL);
	spapr_tce_window_move(window, soft);

	return old;
}

/* Move a window to its table in hardware, and program that into the group */
static int to_hardware(struct spapr_tce_window *window, int num,
		       struct iommu_group *group, struct iommu_table *tbl)
{
	struct iommu_table *soft = window->tbl;
	int ret;

	ret = spapr_tce_window_move(window, tbl);
	if (ret)
		return ret;
	iommu_tce_table_put(soft);

	ret = spapr_tce_window_attach(window, group, num);
	if (ret)
		to_software(window);

	return ret;
}

/* Move the windows below @end back from the only hardware, to get its tables */
static void leave_hardware(struct spapr_tce_domain *domain,
			   struct iommu_group *group, int end,
			   struct spapr_tce_tables *tables)
{
	struct spapr_tce_window *window;
	int num = -1;

	while ((window = spapr_tce_domain_next_window(domain, &num))) {
		if (num >= end)
			break;
		tables->tbl[num] = to_software(window);
		spapr_tce_window_detach(window, group, num);
	}
}

static int enter_hardware(struct spapr_tce_domain *domain,
			  struct iommu_group *group,
			  struct spapr_tce_tables *tables)
{
	struct spapr_tce_window *window;
	int num = -1, ret;

	while ((window = spapr_tce_domain_next_window(domain, &num))) {
		ret = to_hardware(window, num, group, tables->tbl[num]);
		if (ret) {
			leave_hardware(domain, group, num, tables);
			return ret;
		}
	}

	return 0;
}

/* Give all windows to a group that is not yet in the list */
static int enter(struct spapr_tce_domain *domain, struct iommu_group *group,
		 struct iommu_table_group *tg, struct spapr_tce_tables *tables)
{
	bool first = !find_kind(domain, tg);
	int ret;

	if (tg)
		return first ? enter_hardware(domain, group, tables) :
			       attach_windows(domain, group);

	if (first)
		watch_windows(domain, true);
	ret = attach_windows(domain, group);
	if (ret && first)
		watch_windows(domain, false);

	return ret;
}

/**
 * spapr_tce_domain_join() - give a group the windows of a domain
 * @domain: the domain
 * @group: the group, owned by the caller and in no domain
 * @tg: its hardware, which is spapr_tce_domain_alike(); NULL if it has none
 * @tables: for the first hardware of the domain, what
 *	spapr_tce_domain_make_tables() has made; they belong to the windows then
 *
 * Context: process context, may sleep; calls are serialised by the owner. If
 * windows move whose owner pins, of the process whose memory is mapped.
 * Return: 0; -ENOMEM; the errors of spapr_tce_window_move(); or the platform's
 * error. After an error all is as before, @tables included.
 */
int spapr_tce_domain_join(struct spapr_tce_domain *domain,
			  struct iommu_group *group,
			  struct iommu_table_group *tg,
			  struct spapr_tce_tables *tables)
{
	struct spapr_tce_domain_group *dg;
	int ret;

	lockdep_assert_held(domain->lock);

	dg = kzalloc(sizeof(*dg), GFP_KERNEL_ACCOUNT);
	if (!dg)
		return -ENOMEM;

	dg->group = group;
	dg->table_group = tg;
	ret = enter(domain, group, tg, tables);
	if (ret) {
		kfree(dg);
		return ret;
	}

	list_add(&dg->node, &domain->groups);
	return 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_join);

/* The last hardware leaves others behind */
static void last_hardware(struct spapr_tce_domain *domain,
			  struct iommu_group *group)
{
	struct spapr_tce_tables tables = {};
	struct spapr_tce_window *window;
	int num = -1;

	leave_hardware(domain, group, IOMMU_TABLE_GROUP_MAX_TABLES, &tables);
	while ((window = spapr_tce_domain_next_window(domain, &num)))
		spapr_tce_window_put_table(window, tables.tbl[num]);
}

/**
 * spapr_tce_domain_leave() - take a group out of a domain
 * @domain: the domain
 * @group: a group that has joined it
 *
 * The other groups keep the windows and what is mapped. Before the last group
 * leaves, the owner closes the windows.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_domain_leave(struct spapr_tce_domain *domain,
			    struct iommu_group *group)
{
	struct spapr_tce_domain_group *dg = find_group(domain, group);
	bool hardware, last;

	lockdep_assert_held(domain->lock);

	if (WARN_ON_ONCE(!dg))
		return;

	hardware = dg->table_group;
	list_del(&dg->node);
	kfree(dg);

	last = !find_kind(domain, hardware);
	if (hardware && last) {
		last_hardware(domain, group);
		return;
	}

	detach_windows(domain, group, IOMMU_TABLE_GROUP_MAX_TABLES);
	if (last)
		watch_windows(domain, false);
}
EXPORT_SYMBOL_GPL(spapr_tce_domain_leave);

#ifdef CONFIG_SPAPR_TCE_KUNIT_TEST
#include "domain_test.c"
#endif
