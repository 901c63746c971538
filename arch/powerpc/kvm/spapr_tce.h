/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * LIOBN tables of a guest and what is linked to them
 *
 * A table (KVM_CREATE_SPAPR_TCE_64) answers the TCE hypercalls for one LIOBN.
 * It keeps the guest's view: the values that the guest wrote, read by H_GET_TCE
 * and mapped by user space. A link makes the same hypercalls write a DMA window
 * of the TCE engine as well; it exists for as long as at least one VFIO group
 * claims it (KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE).
 *
 * Who may look: tables, links and the guest's memory slots are found inside a
 * walk of the engine (spapr_tce_walk_begin()), in any mode, without a lock.
 * Whoever takes one away removes it from its list, calls spapr_tce_quiesce()
 * and only then frees or changes it. Lists, claims and flags are changed, and
 * looked at by whoever sleeps, under kvm->arch.spapr_tce_lock, which nests
 * inside all locks of VFIO and of the engine (both call back with theirs held);
 * so neither may be called with it, but for spapr_tce_window_populate(), walks
 * and spapr_tce_quiesce().
 *
 * Everything that a walk touches comes from the slab or page allocator, hence
 * lies in the linear map.
 */
#ifndef _POWERPC_KVM_SPAPR_TCE_H
#define _POWERPC_KVM_SPAPR_TCE_H

#include <linux/cache.h>
#include <linux/kvm_host.h>
#include <linux/rculist.h>
#include <linux/sizes.h>

#include <asm/kvm_book3s.h>
#include <asm/kvm_ppc.h>
#include <asm/paca.h>
#include <asm/spapr_tce.h>

struct seq_file;

/* The four hypercalls, as columns of the counters */
enum kvmppc_tce_hcall {
	TCE_HCALL_GET,
	TCE_HCALL_PUT,
	TCE_HCALL_PUT_INDIRECT,
	TCE_HCALL_STUFF,
	TCE_NR_HCALLS
};

/**
 * enum kvmppc_tce_end - how a request ended
 * @TCE_END_REAL: answered in real mode
 * @TCE_END_EARLY: answered right at the guest's exit, in the guest's context
 * @TCE_END_EXIT: answered later on the way out, in the host's context
 * @TCE_END_VIRTUAL: answered by the host kernel proper
 * @TCE_END_USER: handed to user space
 * @TCE_END_REFUSED: an error that the guest sees
 *
 * The first four are also places: where an instance of the code runs.
 */
enum kvmppc_tce_end {
	TCE_END_REAL,
	TCE_END_EARLY,
	TCE_END_EXIT,
	TCE_END_VIRTUAL,
	TCE_END_USER,
	TCE_END_REFUSED,
	/* private: */
	TCE_NR_ENDS
};

/**
 * struct kvmppc_tce_counts - what one CPU has done for one table
 * @requests: hypercalls
 * @tces: TCEs in them; not counted where a request is always one
 *
 * Written by its CPU only, inside a walk, so that no two writers meet and no
 * atomic operation is needed.
 */
struct kvmppc_tce_counts {
	u64 requests[TCE_NR_HCALLS][TCE_NR_ENDS];
	u64 tces[TCE_NR_HCALLS][TCE_NR_ENDS];
} ____cacheline_aligned;

/* TCEs in a page of the guest's view */
#define TCE_VIEW_SHIFT	(PAGE_SHIFT - 3)
#define TCE_VIEW_TCES	BIT(TCE_VIEW_SHIFT)

/*
 * What walks have to know of a table's links, in one word: flags, and the log2
 * of the most window TCEs that one TCE of the table becomes.
 */
#define TCE_LINKS_FROZEN	0x1	/* wait: a link is being made */
#define TCE_LINKS_BY_USER	0x2	/* changes are user space's affair */
#define TCE_LINKS_NOT_REAL	0x4	/* a window can't be written in real mode */
#define TCE_LINKS_NOT_EARLY	0x8	/* a window can't be written early */
#define TCE_LINKS_GENERAL	0x10	/* not one such window in memory */
#define TCE_LINKS_SUBPAGE_SHIFT	8

/**
 * struct kvmppc_spapr_tce_table - the table of one LIOBN
 * @list: in kvm->arch.spapr_tce_tables
 * @kvm: the guest, a reference is held
 * @liobn: its name in the guest's hypercalls
 * @page_shift: log2 of the bytes that a TCE maps
 * @page_mask: bits of an address within a page of that size
 * @offset: bus address of the first TCE, in pages
 * @size: number of TCEs
 * @window: the window of the only link. NULL if there is none; not looked at
 *	where @links_state has TCE_LINKS_GENERAL.
 * @mem: pinned memory of the guest's process
 * @links: struct kvmppc_spapr_tce_link, seen by walks
 * @links_state: TCE_LINKS_FROZEN and so on; a walk reads it, with acquire
 *	semantics, before @links. Stored last when a link comes or goes.
 * @claims: struct kvmppc_spapr_tce_claim
 * @counts: one for each CPU
 * @view: guest's view, by page of TCEs in the order of the processor; NULL
 *	reads as zeroes. A page once there stays.
 */
struct kvmppc_spapr_tce_table {
	struct list_head list;
	struct kvm *kvm;
	u64 liobn;
	u32 page_shift;
	u32 links_state;
	u64 page_mask;
	u64 offset;
	u64 size;
	struct spapr_tce_window *window;
	struct spapr_mem *mem;
	struct list_head links;
	struct list_head claims;
	struct kvmppc_tce_counts *counts;
	u64 *view[];
};

/**
 * struct kvmppc_spapr_tce_link - a window that a table's hypercalls write
 * @node: in kvmppc_spapr_tce_table::links
 * @window: the window; valid while the link is in the list
 * @subpage_shift: log2 of the window's TCEs that make up one of the table
 * @nr_claims: claims that keep the link
 */
struct kvmppc_spapr_tce_link {
	struct list_head node;
	struct spapr_tce_window *window;
	unsigned int subpage_shift;
	unsigned int nr_claims;
};

/**
 * struct kvmppc_spapr_tce_buffer - a list of TCEs on its way
 * @tces: as the guest gave them: the one copy that is checked and used
 * @list: as a window gets them
 *
 * Belongs to a vCPU, hence to the one hypercall that it is making.
 */
struct kvmppc_spapr_tce_buffer {
	u64 tces[SPAPR_TCE_LIST_MAX];
	struct spapr_tce list[SPAPR_TCE_LIST_MAX];
};

/* A table whose pages are larger than the host's always goes the general way */
static inline u32
kvmppc_tce_table_state(const struct kvmppc_spapr_tce_table *table)
{
	return table->page_shift > PAGE_SHIFT ? TCE_LINKS_GENERAL : 0;
}

bool kvmppc_tce_view_populate(struct kvmppc_spapr_tce_table *table,
			      unsigned long index, unsigned long npages);
struct kvmppc_spapr_tce_table *
kvmppc_tce_table_of_file(struct kvm *kvm, struct file *file);
void kvmppc_tce_drop_claims(struct kvmppc_spapr_tce_table *table);
bool kvmppc_tce_clear_one(struct kvmppc_spapr_tce_link *link,
			  unsigned long index);
void kvmppc_tce_show_claims(struct kvmppc_spapr_tce_table *table,
			    struct seq_file *m);

#endif /* _POWERPC_KVM_SPAPR_TCE_H */
