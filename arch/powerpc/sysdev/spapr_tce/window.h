/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA windows: what the engine's own files share
 *
 * put.c writes TCEs inside walks, kinds.c and soft.c know the kinds of table,
 * registered.c maps registered memory there, map.c fills and empties windows
 * for their owner, window.c makes and closes them, move.c moves them to other
 * tables, search.c reports their TCEs to registered memory, forget.c clears
 * those that point to memory which a guest loses, domain.c has the windows of
 * several groups.
 */
#ifndef SPAPR_TCE_WINDOW_H
#define SPAPR_TCE_WINDOW_H

#include <linux/minmax.h>
#include <linux/spinlock.h>
#include <asm/spapr_tce.h>

struct spapr_mem_search;

/* Requests for different leaves of a window rarely meet in a lock */
#define SPAPR_TCE_HV_LOCKS	16

/**
 * struct spapr_tce_hv - what a window needs whose table the hypervisor has
 * @tces: index -> TCE, of a window that is mapped by physical address: the
 *	table cannot be read at a reasonable price
 * @former: of such a window, TCEs by slot in their leaf that the device may
 *	reach besides those in @tces: what a put was replacing that failed with
 *	-EIO. The window is lost since, so there is one such put at most.
 * @locks: make the hypercall and the store to spapr_tce_window::origins one, by
 *	leaf
 */
struct spapr_tce_hv {
	struct spapr_sparse tces;
	u64 *former;
	struct {
		raw_spinlock_t lock;
	} ____cacheline_aligned_in_smp locks[SPAPR_TCE_HV_LOCKS];
};

/**
 * struct spapr_tce_loss - memory that a guest loses
 * @window: the window
 * @start: first address
 * @last: last address
 */
struct spapr_tce_loss {
	struct spapr_tce_window *window;
	u64 start;
	u64 last;
};

/**
 * struct spapr_tce_kind - a kind of table, as process context uses it
 * @prepare: allocate what a window on such a table needs besides, before the
 *	window gets the table; 0 or -ENOMEM
 * @populate: add what is needed to put TCEs in the leaf of @index; false for
 *	lack of memory
 * @may_map: 0, or the error for user memory that cannot be mapped
 * @map: map user memory, up to the end of a leaf; how many TCEs were put, or an
 *	error, then none
 * @unmap: clear TCEs and origins of one leaf; 0 or -errno
 * @empty: clear TCEs of one leaf, not the origins; 0 or -errno
 * @exchange: put TCEs of one leaf by physical address, spapr_tce_exchange();
 *	NULL where there are no TCEs
 * @report: report TCEs of one leaf to a search for registered memory; NULL where
 *	no TCE relies on registration
 * @forget: clear TCEs of one leaf that point to memory which a guest loses; 0 or
 *	-errno. NULL where no TCE points to a guest's memory
 *
 * All of them sleep, except @report, @exchange, @unmap and @empty.
 */
struct spapr_tce_kind {
	int (*prepare)(struct spapr_tce_window *window,
		       const struct iommu_table *tbl, struct spapr_tce_hv **hv);
	bool (*populate)(struct spapr_tce_window *window, unsigned long index);
	int (*may_map)(struct spapr_tce_window *window, unsigned long ua,
		       unsigned long size);
	long (*map)(struct spapr_tce_window *window, unsigned long index,
		    unsigned long ua, unsigned long npages,
		    unsigned long perm);
	long (*unmap)(struct spapr_tce_window *window, unsigned long index,
		      unsigned long npages);
	long (*empty)(struct spapr_tce_window *window, unsigned long index,
		      unsigned long npages);
	long (*exchange)(struct spapr_tce_window *window, unsigned long index,
			 struct spapr_tce *list, unsigned long npages);
	void (*report)(const struct spapr_tce_window *window,
		       unsigned long index, const u64 *origin,
		       unsigned long npages, struct spapr_mem_search *search);
	long (*forget)(const struct spapr_tce_loss *loss, unsigned long index,
		       u64 *origin, unsigned long npages);
};

/* search.c */
extern const struct spapr_mem_user_ops spapr_tce_memory_ops;

/* kinds.c, soft.c */
extern const struct spapr_tce_kind spapr_tce_memory_kind;
extern const struct spapr_tce_kind spapr_tce_hv_kind;
extern const struct spapr_tce_kind spapr_tce_soft_kind;
const struct spapr_tce_kind *spapr_tce_kind_of(const struct iommu_table *tbl);
void spapr_tce_hv_unpin(struct spapr_tce_hv *hv,
			const struct spapr_tce_owner *owner,
			unsigned long npages);
void spapr_tce_hv_destroy(struct spapr_tce_hv *hv);

/* soft.c */
extern struct iommu_table_group spapr_tce_soft_group;
bool spapr_tce_table_is_soft(const struct iommu_table *tbl);
struct iommu_table *spapr_tce_soft_table(u64 start, unsigned long npages,
					 unsigned int page_shift, gfp_t gfp);

/* forget.c */
int spapr_tce_suspects_init(struct spapr_tce_window *window);

/* forget.c: operations of struct spapr_tce_kind */
long spapr_tce_forget_in_memory(const struct spapr_tce_loss *loss,
				unsigned long index, u64 *origin,
				unsigned long npages);
long spapr_tce_forget_of_hv(const struct spapr_tce_loss *loss,
			    unsigned long index, u64 *origin,
			    unsigned long npages);

/* put.c */
__be64 *spapr_tce_address(const struct spapr_tce_window *window,
			  unsigned long index);
long spapr_tce_store(struct spapr_tce_window *window, unsigned long index,
		     const struct spapr_tce *list, unsigned long npages);
void spapr_tce_kill(struct spapr_tce_window *window, unsigned long index,
		    unsigned long npages);

/* window.c: for the domain. Process context, may sleep; serialised by the owner */
struct spapr_tce_window *
spapr_tce_window_create(struct iommu_table *tbl, struct mm_struct *mm,
			const struct spapr_tce_owner *owner);
int spapr_tce_window_attach(struct spapr_tce_window *window,
			    struct iommu_group *group, int num);
long spapr_tce_window_detach(struct spapr_tce_window *window,
			     struct iommu_group *group, int num);
long spapr_tce_group_unset_window(struct iommu_table_group *tg, int num);
long spapr_tce_window_unset(struct spapr_tce_window *window,
			    struct iommu_table_group *tg, int num);
void spapr_tce_window_watch(struct spapr_tce_window *window, bool watched);
void spapr_tce_window_set_table(struct spapr_tce_window *window,
				struct iommu_table *tbl,
				struct spapr_tce_hv *hv);
void spapr_tce_window_put_table(struct spapr_tce_window *window,
				struct iommu_table *tbl);

/* map.c: for moves */
void spapr_tce_empty_table(struct spapr_tce_window *window);
long spapr_tce_refill_table(struct spapr_tce_window *window);

/* move.c */
int spapr_tce_window_move(struct spapr_tce_window *window,
			  struct iommu_table *tbl);

/* registered.c: operations of struct spapr_tce_kind */
int spapr_tce_may_map_registered(struct spapr_tce_window *window,
				 unsigned long ua, unsigned long size);
long spapr_tce_map_registered(struct spapr_tce_window *window,
			      unsigned long index, unsigned long ua,
			      unsigned long npages, unsigned long perm);
long spapr_tce_unmap_registered(struct spapr_tce_window *window,
				unsigned long index, unsigned long npages);

/* The owner pins what the TCEs point to; no registered memory is behind them */
static inline bool
spapr_tce_window_owner_pins(const struct spapr_tce_window *window)
{
	return window->owner;
}

/* The table is in software: there are origins and no TCEs */
static inline bool
spapr_tce_window_is_soft(const struct spapr_tce_window *window)
{
	return !window->kind->exchange;
}

/* Note that TCEs of one leaf map @ua and on, or with no @perm that none is put */
static inline void spapr_tce_set_origins(struct spapr_tce_window *window,
					 unsigned long index, unsigned long ua,
					 unsigned long npages,
					 unsigned long perm)
{
	u64 *origin = spapr_sparse_find(&window->origins, index);
	unsigned long i;

	for (i = 0; i < npages; i++, ua += 1UL << window->page_shift)
		WRITE_ONCE(origin[i], perm ? ua | perm : 0);
}

/* Calls of the owner are serialised */
static inline void
spapr_tce_window_assert_owned(const struct spapr_tce_window *window)
{
	if (window->owner_lock)
		lockdep_assert_held(window->owner_lock);
}

/* Put a TCE of a table in memory, and note where its page is from */
static __always_inline void spapr_tce_set(__be64 *tce, u64 *origin,
					  const struct spapr_tce *to)
{
	WRITE_ONCE(*origin, to->origin);
	spapr_tce_write(tce, to->tce);
}

/* The lock of the TCEs of @index's leaf, for a table of the hypervisor */
static inline raw_spinlock_t *
spapr_tce_window_lock(struct spapr_tce_window *window, unsigned long index)
{
	unsigned long leaf = index >> SPAPR_SPARSE_NODE_SHIFT;

	return &window->hv->locks[leaf % SPAPR_TCE_HV_LOCKS].lock;
}

/* Put a list into a table of the hypervisor, with interrupts off */
static inline long
spapr_tce_window_put_list(struct spapr_tce_window *window, unsigned long index,
			  const struct spapr_tce *list, unsigned long npages)
{
	struct iommu_table *tbl = window->tbl;
	long ret;

	ret = tbl->it_ops->put_list(tbl, tbl->it_offset + index, npages, list);
	/* A list that failed has been cleared as a whole, except for -EIO */
	if (unlikely(ret) && ret == -EIO)
		WRITE_ONCE(window->lost, true);

	return ret;
}

/* Clear TCEs of a table of the hypervisor, with interrupts off */
static inline long
spapr_tce_window_clear_list(struct spapr_tce_window *window,
			    unsigned long index, unsigned long npages)
{
	struct iommu_table *tbl = window->tbl;

	return tbl->it_ops->clear_list(tbl, tbl->it_offset + index, npages);
}

#endif
