// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's container back end for sPAPR TCE tables
 *
 * A container of type VFIO_SPAPR_TCE_IOMMU (v1) or VFIO_SPAPR_TCE_v2_IOMMU (v2)
 * owns the DMA windows of its groups on behalf of one process. This file turns
 * the ioctls of <linux/vfio.h> into calls of the TCE engine
 * (asm/spapr_tce.h, asm/spapr_mem.h), which does the work.
 *
 * What it guarantees:
 *
 *  - One ioctl at a time: tce_container::lock is held by each from its first
 *    look at the container to its last, and by the joining and leaving of
 *    groups. All that is reached from a container is protected by it. EEH
 *    alone does not keep it: resets take device locks, which are taken before.
 *  - A container that has touched the memory of one process serves that
 *    process only.
 *  - A window is fed to all groups of the container or, should one refuse it,
 *    to none; a group gets all windows or does not join.
 *  - Without a group that has hardware the windows are in software. They move
 *    to hardware with the first such group and back with the last, and what is
 *    mapped stays mapped.
 *  - What mediated devices have pinned stays mapped until they have let go of
 *    it (mediated.h).
 *  - What was charged to the process's locked memory is given back by the call
 *    that ends what it was charged for, to the page, and so is the charge of a
 *    call that fails. What ends with the last group ends after the last ioctl.
 *  - A call that fails changes nothing, except that TCEs which MAP_DMA was
 *    replacing when it failed may be clear, and that the default window may
 *    have been made.
 *
 * v1 pins the pages of each TCE when it is put, and charges the size of the
 * whole 32-bit window at ENABLE. v2 maps what was registered, pinned and
 * charged by REGISTER_MEMORY. A window in software maps memory that need not be
 * there; what mediated devices pin of it is charged then.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/xarray.h>
#include <asm/eeh.h>
#include <asm/iommu.h>
#include <asm/spapr_mem.h>
#include <asm/spapr_tce.h>
#include "../vfio.h"
#include "mediated.h"

/**
 * struct tce_group - a group in a container
 * @node: in tce_container::groups
 * @group: the group, which VFIO holds while it is in the container
 * @mediated: it has no hardware
 */
struct tce_group {
	struct list_head node;
	struct iommu_group *group;
	bool mediated;
};

/**
 * struct tce_slot - one of the windows that a group can have
 * @window: NULL where there is none
 * @levels: levels of its table, as user space asked for them
 * @charge: host pages charged for the window's table
 */
struct tce_slot {
	struct spapr_tce_window *window;
	u32 levels;
	unsigned long charge;
};

/**
 * struct tce_container - what VFIO calls iommu_data
 * @lock: protects all the rest
 * @v2: the container's type
 * @enabled: DMA may be mapped: v1 between ENABLE and DISABLE, v2 since the first
 *	registration
 * @default_due: the default window is made when it is first needed, so that
 *	whoever does not want it can remove it before it costs anything
 * @default_size: bytes of the default window while it is there. It may have
 *	been made in software and moved to hardware that would have another.
 * @charge: host pages charged by ENABLE
 * @mm: the process served, once there is one; a reference is held
 * @slots: the windows
 * @groups: struct tce_group, last come first
 * @regions: struct spapr_mem_region by number of its first user page; of each,
 *	one use
 * @mediated: what mediated devices do; its lock is held where what is mapped
 *	changes
 */
struct tce_container {
	struct mutex lock;
	bool v2;
	bool enabled;
	bool default_due;
	u64 default_size;
	unsigned long charge;
	struct mm_struct *mm;
	struct tce_slot slots[IOMMU_TABLE_GROUP_MAX_TABLES];
	struct list_head groups;
	struct xarray regions;
	struct tce_mediated mediated;
};

/* From here on the container serves the current process only */
static int bind_mm(struct tce_container *container)
{
	if (container->mm)
		return container->mm == current->mm ? 0 : -EPERM;

	mmgrab(current->mm);
	container->mm = current->mm;
	tce_mediated_set_payer(&container->mediated);

	return 0;
}

static bool serves_another(const struct tce_container *container)
{
	return container->mm && container->mm != current->mm;
}

/* The first group of either kind, or NULL */
static struct tce_group *find_kind(struct tce_container *container,
				   bool mediated)
{
	struct tce_group *tcegroup;

	list_for_each_entry(tcegroup, &container->groups, node)
		if (tcegroup->mediated == mediated)
			return tcegroup;

	return NULL;
}

/*
 * The group that stands for all with hardware: they have been found alike as
 * they joined
 */
static struct iommu_table_group *hardware(struct tce_container *container)
{
	struct tce_group *first = find_kind(container, false);

	return first ? iommu_group_get_iommudata(first->group) : NULL;
}

/* What stands for all groups that there are */
static struct iommu_table_group *table_group(struct tce_container *container)
{
	if (list_empty(&container->groups))
		return NULL;

	return hardware(container) ?: &spapr_tce_soft_group;
}

/* Can DMA be mapped? Where that pins nothing, no memory has to be ready. */
static int may_change(struct tce_container *container)
{
	if (container->enabled)
		return 0;

	return container->v2 && !hardware(container) ? bind_mm(container) :
						       -EPERM;
}

/*
 * Read the @size bytes of a structure that all versions of it have. Each begins
 * with argsz, how many there are; more than we know is no error.
 */
static int read_args(void *args, void __user *from, size_t size)
{
	if (copy_from_user(args, from, size))
		return -EFAULT;

	return *(u32 *)args < size ? -EINVAL : 0;
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
					 !container->v2 && hardware(container));
	if (IS_ERR(window)) {
		ret = PTR_ERR(window);
		iommu_tce_table_put(tbl);
		goto unset;
	}
	if (find_kind(container, true))
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
	struct iommu_table_group *tg = table_group(container);
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

static u64 window_start(const struct spapr_tce_window *window)
{
	return (u64)window->tbl->it_offset << window->page_shift;
}

static u64 window_size(const struct spapr_tce_window *window)
{
	return (u64)window->tbl->it_size << window->page_shift;
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

static void close_windows(struct tce_container *container)
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

	ret = tce_mediated_let_go(mediated, window_start(window),
				  window_size(window));
	if (ret)
		return ret;
	/* From here on nothing can be pinned in it */
	tce_mediated_set_window(mediated, num, NULL);
	mutex_unlock(&mediated->lock);

	close_window(container, num);
	return 0;
}

/* Before anything is looked up in the windows: make the default one, if due */
static int default_window(struct tce_container *container)
{
	struct iommu_table_group *tg = table_group(container);
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
	container->default_size = window_size(container->slots[ret].window);
	return 0;
}

/* Bytes of the default window as it is, or as it would be made */
static u64 default_size(struct tce_container *container,
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
static long map_dma(struct tce_container *container, void __user *arg)
{
	const u32 both = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct vfio_iommu_type1_dma_map map;
	struct tce_range range;
	unsigned long perm = 0;
	int ret;

	ret = may_change(container);
	if (ret)
		return ret;
	ret = read_args(&map, arg, offsetofend(typeof(map), size));
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
	ret = tce_mediated_let_go(&container->mediated, map.iova, map.size);
	if (ret)
		return ret;
	ret = spapr_tce_map(range.window, range.index, map.vaddr, range.npages,
			    perm);
	mutex_unlock(&container->mediated.lock);

	return ret;
}

/* VFIO_IOMMU_UNMAP_DMA */
static long unmap_dma(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct tce_range range;
	int ret;

	ret = may_change(container);
	if (ret)
		return ret;
	ret = read_args(&unmap, arg, offsetofend(typeof(unmap), size));
	if (ret)
		return ret;
	if (unmap.flags)
		return -EINVAL;

	ret = find_range(container, unmap.iova, unmap.size, &range);
	if (ret)
		return ret;

	ret = tce_mediated_let_go(&container->mediated, unmap.iova, unmap.size);
	if (ret)
		return ret;
	spapr_tce_unmap(range.window, range.index, range.npages);
	mutex_unlock(&container->mediated.lock);

	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_GET_INFO */
static long get_info(struct tce_container *container, void __user *arg)
{
	struct iommu_table_group *tg = table_group(container);
	struct vfio_iommu_spapr_tce_info info;
	size_t size = offsetofend(typeof(info), dma32_window_size);
	int ret;

	if (!tg)
		return -ENXIO;
	ret = read_args(&info, arg, size);
	if (ret)
		return ret;

	info.flags = 0;
	info.dma32_window_start = tg->tce32_start;
	info.dma32_window_size = default_size(container, tg);
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

/* EEH */

static const int eeh_option[] = {
	[VFIO_EEH_PE_DISABLE] = EEH_OPT_DISABLE,
	[VFIO_EEH_PE_ENABLE] = EEH_OPT_ENABLE,
	[VFIO_EEH_PE_UNFREEZE_IO] = EEH_OPT_THAW_MMIO,
	[VFIO_EEH_PE_UNFREEZE_DMA] = EEH_OPT_THAW_DMA,
	[VFIO_EEH_PE_RESET_DEACTIVATE] = EEH_RESET_DEACTIVATE,
	[VFIO_EEH_PE_RESET_HOT] = EEH_RESET_HOT,
	[VFIO_EEH_PE_RESET_FUNDAMENTAL] = EEH_RESET_FUNDAMENTAL,
};

static int read_eeh_op(struct vfio_eeh_pe_op *op, void __user *arg)
{
	int ret = read_args(op, arg, offsetofend(typeof(*op), op));

	if (ret)
		return ret;
	if (op->flags)
		return -EINVAL;

	return op->op == VFIO_EEH_PE_INJECT_ERR ?
	       read_args(op, arg, offsetofend(typeof(*op), err.mask)) : 0;
}

static long eeh_pe_op(struct eeh_pe *pe, const struct vfio_eeh_pe_op *op)
{
	switch (op->op) {
	case VFIO_EEH_PE_DISABLE ... VFIO_EEH_PE_UNFREEZE_DMA:
		return eeh_pe_set_option(pe, eeh_option[op->op]);
	case VFIO_EEH_PE_GET_STATE:
		return eeh_pe_get_state(pe);
	case VFIO_EEH_PE_RESET_DEACTIVATE ... VFIO_EEH_PE_RESET_FUNDAMENTAL:
		return eeh_pe_reset(pe, eeh_option[op->op], true);
	case VFIO_EEH_PE_CONFIGURE:
		return eeh_pe_configure(pe);
	case VFIO_EEH_PE_INJECT_ERR:
		return eeh_pe_inject_err(pe, op->err.type, op->err.func,
					 op->err.addr, op->err.mask);
	}

	return -EINVAL;
}

/*
 * The PE of the group with hardware whose number comes next after *@number, and
 * that number; an error pointer, or NULL for a group without PE.
 */
static struct eeh_pe *next_pe(struct tce_container *container, int *number)
{
	struct tce_group *tcegroup, *next = NULL;
	int id, best = INT_MAX;

	guard(mutex)(&container->lock);

	if (serves_another(container))
		return ERR_PTR(-EPERM);

	list_for_each_entry(tcegroup, &container->groups, node) {
		id = iommu_group_id(tcegroup->group);
		if (tcegroup->mediated || id <= *number || id > best)
			continue;
		next = tcegroup;
		best = id;
	}
	if (!next)
		return ERR_PTR(-ENODEV);

	*number = best;
	return eeh_iommu_group_to_pe(next->group);
}

/*
 * VFIO_EEH_PE_OP: to each group that has hardware, up to the first that has
 * something to say, be it an error or a state other than normal.
 *
 * A reset takes the device locks of the PE. Whoever unbinds one of its devices
 * has that lock while the group leaves the container, so no lock that this
 * takes is held here. Nor does user space hold up what comes after the look at
 * the groups.
 */
static long eeh_op(struct tce_container *container, void __user *arg)
{
	struct vfio_eeh_pe_op op;
	int number = -1, wrong = read_eeh_op(&op, arg);

	while (true) {
		bool first = number < 0;
		struct eeh_pe *pe = next_pe(container, &number);
		long ret;

		if (pe == ERR_PTR(-ENODEV) && !first)
			return 0;
		if (IS_ERR(pe))
			return PTR_ERR(pe);
		if (!pe)
			return -ENODEV;

		ret = wrong ?: eeh_pe_op(pe, &op);
		if (ret)
			return ret;
	}
}

/* Only v1 */

/*
 * What ENABLE charges: the most that can be mapped in the 32-bit window. Host
 * pages that are mapped in part only are pinned all the same; monitors that
 * map 4 KiB of a page at a time could not afford to have these charged as well.
 */
static unsigned long enable_charge(struct tce_container *container)
{
	struct iommu_table_group *tg = hardware(container);

	return tg ? default_size(container, tg) >> PAGE_SHIFT : 0;
}

/* VFIO_IOMMU_ENABLE */
static long enable(struct tce_container *container)
{
	struct iommu_table_group *tg = table_group(container);
	unsigned long charge;
	int ret;

	if (container->enabled)
		return -EBUSY;
	if (!tg)
		return -ENODEV;
	if (!tg->tce32_size)
		return -EPERM;
	ret = bind_mm(container);
	if (ret)
		return ret;

	charge = enable_charge(container);
	ret = account_locked_vm(container->mm, charge, true);
	if (ret)
		return ret;

	container->charge = charge;
	container->enabled = true;

	return 0;
}

/* VFIO_IOMMU_DISABLE: the windows stay, empty. The charge outlives the pins. */
static long disable(struct tce_container *container)
{
	struct tce_mediated *mediated = &container->mediated;

	if (!container->enabled)
		return 0;

	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++) {
		struct spapr_tce_window *window = container->slots[num].window;
		int ret;

		if (!window)
			continue;
		ret = tce_mediated_let_go(mediated, window_start(window),
					  window_size(window));
		if (ret)
			return ret;
		spapr_tce_unmap(window, 0, window->tbl->it_size);
		mutex_unlock(&mediated->lock);
	}
	container->enabled = false;

	account_locked_vm(container->mm, container->charge, false);
	container->charge = 0;

	return 0;
}

static long ioctl_v1(struct tce_container *container, unsigned int cmd)
{
	switch (cmd) {
	case VFIO_IOMMU_ENABLE:
		return enable(container);
	case VFIO_IOMMU_DISABLE:
		return disable(container);
	}

	return -ENOTTY;
}

/* Only v2 */

/* Read the range that is to be registered, or not any longer */
static int read_memory(struct vfio_iommu_spapr_register_memory *memory,
		       void __user *arg)
{
	int ret = read_args(memory, arg, offsetofend(typeof(*memory), size));

	if (ret)
		return ret;

	return memory->flags || !PAGE_ALIGNED(memory->vaddr | memory->size) ?
		-EINVAL : 0;
}

/*
 * Register a range and remember it at @key, which has been reserved: nothing
 * can fail once a use of the region has been taken that cannot be given back
 * (other threads may have put TCEs from it by then).
 */
static int register_at(struct tce_container *container, unsigned long key,
		       u64 ua, u64 size)
{
	struct spapr_mem *mem = spapr_mem_of(container->mm);
	struct spapr_mem_region *region;

	if (!mem)
		return -ENOMEM;

	region = spapr_mem_register(mem, ua, size);
	if (IS_ERR(region))
		return PTR_ERR(region);

	/* The container has a use of it already, so this is not the last */
	if (xa_load(&container->regions, key)) {
		spapr_mem_release(mem, region);
		return -EBUSY;
	}

	xa_store(&container->regions, key, region, GFP_KERNEL);
	return 0;
}

/* VFIO_IOMMU_SPAPR_REGISTER_MEMORY */
static long register_memory(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_spapr_register_memory memory;
	unsigned long key;
	int ret;

	ret = bind_mm(container) ?: read_memory(&memory, arg);
	if (ret)
		return ret;
	if (memory.vaddr + memory.size < memory.vaddr)
		return -EINVAL;

	key = memory.vaddr >> PAGE_SHIFT;
	ret = xa_reserve(&container->regions, key, GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;

	ret = register_at(container, key, memory.vaddr, memory.size);
	/* Nothing to do for an entry that is not just reserved */
	xa_release(&container->regions, key);
	if (!ret)
		container->enabled = true;

	return ret;
}

/* VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY */
static long unregister_memory(struct tce_container *container,
			      void __user *arg)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct spapr_mem_region *region;
	struct spapr_mem *mem;
	unsigned long key;
	int ret;

	if (!container->mm)
		return -EPERM;
	ret = read_memory(&memory, arg);
	if (ret)
		return ret;

	key = memory.vaddr >> PAGE_SHIFT;
	region = xa_load(&container->regions, key);
	if (!region)
		return -ENOENT;

	mem = spapr_mem_of(container->mm);
	if (spapr_mem_find(mem, memory.vaddr, memory.size) != region)
		return -ENOENT;

	ret = spapr_mem_unregister(mem, region);
	if (!ret)
		xa_erase(&container->regions, key);

	return ret;
}

/* VFIO_IOMMU_SPAPR_TCE_CREATE */
static long tce_create(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_spapr_tce_create create;
	const size_t size = offsetofend(typeof(create), start_addr);
	int num, ret;

	ret = bind_mm(container);
	if (ret)
		return ret;
	if (list_empty(&container->groups))
		return -ENXIO;
	ret = read_args(&create, arg, size);
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

	create.start_addr = window_start(container->slots[num].window);
	if (copy_to_user(arg, &create, size)) {
		close_window(container, num);
		return -EFAULT;
	}

	return 0;
}

/* VFIO_IOMMU_SPAPR_TCE_REMOVE */
static long tce_remove(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_spapr_tce_remove remove;
	int num, ret;

	ret = bind_mm(container);
	if (ret)
		return ret;
	if (list_empty(&container->groups))
		return -ENXIO;
	ret = read_args(&remove, arg, offsetofend(typeof(remove), start_addr));
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

static long ioctl_v2(struct tce_container *container, unsigned int cmd,
		     void __user *arg)
{
	switch (cmd) {
	case VFIO_IOMMU_SPAPR_REGISTER_MEMORY:
		return register_memory(container, arg);
	case VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY:
		return unregister_memory(container, arg);
	case VFIO_IOMMU_SPAPR_TCE_CREATE:
		return tce_create(container, arg);
	case VFIO_IOMMU_SPAPR_TCE_REMOVE:
		return tce_remove(container, arg);
	}

	return -ENOTTY;
}

/* What VFIO calls */

static long check_extension(unsigned long extension)
{
	if (extension == VFIO_EEH)
		return eeh_enabled();

	return extension == VFIO_SPAPR_TCE_IOMMU ||
	       extension == VFIO_SPAPR_TCE_v2_IOMMU;
}

static long tce_iommu_ioctl(void *iommu_data, unsigned int cmd,
			    unsigned long value)
{
	struct tce_container *container = iommu_data;
	void __user *arg = (void __user *)value;

	/* Asked also before there is a container */
	if (cmd == VFIO_CHECK_EXTENSION)
		return check_extension(value);

	if (cmd == VFIO_EEH_PE_OP)
		return eeh_op(container, arg);

	guard(mutex)(&container->lock);

	if (serves_another(container))
		return -EPERM;

	switch (cmd) {
	case VFIO_IOMMU_SPAPR_TCE_GET_INFO:
		return get_info(container, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(container, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(container, arg);
	}

	return container->v2 ? ioctl_v2(container, cmd, arg) :
			       ioctl_v1(container, cmd);
}

static void *tce_iommu_open(unsigned long type)
{
	struct tce_container *container;

	if (type != VFIO_SPAPR_TCE_IOMMU && type != VFIO_SPAPR_TCE_v2_IOMMU)
		return ERR_PTR(-EINVAL);

	container = kzalloc(sizeof(*container), GFP_KERNEL_ACCOUNT);
	if (!container)
		return ERR_PTR(-ENOMEM);

	container->v2 = type == VFIO_SPAPR_TCE_v2_IOMMU;
	mutex_init(&container->lock);
	INIT_LIST_HEAD(&container->groups);
	xa_init(&container->regions);
	tce_mediated_init(&container->mediated);

	return container;
}

/* The last group has left, and taken the windows with it */
static void tce_iommu_release(void *iommu_data)
{
	struct tce_container *container = iommu_data;
	struct spapr_mem_region *region;
	unsigned long key;

	WARN_ON_ONCE(!list_empty(&container->groups));

	xa_for_each(&container->regions, key, region)
		spapr_mem_release(spapr_mem_of(container->mm), region);
	xa_destroy(&container->regions);
	tce_mediated_destroy(&container->mediated);

	if (container->mm) {
		account_locked_vm(container->mm, container->charge, false);
		mmdrop(container->mm);
	}

	mutex_destroy(&container->lock);
	kfree(container);
}

static bool is_member(struct tce_container *container,
		      struct iommu_group *group)
{
	struct tce_group *tcegroup;

	list_for_each_entry(tcegroup, &container->groups, node)
		if (tcegroup->group == group)
			return true;

	return false;
}

/* Can a group with hardware join those that are there? */
static int may_join(struct tce_container *container, struct iommu_group *group,
		    struct iommu_table_group *tg)
{
	struct iommu_table_group *other = hardware(container);

	if (container->v2 && !tg->max_dynamic_windows_supported)
		return -EINVAL;
	if (!other)
		return 0;

	/* v1 charges for the window of one group */
	if (!container->v2 || is_member(container, group))
		return -EBUSY;
	if (other->ops->create_table != tg->ops->create_table)
		return -EPERM;
	/* A table of the hypervisor's feeds the group that it was made for */
	if (tg->ops->exclusive_tables)
		return -EPERM;

	return 0;
}

static int attach_windows(struct tce_container *container,
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

/* Windows move between software and hardware; mediated devices keep still */

/*
 * Charge for a window's table as @tg would have it, instead of as it is. Who
 * makes a group join or leave need not be the process that is charged.
 */
static int recharge(struct tce_container *container, struct tce_slot *slot,
		    struct iommu_table_group *tg, u32 levels)
{
	unsigned long charge = tg->ops->get_table_size(slot->window->page_shift,
						       window_size(slot->window),
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
			      spapr_tce_soft_table(window_start(window),
						   old->it_size,
						   window->page_shift,
						   GFP_KERNEL | __GFP_NOFAIL),
			      false);
	spapr_tce_window_detach(window, group, num);
	iommu_tce_table_put(old);
	recharge(container, slot, &spapr_tce_soft_group, slot->levels);
}

/* A table of @tg's where a window is, and as large, with *@levels levels */
static int make_alike(struct tce_slot *slot, struct iommu_table_group *tg,
		      int num, struct iommu_table **tbl, u32 *levels)
{
	struct spapr_tce_window *window = slot->window;
	u64 size = window_size(window);
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
	ret = spapr_tce_window_move(window, tbl, !container->v2);
	if (ret)
		goto undo;
	iommu_tce_table_put(old);

	ret = spapr_tce_window_attach(window, group, num);
	if (!ret)
		return 0;

	old = spapr_tce_soft_table(window_start(window), tbl->it_size,
				   window->page_shift,
				   GFP_KERNEL | __GFP_NOFAIL);
	spapr_tce_window_move(window, old, false);
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
	unsigned long charge = default_size(container, tg) >> PAGE_SHIFT;
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
static int enter_hardware(struct tce_container *container,
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
static void leave_hardware(struct tce_container *container,
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

static void watch_windows(struct tce_container *container, bool watched)
{
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->slots[num].window)
			spapr_tce_window_watch(container->slots[num].window,
					       watched);
}

/* Give a group all windows that there are */
static int enter(struct tce_container *container, struct iommu_group *group,
		 bool mediated)
{
	struct iommu_table_group *tg = iommu_group_get_iommudata(group);
	bool first = !find_kind(container, mediated);
	int ret;

	if (mediated) {
		if (first)
			watch_windows(container, true);
		ret = attach_windows(container, group);
		if (ret && first)
			watch_windows(container, false);
		return ret;
	}

	if (!tg)
		return -ENODEV;
	ret = may_join(container, group, tg);
	if (ret)
		return ret;

	if (first)
		return enter_hardware(container, tg, group);

	return attach_windows(container, group);
}

static int tce_iommu_attach_group(void *iommu_data, struct iommu_group *group,
				  enum vfio_group_type type)
{
	struct tce_group *tcegroup __free(kfree) = NULL;
	struct tce_container *container = iommu_data;
	int ret;

	guard(mutex)(&container->lock);

	tcegroup = kzalloc(sizeof(*tcegroup), GFP_KERNEL_ACCOUNT);
	if (!tcegroup)
		return -ENOMEM;

	tcegroup->group = group;
	tcegroup->mediated = type == VFIO_EMULATED_IOMMU;
	ret = enter(container, group, tcegroup->mediated);
	if (ret)
		return ret;

	if (list_empty(&container->groups))
		container->default_due = true;
	list_add(&no_free_ptr(tcegroup)->node, &container->groups);

	return 0;
}

static void detach_windows(struct tce_container *container,
			   struct iommu_group *group)
{
	for (int num = 0; num < IOMMU_TABLE_GROUP_MAX_TABLES; num++)
		if (container->slots[num].window)
			spapr_tce_window_detach(container->slots[num].window,
						group, num);
}

/* The others keep what is mapped; with the last one the windows go */
static void tce_iommu_detach_group(void *iommu_data, struct iommu_group *group)
{
	struct tce_container *container = iommu_data;
	struct tce_group *tcegroup;
	bool mediated;

	guard(mutex)(&container->lock);

	list_for_each_entry(tcegroup, &container->groups, node)
		if (tcegroup->group == group)
			break;
	if (WARN_ON_ONCE(list_entry_is_head(tcegroup, &container->groups, node)))
		return;

	if (list_is_singular(&container->groups))
		close_windows(container);

	mediated = tcegroup->mediated;
	list_del(&tcegroup->node);
	kfree(tcegroup);

	if (!list_empty(&container->groups) && !find_kind(container, mediated)) {
		if (!mediated)
			return leave_hardware(container, group);
		detach_windows(container, group);
		return watch_windows(container, false);
	}
	detach_windows(container, group);
}

static int tce_iommu_pin_pages(void *iommu_data, struct iommu_group *group,
			       dma_addr_t bus, int npages, int prot,
			       struct page **pages)
{
	struct tce_container *container = iommu_data;

	/* Hypercalls don't ask whoever else pins */
	if (iommu_group_get_iommudata(group))
		return -EINVAL;

	return tce_mediated_pin(&container->mediated, bus, npages, prot, pages);
}

static void tce_iommu_unpin_pages(void *iommu_data, dma_addr_t bus, int npages)
{
	struct tce_container *container = iommu_data;

	tce_mediated_unpin(&container->mediated, bus, npages);
}

static int tce_iommu_dma_rw(void *iommu_data, dma_addr_t bus, void *buffer,
			    size_t size, bool write)
{
	struct tce_container *container = iommu_data;

	return tce_mediated_copy(&container->mediated, bus, buffer, size,
				 write);
}

static void tce_iommu_register_device(void *iommu_data,
				      struct vfio_device *device)
{
	struct tce_container *container = iommu_data;

	tce_mediated_add(&container->mediated, device);
}

static void tce_iommu_unregister_device(void *iommu_data,
					struct vfio_device *device)
{
	struct tce_container *container = iommu_data;

	tce_mediated_remove(&container->mediated, device);
}

static const struct vfio_iommu_driver_ops tce_iommu_ops = {
	.owner = THIS_MODULE,
	.name = "iommu-vfio-powerpc",
	.open = tce_iommu_open,
	.attach_group = tce_iommu_attach_group,
	.detach_group = tce_iommu_detach_group,
	.pin_pages = tce_iommu_pin_pages,
	.unpin_pages = tce_iommu_unpin_pages,
	.dma_rw = tce_iommu_dma_rw,
	.register_device = tce_iommu_register_device,
	.unregister_device = tce_iommu_unregister_device,
	.ioctl = tce_iommu_ioctl,
	.release = tce_iommu_release,
};

module_driver(tce_iommu_ops, vfio_register_iommu_driver,
	      vfio_unregister_iommu_driver);

#ifdef CONFIG_SPAPR_TCE_KUNIT_TEST
#include "container_test.c"
#endif

MODULE_DESCRIPTION("VFIO container back end for sPAPR TCE tables");
MODULE_LICENSE("GPL");
