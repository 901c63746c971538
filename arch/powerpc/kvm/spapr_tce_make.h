/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turning a guest's TCEs into those of a DMA window
 *
 * A guest's TCE names a guest page. The guest's memory slots give that page a
 * user address, and the engine's registered memory gives the user address a
 * host page, which goes into the window. Both look-ups happen inside one walk,
 * which keeps what they found until the window has been written. Of a window on
 * a guest's memory (spapr_tce_window::by_gpa) the engine knows the host page of a
 * guest page by itself; what the slots say does not matter.
 *
 * The functions are inlined into each place that answers hypercalls and depend
 * on none of them.
 */
#ifndef _POWERPC_KVM_SPAPR_TCE_MAKE_H
#define _POWERPC_KVM_SPAPR_TCE_MAKE_H

#include <linux/log2.h>
#include <linux/uaccess.h>

#include <asm/extable.h>

#include "spapr_tce.h"

/*
 * Memory slots. kvm_arch_memslots_updated() waits for walks, so they read the
 * present set of slots without SRCU.
 */
static __always_inline struct kvm_memslots *tce_memslots(struct kvm *kvm)
{
	return rcu_dereference_raw_check(kvm->memslots[0]);
}

/* Is a remembered slot one of the present set? */
static __always_inline bool
tce_slot_valid(struct kvm *kvm, const struct kvmppc_spapr_tce_slot *slot)
{
	return slot->generation == tce_memslots(kvm)->generation;
}

/* The address by which a window on a guest's memory has it; no speculation */
static __always_inline bool tce_gpa(unsigned long *gpa)
{
	bool beyond = spapr_mem_beyond(*gpa);

	*gpa &= TASK_SIZE_USER64 - 1;
	return !beyond;
}

/* Do @npages from @gfn on lie in the slot? */
static __always_inline bool
tce_slot_has(const struct kvmppc_spapr_tce_slot *slot, gfn_t gfn,
	     unsigned long npages)
{
	const gfn_t first = gfn - slot->base_gfn;

	if (first >= slot->npages)
		return false;
	return npages == 1 || npages <= slot->npages - first;
}

/* User address of a guest address that lies in the slot */
static __always_inline unsigned long
tce_slot_to_ua(const struct kvmppc_spapr_tce_slot *slot, unsigned long gpa)
{
	gfn_t first = (gpa >> PAGE_SHIFT) - slot->base_gfn;

	/* The guest chose it: no speculation outside the guest's memory */
	first &= array_index_mask_nospec(first, slot->npages);
	return slot->ua + (first << PAGE_SHIFT) + (gpa & ~PAGE_MASK);
}

/*
 * Make @slot the one in which @npages from @gfn on lie. gfn_to_memslot() would
 * write a cache line that all vCPUs share.
 */
static __always_inline bool
tce_find_slot(struct kvm *kvm, struct kvmppc_spapr_tce_slot *slot, gfn_t gfn,
	      unsigned long npages)
{
	struct kvm_memory_slot *found;
	struct kvm_memslots *slots;

	if (likely(tce_slot_has(slot, gfn, npages)))
		return true;

	slots = tce_memslots(kvm);
	found = search_memslots(slots, gfn, false);
	if (!found || found->flags & KVM_MEMSLOT_INVALID)
		return false;

	slot->generation = slots->generation;
	slot->base_gfn = found->base_gfn;
	slot->npages = found->npages;
	slot->ua = found->userspace_addr;
	return tce_slot_has(slot, gfn, npages);
}

/* The slot that a vCPU used last, as a start; one without pages if that is old */
static __always_inline struct kvmppc_spapr_tce_slot
tce_last_slot(struct kvm *kvm, const struct kvmppc_spapr_tce_slot *last)
{
	struct kvmppc_spapr_tce_slot slot = *last;

	if (!tce_slot_valid(kvm, last))
		slot.npages = 0;
	return slot;
}

/**
 * tce_check() - check that user space can translate TCEs
 * @table: a table without a link
 * @last: memory slot that was used last, in and out
 * @tces: the guest's TCEs
 * @npages: how many
 *
 * Context: any, inside a walk.
 * Return: false if one with permissions names no page of guest memory.
 */
static __always_inline bool
tce_check(const struct kvmppc_spapr_tce_table *table,
	  struct kvmppc_spapr_tce_slot *last, const u64 *tces,
	  unsigned long npages)
{
	struct kvmppc_spapr_tce_slot slot = tce_last_slot(table->kvm, last);
	const unsigned long mask = table->page_mask & ~SPAPR_TCE_PERM;
	struct kvm *kvm = table->kvm;
	unsigned long i;

	for (i = 0; i < npages; i++) {
		if (!(tces[i] & SPAPR_TCE_PERM))
			continue;
		if (tces[i] & mask ||
		    !tce_find_slot(kvm, &slot, tces[i] >> PAGE_SHIFT, 1))
			return false;
	}

	*last = slot;
	return true;
}

/**
 * struct tce_maker - state of turning a guest's TCEs into a window's
 * @kvm: the guest
 * @perm: the window's permission bits for the guest's
 * @guest_mask: bits of a TCE that are an address within a page of the table
 * @window_mask: bits of an address within a page of the window
 * @host_pages: host pages in a page of the table
 * @by_gpa: as the window has it
 * @slot: memory slot of the last TCE
 * @cursor: where its page was found
 * @gfn: guest page of the last TCE, if no page is larger than the host's
 * @ua: user address of that page
 * @hpa: host address of that page
 *
 * A local variable whose address stays in inline functions: the compiler keeps
 * it in registers, and stores to a list can't change it.
 */
struct tce_maker {
	struct kvm *kvm;
	const u8 *perm;
	unsigned long guest_mask;
	unsigned long window_mask;
	unsigned long host_pages;
	bool by_gpa;
	struct kvmppc_spapr_tce_slot slot;
	struct spapr_mem_cursor cursor;
	gfn_t gfn;
	unsigned long ua;
	unsigned long hpa;
};

static __always_inline struct tce_maker
tce_maker(const struct kvmppc_spapr_tce_table *table,
	  const struct kvmppc_spapr_tce_link *link,
	  const struct kvmppc_spapr_tce_slot *last)
{
	const struct spapr_tce_window *window = link->window;

	return (struct tce_maker){
		.kvm = table->kvm,
		.perm = window->perm,
		.guest_mask = table->page_mask & ~SPAPR_TCE_PERM,
		.window_mask = window->page_mask,
		.host_pages = tce_host_pages(table),
		.by_gpa = window->by_gpa,
		.slot = tce_last_slot(table->kvm, last),
		.cursor = spapr_mem_cursor(window->pages, window->page_shift),
		.gfn = ~0UL,
	};
}

/* The address by which the engine has guest memory, or false if it is none */
static __always_inline bool
tce_maker_address(struct tce_maker *maker, unsigned long gpa,
		  unsigned long npages, unsigned long *ua)
{
	if (maker->by_gpa) {
		*ua = gpa;
		return tce_gpa(ua);
	}

	if (!tce_find_slot(maker->kvm, &maker->slot, gpa >> PAGE_SHIFT, npages))
		return false;
	*ua = tce_slot_to_ua(&maker->slot, gpa);
	return true;
}

/*
 * Make @n of the window's TCEs that one of the guest's becomes, from the
 * @first on. The guest's has permissions.
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
	    !tce_maker_address(maker, gpa, maker->host_pages, &ua))
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
 * Make the one TCE that one of the guest's becomes where no page is larger than
 * the host's. The guest's has permissions. Neighbours in a list are often parts
 * of one host page, which is looked up once.
 */
static __always_inline bool
tce_make_within_page(struct tce_maker *maker, u64 tce, struct spapr_tce *entry)
{
	const unsigned long perm = tce & SPAPR_TCE_PERM;
	const unsigned long offset = tce & ~PAGE_MASK & ~SPAPR_TCE_PERM;
	const gfn_t gfn = tce >> PAGE_SHIFT;

	if (unlikely(tce & maker->guest_mask))
		return false;

	if (unlikely(gfn != maker->gfn)) {
		if (!tce_maker_address(maker, tce & PAGE_MASK, 1, &maker->ua))
			return false;
		if (!spapr_mem_next_to_phys(&maker->cursor, maker->ua,
					    &maker->hpa))
			return false;
		maker->gfn = gfn;
	}

	entry->origin = maker->ua | offset | perm;
	entry->tce = maker->hpa | offset | maker->perm[perm];
	return true;
}

/**
 * tce_make_list() - make a window's TCEs from a list of the guest's
 * @table: the table that they are for
 * @link: the window
 * @last: memory slot that was used last, in and out
 * @tces: the guest's TCEs; one without permissions becomes empty ones
 * @npages: how many
 * @list: where the window's are put
 * @within_page: a constant: no page of table or window is larger than the
 *	host's, and each TCE becomes one
 *
 * Context: any, inside the walk that is going to write them.
 * Return: false if one of them can't be made.
 */
static __always_inline bool
tce_make_list(const struct kvmppc_spapr_tce_table *table,
	      const struct kvmppc_spapr_tce_link *link,
	      struct kvmppc_spapr_tce_slot *last, const u64 *tces,
	      unsigned long npages, struct spapr_tce *list,
	      const bool within_page)
{
	const unsigned long subpages =
		within_page ? 1 : 1UL << link->subpage_shift;
	/* An initialiser would be memset(), whose KASAN needs virtual mode */
	struct tce_maker maker __uninitialized;
	unsigned long i, n;

	maker = tce_maker(table, link, last);
	for (i = 0; i < npages; i++, list += subpages) {
		if (likely(tces[i] & SPAPR_TCE_PERM)) {
			if (within_page ?
			    !tce_make_within_page(&maker, tces[i], list) :
			    !tce_make_part(&maker, tces[i], 0, subpages, list))
				return false;
			continue;
		}
		for (n = 0; n < subpages; n++) {
			list[n].origin = SPAPR_TCE_CLEARED;
			list[n].tce = 0;
		}
	}

	*last = maker.slot;
	return true;
}

/*
 * What is added to a guest's TCE to make one of a window and its origin. It is
 * the same for all with these permissions in one of the host's pages.
 */
struct tce_delta {
	unsigned long origin;
	unsigned long tce;
};

/*
 * Can @tce, which has permissions, be put? @slot has to have its page, where the
 * window is not on the guest's memory.
 */
static __always_inline bool
tce_find_delta(const struct spapr_tce_window *window,
	       const struct kvmppc_spapr_tce_slot *slot, u64 tce,
	       struct tce_delta *delta)
{
	const unsigned long page = tce & PAGE_MASK, perm = tce & SPAPR_TCE_PERM;
	unsigned long ua = page, hpa;

	if (unlikely(window && window->by_gpa)) {
		if (!tce_gpa(&ua))
			return false;
	} else {
		if (!tce_slot_has(slot, tce >> PAGE_SHIFT, 1))
			return false;
		if (!window)
			return true;
		ua = tce_slot_to_ua(slot, page);
	}
	if (!spapr_mem_to_phys(window->pages, ua, window->page_shift, &hpa))
		return false;

	delta->origin = ua - page;
	delta->tce = (hpa | window->perm[perm]) - (page | perm);
	return true;
}

/*
 * Read a TCE of a list in pinned guest memory. One that has a memory error reads
 * as one that is never made: the load is skipped then (EX_TABLE()).
 */
static __always_inline u64 tce_read_list(const __be64 *from)
{
	u64 tce = ~0UL;

#ifdef __LITTLE_ENDIAN__
	asm volatile("1:	ldbrx	%0,%y1\n"
#else
	asm volatile("1:	ldx	%0,%y1\n"
#endif
		     "2:\n"
		     EX_TABLE(1b, 2b)
		     : "+r" (tce) : "Z" (*from));
	return tce;
}

/* What a TCE shares with its neighbours: page of the host and permissions */
static __always_inline u64 tce_key(u64 tce)
{
	/* As one field, which one instruction extracts */
	return ror64(tce, PAGE_SHIFT) & GENMASK(65 - PAGE_SHIFT, 0);
}

/*
 * Make the TCEs of one window from a few of the guest's where no page is larger
 * than the host's. The list is in pinned guest memory and is read once, into
 * @tces. Without a window they are only checked.
 */
static __always_inline bool
tce_make_few(const struct kvmppc_spapr_tce_table *table,
	     const struct spapr_tce_window *window,
	     const struct kvmppc_spapr_tce_slot *slot, const __be64 *from,
	     unsigned long npages, u64 *tces, struct spapr_tce *list)
{
	const unsigned long mask = table->page_mask & ~SPAPR_TCE_PERM;
	struct tce_delta delta = {};
	unsigned long i = 0;
	/* tce_key() of no TCE */
	u64 key = ~0UL, stray = 0;

	do {
		const u64 tce = tce_read_list(&from[i]);

		tces[i] = tce;
		if (unlikely(tce_key(tce) != key)) {
			if (!(tce & SPAPR_TCE_PERM)) {
				if (window) {
					list[i].origin = SPAPR_TCE_CLEARED;
					list[i].tce = 0;
				}
				continue;
			}
			if (!tce_find_delta(window, slot, tce, &delta))
				return false;
			key = tce_key(tce);
		}
		stray |= tce;
		if (window) {
			list[i].origin = tce + delta.origin;
			list[i].tce = tce + delta.tce;
		}
	} while (++i < npages);

	return !(stray & mask);
}

/* Where a list is, as the guest has it and by the guest's memory slots */
struct tce_list {
	unsigned long gpa;
	unsigned long ua;
};

/* H_PUT_TCE_INDIRECT: the checks before the list is read, and where it is */
static __always_inline long
tce_find_list(struct kvm_vcpu *vcpu, const struct kvmppc_spapr_tce_table *table,
	      unsigned long ioba, unsigned long gpa, unsigned long npages,
	      unsigned long *index, struct tce_list *list)
{
	struct kvmppc_spapr_tce_slot *last = &vcpu->arch.spapr_tce_slot, slot;

	if (npages > SPAPR_TCE_LIST_MAX || gpa & (SZ_4K - 1) ||
	    !tce_index(table, ioba, npages, index))
		return H_PARAMETER;

	slot = tce_last_slot(vcpu->kvm, last);
	if (!tce_find_slot(vcpu->kvm, &slot, gpa >> PAGE_SHIFT, 1))
		return H_TOO_HARD;

	list->gpa = gpa;
	list->ua = tce_slot_to_ua(&slot, gpa);
	*last = slot;
	return H_SUCCESS;
}

/*
 * Where a list in pinned guest memory is, or NULL. It does not cross 4 KiB.
 * @window is one of the table's, or NULL.
 */
static __always_inline const __be64 *
tce_pinned_list(const struct kvmppc_spapr_tce_table *table,
		const struct spapr_tce_window *window,
		const struct tce_list *list)
{
	const struct spapr_sparse *pages = &table->mem->pages;
	unsigned long address = list->ua, hpa;

	if (unlikely(window && window->by_gpa)) {
		pages = window->pages;
		address = list->gpa;
		if (!tce_gpa(&address))
			return NULL;
	}
	if (!spapr_mem_to_phys(pages, address, ilog2(SZ_4K), &hpa))
		return NULL;

	return __va(hpa);
}

/*
 * The same of a list that begins at guest address @gpa in the memory slot that the
 * vCPU used last
 */
static __always_inline const __be64 *
tce_remembered_list(struct kvm_vcpu *vcpu,
		    const struct kvmppc_spapr_tce_table *table,
		    const struct spapr_tce_window *window, unsigned long gpa)
{
	const struct kvmppc_spapr_tce_slot *slot = &vcpu->arch.spapr_tce_slot;
	struct tce_list list;

	if (!tce_slot_valid(vcpu->kvm, slot) ||
	    !tce_slot_has(slot, gpa >> PAGE_SHIFT, 1))
		return NULL;

	list.gpa = gpa;
	list.ua = tce_slot_to_ua(slot, gpa);
	return tce_pinned_list(table, window, &list);
}

/*
 * Copy a list from pinned guest memory. A memory error there is no error of the
 * host, where its machine check handler runs. False if the memory is not pinned
 * or fails.
 */
static __always_inline bool
tce_copy_list(const struct kvmppc_spapr_tce_table *table,
	      const struct tce_list *list, unsigned long npages, u64 *tces)
{
	const __be64 *from;
	unsigned long i;

	from = tce_pinned_list(table, READ_ONCE(table->window), list);
	if (!from || copy_mc_to_kernel(tces, from, npages * sizeof(*tces)))
		return false;

	for (i = 0; i < npages; i++)
		be64_to_cpus(&tces[i]);
	return true;
}

#endif /* _POWERPC_KVM_SPAPR_TCE_MAKE_H */
