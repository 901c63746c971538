/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * LIOBN tables of a guest and the DMA windows that they are linked to
 *
 * A table (KVM_CREATE_SPAPR_TCE_64) answers the TCE hypercalls for one LIOBN.
 * It keeps the guest's view: the values that the guest wrote, which H_GET_TCE
 * reads and user space maps. A link makes the same hypercalls write a DMA
 * window of the TCE engine as well. It exists while at least one VFIO group
 * claims it (KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE), or a device that is bound to an
 * iommufd (KVM_DEV_VFIO_FILE_SET_SPAPR_TCE).
 *
 * Lifetime. A walk of the engine (spapr_tce_walk_begin()) finds tables, links
 * and the guest's memory slots in any mode and without a lock. To take one away,
 * remove it from its list, call spapr_tce_quiesce(), and only then free or
 * change it.
 *
 * Locking. kvm->arch.spapr_tce_lock protects the lists, the claims and the
 * links' state; readers that sleep hold it as well. VFIO and the engine call
 * back with their locks held, so it nests inside all of theirs. Code that holds
 * it calls neither of them, except for spapr_tce_window_populate(), walks and
 * spapr_tce_quiesce().
 *
 * Memory. Everything that a walk touches comes from the slab or page allocator,
 * hence lies in the linear map.
 */
#ifndef _POWERPC_KVM_SPAPR_TCE_H
#define _POWERPC_KVM_SPAPR_TCE_H

#include <linux/cache.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/nospec.h>
#include <linux/rculist.h>
#include <linux/sizes.h>

#include <asm/hvcall.h>
#include <asm/kvm_book3s.h>
#include <asm/kvm_ppc.h>
#include <asm/paca.h>
#include <asm/spapr_tce.h>

struct seq_file;

/* The four hypercalls, as rows of the counters */
enum kvmppc_tce_hcall {
	TCE_HCALL_GET,
	TCE_HCALL_PUT,
	TCE_HCALL_PUT_INDIRECT,
	TCE_HCALL_STUFF,
	TCE_NR_HCALLS
};

/**
 * enum kvmppc_tce_place - where the code of a hypercall runs
 * @TCE_PLACE_REAL: hypervisor real mode
 * @TCE_PLACE_EARLY: right at the guest's exit, with the guest's context loaded
 * @TCE_PLACE_EXIT: on the way out, with the host's context loaded and
 *	interrupts disabled
 * @TCE_PLACE_VIRTUAL: the vCPU's thread, as for any other hypercall
 */
enum kvmppc_tce_place {
	TCE_PLACE_REAL,
	TCE_PLACE_EARLY,
	TCE_PLACE_EXIT,
	TCE_PLACE_VIRTUAL,
	/* private: */
	TCE_NR_PLACES
};

/*
 * What came of a walk that could not answer the guest
 *
 *	H_TOO_HARD	TCEs of the request are as they were, or clear; the next
 *			place begins again, after virtual mode user space
 *	H_TCE_UNREADY	virtual mode populates what is missing and tries again
 *	H_TCE_SPLIT	virtual mode cuts the request into several walks
 *	H_TCE_FROZEN	virtual mode waits until the links have been changed
 *
 * The last three lie beyond every code of LoPAPR, so that the guest never sees
 * them.
 */
#define H_TCE_UNREADY	(H_TOO_HARD + 1)
#define H_TCE_SPLIT	(H_TOO_HARD + 2)
#define H_TCE_FROZEN	(H_TOO_HARD + 3)

/**
 * struct kvmppc_tce_count - hypercalls of one kind
 * @requests: how many
 * @tces: TCEs in them; not counted for H_GET_TCE and H_PUT_TCE, which have one,
 *	nor for refused ones, whose number the guest chose
 */
struct kvmppc_tce_count {
	u64 requests;
	u64 tces;
};

/**
 * struct kvmppc_tce_counts - what one CPU has done for one table
 * @hcall: by hypercall
 * @hcall.answered: answered with success, by place
 * @hcall.refused: answered with an error that the guest sees
 * @hcall.to_user: handed to user space
 *
 * Only its CPU writes it, and only inside a walk. So no two writers meet and no
 * atomic operation is needed.
 */
struct kvmppc_tce_counts {
	struct {
		struct kvmppc_tce_count answered[TCE_NR_PLACES];
		struct kvmppc_tce_count refused;
		struct kvmppc_tce_count to_user;
	} hcall[TCE_NR_HCALLS];
} ____cacheline_aligned;

/* TCEs in a page of the guest's view */
#define TCE_VIEW_SHIFT	(PAGE_SHIFT - 3)
#define TCE_VIEW_TCES	BIT(TCE_VIEW_SHIFT)

/*
 * What a walk has to know about a table's links, in one word: flags, and the
 * log2 of the most TCEs of a window that one TCE of the table becomes.
 */
#define TCE_LINKS_FROZEN	0x1	/* links are being changed: wait */
#define TCE_LINKS_BY_USER	0x2	/* user space makes all changes */
#define TCE_LINKS_NO_GUEST	0x4	/* needs the host's context */
#define TCE_LINKS_GENERAL	0x8	/* not one window of the same pages */
#define TCE_LINKS_HV		0x10	/* the hypervisor has a window's table */
#define TCE_LINKS_SUBPAGE_SHIFT	8

/**
 * struct kvmppc_spapr_tce_table - the table of one LIOBN
 * @list: entry of kvm->arch.spapr_tce_tables
 * @kvm: the guest; the table holds a reference
 * @liobn: its name in the guest's hypercalls
 * @page_shift: log2 of the bytes that a TCE maps
 * @page_rotate: by how much an address is rotated left to become an index
 * @page_mask: bits of an address within a page of that size
 * @offset: bus address of the first TCE, in pages
 * @size: number of TCEs
 * @window: the window of the only link, NULL without a link. With several it is
 *	one of theirs, and @links_state has TCE_LINKS_GENERAL.
 * @mem: pinned memory of the guest's process
 * @links: struct kvmppc_spapr_tce_link, read by walks
 * @links_state: TCE_LINKS_FROZEN and so on. A walk reads it, with acquire
 *	semantics, before @links. A change of the links stores it last.
 * @claims: struct kvmppc_spapr_tce_claim
 * @nr_unlinked: claims that keep it for user space until they are linked again
 * @counts: by CPU, one structure for each possible CPU
 * @view: the guest's view, by page of TCEs in the processor's byte order. NULL
 *	reads as zeroes. A page stays until the table is freed.
 */
struct kvmppc_spapr_tce_table {
	struct list_head list;
	struct kvm *kvm;
	u64 liobn;
	u32 page_shift;
	u32 links_state;
	u32 page_rotate;
	u64 page_mask;
	u64 offset;
	u64 size;
	struct spapr_tce_window *window;
	struct spapr_mem *mem;
	struct list_head links;
	struct list_head claims;
	unsigned int nr_unlinked;
	struct kvmppc_tce_counts **counts;
	u64 *view[];
};

/**
 * struct kvmppc_spapr_tce_link - a window that a table's hypercalls write
 * @node: entry of kvmppc_spapr_tce_table::links
 * @window: the window; valid while the link is in the list
 * @subpage_shift: log2 of the window's TCEs that make up one of the table
 * @nr_claims: claims that keep the link
 * @table: the table
 * @ended: in a list of links to be freed, once no claim keeps it
 * @group: number of the group of the last claim, then
 */
struct kvmppc_spapr_tce_link {
	struct list_head node;
	struct spapr_tce_window *window;
	unsigned int subpage_shift;
	unsigned int nr_claims;
	struct kvmppc_spapr_tce_table *table;
	struct list_head ended;
	int group;
};

/**
 * struct kvmppc_spapr_tce_buffer - a list of TCEs in progress
 * @tces: the guest's TCEs: the one copy that is checked and used
 * @list: what they become in a window
 *
 * Belongs to a vCPU, hence to the one hypercall that it is making.
 */
struct kvmppc_spapr_tce_buffer {
	u64 tces[SPAPR_TCE_LIST_MAX];
	struct spapr_tce list[SPAPR_TCE_LIST_MAX];
};

/*
 * What the state of the links is besides. A table whose pages are larger than the
 * host's always takes the general path.
 */
static inline u32
kvmppc_tce_table_state(const struct kvmppc_spapr_tce_table *table)
{
	enum kvmppc_tce_by_user by_user = table->kvm->arch.spapr_tce_by_user;
	u32 state = table->page_shift > PAGE_SHIFT ? TCE_LINKS_GENERAL : 0;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	if (table->nr_unlinked || by_user == TCE_BY_USER_ALL ||
	    (by_user == TCE_BY_USER_UNLINKED && list_empty(&table->links)))
		state |= TCE_LINKS_BY_USER;
	return state;
}

/* spapr_tce_table.c: process context, may sleep */
bool kvmppc_tce_view_populate(struct kvmppc_spapr_tce_table *table,
			      unsigned long index, unsigned long npages);

/* spapr_tce_parts.c: process context, may sleep */
bool kvmppc_tce_clear_parts(struct kvmppc_spapr_tce_link *link,
			    unsigned long index, unsigned long count);
int kvmppc_tce_put_parts(struct kvmppc_spapr_tce_table *table,
			 struct kvmppc_spapr_tce_link *link,
			 unsigned long index, u64 tce, struct spapr_tce *list,
			 bool write);

/* spapr_tce_replay.c: process context, may sleep */
int kvmppc_tce_replay_slice(struct kvmppc_spapr_tce_table *table,
			    struct kvmppc_spapr_tce_link *link,
			    unsigned long *index, struct spapr_tce *list);
bool kvmppc_tce_replay_goes_on(const struct kvmppc_spapr_tce_table *table,
			       const struct spapr_tce_window *window,
			       unsigned long *index);

/* spapr_tce_link.c: process context, may sleep */
int kvmppc_tce_link(struct kvmppc_spapr_tce_table *table, struct file *file);
int kvmppc_tce_unlink(struct kvmppc_spapr_tce_table *table, struct file *file);
void kvmppc_tce_drop_claims(struct kvmppc_spapr_tce_table *table);
void kvmppc_tce_show_claims(struct kvmppc_spapr_tce_table *table,
			    struct seq_file *m);

/* TCEs of a list that a walk handles on its stack, and of a short H_STUFF_TCE */
#define TCE_FEW		32UL

/* Tables that a walk looks at where it keeps the CPU from everything else */
#define TCE_TABLES_MAX	256

/*
 * Tables that a guest can have. A walk in virtual mode looks at all of them, and
 * spapr_tce_quiesce() waits for walks.
 */
#define TCE_TABLES_OF_GUEST	4096

/* Find a table, inside a walk or with the lock */
static __always_inline bool
tce_find_table(struct kvm *kvm, unsigned long liobn,
	       enum kvmppc_tce_place place,
	       struct kvmppc_spapr_tce_table **found)
{
	const struct list_head *head = &kvm->arch.spapr_tce_tables;
	const struct list_head *at = READ_ONCE(head->next);
	unsigned int nr = 0;

	if (unlikely(at == head))
		return false;

	/* Usually it is the first or the second */
	*found = list_entry(at, struct kvmppc_spapr_tce_table, list);
	while (unlikely((*found)->liobn != liobn)) {
		at = READ_ONCE(at->next);
		if (at == head || (place != TCE_PLACE_VIRTUAL &&
				   ++nr == TCE_TABLES_MAX))
			return false;
		*found = list_entry(at, struct kvmppc_spapr_tce_table, list);
	}

	return true;
}

/* Index of a bus address, false if the range is not in the table */
static __always_inline bool
tce_index(const struct kvmppc_spapr_tce_table *table, unsigned long ioba,
	  unsigned long npages, unsigned long *index)
{
	/*
	 * An address within a page has bits rotated to the top, and one below the
	 * offset wraps: both are beyond any size.
	 */
	const unsigned int rotate = table->page_rotate;
	unsigned long first = (ioba << rotate | ioba >> (64 - rotate)) -
			      table->offset;

	if (__builtin_constant_p(npages) && npages == 1) {
		if (first >= table->size)
			return false;
	} else if (first > table->size || npages > table->size - first) {
		return false;
	}

	/* The guest chose it: no speculation outside the table */
	*index = first & array_index_mask_nospec(first, table->size);
	return true;
}

static __always_inline u32
tce_links_state(const struct kvmppc_spapr_tce_table *table)
{
	/* Pairs with the release in update_links_state() */
	return smp_load_acquire(&table->links_state);
}

/* Host pages in a page of the table */
static __always_inline unsigned long
tce_host_pages(const struct kvmppc_spapr_tce_table *table)
{
	return table->page_shift > PAGE_SHIFT ?
	       1UL << (table->page_shift - PAGE_SHIFT) : 1;
}

/* The guest's view */

/* The page of TCEs that has the one at @index, or NULL */
static __always_inline u64 *
tce_view_page(const struct kvmppc_spapr_tce_table *table, unsigned long index)
{
	u64 *const *pages = table->view;

	/* Adding the index to the offset in the structure costs more */
	OPTIMIZER_HIDE_VAR(pages);
	return READ_ONCE(pages[index >> TCE_VIEW_SHIFT]);
}

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
		/* A missing page reads as 0 already */
		if (!view)
			continue;
		view += index & (TCE_VIEW_TCES - 1);
#pragma GCC unroll 8
		for (i = 0; i < run; i++)
			WRITE_ONCE(view[i], value);
	}
}

/* What the CPU can do in a place */
static __always_inline enum spapr_tce_mode tce_mode(enum kvmppc_tce_place place)
{
	switch (place) {
	case TCE_PLACE_REAL:
		return SPAPR_TCE_REAL;
	case TCE_PLACE_EARLY:
		return SPAPR_TCE_EARLY;
	default:
		return SPAPR_TCE_VIRTUAL;
	}
}

/* State of links that hands a change of the table on to another place */
static __always_inline u32 tce_links_elsewhere(enum kvmppc_tce_place place)
{
	u32 state = TCE_LINKS_FROZEN | TCE_LINKS_BY_USER;

	if (tce_mode(place) != SPAPR_TCE_VIRTUAL)
		state |= TCE_LINKS_NO_GUEST;
	return state;
}

/* Can a place change @npages of a table whose links are in this state? */
static __always_inline long tce_may_change(u32 state, unsigned long npages,
					   enum kvmppc_tce_place place)
{
	if (place == TCE_PLACE_VIRTUAL && state & TCE_LINKS_FROZEN)
		return H_TCE_FROZEN;
	if (state & tce_links_elsewhere(place))
		return H_TOO_HARD;
	if (npages << (state >> TCE_LINKS_SUBPAGE_SHIFT) > SPAPR_TCE_LIST_MAX)
		return H_TCE_SPLIT;

	return H_SUCCESS;
}

/* For a place that can't do what virtual mode can */
static __always_inline long tce_hand_on(long ret)
{
	return ret > H_TOO_HARD ? H_TOO_HARD : ret;
}

/* Count a request by what came of it, inside a walk; returns @ret */
static __always_inline long
tce_count(struct kvmppc_spapr_tce_table *table, enum kvmppc_tce_hcall hcall,
	  long ret, unsigned long npages, enum kvmppc_tce_place place)
{
	struct kvmppc_tce_counts *counts;
	struct kvmppc_tce_count *count;

	counts = table->counts[raw_smp_processor_id()];
	if (ret == H_SUCCESS)
		count = &counts->hcall[hcall].answered[place];
	else if (ret < 0)
		count = &counts->hcall[hcall].refused;
	else if (ret == H_TOO_HARD && place == TCE_PLACE_VIRTUAL)
		count = &counts->hcall[hcall].to_user;
	else
		return ret;

	count->requests++;
	if (hcall != TCE_HCALL_GET && hcall != TCE_HCALL_PUT && ret >= 0)
		count->tces += npages;
	return ret;
}

#endif /* _POWERPC_KVM_SPAPR_TCE_H */
