// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA windows of an sPAPR TCE container: ioctls that make, remove and fill them
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vfio.h>
#include <asm/spapr_mem.h>
#include "container.h"

/*
 * Can DMA be mapped? In software v2 needs no registered memory for that. If it
 * can, the error of reading the arguments counts.
 */
static int may_change(struct tce_container *container,
		      const struct tce_args *args)
{
	lockdep_assert_held(&container->lock);

	if (container->enabled)
		return args->wrong;
	if (!container->v2 || spapr_tce_domain_hardware(&container->domain))
		return -EPERM;

	return tce_bind_mm(container) ?: args->wrong;
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

	lockdep_assert_held(&container->lock);
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
	container->slots[num].serial = ++container->serial;
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
	struct spapr_tce_window *window;
	int num = -1;

	lockdep_assert_held(&container->lock);

	guard(mutex)(&container->mediated.lock);
	while ((window = spapr_tce_domain_next_window(&container->domain,
						      &num)))
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
	struct iommu_table_group *tg;
	int ret;

	lockdep_assert_held(&container->lock);

	if (!container->default_due)
		return 0;
	tg = spapr_tce_domain_table_group(&container->domain);
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
	lockdep_assert_held(&container->lock);

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
	struct spapr_tce_window *window;
	int num;

	lockdep_assert_held(&container->lock);

	num = default_window(container);
	if (num < 0)
		return num;

	num = spapr_tce_domain_find(&container->domain, iova);
	if (num < 0)
		return num;

	window = container->domain.windows[num];
	if ((iova | size) & window->page_mask)
		return -EINVAL;

	range->window = window;
	range->index = (iova >> window->page_shift) - window->offset;
	range->npages = size >> window->page_shift;

	return range->npages > window->npages - range->index ? -EINVAL : 0;
}

/*
 * VFIO_IOMMU_MAP_DMA. Answers -EAGAIN if tce_pins_fault_in() has to fault in the
 * memory.
 */
long tce_map_dma(struct tce_container *container, const struct tce_args *args)
{
	const struct vfio_iommu_type1_dma_map *map = &args->map;
	const u32 both = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct tce_range range;
	unsigned long perm = 0;
	int ret;

	lockdep_assert_held(&container->lock);

	ret = may_change(container, args);
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
	if (!perm || map->vaddr & range.window->page_mask)
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
long tce_unmap_dma(struct tce_container *container, const struct tce_args *args)
{
	const struct vfio_iommu_type1_dma_unmap *unmap = &args->unmap;
	struct tce_range range;
	int ret;

	lockdep_assert_held(&container->lock);

	ret = may_change(container, args);
	if (ret)
		return ret;
	if (unmap->flags)
		return -EINVAL;

	ret = find_range(container, unmap->iova, unmap->size, &range);
	if (ret)
		return ret;

	ret = tce_mediated_lock_unpinned(&container->mediated, unmap->iova,
					 unmap->size);
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
long tce_get_info(struct tce_container *container, struct tce_args *args)
{
	struct iommu_table_group *tg =
		spapr_tce_domain_table_group(&container->domain);
	struct vfio_iommu_spapr_tce_info *info = &args->info;

	lockdep_assert_held(&container->lock);

	if (!tg)
		return -ENXIO;
	if (args->wrong)
		return args->wrong;

	info->flags = 0;
	info->dma32_window_start = tg->tce32_start;
	info->dma32_window_size = tce_default_size(container, tg);
	memset(&info->ddw, 0, sizeof(info->ddw));
	if (container->v2 && tg->max_dynamic_windows_supported) {
		info->flags = VFIO_IOMMU_SPAPR_INFO_DDW;
		info->ddw.pgsizes = tg->pgsizes;
		info->ddw.levels = tg->max_levels;
		info->ddw.max_dynamic_windows_supported = nr_windows(tg);
	}

	args->written = info->argsz >= offsetofend(typeof(*info), ddw) ?
			offsetofend(typeof(*info), ddw) :
			offsetofend(typeof(*info), dma32_window_size);

	return 0;
}

/*
 * Windows are those of groups and hold memory of one process. If that is so, the
 * error of reading the arguments counts.
 */
static int bind_to_groups(struct tce_container *container,
			  const struct tce_args *args)
{
	int ret;

	lockdep_assert_held(&container->lock);

	ret = tce_bind_mm(container);
	if (ret)
		return ret;

	return list_empty(&container->domain.groups) ? -ENXIO : args->wrong;
}

/* VFIO_IOMMU_SPAPR_TCE_CREATE */
long tce_create_window(struct tce_container *container, struct tce_args *args)
{
	struct vfio_iommu_spapr_tce_create *create = &args->create;
	int num, ret;

	lockdep_assert_held(&container->lock);

	ret = bind_to_groups(container, args);
	if (ret)
		return ret;
	if (create->flags)
		return -EINVAL;

	ret = default_window(container);
	if (ret)
		return ret;
	num = create_window(container, create->page_shift, create->window_size,
			    create->levels);
	if (num < 0)
		return num;

	create->start_addr =
		spapr_tce_window_start(container->domain.windows[num]);
	args->written = offsetofend(typeof(*create), start_addr);
	args->serial = container->slots[num].serial;

	return 0;
}

/*
 * Remove a window whose address could not be told to user space. Another thread
 * may have removed it, or had a mediated device use it, since the container was
 * unlocked; then there is nothing to do.
 */
void tce_undo_create_window(struct tce_container *container,
			    const struct tce_args *args)
{
	struct spapr_tce_window *window;
	int num = -1;

	guard(mutex)(&container->lock);

	while ((window = spapr_tce_domain_next_window(&container->domain,
						      &num)))
		if (container->slots[num].serial == args->serial)
			remove_window(container, num);
}

/* VFIO_IOMMU_SPAPR_TCE_REMOVE */
long tce_remove_window(struct tce_container *container,
		       const struct tce_args *args)
{
	const struct vfio_iommu_spapr_tce_remove *remove = &args->remove;
	int num, ret;

	lockdep_assert_held(&container->lock);

	ret = bind_to_groups(container, args);
	if (ret)
		return ret;
	if (remove->flags)
		return -EINVAL;

	/* The default window starts at 0, and need not be made to be removed */
	if (container->default_due && !remove->start_addr) {
		container->default_due = false;
		return 0;
	}

	/* Any address in a window names it */
	num = spapr_tce_domain_find(&container->domain, remove->start_addr);
	if (num < 0)
		return -EINVAL;

	return remove_window(container, num);
}

/*
 * Empty all windows. After an error, of a hypervisor or because a mediated
 * device keeps a page pinned, some of them may be empty.
 */
int tce_unmap_windows(struct tce_container *container)
{
	struct tce_mediated *mediated = &container->mediated;
	struct spapr_tce_window *window;
	int num = -1, ret;

	lockdep_assert_held(&container->lock);

	while ((window = spapr_tce_domain_next_window(&container->domain,
						      &num))) {
		ret = tce_mediated_lock_unpinned(mediated,
						 spapr_tce_window_start(window),
						 spapr_tce_window_size(window));
		if (ret)
			return ret;
		ret = spapr_tce_unmap(window, 0, window->npages);
		tce_mediated_unlock(mediated);
		if (ret)
			return ret;
	}

	return 0;
}

#ifdef CONFIG_VFIO_IOMMU_SPAPR_TCE_KUNIT_TEST
#include "windows_test.c"
#endif
