// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA windows of an sPAPR TCE container
 *
 * Ioctls that make, remove and fill windows, and what happens to the windows
 * when groups join and leave.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <asm/spapr_mem.h>
#include "container.h"

/* Can DMA be mapped? In software v2 needs no registered memory for that. */
static int may_change(struct tce_container *container)
{
	if (container->enabled)
		return 0;
	if (!container->v2 || spapr_tce_domain_hardware(&container->domain))
		return -EPERM;

	return tce_bind_mm(container);
}

/* Windows */

/* Open window @num; the platform chooses where it starts */
static int open_window(struct tce_container *container, int num,
		       u32 page_shift, u64 size, u32 levels)
{
	const struct spapr_tce_window_spec spec = {
		.page_shift = page_shift,
		.levels = levels,
		.size = size,
		.mm = container->mm,
		.owner = container->v2 ? NULL : &container->pins.owner,
	};

	guard(mutex)(&container->mediated.lock);

	return spapr_tce_domain_open(&container->domain, num, &spec);
}

static int create_window(struct tce_container *container, u32 page_shift,
			 u64 size, u32 levels)
{
	struct iommu_table_group *tg =
		spapr_tce_domain_table_group(&container->domain);
	unsigned long charge;
	int num = 0, ret;

	lockdep_assert_held(&container->lock);

	while (container->domain.windows[num])
		if (++num == IOMMU_TABLE_GROUP_MAX_TABLES)
			return -ENOSPC;

	if (!tg)
		return -EFAULT;
	if (page_shift >= BITS_PER_LONG_LONG ||
	    !(tg->pgsizes & BIT_ULL(page_shift)) || !(size >> page_shift))
		return -EINVAL;
	if (!tg->ops->set_window || !tg->ops->unset_window ||
	    !tg->ops->get_table_size || !tg->ops->create_table)
		return -EPERM;

	charge = tg->ops->get_table_size(page_shift, size, levels);
	if (!charge)
		return -EINVAL;

	charge >>= PAGE_SHIFT;
	ret = account_locked_vm(container->mm, charge, true);
	if (ret)
		return ret;

	ret = open_window(container, num, page_shift, size, levels);
	if (ret) {
		account_locked_vm(container->mm, charge, false);
		return ret;
	}

	container->slots[num].levels = levels;
	container->slots[num].charge = charge;
	return num;
}

/* Close a window. What mediated devices still have pinned there is unpinned. */
static void close_window(struct tce_container *container, int num)
{
	struct tce_slot *slot = &container->slots[num];

	lockdep_assert_held(&container->mediated.lock);

	tce_mediated_release(&container->mediated,
			     container->domain.windows[num]);
	spapr_tce_domain_close(&container->domain, num);
	if (!num)
		container->default_size = 0;

	account_locked_vm(container->mm, slot->charge, false);
	slot->charge = 0;
}

void tce_close_windows(struct tce_container *container)
{
	lockdep_assert_held(&container->lock);

	guard(mutex)(&container->mediated.lock);
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->domain.windows[num])
			close_window(container, num);
}

/* Close a window unless a mediated device keeps a page of it pinned */
static int remove_window(struct tce_container *container, int num)
{
	struct spapr_tce_window *window = container->domain.windows[num];
	int ret;

	lockdep_assert_held(&container->lock);

	ret = tce_mediated_lock_unpinned(&container->mediated,
					 spapr_tce_window_start(window),
					 spapr_tce_window_size(window));
	if (ret)
		return ret;

	close_window(container, num);
	tce_mediated_unlock(&container->mediated);
	return 0;
}

/* Before anything is looked up in the windows: make the default one, if due */
static int default_window(struct tce_container *container)
{
	struct iommu_table_group *tg =
		spapr_tce_domain_table_group(&container->domain);
	int ret;

	if (!container->default_due)
		return 0;
	if (!tg)
		return -ENODEV;

	ret = create_window(container, IOMMU_PAGE_SHIFT_4K, tg->tce32_size, 1);
	if (ret < 0)
		return ret;

	/* No other window was there: it is the first */
	container->default_due = false;
	container->default_size =
		spapr_tce_window_size(container->domain.windows[ret]);
	return 0;
}

/* Bytes of the default window as it is, or as it would be made */
u64 tce_default_size(struct tce_container *container,
		     struct iommu_table_group *tg)
{
	return container->default_size ?: tg->tce32_size;
}

/**
 * struct tce_range - part of a window
 * @window: the window
 * @index: its first TCE, as the engine counts
 * @npages: how many TCEs; may be 0
 */
struct tce_range {
	struct spapr_tce_window *window;
	unsigned long index;
	unsigned long npages;
};

/* The range of bus addresses that a MAP_DMA or UNMAP_DMA is about */
static int find_range(struct tce_container *container, u64 iova, u64 size,
		      struct tce_range *range)
{
	struct iommu_table *tbl;
	u64 page_mask;
	int num;

	num = default_window(container);
	if (num < 0)
		return num;

	num = spapr_tce_domain_find(&container->domain, iova);
	if (num < 0)
		return num;

	range->window = container->domain.windows[num];
	tbl = range->window->tbl;
	page_mask = BIT_ULL(tbl->it_page_shift) - 1;
	if ((iova | size) & page_mask)
		return -EINVAL;

	range->index = (iova >> tbl->it_page_shift) - tbl->it_offset;
	range->npages = size >> tbl->it_page_shift;

	return range->npages > tbl->it_size - range->index ? -EINVAL : 0;
}

/*
 * VFIO_IOMMU_MAP_DMA. Answers -EAGAIN if tce_pins_fault_in() has to fault in
 * memory of @map, which it fills in.
 */
long tce_map_dma(struct tce_container *container, void __user *arg,
		 struct vfio_iommu_type1_dma_map *map)
{
	const u32 both = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct tce_range range;
	unsigned long perm = 0;
	int ret;

	lockdep_assert_held(&container->lock);

	ret = may_change(container);
	if (ret)
		return ret;
	ret = tce_read_args(map, arg, offsetofend(typeof(*map), size));
	if (ret)
		return ret;
	if (map->flags & ~both)
		return -EINVAL;

	ret = find_range(container, map->iova, map->size, &range);
	if (ret)
		return ret;

	if (map->flags & VFIO_DMA_MAP_FLAG_READ)
		perm |= TCE_PCI_READ;
	if (map->flags & VFIO_DMA_MAP_FLAG_WRITE)
		perm |= TCE_PCI_WRITE;
	if (!perm || map->vaddr & (IOMMU_PAGE_SIZE(range.window->tbl) - 1))
		return -EINVAL;
	if (!range.npages)
		return 0;

	/* What is there is replaced */
	ret = tce_mediated_lock_unpinned(&container->mediated, map->iova,
					 map->size);
	if (ret)
		return ret;
	container->pins.no_fault = true;
	ret = spapr_tce_map(range.window, range.index, map->vaddr, range.npages,
			    perm);
	container->pins.no_fault = false;
	tce_mediated_unlock(&container->mediated);

	return ret;
}

/* VFIO_IOMMU_UNMAP_DMA */
long tce_unmap_dma(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct tce_range range;
	int ret;

	lockdep_assert_held(&container->lock);

	ret = may_change(container);
	if (ret)
		return ret;
	ret = tce_read_args(&unmap, arg, offsetofend(typeof(unmap), size));
	if (ret)
		return ret;
	if (unmap.flags)
		return -EINVAL;

	ret = find_range(container, unmap.iova, unmap.size, &range);
	if (ret)
		return ret;

	ret = tce_mediated_lock_unpinned(&container->mediated, unmap.iova,
					 unmap.size);
	if (ret)
		return ret;
	ret = spapr_tce_unmap(range.window, range.index, range.npages);
	tce_mediated_unlock(&container->mediated);

	return ret;
}

/* How many windows a group has. A hypervisor that makes none leaves one. */
static u32 nr_windows(const struct iommu_table_group *tg)
{
	return tg->max_levels ? tg->max_dynamic_windows_supported : 1;
}

/* VFIO_IOMMU_SPAPR_TCE_GET_INFO */
long tce_get_info(struct tce_container *container, void __user *arg)
{
	struct iommu_table_group *tg =
		spapr_tce_domain_table_group(&container->domain);
	struct vfio_iommu_spapr_tce_info info;
	size_t size = offsetofend(typeof(info), dma32_window_size);
	int ret;

	lockdep_assert_held(&container->lock);

	if (!tg)
		return -ENXIO;
	ret = tce_read_args(&info, arg, size);
	if (ret)
		return ret;

	info.flags = 0;
	info.dma32_window_start = tg->tce32_start;
	info.dma32_window_size = tce_default_size(container, tg);
	memset(&info.ddw, 0, sizeof(info.ddw));
	if (container->v2 && tg->max_dynamic_windows_supported) {
		info.flags = VFIO_IOMMU_SPAPR_INFO_DDW;
		info.ddw.pgsizes = tg->pgsizes;
		info.ddw.levels = tg->max_levels;
		info.ddw.max_dynamic_windows_supported = nr_windows(tg);
	}

	if (info.argsz >= offsetofend(typeof(info), ddw))
		size = offsetofend(typeof(info), ddw);

	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

/* VFIO_IOMMU_SPAPR_TCE_CREATE */
long tce_create_window(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_spapr_tce_create create;
	const size_t size = offsetofend(typeof(create), start_addr);
	int num, ret;

	lockdep_assert_held(&container->lock);

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	if (list_empty(&container->domain.groups))
		return -ENXIO;
	ret = tce_read_args(&create, arg, size);
	if (ret)
		return ret;
	if (create.flags)
		return -EINVAL;

	ret = default_window(container);
	if (ret)
		return ret;
	num = create_window(container, create.page_shift, create.window_size,
			    create.levels);
	if (num < 0)
		return num;

	create.start_addr = spapr_tce_window_start(container->domain.windows[num]);
	if (copy_to_user(arg, &create, size)) {
		scoped_guard(mutex, &container->mediated.lock)
			close_window(container, num);
		return -EFAULT;
	}

	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_REMOVE */
long tce_remove_window(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_spapr_tce_remove remove;
	int num, ret;

	lockdep_assert_held(&container->lock);

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	if (list_empty(&container->domain.groups))
		return -ENXIO;
	ret = tce_read_args(&remove, arg, offsetofend(typeof(remove), start_addr));
	if (ret)
		return ret;
	if (remove.flags)
		return -EINVAL;

	/* The default window starts at 0, and need not be made to be removed */
	if (container->default_due && !remove.start_addr) {
		container->default_due = false;
		return 0;
	}

	/* Any address in a window names it */
	num = spapr_tce_domain_find(&container->domain, remove.start_addr);
	if (num < 0)
		return -EINVAL;

	return remove_window(container, num);
}

/* Groups: windows move between software and hardware */

/*
 * Charge for a window's table as @tg would have it, instead of as it is. The
 * process that makes a group join or leave need not be the one that is charged.
 */
static int recharge(struct tce_container *container, int num,
		    struct iommu_table_group *tg, u32 levels)
{
	struct spapr_tce_window *window = container->domain.windows[num];
	struct tce_slot *slot = &container->slots[num];
	unsigned long charge;
	int ret = 0;

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

/* Charge for all tables as software has them, which costs no more */
static void recharge_software(struct tce_container *container)
{
	struct iommu_table_group *tg =
		spapr_tce_domain_table_group(&container->domain);

	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->domain.windows[num])
			recharge(container, num, tg,
				 container->slots[num].levels);
}

static int recharge_hardware(struct tce_container *container,
			     struct iommu_table_group *tg,
			     const struct spapr_tce_tables *tables)
{
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		int ret = container->domain.windows[num] ?
			  recharge(container, num, tg, tables->levels[num]) : 0;

		if (ret)
			return ret;
	}

	return 0;
}

/* Make and charge tables of @tg's for all windows, and let the group join */
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
		spapr_tce_domain_drop_tables(tg, &tables);
	}

	return ret;
}

static bool has_windows(const struct tce_container *container)
{
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->domain.windows[num])
			return true;

	return false;
}

static int charge_enabled(struct tce_container *container,
			  struct iommu_table_group *tg)
{
	unsigned long charge = tce_default_size(container, tg) >> PAGE_SHIFT;
	int ret;

	if (!container->enabled)
		return 0;

	ret = account_locked_vm(container->mm, charge, true);
	if (!ret)
		container->charge = charge;

	return ret;
}

static void uncharge_enabled(struct tce_container *container)
{
	account_locked_vm(container->mm, container->charge, false);
	container->charge = 0;
}

/*
 * The first group with hardware joins, possibly to others. In v1 its window pins
 * all that is mapped, and what is charged for that covers what mediated devices
 * pin.
 */
int tce_enter_hardware(struct tce_container *container,
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

/* A group leaves, and its windows are closed if it is the last one */
void tce_leave(struct tce_container *container, struct iommu_group *group)
{
	struct tce_mediated *mediated = &container->mediated;
	bool had = spapr_tce_domain_hardware(&container->domain);

	lockdep_assert_held(&container->lock);
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

/*
 * Empty all windows. After an error, of a hypervisor or because a mediated
 * device keeps a page pinned, some of them may be empty.
 */
int tce_unmap_windows(struct tce_container *container)
{
	struct tce_mediated *mediated = &container->mediated;

	lockdep_assert_held(&container->lock);

	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		struct spapr_tce_window *window = container->domain.windows[num];
		int ret;

		if (!window)
			continue;
		ret = tce_mediated_lock_unpinned(mediated,
						 spapr_tce_window_start(window),
						 spapr_tce_window_size(window));
		if (ret)
			return ret;
		ret = spapr_tce_unmap(window, 0, window->tbl->it_size);
		tce_mediated_unlock(mediated);
		if (ret)
			return ret;
	}

	return 0;
}

#ifdef CONFIG_VFIO_IOMMU_SPAPR_TCE_KUNIT_TEST
#include "windows_test.c"
#endif
