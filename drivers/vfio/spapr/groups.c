// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups that join and leave an sPAPR TCE container
 *
 * This file decides whether a group may join, has the engine give it all windows,
 * and charges the process for the tables that these need. Windows move to hardware
 * with the first group that has hardware, and back to software with the last. Only
 * while there is hardware, v1 also charges for the default window.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <asm/spapr_mem.h>
#include "container.h"

/*
 * Charge for the table that @tg would make for a window, in place of the present
 * charge. Another process than the one that is charged may make a group join or
 * leave.
 */
static int recharge(struct tce_container *container, int num,
		    struct iommu_table_group *tg, u32 levels)
{
	struct spapr_tce_window *window = container->domain.windows[num];
	struct tce_slot *slot = &container->slots[num];
	unsigned long charge;
	int ret = 0;

	lockdep_assert_held(&container->lock);

	charge = tg->ops->get_table_size(window->page_shift,
					 spapr_tce_window_size(window), levels);
	if (!charge)
		return -EINVAL;

	charge >>= PAGE_SHIFT;
	if (charge > slot->charge)
		ret = spapr_mem_account(container->mediated.mem,
					charge - slot->charge, true,
					&container->mediated.payer);
	else
		account_locked_vm(container->mm, slot->charge - charge, false);
	if (!ret)
		slot->charge = charge;

	return ret;
}

/* Charge for all tables as tables in software, which are never larger */
static void recharge_software(struct tce_container *container)
{
	struct iommu_table_group *tg =
		spapr_tce_domain_table_group(&container->domain);

	struct spapr_tce_window *window;
	int num = -1;

	lockdep_assert_held(&container->lock);

	while ((window = spapr_tce_domain_next_window(&container->domain,
						      &num)))
		recharge(container, num, tg, container->slots[num].levels);
}

static int recharge_hardware(struct tce_container *container,
			     struct iommu_table_group *tg,
			     const struct spapr_tce_tables *tables)
{
	struct spapr_tce_window *window;
	int num = -1, ret;

	lockdep_assert_held(&container->lock);

	while ((window = spapr_tce_domain_next_window(&container->domain,
						      &num))) {
		ret = recharge(container, num, tg, tables->levels[num]);
		if (ret)
			return ret;
	}

	return 0;
}

/* Make tables of @tg for all windows, charge for them, and add the group */
static int join_hardware(struct tce_container *container,
			 struct iommu_table_group *tg,
			 struct iommu_group *group)
{
	struct spapr_tce_tables tables = {};
	int ret;

	lockdep_assert_held(&container->lock);

	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		tables.levels[num] = container->slots[num].levels;
	ret = spapr_tce_domain_make_tables(&container->domain, tg, &tables);
	if (ret)
		return ret;

	ret = recharge_hardware(container, tg, &tables);
	if (!ret)
		ret = spapr_tce_domain_join(&container->domain, group, tg,
					    &tables);
	if (ret) {
		recharge_software(container);
		spapr_tce_domain_drop_tables(&container->domain, tg, &tables);
	}

	return ret;
}

static bool has_windows(const struct tce_container *container)
{
	int num = -1;

	lockdep_assert_held(&container->lock);

	return spapr_tce_domain_next_window(&container->domain, &num);
}

static int charge_enabled(struct tce_container *container,
			  struct iommu_table_group *tg)
{
	unsigned long charge = tce_default_size(container, tg) >> PAGE_SHIFT;
	int ret;

	lockdep_assert_held(&container->lock);

	if (!container->enabled)
		return 0;

	ret = account_locked_vm(container->mm, charge, true);
	if (!ret)
		container->charge = charge;

	return ret;
}

static void uncharge_enabled(struct tce_container *container)
{
	lockdep_assert_held(&container->lock);

	account_locked_vm(container->mm, container->charge, false);
	container->charge = 0;
}

/*
 * Add the first group with hardware; there may be groups without. In v1 all that
 * is mapped gets pinned, and the charge for that covers what mediated devices pin.
 */
static int enter_hardware(struct tce_container *container,
			  struct iommu_table_group *tg,
			  struct iommu_group *group)
{
	struct tce_mediated *mediated = &container->mediated;
	int ret;

	lockdep_assert_held(&container->lock);

	/* Only the process itself can pin */
	if (!container->v2 && container->mm && container->mm != current->mm)
		return -EPERM;

	guard(mutex)(&mediated->lock);

	if (container->v2) {
		ret = join_hardware(container, tg, group);
		/* What is mapped relies on registrations, possibly another's */
		if (!ret && has_windows(container))
			container->enabled = true;
		return ret;
	}

	tce_mediated_cover(mediated, true);
	ret = charge_enabled(container, tg);
	if (!ret) {
		ret = join_hardware(container, tg, group);
		if (ret)
			uncharge_enabled(container);
	}
	if (ret)
		tce_mediated_cover(mediated, false);

	return ret;
}

/* Check whether a group with hardware may join the groups that there are */
static int may_join(struct tce_container *container, struct iommu_group *group,
		    struct iommu_table_group *tg)
{
	if (container->v2 && !tg->max_dynamic_windows_supported)
		return -EINVAL;

	/* v1 charges for the window of one group */
	if (!container->v2 && spapr_tce_domain_hardware(&container->domain))
		return -EBUSY;

	if (!spapr_tce_domain_alike(&container->domain, tg)) {
		pr_warn_ratelimited("group %d is incompatible with the container's other groups\n",
				    iommu_group_id(group));
		return -EPERM;
	}

	return 0;
}

/* Add a group and give it all windows; returns 0 or -errno */
int tce_join(struct tce_container *container, struct iommu_group *group,
	     bool mediated)
{
	struct iommu_table_group *tg = iommu_group_get_iommudata(group);
	int ret;

	lockdep_assert_held(&container->lock);

	if (mediated)
		return spapr_tce_domain_join(&container->domain, group, NULL,
					     NULL);
	if (!tg)
		return -ENODEV;

	ret = may_join(container, group, tg);
	if (ret)
		return ret;

	if (!spapr_tce_domain_hardware(&container->domain))
		return enter_hardware(container, tg, group);

	return spapr_tce_domain_join(&container->domain, group, tg, NULL);
}

/* Remove a group. If it is the last one, the caller has closed the windows. */
void tce_leave(struct tce_container *container, struct iommu_group *group)
{
	struct tce_mediated *mediated = &container->mediated;
	bool had;

	lockdep_assert_held(&container->lock);
	had = spapr_tce_domain_hardware(&container->domain);

	guard(mutex)(&mediated->lock);

	spapr_tce_domain_leave(&container->domain, group);
	if (!had || list_empty(&container->domain.groups) ||
	    spapr_tce_domain_hardware(&container->domain))
		return;

	recharge_software(container);
	if (!container->v2) {
		uncharge_enabled(container);
		tce_mediated_cover(mediated, false);
	}
}
