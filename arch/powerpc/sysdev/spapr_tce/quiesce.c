// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks: wait until those under way have ended
 */
#include <linux/export.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>

#include <asm/spapr_trace.h>
#include <asm/spapr_walk.h>

#ifdef CONFIG_LOCKDEP
struct lockdep_map spapr_tce_walk_map =
	STATIC_LOCKDEP_MAP_INIT("spapr_tce_walk", &spapr_tce_walk_map);
EXPORT_SYMBOL_GPL(spapr_tce_walk_map);
#endif

static void wait_for_walks(void)
{
	int cpu;

	/* Pairs with the barrier in spapr_tce_walk_begin() */
	smp_mb();
	for_each_possible_cpu(cpu) {
		unsigned long *walks = &paca_ptrs[cpu]->spapr_tce_walks;
		unsigned long seen = READ_ONCE(*walks);

		while ((seen & 1) && READ_ONCE(*walks) == seen) {
			cpu_relax();
			cond_resched();
		}
	}
	/* Pairs with the barrier in spapr_tce_walk_end() */
	smp_mb();
}

static noinline void wait_traced(void)
{
	const u64 began = local_clock();

	wait_for_walks();
	trace_spapr_tce_quiesce(local_clock() - began);
}

/**
 * spapr_tce_quiesce() - wait for all walks that are under way
 *
 * When it returns, no walk in any mode uses what was made unreachable before
 * the call. A walk is short, so this waits actively and disturbs no CPU. An
 * oops inside a walk makes it wait until the CPU's next walk has ended.
 *
 * Context: process context, may sleep; not inside a walk.
 */
void spapr_tce_quiesce(void)
{
	might_sleep();
	lock_map_acquire(&spapr_tce_walk_map);
	lock_map_release(&spapr_tce_walk_map);

	if (trace_spapr_tce_quiesce_enabled())
		wait_traced();
	else
		wait_for_walks();
}
EXPORT_SYMBOL_GPL(spapr_tce_quiesce);
