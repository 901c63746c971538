// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory pinned for DMA: the pages of a region
 *
 * A region's pages are pinned here, written into spapr_mem::pages as words that
 * walks read, and unpinned:
 *
 *  - A word is non-zero exactly as long as its page is pinned. Its state bits
 *    are those of its region, and clear until the region is registered as a
 *    whole: a registration that fails half-way was never visible to a walk.
 *  - A node of spapr_mem::pages exists only where regions have pages. Otherwise
 *    a process could fill memory with the nodes of regions that it has given
 *    back.
 *  - Pages are faulted in without a lock, because user space may take its time
 *    over a fault (userfaultfd). The region keeps its range meanwhile.
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

/* Clear words as long as their pages follow each other in host memory */
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
 * Unpin the first @count pages of the region, which no walk can see any more.
 * A device may have written to any of them, through any window.
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
 * Take out the leaves between two user pages in which no region has a page, and
 * the nodes above that are empty then. The region of the range is not in
 * spapr_mem::regions. A walk may have found a leaf, but nothing in it.
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

/* The word of a page of a region, which keeps the leaf */
static u64 *populate(struct spapr_mem *mem, unsigned long index)
{
	guard(mutex)(&mem->lock);

	return spapr_sparse_populate(&mem->pages, index, GFP_KERNEL_ACCOUNT);
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
