/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sparse array of 64-bit words that real mode can read
 *
 * A radix tree of 4 KiB nodes. What makes it differ from an XArray is who
 * may look something up: a CPU in hypervisor real mode, or one that has just
 * left a guest and still runs in that guest's context. Therefore
 *
 *  - nodes come from the slab allocator, hence lie in the linear map, and the
 *    lookup is inlined into its caller: no module text, no instrumentation,
 *    no RCU, no lockdep;
 *  - a node is never freed while the array lives, so that a lookup needs no
 *    protection beyond that of the array itself;
 *  - a word's address stays valid likewise, and words of one leaf
 *    (SPAPR_SPARSE_LEAF of them, aligned) are contiguous: a request that
 *    touches many neighbours descends once.
 *
 * Nodes are added with cmpxchg() by whoever needs them first; the words belong
 * to the owner of the array, who defines how they may be written.
 */
#ifndef _ASM_POWERPC_SPAPR_SPARSE_H
#define _ASM_POWERPC_SPAPR_SPARSE_H

#include <linux/compiler.h>
#include <linux/gfp_types.h>
#include <linux/sizes.h>
#include <linux/types.h>

#define SPAPR_SPARSE_NODE_SHIFT	9
#define SPAPR_SPARSE_LEAF	BIT(SPAPR_SPARSE_NODE_SHIFT)
#define SPAPR_SPARSE_LEAF_MASK	(SPAPR_SPARSE_LEAF - 1)

/**
 * struct spapr_sparse - a sparse array of words
 * @root: the topmost node, NULL until the first word is populated
 * @top_shift: bits of the index below those that select within @root
 * @nr_nodes: nodes allocated, 4 KiB each; for accounting and tests
 */
struct spapr_sparse {
	u64 *root;
	unsigned int top_shift;
	atomic_long_t nr_nodes;
};

void spapr_sparse_init(struct spapr_sparse *array, unsigned int index_bits);
void spapr_sparse_destroy(struct spapr_sparse *array, bool may_sleep);
u64 *spapr_sparse_populate(struct spapr_sparse *array, unsigned long index,
			   gfp_t gfp);
u64 *spapr_sparse_next_leaf(struct spapr_sparse *array, unsigned long *index,
			    unsigned long last);

/**
 * spapr_sparse_find() - the address of a word
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
	unsigned int shift = array->top_shift;
	u64 *node = READ_ONCE(array->root);

	/* Three or four rounds: to unroll them costs more than it saves */
#pragma GCC unroll 1
	while (shift) {
		unsigned long slot = (index >> shift) & SPAPR_SPARSE_LEAF_MASK;

		if (!node)
			return NULL;
		node = (u64 *)READ_ONCE(node[slot]);
		shift -= SPAPR_SPARSE_NODE_SHIFT;
	}

	return node ? node + (index & SPAPR_SPARSE_LEAF_MASK) : NULL;
}

#endif /* _ASM_POWERPC_SPAPR_SPARSE_H */
