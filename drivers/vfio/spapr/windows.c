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

/* Can DMA be mapped? Where that pins nothing, no memory has to be ready. */
static int may_change(struct tce_container *container)
{
	if (container->enabled)
		return 0;

	return container->v2 && !tce_hardware(container) ? tce_bind_mm(container) :
						       -EPERM;
}

/* Windows */

static int attach_all(struct tce_container *container,
		      struct spapr_tce_window *window, int num)
{
	struct tce_group *tcegroup;
	int ret;

	list_for_each_entry(tcegroup, &container->groups, node) {
		ret = spapr_tce_window_attach(window, tcegroup->group, num);
		if (ret)
			goto undo;
	}

	return 0;

undo:
	list_for_each_entry_continue_reverse(tcegroup, &container->groups, node)
		spapr_tce_window_detach(window, tcegroup->group, num);

	return ret;
}

/* Make window @num on a new table; the platform chooses where it starts */
static int open_window(struct tce_container *container,
		       struct iommu_table_group *tg, int num, u32 page_shift,
		       u64 size, u32 levels)
{
	struct spapr_tce_window *window;
	struct iommu_table *tbl;
	int ret;

	ret = tg->ops->create_table(tg, num, page_shift, size, levels, &tbl);
	if (ret)
		return ret;

	window = spapr_tce_window_create(tbl, container->mm,
					 container->v2 ? NULL : &tce_pin_owner);
	if (IS_ERR(window)) {
		ret = PTR_ERR(window);
		iommu_tce_table_put(tbl);
		goto unset;
	}
	if (tce_find_kind(container, true))
		spapr_tce_window_watch(window, true);

	ret = attach_all(container, window, num);
	if (ret) {
		spapr_tce_window_drain(window);
		spapr_tce_window_close(window);
		goto unset;
	}

	container->slots[num].window = window;
	container->slots[num].levels = levels;
	scoped_guard(mutex, &container->mediated.lock)
		tce_mediated_set_window(&container->mediated, num, window);
	return 0;

unset:
	/* The hypervisor's tables serve their group from their creation on */
	tg->ops->unset_window(tg, num);

	return ret;
}

static int create_window(struct tce_container *container, u32 page_shift,
			 u64 size, u32 levels)
{
	struct iommu_table_group *tg = tce_table_group(container);
	unsigned long charge;
	int num = 0, ret;

	while (container->slots[num].window)
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

	ret = open_window(container, tg, num, page_shift, size, levels);
	if (ret) {
		account_locked_vm(container->mm, charge, false);
		return ret;
	}

	container->slots[num].charge = charge;
	return num;
}

/*
 * Tables of the hypervisor's are cleared before they leave their group, because
 * afterwards they are no more. What mediated devices have not let go of they
 * lose.
 */
static void close_window(struct tce_container *container, int num)
{
	struct tce_slot *slot = &container->slots[num];
	struct tce_group *tcegroup;

	scoped_guard(mutex, &container->mediated.lock)
		tce_mediated_set_window(&container->mediated, num, NULL);

	spapr_tce_window_drain(slot->window);
	list_for_each_entry(tcegroup, &container->groups, node)
		spapr_tce_window_detach(slot->window, tcegroup->group, num);
	spapr_tce_window_close(slot->window);
	slot->window = NULL;
	if (!num)
		container->default_size = 0;

	account_locked_vm(container->mm, slot->charge, false);
	slot->charge = 0;
}

void tce_close_windows(struct tce_container *container)
{
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->slots[num].window)
			close_window(container, num);
}

/* Close a window unless a mediated device does not let go */
static int remove_window(struct tce_container *container, int num)
{
	struct spapr_tce_window *window = container->slots[num].window;
	struct tce_mediated *mediated = &container->mediated;
	int ret;

	ret = tce_mediated_lock_unpinned(mediated,
					 spapr_tce_window_start(window),
					 spapr_tce_window_size(window));
	if (ret)
		return ret;
	/* From here on nothing can be pinned in it */
	tce_mediated_set_window(mediated, num, NULL);
	tce_mediated_unlock(mediated);

	close_window(container, num);
	return 0;
}

/* Before anything is looked up in the windows: make the default one, if due */
static int default_window(struct tce_container *container)
{
	struct iommu_table_group *tg = tce_table_group(container);
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
		spapr_tce_window_size(container->slots[ret].window);
	return 0;
}

/* Bytes of the default window as it is, or as it would be made */
u64 tce_default_size(struct tce_container *container,
		     struct iommu_table_group *tg)
{
	return container->default_size ?: tg->tce32_size;
}

/* The window that has bus address @iova: its number, or -ENXIO */
static int find_window(struct tce_container *container, u64 iova)
{
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		struct spapr_tce_window *window = container->slots[num].window;
		struct iommu_table *tbl;

		if (!window)
			continue;
		tbl = window->tbl;
		if ((iova >> tbl->it_page_shift) - tbl->it_offset < tbl->it_size)
			return num;
	}

	return -ENXIO;
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

	num = find_window(container, iova);
	if (num < 0)
		return num;

	range->window = container->slots[num].window;
	tbl = range->window->tbl;
	page_mask = BIT_ULL(tbl->it_page_shift) - 1;
	if ((iova | size) & page_mask)
		return -EINVAL;

	range->index = (iova >> tbl->it_page_shift) - tbl->it_offset;
	range->npages = size >> tbl->it_page_shift;

	return range->npages > tbl->it_size - range->index ? -EINVAL : 0;
}

/* VFIO_IOMMU_MAP_DMA */
long tce_map_dma(struct tce_container *container, void __user *arg)
{
	const u32 both = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct vfio_iommu_type1_dma_map map;
	struct tce_range range;
	unsigned long perm = 0;
	int ret;

	ret = may_change(container);
	if (ret)
		return ret;
	ret = tce_read_args(&map, arg, offsetofend(typeof(map), size));
	if (ret)
		return ret;
	if (map.flags & ~both)
		return -EINVAL;

	ret = find_range(container, map.iova, map.size, &range);
	if (ret)
		return ret;

	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		perm |= TCE_PCI_READ;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		perm |= TCE_PCI_WRITE;
	if (!perm || map.vaddr & (IOMMU_PAGE_SIZE(range.window->tbl) - 1))
		return -EINVAL;
	if (!range.npages)
		return 0;

	/* What is there is replaced */
	ret = tce_mediated_lock_unpinned(&container->mediated, map.iova,
					 map.size);
	if (ret)
		return ret;
	ret = spapr_tce_map(range.window, range.index, map.vaddr, range.npages,
			    perm);
	tce_mediated_unlock(&container->mediated);

	return ret;
}

/* VFIO_IOMMU_UNMAP_DMA */
long tce_unmap_dma(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct tce_range range;
	int ret;

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
	spapr_tce_unmap(range.window, range.index, range.npages);
	tce_mediated_unlock(&container->mediated);

	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_GET_INFO */
long tce_get_info(struct tce_container *container, void __user *arg)
{
	struct iommu_table_group *tg = tce_table_group(container);
	struct vfio_iommu_spapr_tce_info info;
	size_t size = offsetofend(typeof(info), dma32_window_size);
	int ret;

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
		info.ddw.max_dynamic_windows_supported =
			tg->max_dynamic_windows_supported;
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

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	if (list_empty(&container->groups))
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

	create.start_addr = spapr_tce_window_start(container->slots[num].window);
	if (copy_to_user(arg, &create, size)) {
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

	ret = tce_bind_mm(container);
	if (ret)
		return ret;
	if (list_empty(&container->groups))
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
	num = find_window(container, remove.start_addr);
	if (num < 0)
		return -EINVAL;

	return remove_window(container, num);
}

int tce_attach_windows(struct tce_container *container,
		       struct iommu_group *group)
{
	struct tce_slot *slots = container->slots;
	int num, ret;

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		if (!slots[num].window)
			continue;
		ret = spapr_tce_window_attach(slots[num].window, group, num);
		if (ret)
			goto undo;
	}

	return 0;

undo:
	while (num--)
		if (slots[num].window)
			spapr_tce_window_detach(slots[num].window, group, num);

	return ret;
}

void tce_detach_windows(struct tce_container *container,
			struct iommu_group *group)
{
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->slots[num].window)
			spapr_tce_window_detach(container->slots[num].window,
						group, num);
}

/* Windows move between software and hardware; mediated devices keep still */

/*
 * Charge for a window's table as @tg would have it, instead of as it is. Who
 * makes a group join or leave need not be the process that is charged.
 */
static int recharge(struct tce_container *container, struct tce_slot *slot,
		    struct iommu_table_group *tg, u32 levels)
{
	unsigned long charge = tg->ops->get_table_size(slot->window->page_shift,
						       spapr_tce_window_size(slot->window),
						       levels);
	int ret = 0;

	if (!charge)
		return -EINVAL;

	charge >>= PAGE_SHIFT;
	if (charge > slot->charge)
		ret = spapr_mem_account(slot->window->mem, charge - slot->charge,
					true, &container->mediated.payer);
	else
		account_locked_vm(container->mm, slot->charge - charge, false);
	if (!ret)
		slot->charge = charge;

	return ret;
}

static void to_software(struct tce_container *container,
			struct iommu_group *group, int num)
{
	struct tce_slot *slot = &container->slots[num];
	struct spapr_tce_window *window = slot->window;
	struct iommu_table *old = window->tbl;

	/* A few bytes, and nowhere to go without them */
	spapr_tce_window_move(window,
			      spapr_tce_soft_table(spapr_tce_window_start(window),
						   old->it_size,
						   window->page_shift,
						   GFP_KERNEL | __GFP_NOFAIL));
	spapr_tce_window_detach(window, group, num);
	iommu_tce_table_put(old);
	recharge(container, slot, &spapr_tce_soft_group, slot->levels);
}

/* A table of @tg's where a window is, and as large, with *@levels levels */
static int make_alike(struct tce_slot *slot, struct iommu_table_group *tg,
		      int num, struct iommu_table **tbl, u32 *levels)
{
	struct spapr_tce_window *window = slot->window;
	u64 size = spapr_tce_window_size(window);
	int ret;

	if (!(tg->pgsizes & BIT_ULL(window->page_shift)))
		return -EINVAL;

	/* Software made no difference between more levels and fewer */
	*levels = min(slot->levels, max(tg->max_levels, 1U));
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

	tg->ops->unset_window(tg, num);
	iommu_tce_table_put(*tbl);

	return -EINVAL;
}

static int to_hardware(struct tce_container *container,
		       struct iommu_table_group *tg, struct iommu_group *group,
		       int num)
{
	struct tce_slot *slot = &container->slots[num];
	struct spapr_tce_window *window = slot->window;
	struct iommu_table *old = window->tbl, *tbl;
	u32 levels;
	int ret;

	ret = make_alike(slot, tg, num, &tbl, &levels);
	if (ret)
		return ret;

	ret = recharge(container, slot, tg, levels);
	if (ret)
		goto unset;
	ret = spapr_tce_window_move(window, tbl);
	if (ret)
		goto undo;
	iommu_tce_table_put(old);

	ret = spapr_tce_window_attach(window, group, num);
	if (!ret)
		return 0;

	old = spapr_tce_soft_table(spapr_tce_window_start(window), tbl->it_size,
				   window->page_shift,
				   GFP_KERNEL | __GFP_NOFAIL);
	spapr_tce_window_move(window, old);
undo:
	recharge(container, slot, &spapr_tce_soft_group, slot->levels);
unset:
	tg->ops->unset_window(tg, num);
	iommu_tce_table_put(tbl);

	return ret;
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
 * The first group with hardware comes, maybe to others. In v1 its window pins
 * all that is mapped, and what is charged for that covers what mediated devices
 * pin.
 */
int tce_enter_hardware(struct tce_container *container,
		       struct iommu_table_group *tg,
		       struct iommu_group *group)
{
	struct tce_mediated *mediated = &container->mediated;
	bool moved = false;
	int num, ret = 0;

	/* Only the process itself can pin */
	if (!container->v2 && container->mm && container->mm != current->mm)
		return -EPERM;

	guard(mutex)(&mediated->lock);

	if (!container->v2) {
		tce_mediated_cover(mediated, true);
		ret = charge_enabled(container, tg);
		if (ret)
			goto uncover;
	}

	for (num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		if (!container->slots[num].window)
			continue;
		ret = to_hardware(container, tg, group, num);
		if (ret)
			goto undo;
		/* What is mapped relies on registrations, be they another's */
		if (container->v2)
			moved = true;
	}
	if (moved)
		container->enabled = true;

	return 0;

undo:
	while (num--)
		if (container->slots[num].window)
			to_software(container, group, num);
	if (!container->v2)
		uncharge_enabled(container);
uncover:
	tce_mediated_cover(mediated, false);

	return ret;
}

/* The last group with hardware leaves others behind */
void tce_leave_hardware(struct tce_container *container,
			struct iommu_group *group)
{
	struct tce_mediated *mediated = &container->mediated;

	guard(mutex)(&mediated->lock);

	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->slots[num].window)
			to_software(container, group, num);

	if (!container->v2) {
		uncharge_enabled(container);
		tce_mediated_cover(mediated, false);
	}
}

void tce_watch_windows(struct tce_container *container, bool watched)
{
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->slots[num].window)
			spapr_tce_window_watch(container->slots[num].window,
					       watched);
}

/* Empty all windows. Where a mediated device keeps a pin, the others are empty. */
int tce_unmap_windows(struct tce_container *container)
{
	struct tce_mediated *mediated = &container->mediated;

	lockdep_assert_held(&container->lock);

	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		struct spapr_tce_window *window = container->slots[num].window;
		int ret;

		if (!window)
			continue;
		ret = tce_mediated_lock_unpinned(mediated,
						 spapr_tce_window_start(window),
						 spapr_tce_window_size(window));
		if (ret)
			return ret;
		spapr_tce_unmap(window, 0, window->tbl->it_size);
		tce_mediated_unlock(mediated);
	}

	return 0;
}

#ifdef CONFIG_VFIO_IOMMU_SPAPR_TCE_KUNIT_TEST
#include "windows_test.c"
#endif
