/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TCE hypercalls (LoPAPR 14.5.4.2), the same source for all places
 *
 * A place is a context in which the kernel answers a hypercall (TCE_PLACE_* in
 * spapr_tce.h). A C file for a place defines TCE_PLACE, FNAME() and, if it reads
 * lists inside a walk, TCE_COPY_LIST(), and includes this file. With TCE_BY_NUMBER
 * defined as well it gets FNAME(answer)(). A function here runs inside one walk of
 * the engine. It either answers the guest, or returns a code that says where the
 * request has to begin again (H_TOO_HARD and the codes after it, spapr_tce.h). In
 * the latter case the request's TCEs are as they were, or clear.
 *
 * A list in guest memory is read once, onto the stack or into the vCPU's buffer:
 * the guest may change it meanwhile, so what was checked must be what is used.
 * All of a request is checked before anything is written. Then the windows are
 * written, with one invalidation per walk and window, and last the guest's view.
 * If a window fails midway, because of the hypervisor or because a registration
 * of memory ended between two links, the walk's TCEs are cleared everywhere, and
 * user space begins again with the whole request.
 *
 * Most requests are for a few TCEs of a table with at most one link. They take
 * short paths of their own (put_one(), indirect_few(), stuff_few()). What does not
 * fit begins again on the general path.
 *
 * Functions that are not inlined are marked __kprobes. In real mode a trap is fatal.
 * Right after a guest's exit it would be taken in the guest's context.
 *
 * A value without permission bits clears a TCE, whatever its other bits are.
 * The guest's view keeps the value, so that poison can be told from zero.
 */

#define TCE_MODE	tce_mode(TCE_PLACE)

/* Make a window's TCEs where a page is larger than the host's, or in parts */
static noinline __kprobes bool
FNAME(make_large)(const struct kvmppc_spapr_tce_table *table,
		  const struct kvmppc_spapr_tce_link *link,
		  struct kvmppc_spapr_tce_slot *last, const u64 *tces,
		  unsigned long npages, struct spapr_tce *list)
{
	return tce_make_list(table, link, last, tces, npages, list, false);
}

static __always_inline bool
FNAME(make)(const struct kvmppc_spapr_tce_table *table,
	    const struct kvmppc_spapr_tce_link *link,
	    struct kvmppc_spapr_tce_slot *last, const u64 *tces,
	    unsigned long npages, struct spapr_tce *list)
{
	if (unlikely(link->subpage_shift || table->page_shift > PAGE_SHIFT))
		return FNAME(make_large)(table, link, last, tces, npages, list);

	return tce_make_list(table, link, last, tces, npages, list, true);
}

/* Clear what has been written of a request that can't be completed */
static noinline __kprobes void
FNAME(undo)(struct kvmppc_spapr_tce_table *table, unsigned long index,
	    unsigned long npages)
{
	struct kvmppc_spapr_tce_link *link;

	list_for_each_entry_lockless(link, &table->links, node)
		spapr_tce_clear(link->window, index << link->subpage_shift,
				npages << link->subpage_shift, TCE_MODE);
	tce_view_fill(table, index, 0, npages);
}

/* Can these TCEs be written into the window of each link? */
static noinline __kprobes long
FNAME(check_links)(struct kvmppc_spapr_tce_table *table,
		   struct kvmppc_spapr_tce_slot *last, unsigned long index,
		   const u64 *tces, unsigned long npages,
		   struct spapr_tce *list)
{
	struct kvmppc_spapr_tce_link *link;

	list_for_each_entry_lockless(link, &table->links, node) {
		if (!spapr_tce_window_ready(link->window,
					    index << link->subpage_shift,
					    npages << link->subpage_shift))
			return H_TCE_UNREADY;
		if (!FNAME(make)(table, link, last, tces, npages, list))
			return H_TOO_HARD;
	}

	return H_SUCCESS;
}

/*
 * Write TCEs into the window of each link. No link comes or goes during a walk.
 * Of several links, check_links() has checked all.
 */
static __always_inline long
FNAME(put_links)(struct kvmppc_spapr_tce_table *table,
		 struct kvmppc_spapr_tce_slot *last, unsigned long index,
		 const u64 *tces, unsigned long npages, struct spapr_tce *list)
{
	struct kvmppc_spapr_tce_link *link;
	bool written = false;
	long ret;

	list_for_each_entry_lockless(link, &table->links, node) {
		if (!FNAME(make)(table, link, last, tces, npages, list)) {
			if (written)
				FNAME(undo)(table, index, npages);
			return H_TOO_HARD;
		}

		ret = spapr_tce_try_put(link->window,
					index << link->subpage_shift, list,
					npages << link->subpage_shift,
					TCE_MODE);
		if (unlikely(ret)) {
			if (ret == -EAGAIN && !written)
				return H_TCE_UNREADY;
			FNAME(undo)(table, index, npages);
			return H_TOO_HARD;
		}
		written = true;
	}

	return H_SUCCESS;
}

/*
 * Write these TCEs; after tce_may_change(). @list has room for what each link's
 * window gets.
 */
static __always_inline long
FNAME(put_list)(struct kvmppc_spapr_tce_table *table,
		struct kvmppc_spapr_tce_slot *last, unsigned long index,
		const u64 *tces, unsigned long npages, struct spapr_tce *list)
{
	const struct list_head *first = READ_ONCE(table->links.next);
	long ret;

	if (!tce_view_ready(table, index, npages))
		return H_TCE_UNREADY;

	if (first == &table->links) {
		if (!tce_check(table, last, tces, npages))
			return H_TOO_HARD;
	} else {
		ret = H_SUCCESS;
		if (unlikely(READ_ONCE(first->next) != &table->links))
			ret = FNAME(check_links)(table, last, index, tces,
						 npages, list);
		if (!ret)
			ret = FNAME(put_links)(table, last, index, tces, npages,
					       list);
		if (ret)
			return ret;
	}

	tce_view_write(table, index, tces, npages);
	return H_SUCCESS;
}

/*
 * Clear TCEs, leaving a value without permission in the guest's view; after
 * tce_may_change()
 */
static __always_inline long
FNAME(fill)(struct kvmppc_spapr_tce_table *table, unsigned long index,
	    u64 value, unsigned long npages)
{
	struct kvmppc_spapr_tce_link *link;
	bool failed = false;

	if (value && !tce_view_ready(table, index, npages))
		return H_TCE_UNREADY;

	list_for_each_entry_lockless(link, &table->links, node)
		if (spapr_tce_clear(link->window, index << link->subpage_shift,
				    npages << link->subpage_shift, TCE_MODE))
			failed = true;
	if (failed)
		return H_TOO_HARD;

	tce_view_fill(table, index, value, npages);
	return H_SUCCESS;
}

/*
 * Short paths are for simple tables: at most one link, and none that needs more
 * than this place has
 */
static __always_inline bool FNAME(is_simple)(u32 state)
{
	return likely(!(state & (tce_links_elsewhere(TCE_PLACE) |
				 TCE_LINKS_GENERAL)));
}

/*
 * Has the hypervisor the table of a simple table's window? The window is there then
 * until the walk ends: the links are frozen and walks waited for before it is
 * cleared.
 */
static __always_inline bool FNAME(is_hv)(u32 state)
{
	return state & TCE_LINKS_HV && TCE_MODE == SPAPR_TCE_VIRTUAL;
}

/* Put TCEs into a simple table's window whose table the hypervisor has */
static __always_inline bool
FNAME(put_hv)(struct kvmppc_spapr_tce_table *table,
	      struct spapr_tce_window *window, unsigned long index,
	      const struct spapr_tce *list, unsigned long npages)
{
	long ret = spapr_tce_try_put(window, index, list, npages, TCE_MODE);

	if (likely(!ret))
		return true;
	if (ret != -EAGAIN)
		FNAME(undo)(table, index, npages);
	return false;
}

/* H_PUT_TCE of an address in the table, on the general path */
static noinline __kprobes long
FNAME(put_general)(struct kvm_vcpu *vcpu, struct kvmppc_spapr_tce_table *table,
		   unsigned long index, u64 tce, u32 state)
{
	struct kvmppc_spapr_tce_slot *slot = &vcpu->arch.spapr_tce_slot;
	struct kvmppc_spapr_tce_buffer *buffer;
	struct spapr_tce one, *list = &one;
	long ret;

	ret = tce_may_change(state, 1, TCE_PLACE);
	if (ret)
		goto out;

	if (!(tce & SPAPR_TCE_PERM)) {
		ret = FNAME(fill)(table, index, tce, 1);
	} else {
		if (state >> TCE_LINKS_SUBPAGE_SHIFT) {
			buffer = vcpu->arch.spapr_tce_buffer;
			if (!buffer)
				return H_TCE_UNREADY;
			list = buffer->list;
		}
		ret = FNAME(put_list)(table, slot, index, &tce, 1, list);
	}

out:
	return tce_count(table, TCE_HCALL_PUT, ret, 1, TCE_PLACE);
}

/* Make the one TCE of a simple table's window, or only check it without one */
static __always_inline bool
FNAME(make_one)(struct kvm_vcpu *vcpu,
		const struct kvmppc_spapr_tce_table *table,
		const struct spapr_tce_window *window, u64 tce,
		struct spapr_tce *one)
{
	const struct kvmppc_spapr_tce_slot *slot = &vcpu->arch.spapr_tce_slot;
	const unsigned long perm = tce & SPAPR_TCE_PERM;
	unsigned long ua = tce & ~SPAPR_TCE_PERM, hpa;

	if (unlikely(tce & table->page_mask & ~SPAPR_TCE_PERM))
		return false;
	if (unlikely(window && window->by_gpa)) {
		if (!tce_gpa(&ua))
			return false;
	} else {
		if (unlikely(!tce_slot_valid(vcpu->kvm, slot)) ||
		    unlikely(!tce_slot_has(slot, tce >> PAGE_SHIFT, 1)))
			return false;
		if (!window)
			return true;
		ua = tce_slot_to_ua(slot, ua);
	}
	if (unlikely(ua & window->page_mask) ||
	    !spapr_mem_to_phys(window->pages, ua, window->page_shift, &hpa))
		return false;

	one->origin = ua | perm;
	one->tce = hpa | window->perm[perm];
	return true;
}

/*
 * Clear TCEs of one leaf of a simple table's window whose table the hypervisor
 * has. Where the origins say that none is mapped, that is all: an origin is
 * cleared after its TCE.
 */
static __always_inline bool FNAME(clear_hv)(struct spapr_tce_window *window,
					    unsigned long index,
					    unsigned long npages)
{
	u64 *origin, any = READ_ONCE(window->lost);
	unsigned long i;

	if (!spapr_sparse_lookup(&window->origins, index, &origin))
		return false;
	for (i = 0; !any && i < npages; i++)
		any = READ_ONCE(origin[i]);

	return !any || !spapr_tce_clear(window, index, npages, TCE_MODE);
}

/* H_PUT_TCE of a simple table whose window's table the hypervisor has */
static noinline __kprobes bool
FNAME(put_one_hv)(struct kvm_vcpu *vcpu, struct kvmppc_spapr_tce_table *table,
		  unsigned long index, u64 tce)
{
	struct spapr_tce_window *window = READ_ONCE(table->window);
	u64 *view = tce_view_page(table, index);
	struct spapr_tce one;

	if (unlikely(!view))
		return false;

	if (!(tce & SPAPR_TCE_PERM)) {
		if (!FNAME(clear_hv)(window, index, 1))
			return false;
	} else if (!FNAME(make_one)(vcpu, table, window, tce, &one) ||
		   !FNAME(put_hv)(table, window, index, &one, 1)) {
		return false;
	}

	WRITE_ONCE(view[index & (TCE_VIEW_TCES - 1)], tce);
	tce_count(table, TCE_HCALL_PUT, H_SUCCESS, 1, TCE_PLACE);
	return true;
}

/* H_PUT_TCE of a simple table with a window in memory, or none */
static __always_inline bool
FNAME(put_one)(struct kvm_vcpu *vcpu, struct kvmppc_spapr_tce_table *table,
	       unsigned long index, u64 tce)
{
	struct spapr_tce_window *window = READ_ONCE(table->window);
	u64 *view = tce_view_page(table, index);
	struct spapr_tce one;
	u64 *origin;
	__be64 *at;

	if (unlikely(!view) ||
	    (window && !spapr_tce_find(window, index, &origin, &at)))
		return false;

	if (tce & SPAPR_TCE_PERM) {
		if (!FNAME(make_one)(vcpu, table, window, tce, &one))
			return false;
		if (window) {
			WRITE_ONCE(*origin, one.origin);
			spapr_tce_write(at, one.tce);
		}
	} else if (window) {
		if (!(READ_ONCE(*origin) | (__force u64)READ_ONCE(*at))) {
			/* Nothing to invalidate */
			window = NULL;
		} else if (likely(READ_ONCE(*origin) & SPAPR_TCE_PERM)) {
			spapr_tce_write(at, 0);
			WRITE_ONCE(*origin, SPAPR_TCE_CLEARED);
		} else {
			/* Cleared before, maybe right now on another CPU */
			return false;
		}
	}

	WRITE_ONCE(view[index & (TCE_VIEW_TCES - 1)], tce);
	tce_count(table, TCE_HCALL_PUT, H_SUCCESS, 1, TCE_PLACE);
	/* The only call comes last, so that no register is saved for it */
	if (window)
		spapr_tce_kill_few(window, index, 1, TCE_MODE);
	return true;
}

/* H_PUT_TCE */
static __always_inline long FNAME(h_put)(struct kvm_vcpu *vcpu,
					 unsigned long liobn,
					 unsigned long ioba, u64 tce)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	bool done = false;
	u32 state;

	if (!tce_find_table(vcpu->kvm, liobn, TCE_PLACE, &table))
		return H_TOO_HARD;
	if (!tce_index(table, ioba, 1, &index))
		return tce_count(table, TCE_HCALL_PUT, H_PARAMETER, 1,
				 TCE_PLACE);

	state = tce_links_state(table);
	if (FNAME(is_simple)(state))
		done = FNAME(is_hv)(state) ?
		       FNAME(put_one_hv)(vcpu, table, index, tce) :
		       FNAME(put_one)(vcpu, table, index, tce);
	if (likely(done))
		return H_SUCCESS;

	return FNAME(put_general)(vcpu, table, index, tce, state);
}

/* Is it a short range, in one leaf, hence in one page of the view? */
static __always_inline bool FNAME(is_few)(unsigned long index,
					  unsigned long npages)
{
	/* 0 is none */
	return npages - 1 < TCE_FEW && spapr_sparse_one_leaf(index, npages);
}

static __always_inline void FNAME(fill_few)(u64 *view, unsigned long index,
					    u64 value, unsigned long npages)
{
	view += index & (TCE_VIEW_TCES - 1);
#pragma GCC unroll 1
	do {
		WRITE_ONCE(*view++, value);
	} while (--npages);
}

/*
 * Stuff a few TCEs of a simple table. False where a window in memory has some,
 * or the general path has to go on.
 */
static __always_inline bool
FNAME(stuff_none)(struct kvmppc_spapr_tce_table *table, unsigned long index,
		  u64 value, unsigned long npages, u32 state)
{
	struct spapr_tce_window *window = READ_ONCE(table->window);
	u64 *view = tce_view_page(table, index), *origin;
	unsigned long n = npages;
	__be64 *at;

	if (!view || !FNAME(is_few)(index, npages))
		return false;

	if (window && FNAME(is_hv)(state)) {
		if (!FNAME(clear_hv)(window, index, npages))
			return false;
	} else if (window) {
		if (!spapr_tce_find(window, index, &origin, &at))
			return false;
#pragma GCC unroll 1
		do {
			if (READ_ONCE(*origin++) |
			    (__force u64)READ_ONCE(*at++))
				return false;
		} while (--n);
	}

	FNAME(fill_few)(view, index, value, npages);
	return true;
}

/* The same where a window in memory has some */
static __always_inline bool
FNAME(stuff_few)(struct kvmppc_spapr_tce_table *table, unsigned long index,
		 u64 value, unsigned long npages)
{
	struct spapr_tce_window *window = READ_ONCE(table->window);
	unsigned long n = npages;
	u64 *origin;
	__be64 *at;

	/* Without a page of the view only 0 can be stuffed */
	if (!window || !FNAME(is_few)(index, npages) ||
	    (value && !tce_view_page(table, index)) ||
	    !spapr_tce_find(window, index, &origin, &at))
		return false;

	do {
		u64 was = READ_ONCE(*origin);

		/*
		 * Cleared before, maybe right now on another CPU? The general
		 * path also invalidates what has been cleared here.
		 */
		if (!(was & SPAPR_TCE_PERM) &&
		    (was | (__force u64)READ_ONCE(*at)))
			return false;
		spapr_tce_write(at++, 0);
		WRITE_ONCE(*origin++, SPAPR_TCE_CLEARED);
	} while (--n);

	tce_view_fill(table, index, value, npages);
	spapr_tce_kill_few(window, index, npages, TCE_MODE);
	return true;
}

/* H_STUFF_TCE of a range in the table that stuff_none() has not answered */
static noinline __kprobes long
FNAME(stuff_some)(struct kvmppc_spapr_tce_table *table, unsigned long index,
		  u64 value, unsigned long npages, u32 state)
{
	long ret;

	if (FNAME(is_simple)(state) && !FNAME(is_hv)(state) &&
	    FNAME(stuff_few)(table, index, value, npages))
		return tce_count(table, TCE_HCALL_STUFF, H_SUCCESS, npages,
				 TCE_PLACE);

	if (npages > SPAPR_TCE_LIST_MAX)
		ret = H_TCE_SPLIT;
	else
		ret = tce_may_change(state, npages, TCE_PLACE);
	if (!ret && npages)
		ret = FNAME(fill)(table, index, value, npages);

	return tce_count(table, TCE_HCALL_STUFF, ret, npages, TCE_PLACE);
}

/* H_STUFF_TCE of at most SPAPR_TCE_LIST_MAX TCEs, else H_TCE_SPLIT */
static __always_inline long FNAME(h_stuff)(struct kvm_vcpu *vcpu,
					   unsigned long liobn,
					   unsigned long ioba, u64 value,
					   unsigned long npages)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	u32 state;

	if (!tce_find_table(vcpu->kvm, liobn, TCE_PLACE, &table))
		return H_TOO_HARD;
	if (!tce_index(table, ioba, npages, &index) || value & SPAPR_TCE_PERM)
		return tce_count(table, TCE_HCALL_STUFF, H_PARAMETER, npages,
				 TCE_PLACE);

	state = tce_links_state(table);
	if (FNAME(is_simple)(state) &&
	    FNAME(stuff_none)(table, index, value, npages, state))
		return tce_count(table, TCE_HCALL_STUFF, H_SUCCESS, npages,
				 TCE_PLACE);

	return FNAME(stuff_some)(table, index, value, npages, state);
}

/* H_GET_TCE */
static __always_inline long FNAME(h_get)(struct kvm_vcpu *vcpu,
					 unsigned long liobn,
					 unsigned long ioba)
{
	struct kvmppc_spapr_tce_table *table;
	long ret = H_PARAMETER;
	unsigned long index;

	if (!tce_find_table(vcpu->kvm, liobn, TCE_PLACE, &table))
		return H_TOO_HARD;

	if (tce_index(table, ioba, 1, &index)) {
		u64 *view = tce_view_page(table, index);
		u64 tce = 0;

		if (view)
			tce = READ_ONCE(view[index & (TCE_VIEW_TCES - 1)]);
		kvmppc_set_gpr(vcpu, 4, tce);
		ret = H_SUCCESS;
	}

	return tce_count(table, TCE_HCALL_GET, ret, 1, TCE_PLACE);
}

#ifdef TCE_COPY_LIST
/* Fetch a list once and write it */
static __always_inline long
FNAME(fetch_and_put)(struct kvm_vcpu *vcpu,
		     struct kvmppc_spapr_tce_table *table, unsigned long index,
		     const struct tce_list *list, unsigned long npages)
{
	struct kvmppc_spapr_tce_buffer *buffer = vcpu->arch.spapr_tce_buffer;
	long ret;

	ret = tce_may_change(tce_links_state(table), npages, TCE_PLACE);
	if (ret)
		return ret;
	if (!buffer || !TCE_COPY_LIST(table, list, npages, buffer->tces))
		return H_TOO_HARD;

	return FNAME(put_list)(table, &vcpu->arch.spapr_tce_slot, index,
			       buffer->tces, npages, buffer->list);
}

static __always_inline void FNAME(view_few)(u64 *view, const u64 *tces,
					    unsigned long npages)
{
	unsigned long i = npages;

#pragma GCC unroll 1
	do {
		i--;
		WRITE_ONCE(view[i], tces[i]);
	} while (i);
}

/* Put a short list into a simple table with a window in memory */
static __always_inline bool
FNAME(put_few)(const struct kvmppc_spapr_tce_table *table,
	       struct spapr_tce_window *window,
	       const struct kvmppc_spapr_tce_slot *slot, const __be64 *from,
	       unsigned long index, unsigned long npages, u64 *view)
{
	struct spapr_tce list[TCE_FEW] __uninitialized;
	u64 tces[TCE_FEW] __uninitialized;
	unsigned long i = npages;
	u64 *origin;
	__be64 *at;

	if (!tce_make_few(table, window, slot, from, npages, tces, list) ||
	    !spapr_tce_find(window, index, &origin, &at))
		return false;

	/* Backwards: the pointers are at the end */
#pragma GCC unroll 1
	do {
		i--;
		WRITE_ONCE(origin[i], list[i].origin);
		spapr_tce_write(&at[i], list[i].tce);
		WRITE_ONCE(view[i], tces[i]);
	} while (i);
	return true;
}

/* The same with a window whose table the hypervisor has */
static __always_inline bool
FNAME(put_few_hv)(struct kvmppc_spapr_tce_table *table,
		  struct spapr_tce_window *window,
		  const struct kvmppc_spapr_tce_slot *slot, const __be64 *from,
		  unsigned long index, unsigned long npages, u64 *view)
{
	struct spapr_tce list[TCE_FEW] __uninitialized;
	u64 tces[TCE_FEW] __uninitialized;

	if (!tce_make_few(table, window, slot, from, npages, tces, list) ||
	    !FNAME(put_hv)(table, window, index, list, npages))
		return false;

	FNAME(view_few)(view, tces, npages);
	return true;
}

/* The same without a window */
static __always_inline bool
FNAME(check_few)(const struct kvmppc_spapr_tce_table *table,
		 const struct kvmppc_spapr_tce_slot *slot, const __be64 *from,
		 unsigned long npages, u64 *view)
{
	u64 tces[TCE_FEW] __uninitialized;

	if (!tce_make_few(table, NULL, slot, from, npages, tces, NULL))
		return false;

	FNAME(view_few)(view, tces, npages);
	return true;
}

/*
 * H_PUT_TCE_INDIRECT of a short list for a simple table, without the vCPU's
 * buffer. False where the general path has to begin again.
 */
static __always_inline bool
FNAME(indirect_few)(struct kvm_vcpu *vcpu, struct kvmppc_spapr_tce_table *table,
		    unsigned long index, unsigned long gpa,
		    unsigned long npages, u32 state)
{
	const struct kvmppc_spapr_tce_slot *slot = &vcpu->arch.spapr_tce_slot;
	struct spapr_tce_window *window = READ_ONCE(table->window);
	const bool in_memory = window && !FNAME(is_hv)(state);
	u64 *view = tce_view_page(table, index);
	const __be64 *from;
	bool done;

	/* What lies in one leaf lies in one page of the view */
	if (!view || !spapr_sparse_one_leaf(index, npages))
		return false;
	from = tce_remembered_list(vcpu, table, window, gpa);
	if (!from)
		return false;

	view += index & (TCE_VIEW_TCES - 1);
	if (in_memory)
		done = FNAME(put_few)(table, window, slot, from, index, npages,
				      view);
	else if (window)
		done = FNAME(put_few_hv)(table, window, slot, from, index,
					 npages, view);
	else
		done = FNAME(check_few)(table, slot, from, npages, view);
	if (!done)
		return false;

	tce_count(table, TCE_HCALL_PUT_INDIRECT, H_SUCCESS, npages, TCE_PLACE);
	if (in_memory)
		spapr_tce_kill_few(window, index, npages, TCE_MODE);
	return true;
}

/* H_PUT_TCE_INDIRECT on the general path */
static noinline __kprobes long
FNAME(indirect_general)(struct kvm_vcpu *vcpu,
			struct kvmppc_spapr_tce_table *table,
			unsigned long ioba, unsigned long tce_list,
			unsigned long npages)
{
	struct tce_list list;
	unsigned long index;
	long ret;

	ret = tce_find_list(vcpu, table, ioba, tce_list, npages, &index, &list);
	if (!ret && npages)
		ret = FNAME(fetch_and_put)(vcpu, table, index, &list, npages);

	return tce_count(table, TCE_HCALL_PUT_INDIRECT, ret, npages, TCE_PLACE);
}

/* H_PUT_TCE_INDIRECT */
static __always_inline long
FNAME(h_put_indirect)(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce_list,
		      unsigned long npages)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	u32 state;

	if (!tce_find_table(vcpu->kvm, liobn, TCE_PLACE, &table))
		return H_TOO_HARD;

	/* 0 is none */
	if (npages - 1 < TCE_FEW && !(tce_list & (SZ_4K - 1)) &&
	    tce_index(table, ioba, npages, &index)) {
		state = tce_links_state(table);
		if (FNAME(is_simple)(state) &&
		    likely(FNAME(indirect_few)(vcpu, table, index, tce_list,
					       npages, state)))
			return H_SUCCESS;
	}

	return FNAME(indirect_general)(vcpu, table, ioba, tce_list, npages);
}

#ifdef TCE_BY_NUMBER
/* Not inlined: the other hypercalls need not pay for their stack frames */

static noinline __kprobes long FNAME(stuff)(struct kvm_vcpu *vcpu)
{
	const unsigned long *gpr = vcpu->arch.regs.gpr;

	return FNAME(h_stuff)(vcpu, gpr[4], gpr[5], gpr[6], gpr[7]);
}

static noinline __kprobes long FNAME(put_indirect)(struct kvm_vcpu *vcpu)
{
	const unsigned long *gpr = vcpu->arch.regs.gpr;

	return FNAME(h_put_indirect)(vcpu, gpr[4], gpr[5], gpr[6], gpr[7]);
}

/* Answer a hypercall by its number: H_TOO_HARD if that is none of these */
static __always_inline long FNAME(answer)(struct kvm_vcpu *vcpu,
					  unsigned long req)
{
	const unsigned long *gpr = vcpu->arch.regs.gpr;

	if (req == H_PUT_TCE && tce_enabled(vcpu, H_PUT_TCE))
		return FNAME(h_put)(vcpu, gpr[4], gpr[5], gpr[6]);
	if (req == H_STUFF_TCE && tce_enabled(vcpu, H_STUFF_TCE))
		return FNAME(stuff)(vcpu);
	if (req == H_PUT_TCE_INDIRECT &&
	    tce_enabled(vcpu, H_PUT_TCE_INDIRECT))
		return FNAME(put_indirect)(vcpu);
	if (req == H_GET_TCE && tce_enabled(vcpu, H_GET_TCE))
		return FNAME(h_get)(vcpu, gpr[4], gpr[5]);
	return H_TOO_HARD;
}

#undef TCE_BY_NUMBER
#endif

#undef TCE_COPY_LIST
#endif

#undef TCE_MODE
#undef TCE_PLACE
#undef FNAME
