/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User memory pinned for DMA
 *
 * A process registers regions of its address space. Their pages are pinned for
 * long-term writing and accounted as locked memory, once per page and process.
 * Code that writes TCEs, in any mode, turns a registered user address into a
 * host page at a cost that does not depend on the number of regions: one sparse
 * array, indexed by user page number, has the pages of all regions of a process.
 *
 * Writing a TCE changes no count. Instead, the last unregistration of a region
 * searches for TCEs:
 *
 *  1. It hides the region's pages from new walks (asm/spapr_walk.h).
 *  2. It waits for the walks under way.
 *  3. It asks each user of the memory (struct spapr_mem_user) for its TCEs.
 *
 * If a TCE came from the region, the region stays registered and the result is
 * -EBUSY. So a map costs one load. The cost of an unregistration grows with the
 * populated parts of its users' tables.
 *
 * Besides, single pages can be held for a mediated device, registered or not
 * (spapr_mem_hold()). Walks don't see them.
 */
#ifndef _ASM_POWERPC_SPAPR_MEM_H
#define _ASM_POWERPC_SPAPR_MEM_H

#include <linux/build_bug.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/rbtree_types.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <asm/page.h>
#include <asm/spapr_sparse.h>

struct mm_struct;
struct page;
struct spapr_mem_region;
struct task_struct;

/*
 * A word of spapr_mem::pages, for the page of the host's size at one user
 * address: the page's physical address; the state of its region; and the log2
 * of the largest TCE page that may be made there, because the whole of it is
 * registered and contiguous. With SPAPR_MEM_VALID TCEs may be made to the page.
 * SPAPR_MEM_ENDING tells that the region has no use any more.
 */
#define SPAPR_MEM_TCE_SHIFT	0x3fUL
#define SPAPR_MEM_VALID		0x40UL
#define SPAPR_MEM_ENDING	0x80UL
#define SPAPR_MEM_STATE		(SPAPR_MEM_VALID | SPAPR_MEM_ENDING)

/* Bits of an index into spapr_mem::pages */
#define SPAPR_MEM_INDEX_BITS	(ilog2(TASK_SIZE_USER64) - PAGE_SHIFT)

/**
 * struct spapr_mem - the pinned memory of one process
 * @pages: user page number -> word as above. A word is written under @lock,
 *	read by anyone inside a walk.
 * @lock: protects everything but @pages' readers; outermost of the engine's
 *	locks but for the owner's.
 * @regions: interval tree of the registered regions
 * @filled: woken when a new region has its pages, or could not get them
 * @left: regions without a use that are still pinned
 * @held: user page number -> struct spapr_mem_held, pages held one by one
 * @users: holders of TCEs that may lead to these pages (struct spapr_mem_user)
 * @mm: the process. Users of this structure hold a reference on it (mmgrab()),
 *	and the structure lives as long as @mm.
 */
struct spapr_mem {
	struct spapr_sparse pages;
	struct mutex lock;	/* registration and its end */
	struct rb_root_cached regions;
	wait_queue_head_t filled;
	struct list_head left;
	struct list_head users;
	struct xarray held;
	struct mm_struct *mm;
};

struct spapr_mem_user_ops;

/**
 * struct spapr_mem_user - a holder of TCEs made from pinned memory
 * @ops: what it is asked
 * @node: private
 */
struct spapr_mem_user {
	const struct spapr_mem_user_ops *ops;
	struct list_head node;
};

struct spapr_mem *spapr_mem_of(struct mm_struct *mm);
struct spapr_mem_region *spapr_mem_register(struct spapr_mem *mem,
					    unsigned long ua,
					    unsigned long size);
struct spapr_mem_region *spapr_mem_find(struct spapr_mem *mem,
					unsigned long ua, unsigned long size);
int spapr_mem_unregister(struct spapr_mem *mem,
			 struct spapr_mem_region *region);
void spapr_mem_release(struct spapr_mem *mem, struct spapr_mem_region *region);
void spapr_mem_reap(struct spapr_mem *mem);
bool spapr_mem_covers(struct spapr_mem *mem, unsigned long ua,
		      unsigned long size, unsigned int tce_shift);

/**
 * struct spapr_mem_payer - whose limit on locked memory counts
 * @task: a thread of the process; a reference is held
 * @lock_cap: it had CAP_IPC_LOCK when it became the payer
 */
struct spapr_mem_payer {
	struct task_struct *task;
	bool lock_cap;
};

int spapr_mem_account(struct spapr_mem *mem, unsigned long npages, bool locked,
		      const struct spapr_mem_payer *payer);
int spapr_mem_hold(struct spapr_mem *mem, unsigned long ua, bool covered,
		   const struct spapr_mem_payer *payer, struct page **page);
int spapr_mem_fault_in(struct spapr_mem *mem, unsigned long ua, bool hold,
		       bool write);
void spapr_mem_unhold(struct spapr_mem *mem, unsigned long ua, bool covered);
void spapr_mem_cover(struct spapr_mem *mem, unsigned long ua,
		     unsigned long count, bool covered);
int spapr_mem_copy(struct spapr_mem *mem, unsigned long ua, void *buffer,
		   size_t size, bool write);

void spapr_mem_init(struct mm_struct *mm);
void spapr_mem_destroy(struct mm_struct *mm);

/* Host address of a word's page */
static __always_inline unsigned long spapr_mem_word_page(u64 word)
{
	return word & PAGE_MASK;
}

/* Does the word let TCEs of that size be made? */
static __always_inline bool spapr_mem_word_serves(u64 word,
						  unsigned long tce_shift)
{
	/* SPAPR_MEM_VALID is the bit above the shift: one comparison for both */
	return likely((word & (SPAPR_MEM_VALID | SPAPR_MEM_TCE_SHIFT)) >=
		      (SPAPR_MEM_VALID | tce_shift));
}

/* Host address of @ua by the word of its page, if TCEs of that size may be made */
static __always_inline bool
spapr_mem_word_to_phys(u64 word, unsigned long ua, unsigned long tce_shift,
		       unsigned long *hpa)
{
	if (!spapr_mem_word_serves(word, tce_shift))
		return false;

	*hpa = spapr_mem_word_page(word) | (ua & ~PAGE_MASK);
	return true;
}

/*
 * The leaf with the word of a user page, if it is populated. All arrays have
 * the same depth: the descent is straight.
 */
static __always_inline bool spapr_mem_leaf(const struct spapr_sparse *pages,
					   unsigned long page, u64 **leaf)
{
	const unsigned int top = spapr_sparse_top_shift(SPAPR_MEM_INDEX_BITS);
	unsigned long slot = page >> top;
	unsigned int shift;

	*leaf = pages->root;
#pragma GCC unroll 8
	for (shift = top; shift; shift -= SPAPR_SPARSE_NODE_SHIFT) {
		if (!spapr_sparse_step(leaf, slot))
			return false;
		slot = (page >> (shift - SPAPR_SPARSE_NODE_SHIFT)) &
		       SPAPR_SPARSE_LEAF_MASK;
	}

	return true;
}

/* Beyond what user space can have, and beyond the array's index */
static __always_inline bool spapr_mem_beyond(unsigned long ua)
{
	BUILD_BUG_ON(!is_power_of_2(TASK_SIZE_USER64));
	return unlikely(ua >> ilog2(TASK_SIZE_USER64));
}

/**
 * spapr_mem_to_phys() - find the host address of a registered user address
 * @pages: spapr_mem::pages of the process, or an array like it
 * @ua: user address, a multiple of the TCE page's size
 * @tce_shift: log2 of the TCE page's size in bytes
 * @hpa: where the host physical address is put
 *
 * Context: any, real mode included; inside a walk, which is what keeps the
 * page pinned until a TCE to it has been written.
 * Return: false where @ua is not registered, or not as a page of that size.
 */
static __always_inline bool spapr_mem_to_phys(const struct spapr_sparse *pages,
					      unsigned long ua,
					      unsigned int tce_shift,
					      unsigned long *hpa)
{
	const unsigned long page = ua >> PAGE_SHIFT;
	u64 *leaf, word;

	if (spapr_mem_beyond(ua) || !spapr_mem_leaf(pages, page, &leaf))
		return false;

	word = READ_ONCE(leaf[page & SPAPR_SPARSE_LEAF_MASK]);
	return spapr_mem_word_to_phys(word, ua, tce_shift, hpa);
}

/**
 * struct spapr_mem_cursor - where the last page was found
 * @pages: as for spapr_mem_to_phys()
 * @tce_shift: log2 of the TCE page's size in bytes
 * @leaf_nr: number of the leaf of @pages that is remembered
 * @leaf: that leaf, which the walk keeps
 *
 * For one walk that looks up many pages, which are often neighbours.
 */
struct spapr_mem_cursor {
	const struct spapr_sparse *pages;
	unsigned long tce_shift;
	unsigned long leaf_nr;
	u64 *leaf;
};

static __always_inline struct spapr_mem_cursor
spapr_mem_cursor(const struct spapr_sparse *pages, unsigned int tce_shift)
{
	return (struct spapr_mem_cursor){
		.pages = pages,
		.tce_shift = tce_shift,
		.leaf_nr = ~0UL,
	};
}

/*
 * The word of a user address, if its leaf is populated; inside a walk or under
 * spapr_mem::lock
 */
static __always_inline bool
spapr_mem_cursor_word(struct spapr_mem_cursor *cursor, unsigned long ua,
		      u64 *word)
{
	unsigned long page = ua >> PAGE_SHIFT;
	unsigned long leaf_nr = page >> SPAPR_SPARSE_NODE_SHIFT;

	if (unlikely(leaf_nr != cursor->leaf_nr)) {
		/* Nothing is remembered of a lookup that fails */
		cursor->leaf_nr = ~0UL;
		if (spapr_mem_beyond(ua) ||
		    !spapr_mem_leaf(cursor->pages, page, &cursor->leaf))
			return false;
		cursor->leaf_nr = leaf_nr;
	}

	*word = READ_ONCE(cursor->leaf[page & SPAPR_SPARSE_LEAF_MASK]);
	return true;
}

/**
 * spapr_mem_next_to_phys() - find the host address of one of many user addresses
 * @cursor: from spapr_mem_cursor(), used in this walk only
 * @ua: user address, a multiple of the TCE page's size
 * @hpa: where the host physical address is put
 *
 * Context: any, real mode included; inside a walk.
 * Return: as spapr_mem_to_phys()
 */
static __always_inline bool
spapr_mem_next_to_phys(struct spapr_mem_cursor *cursor, unsigned long ua,
		       unsigned long *hpa)
{
	u64 word;

	if (!spapr_mem_cursor_word(cursor, ua, &word))
		return false;

	return spapr_mem_word_to_phys(word, ua, cursor->tce_shift, hpa);
}

#endif /* _ASM_POWERPC_SPAPR_MEM_H */
