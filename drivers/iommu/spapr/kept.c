// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of TCEs that a hypervisor has not cleared
 *
 * A hypervisor may fail to clear a TCE. The core unmaps its page all the same, and
 * the page is freed, while the device still reaches it. So a reference keeps the
 * page from being given to others. The address is taken from the domain's record,
 * see hypervisor.c, and noted in tce_domain::kept, which has room for each TCE before
 * it is mapped. The reference is dropped when the TCE has been cleared after all, or
 * the PE has lost the window. The pages of a window that stays with the hypervisor
 * are kept for good.
 */

#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include <asm/spapr_tce.h>

#include "spapr-iommu.h"

static unsigned long tce_window_index(const struct tce_domain *td,
				      unsigned int w, u64 iova)
{
	return (iova - td->aperture[w].start) >> tce_page_shift(td, w);
}

static u64 tce_window_iova(const struct tce_domain *td, unsigned int w,
			   unsigned long index)
{
	return td->aperture[w].start + ((u64)index << tce_page_shift(td, w));
}

/**
 * tce_kept_init() - Let pages of a domain be kept
 * @td: The domain, with its windows
 *
 * Context: process context.
 * Return: 0 or -ENOMEM. The caller calls tce_kept_destroy() in either case.
 */
int tce_kept_init(struct tce_domain *td)
{
	unsigned int w;

	for (w = 0; w < td->windows; w++) {
		u64 last = tce_window_index(td, w, td->aperture[w].last);

		if (!spapr_sparse_init(&td->kept[w], fls64(last),
				       GFP_KERNEL_ACCOUNT))
			return -ENOMEM;
	}
	return 0;
}

/**
 * tce_kept_destroy() - Undo tce_kept_init()
 * @td: The domain, which no PE is attached to any more
 *
 * Context: process context.
 */
void tce_kept_destroy(struct tce_domain *td)
{
	unsigned int w;

	tce_retry_kept(td);
	for (w = 0; w < td->windows; w++)
		spapr_sparse_destroy(&td->kept[w], true);
}

/**
 * tce_kept_populate() - Make room for keeping the pages of TCEs
 * @td: The domain
 * @w: The window
 * @iova: Bus address of the first TCE
 * @size: How many bytes the TCEs map, not 0
 * @gfp: How to allocate
 *
 * Context: as @gfp allows.
 * Return: 0 or -ENOMEM.
 */
int tce_kept_populate(struct tce_domain *td, unsigned int w, u64 iova,
		      u64 size, gfp_t gfp)
{
	unsigned long index = tce_window_index(td, w, iova);
	unsigned long end = tce_window_index(td, w, iova + size - 1) + 1;

	for (; index < end; index = spapr_sparse_leaf_end(index, end))
		if (!spapr_sparse_populate(&td->kept[w], index, gfp))
			return -ENOMEM;
	return 0;
}

/* Registers of devices are not the kernel's to give away */
static struct folio *tce_folio(unsigned long pfn)
{
	if (!pfn_valid(pfn) || is_zone_device_page(pfn_to_page(pfn)))
		return NULL;
	return page_folio(pfn_to_page(pfn));
}

/* Take, or drop, a reference of each of the kernel's pages that a TCE maps */
static void tce_refer(u64 tce, unsigned int page_shift, bool take)
{
	unsigned long pfn = PHYS_PFN(tce);
	unsigned long end = pfn + DIV_ROUND_UP(BIT(page_shift), PAGE_SIZE);

	for (; pfn < end; pfn++) {
		struct folio *folio = tce_folio(pfn);

		if (folio && take)
			folio_get(folio);
		else if (folio)
			folio_put(folio);
	}
}

/**
 * tce_keep() - Keep the pages of TCEs that a hypervisor may still have
 * @td: The domain
 * @w: The window
 * @iova: Bus address of the first TCE
 * @list: The TCEs. Their pages have not been given back yet
 * @count: How many
 *
 * The page of a second TCE at an address is kept for good.
 *
 * Context: the domain's lock is held.
 */
void tce_keep(struct tce_domain *td, unsigned int w, u64 iova,
	      const struct spapr_tce *list, unsigned int count)
{
	unsigned long index = tce_window_index(td, w, iova);
	unsigned int i;

	lockdep_assert_held(&td->lock);
	for (i = 0; i < count; i++) {
		u64 *kept = spapr_sparse_find(&td->kept[w], index + i);
		u64 tce = list[i].tce;

		if (!(tce & SPAPR_TCE_PERM) || (kept && *kept == tce))
			continue;
		tce_refer(tce, tce_page_shift(td, w), true);
		if (!kept || *kept)
			continue;
		WRITE_ONCE(*kept, tce);
		td->nr_kept++;
	}
}

/**
 * tce_keep_recorded() - Keep the pages of what the record has in a range
 * @td: The domain
 * @w: The window
 * @iova: Bus address of the first TCE
 * @npages: How many TCEs
 *
 * Context: the domain's lock is held.
 */
void tce_keep_recorded(struct tce_domain *td, unsigned int w, u64 iova,
		       unsigned long npages)
{
	unsigned int page_shift = tce_page_shift(td, w);
	u64 last = iova + ((u64)npages << page_shift) - 1;
	unsigned int n;

	lockdep_assert_held(&td->lock);
	while (iova < last) {
		n = pt_iommu_tce_read_run(td->table[w], &iova, last, td->list,
					  SPAPR_TCE_LIST_MAX);
		if (!n)
			return;
		tce_keep(td, w, iova, td->list, n);
		iova += (u64)n << page_shift;
	}
}

static bool tce_recorded(struct tce_domain *td, unsigned int w, u64 iova)
{
	return pt_iommu_tce_read_run(td->table[w], &iova,
				     iova + BIT(tce_page_shift(td, w)) - 1,
				     td->list, 1);
}

static int tce_clear_one(struct tce_attachment *attachment, unsigned int w,
			 u64 iova)
{
	struct iommu_table *tbl = attachment->table[w];

	if (!tbl)
		return 0;
	if (attachment->closing[w])
		return -EBUSY;
	return tbl->it_ops->clear_list(tbl, iova >> tbl->it_page_shift, 1);
}

/*
 * Clear a TCE whose page is kept in all PEs, and move it to *@tce. It stays where
 * another has been mapped over it, which will be cleared in its turn. 0 or -errno
 */
static int tce_retry_one(struct tce_domain *td, unsigned int w,
			 unsigned long index, u64 *kept, u64 *tce)
{
	u64 iova = tce_window_iova(td, w, index);
	struct tce_attachment *attachment;
	int ret;

	guard(raw_spinlock_irqsave)(&td->lock);
	*tce = 0;
	if (!*kept || tce_recorded(td, w, iova))
		return 0;
	list_for_each_entry(attachment, &td->attachments, node) {
		ret = tce_clear_one(attachment, w, iova);
		if (ret)
			return ret;
	}
	*tce = *kept;
	WRITE_ONCE(*kept, 0);
	td->nr_kept--;
	return 0;
}

/*
 * Find the next record of a kept page from *@index on, and move *@index to it. NULL
 * if there is none. Few pages are kept: callers take the lock for these only, and
 * look again.
 */
static u64 *tce_next_kept(struct tce_domain *td, unsigned int w,
			  unsigned long *index)
{
	unsigned long last = tce_window_index(td, w, td->aperture[w].last);
	u64 *kept;

	for (; *index <= last && READ_ONCE(td->nr_kept); (*index)++) {
		cond_resched();
		kept = spapr_sparse_next_leaf(&td->kept[w], index, last);
		if (!kept || READ_ONCE(*kept))
			return kept;
	}
	return NULL;
}

/* Clear those of a window, up to the first error */
static void tce_retry_window(struct tce_domain *td, unsigned int w)
{
	unsigned long index;
	u64 *kept, tce;

	for (index = 0; (kept = tce_next_kept(td, w, &index)); index++) {
		if (tce_retry_one(td, w, index, kept, &tce))
			return;
		if (tce)
			tce_refer(tce, tce_page_shift(td, w), false);
	}
}

/**
 * tce_retry_kept() - Clear the TCEs again whose pages are kept, and drop the pages
 * @td: The domain
 *
 * Context: process context.
 */
void tce_retry_kept(struct tce_domain *td)
{
	unsigned int w;

	for (w = 0; w < td->windows && READ_ONCE(td->nr_kept); w++)
		tce_retry_window(td, w);
}

/**
 * tce_keep_for_good() - Keep the pages of TCEs that cannot be cleared any more
 * @attachment: A PE that leaves and whose window stays with the hypervisor
 * @w: The window
 *
 * Clears the TCEs once more before.
 *
 * Context: process context.
 */
void tce_keep_for_good(struct tce_attachment *attachment, unsigned int w)
{
	struct tce_domain *td = attachment->domain;
	unsigned long index;
	u64 *kept;

	for (index = 0; (kept = tce_next_kept(td, w, &index)); index++) {
		guard(raw_spinlock_irqsave)(&td->lock);
		if (*kept && tce_clear_one(attachment, w,
					   tce_window_iova(td, w, index))) {
			WRITE_ONCE(*kept, 0);
			td->nr_kept--;
		}
	}
}
