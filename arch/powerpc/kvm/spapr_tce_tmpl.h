/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TCE hypercalls (LoPAPR 14.5.4.2), the same source for all places
 *
 * A C file defines TCE_PLACE, FNAME() and, if it reads lists inside a walk,
 * TCE_COPY_LIST(), and includes this file, once for each place. A function here
 * runs inside one walk of the engine. It either answers the guest, or changes
 * nothing and returns who can go on (H_TOO_HARD and the codes after it,
 * spapr_tce.h).
 *
 * A list in guest memory is read once, into the vCPU's buffer: the guest may
 * change it meanwhile, so what was checked must be what is used. All of a
 * request is checked before anything is written. Then the windows are written,
 * with one invalidation per walk and window, and last the guest's view. If a
 * window fails midway, because of the hypervisor or because a registration of
 * memory ended between two links, the walk's TCEs are cleared everywhere, and
 * user space begins again with the whole request.
 *
 * Most requests are for one TCE of a table with at most one link. They take a
 * short path of their own (put_one()). What does not fit begins again on the
 * general path.
 *
 * Early a trap would be one in the guest's context, and in real mode fatal:
 * functions that are not inlined can't be probed.
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
 * Write TCEs into the window of each link. No link comes during a walk; one may
 * go. Of several links, check_links() has checked all.
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
 * Put or clear a TCE of a table that is not TCE_LINKS_GENERAL. False, and
 * nothing has changed, where the general path has to find out why.
 */
static __always_inline bool
FNAME(put_one)(struct kvm_vcpu *vcpu, struct kvmppc_spapr_tce_table *table,
	       unsigned long index, u64 tce)
{
	const struct kvmppc_spapr_tce_slot *slot = &vcpu->arch.spapr_tce_slot;
	struct spapr_tce_window *window = READ_ONCE(table->window);
	u64 *view = READ_ONCE(table->view[index >> TCE_VIEW_SHIFT]);
	const unsigned long perm = tce & SPAPR_TCE_PERM;
	unsigned long ua = 0;
	bool kill;

	if (unlikely(!view))
		return false;

	if (perm) {
		if (unlikely(tce & table->page_mask & ~SPAPR_TCE_PERM) ||
		    unlikely(!tce_slot_valid(vcpu->kvm, slot)) ||
		    unlikely(!tce_slot_has(slot, tce >> PAGE_SHIFT, 1)))
			return false;
		ua = tce_slot_to_ua(slot, tce & ~SPAPR_TCE_PERM);
	}
	if (window && !spapr_tce_write_one(window, index, ua, perm, &kill))
		return false;

	WRITE_ONCE(view[index & (TCE_VIEW_TCES - 1)], tce);
	tce_count(table, TCE_HCALL_PUT, H_SUCCESS, 1, TCE_PLACE);
	/* The only call comes last, so that no register is saved for it */
	if (window && kill)
		spapr_tce_kill_one(window, index, TCE_MODE);
	return true;
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

/* H_PUT_TCE */
static __always_inline long FNAME(h_put)(struct kvm_vcpu *vcpu,
					 unsigned long liobn,
					 unsigned long ioba, u64 tce)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	u32 state;

	if (!tce_find_table(vcpu->kvm, liobn, TCE_PLACE, &table))
		return H_TOO_HARD;
	if (!tce_index(table, ioba, 1, &index))
		return tce_count(table, TCE_HCALL_PUT, H_PARAMETER, 1,
				 TCE_PLACE);

	state = tce_links_state(table);
	if (likely(!(state & (tce_links_elsewhere(TCE_PLACE) |
			      TCE_LINKS_GENERAL))) &&
	    likely(FNAME(put_one)(vcpu, table, index, tce)))
		return H_SUCCESS;

	return FNAME(put_general)(vcpu, table, index, tce, state);
}

/* H_STUFF_TCE of at most SPAPR_TCE_LIST_MAX TCEs, else H_TCE_SPLIT */
static __always_inline long FNAME(h_stuff)(struct kvm_vcpu *vcpu,
					   unsigned long liobn,
					   unsigned long ioba, u64 value,
					   unsigned long npages)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	long ret;

	if (!tce_find_table(vcpu->kvm, liobn, TCE_PLACE, &table))
		return H_TOO_HARD;

	if (!tce_index(table, ioba, npages, &index) || value & SPAPR_TCE_PERM)
		ret = H_PARAMETER;
	else if (npages > SPAPR_TCE_LIST_MAX)
		ret = H_TCE_SPLIT;
	else
		ret = tce_may_change(tce_links_state(table), npages, TCE_PLACE);
	if (!ret && npages)
		ret = FNAME(fill)(table, index, value, npages);

	return tce_count(table, TCE_HCALL_STUFF, ret, npages, TCE_PLACE);
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
		u64 *view = READ_ONCE(table->view[index >> TCE_VIEW_SHIFT]);
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
		     unsigned long ua, unsigned long npages)
{
	struct kvmppc_spapr_tce_buffer *buffer = vcpu->arch.spapr_tce_buffer;
	long ret;

	ret = tce_may_change(tce_links_state(table), npages, TCE_PLACE);
	if (ret)
		return ret;
	if (!buffer || !TCE_COPY_LIST(table, ua, npages, buffer->tces))
		return H_TOO_HARD;

	return FNAME(put_list)(table, &vcpu->arch.spapr_tce_slot, index,
			       buffer->tces, npages, buffer->list);
}

/* H_PUT_TCE_INDIRECT */
static noinline __kprobes long
FNAME(h_put_indirect)(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce_list,
		      unsigned long npages)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index, ua;
	long ret;

	if (!tce_find_table(vcpu->kvm, liobn, TCE_PLACE, &table))
		return H_TOO_HARD;

	ret = tce_find_list(vcpu, table, ioba, tce_list, npages, &index, &ua);
	if (!ret && npages)
		ret = FNAME(fetch_and_put)(vcpu, table, index, ua, npages);

	return tce_count(table, TCE_HCALL_PUT_INDIRECT, ret, npages, TCE_PLACE);
}

#undef TCE_COPY_LIST
#endif

#undef TCE_MODE
#undef TCE_PLACE
#undef FNAME
