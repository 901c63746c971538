/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pinned user memory: declarations that its source files share
 *
 * memory.c registers regions. region.c pins and unpins their pages. reap.c ends
 * registrations that no TCE needs any more. hold.c pins single pages for mediated
 * devices.
 */
#ifndef SPAPR_TCE_MEMORY_H
#define SPAPR_TCE_MEMORY_H

#include <linux/interval_tree_generic.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <asm/spapr_mem.h>

/**
 * struct spapr_mem_region - a registered range of user addresses
 * @rb: in spapr_mem::regions
 * @first: first user address
 * @last: last user address
 * @subtree_last: the interval tree's
 * @uses: registrations not yet given back
 * @left: in spapr_mem::left while @uses is 0 and not @pinning
 * @pinning: its first registration is under way, without spapr_mem::lock
 * @pinned: how many pages are pinned so far, written by that registration
 * @charged: how many pages are accounted for it
 */
struct spapr_mem_region {
	struct rb_node rb;
	unsigned long first;
	unsigned long last;
	unsigned long subtree_last;
	unsigned long uses;
	struct list_head left;
	bool pinning;
	unsigned long pinned;
	unsigned long charged;
};

#define REGION_FIRST(region)	((region)->first)
#define REGION_LAST(region)	((region)->last)
INTERVAL_TREE_DEFINE(struct spapr_mem_region, rb, unsigned long, subtree_last,
		     REGION_FIRST, REGION_LAST, static inline, regions)

static inline unsigned long region_size(const struct spapr_mem_region *region)
{
	return region->last - region->first + 1;
}

static inline unsigned long region_pages(const struct spapr_mem_region *region)
{
	return region_size(region) >> PAGE_SHIFT;
}

/* The region of exactly this range, which @size 0 never is */
static inline struct spapr_mem_region *
region_exact(struct spapr_mem *mem, unsigned long ua, unsigned long size)
{
	struct spapr_mem_region *region;

	region = regions_iter_first(&mem->regions, ua, ua);
	if (!region || region->first != ua || region_size(region) != size)
		return NULL;

	return region;
}

/**
 * struct stretch - words of a region that share a leaf
 * @index: user page number of the first
 * @slot: its word
 * @count: how many share its leaf
 * @left: number of words from @index to the end of the iteration
 */
struct stretch {
	unsigned long index;
	u64 *slot;
	unsigned long count;
	unsigned long left;
};

/* Start an iteration over the first @count pages: next_stretch() comes first */
static inline struct stretch
first_stretch(const struct spapr_mem_region *region, unsigned long count)
{
	return (struct stretch) {
		.index = region->first >> PAGE_SHIFT,
		.left = count,
	};
}

/* Go on to the next stretch, if there is one; its leaf is populated */
static inline bool next_stretch(struct spapr_mem *mem, struct stretch *at)
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

/* The page of a word that is not 0 */
static inline struct page *spapr_mem_word_to_page(u64 word)
{
	return pfn_to_page(PHYS_PFN(spapr_mem_word_page(word)));
}

/**
 * struct spapr_mem_pruned - nodes taken out of spapr_mem::pages
 * @n: number of entries in @nodes
 * @nodes: the nodes; a walk may still be looking at them
 */
struct spapr_mem_pruned {
	unsigned long n;
	u64 *nodes[32];
};

/* region.c: with spapr_mem::lock held, except spapr_mem_pin() */
void spapr_mem_set_state(struct spapr_mem *mem, struct spapr_mem_region *region,
			 u64 state);
int spapr_mem_pin(struct spapr_mem *mem, struct spapr_mem_region *region);
void spapr_mem_unpin(struct spapr_mem *mem, struct spapr_mem_region *region,
		     unsigned long count);
void spapr_mem_prune(struct spapr_mem *mem, unsigned long first,
		     unsigned long last, struct spapr_mem_pruned *pruned);
void spapr_mem_free_pruned(struct spapr_mem_pruned *pruned);

/* hold.c: with spapr_mem::lock held */
unsigned long spapr_mem_held_accounted(struct spapr_mem *mem,
				       unsigned long first, unsigned long last);
void spapr_mem_settle(struct spapr_mem *mem, unsigned long first,
		      unsigned long last, bool paid);

/* reap.c */
int spapr_mem_reap_left(struct spapr_mem *mem, bool killable);

#endif
