// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory pinned for DMA: the pages of a region
 *
 * This file pins the pages of a region, writes them into spapr_mem::pages as words
 * that walks read, and unpins them:
 *
 *  - A word is non-zero exactly as long as its page is pinned. Its state bits
 *    are those of its region, and clear until the region is registered as a
 *    whole: a registration that fails half-way was never visible to a walk.
 *  - A node of spapr_mem::pages exists only where regions have pages. Otherwise
 *    a process could fill memory with the nodes of regions that it no longer has.
 *  - Pages are faulted in without a lock, because user space can make a fault
 *    last (userfaultfd). The region keeps its range meanwhile.
 */
#include <linux/cleanup.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/spapr_walk.h>
#include "memory.h"

/* Set the state bits of all the region's words */
void spapr_mem_set_state(struct spapr_mem *mem, struct spapr_mem_region *region,
			 u64 state)
{
	struct stretch at = first_stretch(region, region_pages(region));

	lockdep_assert_held(&mem->lock);

	while (next_stretch(mem, &at)) {
		for (unsigned long i = 0; i < at.count; i++)
			WRITE_ONCE(at.slot[i],
				   (at.slot[i] & ~SPAPR_MEM_STATE) | state);
	}
}

/* Clear words up to the first whose page is not next in host memory */
static unsigned long clear_run(u64 *slot, unsigned long count)
{
	unsigned long next = spapr_mem_word_page(slot[0]), n = 0;

	while (n < count && spapr_mem_word_page(slot[n]) == next) {
		WRITE_ONCE(slot[n++], 0);
		next += PAGE_SIZE;
	}

	return n;
}

static void unpin_words(u64 *slot, unsigned long count)
{
	while (count) {
		u64 word = *slot;
		unsigned long n = clear_run(slot, count);

		unpin_user_page_range_dirty_lock(spapr_mem_word_to_page(word),
						 n, true);
		slot += n;
		count -= n;
	}
}

/*
 * Unpin the first @count pages of the region, which walks no longer see. A device
 * may have written to any of them, so all become dirty.
 */
void spapr_mem_unpin(struct spapr_mem *mem, struct spapr_mem_region *region,
		     unsigned long count)
{
	struct stretch at = first_stretch(region, count);

	while (next_stretch(mem, &at))
		unpin_words(at.slot, at.count);
}

void spapr_mem_free_pruned(struct spapr_mem_pruned *pruned)
{
	if (pruned->n)
		spapr_tce_quiesce();
	while (pruned->n)
		kfree(pruned->nodes[--pruned->n]);
	cond_resched();
}

/*
 * Remove the leaves of a range in which no region has a page, and the nodes that
 * this empties. The region that had the range is not in spapr_mem::regions. A walk
 * may have found a leaf, but no page in it.
 */
void spapr_mem_prune(struct spapr_mem *mem, unsigned long first,
		     unsigned long last, struct spapr_mem_pruned *pruned)
{
	unsigned long end;
	u64 *node;

	lockdep_assert_held(&mem->lock);

	for (first &= ~SPAPR_SPARSE_LEAF_MASK; first <= last; first = end) {
		end = first + SPAPR_SPARSE_LEAF;
		if (regions_iter_first(&mem->regions, first << PAGE_SHIFT,
				       (end << PAGE_SHIFT) - 1))
			continue;
		while ((node = spapr_sparse_detach(&mem->pages, first))) {
			pruned->nodes[pruned->n++] = node;
			if (pruned->n == ARRAY_SIZE(pruned->nodes))
				spapr_mem_free_pruned(pruned);
		}
	}
}

/*
 * Write the words of pages that have been pinned. A TCE page can be larger than a
 * host page in a hugetlb page only, which stays whole while it is pinned, and not
 * larger than @limit, the largest naturally aligned page of the region.
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

/* Get the word of a page, whose region keeps the leaf from being removed */
static u64 *populate(struct spapr_mem *mem, unsigned long index)
{
	guard(mutex)(&mem->lock);

	return spapr_sparse_populate(&mem->pages, index, GFP_KERNEL_ACCOUNT);
}

/*
 * Pin up to @count pages from user page @index on
 * Return: how many have been pinned, or an error. If they are fewer than @count,
 * the next call goes on or returns the reason.
 */
static long pin_some(struct spapr_mem *mem, unsigned long index,
		     unsigned long count, unsigned int limit,
		     struct page **pages)
{
	u64 *slot;
	long n;

	if (fatal_signal_pending(current))
		return -EINTR;

	slot = populate(mem, index);
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

/* Pin the pages of the region. After an error @pinned of them are pinned. */
int spapr_mem_pin(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	unsigned long first = region->first >> PAGE_SHIFT;
	unsigned long count = region_pages(region);
	unsigned int limit = __ffs(region->first | region_size(region));
	struct page **pages __free(kfree) =
		kmalloc_array(SPAPR_SPARSE_LEAF, sizeof(*pages), GFP_KERNEL);

	lockdep_assert_not_held(&mem->lock);

	if (!pages)
		return -ENOMEM;

	while (region->pinned < count) {
		long n = pin_some(mem, first + region->pinned,
				  count - region->pinned, limit, pages);

		if (n < 0)
			return n;
		region->pinned += n;
		cond_resched();
	}

	return 0;
}
