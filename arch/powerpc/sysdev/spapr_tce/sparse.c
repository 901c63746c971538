// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sparse array of 64-bit words that real mode can read: growing and freeing
 *
 * asm/spapr_sparse.h states what the array guarantees. This file has the
 * operations that only the host kernel proper can do: it allocates nodes, finds
 * them in order, and frees them together with the array.
 */
#include <linux/export.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/spapr_sparse.h>

/**
 * spapr_sparse_init() - initialise an empty array
 * @array: the array
 * @index_bits: number of bits of the largest index, 0 to 63
 * @gfp: how to allocate
 *
 * Context: as @gfp allows.
 * Return: false for lack of memory; then there is nothing to destroy.
 */
bool spapr_sparse_init(struct spapr_sparse *array, unsigned int index_bits,
		       gfp_t gfp)
{
	array->top_shift = spapr_sparse_top_shift(index_bits);
	/* A root that is also the only leaf has the size of a leaf */
	array->root_shift = max(index_bits - array->top_shift,
				SPAPR_SPARSE_NODE_SHIFT);
	array->root = kzalloc(sizeof(*array->root) << array->root_shift, gfp);

	return array->root;
}

/* The node that @slot points to; allocate it if there is none yet */
static u64 *sparse_child(struct spapr_sparse *array, u64 *slot, gfp_t gfp)
{
	u64 *node = (u64 *)READ_ONCE(*slot);
	u64 winner;

	if (node)
		return node;

	node = kcalloc(SPAPR_SPARSE_LEAF, sizeof(*node), gfp);
	if (!node)
		return NULL;

	/* Full ordering: all see the node zeroed before they see it */
	winner = cmpxchg(slot, 0, (u64)node);
	if (winner) {
		kfree(node);
		return (u64 *)winner;
	}

	return node;
}

/**
 * spapr_sparse_populate() - find a word, with its leaf allocated if need be
 * @array: the array
 * @index: index of the word
 * @gfp: how to allocate
 *
 * Context: the host kernel proper; may sleep if @gfp allows it. Any number of
 * callers at once.
 * Return: the word's address (a new word is 0), or NULL for lack of memory. The
 * words up to the end of the leaf follow it.
 */
u64 *spapr_sparse_populate(struct spapr_sparse *array, unsigned long index,
			   gfp_t gfp)
{
	unsigned int shift = array->top_shift;
	unsigned long slot = index >> shift;
	u64 *node = array->root;

	while (node && shift) {
		node = sparse_child(array, node + slot, gfp);
		shift -= SPAPR_SPARSE_NODE_SHIFT;
		slot = (index >> shift) & SPAPR_SPARSE_LEAF_MASK;
	}

	return node ? node + slot : NULL;
}

/**
 * spapr_sparse_detach() - take the lowest node above a word out of the array
 * @array: the array
 * @index: index of the word
 *
 * The first call takes the leaf with all its words. Each further call takes the
 * node above if that has become empty. The root stays.
 *
 * Context: the host kernel proper; the caller excludes spapr_sparse_populate().
 * Return: the node, or NULL if there is none to take. The caller frees it with
 * kfree() after all lookups that may have found it: where walks look up words,
 * after spapr_tce_quiesce().
 */
u64 *spapr_sparse_detach(struct spapr_sparse *array, unsigned long index)
{
	unsigned int shift = array->top_shift;
	u64 *node = array->root, *link = NULL;
	u64 *slot = node + (index >> shift);

	while (shift && *slot) {
		link = slot;
		node = (u64 *)*slot;
		shift -= SPAPR_SPARSE_NODE_SHIFT;
		slot = node + ((index >> shift) & SPAPR_SPARSE_LEAF_MASK);
	}

	if (!link)
		return NULL;
	if (shift && memchr_inv(node, 0, SPAPR_SPARSE_LEAF * sizeof(*node)))
		return NULL;

	WRITE_ONCE(*link, 0);
	return node;
}

/**
 * spapr_sparse_next_leaf() - find the next word whose leaf is populated
 * @array: the array
 * @index: where to begin; on success, the index found: itself, or the first
 *	of a later leaf
 * @last: last index of interest
 *
 * Context: any. The cost depends on what is populated, not on what lies between.
 * Return: the word's address, or NULL where no leaf up to @last is populated.
 */
u64 *spapr_sparse_next_leaf(struct spapr_sparse *array, unsigned long *index,
			    unsigned long last)
{
	unsigned long at = *index;

	while (at <= last) {
		unsigned int shift = array->top_shift;
		unsigned long slot = at >> shift;
		u64 *node = array->root;

		while (shift) {
			u64 *child = (u64 *)READ_ONCE(node[slot]);

			if (!child)
				break;
			node = child;
			shift -= SPAPR_SPARSE_NODE_SHIFT;
			slot = (at >> shift) & SPAPR_SPARSE_LEAF_MASK;
		}

		if (!shift) {
			*index = at;
			return node + slot;
		}

		/* Nothing below this slot; the next one may have a leaf */
		at |= (1UL << shift) - 1;
		if (at == ULONG_MAX)
			return NULL;
		at++;
	}

	return NULL;
}

static void sparse_free(u64 *node, unsigned int node_shift, unsigned int shift,
			bool may_sleep)
{
	unsigned int i;

	if (!node)
		return;

	if (shift)
		for (i = 0; i < 1U << node_shift; i++)
			sparse_free((u64 *)node[i], SPAPR_SPARSE_NODE_SHIFT,
				    shift - SPAPR_SPARSE_NODE_SHIFT, may_sleep);
	kfree(node);
	if (may_sleep)
		cond_resched();
}

/**
 * spapr_sparse_destroy() - free all nodes
 * @array: the array, not to be used any more
 * @may_sleep: the caller may sleep, and a large array is freed with scheduling
 *	points
 *
 * Context: process context, or atomic without @may_sleep. There are no lookups
 * any more: the array is unreachable, and spapr_tce_quiesce() has been called
 * since it became so.
 */
void spapr_sparse_destroy(struct spapr_sparse *array, bool may_sleep)
{
	sparse_free(array->root, array->root_shift, array->top_shift,
		    may_sleep);
	array->root = NULL;
}
