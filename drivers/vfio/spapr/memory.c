// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that an sPAPR TCE v2 container registers for its process
 *
 * The engine pins and accounts (asm/spapr_mem.h). The container remembers what
 * it has registered, so that it unregisters nothing else, and everything when
 * it is released.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/vfio.h>
#include <asm/spapr_mem.h>
#include "container.h"

/* Only v2 */

/* Check the range to be registered or unregistered */
static int check_range(const struct tce_args *args)
{
	const struct vfio_iommu_spapr_register_memory *memory = &args->memory;

	if (args->wrong)
		return args->wrong;

	return memory->flags || !PAGE_ALIGNED(memory->vaddr | memory->size) ?
		-EINVAL : 0;
}

/* Check whether the range may be registered, and reserve room to remember it */
static int begin_registration(struct tce_container *container,
			      const struct tce_args *args, unsigned long key)
{
	const struct vfio_iommu_spapr_register_memory *memory = &args->memory;
	int ret;

	guard(mutex)(&container->lock);

	if (tce_serves_another(container))
		return -EPERM;
	ret = tce_bind_mm(container) ?: check_range(args);
	if (ret)
		return ret;
	if (memory->vaddr + memory->size < memory->vaddr)
		return -EINVAL;

	return xa_reserve(&container->regions, key, GFP_KERNEL_ACCOUNT);
}

/*
 * Remember what has been registered. That fails only if another thread has used
 * up the reservation, with a call for the same range that failed or was undone.
 */
static int end_registration(struct tce_container *container, unsigned long key,
			    struct spapr_mem_region *region)
{
	lockdep_assert_held(&container->lock);

	if (IS_ERR(region))
		return PTR_ERR(region);
	/* The container has registered it before, so it stays registered */
	if (xa_load(&container->regions, key))
		return -EBUSY;

	return xa_err(xa_store(&container->regions, key, region,
			       GFP_KERNEL_ACCOUNT));
}

/*
 * VFIO_IOMMU_SPAPR_REGISTER_MEMORY. Pages are faulted in without the container's
 * lock. By the time it is taken again, other threads may have put TCEs for the
 * range. A region that is released nevertheless stays pinned as long as these
 * TCEs are there.
 */
long tce_register_memory(struct tce_container *container,
			 const struct tce_args *args)
{
	unsigned long key = args->memory.vaddr >> PAGE_SHIFT;
	struct spapr_mem_region *region;
	struct spapr_mem *mem;
	int ret;

	ret = begin_registration(container, args, key);
	if (ret)
		return ret;

	mem = spapr_mem_of(container->mm);
	region = spapr_mem_register(mem, args->memory.vaddr, args->memory.size);

	guard(mutex)(&container->lock);

	ret = end_registration(container, key, region);
	if (!ret) {
		container->enabled = true;
	} else if (!IS_ERR(region)) {
		spapr_mem_release(mem, region);
		spapr_mem_reap(mem);
	}
	/* Frees a reservation; an entry that has been stored stays */
	xa_release(&container->regions, key);

	return ret;
}

/* VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY */
long tce_unregister_memory(struct tce_container *container,
			   const struct tce_args *args)
{
	const struct vfio_iommu_spapr_register_memory *memory = &args->memory;
	struct spapr_mem_region *region;
	struct spapr_mem *mem;
	unsigned long key;
	int ret;

	lockdep_assert_held(&container->lock);

	if (!container->mm)
		return -EPERM;
	ret = check_range(args);
	if (ret)
		return ret;

	key = memory->vaddr >> PAGE_SHIFT;
	region = xa_load(&container->regions, key);
	if (!region)
		return -ENOENT;

	mem = spapr_mem_of(container->mm);
	if (spapr_mem_find(mem, memory->vaddr, memory->size) != region)
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

	lockdep_assert_held(&container->lock);

	xa_for_each(&container->regions, key, region)
		spapr_mem_release(spapr_mem_of(container->mm), region);
	if (!xa_empty(&container->regions))
		spapr_mem_reap(spapr_mem_of(container->mm));
	xa_destroy(&container->regions);
}
