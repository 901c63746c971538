// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sparse array of 64-bit words that real mode can read: growing and freeing
 *
 * asm/spapr_sparse.h tells what the array guarantees. Here is what needs the
 * host kernel proper: nodes are allocated, found in order, and freed together
 * with the array.
 */
#include <linux/atomic.h>
#include <linux/export.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include <asm/spapr_sparse.h>

/**
 * spapr_sparse_init() - an empty array
 * @array: the array
 * @index_bits: number of bits of the largest index, 1 to 63
 *
 * Context: any.
 */
void spapr_sparse_init(struct spapr_sparse *array, unsigned int index_bits)
{
	unsigned int levels = DIV_ROUND_UP(max(index_bits, 1U),
					   SPAPR_SPARSE_NODE_SHIFT);

	array->root = NULL;
	array->top_shift = (levels - 1) * SPAPR_SPARSE_NODE_SHIFT;
	atomic_long_set(&array->nr_nodes, 0);
}

/* The node that @slot points to, made if there is none yet. */
static u64 *sparse_child(struct spapr_sparse *array, u64 *slot, gfp_t gfp)
{
	u64 *node = (u64 *)READ_ONCE(*slot);
	u64 winner;

	if (node)
		return node;

	node = kcalloc(SPAPR_SPARSE_LEAF, sizeof(*node), gfp);
	if (!node)
		return NULL;

	/* Full ordering: a node is seen zeroed by whoever sees it */
	winner = cmpxchg(slot, 0, (u64)node);
	if (winner) {
		kfree(node);
		return (u64 *)winner;
	}

	atomic_long_inc(&array->nr_nodes);
	return node;
}

/**
 * spapr_sparse_populate() - the address of a word, made if need be
 * @array: the array
 * @index: index of the word
 * @gfp: how to allocate
 *
 * Context: the host kernel proper; may sleep if @gfp allows it. Any number of
 * callers at once.
 * Return: the word's address (zero if it is new), or NULL without memory. The
 * words up to the end of the leaf follow it.
 */
u64 *spapr_sparse_populate(struct spapr_sparse *array, unsigned long index,
			   gfp_t gfp)
{
	unsigned int shift = array->top_shift;
	u64 *node = sparse_child(array, (u64 *)&array->root, gfp);

	while (node && shift) {
		unsigned long slot = (index >> shift) & SPAPR_SPARSE_LEAF_MASK;

		node = sparse_child(array, node + slot, gfp);
		shift -= SPAPR_SPARSE_NODE_SHIFT;
	}

	return node ? node + (index & SPAPR_SPARSE_LEAF_MASK) : NULL;
}
EXPORT_SYMBOL_GPL(spapr_sparse_populate);

/**
 * spapr_sparse_next_leaf() - find the next word whose leaf is populated
 * @array: the array
 * @index: where to begin; on success, the index found: itself, or the first
 *	of a later leaf
 * @last: last index of interest
 *
 * Context: any. Costs what is populated, not what lies between.
 * Return: the word's address, or NULL where no leaf up to @last is populated.
 */
u64 *spapr_sparse_next_leaf(struct spapr_sparse *array, unsigned long *index,
			    unsigned long last)
{
	unsigned long at = *index;

	while (at <= last) {
		unsigned int shift = array->top_shift;
		u64 *node = READ_ONCE(array->root);

		if (!node)
			return NULL;

		while (shift) {
			u64 *child = (u64 *)READ_ONCE(node[(at >> shift) &
							   SPAPR_SPARSE_LEAF_MASK]);

			if (!child)
				break;
			node = child;
			shift -= SPAPR_SPARSE_NODE_SHIFT;
		}

		if (!shift) {
			*index = at;
			return node + (at & SPAPR_SPARSE_LEAF_MASK);
		}

		/* Nothing below this slot; the next one may have a leaf */
		at |= (1UL << shift) - 1;
		if (at == ULONG_MAX)
			return NULL;
		at++;
	}

	return NULL;
}

static void sparse_free(u64 *node, unsigned int shift, bool may_sleep)
{
	unsigned int i;

	if (!node)
		return;

	if (shift)
		for (i = 0; i < SPAPR_SPARSE_LEAF; i++)
			sparse_free((u64 *)node[i],
				    shift - SPAPR_SPARSE_NODE_SHIFT, may_sleep);
	kfree(node);
	if (may_sleep)
		cond_resched();
}

/**
 * spapr_sparse_destroy() - free all nodes
 * @array: the array; empty afterwards
 * @may_sleep: the caller may sleep, and a large array is freed with scheduling
 *	points
 *
 * Context: process context, or atomic without @may_sleep. Nobody else looks at
 * the array: it has been made unreachable, and spapr_tce_quiesce() has been
 * called since.
 */
void spapr_sparse_destroy(struct spapr_sparse *array, bool may_sleep)
{
	sparse_free(array->root, array->top_shift, may_sleep);
	array->root = NULL;
	atomic_long_set(&array->nr_nodes, 0);
}
