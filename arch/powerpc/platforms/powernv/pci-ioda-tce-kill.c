// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE invalidation where the host's context is not there
 *
 * This code runs in hypervisor real mode, or right after a guest's exit, when the
 * processor still has the guest's context. It is built without instrumentation. It
 * touches the linear map only and, of the PHB, what is said below.
 *
 * PHB3 (IODA2) has a register that takes invalidations as plain stores, and
 * which a cache-inhibited store reaches by its physical address.
 *
 * PHB4 and PHB5 have one too, but it is a queue: a store must wait until there
 * is room, alone among the machine's threads, and one for a single page can be
 * lost (HW560152). Today's firmware makes each request one for the PE; older
 * firmware can lose it. So it is asked for the PE at once. Firmware runs in
 * real mode on a stack of its own and needs nothing of the host's context but
 * disabled interrupts; so it is called here as well, past the tracepoints and
 * the soft interrupt state of opal_call(). It waits for the PHB without a bound.
 * So the caller sees to it that a system reset or a machine check meanwhile is
 * taken as in the host's context.
 */
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/rculist.h>

#include <asm/asm-prototypes.h>
#include <asm/iommu.h>
#include <asm/opal.h>
#include <asm/reg.h>

#include "pci.h"

/* A value whose bytes stand the other way round, by way of memory: cheaper */
static __always_inline u64 pnv_tce_kill_swap(u64 value)
{
	u64 swapped;

	asm("stdbrx %1,%y0" : "=Z" (swapped) : "r" (value));
	return swapped;
}

static __always_inline void pnv_phb3_tce_kill_write(u64 what,
						    unsigned long kill)
{
	if (IS_ENABLED(CONFIG_CPU_LITTLE_ENDIAN))
		what = pnv_tce_kill_swap(what);
	__raw_rm_writeq(what, (void __iomem *)kill);
}

/**
 * pnv_phb3_tce_kill_rm() - invalidate TCEs of a table in PHB3s
 * @tbl: a table that is programmed into PEs of PHB3s only
 * @index: first TCE, it_offset included
 * @npages: how many, at least 1
 *
 * Context: hypervisor real mode, inside a walk, which keeps the list of PEs
 * from being freed.
 */
void __kprobes pnv_phb3_tce_kill_rm(struct iommu_table *tbl,
				    unsigned long index, unsigned long npages)
{
	const unsigned long step = 1UL << tbl->it_page_shift;
	const unsigned long start = index << tbl->it_page_shift;
	const unsigned long more = npages - 1;
	struct iommu_table_group_link *link;

	/* TCEs first, then what makes the PHB read them again */
	mb();
	list_for_each_entry_lockless(link, &tbl->it_group_list, next) {
		struct pnv_ioda_pe *pe = container_of(link->table_group,
						      struct pnv_ioda_pe,
						      table_group);
		unsigned long kill = pe->phb->regs_phys + PHB3_TCE_KILL_OFFSET;
		u64 what = pe->pe_number & 0xff;
		unsigned long i;

		if (more >= PNV_TCE_KILL_PAGES_MAX) {
			pnv_phb3_tce_kill_write(what | PHB3_TCE_KILL_INVAL_PE,
						kill);
			continue;
		}

		what |= PHB3_TCE_KILL_INVAL_ONE | start;
		pnv_phb3_tce_kill_write(what, kill);
		if (likely(!more))
			continue;
#pragma GCC unroll 1
		for (i = 0; i < more; i++) {
			what += step;
			pnv_phb3_tce_kill_write(what, kill);
		}
	}
}

/**
 * pnv_opal_tce_kill_early() - invalidate TCEs of a table in PHBs by firmware
 * @tbl: a table that is programmed into PEs
 * @index: unused, the PEs forget all their TCEs
 * @npages: unused
 *
 * Context: a radix guest's context, interrupts hard-disabled, in_guest clear and
 * MSR[RI] set, so that the host's handlers take a system reset or a machine
 * check; inside a walk, which keeps the list of PEs from being freed. Changes
 * SRR0, SRR1, HSRR0 and HSRR1.
 */
void __kprobes pnv_opal_tce_kill_early(struct iommu_table *tbl,
				       unsigned long index,
				       unsigned long npages)
{
	const unsigned long msr = mfmsr() & ~MSR_EE;
	struct iommu_table_group_link *link;

	/* TCEs first; firmware orders what it does itself */
	mb();
	list_for_each_entry_lockless(link, &tbl->it_group_list, next) {
		struct pnv_ioda_pe *pe = container_of(link->table_group,
						      struct pnv_ioda_pe,
						      table_group);

		__opal_call(pe->phb->opal_id, OPAL_PCI_TCE_KILL_PE,
			    pe->pe_number, 0, 0, 0, 0, 0, OPAL_PCI_TCE_KILL,
			    msr);
	}
}
