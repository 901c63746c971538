// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory pinned for DMA: registration
 *
 * What registration promises is in asm/spapr_mem.h. How it is kept:
 *
 *  - Regions of a process never overlap, so a page has one word in
 *    spapr_mem::pages, and one pin and one page of locked memory stand behind
 *    that word.
 *  - A word is non-zero exactly as long as its page is pinned. It carries
 *    SPAPR_MEM_VALID only while its region is registered as a whole: a
 *    registration that fails half-way was never visible to a walk.
 *  - A page is unpinned only after SPAPR_MEM_VALID has gone, the walks that
 *    may have seen it have ended, and no window holds a TCE from its region,
 *    in this order (retire()).
 *  - A node of spapr_mem::pages exists only where regions have pages, so that a
 *    process cannot fill memory with the nodes of what it has given back.
 *
 * A region whose last user goes away for good while another container's window
 * still has TCEs from it cannot refuse, and its pages cannot go. Such a region
 * is left behind without a user, and unpinned when the windows that point to
 * it have been closed (spapr_mem_reap()).
 */
#include <linux/cleanup.h>
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/spapr_mem.h>
#include <asm/spapr_tce.h>

/**
 * struct spapr_mem_region - a registered range of user addresses
 * @rb: in spapr_mem::regions
 * @first: first user address
 * @last: last user address
 * @subtree_last: the interval tree's
 * @uses: registrations not yet given back; 0 for a region left behind
 * @left: in spapr_mem::left while @uses is 0
 */
struct spapr_mem_region {
	struct rb_node rb;
	unsigned long first;
	unsigned long last;
	unsigned long subtree_last;
	unsigned long uses;
	struct list_head left;
};

#define REGION_FIRST(region)	((region)->first)
#define REGION_LAST(region)	((region)->last)
INTERVAL_TREE_DEFINE(struct spapr_mem_region, rb, unsigned long, subtree_last,
		     REGION_FIRST, REGION_LAST, static inline, regions)

static unsigned long region_size(const struct spapr_mem_region *region)
{
	return region->last - region->first + 1;
}

static unsigned long region_pages(const struct spapr_mem_region *region)
{
	return region_size(region) >> PAGE_SHIFT;
}

/* The region of exactly this range, which @size 0 never is */
static struct spapr_mem_region *
region_exact(struct spapr_mem *mem, unsigned long ua, unsigned long size)
{
	struct spapr_mem_region *region;

	region = regions_iter_first(&mem->regions, ua, ua);
	if (!region || region->first != ua || region_size(region) != size)
		return NULL;

	return region;
}

/*
 * A stretch of a region's words that are neighbours in memory, on the way
 * through the region
 * @index: user page number of the first
 * @slot: its word
 * @count: how many follow each other; the user may take fewer
 * @left: words from @index to the end of the way
 */
struct stretch {
	unsigned long index;
	u64 *slot;
	unsigned long count;
	unsigned long left;
};

/* Before the first stretch of a way through the first @count pages */
static struct stretch stretch_before(struct spapr_mem_region *region,
				     unsigned long count)
{
	return (struct stretch) {
		.index = region->first >> PAGE_SHIFT,
		.left = count,
	};
}

/* Go on to the next stretch, if there is one; its leaf has been populated */
static bool stretch_next(struct spapr_mem *mem, struct stretch *at)
{
	at->index += at->count;
	at->left -= at->count;
	if (!at->left)
		return false;

	cond_resched();
	at->slot = spapr_sparse_find(&mem->pages, at->index);
	at->count = spapr_sparse_leaf_run(at->index, at->left);

	return true;
}

/* Show the region's pages to walks, or hide them from walks yet to come */
static void show(struct spapr_mem *mem, struct spapr_mem_region *region,
		 bool valid)
{
	struct stretch at = stretch_before(region, region_pages(region));

	while (stretch_next(mem, &at)) {
		for (unsigned long i = 0; i < at.count; i++) {
			u64 word = at.slot[i] & ~SPAPR_MEM_VALID;

			WRITE_ONCE(at.slot[i],
				   valid ? word | SPAPR_MEM_VALID : word);
		}
	}
}

/* Do all these words let TCEs of that size be made? */
static bool all_serve(const u64 *slot, unsigned long count,
		      unsigned int tce_shift)
{
	for (unsigned long i = 0; i < count; i++) {
		u64 word = READ_ONCE(slot[i]);

		if (!(word & SPAPR_MEM_VALID) ||
		    (word & SPAPR_MEM_TCE_SHIFT) < tce_shift)
			return false;
	}

	return true;
}

/* Words at the head of @at whose pages follow each other in host memory */
static unsigned long contiguous(const struct stretch *at)
{
	unsigned long pa = at->slot[0] & PAGE_MASK;
	unsigned long n = 1;

	while (n < at->count && (at->slot[n] & PAGE_MASK) == pa + n * PAGE_SIZE)
		n++;

	return n;
}

/*
 * Unpin the first @count pages of the region, which no walk can see any more.
 * A device may have written to any of them, through whichever window.
 */
static void unpin(struct spapr_mem *mem, struct spapr_mem_region *region,
		  unsigned long count)
{
	struct stretch at = stretch_before(region, count);

	while (stretch_next(mem, &at)) {
		unsigned long pa = at.slot[0] & PAGE_MASK;

		at.count = contiguous(&at);
		for (unsigned long i = 0; i < at.count; i++)
			WRITE_ONCE(at.slot[i], 0);
		unpin_user_page_range_dirty_lock(pfn_to_page(PHYS_PFN(pa)),
						 at.count, true);
	}
}

#define PRUNE_BATCH	32

/* Nodes that nobody finds any more; a walk may be looking at them */
static void free_nodes(u64 **nodes, unsigned long n)
{
	if (n)
		spapr_tce_quiesce();
	while (n)
		kfree(nodes[--n]);
	cond_resched();
}

/*
 * Free the leaves between two user pages in which no region has a page, and the
 * nodes above that are empty then; that of the range is in spapr_mem::regions
 * no more, or not yet. A walk may have found a leaf, but nothing in it.
 */
static void prune(struct spapr_mem *mem, unsigned long first,
		  unsigned long last)
{
	u64 *nodes[PRUNE_BATCH];
	unsigned long end, n = 0;

	lockdep_assert_held(&mem->lock);

	for (first &= ~SPAPR_SPARSE_LEAF_MASK; first <= last; first = end) {
		end = first + SPAPR_SPARSE_LEAF;
		if (regions_iter_first(&mem->regions, first << PAGE_SHIFT,
				       (end << PAGE_SHIFT) - 1))
			continue;
		while ((nodes[n] = spapr_sparse_detach(&mem->pages, first))) {
			if (++n < PRUNE_BATCH)
				continue;
			free_nodes(nodes, n);
			n = 0;
		}
	}
	free_nodes(nodes, n);
}

/*
 * Write the words of pages just pinned. TCE pages larger than the host's are
 * for hugetlb pages only, because only those stay whole while pinned, and for
 * as much of them as the region has, naturally aligned (@limit).
 */
static void record(u64 *slot, struct page **pages, long count,
		   unsigned int limit)
{
	struct folio *folio = NULL;
	unsigned int shift = PAGE_SHIFT;

	for (long i = 0; i < count; i++) {
		struct folio *here = page_folio(pages[i]);

		if (here != folio) {
			folio = here;
			shift = folio_test_hugetlb(folio) ?
				min(folio_shift(folio), limit) : PAGE_SHIFT;
		}
		WRITE_ONCE(slot[i], page_to_phys(pages[i]) | shift);
	}
}

/*
 * Pin some of the @count pages from user page @index on
 * Return: how many, or an error. Fewer than possible is no error: the next
 * call says why there are no more.
 */
static long pin_some(struct spapr_mem *mem, unsigned long index,
		     unsigned long count, unsigned int limit,
		     struct page **pages)
{
	u64 *slot;
	long n;

	if (fatal_signal_pending(current))
		return -EINTR;

	slot = spapr_sparse_populate(&mem->pages, index, GFP_KERNEL_ACCOUNT);
	if (!slot)
		return -ENOMEM;

	n = pin_user_pages_fast(index << PAGE_SHIFT,
				spapr_sparse_leaf_run(index, count),
				FOLL_WRITE | FOLL_LONGTERM, pages);
	if (!n)
		return -EFAULT;
	if (n > 0)
		record(slot, pages, n, limit);

	return n;
}

/* Pin all of the region, or nothing */
static int pin(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	unsigned long count = region_pages(region), done = 0;
	unsigned int limit = __ffs(region->first | region_size(region));
	struct page **pages __free(kfree) =
		kmalloc_array(SPAPR_SPARSE_LEAF, sizeof(*pages), GFP_KERNEL);

	if (!pages)
		return -ENOMEM;

	while (done < count) {
		long n = pin_some(mem, (region->first >> PAGE_SHIFT) + done,
				  count - done, limit, pages);

		if (n < 0) {
			unpin(mem, region, done);
			prune(mem, region->first >> PAGE_SHIFT,
			      (region->first >> PAGE_SHIFT) + done);
			return n;
		}
		done += n;
		cond_resched();
	}

	return 0;
}

static bool in_use(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	struct spapr_tce_window *window;

	list_for_each_entry(window, &mem->windows, node) {
		if (spapr_tce_window_uses(window, region->first,
					  region_size(region)))
			return true;
	}

	return false;
}

/* Is there a window on registered memory of which the hypervisor lost TCEs? */
static bool lost_tces(struct spapr_mem *mem)
{
	struct spapr_tce_window *window;

	list_for_each_entry(window, &mem->windows, node)
		if (READ_ONCE(window->lost))
			return true;

	return false;
}

/*
 * Make sure that no TCE points to the region and nobody can write another
 * Return: false, and nothing has changed, where there is a TCE
 */
static bool retire(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	/* Don't trouble the walks where the answer is plain */
	if (in_use(mem, region))
		return false;

	show(mem, region, false);
	spapr_tce_quiesce();
	if (in_use(mem, region)) {
		show(mem, region, true);
		return false;
	}

	/* Who has cleared the last TCE tells the device before its walk ends */
	spapr_tce_quiesce();
	/* Or it has not been cleared, and no origin tells */
	if (lost_tces(mem)) {
		show(mem, region, true);
		return false;
	}

	return true;
}

/* Unpin a retired region and forget it */
static void discard(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	unsigned long count = region_pages(region);

	unpin(mem, region, count);
	regions_remove(region, &mem->regions);
	prune(mem, region->first >> PAGE_SHIFT, region->last >> PAGE_SHIFT);
	account_locked_vm(mem->mm, count, false);
	/* What is held of it is accounted on its own from now on */
	spapr_mem_settle(mem, region->first, region->last, false);
	kfree(region);
}

/* Discard the regions left behind that no window points to any more */
static void reap(struct spapr_mem *mem)
{
	struct spapr_mem_region *region, *next;

	lockdep_assert_held(&mem->lock);

	list_for_each_entry_safe(region, next, &mem->left, left) {
		if (!retire(mem, region))
			continue;
		list_del(&region->left);
		discard(mem, region);
	}
}

/* The range is accounted already; @size is not 0 */
static struct spapr_mem_region *
region_create(struct spapr_mem *mem, unsigned long ua, unsigned long size)
{
	struct spapr_mem_region *region __free(kfree) = NULL;
	int ret;

	/* Not user addresses: no page to be had, and no index in @pages */
	if (ua >= TASK_SIZE_USER64 || size > TASK_SIZE_USER64 - ua)
		return ERR_PTR(-EFAULT);

	if (regions_iter_first(&mem->regions, ua, ua + size - 1))
		return ERR_PTR(-EINVAL);

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);

	region->first = ua;
	region->last = ua + size - 1;
	region->uses = 1;

	ret = pin(mem, region);
	if (ret)
		return ERR_PTR(ret);

	regions_insert(region, &mem->regions);
	show(mem, region, true);

	return no_free_ptr(region);
}

/**
 * spapr_mem_register() - register a range of user addresses
 * @mem: the calling process's pinned memory
 * @ua: first address, in bytes; a multiple of the host's page size
 * @size: in bytes; likewise, and @ua + @size does not wrap
 *
 * A range that is registered already, exactly so, gets one more use. Any other
 * is pinned, and accounted as locked memory of the process.
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
	unsigned long charge;
	int ret;

	guard(mutex)(&mem->lock);

	region = region_exact(mem, ua, size);
	if (region) {
		if (!region->uses++)
			list_del(&region->left);
		return region;
	}

	if (!size)
		return ERR_PTR(-ENOMEM);

	reap(mem);
	charge = size >> PAGE_SHIFT;
	charge -= spapr_mem_held_accounted(mem, ua, ua + size - 1);
	ret = account_locked_vm(mem->mm, charge, true);
	if (ret)
		return ERR_PTR(ret);

	region = region_create(mem, ua, size);
	if (IS_ERR(region))
		account_locked_vm(mem->mm, charge, false);
	else
		spapr_mem_settle(mem, region->first, region->last, true);

	return region;
}
EXPORT_SYMBOL_GPL(spapr_mem_register);

/**
 * spapr_mem_find() - the region of exactly this range
 * @mem: a process's pinned memory
 * @ua: first address, in bytes
 * @size: in bytes
 *
 * No use is taken. The answer serves to be compared with the regions that the
 * caller has registered; unless it is one of these it may be gone already.
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
 * spapr_mem_covers() - can this range be mapped?
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

/**
 * spapr_mem_unregister() - give back a use of a region, if that can be
 * @mem: the pinned memory that it belongs to
 * @region: what spapr_mem_register() returned
 *
 * The last use ends with the pages unpinned, and takes time in proportion to
 * the region's pages and to what is populated in the process's windows.
 *
 * Context: process context of any process; sleeps. No walk.
 * Return: 0; or -EBUSY where it was the last use and a window has TCEs from
 * the region, which then stays as it was.
 */
int spapr_mem_unregister(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	guard(mutex)(&mem->lock);

	if (region->uses > 1) {
		region->uses--;
		return 0;
	}

	if (!retire(mem, region))
		return -EBUSY;

	discard(mem, region);
	return 0;
}
EXPORT_SYMBOL_GPL(spapr_mem_unregister);

/**
 * spapr_mem_release() - give back a use of a region for good
 * @mem: the pinned memory that it belongs to
 * @region: what spapr_mem_register() returned
 *
 * For a user that goes away and cannot come back to try again. If a window of
 * somebody else still has TCEs from the region, its pages stay pinned and
 * accounted until a window of the process is closed, or a range registered anew,
 * after the TCEs have gone.
 *
 * Context: process context of any process; sleeps. No walk.
 */
void spapr_mem_release(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	guard(mutex)(&mem->lock);

	if (--region->uses)
		return;

	if (retire(mem, region))
		discard(mem, region);
	else
		list_add(&region->left, &mem->left);
}
EXPORT_SYMBOL_GPL(spapr_mem_release);

/**
 * spapr_mem_reap() - a window of the process is gone
 * @mem: the pinned memory that the window used
 *
 * Called when the window is not in spapr_mem::windows any more, and nobody
 * writes to it: unpins what was kept for it alone.
 *
 * Context: process context of any process; sleeps; without spapr_mem::lock.
 */
void spapr_mem_reap(struct spapr_mem *mem)
{
	guard(mutex)(&mem->lock);

	reap(mem);
}

/**
 * spapr_mem_of() - the pinned memory of a process, made on first use
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
	xa_init(&mem->held);
	INIT_LIST_HEAD(&mem->left);
	INIT_LIST_HEAD(&mem->windows);
	mem->mm = mm;

	/* Whoever sees the pointer sees what it points to */
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
 * spapr_mem_init() - a process is made
 * @mm: the process; a child's mm starts as a copy of its parent's
 *
 * Context: process context.
 */
void spapr_mem_init(struct mm_struct *mm)
{
	mm->context.spapr_mem = NULL;
}

/**
 * spapr_mem_destroy() - the last reference on a process is gone
 * @mm: the process
 *
 * All registrations have been given back and all windows closed, because both
 * hold a reference on @mm.
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
			 !list_empty(&mem->windows) || !xa_empty(&mem->held)))
		return;

	spapr_sparse_destroy(&mem->pages, false);
	mutex_destroy(&mem->lock);
	kfree(mem);
}

#ifdef CONFIG_SPAPR_TCE_KUNIT_TEST
#include "memory_test.c"
#endif
