// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that an sPAPR TCE v2 container registers for its process
 *
 * The engine pins and accounts (asm/spapr_mem.h). The container remembers what
 * it has registered, so that it unregisters nothing else, and everything when
 * it is released.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/vfio.h>
#include <asm/spapr_mem.h>
#include "container.h"

/* Only v2 */

/* Read the range to be registered or unregistered */
static int read_memory(struct vfio_iommu_spapr_register_memory *memory,
		       void __user *arg)
{
	int ret = tce_read_args(memory, arg, offsetofend(typeof(*memory), size));

	if (ret)
		return ret;

	return memory->flags || !PAGE_ALIGNED(memory->vaddr | memory->size) ?
		-EINVAL : 0;
}

/*
 * Register a range and remember it at @key, which has been reserved. So nothing
 * can fail after the registration, which could not be undone: other threads may
 * have put TCEs for the range by then.
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

	/* The container has registered it before, so it stays registered */
	if (xa_load(&container->regions, key)) {
		spapr_mem_release(mem, region);
		return -EBUSY;
	}

	xa_store(&container->regions, key, region, GFP_KERNEL);
	return 0;
}

/* VFIO_IOMMU_SPAPR_REGISTER_MEMORY */
long tce_register_memory(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_spapr_register_memory memory;
	unsigned long key;
	int ret;

	lockdep_assert_held(&container->lock);

	ret = tce_bind_mm(container) ?: read_memory(&memory, arg);
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
long tce_unregister_memory(struct tce_container *container, void __user *arg)
{
	struct vfio_iommu_spapr_register_memory memory;
	struct spapr_mem_region *region;
	struct spapr_mem *mem;
	unsigned long key;
	int ret;

	lockdep_assert_held(&container->lock);

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

/* Give back everything that is still registered; the windows are closed */
void tce_release_memory(struct tce_container *container)
{
	struct spapr_mem_region *region;
	unsigned long key;

	xa_for_each(&container->regions, key, region)
		spapr_mem_release(spapr_mem_of(container->mm), region);
	if (!xa_empty(&container->regions))
		spapr_mem_reap(spapr_mem_of(container->mm));
	xa_destroy(&container->regions);
}
