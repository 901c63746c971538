/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks: short lookups in any mode, and how to wait for them
 *
 * Code that looks up pinned memory and writes what it found into a table of
 * TCEs does both between spapr_tce_walk_begin() and spapr_tce_walk_end(). A
 * walk never sleeps and is bounded. It may run in real mode, where RCU and SRCU
 * do not watch, so each walk marks itself in a per-CPU counter. To take
 * something away from walks, first make it unreachable, then call
 * spapr_tce_quiesce().
 */
#ifndef _ASM_POWERPC_SPAPR_WALK_H
#define _ASM_POWERPC_SPAPR_WALK_H

#include <linux/compiler.h>
#include <linux/lockdep.h>
#include <linux/preempt.h>
#include <asm/barrier.h>
#include <asm/paca.h>

/**
 * enum spapr_tce_mode - what the CPU can do where the engine is called
 * @SPAPR_TCE_VIRTUAL: the host kernel proper. Everything.
 * @SPAPR_TCE_EARLY: the processor still carries the guest's context, with
 *	translation on or off: linear map only; no allocation, no interrupts; of
 *	firmware, calls that need nothing of the host's context.
 * @SPAPR_TCE_REAL: the same, with translation off and possibly in a thread
 *	that the kernel believes to be offline.
 */
enum spapr_tce_mode {
	SPAPR_TCE_VIRTUAL,
	SPAPR_TCE_EARLY,
	SPAPR_TCE_REAL,
};

#ifndef CONFIG_SPAPR_TCE_IOMMU
/* Without the engine there are no walks */
static inline void spapr_tce_quiesce(void) { }
#else
void spapr_tce_quiesce(void);

/* Held by walks in virtual mode, taken and released by spapr_tce_quiesce() */
extern struct lockdep_map spapr_tce_walk_map;

/**
 * spapr_tce_walk_begin() - enter a walk
 * @mode: the mode that the CPU is in
 *
 * Context: any. Walks do not nest; nothing sleeps before spapr_tce_walk_end().
 * In virtual mode, lockdep checks the first and that no walk calls
 * spapr_tce_quiesce(); preemption is disabled, which exposes a sleep.
 */
static __always_inline void spapr_tce_walk_begin(enum spapr_tce_mode mode)
{
	if (mode == SPAPR_TCE_VIRTUAL) {
		preempt_disable();
		lock_map_acquire(&spapr_tce_walk_map);
	}
	/* Odd: walking. It is odd already if an oops has ended the last walk. */
	WRITE_ONCE(local_paca->spapr_tce_walks, local_paca->spapr_tce_walks | 1);
	/* Visible before the walk looks up anything */
	smp_mb();
}

/**
 * spapr_tce_walk_end() - leave a walk
 * @mode: as given to spapr_tce_walk_begin()
 */
static __always_inline void spapr_tce_walk_end(enum spapr_tce_mode mode)
{
	/* What the walk wrote is visible before its end */
	smp_mb();
	WRITE_ONCE(local_paca->spapr_tce_walks, local_paca->spapr_tce_walks + 1);
	if (mode == SPAPR_TCE_VIRTUAL) {
		lock_map_release(&spapr_tce_walk_map);
		preempt_enable();
	}
}

#endif /* CONFIG_SPAPR_TCE_IOMMU */
#endif /* _ASM_POWERPC_SPAPR_WALK_H */
