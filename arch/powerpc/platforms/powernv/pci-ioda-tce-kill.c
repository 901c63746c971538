// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE invalidation on PHB3 in hypervisor real mode
 *
 * PHB3 (IODA2) has a register that takes invalidations as plain stores, and
 * which a cache-inhibited store reaches by its physical address. Built without
 * instrumentation; touches the linear map and that register only.
 */
#include <linux/io.h>
#include <linux/rculist.h>

#include <asm/iommu.h>

#include "pci.h"

/**
 * pnv_phb3_tce_kill_rm() - make PHB3s forget TCEs of a table
 * @tbl: a table that is fed to PEs of PHB3s only
 * @index: first TCE, it_offset included
 * @npages: how many
 *
 * Context: hypervisor real mode, inside a walk, which keeps the list of PEs
 * from being freed.
 */
void notrace pnv_phb3_tce_kill_rm(struct iommu_table *tbl, unsigned long index,
				  unsigned long npages)
{
	const unsigned long step = 1UL << tbl->it_page_shift;
	struct iommu_table_group_link *link;

	/* TCEs first, then what makes the PHB read them again */
	mb();
	list_for_each_entry_lockless(link, &tbl->it_group_list, next) {
		struct pnv_ioda_pe *pe = container_of(link->table_group,
						      struct pnv_ioda_pe,
						      table_group);
		void __iomem *kill = (void __iomem *)(pe->phb->regs_phys +
						      PHB3_TCE_KILL_OFFSET);
		unsigned long what = pe->pe_number & 0xff, i;

		if (npages > PNV_TCE_KILL_PAGES_MAX) {
			what |= PHB3_TCE_KILL_INVAL_PE;
			__raw_rm_writeq_be(what, kill);
			continue;
		}

		what |= PHB3_TCE_KILL_INVAL_ONE | index << tbl->it_page_shift;
		for (i = 0; i < npages; i++, what += step)
			__raw_rm_writeq_be(what, kill);
	}
}
