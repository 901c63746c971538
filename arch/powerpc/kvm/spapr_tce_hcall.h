/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TCE hypercalls (LoPAPR 14.5.4.2), written once for all modes
 *
 * Everything is inlined into functions for one place each, with the place as a
 * constant: spapr_tce_hcall.c for the host kernel proper,
 * spapr_tce_exit.c for real mode and for the moment after a guest's
 * exit. A function here runs inside one walk of the engine and either answers
 * the guest or changes nothing and says who can go on:
 *
 *	H_TOO_HARD	the next place, which begins anew; after virtual mode
 *			user space
 *	H_TCE_UNREADY	virtual mode, after it has populated what is missing
 *	H_TCE_FROZEN	virtual mode, after it has waited for a link that is
 *			being made
 *	H_TCE_SPLIT	virtual mode, in several walks
 *
 * A list in guest memory is read once, into the vCPU's buffer: the guest may
 * change it meanwhile, so what has been checked must be what is used. All of a
 * request is checked before anything is written; then the windows are written,
 * one invalidation a walk and window, and the guest's view. Where a window
 * fails midway (a hypervisor's; or memory whose registration ended between two
 * links) what the walk was to write is cleared everywhere, and user space
 * begins anew with the whole request.
 *
 * Most requests are for one TCE of a table with one link at most. They go
 * straight, with nothing on their way that others need (tce_put_one()); what
 * does not fit begins anew on the general way.
 *
 * A value without permission bits clears a TCE, whatever its other bits say;
 * the guest's view keeps it, so that poison can be told from zero.
 */
#ifndef _POWERPC_KVM_SPAPR_TCE_HCALL_H
#define _POWERPC_KVM_SPAPR_TCE_HCALL_H

#include <asm/hvcall.h>

#include "spapr_tce.h"

/* Beyond every return code of LoPAPR and H_TOO_HARD: the guest never sees it */
#define H_TCE_UNREADY	(H_TOO_HARD + 1)
#define H_TCE_SPLIT	(H_TOO_HARD + 2)
#define H_TCE_FROZEN	(H_TOO_HARD + 3)

static __always_inline enum spapr_tce_mode tce_mode(enum kvmppc_tce_end place)
{
	switch (place) {
	case TCE_END_REAL:
		return SPAPR_TCE_REAL;
	case TCE_END_EARLY:
		return SPAPR_TCE_EARLY;
	default:
		return SPAPR_TCE_VIRTUAL;
	}
}

/* Tables that are looked at where nobody else runs meanwhile on the CPU */
#define TCE_TABLES_MAX	256

static __always_inline bool
tce_find_table(struct kvm *kvm, unsigned long liobn, enum kvmppc_tce_end place,
	       struct kvmppc_spapr_tce_table **found)
{
	const struct list_head *head = &kvm->arch.spapr_tce_tables;
	const struct list_head *at = READ_ONCE(head->next);
	unsigned int nr = 0;

	if (unlikely(at == head))
		return false;

	/* As a rule it is the first, or else the second */
	*found = list_entry(at, struct kvmppc_spapr_tce_table, list);
	while (unlikely((*found)->liobn != liobn)) {
		at = READ_ONCE(at->next);
		if (at == head || (place != TCE_END_VIRTUAL &&
				   ++nr == TCE_TABLES_MAX))
			return false;
		*found = list_entry(at, struct kvmppc_spapr_tce_table, list);
	}

	return true;
}

static __always_inline struct kvmppc_spapr_tce_table *
tce_table(struct kvm *kvm, unsigned long liobn, enum kvmppc_tce_end place)
{
	struct kvmppc_spapr_tce_table *table;

	return tce_find_table(kvm, liobn, place, &table) ? table : NULL;
}

/* array_index_nospec() at half the price: 0 for what is not below @size */
static __always_inline unsigned long tce_nospec(unsigned long index,
						unsigned long size)
{
	unsigned long mask;

	/* The borrow of index - size, as a mask */
	asm("subfc %0,%2,%1\n\tsubfe %0,%0,%0"
	    : "=&r" (mask) : "r" (index), "r" (size) : "xer");
	return index & mask;
}

/* Index of a bus address, false if the range is not in the table */
static __always_inline bool
tce_index(const struct kvmppc_spapr_tce_table *table, unsigned long ioba,
	  unsigned long npages, unsigned long *index)
{
	unsigned long first = (ioba >> table->page_shift) - table->offset;

	if (ioba & table->page_mask)
		return false;
	/* An address below the offset has wrapped to beyond any size */
	if (__builtin_constant_p(npages) && npages == 1) {
		if (first >= table->size)
			return false;
	} else if (first > table->size || npages > table->size - first) {
		return false;
	}

	/* The guest chose it: no speculation outside the table */
	*index = tce_nospec(first, table->size);
	return true;
}

static __always_inline u32
tce_links_state(const struct kvmppc_spapr_tce_table *table)
{
	/* Pairs with the release in update_links_state() */
	return smp_load_acquire(&table->links_state);
}

/* What of the links' state hands a change of the table on */
static __always_inline long tce_may_change(u32 state, unsigned long npages,
					   enum kvmppc_tce_end place)
{
	if (place == TCE_END_VIRTUAL && state & TCE_LINKS_FROZEN)
		return H_TCE_FROZEN;
	if (state & (TCE_LINKS_FROZEN | TCE_LINKS_BY_USER))
		return H_TOO_HARD;
	if (place == TCE_END_REAL && state & TCE_LINKS_NOT_REAL)
		return H_TOO_HARD;
	if (place == TCE_END_EARLY && state & TCE_LINKS_NOT_EARLY)
		return H_TOO_HARD;
	if (npages << (state >> TCE_LINKS_SUBPAGE_SHIFT) > SPAPR_TCE_LIST_MAX)
		return H_TCE_SPLIT;

	return H_SUCCESS;
}

/* The guest's view */

static __always_inline bool
tce_view_ready(const struct kvmppc_spapr_tce_table *table, unsigned long index,
	       unsigned long npages)
{
	unsigned long nr = index >> TCE_VIEW_SHIFT;
	unsigned long last = (index + npages - 1) >> TCE_VIEW_SHIFT;

	/* A walk's TCEs lie in two pages at most */
	return READ_ONCE(table->view[nr]) &&
	       (nr == last || READ_ONCE(table->view[last]));
}

static __always_inline unsigned long tce_view_run(unsigned long index,
						  unsigned long npages)
{
	return min(npages, TCE_VIEW_TCES - (index & (TCE_VIEW_TCES - 1)));
}

static __always_inline void
tce_view_write(struct kvmppc_spapr_tce_table *table, unsigned long index,
	       const u64 *tces, unsigned long npages)
{
	unsigned long i, run;

	for (; npages; npages -= run, index += run, tces += run) {
		u64 *view = READ_ONCE(table->view[index >> TCE_VIEW_SHIFT]);

		run = tce_view_run(index, npages);
		view += index & (TCE_VIEW_TCES - 1);
		for (i = 0; i < run; i++)
			WRITE_ONCE(view[i], tces[i]);
	}
}

static __always_inline void
tce_view_fill(struct kvmppc_spapr_tce_table *table, unsigned long index,
	      u64 value, unsigned long npages)
{
	unsigned long i, run;

	for (; npages; npages -= run, index += run) {
		u64 *view = READ_ONCE(table->view[index >> TCE_VIEW_SHIFT]);

		run = tce_view_run(index, npages);
		/* Where there is no page it reads as 0 already */
		if (!view)
			continue;
		view += index & (TCE_VIEW_TCES - 1);
		for (i = 0; i < run; i++)
			WRITE_ONCE(view[i], value);
	}
}

/* Guest addresses */

/*
 * The memory slot of a page, NULL if it can't be used. Inside a walk: see
 * kvm_arch_memslots_updated(). gfn_to_memslot() would write to a cache line
 * that all vCPUs share.
 */
static __always_inline struct kvm_memory_slot *
tce_memslot(struct kvm_memslots *slots, gfn_t gfn)
{
	struct kvm_memory_slot *slot = search_memslots(slots, gfn, false);

	return slot && !(slot->flags & KVM_MEMSLOT_INVALID) ? slot : NULL;
}

/*
 * The memory slot that was used last: its first page, how many pages a range of
 * the size asked for can begin at, and its user address
 */
struct tce_slot {
	gfn_t base_gfn;
	unsigned long nr_starts;
	unsigned long ua;
};

/* Find the slot in which @npages from @gfn on lie */
static __always_inline bool tce_find_slot(struct kvm *kvm, gfn_t gfn,
					  unsigned long npages,
					  struct tce_slot *found)
{
	struct kvm_memory_slot *slot;

	if (likely(gfn - found->base_gfn < found->nr_starts))
		return true;

	slot = tce_memslot(rcu_dereference_raw_check(kvm->memslots[0]), gfn);
	if (!slot || slot->npages < npages)
		return false;

	found->base_gfn = slot->base_gfn;
	found->nr_starts = slot->npages - npages + 1;
	found->ua = slot->userspace_addr;
	return gfn - found->base_gfn < found->nr_starts;
}

/* User address of @npages of guest memory that lie in one slot */
static __always_inline bool tce_to_ua(struct kvm *kvm, struct tce_slot *slot,
				      unsigned long gpa, unsigned long npages,
				      unsigned long *ua)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	unsigned long offset;

	if (!tce_find_slot(kvm, gfn, npages, slot))
		return false;

	/* The guest chose it: no speculation outside the guest's memory */
	offset = tce_nospec(gfn - slot->base_gfn, slot->nr_starts);
	*ua = slot->ua + (offset << PAGE_SHIFT) + (gpa & ~PAGE_MASK);
	return true;
}

/* Host pages in a TCE page */
static __always_inline unsigned long
tce_host_pages(const struct kvmppc_spapr_tce_table *table)
{
	return table->page_shift > PAGE_SHIFT ?
	       1UL << (table->page_shift - PAGE_SHIFT) : 1;
}

/* TCEs */

/* Could user space translate these? What a table without links asks. */
static __always_inline bool
tce_check(const struct kvmppc_spapr_tce_table *table, const u64 *tces,
	  unsigned long npages)
{
	const unsigned long mask = (1UL << table->page_shift) - 1;
	struct tce_slot slot = {};
	unsigned long i;

	for (i = 0; i < npages; i++) {
		unsigned long gpa = tces[i] & ~SPAPR_TCE_PERM;

		if (!(tces[i] & SPAPR_TCE_PERM))
			continue;
		if (gpa & mask ||
		    !tce_find_slot(table->kvm, gpa >> PAGE_SHIFT, 1, &slot))
			return false;
	}

	return true;
}

/**
 * struct tce_maker - what turning a guest's TCEs into a window's takes
 * @kvm: the guest
 * @perm: the window's permission bits for the guest's
 * @guest_mask: bits of a TCE that an address in a page of the table has
 * @window_mask: bits of an address within a page of the window
 * @host_pages: host pages in a page of the table
 * @slot: memory slot of the last one
 * @cursor: where its page was found
 * @gfn: its guest page, if that is one of the host's at least
 * @ua: and the user address of that page
 * @hpa: and the host's address
 *
 * All of it in registers: stores to a list can't change it.
 */
struct tce_maker {
	struct kvm *kvm;
	const u8 *perm;
	unsigned long guest_mask;
	unsigned long window_mask;
	unsigned long host_pages;
	struct tce_slot slot;
	struct spapr_mem_cursor cursor;
	gfn_t gfn;
	unsigned long ua;
	unsigned long hpa;
};

static __always_inline struct tce_maker
tce_maker(const struct kvmppc_spapr_tce_table *table,
	  const struct kvmppc_spapr_tce_link *link)
{
	const struct spapr_tce_window *window = link->window;

	return (struct tce_maker){
		.kvm = table->kvm,
		.perm = window->perm,
		.guest_mask = table->page_mask & ~SPAPR_TCE_PERM,
		.window_mask = window->page_mask,
		.host_pages = tce_host_pages(table),
		.cursor = spapr_mem_cursor(window->mem, window->page_shift),
		.gfn = ~0UL,
	};
}

/*
 * Turn @n of the window's TCEs that make up one of the guest's, from the
 * @first on, into what the window gets. The TCE has permissions.
 */
static __always_inline bool
tce_make_part(struct tce_maker *maker, u64 tce, unsigned long first,
	      unsigned long n, struct spapr_tce *list)
{
	const unsigned long perm = tce & SPAPR_TCE_PERM;
	const unsigned long gpa = tce & ~SPAPR_TCE_PERM;
	const unsigned long bits = maker->perm[perm];
	unsigned long ua, hpa;

	if (tce & maker->guest_mask ||
	    !tce_to_ua(maker->kvm, &maker->slot, gpa, maker->host_pages, &ua))
		return false;
	/* Slots are aligned to host pages, not to the window's */
	if (ua & maker->window_mask)
		return false;

	ua += first * (maker->window_mask + 1);
	do {
		if (!spapr_mem_next_to_phys(&maker->cursor, ua, &hpa))
			return false;
		list->origin = ua | perm;
		list->tce = hpa | bits;
		list++;
		ua += maker->window_mask + 1;
	} while (--n);

	return true;
}

/*
 * Turn one of the guest's TCEs into the one that the window gets, where no page
 * is larger than the host's. It has permissions. Neighbours in a list are often
 * parts of one of the host's pages, which is looked up once.
 */
static __always_inline bool
tce_make_small(struct tce_maker *maker, u64 tce, struct spapr_tce *entry)
{
	const unsigned long perm = tce & SPAPR_TCE_PERM;
	const unsigned long offset = tce & ~PAGE_MASK & ~SPAPR_TCE_PERM;
	const gfn_t gfn = tce >> PAGE_SHIFT;

	if (unlikely(tce & maker->guest_mask))
		return false;

	if (unlikely(gfn != maker->gfn)) {
		if (!tce_to_ua(maker->kvm, &maker->slot, tce & PAGE_MASK, 1,
			       &maker->ua) ||
		    !spapr_mem_next_to_phys(&maker->cursor, maker->ua,
					    &maker->hpa))
			return false;
		maker->gfn = gfn;
	}

	entry->origin = maker->ua | offset | perm;
	entry->tce = maker->hpa | offset | maker->perm[perm];
	return true;
}

/*
 * Turn the guest's TCEs into those of a link's window, if each of them becomes
 * several or is more than one of the host's pages. One without permission
 * becomes empty ones.
 */
static noinline __maybe_unused bool
tce_make_parts(const struct kvmppc_spapr_tce_table *table,
	       const struct kvmppc_spapr_tce_link *link, const u64 *tces,
	       unsigned long npages, struct spapr_tce *list)
{
	const unsigned long subpages = 1UL << link->subpage_shift;
	struct tce_maker maker = tce_maker(table, link);
	unsigned long i, n;

	for (i = 0; i < npages; i++, list += subpages) {
		if (tces[i] & SPAPR_TCE_PERM) {
			if (!tce_make_part(&maker, tces[i], 0, subpages, list))
				return false;
			continue;
		}
		for (n = 0; n < subpages; n++) {
			list[n].origin = 0;
			list[n].tce = 0;
		}
	}

	return true;
}

/* Turn the guest's TCEs into those of a link's window */
static __always_inline bool
tce_make(const struct kvmppc_spapr_tce_table *table,
	 const struct kvmppc_spapr_tce_link *link, const u64 *tces,
	 unsigned long npages, struct spapr_tce *list)
{
	/* Cleared, it would be by memset(), which KASAN has but in virtual mode */
	struct tce_maker maker __uninitialized;
	unsigned long i;

	if (unlikely(link->subpage_shift || table->page_shift > PAGE_SHIFT))
		return tce_make_parts(table, link, tces, npages, list);

	maker = tce_maker(table, link);
	for (i = 0; i < npages; i++, list++) {
		if (likely(tces[i] & SPAPR_TCE_PERM)) {
			if (!tce_make_small(&maker, tces[i], list))
				return false;
		} else {
			list->origin = 0;
			list->tce = 0;
		}
	}

	return true;
}

/* Take back what has been written of a request that can't be completed */
static noinline __maybe_unused void
tce_undo(struct kvmppc_spapr_tce_table *table, unsigned long index,
	 unsigned long npages, enum kvmppc_tce_end place)
{
	struct kvmppc_spapr_tce_link *link;

	list_for_each_entry_lockless(link, &table->links, node)
		spapr_tce_clear(link->window, index << link->subpage_shift,
				npages << link->subpage_shift,
				tce_mode(place));
	tce_view_fill(table, index, 0, npages);
}

/*
 * Check or write TCEs for any number of links: all are checked before the first
 * is written. No link comes during a walk; one may go.
 */
static noinline __maybe_unused long
tce_put_links(struct kvmppc_spapr_tce_table *table, unsigned long index,
	      const u64 *tces, unsigned long npages, struct spapr_tce *list,
	      bool write, enum kvmppc_tce_end place)
{
	struct kvmppc_spapr_tce_link *link;

	list_for_each_entry_lockless(link, &table->links, node) {
		if (!spapr_tce_window_ready(link->window,
					    index << link->subpage_shift,
					    npages << link->subpage_shift))
			return H_TCE_UNREADY;
		if (!tce_make(table, link, tces, npages, list))
			return H_TOO_HARD;
	}
	if (!write)
		return H_SUCCESS;

	list_for_each_entry_lockless(link, &table->links, node) {
		if (!tce_make(table, link, tces, npages, list) ||
		    spapr_tce_put(link->window, index << link->subpage_shift,
				  list, npages << link->subpage_shift,
				  tce_mode(place))) {
			tce_undo(table, index, npages, place);
			return H_TOO_HARD;
		}
	}

	return H_SUCCESS;
}

/* Write TCEs for the only link */
static __always_inline long
tce_put_link(struct kvmppc_spapr_tce_table *table,
	     struct kvmppc_spapr_tce_link *link, unsigned long index,
	     const u64 *tces, unsigned long npages, struct spapr_tce *list,
	     enum kvmppc_tce_end place)
{
	long ret;

	if (!tce_make(table, link, tces, npages, list))
		return H_TOO_HARD;

	ret = spapr_tce_try_put(link->window, index << link->subpage_shift,
				list, npages << link->subpage_shift,
				tce_mode(place));
	if (likely(!ret))
		return H_SUCCESS;
	if (ret == -EAGAIN)
		return H_TCE_UNREADY;

	tce_undo(table, index, npages, place);
	return H_TOO_HARD;
}

/*
 * Can these TCEs be written, and if @write, write them; after tce_may_change().
 * @list has room for what each link's window gets.
 */
static __always_inline long
tce_put_list(struct kvmppc_spapr_tce_table *table, unsigned long index,
	     const u64 *tces, unsigned long npages, struct spapr_tce *list,
	     bool write, enum kvmppc_tce_end place)
{
	struct list_head *first = READ_ONCE(table->links.next);
	long ret = H_SUCCESS;

	if (!tce_view_ready(table, index, npages))
		return H_TCE_UNREADY;

	if (first == &table->links)
		ret = tce_check(table, tces, npages) ? H_SUCCESS : H_TOO_HARD;
	else if (write && READ_ONCE(first->next) == &table->links)
		ret = tce_put_link(table,
				   list_entry(first, struct kvmppc_spapr_tce_link,
					      node),
				   index, tces, npages, list, place);
	else
		ret = tce_put_links(table, index, tces, npages, list, write,
				    place);
	if (ret || !write)
		return ret;

	tce_view_write(table, index, tces, npages);
	return H_SUCCESS;
}

/*
 * Clear TCEs, leaving a value without permission in the guest's view; after
 * tce_may_change()
 */
static __always_inline long
tce_fill(struct kvmppc_spapr_tce_table *table, unsigned long index, u64 value,
	 unsigned long npages, enum kvmppc_tce_end place)
{
	struct kvmppc_spapr_tce_link *link;
	bool failed = false;

	if (value && !tce_view_ready(table, index, npages))
		return H_TCE_UNREADY;

	list_for_each_entry_lockless(link, &table->links, node)
		if (spapr_tce_clear(link->window, index << link->subpage_shift,
				    npages << link->subpage_shift,
				    tce_mode(place)))
			failed = true;
	if (failed)
		return H_TOO_HARD;

	tce_view_fill(table, index, value, npages);
	return H_SUCCESS;
}

/* Hypercalls */

static __always_inline long
tce_count(struct kvmppc_spapr_tce_table *table, enum kvmppc_tce_hcall hcall,
	  long ret, unsigned long npages, enum kvmppc_tce_end place)
{
	struct kvmppc_tce_counts *counts;
	unsigned int end;

	if (ret == H_SUCCESS)
		end = place;
	else if (ret < 0)
		end = TCE_END_REFUSED;
	else if (ret == H_TOO_HARD && place == TCE_END_VIRTUAL)
		end = TCE_END_USER;
	else
		return ret;

	counts = &table->counts[raw_smp_processor_id()];
	counts->requests[hcall][end]++;
	if (hcall != TCE_HCALL_GET && hcall != TCE_HCALL_PUT)
		counts->tces[hcall][end] += npages;
	return ret;
}

/* Remember the slot of a page of guest memory, and for which set of slots */
static __always_inline void tce_note_slot(struct kvm_vcpu *vcpu,
					  unsigned long gpa)
{
	struct kvmppc_spapr_tce_slot *last = &vcpu->arch.spapr_tce_slot;
	struct kvm_memory_slot *slot;
	struct kvm_memslots *slots;

	slots = rcu_dereference_raw_check(vcpu->kvm->memslots[0]);
	slot = tce_memslot(slots, gpa >> PAGE_SHIFT);
	if (!slot)
		return;

	last->generation = slots->generation;
	last->base_gfn = slot->base_gfn;
	last->npages = slot->npages;
	last->ua = slot->userspace_addr;
}

/* User address of a page of guest memory, if the vCPU used its slot last */
static __always_inline bool tce_page_to_ua(struct kvm_vcpu *vcpu,
					   unsigned long gpa, unsigned long *ua)
{
	struct kvmppc_spapr_tce_slot *last = &vcpu->arch.spapr_tce_slot;
	const gfn_t gfn = gpa >> PAGE_SHIFT;
	struct kvm_memslots *slots;
	gfn_t offset;

	slots = rcu_dereference_raw_check(vcpu->kvm->memslots[0]);
	if (unlikely(last->generation != slots->generation ||
		     gfn - last->base_gfn >= last->npages))
		return false;

	/* The guest chose it: no speculation outside the guest's memory */
	offset = tce_nospec(gfn - last->base_gfn, last->npages);
	*ua = last->ua + (offset << PAGE_SHIFT) + (gpa & ~PAGE_MASK);
	return true;
}

/*
 * Put, or clear, a TCE of a table that is not TCE_LINKS_GENERAL. False, and
 * nothing has changed, where the general way has to find out what is the
 * matter.
 */
static __always_inline bool
tce_put_one(struct kvm_vcpu *vcpu, struct kvmppc_spapr_tce_table *table,
	    unsigned long index, u64 tce, enum kvmppc_tce_end place)
{
	struct spapr_tce_window *window = READ_ONCE(table->window);
	u64 *view = READ_ONCE(table->view[index >> TCE_VIEW_SHIFT]);
	const unsigned long perm = tce & SPAPR_TCE_PERM;
	unsigned long ua = 0;

	if (unlikely(!view))
		return false;

	if (perm && (unlikely(tce & table->page_mask & ~SPAPR_TCE_PERM) ||
		     !tce_page_to_ua(vcpu, tce & ~SPAPR_TCE_PERM, &ua)))
		return false;
	if (window && !spapr_tce_write_one(window, index, ua, perm))
		return false;

	WRITE_ONCE(view[index & (TCE_VIEW_TCES - 1)], tce);
	tce_count(table, TCE_HCALL_PUT, H_SUCCESS, 1, place);
	/* Last, as it is the one that calls: nothing is kept over it */
	if (window)
		spapr_tce_kill_one(window, index, tce_mode(place));
	return true;
}

/* H_PUT_TCE of an address in the table, on the general way */
static noinline __maybe_unused long
tce_put_general(struct kvm_vcpu *vcpu, struct kvmppc_spapr_tce_table *table,
		unsigned long index, u64 tce, u32 state,
		enum kvmppc_tce_end place)
{
	struct kvmppc_spapr_tce_buffer *buffer;
	struct spapr_tce one, *list = &one;
	long ret;

	ret = tce_may_change(state, 1, place);
	if (ret)
		goto out;

	if (!(tce & SPAPR_TCE_PERM)) {
		ret = tce_fill(table, index, tce, 1, place);
	} else {
		tce_note_slot(vcpu, tce);
		if (state >> TCE_LINKS_SUBPAGE_SHIFT) {
			buffer = vcpu->arch.spapr_tce_buffer;
			if (!buffer)
				return H_TCE_UNREADY;
			list = buffer->list;
		}
		ret = tce_put_list(table, index, &tce, 1, list, true, place);
	}

out:
	return tce_count(table, TCE_HCALL_PUT, ret, 1, place);
}

/* What of the links' state makes a single TCE a matter of the general way */
static __always_inline u32 tce_not_one(enum kvmppc_tce_end place)
{
	u32 state = TCE_LINKS_FROZEN | TCE_LINKS_BY_USER | TCE_LINKS_GENERAL;

	if (place == TCE_END_REAL)
		state |= TCE_LINKS_NOT_REAL;
	if (place == TCE_END_EARLY)
		state |= TCE_LINKS_NOT_EARLY;
	return state;
}

static __always_inline long
tce_h_put(struct kvm_vcpu *vcpu, unsigned long liobn, unsigned long ioba,
	  u64 tce, enum kvmppc_tce_end place)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	u32 state;

	if (!tce_find_table(vcpu->kvm, liobn, place, &table))
		return H_TOO_HARD;
	if (!tce_index(table, ioba, 1, &index))
		return tce_count(table, TCE_HCALL_PUT, H_PARAMETER, 1, place);

	state = tce_links_state(table);
	if (likely(!(state & tce_not_one(place))) &&
	    likely(tce_put_one(vcpu, table, index, tce, place)))
		return H_SUCCESS;

	return tce_put_general(vcpu, table, index, tce, state, place);
}

/* A piece of at most SPAPR_TCE_LIST_MAX; the caller counts */
static __always_inline long
tce_h_stuff(struct kvm_vcpu *vcpu, unsigned long liobn, unsigned long ioba,
	    u64 value, unsigned long npages, enum kvmppc_tce_end place)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	long ret;

	table = tce_table(vcpu->kvm, liobn, place);
	if (!table)
		return H_TOO_HARD;

	if (!tce_index(table, ioba, npages, &index) || value & SPAPR_TCE_PERM)
		ret = H_PARAMETER;
	else if (npages > SPAPR_TCE_LIST_MAX)
		ret = H_TCE_SPLIT;
	else
		ret = tce_may_change(tce_links_state(table), npages, place);
	if (!ret && npages)
		ret = tce_fill(table, index, value, npages, place);

	return tce_count(table, TCE_HCALL_STUFF, ret, npages, place);
}

/* The checks of a list that come before it is read */
static __always_inline long
tce_check_list(const struct kvmppc_spapr_tce_table *table, unsigned long ioba,
	       unsigned long gpa, unsigned long npages, unsigned long *ua)
{
	struct tce_slot slot = {};
	unsigned long index;

	if (npages > SPAPR_TCE_LIST_MAX || gpa & (SZ_4K - 1) ||
	    !tce_index(table, ioba, npages, &index))
		return H_PARAMETER;
	if (!tce_to_ua(table->kvm, &slot, gpa, 1, ua))
		return H_TOO_HARD;

	return H_SUCCESS;
}

static __always_inline long
tce_h_get(struct kvm_vcpu *vcpu, unsigned long liobn, unsigned long ioba,
	  enum kvmppc_tce_end place)
{
	struct kvmppc_spapr_tce_table *table;
	long ret = H_PARAMETER;
	unsigned long index;

	if (!tce_find_table(vcpu->kvm, liobn, place, &table))
		return H_TOO_HARD;

	if (tce_index(table, ioba, 1, &index)) {
		u64 *view = READ_ONCE(table->view[index >> TCE_VIEW_SHIFT]);
		u64 tce = 0;

		if (view)
			tce = READ_ONCE(view[index & (TCE_VIEW_TCES - 1)]);
		kvmppc_set_gpr(vcpu, 4, tce);
		ret = H_SUCCESS;
	}

	return tce_count(table, TCE_HCALL_GET, ret, 1, place);
}

#endif /* _POWERPC_KVM_SPAPR_TCE_HCALL_H */
