// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows of a bridge
 *
 * On bare metal the bridge walks the domain's tables, so a PE that joins gets
 * their addresses, and after each change the bridge forgets what it had cached.
 */

#include <linux/bitops.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-pages.h"
#include "spapr-iommu.h"

/* Users expect to find room for their memory at the address it has for them */
#define TCE_APERTURE_MIN_LG2	47

/* Return the table of @td for window @num of a PE, or NULL */
static struct pt_iommu_tce *tce_table_for(struct tce_domain *td, int num)
{
	unsigned int w;

	for (w = 0; td && w < td->windows; w++)
		if (tce_window_number(td->aperture[w].start) == num)
			return td->table[w];
	return NULL;
}

static int tce_set_table(struct iommu_table_group *group, int num,
			 struct pt_iommu_tce *pt)
{
	struct pt_iommu_tce_hw_info table;

	pt_iommu_tce_hw_info(pt, &table);
	return group->ops->attach_table(group, num, &table);
}

/*
 * Close a window that has a table of @td. If that fails, the PE is frozen, and the
 * table is kept: a PE that is thawed must not find memory there that has been freed.
 * But the bridge no longer forgets what is unmapped.
 */
static void tce_close_table(struct iommu_table_group *group, int num,
			    struct tce_domain *td)
{
	if (group->ops->detach_table(group, num) && td)
		td->outlives = true;
}

/* Give a window its table of @from back, or none if @from has none */
static void tce_restore_table(struct tce_attachment *attachment, int num,
			      struct tce_domain *from)
{
	struct pt_iommu_tce *pt = tce_table_for(from, num);

	if (!pt || tce_set_table(attachment->group, num, pt))
		tce_close_table(attachment->group, num, attachment->domain);
}

/*
 * A window that both domains have is never without a table, so DMA to what both
 * map goes on.
 */
static int tce_bridge_join(struct tce_attachment *attachment,
			   struct tce_attachment *old, struct device *dev)
{
	struct iommu_table_group *group = attachment->group;
	struct tce_domain *from = old ? old->domain : NULL;
	struct pt_iommu_tce *pt;
	int num, ret;

	for (num = 0; num < TCE_WINDOWS; num++) {
		pt = tce_table_for(attachment->domain, num);
		if (!pt) {
			tce_close_table(group, num, from);
			continue;
		}
		ret = tce_set_table(group, num, pt);
		if (!ret)
			continue;
		while (num--)
			tce_restore_table(attachment, num, from);
		return ret;
	}
	return 0;
}

static void tce_bridge_leave(struct tce_attachment *attachment,
			     struct device *dev)
{
	int num;

	for (num = 0; num < TCE_WINDOWS; num++)
		if (tce_table_for(attachment->domain, num))
			tce_close_table(attachment->group, num,
					attachment->domain);
}

/* Have the bridges of all PEs forget a range. What is in no window is left out */
static void tce_bridge_flush(struct tce_domain *td, u64 start, u64 last)
{
	struct tce_attachment *attachment;
	unsigned int page_shift, w;

	guard(raw_spinlock_irqsave)(&td->lock);
	for (w = 0; w < td->windows; w++) {
		u64 from = max(start, td->aperture[w].start);
		u64 to = min(last, td->aperture[w].last);

		if (from > to)
			continue;
		page_shift = tce_page_shift(td, w);
		list_for_each_entry(attachment, &td->attachments, node)
			attachment->group->ops->flush_tces(attachment->group,
				from, ((to - from) >> page_shift) + 1,
				page_shift);
	}
}

/* The bridge may have cached that there was nothing */
static int tce_bridge_sync_map(struct iommu_domain *domain, unsigned long iova,
			       size_t size)
{
	tce_bridge_flush(to_tce_domain(domain), iova, iova + size - 1);
	return 0;
}

/* The core maps into the table of a single window by itself, see tce_table_of() */
static int tce_bridge_map_pages(struct iommu_domain *domain, unsigned long iova,
				phys_addr_t paddr, size_t pgsize,
				size_t pgcount, int prot, gfp_t gfp,
				size_t *mapped)
{
	struct tce_domain *td = to_tce_domain(domain);
	int w = tce_window_of_range(td, iova, pgsize * pgcount);
	struct pt_iommu *pt;

	if (w < 0)
		return w;
	pt = &td->table[w]->iommu;
	return pt->ops->map_range(pt, iova, paddr, pgsize * pgcount, prot, gfp,
				  mapped);
}

static size_t tce_bridge_unmap_pages(struct iommu_domain *domain,
				     unsigned long iova, size_t pgsize,
				     size_t pgcount,
				     struct iommu_iotlb_gather *gather)
{
	struct tce_domain *td = to_tce_domain(domain);
	int w = tce_window_of(td, iova);
	struct pt_iommu *pt;

	if (w < 0)
		return 0;
	pt = &td->table[w]->iommu;
	return pt->ops->unmap_range(pt, iova,
				    tce_size_in_window(td, w, iova,
						       pgsize * pgcount),
				    gather);
}

static void tce_bridge_flush_all(struct iommu_domain *domain)
{
	struct tce_domain *td = to_tce_domain(domain);
	struct tce_attachment *attachment;

	guard(raw_spinlock_irqsave)(&td->lock);
	list_for_each_entry(attachment, &td->attachments, node)
		attachment->group->ops->flush_tces(attachment->group, 0, 0, 0);
}

/*
 * A bridge caches levels as it caches TCEs, and cannot forget a single one. So
 * it forgets everything when a level is freed.
 */
static void tce_bridge_sync(struct iommu_domain *domain,
			    struct iommu_iotlb_gather *gather)
{
	if (gather->end >= gather->start)
		tce_bridge_flush(to_tce_domain(domain), gather->start,
				 gather->end);
	if (iommu_pages_list_empty(&gather->freelist))
		return;

	tce_bridge_flush_all(domain);
	iommu_put_pages_list(&gather->freelist);
}

/*
 * One window from address 0 on, with the largest pages that any memory can be
 * mapped with and as few levels as make it large enough.
 */
static int tce_bridge_windows(const struct iommu_table_group *group,
			      struct iommu_hwpt_spapr_tce *data)
{
	unsigned int level_lg2 = PAGE_SHIFT - ilog2(sizeof(u64));
	struct iommu_spapr_tce_window *w = &data->windows[0];
	unsigned int lg2;

	w->page_shift = __fls(tce_host_page_sizes(group));
	w->levels = tce_levels(TCE_APERTURE_MIN_LG2, w->page_shift);
	lg2 = w->page_shift + level_lg2 * w->levels;
	w->size = BIT_ULL(min(lg2, TCE_APERTURE_MAX_LG2));
	data->num_windows = 1;
	return 0;
}

static const struct iommu_domain_ops tce_bridge_domain_ops = {
	.attach_dev = tce_domain_attach_dev,
	.map_pages = tce_bridge_map_pages,
	.unmap_pages = tce_bridge_unmap_pages,
	.flush_iotlb_all = tce_bridge_flush_all,
	.iotlb_sync_map = tce_bridge_sync_map,
	.iotlb_sync = tce_bridge_sync,
	.iova_to_phys = tce_domain_iova_to_phys,
	.apertures = tce_domain_apertures,
	.free = tce_domain_free,
};

const struct tce_kind tce_kind_bridge = {
	.ops = &tce_bridge_domain_ops,
	.maps_single = true,
	.default_windows = tce_bridge_windows,
	.join = tce_bridge_join,
	.leave = tce_bridge_leave,
};
