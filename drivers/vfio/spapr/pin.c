// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that an sPAPR TCE v1 container pins
 *
 * A v1 container registers no memory. It pins the page of each TCE when the TCE
 * is put, once for each TCE, and unpins it when the TCE has gone. What ENABLE
 * charges covers one pin for every TCE of the window. Where a hypervisor fails
 * to clear a TCE, its page stays pinned until the hypervisor has taken the table
 * away, and for good if it fails to do that as well.
 *
 * MAP_DMA does not fault pages in with the container's lock held (container.c).
 * Where a page is absent it begins again, after it has faulted the range in.
 */
#include <linux/container_of.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/vfio.h>
#include <asm/iommu.h>
#include <asm/spapr_tce.h>
#include "container.h"

/* Host pages that are prepared on the stack */
#define PAGE_BATCH	16UL

/* Unpin the page of former TCEs, dirty if they let the device write to it */
static void unpin_tces(u64 tce, unsigned long npins)
{
	struct page *page = pfn_to_page(tce >> PAGE_SHIFT);

	if (tce & TCE_PCI_WRITE)
		set_page_dirty_lock(page);
	unpin_user_folio(page_folio(page), npins);
}

/* Unpin the pages of TCEs, with one call for each run of the same page */
static void unpin_list(const struct spapr_tce *list, unsigned long npages)
{
	unsigned long i, run;

	for (i = 0; i < npages; i += run) {
		u64 tce = list[i].tce;

		for (run = 1; i + run < npages; run++)
			if ((list[i + run].tce ^ tce) &
			    (PAGE_MASK | TCE_PCI_WRITE))
				break;
		if (tce & SPAPR_TCE_PERM)
			unpin_tces(tce, run);
	}
}

/* Host pages in which @npages TCE pages from @ua on lie */
static unsigned long host_pages(unsigned long ua, unsigned long npages,
				unsigned int shift)
{
	return ((ua + (npages << shift) - 1) >> PAGE_SHIFT) -
	       (ua >> PAGE_SHIFT) + 1;
}

static struct tce_pins *pins_of(const struct spapr_tce_window *window)
{
	return container_of(window->owner, struct tce_pins, owner);
}

/*
 * Pin for writing, whatever the TCE permits: after a copy-on-write, a page that
 * was pinned for reading is no longer the process's. Pin long-term: a page that is
 * pinned cannot be migrated to where such pages belong.
 */
static long pin_pages(unsigned long ua, unsigned long nr_pages,
		      unsigned int flags, struct page **pages)
{
	return pin_user_pages_fast(ua & PAGE_MASK, nr_pages,
				   FOLL_WRITE | FOLL_LONGTERM | flags, pages);
}

/*
 * Make TCEs for pages that have been pinned, as far as these reach. The first
 * TCE of a page takes over its pin, the others get their own.
 */
static unsigned long make_tces(struct spapr_tce_window *window,
			       struct spapr_tce *list, unsigned long ua,
			       unsigned long npages, unsigned long perm,
			       struct page **pages, unsigned long nr_pages)
{
	const unsigned long first = ua >> PAGE_SHIFT;
	unsigned long taken = 0, made, nr;

	for (made = 0; made < npages; made++, ua += 1UL << window->page_shift) {
		nr = (ua >> PAGE_SHIFT) - first;
		if (nr >= nr_pages)
			break;
		if (nr < taken)
			folio_add_pin(page_folio(pages[nr]));
		taken = nr + 1;
		list[made].origin = ua | perm;
		list[made].tce = page_to_phys(pages[nr]) | (ua & ~PAGE_MASK) |
				 window->perm[perm];
	}

	return made;
}

/* Unpin pages whose TCEs have not been put, or have been cleared again */
static void unpin_made(struct page **pages, unsigned long ua,
		       unsigned long made, unsigned int shift)
{
	const unsigned long first = ua >> PAGE_SHIFT;

	while (made--) {
		unpin_user_page(pages[(ua >> PAGE_SHIFT) - first]);
		ua += 1UL << shift;
	}
}

/* spapr_tce_owner::map. It stops before a hole, where the next call fails. */
static long pin_map(struct spapr_tce_window *window, unsigned long index,
		    unsigned long ua, unsigned long npages, unsigned long perm)
{
	struct spapr_tce list[SPAPR_TCE_BATCH] __uninitialized;
	struct page *pages[PAGE_BATCH] __uninitialized;
	const unsigned int shift = window->page_shift;
	bool no_fault = pins_of(window)->no_fault;
	unsigned long made;
	long ret, got;

	npages = min(npages, SPAPR_TCE_BATCH);
	while (host_pages(ua, npages, shift) > PAGE_BATCH)
		npages--;
	got = pin_pages(ua, host_pages(ua, npages, shift),
			no_fault ? FOLL_NOFAULT : 0, pages);
	if (got <= 0)
		return no_fault ? -EAGAIN : -EFAULT;

	made = make_tces(window, list, ua, npages, perm, pages, got);
	ret = spapr_tce_exchange(window, index, list, made);
	unpin_list(list, made);
	if (!ret)
		return made;

	/* After -EIO the device may reach the pages: pin_unpin() comes later */
	if (ret != -EIO)
		unpin_made(pages, ua, made, shift);
	return ret;
}

/* spapr_tce_owner::unmap */
static long pin_unmap(struct spapr_tce_window *window, unsigned long index,
		      unsigned long npages, bool keep)
{
	u64 *origin = spapr_sparse_find(&window->origins, index);
	struct spapr_tce list[SPAPR_TCE_BATCH] __uninitialized;
	long ret = 0;

	while (npages) {
		unsigned long run = min(npages, SPAPR_TCE_BATCH);
		long err;

		memset(list, 0, run * sizeof(list[0]));
		for (unsigned long i = 0; keep && i < run; i++)
			list[i].origin = origin[i];
		err = spapr_tce_exchange(window, index, list, run);
		if (err)
			ret = ret ?: err;
		else
			unpin_list(list, run);
		index += run;
		origin += run;
		npages -= run;
	}

	return ret;
}

/* spapr_tce_owner::unpin */
static void pin_unpin(const u64 *tces, unsigned long npages)
{
	for (unsigned long i = 0; i < npages; i++)
		if (tces[i] & SPAPR_TCE_PERM)
			unpin_tces(tces[i], 1);
}

/* Set up how a v1 container pins */
void tce_pins_init(struct tce_pins *pins)
{
	pins->owner.map = pin_map;
	pins->owner.unmap = pin_unmap;
	pins->owner.unpin = pin_unpin;
}

/* Fault in what a MAP_DMA has not found, without any lock: 0 or -errno */
int tce_pins_fault_in(const struct vfio_iommu_type1_dma_map *map)
{
	unsigned long ua = map->vaddr & PAGE_MASK, end = map->vaddr + map->size;
	struct page *pages[PAGE_BATCH] __uninitialized;

	while (ua < end) {
		long got;

		if (fatal_signal_pending(current))
			return -EINTR;
		got = pin_pages(ua, min(DIV_ROUND_UP(end - ua, PAGE_SIZE),
					PAGE_BATCH), 0, pages);
		if (got <= 0)
			return -EFAULT;
		unpin_user_pages(pages, got);
		ua += got << PAGE_SHIFT;
		cond_resched();
	}

	return 0;
}
