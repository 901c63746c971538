/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TCE engine: DMA windows that in-kernel users fill with pinned memory
 *
 * A window is a table of TCEs (struct iommu_table) that a user, not the host's
 * DMA API, owns: it has been taken out of the host's hands, or was made for
 * the user, and is fed to the PEs of one or more IOMMU groups. The engine
 * writes it for whoever the user asks: a VFIO container by ioctl, KVM by
 * hypercall. It knows neither.
 *
 * Devices in software, which have no DMA of their own, look up in a window what
 * is mapped (spapr_tce_window_lookup()). While there are any the window is
 * watched: only its owner changes it, because they have to be asked before.
 *
 * Indices. Every TCE index in this interface is relative to the window's
 * start; counts are TCEs of the window's page size (1 << it_page_shift bytes).
 *
 * Walks. Whoever looks up pinned memory and writes what was found into a
 * window does both between spapr_tce_walk_begin() and spapr_tce_walk_end().
 * A walk never sleeps and is bounded (SPAPR_TCE_LIST_MAX TCEs). It may run in
 * real mode, where RCU and SRCU do not watch; so a walk says that it is there
 * in a counter of its CPU, and whoever takes something away from walks first
 * makes it unreachable and then calls spapr_tce_quiesce().
 *
 * Writers. Any number of walks may write a window at once; two that write the
 * same TCE leave one of the two values. The owner of the window
 * (spapr_tce_window_create(), _close()) is one at a time.
 */
#ifndef _ASM_POWERPC_SPAPR_TCE_H
#define _ASM_POWERPC_SPAPR_TCE_H

#include <linux/list.h>
#include <linux/percpu-defs.h>
#include <linux/preempt.h>
#include <linux/spinlock_types.h>
#include <asm/barrier.h>
#include <asm/iommu.h>
#include <asm/spapr_mem.h>
#include <asm/tce.h>

#ifdef CONFIG_SPAPR_TCE_IOMMU
void spapr_tce_quiesce(void);
#else
/* Without the engine nobody walks */
static inline void spapr_tce_quiesce(void) { }
#endif

/* TCEs in one request: what fits a 4 KiB list (LoPAPR, H_PUT_TCE_INDIRECT) */
#define SPAPR_TCE_LIST_MAX	512UL
#define SPAPR_TCE_PERM		(TCE_PCI_READ | TCE_PCI_WRITE)

/**
 * enum spapr_tce_mode - what the CPU can do where the engine is called
 * @SPAPR_TCE_VIRTUAL: the host kernel proper. Everything.
 * @SPAPR_TCE_EARLY: translation is on, but the processor still carries the
 *	guest's context: no firmware call, no allocation, no interrupts.
 * @SPAPR_TCE_REAL: as @SPAPR_TCE_EARLY with translation off: linear map only.
 */
enum spapr_tce_mode {
	SPAPR_TCE_VIRTUAL,
	SPAPR_TCE_EARLY,
	SPAPR_TCE_REAL,
};

/* Requests for different leaves of a window rarely meet in a lock */
#define SPAPR_TCE_WINDOW_LOCKS	16

/**
 * struct spapr_tce_window - a table of TCEs owned by a user
 * @tbl: the table; a reference is held
 * @mem: pinned memory of the process that the window belongs to
 * @origins: index -> user address and permissions of the TCE's page. Word and
 *	TCE are written by two stores; a reader that finds them contradict each
 *	other looks again, and assumes the worst if they stay so.
 * @perm: permission bits of this kind of table for those of a request
 * @page_shift: log2 of the page size in bytes, the same whatever the table
 * @pins: each TCE holds a pin of its own on its page (container v1), instead
 *	of relying on the page's registration
 * @pinned: with @pins, what a table that cannot be read holds: index -> TCE
 * @soft: there is no hardware, and TCEs point to user memory that need not be
 *	pinned
 * @watched: devices in software use it; walks don't write it
 * @lost: the hypervisor failed in a way that leaves TCEs unknown; what they may
 *	point to stays pinned while the window lives
 * @drained: on its way to be closed; no user gets it any more
 * @in_memory: the table lies in this kernel's memory, else it is reached by
 *	hypercalls to the hypervisor
 * @locks: for a table that is reached by hypercalls: make the hypercall and the
 *	store to @origins one, by index
 * @mem_node: in spapr_mem::windows, under its lock
 * @node: in the list of all windows
 * @groups: IOMMU groups that the window is fed to
 * @users: struct spapr_tce_user, told before the window or their group goes
 */
struct spapr_tce_window {
	struct iommu_table *tbl;
	struct spapr_mem *mem;
	struct spapr_sparse origins;
	struct spapr_sparse pinned;
	u8 perm[4];
	unsigned int page_shift;
	bool pins;
	bool soft;
	bool watched;
	bool in_memory;
	bool lost;
	bool drained;
	struct {
		raw_spinlock_t lock;
	} ____cacheline_aligned_in_smp locks[SPAPR_TCE_WINDOW_LOCKS];
	struct list_head mem_node;
	struct list_head node;
	struct list_head groups;
	struct list_head users;
};

/**
 * struct spapr_tce_user - who writes to a window without owning it
 * @revoke: called once, when @group leaves the window or the window is closed.
 *	Before it returns, the user has made the window unreachable for its
 *	walks (unless it holds the window through another group too) and has
 *	called spapr_tce_quiesce(); afterwards it does not touch the window. May
 *	sleep; must not call spapr_tce_window_get() or _put(); the container's
 *	lock is held.
 * @changed: called when spapr_tce_window_by_owner() may have changed. When it
 *	returns, no walk begins that does not see it. Context as for @revoke.
 * @group: the group through which the user came to the window
 * @node: private
 */
struct spapr_tce_user {
	void (*revoke)(struct spapr_tce_user *user);
	void (*changed)(struct spapr_tce_user *user);
	struct iommu_group *group;
	struct list_head node;
};

/* The owner: process context, may sleep */
struct spapr_tce_window *spapr_tce_window_create(struct iommu_table *tbl,
						 struct mm_struct *mm,
						 bool pins);
int spapr_tce_window_attach(struct spapr_tce_window *window,
			    struct iommu_group *group, int num);
void spapr_tce_window_detach(struct spapr_tce_window *window,
			     struct iommu_group *group, int num);
void spapr_tce_window_drain(struct spapr_tce_window *window);
void spapr_tce_window_close(struct spapr_tce_window *window);
void spapr_tce_window_watch(struct spapr_tce_window *window, bool watched);
int spapr_tce_window_move(struct spapr_tce_window *window,
			  struct iommu_table *tbl, bool pins);
int spapr_tce_window_lookup(struct spapr_tce_window *window, u64 bus,
			    unsigned int shift, unsigned long perm,
			    unsigned long *ua);
long spapr_tce_map(struct spapr_tce_window *window, unsigned long index,
		   unsigned long ua, unsigned long npages, unsigned long perm);
void spapr_tce_unmap(struct spapr_tce_window *window, unsigned long index,
		     unsigned long npages);

/* Tables in software */
extern struct iommu_table_group spapr_tce_soft_group;
bool spapr_tce_table_is_soft(const struct iommu_table *tbl);
struct iommu_table *spapr_tce_soft_table(u64 start, unsigned long npages,
					 unsigned int page_shift, gfp_t gfp);

/* Other users: process context, may sleep */
struct spapr_tce_window *spapr_tce_window_get(struct iommu_group *group,
					      struct mm_struct *mm,
					      unsigned int max_page_shift,
					      u64 start, u64 size,
					      struct spapr_tce_user *user);
void spapr_tce_window_put(struct spapr_tce_window *window,
			  struct spapr_tce_user *user);
int spapr_tce_window_populate(struct spapr_tce_window *window,
			      unsigned long index, unsigned long npages);

/* Pinned memory asks, with spapr_mem::lock held */
bool spapr_tce_window_uses(struct spapr_tce_window *window,
			   unsigned long ua, unsigned long size);

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

/* Pieces that the engine's own files share */
__be64 *spapr_tce_address(const struct spapr_tce_window *window,
			  unsigned long index);
long spapr_tce_store(struct spapr_tce_window *window, unsigned long index,
		     const struct spapr_tce *list, unsigned long npages);
void spapr_tce_kill(struct spapr_tce_window *window, unsigned long index,
		    unsigned long npages);

DECLARE_PER_CPU(unsigned long, spapr_tce_walks);

/**
 * spapr_tce_walk_begin() - enter a walk
 * @mode: the mode that the CPU is in
 *
 * Context: any. Walks do not nest; nothing that sleeps until
 * spapr_tce_walk_end().
 */
static __always_inline void spapr_tce_walk_begin(enum spapr_tce_mode mode)
{
	if (mode == SPAPR_TCE_VIRTUAL)
		preempt_disable();
	/* Odd: walking */
	raw_cpu_write(spapr_tce_walks, raw_cpu_read(spapr_tce_walks) + 1);
	/* Seen before anything that the walk looks up */
	smp_mb();
}

/**
 * spapr_tce_walk_end() - leave a walk
 * @mode: as given to spapr_tce_walk_begin()
 */
static __always_inline void spapr_tce_walk_end(enum spapr_tce_mode mode)
{
	/* What the walk wrote is seen before its end */
	smp_mb();
	raw_cpu_write(spapr_tce_walks, raw_cpu_read(spapr_tce_walks) + 1);
	if (mode == SPAPR_TCE_VIRTUAL)
		preempt_enable();
}

/* The lock of the TCEs of @index's leaf, for a table of the hypervisor */
static inline raw_spinlock_t *
spapr_tce_window_lock(struct spapr_tce_window *window, unsigned long index)
{
	unsigned long leaf = index >> SPAPR_SPARSE_NODE_SHIFT;

	return &window->locks[leaf % SPAPR_TCE_WINDOW_LOCKS].lock;
}

/**
 * spapr_tce_window_by_owner() - is the window written by its owner only?
 * @window: the window
 *
 * A walk can neither pin nor ask devices in software to let go.
 */
static __always_inline bool
spapr_tce_window_by_owner(const struct spapr_tce_window *window)
{
	return window->pins || window->watched;
}

/**
 * spapr_tce_window_can() - can the window be written in this mode?
 * @window: the window
 * @mode: the mode
 *
 * A table that must be told of changes through firmware, or that belongs to
 * the hypervisor, is written by the host kernel proper only.
 */
static __always_inline bool
spapr_tce_window_can(const struct spapr_tce_window *window,
		     enum spapr_tce_mode mode)
{
	if (spapr_tce_window_by_owner(window))
		return false;
	if (mode == SPAPR_TCE_VIRTUAL)
		return true;
	return mode == SPAPR_TCE_REAL && window->in_memory &&
	       window->tbl->it_ops->tce_kill_rm;
}

/**
 * spapr_tce_make() - make the TCE for a page of the window's process
 * @window: a window that relies on registration (not @pins)
 * @ua: user address, a multiple of the window's page size
 * @perm: SPAPR_TCE_PERM bits, at least one
 * @entry: where the TCE is put
 *
 * Context: any, inside the walk that goes on to write it.
 * Return: false where @ua is not registered, or not as a page of that size.
 */
static __always_inline bool
spapr_tce_make(const struct spapr_tce_window *window, unsigned long ua,
	       unsigned long perm, struct spapr_tce *entry)
{
	unsigned long hpa;

	if (!spapr_mem_to_phys(window->mem, ua, window->tbl->it_page_shift,
			       &hpa))
		return false;

	entry->origin = ua | perm;
	entry->tce = hpa | window->perm[perm];
	return true;
}

#endif /* _ASM_POWERPC_SPAPR_TCE_H */
