// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clear the TCEs of a window that point to memory which a guest loses
 *
 * The owner has taken the memory out of spapr_tce_window::pages and has waited for
 * the walks that might have found it there. So no walk writes such a TCE any more.
 * Walks go on writing others, and what they write stays.
 *
 * Two walks that write the same TCE can leave one that does not match its origin. It
 * may point to the lost memory. Or a walk has just put it, and its origin is not
 * visible yet. Such a suspect is read again after the walks under way have ended,
 * and cleared if it is still the same. If the guest puts it again between the second
 * look and the store that clears it, its origin changes. Then it is put back, and
 * stays a suspect, as a walk may have cleared it just before.
 *
 * Each wait looks at every CPU. So suspects are gathered, up to SPAPR_TCE_LIST_MAX
 * for one wait: a gigabyte in pages of 4 KiB takes 512 waits.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/spapr_tce.h>
#include "window.h"

static bool is_lost(const struct spapr_tce_loss *loss, u64 origin)
{
	u64 address = origin & ~SPAPR_TCE_PERM;

	return origin & SPAPR_TCE_PERM && address <= loss->last &&
	       address + loss->window->page_mask >= loss->start;
}

/* Does @tce not point to the page at the address that its origin has? */
static bool contradicts(const struct spapr_tce_window *window, u64 origin,
			u64 tce)
{
	u64 address = origin & ~SPAPR_TCE_PERM, *leaf, word = 0;

	if (!(origin & SPAPR_TCE_PERM))
		return true;
	if (!spapr_mem_beyond(address) &&
	    spapr_mem_leaf(window->pages, address >> PAGE_SHIFT, &leaf))
		word = READ_ONCE(leaf[(address >> PAGE_SHIFT) &
				      SPAPR_SPARSE_LEAF_MASK]);

	return !word || (spapr_mem_word_page(word) | (address & ~PAGE_MASK)) !=
			(tce & ~SPAPR_TCE_PERM);
}

/* TCEs that are read, or cleared, in one walk */
#define FORGET_BATCH	32
/* How often TCEs are looked at again that were put back */
#define FORGET_ROUNDS	8

/**
 * struct suspect - a TCE that may have to be cleared
 * @index: where it is in the window
 * @tce: the TCE; 0 if it need not be cleared, which is never in a list
 * @origin: its origin
 */
struct suspect {
	unsigned long index;
	__be64 tce;
	u64 origin;
};

/**
 * struct spapr_tce_suspects - TCEs of a window that may have to be cleared
 * @count: how many there are
 * @list: by index
 */
struct spapr_tce_suspects {
	unsigned long count;
	struct suspect list[SPAPR_TCE_LIST_MAX];
};

/* Allocate the window's list, as forgetting cannot fail. 0 or -ENOMEM */
int spapr_tce_suspects_init(struct spapr_tce_window *window)
{
	window->suspects = kvzalloc_obj(*window->suspects, GFP_KERNEL_ACCOUNT);
	return window->suspects ? 0 : -ENOMEM;
}

/* Read a TCE, then its origin, which is at least as new */
static struct suspect look_at(const struct spapr_tce_loss *loss,
			      unsigned long index, const __be64 *at,
			      const u64 *origin)
{
	struct suspect seen = { .index = index, .tce = READ_ONCE(*at) };

	if (!seen.tce)
		return seen;
	/* Walks that have stored a TCE and ended have stored its origin, too */
	smp_rmb();
	seen.origin = READ_ONCE(*origin);
	if (!is_lost(loss, seen.origin) &&
	    !contradicts(loss->window, seen.origin, be64_to_cpu(seen.tce)))
		seen.tce = 0;
	return seen;
}

/* Add the suspects of @npages TCEs to the list, which has room for them */
static void find_suspects(const struct spapr_tce_loss *loss,
			  unsigned long index, const u64 *origin,
			  unsigned long npages)
{
	struct spapr_tce_suspects *suspects = loss->window->suspects;
	__be64 *at;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	at = spapr_tce_address(loss->window, index);
	for (unsigned long i = 0; at && i < npages; i++) {
		struct suspect seen = look_at(loss, index + i, &at[i],
					      &origin[i]);

		if (seen.tce)
			suspects->list[suspects->count++] = seen;
	}
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
}

/*
 * Clear one that has not changed. If only its origin has, a walk is about to
 * store the TCE that belongs to that. Return true if the TCE had to be put back.
 */
static bool clear_suspect(const struct spapr_tce_loss *loss,
			  const struct suspect *suspect)
{
	u64 *origin = spapr_sparse_find(&loss->window->origins, suspect->index);
	u64 *at = (u64 *)spapr_tce_address(loss->window, suspect->index);
	const u64 old = (__force u64)suspect->tce;
	struct suspect now;
	u64 newest;

	now = look_at(loss, suspect->index, (__be64 *)at, origin);
	if (now.tce != suspect->tce || cmpxchg(at, old, 0) != old)
		return false;

	newest = READ_ONCE(*origin);
	if (newest == now.origin) {
		if (newest == suspect->origin)
			cmpxchg(origin, newest, SPAPR_TCE_CLEARED);
		return false;
	}
	if (is_lost(loss, newest) ||
	    contradicts(loss->window, newest, be64_to_cpu(suspect->tce)))
		return false;
	return !cmpxchg(at, 0, old);
}

/* Count the first suspects that are no further apart than the TCEs of one walk */
static unsigned long suspects_together(const struct suspect *suspects,
				       unsigned long count)
{
	unsigned long n = 1;

	while (n < count &&
	       suspects[n].index - suspects[0].index < FORGET_BATCH)
		n++;
	return n;
}

/* Clear the suspects that have not changed. Those that were put back remain */
static void clear_suspects(const struct spapr_tce_loss *loss)
{
	struct spapr_tce_suspects *suspects = loss->window->suspects;
	unsigned long n, remaining = 0;

	if (!suspects->count)
		return;

	spapr_tce_quiesce();
	for (unsigned long i = 0; i < suspects->count; i += n) {
		const struct suspect *first = &suspects->list[i];
		unsigned long index = first->index;
		unsigned long last;

		n = suspects_together(first, suspects->count - i);
		last = first[n - 1].index;
		spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
		for (unsigned long j = 0; j < n; j++)
			if (clear_suspect(loss, &first[j]))
				suspects->list[remaining++] = first[j];
		spapr_tce_kill(loss->window, index, last - index + 1);
		spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
		cond_resched();
	}
	suspects->count = remaining;
}

/* At the end, all of them. One that a guest puts again each time stays */
static void clear_all_suspects(const struct spapr_tce_loss *loss)
{
	struct spapr_tce_suspects *suspects = loss->window->suspects;

	for (int i = 0; suspects->count && i < FORGET_ROUNDS; i++)
		clear_suspects(loss);
	suspects->count = 0;
}

/*
 * struct spapr_tce_kind::forget of a table in memory: gathers suspects, which
 * spapr_tce_window_forget() clears in the end
 */
long spapr_tce_forget_in_memory(const struct spapr_tce_loss *loss,
				unsigned long index, u64 *origin,
				unsigned long npages)
{
	struct spapr_tce_suspects *suspects = loss->window->suspects;

	find_suspects(loss, index, origin, npages);
	if (suspects->count > SPAPR_TCE_LIST_MAX - FORGET_BATCH)
		clear_all_suspects(loss);

	return 0;
}

/*
 * struct spapr_tce_kind::forget of a table of the hypervisor. Here TCEs and
 * origins change together. Of a window that is lost it is not known what its TCEs
 * point to, so all of them are cleared. A TCE that the hypervisor does not clear
 * keeps its origin.
 */
long spapr_tce_forget_of_hv(const struct spapr_tce_loss *loss,
			    unsigned long index, u64 *origin,
			    unsigned long npages)
{
	struct spapr_tce_window *window = loss->window;
	raw_spinlock_t *lock = spapr_tce_window_lock(window, index);
	unsigned long flags;
	long ret = 0;
	bool lost;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	raw_spin_lock_irqsave(lock, flags);
	/* A put that failed has cleared the origins of what it was replacing */
	lost = READ_ONCE(window->lost);
	for (unsigned long i = 0; i < npages; i++) {
		long err;

		if (!lost && !is_lost(loss, origin[i]))
			continue;
		err = spapr_tce_window_clear_list(window, index + i, 1);
		if (err)
			ret = ret ?: err;
		else
			WRITE_ONCE(origin[i], 0);
	}
	raw_spin_unlock_irqrestore(lock, flags);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

/**
 * spapr_tce_window_forget() - clear the TCEs that point to memory
 * @window: a window of spapr_tce_window_create_by_gpa()
 * @start: first address of the memory in @pages, where it is no more
 * @last: last address
 *
 * When this returns 0, the device does not reach the memory by this window. The
 * cost grows with what is populated.
 *
 * After an error the device may reach the memory until the hypervisor has taken
 * the table away from the group, which is when the caller detaches the window.
 * The error is reported, and the window is lost: no TCE is put any more, and each
 * further call tries again to clear all that are left. Nothing short of detaching
 * the window stops the device: it is given to a user, who can make it a bus master
 * again. A caller that cannot detach the window keeps the memory from being
 * allocated to others.
 *
 * Context: process context, may sleep; one caller at a time; after
 *	spapr_tce_quiesce(). Walks may write the window meanwhile.
 * Return: 0, or the first error of a hypervisor's table.
 */
long spapr_tce_window_forget(struct spapr_tce_window *window, u64 start,
			     u64 last)
{
	const struct spapr_tce_loss loss = {
		.window = window, .start = start, .last = last,
	};
	unsigned long index = 0, end = window->npages;
	long ret = 0;
	u64 *origin;

	while (index < end &&
	       (origin = spapr_sparse_next_leaf(&window->origins, &index,
						end - 1))) {
		unsigned long run = spapr_sparse_leaf_run(index, end - index);
		long err;

		run = min(run, FORGET_BATCH - index % FORGET_BATCH);
		err = window->kind->forget(&loss, index, origin, run);
		ret = ret ?: err;
		index += run;
		cond_resched();
	}

	clear_all_suspects(&loss);
	/* A walk that cleared or replaced a TCE invalidates it before it ends */
	spapr_tce_quiesce();

	if (ret) {
		WRITE_ONCE(window->lost, true);
		pr_warn_ratelimited("a device may reach memory that a guest has lost: error %ld\n",
				    ret);
	}

	return ret;
}
