// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory pinned for DMA: registration
 *
 * What registration promises is in asm/spapr_mem.h. Regions of a process never
 * overlap, so a page has one word in spapr_mem::pages, and one pin and one page
 * of locked memory stand behind that word. region.c has the pages of a region,
 * reap.c the end of registrations.
 */
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <asm/spapr_walk.h>
#include "mem_user.h"
#include "memory.h"

/* Do all these words let TCEs of that size be made? */
static bool all_serve(const u64 *slot, unsigned long count,
		      unsigned int tce_shift)
{
	for (unsigned long i = 0; i < count; i++)
		if (!spapr_mem_word_serves(READ_ONCE(slot[i]), tce_shift))
			return false;

	return true;
}

/* The region has lost its last use */
static void leave(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	spapr_mem_set_state(mem, region, SPAPR_MEM_VALID | SPAPR_MEM_ENDING);
	list_add_tail(&region->left, &mem->left);
}

/* The region gets a use again */
static void take_up(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	list_del(&region->left);
	spapr_mem_set_state(mem, region, SPAPR_MEM_VALID);
}

/* Account the region's pages but for those that are accounted as held */
static int region_charge(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	unsigned long due = region_pages(region) -
			    spapr_mem_held_accounted(mem, region->first,
						     region->last);
	unsigned long charged = region->charged;
	int ret = 0;

	if (due > charged)
		ret = account_locked_vm(mem->mm, due - charged, true);
	else if (due < charged)
		ret = account_locked_vm(mem->mm, charged - due, false);
	if (!ret)
		region->charged = due;

	return ret;
}

/* Give the region its range */
static int region_place(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	/* Not user addresses: no page, and no index in @pages */
	if (region->first >= TASK_SIZE_USER64 ||
	    region_size(region) > TASK_SIZE_USER64 - region->first)
		return -EFAULT;

	if (regions_iter_first(&mem->regions, region->first, region->last))
		return -EINVAL;

	regions_insert(region, &mem->regions);
	return 0;
}

static struct spapr_mem_region *
region_new(struct spapr_mem *mem, unsigned long ua, unsigned long size)
{
	struct spapr_mem_region *region __free(kfree) =
		kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!region)
		return ERR_PTR(-ENOMEM);

	region->first = ua;
	region->last = ua + size - 1;
	region->pinning = true;
	ret = region_charge(mem, region);
	if (ret)
		return ERR_PTR(ret);

	ret = region_place(mem, region);
	if (ret) {
		account_locked_vm(mem->mm, region->charged, false);
		return ERR_PTR(ret);
	}

	return no_free_ptr(region);
}

/* Undo a registration that has failed */
static void region_abandon(struct spapr_mem *mem,
			   struct spapr_mem_region *region)
{
	unsigned long first = region->first >> PAGE_SHIFT;
	struct spapr_mem_pruned pruned = { .n = 0 };

	spapr_mem_unpin(mem, region, region->pinned);
	regions_remove(region, &mem->regions);
	spapr_mem_prune(mem, first, first + region->pinned, &pruned);
	spapr_mem_free_pruned(&pruned);
	account_locked_vm(mem->mm, region->charged, false);
	kfree(region);
}

/* Pin and show a new region; without the lock while pages are faulted in */
static struct spapr_mem_region *
region_fill(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	int ret;

	lockdep_assert_held(&mem->lock);

	mutex_unlock(&mem->lock);
	ret = spapr_mem_pin(mem, region);
	mutex_lock(&mem->lock);

	wake_up_all(&mem->filled);
	/* Pages of the range may be held since, or not any longer */
	if (!ret)
		ret = region_charge(mem, region);
	if (ret) {
		region_abandon(mem, region);
		return ERR_PTR(ret);
	}

	region->pinning = false;
	region->uses = 1;
	spapr_mem_set_state(mem, region, SPAPR_MEM_VALID);
	spapr_mem_settle(mem, region->first, region->last, true);

	return region;
}

/* Wait without the lock until the pinning of some region has ended */
static int wait_filled(struct spapr_mem *mem)
{
	DEFINE_WAIT(wait);

	lockdep_assert_held(&mem->lock);

	prepare_to_wait(&mem->filled, &wait, TASK_KILLABLE);
	mutex_unlock(&mem->lock);
	if (!fatal_signal_pending(current))
		schedule();
	finish_wait(&mem->filled, &wait);
	mutex_lock(&mem->lock);

	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* The region of a range with one more use, or a new one that is to be filled */
static struct spapr_mem_region *
region_get(struct spapr_mem *mem, unsigned long ua, unsigned long size)
{
	struct spapr_mem_region *region;
	int ret;

	lockdep_assert_held(&mem->lock);

	while ((region = region_exact(mem, ua, size)) && region->pinning) {
		ret = wait_filled(mem);
		if (ret)
			return ERR_PTR(ret);
	}

	if (region) {
		if (!region->uses++)
			take_up(mem, region);
		return region;
	}

	if (!size)
		return ERR_PTR(-ENOMEM);

	region = region_new(mem, ua, size);
	if (!IS_ERR(region) || list_empty(&mem->left))
		return region;

	/* Regions without a use may be the only obstacle */
	ret = spapr_mem_reap_left(mem, true);
	if (ret)
		return ERR_PTR(ret);

	return region_new(mem, ua, size);
}

/**
 * spapr_mem_register() - register a range of user addresses
 * @mem: the calling process's pinned memory
 * @ua: first address, in bytes; a multiple of the host's page size
 * @size: in bytes; likewise, and @ua + @size does not wrap
 *
 * A range that is registered already, exactly so, gets one more use, after
 * waiting for its first registration if that is under way. Any other range is
 * pinned, and accounted as locked memory of the process.
 *
 * Context: process context of @mem's process; sleeps, faults pages in.
 * Return: the region, to be given back with spapr_mem_unregister() or
 * spapr_mem_release(); or an ERR_PTR:
 * -ENOMEM where RLIMIT_MEMLOCK, memory or @size (0) does not allow it;
 * -EINVAL where a part of the range belongs to another region;
 * -EFAULT where a page cannot be pinned for long-term writing;
 * -EINTR where the process is being killed.
 */
struct spapr_mem_region *spapr_mem_register(struct spapr_mem *mem,
					    unsigned long ua,
					    unsigned long size)
{
	struct spapr_mem_region *region;

	if (mutex_lock_killable(&mem->lock))
		return ERR_PTR(-EINTR);
	region = region_get(mem, ua, size);
	if (!IS_ERR(region) && region->pinning)
		region = region_fill(mem, region);
	mutex_unlock(&mem->lock);

	return region;
}
EXPORT_SYMBOL_GPL(spapr_mem_register);

/**
 * spapr_mem_find() - find the region of exactly a range
 * @mem: a process's pinned memory
 * @ua: first address, in bytes
 * @size: in bytes
 *
 * No use is taken. The caller compares the region with those that it has
 * registered; any other region may be freed already.
 *
 * Context: process context, may sleep.
 * Return: the region, or NULL.
 */
struct spapr_mem_region *spapr_mem_find(struct spapr_mem *mem,
					unsigned long ua, unsigned long size)
{
	guard(mutex)(&mem->lock);

	return region_exact(mem, ua, size);
}
EXPORT_SYMBOL_GPL(spapr_mem_find);

/**
 * spapr_mem_covers() - check whether a range can be mapped
 * @mem: the process's pinned memory
 * @ua: first user address, in bytes; a multiple of the TCE page's size
 * @size: in bytes; likewise
 * @tce_shift: log2 of the TCE page's size in bytes
 *
 * Regions that touch serve as one. What is true now need not be so in the walk
 * that writes the TCEs, which looks again.
 *
 * Context: process context, may sleep; not inside a walk.
 * Return: whether each TCE page of the range is registered as one.
 */
bool spapr_mem_covers(struct spapr_mem *mem, unsigned long ua,
		      unsigned long size, unsigned int tce_shift)
{
	unsigned long index = ua >> PAGE_SHIFT, count;

	if (ua >= TASK_SIZE_USER64 || size > TASK_SIZE_USER64 - ua)
		return false;

	count = DIV_ROUND_UP(ua + size, PAGE_SIZE) - index;
	while (count) {
		unsigned long here = spapr_sparse_leaf_run(index, count);
		u64 *slot;
		bool serve;

		/* The walk keeps the leaf */
		spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
		slot = spapr_sparse_find(&mem->pages, index);
		serve = slot && all_serve(slot, here, tce_shift);
		spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
		if (!serve)
			return false;
		index += here;
		count -= here;
		cond_resched();
	}

	return true;
}

/* Give back the last use, if no TCE came from the region */
static int unregister_last(struct spapr_mem *mem,
			   struct spapr_mem_region *region)
{
	const unsigned long ua = region->first, size = region_size(region);
	int ret;

	leave(mem, region);
	ret = spapr_mem_reap_left(mem, true);
	if (region_exact(mem, ua, size) != region)
		return 0;

	take_up(mem, region);
	return ret ?: -EBUSY;
}

/**
 * spapr_mem_unregister() - give back a use of a region unless it is needed
 * @mem: the pinned memory that it belongs to
 * @region: what spapr_mem_register() returned
 *
 * The last use ends with the pages unpinned, and takes time in proportion to
 * the region's pages and to what is populated in the process's windows.
 *
 * Context: process context of any process; sleeps. No walk.
 * Return: 0; -EBUSY where it was the last use and a window has TCEs from the
 * region; -EINTR where the current process is being killed. After an error the
 * region stays as it was.
 */
int spapr_mem_unregister(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	int ret = 0;

	if (mutex_lock_killable(&mem->lock))
		return -EINTR;
	if (region->uses > 1)
		region->uses--;
	else
		ret = unregister_last(mem, region);
	mutex_unlock(&mem->lock);

	return ret;
}
EXPORT_SYMBOL_GPL(spapr_mem_unregister);

/**
 * spapr_mem_release() - give back a use of a region for good
 * @mem: the pinned memory that it belongs to
 * @region: what spapr_mem_register() returned
 *
 * For an owner that goes away and cannot try again. After the last of its
 * regions it calls spapr_mem_reap(), which unpins them.
 *
 * Context: process context of any process; sleeps. No walk.
 */
void spapr_mem_release(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	guard(mutex)(&mem->lock);

	if (!--region->uses)
		leave(mem, region);
}
EXPORT_SYMBOL_GPL(spapr_mem_release);

/**
 * spapr_mem_reap() - unpin the regions without a use
 * @mem: the pinned memory
 *
 * A region that a window still has TCEs from stays pinned and accounted until
 * the TCEs have gone and either a window of the process is closed, a region is
 * unregistered, or a registration needs its pages or its locked memory.
 *
 * Context: process context of any process; sleeps. No walk.
 */
void spapr_mem_reap(struct spapr_mem *mem)
{
	guard(mutex)(&mem->lock);

	spapr_mem_reap_left(mem, false);
}
EXPORT_SYMBOL_GPL(spapr_mem_reap);

/**
 * spapr_mem_add_user() - add a holder of TCEs
 * @mem: the pinned memory that the TCEs will be made from
 * @user: with spapr_mem_user::ops set
 *
 * Context: process context; sleeps. Before the first such TCE.
 */
void spapr_mem_add_user(struct spapr_mem *mem, struct spapr_mem_user *user)
{
	guard(mutex)(&mem->lock);

	list_add(&user->node, &mem->users);
}

/**
 * spapr_mem_remove_user() - remove a holder of TCEs
 * @mem: as it was added to
 * @user: has no TCE any more
 *
 * Unpins the regions without a use that stayed for its sake.
 *
 * Context: process context of any process; sleeps. No walk.
 */
void spapr_mem_remove_user(struct spapr_mem *mem, struct spapr_mem_user *user)
{
	guard(mutex)(&mem->lock);

	list_del(&user->node);
	spapr_mem_reap_left(mem, false);
}

/**
 * spapr_mem_of() - get the pinned memory of a process, allocate it on first use
 * @mm: the process; the caller holds a reference on it
 *
 * Context: process context, may sleep.
 * Return: the pinned memory, which lives as long as @mm; NULL for lack of
 * memory.
 */
struct spapr_mem *spapr_mem_of(struct mm_struct *mm)
{
	struct spapr_mem *mem = READ_ONCE(mm->context.spapr_mem);
	struct spapr_mem *winner;

	if (mem)
		return mem;

	mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	if (!mem)
		return NULL;

	if (!spapr_sparse_init(&mem->pages, SPAPR_MEM_INDEX_BITS,
			       GFP_KERNEL_ACCOUNT)) {
		kfree(mem);
		return NULL;
	}
	mutex_init(&mem->lock);
	mem->regions = RB_ROOT_CACHED;
	init_waitqueue_head(&mem->filled);
	xa_init(&mem->held);
	INIT_LIST_HEAD(&mem->left);
	INIT_LIST_HEAD(&mem->users);
	mem->mm = mm;

	/* Publish the pointer after what it points to */
	winner = cmpxchg(&mm->context.spapr_mem, NULL, mem);
	if (winner) {
		spapr_sparse_destroy(&mem->pages, true);
		kfree(mem);
		return winner;
	}

	return mem;
}
EXPORT_SYMBOL_GPL(spapr_mem_of);

/**
 * spapr_mem_init() - give a new process no pinned memory
 * @mm: the process; a child's mm starts as a copy of its parent's
 *
 * Context: process context.
 */
void spapr_mem_init(struct mm_struct *mm)
{
	mm->context.spapr_mem = NULL;
}

/**
 * spapr_mem_destroy() - free the pinned memory of a process
 * @mm: the process
 *
 * All registrations have been given back and all windows closed, because both
 * hold a reference on @mm. A window that is kept for good holds it for good.
 *
 * Context: any that frees an mm; may not sleep.
 */
void spapr_mem_destroy(struct mm_struct *mm)
{
	struct spapr_mem *mem = mm->context.spapr_mem;

	if (!mem)
		return;

	mm->context.spapr_mem = NULL;
	if (WARN_ON_ONCE(!RB_EMPTY_ROOT(&mem->regions.rb_root) ||
			 !list_empty(&mem->users) || !xa_empty(&mem->held)))
		return;

	spapr_sparse_destroy(&mem->pages, false);
	mutex_destroy(&mem->lock);
	kfree(mem);
}

#ifdef CONFIG_SPAPR_TCE_KUNIT_TEST
#include "memory_test.c"
#endif
