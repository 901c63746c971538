/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TCE engine: DMA windows whose TCEs point to user memory
 *
 * A window is a table of TCEs (struct iommu_table) that is programmed into the
 * PEs of one or more IOMMU groups. It has an owner, which has taken the groups
 * from the host's DMA API. The owner opens and closes windows through a domain
 * (asm/spapr_domain.h), and maps and unmaps memory. Other kernel code may write
 * a window in walks: a writer, which is revoked before the window goes.
 *
 * TCEs point either to registered memory (asm/spapr_mem.h), where owner and
 * writers look it up by user address; or to the memory of a guest, where they
 * look it up by the guest's address; or to pages that the owner pins by itself
 * and puts by physical address. Walks do not write windows of the last kind.
 *
 * Mediated devices have no DMA of their own. They look up in a window what is
 * mapped (spapr_tce_window_lookup()). Meanwhile the window is watched: only its
 * owner changes it, which asks these devices before.
 *
 * Indices. Every TCE index in this interface is relative to the window's
 * start; counts are TCEs of the window's page size (1 << it_page_shift bytes).
 *
 * Walks (asm/spapr_walk.h). Any number of TCEs up to SPAPR_TCE_LIST_MAX may be
 * written in one.
 *
 * Writers. Any number of walks may write a window at once; two that write the
 * same TCE leave one of the two values. The owner serialises its own calls.
 */
#ifndef _ASM_POWERPC_SPAPR_TCE_H
#define _ASM_POWERPC_SPAPR_TCE_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <asm/iommu.h>
#include <asm/spapr_mem.h>
#include <asm/spapr_walk.h>
#include <asm/tce.h>

#ifdef CONFIG_SPAPR_TCE_IOMMU

/* TCEs in one request: what fits a 4 KiB list (LoPAPR, H_PUT_TCE_INDIRECT) */
#define SPAPR_TCE_LIST_MAX	512UL
/* TCEs that process context prepares on the stack before they are stored */
#define SPAPR_TCE_BATCH		64UL
#define SPAPR_TCE_PERM		(TCE_PCI_READ | TCE_PCI_WRITE)
/*
 * The origin of a TCE in memory that was cleared and that the hardware may still
 * have, because its invalidation is under way on some CPU. 0 instead means that
 * nothing is cached: a request that clears such a TCE needs no invalidation.
 */
#define SPAPR_TCE_CLEARED	0x4UL

/* IODA's second window begins at bit 59, and hypervisors follow it */
#define SPAPR_TCE_SECOND_START	BIT_ULL(59)

struct spapr_tce_hv;
struct spapr_tce_kind;
struct spapr_tce_window;

/**
 * struct spapr_tce_owner - how an owner puts TCEs for pages that it pins itself
 * @map: map user memory of the current process from @ua on, at most @npages TCEs
 *	of one leaf from @index on, which has been populated: pins and calls
 *	spapr_tce_exchange(). Returns how many were put, or -errno, then none.
 * @unmap: clear TCEs of one leaf with spapr_tce_exchange() and unpin their
 *	pages; with @keep the origins stay. Returns 0 or -errno.
 * @unpin: unpin the pages of TCEs that a hypervisor has failed to clear, after
 *	it has taken the table away; a TCE without permissions has no page
 *
 * Called by functions that the owner calls, with the locks that it holds.
 */
struct spapr_tce_owner {
	long (*map)(struct spapr_tce_window *window, unsigned long index,
		    unsigned long ua, unsigned long npages,
		    unsigned long perm);
	long (*unmap)(struct spapr_tce_window *window, unsigned long index,
		      unsigned long npages, bool keep);
	void (*unpin)(const u64 *tces, unsigned long npages);
};

/**
 * struct spapr_tce_window - a table of TCEs owned by a user
 * @tbl: the table; a reference is held
 * @pages: what the TCEs point to, as walks look it up, see spapr_mem::pages.
 *	Not valid if @owner pins
 * @mem: the registered memory that has @pages, else NULL
 * @flat: the TCEs, if they lie in this kernel's memory in one piece
 * @leaves: the leaves of @origins, if these have two levels and the TCEs are
 *	@flat, so that a walk looks at one pointer for both
 * @top: the upper level, if they lie in this kernel's memory under one
 * @leaf_shift: log2 of the TCEs below an entry of @top
 * @page_shift: log2 of the page size in bytes, the same whatever the table
 * @page_mask: bits of an address within a page
 * @offset: the first TCE's index from IOBA 0
 * @npages: how many TCEs
 * @kill_in_guest: the table's iommu_table_ops::tce_kill_in_guest, if it lies in
 *	memory
 * @origins: index -> address in @pages and permissions of the TCE's page, or a
 *	word without permissions. Word and TCE are written by two stores, so that
 *	a reader may find them contradict each other.
 * @perm: permission bits of this kind of table for those of a request
 * @owner: the owner pins what TCEs point to by itself; NULL where the TCEs rely
 *	on registered memory
 * @kind: what can be done with this kind of table
 * @in_memory: the table lies in this kernel's memory; for walks
 * @by_gpa: the addresses in @pages are those of a guest's memory
 * @watched: mediated devices use it; walks don't write it
 * @lost: the hypervisor failed in a way that leaves TCEs unknown; what they may
 *	point to stays pinned while the window lives, and nothing is mapped
 * @ref: the owner's reference, and each writer's
 * @suspects: see forget.c; NULL unless @by_gpa
 * @mm: the process whose writers may have the window, NULL if @by_gpa
 * @owner_lock: the owner's mutex, which serialises its calls; NULL if it has none
 * @lock: protects what follows, and @watched, @drained and the table while writers
 *	are told of a change; held while a writer is revoked. Nests inside the
 *	owner's locks and spapr_mem::lock.
 * @groups: IOMMU groups that the window is programmed into
 * @writers: struct spapr_tce_writer, told before the window or their group goes
 */
struct spapr_tce_window {
	struct iommu_table *tbl;
	const struct spapr_sparse *pages;
	__be64 *flat;
	u64 **leaves;
	__be64 *top;
	unsigned int leaf_shift;
	unsigned int page_shift;
	unsigned long page_mask;
	unsigned long offset;
	unsigned long npages;
	void (*kill_in_guest)(struct iommu_table *tbl, unsigned long index,
			      unsigned long npages);
	struct spapr_sparse origins;
	u8 perm[4];
	bool in_memory;
	bool by_gpa;
	bool watched;
	bool lost;
	struct spapr_mem *mem;
	const struct spapr_tce_owner *owner;
	const struct spapr_tce_kind *kind;
	/* private: for the engine */
	/* What only a table of the hypervisor's needs, else NULL */
	struct spapr_tce_hv *hv;
	/*
	 * Of a window that was @lost when it left the hypervisor's table, what
	 * it had of that; until the table is gone.
	 */
	struct spapr_tce_hv *left_hv;
	/*
	 * A group may still have the table after it has lost the window; if
	 * @lost as well, neither the window nor what it maps is ever freed.
	 */
	bool stuck;
	/* About to be closed; no writer finds it */
	bool drained;
	/* Makes @mem ask for the window's TCEs (search.c) */
	struct spapr_mem_user memory;
	/* public: */
	struct kref ref;
	struct spapr_tce_suspects *suspects;
	struct mm_struct *mm;
	struct mutex *owner_lock;	/* the owner's calls */
	struct mutex lock;	/* groups and writers */
	struct list_head groups;
	struct list_head writers;
};

/**
 * struct spapr_tce_writer - kernel code that writes a window without owning it
 * @revoke: called once, when @group leaves the window or the window is closed.
 *	Before it returns, the writer has made the window unreachable for its
 *	walks (unless it holds the window through another group too) and has
 *	called spapr_tce_quiesce(); afterwards it does not touch the window. May
 *	sleep; must not call spapr_tce_window_get() or _put(); the owner's locks
 *	and spapr_tce_window::lock are held.
 * @changed: called when spapr_tce_window_by_owner() may have changed. When it
 *	returns, no walk begins that does not see it. Context as for @revoke.
 * @group: the group through which the writer came to the window
 * @window: private; a reference is held
 * @node: private
 */
struct spapr_tce_writer {
	void (*revoke)(struct spapr_tce_writer *writer);
	void (*changed)(struct spapr_tce_writer *writer);
	struct iommu_group *group;
	struct spapr_tce_window *window;
	struct list_head node;
};

/* The owner: process context, may sleep */
long spapr_tce_map(struct spapr_tce_window *window, unsigned long index,
		   unsigned long ua, unsigned long npages, unsigned long perm);
long spapr_tce_unmap(struct spapr_tce_window *window, unsigned long index,
		     unsigned long npages);
long spapr_tce_exchange(struct spapr_tce_window *window, unsigned long index,
			struct spapr_tce *list, unsigned long npages);
int spapr_tce_window_lookup(struct spapr_tce_window *window, u64 bus,
			    unsigned int shift, unsigned long perm,
			    unsigned long *ua);

/* The owner of a window on a guest's memory: process context, may sleep */
struct spapr_tce_window *
spapr_tce_window_create_by_gpa(struct iommu_table *tbl,
			       const struct spapr_sparse *pages);
void spapr_tce_window_drain(struct spapr_tce_window *window);
void spapr_tce_window_close(struct spapr_tce_window *window);
int spapr_tce_window_add_group(struct spapr_tce_window *window,
			       struct iommu_group *group);
void spapr_tce_window_remove_group(struct spapr_tce_window *window,
				   struct iommu_group *group);
long spapr_tce_window_forget(struct spapr_tce_window *window, u64 start,
			     u64 last);

/* Writers, and the owner: process context, may sleep */
struct spapr_tce_window *spapr_tce_window_get(struct iommu_group *group,
					      struct mm_struct *mm,
					      unsigned int max_page_shift,
					      u64 start, u64 size,
					      struct spapr_tce_writer *writer);
void spapr_tce_window_put(struct spapr_tce_writer *writer);
int spapr_tce_window_populate(struct spapr_tce_window *window,
			      unsigned long index, unsigned long npages);

/* Inside a walk, in any mode */
bool spapr_tce_window_ready(struct spapr_tce_window *window,
			    unsigned long index, unsigned long npages);
long spapr_tce_put(struct spapr_tce_window *window, unsigned long index,
		   const struct spapr_tce *list, unsigned long npages,
		   enum spapr_tce_mode mode);
long spapr_tce_try_put(struct spapr_tce_window *window, unsigned long index,
		       const struct spapr_tce *list, unsigned long npages,
		       enum spapr_tce_mode mode);
long spapr_tce_clear(struct spapr_tce_window *window, unsigned long index,
		     unsigned long npages, enum spapr_tce_mode mode);

/**
 * spapr_tce_window_start() - get the bus address where a window begins
 * @window: the window
 *
 * Context: any.
 * Return: the bus address, in bytes.
 */
static inline u64 spapr_tce_window_start(const struct spapr_tce_window *window)
{
	return (u64)window->tbl->it_offset << window->page_shift;
}

/**
 * spapr_tce_window_size() - get the size of a window
 * @window: the window
 *
 * Context: any.
 * Return: the size in bytes.
 */
static inline u64 spapr_tce_window_size(const struct spapr_tce_window *window)
{
	return (u64)window->tbl->it_size << window->page_shift;
}

/**
 * spapr_tce_window_by_owner() - check whether only its owner writes a window
 * @window: the window
 *
 * A walk can neither pin pages nor ask mediated devices to unpin them.
 *
 * Return: true if only the owner writes the window.
 */
static __always_inline bool
spapr_tce_window_by_owner(const struct spapr_tce_window *window)
{
	return window->owner || READ_ONCE(window->watched);
}

/**
 * spapr_tce_window_can() - check whether walks in a mode may write a window
 * @window: the window
 * @mode: the mode
 *
 * A table that belongs to the hypervisor is written by the host kernel proper
 * only.
 *
 * Return: whether it can.
 */
static __always_inline bool
spapr_tce_window_can(const struct spapr_tce_window *window,
		     enum spapr_tce_mode mode)
{
	if (spapr_tce_window_by_owner(window))
		return false;
	if (mode == SPAPR_TCE_VIRTUAL)
		return true;
	return window->kill_in_guest;
}

/* A TCE as the PHB reads it */
static __always_inline u64 spapr_tce_read(const __be64 *at)
{
#ifdef __LITTLE_ENDIAN__
	u64 tce;

	asm volatile("ldbrx %0,%y1" : "=r" (tce) : "Z" (*at));
	return tce;
#else
	return READ_ONCE(*(const u64 *)at);
#endif
}

static __always_inline void spapr_tce_write(__be64 *at, u64 tce)
{
#ifdef __LITTLE_ENDIAN__
	asm volatile("stdbrx %1,%y0" : "=Z" (*at) : "r" (tce));
#else
	WRITE_ONCE(*(u64 *)at, tce);
#endif
}

/*
 * Where the TCE at @index of a table in memory stands, if its level is there. A
 * level has a power of two of entries and no fewer than a leaf of origins, so
 * that what is contiguous there is so here.
 */
static __always_inline bool spapr_tce_in_memory(const struct iommu_table *tbl,
						unsigned long index,
						__be64 **tce)
{
	__be64 *node = (__be64 *)tbl->it_base;
	unsigned long level = tbl->it_indirect_levels;
	unsigned long mask = tbl->it_level_size - 1;
	unsigned int bits, shift;

	if (!level) {
		*tce = node + index;
		return true;
	}

	bits = __ilog2_u64(tbl->it_level_size);
	shift = level * bits;
	do {
		unsigned long slot = (index >> shift) & mask;
		u64 entry = spapr_tce_read(&node[slot]);

		if (!(entry & SPAPR_TCE_PERM))
			return false;
		node = __va(entry & ~SPAPR_TCE_PERM);
		shift -= bits;
		/* Counting the rounds in advance costs more than they do */
		OPTIMIZER_HIDE_VAR(shift);
	} while (shift);

	*tce = node + (index & mask);
	return true;
}

/* spapr_tce_in_memory() of a window, at less cost where there are two levels */
static __always_inline bool
spapr_tce_in_levels(const struct spapr_tce_window *window, unsigned long index,
		    __be64 **tce)
{
	unsigned long mask = (1UL << window->leaf_shift) - 1;
	u64 entry;

	if (unlikely(!window->top))
		return spapr_tce_in_memory(window->tbl, index, tce);

	entry = spapr_tce_read(&window->top[index >> window->leaf_shift]);
	if (!(entry & SPAPR_TCE_PERM))
		return false;

	*tce = (__be64 *)__va(entry & ~SPAPR_TCE_PERM) + (index & mask);
	return true;
}

/**
 * spapr_tce_find() - find a TCE and its origin if their leaves are populated
 * @window: a window with a table in memory
 * @index: the TCE; below the window's size
 * @origin: where the origin's address is put
 * @tce: where the TCE's address is put
 *
 * The next TCEs and origins, up to the end of the leaf of origins, follow there.
 *
 * Context: any, inside a walk.
 * Return: false where a level is missing.
 */
static __always_inline bool
spapr_tce_find(const struct spapr_tce_window *window, unsigned long index,
	       u64 **origin, __be64 **tce)
{
	u64 **leaves = window->leaves, *leaf;

	if (unlikely(!leaves))
		return spapr_sparse_lookup(&window->origins, index, origin) &&
		       spapr_tce_in_levels(window, index, tce);

	leaf = READ_ONCE(leaves[index >> SPAPR_SPARSE_NODE_SHIFT]);
	*origin = leaf + (index & SPAPR_SPARSE_LEAF_MASK);
	*tce = window->flat + index;
	return likely(leaf);
}

/**
 * spapr_tce_kill_few() - invalidate a few TCEs that were changed
 * @window: a window with a table in memory
 * @index: first TCE
 * @npages: number of TCEs, at least 1
 * @mode: one that spapr_tce_window_can()
 *
 * Context: as @mode says, inside the walk that changed them.
 */
static __always_inline void
spapr_tce_kill_few(struct spapr_tce_window *window, unsigned long index,
		   unsigned long npages, enum spapr_tce_mode mode)
{
	struct iommu_table *tbl = window->tbl;

	if (mode == SPAPR_TCE_VIRTUAL)
		tbl->it_ops->tce_kill(tbl, window->offset + index, npages);
	else
		window->kill_in_guest(tbl, window->offset + index, npages);
}

#endif /* CONFIG_SPAPR_TCE_IOMMU */
#endif /* _ASM_POWERPC_SPAPR_TCE_H */
