// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TCE hypercalls in virtual mode
 *
 * In the vCPU's thread memory can be allocated, user memory read and a long
 * request cut into pieces. A request that another place could not answer begins
 * again here, with nothing taken over, and ends here or in user space
 * (H_TOO_HARD).
 *
 * No walk is longer than SPAPR_TCE_LIST_MAX TCEs, and the thread may be
 * scheduled between walks. A request of more than one walk stops for a signal:
 * user space gets it as a whole and decides when to go on.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "spapr_tce_make.h"

#define TCE_PLACE	TCE_PLACE_VIRTUAL
#define FNAME(name)	virtual_##name
#include "spapr_tce_tmpl.h"

/*
 * How often a request may populate what a walk finds missing. It waits until the
 * links have been changed as often as it takes, and only a fatal signal ends that.
 */
#define POPULATE_MAX	8

/* Allocate the list buffer on first use */
static bool have_buffer(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.spapr_tce_buffer)
		vcpu->arch.spapr_tce_buffer =
			kmalloc(sizeof(*vcpu->arch.spapr_tce_buffer),
				GFP_KERNEL_ACCOUNT);

	return vcpu->arch.spapr_tce_buffer;
}

/*
 * After a walk that ended with @ret, populate what it has found missing, or wait
 * until the links have been changed. The lock keeps links and their windows.
 */
static bool populate(struct kvm_vcpu *vcpu, unsigned long liobn,
		     unsigned long ioba, unsigned long first,
		     unsigned long npages, long ret)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvmppc_spapr_tce_table *table;
	struct kvmppc_spapr_tce_link *link;
	unsigned long index;

	if (fatal_signal_pending(current) || !have_buffer(vcpu))
		return false;

	guard(mutex)(&kvm->arch.spapr_tce_lock);
	/* It may be another table by now: then the next walk sees that, too */
	if (!tce_find_table(kvm, liobn, TCE_PLACE_VIRTUAL, &table) ||
	    !tce_index(table, ioba, first + npages, &index))
		return true;
	index += first;

	/* The owner may be moving the window to another table */
	if (tce_links_state(table) & TCE_LINKS_BY_USER)
		return false;
	/* What is missing, if anything, the next walk finds */
	if (ret == H_TCE_FROZEN)
		return true;

	if (!kvmppc_tce_view_populate(table, index, npages))
		return false;
	list_for_each_entry(link, &table->links, node)
		if (spapr_tce_window_populate(link->window,
					      index << link->subpage_shift,
					      npages << link->subpage_shift))
			return false;

	return true;
}

/* Count a request of several walks */
static long count(struct kvm_vcpu *vcpu, unsigned long liobn,
		  enum kvmppc_tce_hcall hcall, long ret, unsigned long npages)
{
	struct kvmppc_spapr_tce_table *table;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	if (tce_find_table(vcpu->kvm, liobn, TCE_PLACE_VIRTUAL, &table))
		tce_count(table, hcall, ret, npages, TCE_PLACE_VIRTUAL);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

/* TCEs of the table that one walk can write; 0 if that is less than one */
static unsigned long walk_step(struct kvm_vcpu *vcpu, unsigned long liobn)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long step = SPAPR_TCE_LIST_MAX;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	if (tce_find_table(vcpu->kvm, liobn, TCE_PLACE_VIRTUAL, &table))
		step >>= tce_links_state(table) >> TCE_LINKS_SUBPAGE_SHIFT;
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return step;
}

/* Can these TCEs be written? After tce_may_change() */
static long check_list(struct kvmppc_spapr_tce_table *table,
		       struct kvmppc_spapr_tce_slot *slot, unsigned long index,
		       const u64 *tces, unsigned long npages,
		       struct spapr_tce *list)
{
	if (!tce_view_ready(table, index, npages))
		return H_TCE_UNREADY;
	if (READ_ONCE(table->links.next) == &table->links)
		return tce_check(table, slot, tces, npages) ? H_SUCCESS :
							      H_TOO_HARD;

	return virtual_check_links(table, slot, index, tces, npages, list);
}

/* A walk's piece of the list in the vCPU's buffer: check it, or write it */
static long list_piece(struct kvm_vcpu *vcpu, unsigned long liobn,
		       unsigned long ioba, unsigned long first,
		       unsigned long npages, bool write)
{
	struct kvmppc_spapr_tce_buffer *buffer = vcpu->arch.spapr_tce_buffer;
	struct kvmppc_spapr_tce_slot *slot = &vcpu->arch.spapr_tce_slot;
	const u64 *tces = buffer->tces + first;
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	long ret = H_TOO_HARD;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	if (tce_find_table(vcpu->kvm, liobn, TCE_PLACE_VIRTUAL, &table) &&
	    tce_index(table, ioba, first + npages, &index)) {
		index += first;
		ret = tce_may_change(tce_links_state(table), npages,
				     TCE_PLACE_VIRTUAL);
		if (!ret && write)
			ret = virtual_put_list(table, slot, index, tces, npages,
					       buffer->list);
		else if (!ret)
			ret = check_list(table, slot, index, tces, npages,
					 buffer->list);
	}
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

/*
 * Tables whose page is more than a walk's TCEs of a window: one of the table's
 * TCEs at a time, in parts, with the lock against changes of the links.
 */

static bool clear_huge(struct kvmppc_spapr_tce_table *table,
		       unsigned long index)
{
	struct kvmppc_spapr_tce_link *link;
	bool cleared = true;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	list_for_each_entry(link, &table->links, node)
		if (!kvmppc_tce_clear_parts(link, index, 1))
			cleared = false;

	return cleared;
}

static bool put_huge(struct kvmppc_spapr_tce_table *table, unsigned long index,
		     u64 tce, struct spapr_tce *list, bool write)
{
	struct kvmppc_spapr_tce_link *link;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	list_for_each_entry(link, &table->links, node)
		if (kvmppc_tce_put_parts(table, link, index, tce, list, write))
			return false;

	return true;
}

/* Check one of the table's TCEs, or write it and the guest's view */
static long change_huge(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long first, u64 tce,
			bool write)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	bool done;

	guard(mutex)(&kvm->arch.spapr_tce_lock);
	if (!tce_find_table(kvm, liobn, TCE_PLACE_VIRTUAL, &table) ||
	    !tce_index(table, ioba, first + 1, &index) ||
	    tce_links_state(table) & TCE_LINKS_BY_USER)
		return H_TOO_HARD;
	/* The TCE is checked by what a link makes of it */
	if (tce & SPAPR_TCE_PERM && list_empty(&table->links))
		return H_TOO_HARD;

	index += first;
	if (!kvmppc_tce_view_populate(table, index, 1))
		return H_TOO_HARD;

	if (!(tce & SPAPR_TCE_PERM))
		done = !write || clear_huge(table, index);
	else
		done = put_huge(table, index, tce,
				vcpu->arch.spapr_tce_buffer->list, write);
	if (!done && write) {
		clear_huge(table, index);
		tce = 0;
	}
	if (write)
		tce_view_fill(table, index, tce, 1);

	return done ? H_SUCCESS : H_TOO_HARD;
}

/**
 * kvmppc_h_put_tce() - answer H_PUT_TCE in virtual mode
 * @vcpu: the vCPU, in its thread
 * @liobn: LIOBN, as the guest gave it
 * @ioba: bus address, likewise
 * @tce: TCE, likewise
 *
 * Context: process context, may sleep.
 * Return: H_SUCCESS; H_PARAMETER for an address that is no multiple of the
 * page size or not in the table; H_TOO_HARD to hand it to user space.
 */
long kvmppc_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba, unsigned long tce)
{
	unsigned int tries;
	long ret;

	for (tries = 0; tries < POPULATE_MAX; tries += ret != H_TCE_FROZEN) {
		spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
		ret = virtual_h_put(vcpu, liobn, ioba, tce);
		spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

		if (ret <= H_TOO_HARD)
			return ret;
		if (!populate(vcpu, liobn, ioba, 0, 1, ret))
			break;
		if (ret == H_TCE_SPLIT) {
			ret = change_huge(vcpu, liobn, ioba, 0, tce, false);
			if (!ret)
				ret = change_huge(vcpu, liobn, ioba, 0, tce,
						  true);
			return count(vcpu, liobn, TCE_HCALL_PUT, ret, 1);
		}
	}

	return count(vcpu, liobn, TCE_HCALL_PUT, H_TOO_HARD, 1);
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce);

/* Check, or write, the list in the vCPU's buffer in several walks */
static long list_pieces(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long npages, bool write)
{
	const u64 *tces = vcpu->arch.spapr_tce_buffer->tces;
	unsigned long step = walk_step(vcpu, liobn), first, n;
	long ret;

	for (first = 0; first < npages; first += n) {
		if (step) {
			n = min(step, npages - first);
			ret = list_piece(vcpu, liobn, ioba, first, n, write);
		} else {
			n = 1;
			ret = change_huge(vcpu, liobn, ioba, first, tces[first],
					  write);
		}
		if (ret)
			return ret;
		if (first + n < npages && signal_pending(current))
			return H_TOO_HARD;
		cond_resched();
	}

	return H_SUCCESS;
}

static long put_list(struct kvm_vcpu *vcpu, unsigned long liobn,
		     unsigned long ioba, unsigned long npages)
{
	unsigned int tries;
	long ret;

	for (tries = 0; tries < POPULATE_MAX; tries += ret != H_TCE_FROZEN) {
		ret = list_piece(vcpu, liobn, ioba, 0, npages, true);
		if (ret == H_TCE_SPLIT) {
			/* All of it is checked before any of it is written */
			ret = list_pieces(vcpu, liobn, ioba, npages, false);
			if (!ret)
				ret = list_pieces(vcpu, liobn, ioba, npages,
						  true);
		}
		if (ret <= H_TOO_HARD)
			return ret;
		if (ret != H_TCE_SPLIT &&
		    !populate(vcpu, liobn, ioba, 0, npages, ret))
			break;
	}

	return H_TOO_HARD;
}

/*
 * Check the request and copy its list to the vCPU's buffer. The caller's SRCU
 * keeps the memory slot: user space may use its addresses for something else
 * once the slot has gone, and the guest must not read that.
 */
static long fetch_list(struct kvm_vcpu *vcpu, unsigned long liobn,
		       unsigned long ioba, unsigned long tce_list,
		       unsigned long npages)
{
	u64 *tces = vcpu->arch.spapr_tce_buffer->tces;
	struct kvmppc_spapr_tce_table *table;
	struct tce_list list;
	unsigned long index, i;
	long ret = H_TOO_HARD;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	if (tce_find_table(vcpu->kvm, liobn, TCE_PLACE_VIRTUAL, &table))
		ret = tce_find_list(vcpu, table, ioba, tce_list, npages, &index,
				    &list);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
	if (ret)
		return ret;

	if (copy_from_user(tces, (void __user *)list.ua, npages * sizeof(*tces)))
		return H_TOO_HARD;
	for (i = 0; i < npages; i++)
		be64_to_cpus(&tces[i]);

	return H_SUCCESS;
}

/**
 * kvmppc_h_put_tce_indirect() - answer H_PUT_TCE_INDIRECT in virtual mode
 * @vcpu: the vCPU, in its thread
 * @liobn: LIOBN, as the guest gave it
 * @ioba: bus address of the first TCE, likewise
 * @tce_list: guest address of the list of TCEs, likewise
 * @npages: how many TCEs, likewise
 *
 * Context: process context, may sleep.
 * Return: H_SUCCESS; H_PARAMETER for more than 512 TCEs, a list that is not
 * aligned to 4 KiB, or a range that is not in the table; H_TOO_HARD to hand
 * it to user space.
 */
long kvmppc_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
			       unsigned long ioba, unsigned long tce_list,
			       unsigned long npages)
{
	long ret = H_TOO_HARD;
	int idx;

	if (have_buffer(vcpu)) {
		idx = srcu_read_lock(&vcpu->kvm->srcu);
		ret = fetch_list(vcpu, liobn, ioba, tce_list, npages);
		srcu_read_unlock(&vcpu->kvm->srcu, idx);
	}
	if (!ret && npages)
		ret = put_list(vcpu, liobn, ioba, npages);

	return count(vcpu, liobn, TCE_HCALL_PUT_INDIRECT, ret, npages);
}
EXPORT_SYMBOL_GPL(kvmppc_h_put_tce_indirect);

static long stuff_piece(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long first, u64 value,
			unsigned long npages)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long index;
	long ret = H_TOO_HARD;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	if (tce_find_table(vcpu->kvm, liobn, TCE_PLACE_VIRTUAL, &table) &&
	    tce_index(table, ioba, first + npages, &index))
		ret = tce_may_change(tce_links_state(table), npages,
				     TCE_PLACE_VIRTUAL);
	if (!ret)
		ret = virtual_fill(table, index + first, value, npages);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

/* H_STUFF_TCE in several walks */
static long stuff_pieces(struct kvm_vcpu *vcpu, unsigned long liobn,
			 unsigned long ioba, u64 value, unsigned long npages)
{
	unsigned long step = walk_step(vcpu, liobn), done = 0, n;
	unsigned int tries = 0;
	long ret;

	while (done < npages) {
		n = min(step, npages - done);
		if (step) {
			ret = stuff_piece(vcpu, liobn, ioba, done, value, n);
		} else {
			n = 1;
			ret = change_huge(vcpu, liobn, ioba, done, value, true);
		}

		if (ret == H_SUCCESS) {
			done += n;
			tries = 0;
		} else {
			tries += ret != H_TCE_FROZEN;
			if (ret == H_TOO_HARD || tries == POPULATE_MAX ||
			    !populate(vcpu, liobn, ioba, done, n, ret))
				return H_TOO_HARD;
			step = walk_step(vcpu, liobn);
		}

		if (done < npages && signal_pending(current))
			return H_TOO_HARD;
		cond_resched();
	}

	return H_SUCCESS;
}

/**
 * kvmppc_h_stuff_tce() - answer H_STUFF_TCE in virtual mode
 * @vcpu: the vCPU, in its thread
 * @liobn: LIOBN, as the guest gave it
 * @ioba: bus address of the first TCE, likewise
 * @tce_value: value without permission bits, likewise
 * @npages: how many TCEs, likewise
 *
 * Context: process context, may sleep.
 * Return: H_SUCCESS; H_PARAMETER for a range that is not in the table or a
 * value with permission bits; H_TOO_HARD to hand it to user
 * space.
 */
long kvmppc_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			unsigned long ioba, unsigned long tce_value,
			unsigned long npages)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	ret = virtual_h_stuff(vcpu, liobn, ioba, tce_value, npages);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
	if (ret <= H_TOO_HARD)
		return ret;

	ret = stuff_pieces(vcpu, liobn, ioba, tce_value, npages);
	return count(vcpu, liobn, TCE_HCALL_STUFF, ret, npages);
}
EXPORT_SYMBOL_GPL(kvmppc_h_stuff_tce);

/**
 * kvmppc_h_get_tce() - answer H_GET_TCE in virtual mode
 * @vcpu: the vCPU, in its thread; its R4 gets the TCE as the guest put it
 * @liobn: LIOBN, as the guest gave it
 * @ioba: bus address, likewise
 *
 * Context: process context.
 * Return: H_SUCCESS; H_PARAMETER for an address that is no multiple of the
 * page size or not in the table; H_TOO_HARD to hand it to user
 * space.
 */
long kvmppc_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
		      unsigned long ioba)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	ret = virtual_h_get(vcpu, liobn, ioba);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}
EXPORT_SYMBOL_GPL(kvmppc_h_get_tce);
