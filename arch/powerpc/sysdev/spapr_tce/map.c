// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping: how the owner of a window fills and empties it
 *
 * There are two entrances. spapr_tce_map() takes user addresses. On a window of
 * registered memory it looks the pages up in walks (registered.c). If the
 * window's owner pins pages by itself (struct spapr_tce_owner), it hands the
 * range to the owner, which comes back with physical addresses by the other
 * entrance, spapr_tce_exchange().
 *
 * Whatever the entrance, spapr_tce_window::origins tell what is mapped. From
 * there spapr_tce_window_move() fills another table, and mediated devices find
 * memory by bus address.
 */
#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include <asm/spapr_tce.h>
#include <asm/spapr_trace.h>
#include "window.h"

/* The owner that has pinned what a table for hardware points to, or NULL */
static const struct spapr_tce_owner *
pinning_owner(const struct spapr_tce_window *window)
{
	return spapr_tce_window_is_soft(window) ? NULL : window->owner;
}

/* By physical address */

/**
 * spapr_tce_exchange() - exchange TCEs for pages that the owner has pinned
 * @window: a window whose owner pins, on a table for hardware
 * @index: first TCE
 * @list: of each TCE to put the word to be noted as its origin and the TCE
 *	itself, made with spapr_tce_window::perm; or 0 to clear it. Receives as
 *	spapr_tce::tce the former TCE if the device no longer reaches its page
 *	through this TCE, else 0.
 * @npages: how many, all of one leaf, which has been populated
 *
 * The owner unpins pages of former TCEs. With only TCEs to clear an error means
 * that nothing has changed, and the call can be tried again. Otherwise -EIO
 * means that the device may reach both the new pages and the former ones. All of
 * them stay pinned until the hypervisor has taken the table away; then
 * spapr_tce_owner::unpin is called for what has not been cleared by then. Any
 * other error means that the device reaches neither.
 *
 * Context: process context; calls are serialised by the owner.
 * Return: 0, or the error of a hypervisor's table.
 */
long spapr_tce_exchange(struct spapr_tce_window *window, unsigned long index,
			struct spapr_tce *list, unsigned long npages)
{
	long ret;

	spapr_tce_window_assert_owned(window);

	ret = window->kind->exchange(window, index, list, npages);
	/* The device forgets the former pages before they are unpinned */
	spapr_tce_kill(window, index, npages);

	return ret;
}
EXPORT_SYMBOL_GPL(spapr_tce_exchange);

/* By user address */

static int may_map(struct spapr_tce_window *window, unsigned long ua,
		   unsigned long size)
{
	return pinning_owner(window) ? 0 :
	       window->kind->may_map(window, ua, size);
}

/* Allocate what TCEs of one leaf need, unless the leaf is populated already */
static long populate_leaf(struct spapr_tce_window *window, unsigned long index,
			  unsigned long npages)
{
	u64 *origin;
	__be64 *tce;

	/* A populated leaf stays while the window exists, also without a walk */
	if (window->in_memory && !READ_ONCE(window->lost) &&
	    spapr_tce_find(window, index, &origin, &tce))
		return 0;

	return spapr_tce_window_populate(window, index, npages);
}

static long map_some(struct spapr_tce_window *window, unsigned long index,
		     unsigned long ua, unsigned long npages, unsigned long perm)
{
	const struct spapr_tce_owner *owner = pinning_owner(window);

	if (owner)
		return owner->map(window, index, ua, npages, perm);

	return window->kind->map(window, index, ua, npages, perm);
}

static long unmap_leaf(struct spapr_tce_window *window, unsigned long index,
		       unsigned long npages)
{
	const struct spapr_tce_owner *owner = pinning_owner(window);

	if (owner)
		return owner->unmap(window, index, npages, false);

	return window->kind->unmap(window, index, npages);
}

static long empty_leaf(struct spapr_tce_window *window, unsigned long index,
		       unsigned long npages)
{
	const struct spapr_tce_owner *owner = pinning_owner(window);
	long ret;

	if (owner)
		return owner->unmap(window, index, npages, true);

	ret = window->kind->empty(window, index, npages);
	spapr_tce_kill(window, index, npages);

	return ret;
}

/* Map a range in one leaf. Advances @index and @ua as far as it gets. */
static long map_leaf(struct spapr_tce_window *window, unsigned long *index,
		     unsigned long stop, unsigned long *ua, unsigned long perm)
{
	long done = populate_leaf(window, *index, stop - *index);

	while (done >= 0 && *index < stop) {
		done = map_some(window, *index, *ua, stop - *index, perm);
		if (done > 0) {
			*index += done;
			*ua += done << window->page_shift;
		}
	}

	return min(done, 0L);
}

/* Do these TCEs map registered memory of one host page, by a table in memory? */
static bool is_within_page(const struct spapr_tce_window *window,
			   unsigned long index, unsigned long ua,
			   unsigned long npages)
{
	return window->in_memory && !window->owner && !READ_ONCE(window->lost) &&
	       npages <= (PAGE_SIZE - (ua & ~PAGE_MASK)) >> window->page_shift &&
	       spapr_sparse_one_leaf(index, npages);
}

/*
 * Map what is_within_page(). One look decides about all TCEs, so that they need
 * no list. Returns -EAGAIN where a level is missing.
 */
static long map_within_page(struct spapr_tce_window *window,
			    unsigned long index, unsigned long ua,
			    unsigned long npages, unsigned long perm)
{
	const unsigned long step = window->page_mask + 1;
	struct spapr_tce one;
	unsigned long hpa, i;
	long ret = -EAGAIN;
	u64 *origin;
	__be64 *tce;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	if (!spapr_mem_to_phys(window->pages, ua, window->page_shift, &hpa)) {
		ret = -EINVAL;
	} else if (spapr_tce_find(window, index, &origin, &tce)) {
		one.origin = ua | perm;
		one.tce = hpa | window->perm[perm];
		for (i = 0; i < npages; i++) {
			spapr_tce_set(&tce[i], &origin[i], &one);
			one.origin += step;
			one.tce += step;
		}
		spapr_tce_kill(window, index, npages);
		ret = 0;
	}
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

static noinline long map_range(struct spapr_tce_window *window,
			       unsigned long index, unsigned long ua,
			       unsigned long npages, unsigned long perm)
{
	const unsigned long first = index, end = index + npages;
	long ret;

	/* A single batch is put as a whole or not at all, so it needs no check */
	if (npages > SPAPR_TCE_BATCH ||
	    spapr_sparse_leaf_end(index, end) < end ||
	    spapr_tce_window_is_soft(window)) {
		ret = may_map(window, ua, npages << window->page_shift);
		if (ret)
			return ret;
	}

	while (index < end) {
		ret = map_leaf(window, &index, spapr_sparse_leaf_end(index, end),
			       &ua, perm);
		if (ret) {
			spapr_tce_unmap(window, first, index - first);
			return ret;
		}
		if (index < end)
			cond_resched();
	}

	return 0;
}

/* map_range() does what map_within_page() does, too */
static noinline long map_traced(struct spapr_tce_window *window,
				unsigned long index, unsigned long ua,
				unsigned long npages, unsigned long perm)
{
	long ret = map_range(window, index, ua, npages, perm);

	trace_spapr_tce_map(window, index, ua, npages, perm, ret);
	return ret;
}

/**
 * spapr_tce_map() - map a range of user memory
 * @window: the window
 * @index: first TCE
 * @ua: user address of the current process, a multiple of the window's page
 *	size
 * @npages: how many TCEs, at least 1; the range lies in the window
 * @perm: SPAPR_TCE_PERM bits, at least one
 *
 * Replaces what was mapped there. If it fails, the part of the range that had
 * been done is clear.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 * Return: 0; -EINVAL for memory that is not registered, or not as pages of the
 * window's size; for a table in software, -EFAULT if no user memory can be
 * there, and -EINTR if the process is being killed; the error of
 * spapr_tce_owner::map; -ENOMEM; the error of a hypervisor's table, and -EIO
 * for ever after one has lost track of what it maps.
 */
long spapr_tce_map(struct spapr_tce_window *window, unsigned long index,
		   unsigned long ua, unsigned long npages, unsigned long perm)
{
	long ret;

	spapr_tce_window_assert_owned(window);

	/* While it is off, a tracepoint behind the call would cost a frame */
	if (trace_spapr_tce_map_enabled())
		return map_traced(window, index, ua, npages, perm);

	if (is_within_page(window, index, ua, npages)) {
		ret = map_within_page(window, index, ua, npages, perm);
		if (ret != -EAGAIN)
			return ret;
	}

	return map_range(window, index, ua, npages, perm);
}
EXPORT_SYMBOL_GPL(spapr_tce_map);

/* What unmap_leaf() and empty_leaf() are */
typedef long (*clear_leaf_t)(struct spapr_tce_window *window,
			     unsigned long index, unsigned long npages);

/* Clear the populated leaves of a range by @clear. Returns the first error. */
static long clear_leaves(struct spapr_tce_window *window, unsigned long index,
			 unsigned long end, clear_leaf_t clear)
{
	long ret = 0;

	while (index < end &&
	       spapr_sparse_next_leaf(&window->origins, &index, end - 1)) {
		unsigned long stop = spapr_sparse_leaf_end(index, end);
		long err = clear(window, index, stop - index);

		ret = ret ?: err;
		index = stop;
		cond_resched();
	}

	return ret;
}

static noinline long unmap_traced(struct spapr_tce_window *window,
				  unsigned long index, unsigned long npages)
{
	long ret = clear_leaves(window, index, index + npages, unmap_leaf);

	trace_spapr_tce_unmap(window, index, npages, ret);
	return ret;
}

/**
 * spapr_tce_unmap() - clear a range of TCEs
 * @window: the window
 * @index: first TCE
 * @npages: how many; the range lies in the window
 *
 * When this returns 0, the device reaches none of the range. After an error the
 * TCEs that could not be cleared are as they were, the others are clear. The
 * cost grows with what is populated.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 * Return: 0, or the error of a hypervisor's table.
 */
long spapr_tce_unmap(struct spapr_tce_window *window, unsigned long index,
		     unsigned long npages)
{
	spapr_tce_window_assert_owned(window);

	if (trace_spapr_tce_unmap_enabled())
		return unmap_traced(window, index, npages);

	return clear_leaves(window, index, index + npages, unmap_leaf);
}
EXPORT_SYMBOL_GPL(spapr_tce_unmap);

/* Other tables */

/* Clear the table and leave the origins, which say what is mapped */
void spapr_tce_empty_table(struct spapr_tce_window *window)
{
	/* The device reaches TCEs that are left until the table is taken away */
	if (clear_leaves(window, 0, window->npages, empty_leaf))
		WRITE_ONCE(window->lost, true);
}

/* Put TCEs of one leaf for what its origins say is mapped */
static long refill_leaf(struct spapr_tce_window *window, unsigned long index,
			unsigned long stop)
{
	const unsigned long size = 1UL << window->page_shift;
	u64 *origin = spapr_sparse_find(&window->origins, index);

	while (index < stop) {
		unsigned long perm = *origin & SPAPR_TCE_PERM, n = 1;
		unsigned long ua = *origin & ~SPAPR_TCE_PERM;
		long done = 1;

		while (perm && n < SPAPR_TCE_BATCH && index + n < stop &&
		       origin[n] == *origin + n * size)
			n++;
		if (perm)
			done = map_some(window, index, ua, n, perm);
		if (done < 0) {
			spapr_tce_set_origins(window, index, ua, n, perm);
			return done;
		}
		index += done;
		origin += done;
	}

	return 0;
}

/* Put TCEs for all that the origins say is mapped. Stops at the first error. */
long spapr_tce_refill_table(struct spapr_tce_window *window)
{
	unsigned long index = 0, end = window->npages;

	while (index < end &&
	       spapr_sparse_next_leaf(&window->origins, &index, end - 1)) {
		unsigned long stop = spapr_sparse_leaf_end(index, end);
		long ret = spapr_tce_window_populate(window, index,
						     stop - index);

		if (!ret)
			ret = refill_leaf(window, index, stop);
		if (ret)
			return ret;
		index = stop;
		cond_resched();
	}

	return 0;
}

/* Looking up */

/**
 * spapr_tce_window_lookup() - find the user memory mapped at a bus address
 * @window: a window that is watched
 * @bus: bus address, in bytes
 * @shift: log2 of the size in bytes of the naturally aligned piece to find, in
 *	which @bus lies
 * @perm: SPAPR_TCE_PERM bits that the piece has to be mapped with
 * @ua: receives the user address where the piece begins
 *
 * Context: process context; the caller keeps the owner from changing the window.
 * Return: 0; -EINVAL if not all of the piece is mapped, or not to one piece of
 * user memory that is aligned alike; -EPERM if it is mapped without @perm.
 */
int spapr_tce_window_lookup(struct spapr_tce_window *window, u64 bus,
			    unsigned int shift, unsigned long perm,
			    unsigned long *ua)
{
	const u64 size = 1ULL << window->page_shift, piece = 1ULL << shift;
	const u64 first = bus & ~(piece - 1);
	unsigned long index = (first >> window->page_shift) - window->offset;
	unsigned long npages = DIV_ROUND_UP((first & (size - 1)) + piece, size);
	u64 expected = 0;

	if (index >= window->npages || npages > window->npages - index)
		return -EINVAL;

	for (unsigned long i = 0; i < npages; i++, expected += size) {
		u64 *slot = spapr_sparse_find(&window->origins, index + i);
		u64 origin = slot ? READ_ONCE(*slot) : 0;

		if (!(origin & SPAPR_TCE_PERM))
			return -EINVAL;
		if ((origin & perm) != perm)
			return -EPERM;
		origin &= ~SPAPR_TCE_PERM;
		if (!i)
			expected = origin;
		if (origin != expected)
			return -EINVAL;
	}

	*ua = expected - npages * size + (first & (size - 1));

	return *ua & (piece - 1) ? -EINVAL : 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_window_lookup);
