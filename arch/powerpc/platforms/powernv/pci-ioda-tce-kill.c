// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE invalidation outside the host's context
 *
 * This code runs in hypervisor real mode, or right after a guest's exit while the
 * processor still has the guest's context. It is built without instrumentation. It
 * touches only the linear map and the PHB.
 *
 * PHB3 (IODA2) has a register that takes invalidations as plain stores. A
 * cache-inhibited store reaches it by its physical address.
 *
 * PHB4 and PHB5 have such a register too, but it is a queue. Only one thread of the
 * machine may store to it at a time, and that thread must first wait for room. So
 * firmware does it. An invalidation of a single page can be lost (HW560152).
 * Current firmware therefore invalidates the whole PE, but older firmware does not.
 * So this code always asks for the whole PE.
 *
 * Firmware runs in real mode on a stack of its own. Of the host's context it needs
 * only disabled interrupts. So this code calls it without the tracepoints and the
 * soft interrupt state of opal_call(). Firmware may wait for the PHB without a
 * bound. So the caller must let the host's handlers take a system reset or a
 * machine check that arrives meanwhile.
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
