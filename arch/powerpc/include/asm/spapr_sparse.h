/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sparse array of 64-bit words that real mode can read
 *
 * A radix tree of 4 KiB nodes under a root of 4 to 64 KiB, so that common
 * windows have two levels. Unlike an XArray it can be looked up by a CPU in
 * hypervisor real mode, or by one that has just left a guest and still runs in
 * that guest's context. Therefore
 *
 *  - nodes come from the slab allocator, hence lie in the linear map, and the
 *    lookup is inlined into its caller: no module text, no instrumentation,
 *    no RCU, no lockdep;
 *  - a node stays while the array lives, so that a lookup needs no protection
 *    beyond that of the array itself; an owner that takes nodes out
 *    (spapr_sparse_detach()) has to wait for lookups before it frees them;
 *  - a word's address stays valid likewise, and words of one leaf
 *    (SPAPR_SPARSE_LEAF of them, aligned) are contiguous: a request that
 *    touches many neighbours descends once.
 *
 * Nodes are added with cmpxchg(), by any number of callers at once. The words
 * belong to the owner of the array, which defines how they may be written.
 */
#ifndef _ASM_POWERPC_SPAPR_SPARSE_H
#define _ASM_POWERPC_SPAPR_SPARSE_H

#include <linux/compiler.h>
#include <linux/gfp_types.h>
#include <linux/minmax.h>
#include <linux/sizes.h>
#include <linux/types.h>

#define SPAPR_SPARSE_NODE_SHIFT	9U
#define SPAPR_SPARSE_LEAF	BIT(SPAPR_SPARSE_NODE_SHIFT)
#define SPAPR_SPARSE_LEAF_MASK	(SPAPR_SPARSE_LEAF - 1)
/* Bits of the index that select within the root: these at most */
#define SPAPR_SPARSE_ROOT_SHIFT	13U

/**
 * spapr_sparse_leaf_run() - count the words of a range in the first one's leaf
 * @index: index of the first word
 * @count: words in the range
 *
 * Return: the number of words, at most @count.
 */
static __always_inline unsigned long
spapr_sparse_leaf_run(unsigned long index, unsigned long count)
{
	return min(count, SPAPR_SPARSE_LEAF - (index & SPAPR_SPARSE_LEAF_MASK));
}

/**
 * spapr_sparse_one_leaf() - check whether the words of a range share a leaf
 * @index: index of the first word
 * @count: words in the range, at most SPAPR_SPARSE_LEAF
 *
 * Return: true if they do.
 */
static __always_inline bool
spapr_sparse_one_leaf(unsigned long index, unsigned long count)
{
	return (index & SPAPR_SPARSE_LEAF_MASK) + count <= SPAPR_SPARSE_LEAF;
}

/**
 * spapr_sparse_leaf_end() - find the index after the last word of a leaf
 * @index: index of a word of the leaf
 * @end: index after the range of interest
 *
 * Return: the index, at most @end.
 */
static __always_inline unsigned long
spapr_sparse_leaf_end(unsigned long index, unsigned long end)
{
	return min(end, (index | SPAPR_SPARSE_LEAF_MASK) + 1);
}

/**
 * struct spapr_sparse - a sparse array of words
 * @root: the topmost node
 * @top_shift: bits of the index below those that select within @root
 * @root_shift: log2 of the words in @root
 */
struct spapr_sparse {
	u64 *root;
	unsigned int top_shift;
	unsigned int root_shift;
};

/**
 * spapr_sparse_top_shift() - count the index bits below those of the root
 * @index_bits: number of bits of the largest index
 *
 * Return: the number of bits.
 */
static __always_inline unsigned int
spapr_sparse_top_shift(unsigned int index_bits)
{
	unsigned int shift = 0;

	while (index_bits > shift + (shift ? SPAPR_SPARSE_ROOT_SHIFT :
				     SPAPR_SPARSE_NODE_SHIFT))
		shift += SPAPR_SPARSE_NODE_SHIFT;

	return shift;
}

/**
 * spapr_sparse_is_flat() - check whether the root points to the leaves
 * @array: the array
 *
 * Return: true if it has two levels.
 */
static __always_inline bool
spapr_sparse_is_flat(const struct spapr_sparse *array)
{
	return array->top_shift == SPAPR_SPARSE_NODE_SHIFT;
}

bool spapr_sparse_init(struct spapr_sparse *array, unsigned int index_bits,
		       gfp_t gfp);
void spapr_sparse_destroy(struct spapr_sparse *array, bool may_sleep);
u64 *spapr_sparse_populate(struct spapr_sparse *array, unsigned long index,
			   gfp_t gfp);
u64 *spapr_sparse_detach(struct spapr_sparse *array, unsigned long index);
u64 *spapr_sparse_next_leaf(struct spapr_sparse *array, unsigned long *index,
			    unsigned long last);

/*
 * One step of a descent: from @node, which is not NULL, to the child that
 * @index is below. It fails where there is none.
 */
static __always_inline bool spapr_sparse_step(u64 **node, unsigned long slot)
{
	*node = (u64 *)READ_ONCE((*node)[slot]);
	return likely(*node);
}

/**
 * spapr_sparse_lookup() - find a word if its leaf is populated
 * @array: the array
 * @index: index of the word; below the array's limit, which the caller checks
 * @word: where its address is put. The words up to the end of the leaf follow
 *	it.
 *
 * Context: any, real mode included.
 * Return: false where no leaf is populated.
 */
static __always_inline bool spapr_sparse_lookup(const struct spapr_sparse *array,
						unsigned long index,
						u64 **word)
{
	unsigned int shift = array->top_shift;
	unsigned long slot = index >> shift;
	u64 *node = array->root;

	/* Common windows have two levels */
	if (likely(shift == SPAPR_SPARSE_NODE_SHIFT)) {
		if (!spapr_sparse_step(&node, index >> SPAPR_SPARSE_NODE_SHIFT))
			return false;
		*word = node + (index & SPAPR_SPARSE_LEAF_MASK);
		return true;
	}

	while (shift) {
		if (!spapr_sparse_step(&node, slot))
			return false;
		shift -= SPAPR_SPARSE_NODE_SHIFT;
		/* Counting the rounds in advance costs more than they do */
		OPTIMIZER_HIDE_VAR(shift);
		slot = (index >> shift) & SPAPR_SPARSE_LEAF_MASK;
	}

	*word = node + slot;
	return true;
}

/**
 * spapr_sparse_find() - find a word, for callers that want a pointer
 * @array: the array
 * @index: index of the word; below the array's limit, which the caller checks
 *
 * Context: any, real mode included.
 * Return: the word's address, or NULL where no leaf is populated. The words up
 * to the end of the leaf follow it.
 */
static __always_inline u64 *spapr_sparse_find(const struct spapr_sparse *array,
					      unsigned long index)
{
	u64 *word;

	return spapr_sparse_lookup(array, index, &word) ? word : NULL;
}

#endif /* _ASM_POWERPC_SPAPR_SPARSE_H */
