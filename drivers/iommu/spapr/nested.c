// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested domains: windows that a guest's tables of TCEs describe
 *
 * Bridges do not translate twice. So a nested domain has a shadow: a paging domain
 * that the core does not know, with real addresses in place of the guest's. PEs are
 * attached to the shadow.
 *
 * The guest's table of a window is an array of TCEs in memory of the parent. It is
 * read when the domain is allocated and when user space says that TCEs have changed.
 * KVM's walks write the shadow as well, if user space has linked it (walks.c). A TCE
 * that is bad, or whose memory is not mapped, is clear in the shadow, and user space
 * is told.
 *
 * The driver keeps the origin of each TCE of the shadow: address and permissions of
 * the guest's TCE. A TCE whose origin is unchanged is left alone. When memory is
 * unmapped from the parent, tce_parent_forget() clears the TCEs that came from it.
 *
 * The guest and its monitor can write a table while the kernel reads it. So the
 * driver copies each TCE, and looks up the copy in the parent in the same walk. The
 * copy also survives a memory error in the table. A copy of a word that was being
 * written differs from the table, and the driver puts the TCE again.
 */

#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include <asm/spapr_tce.h>
#include <asm/tce.h>

#include "spapr-iommu.h"

/* How often a span is brought in line with a table that changes meanwhile */
#define TCE_REFRESH_TRIES	16

/**
 * struct tce_span - Some TCEs of a window
 * @nested: The domain
 * @w: Number of the window
 * @index: Of the first TCE in the window
 * @count: How many there are, not 0. All are in one leaf of the window's
 *	origins, and in one page of the guest's table
 */
struct tce_span {
	struct tce_nested *nested;
	unsigned int w;
	unsigned long index;
	unsigned long count;
};

static struct tce_nested *to_tce_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct tce_nested, domain);
}

static struct spapr_tce_window *tce_window(const struct tce_nested *nested,
					   unsigned int w)
{
	return nested->shadow->walks[w]->window;
}

static u64 tce_bus_address(const struct tce_nested *nested, unsigned int w,
			   unsigned long index)
{
	return nested->shadow->aperture[w].start +
	       ((u64)index << tce_page_shift(nested->shadow, w));
}

static unsigned long tce_window_tces(const struct tce_nested *nested,
				     unsigned int w)
{
	return tce_window(nested, w)->npages;
}

static int tce_prot(u64 tce)
{
	return (tce & TCE_PCI_READ ? IOMMU_READ : 0) |
	       (tce & TCE_PCI_WRITE ? IOMMU_WRITE : 0);
}

/* A TCE that has been copied, in the processor's byte order */
static u64 tce_copied(const struct tce_nested *nested, unsigned long i)
{
	u64 tce = nested->guest[i];

	return nested->cpu_order ? tce : be64_to_cpu((__force __be64)tce);
}

/*
 * Make the shadow's TCE of a TCE of the guest's. It is clear if the guest has
 * cleared it, and if it is bad. Return false if it is bad.
 */
static bool tce_make(const struct tce_nested *nested, unsigned int w, u64 tce,
		     struct spapr_tce *made)
{
	const struct spapr_tce_window *window = tce_window(nested, w);
	u64 gpa = tce & ~(u64)SPAPR_TCE_PERM;
	phys_addr_t phys;

	made->origin = SPAPR_TCE_CLEARED;
	made->tce = 0;
	if (!(tce & SPAPR_TCE_PERM))
		return true;
	if (gpa & window->page_mask)
		return false;
	if (!tce_parent_lookup(nested->parent, gpa, window->page_shift,
			       tce_prot(tce), &phys))
		return false;

	made->origin = tce;
	made->tce = phys | window->perm[tce & SPAPR_TCE_PERM];
	return true;
}

static void tce_report_bad(const struct tce_span *span, unsigned long i,
			   struct iommu_hwpt_spapr_tce_invalidate *report)
{
	if (!report->out_bad++)
		report->out_first_bad = tce_bus_address(span->nested, span->w,
							span->index + i);
}

/*
 * Copy the guest's TCEs of the span, in a walk. 0, or -EFAULT where the table is not
 * mapped or its memory has an error
 */
static int tce_copy_guest(const struct tce_span *span)
{
	struct tce_nested *nested = span->nested;
	const void *table;

	lockdep_assert_held(&nested->lock);
	table = tce_parent_memory(nested->parent,
				  nested->guest_table[span->w] +
					  span->index * sizeof(u64));
	if (!table || copy_mc_to_kernel(nested->guest, table,
					span->count * sizeof(u64)))
		return -EFAULT;
	return 0;
}

/*
 * Does the shadow's TCE differ from @made? Walks may leave one that does not match
 * its origin. Where only the hypervisor has it, they do not.
 */
static bool tce_differs(const struct spapr_tce_window *window,
			unsigned long index, const struct spapr_tce *made)
{
	u64 origin = READ_ONCE(*spapr_sparse_find(&window->origins, index));
	__be64 *tce;

	if (!(origin & SPAPR_TCE_PERM) != !made->tce ||
	    (made->tce && origin != made->origin))
		return true;
	return window->in_memory &&
	       spapr_tce_in_memory(window->tbl, index, &tce) &&
	       spapr_tce_read(tce) != made->tce;
}

/*
 * Put what differs, from the first such TCE to the last. What is between is put
 * again as it is. In a walk. Return: 0 if nothing differs, 1 if something was put
 */
static long tce_put_changed(const struct tce_span *span,
			    struct iommu_hwpt_spapr_tce_invalidate *report)
{
	struct tce_nested *nested = span->nested;
	struct spapr_tce_window *window = tce_window(nested, span->w);
	unsigned long i, first = span->count, last = 0;
	struct spapr_tce *list = nested->list;

	if (!spapr_tce_window_ready(window, span->index, span->count))
		return -ENOMEM;
	if (tce_copy_guest(span))
		return -EFAULT;
	for (i = 0; i < span->count; i++) {
		if (!tce_make(nested, span->w, tce_copied(nested, i), &list[i]))
			tce_report_bad(span, i, report);
		if (!tce_differs(window, span->index + i, &list[i]))
			continue;
		first = min(first, i);
		last = i;
	}
	if (first == span->count)
		return 0;

	return spapr_tce_put(window, span->index + first, list + first,
			     last - first + 1, SPAPR_TCE_VIRTUAL) ?: 1;
}

/*
 * Has the guest nothing in the span, and the shadow no memory for it either?
 * -EFAULT as tce_copy_guest()
 */
static int tce_span_empty(const struct tce_span *span)
{
	struct spapr_tce_window *window = tce_window(span->nested, span->w);
	int ret;

	if (spapr_sparse_find(&window->origins, span->index))
		return 0;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	ret = tce_copy_guest(span);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
	return ret ?: !memchr_inv(span->nested->guest, 0,
				  span->count * sizeof(u64));
}

/*
 * Bring the shadow of a span in line with the guest's table. Hypercalls write the
 * shadow first and the table after it, so a walk's TCE may be overwritten here by
 * what the table had before. That walk has ended after the wait, and what differs
 * then is put again. A guest that goes on writing only harms its own DMA.
 */
static long tce_refresh_span(const struct tce_span *span,
			     struct iommu_hwpt_spapr_tce_invalidate *report)
{
	struct spapr_tce_window *window = tce_window(span->nested, span->w);
	struct iommu_hwpt_spapr_tce_invalidate seen;
	unsigned int tries = TCE_REFRESH_TRIES;
	long ret;

	lockdep_assert_held(&span->nested->lock);
	ret = tce_span_empty(span);
	if (ret)
		return min(ret, 0);
	ret = spapr_tce_window_populate(window, span->index, span->count);
	if (ret)
		return ret;

	do {
		seen = *report;
		spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
		ret = tce_put_changed(span, &seen);
		spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
		if (ret > 0)
			spapr_tce_quiesce();
	} while (ret > 0 && --tries);

	*report = seen;
	return min(ret, 0L);
}

/* How many TCEs from @index on, at most @count, are one span? */
static unsigned long tce_span_count(const struct tce_nested *nested,
				    unsigned int w, unsigned long index,
				    unsigned long count)
{
	u64 entry = nested->guest_table[w] + index * sizeof(u64);

	return min(spapr_sparse_leaf_run(index, count),
		   (PAGE_SIZE - offset_in_page(entry)) / sizeof(u64));
}

/*
 * The same for as many TCEs as a user asks for, with others having their turn in
 * between
 */
static int tce_refresh(struct tce_nested *nested, unsigned int w,
		       unsigned long index, unsigned long count,
		       struct iommu_hwpt_spapr_tce_invalidate *report)
{
	struct tce_span span = { .nested = nested, .w = w };
	int ret;

	for (; count; index += span.count, count -= span.count) {
		span.index = index;
		span.count = tce_span_count(nested, w, index, count);
		mutex_lock(&nested->lock);
		ret = tce_refresh_span(&span, report);
		mutex_unlock(&nested->lock);
		if (ret)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* --- What the IOMMU core asks of a nested domain */

static int tce_nested_attach_dev(struct iommu_domain *domain,
				 struct device *dev, struct iommu_domain *old)
{
	struct tce_nested *nested = to_tce_nested(domain);

	return tce_domain_attach_dev(&nested->shadow->domain, dev, old);
}

/* The window that has all of a range, or -1 */
static int tce_nested_window(const struct tce_nested *nested, u64 start,
			     u64 size)
{
	unsigned int w;

	for (w = 0; w < nested->shadow->windows; w++) {
		const struct iommu_aperture *a = &nested->shadow->aperture[w];

		if (start >= a->start && start <= a->last &&
		    size - 1 <= a->last - start)
			return w;
	}
	return -1;
}

static int tce_invalidate(struct tce_nested *nested,
			  struct iommu_hwpt_spapr_tce_invalidate *request)
{
	unsigned int page_shift;
	u64 index;
	int w;

	if (request->flags || request->__reserved)
		return -EOPNOTSUPP;
	if (!request->size)
		return -EINVAL;

	w = tce_nested_window(nested, request->start, request->size);
	if (w < 0)
		return -EINVAL;
	page_shift = tce_page_shift(nested->shadow, w);
	if (!IS_ALIGNED(request->start | request->size, BIT_ULL(page_shift)))
		return -EINVAL;

	request->out_bad = 0;
	request->out_first_bad = 0;
	index = request->start - nested->shadow->aperture[w].start;
	return tce_refresh(nested, w, index >> page_shift,
			   request->size >> page_shift, request);
}

static int tce_invalidate_entry(struct tce_nested *nested,
				const struct iommu_user_data_array *array,
				unsigned int i)
{
	const unsigned int type = IOMMU_HWPT_INVALIDATE_DATA_SPAPR_TCE;
	struct iommu_hwpt_spapr_tce_invalidate request = {};
	int ret;

	ret = iommu_copy_struct_from_user_array(&request, array, type, i,
						out_first_bad);
	if (ret)
		return ret;

	ret = tce_invalidate(nested, &request);
	if (ret)
		return ret;
	if (copy_to_user(array->uptr + array->entry_len * i, &request,
			 sizeof(request)))
		return -EFAULT;
	return 0;
}

static int tce_nested_invalidate(struct iommu_domain *domain,
				 struct iommu_user_data_array *array)
{
	unsigned int i = 0;
	int ret = 0;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_SPAPR_TCE)
		ret = -EINVAL;
	while (!ret && i < array->entry_num) {
		ret = tce_invalidate_entry(to_tce_nested(domain), array, i);
		if (!ret)
			i++;
	}
	array->entry_num = i;
	return ret;
}

static void tce_nested_free(struct iommu_domain *domain)
{
	struct tce_nested *nested = to_tce_nested(domain);

	if (nested->parent) {
		mutex_lock(&nested->parent->lock);
		list_del(&nested->node);
		mutex_unlock(&nested->parent->lock);
	}
	tce_walks_destroy(nested->shadow);
	tce_domain_free(&nested->shadow->domain);
	mutex_destroy(&nested->lock);
	kvfree(nested);
}

static const struct iommu_domain_ops tce_nested_domain_ops = {
	.attach_dev = tce_nested_attach_dev,
	.cache_invalidate_user = tce_nested_invalidate,
	.free = tce_nested_free,
};

/* Is the guest's table where a parent can have it? */
static int tce_check_guest_table(const struct iommu_spapr_nested_window *w)
{
	const u64 limit = BIT_ULL(TCE_PARENT_LG2);
	u64 size = (w->window.size >> w->window.page_shift) * sizeof(u64);

	if (!IS_ALIGNED(w->table, sizeof(u64)))
		return -EINVAL;
	if (size > limit || w->table > limit - size)
		return -EINVAL;
	return 0;
}

/* The windows that the user wants, without their tables in @windows */
static int tce_nested_windows(const struct iommu_table_group *group,
			      const struct iommu_user_data *user_data,
			      struct iommu_hwpt_spapr_nested *data,
			      struct iommu_hwpt_spapr_tce *windows)
{
	unsigned int w;
	int ret;

	ret = iommu_copy_struct_from_user(data, user_data,
					  IOMMU_HWPT_DATA_SPAPR_NESTED,
					  windows);
	if (ret)
		return ret;

	if (data->flags & ~IOMMU_SPAPR_NESTED_CPU_ORDER)
		return -EOPNOTSUPP;
	windows->num_windows = data->num_windows;
	for (w = 0; w < TCE_WINDOWS; w++)
		windows->windows[w] = data->windows[w].window;
	ret = tce_check_windows(group, windows, TCE_NESTED_PAGE_SHIFT);
	for (w = 0; !ret && w < data->num_windows; w++)
		ret = tce_check_guest_table(&data->windows[w]);
	for (; !ret && w < TCE_WINDOWS; w++)
		if (data->windows[w].table)
			ret = -EOPNOTSUPP;
	return ret;
}

static int tce_nested_init(struct tce_nested *nested,
			   struct iommu_table_group *group,
			   const struct tce_parent *parent,
			   const struct iommu_hwpt_spapr_nested *data)
{
	unsigned int w;

	for (w = 0; w < nested->shadow->windows; w++)
		nested->guest_table[w] = data->windows[w].table;
	nested->cpu_order = data->flags & IOMMU_SPAPR_NESTED_CPU_ORDER;
	return tce_walks_init(nested->shadow, group, &parent->pages);
}

/* From here on the parent tells what it unmaps. Read the guest's tables */
static int tce_nested_fill(struct tce_nested *nested, struct tce_parent *parent)
{
	struct iommu_hwpt_spapr_tce_invalidate report = {};
	unsigned int w;
	int ret = 0;

	nested->parent = parent;
	mutex_lock(&parent->lock);
	list_add_tail(&nested->node, &parent->nested);
	mutex_unlock(&parent->lock);

	for (w = 0; w < nested->shadow->windows && !ret; w++)
		ret = tce_refresh(nested, w, 0, tce_window_tces(nested, w),
				  &report);
	return ret;
}

static struct tce_nested *
tce_make_nested(const struct iommu_table_group *group,
		const struct iommu_hwpt_spapr_tce *windows, int nid)
{
	struct tce_nested *nested = kvzalloc_obj(*nested, GFP_KERNEL_ACCOUNT);
	struct tce_domain *shadow;

	if (!nested)
		return ERR_PTR(-ENOMEM);
	shadow = tce_make_domain(group, windows, nid);
	if (IS_ERR(shadow)) {
		kvfree(nested);
		return ERR_CAST(shadow);
	}

	mutex_init(&nested->lock);
	nested->shadow = shadow;
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	nested->domain.ops = &tce_nested_domain_ops;
	return nested;
}

/**
 * tce_domain_alloc_nested() - Allocate a nested domain
 * @dev: Device that the domain has to fit
 * @parent: What tce_parent_alloc() has returned
 * @flags: IOMMU_HWPT_ALLOC_..., none of which is supported
 * @user_data: struct iommu_hwpt_spapr_nested
 *
 * Context: process context.
 * Return: the domain with what is in the guest's tables; or ERR_PTR of
 *	-EOPNOTSUPP for what is not supported, -EINVAL for windows that the PE of
 *	@dev cannot have and for tables beyond the parent, -EFAULT where the
 *	parent does not map a table, -EINTR, -ENOMEM.
 */
struct iommu_domain *
tce_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			u32 flags, const struct iommu_user_data *user_data)
{
	struct tce_parent *memory = container_of(parent, struct tce_parent,
						 domain);
	struct tce_device *tdev = dev_iommu_priv_get(dev);
	struct iommu_hwpt_spapr_tce windows = {};
	struct iommu_hwpt_spapr_nested data = {};
	struct tce_nested *nested;
	int ret;

	if (flags)
		return ERR_PTR(-EOPNOTSUPP);

	ret = tce_nested_windows(tdev->group, user_data, &data, &windows);
	if (ret)
		return ERR_PTR(ret);

	nested = tce_make_nested(tdev->group, &windows, dev_to_node(dev));
	if (IS_ERR(nested))
		return ERR_CAST(nested);

	ret = tce_nested_init(nested, tdev->group, memory, &data);
	if (!ret)
		ret = tce_nested_fill(nested, memory);
	if (ret) {
		tce_nested_free(&nested->domain);
		return ERR_PTR(ret);
	}
	return &nested->domain;
}
