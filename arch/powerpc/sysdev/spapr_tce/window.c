// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: how they are created and closed, and which code writes them
 *
 * The owner of a window serialises the calls that create, attach, detach, fill
 * and close it. A writer (struct spapr_tce_writer), which changes TCEs in walks,
 * finds the window by a group that it is programmed into, and is revoked before
 * the window leaves that group. What holds whenever no call is under way:
 *
 *  - A TCE of a window on registered memory points to a registered page: a page
 *    leaves the registration only after a search has not found it (search.c).
 *  - A TCE of a window whose owner pins points to a page that the owner has
 *    pinned for this TCE.
 *  - A window in software has origins only, of memory that may be anything.
 *  - The origins of a window say what is mapped, whatever the table.
 *  - A closed window has no TCE, no writer, no group.
 *
 * A hypervisor may fail to clear a TCE. Then a device may reach its page until
 * the hypervisor has taken the table away from the group, and the page stays
 * pinned until then. If that fails too, the page, the table and the window stay
 * for good, because there is no way to find out when the device stops using them.
 */
#define pr_fmt(fmt) "spapr_tce: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <asm/spapr_tce.h>
#include <asm/spapr_trace.h>
#include "mem_user.h"
#include "window.h"

/**
 * struct attachment - a window is programmed into a group
 * @node: in spapr_tce_window::groups
 * @all: in attachments
 * @window: the window
 * @group: the group
 */
struct attachment {
	struct list_head node;
	struct list_head all;
	struct spapr_tce_window *window;
	struct iommu_group *group;
};

/* All of them, for writers that have a group and look for its windows */
static LIST_HEAD(attachments);
static DEFINE_MUTEX(attachments_lock);

/* Tell the writers that what they look at has changed */
static void tell_writers(struct spapr_tce_window *window)
{
	struct spapr_tce_writer *writer;

	lockdep_assert_held(&window->lock);
	list_for_each_entry(writer, &window->writers, node)
		writer->changed(writer);
}

/*
 * Put the window on @tbl, and set all that depends on the kind of table. No walk
 * uses a window that is watched. Writers may populate it, but not while they are
 * told of the change.
 */
void spapr_tce_window_set_table(struct spapr_tce_window *window,
				struct iommu_table *tbl,
				struct spapr_tce_hv *hv)
{
	guard(mutex)(&window->lock);

	window->tbl = tbl;
	window->hv = hv;
	window->kind = spapr_tce_kind_of(tbl);
	window->in_memory = window->kind == &spapr_tce_memory_kind;
	window->offset = tbl->it_offset;
	window->npages = tbl->it_size;
	window->kill_in_guest = window->in_memory ?
				tbl->it_ops->tce_kill_in_guest : NULL;
	window->flat = window->in_memory && !tbl->it_indirect_levels ?
		       (__be64 *)tbl->it_base : NULL;
	window->leaves = window->flat && spapr_sparse_is_flat(&window->origins) ?
			 (u64 **)window->origins.root : NULL;
	window->top = window->in_memory && tbl->it_indirect_levels == 1 ?
		      (__be64 *)tbl->it_base : NULL;
	window->leaf_shift = window->top ? ilog2(tbl->it_level_size) : 0;

	/* IODA has no TCE that can be written but not read */
	window->perm[TCE_PCI_READ] = TCE_PCI_READ;
	window->perm[TCE_PCI_WRITE] = TCE_PCI_WRITE;
	if (window->in_memory)
		window->perm[TCE_PCI_WRITE] |= TCE_PCI_READ;
	window->perm[SPAPR_TCE_PERM] = SPAPR_TCE_PERM;

	tell_writers(window);
}

/* Take a window from hardware. After an error it may still have the table. */
long spapr_tce_group_unset_window(struct iommu_table_group *tg, int num)
{
	long ret = tg->ops->unset_window(tg, num);

	if (ret)
		pr_warn_ratelimited("group %d may still have DMA window %d: error %ld\n",
				    iommu_group_id(tg->group), num, ret);

	return ret;
}

/* Take a window from hardware; the table is kept for good if that fails */
long spapr_tce_window_unset(struct spapr_tce_window *window,
			    struct iommu_table_group *tg, int num)
{
	long ret = spapr_tce_group_unset_window(tg, num);

	if (ret)
		window->stuck = true;

	return ret;
}

/* Allocate what the window has besides its structure */
static int init_window(struct spapr_tce_window *window, struct iommu_table *tbl)
{
	const struct spapr_tce_kind *kind = spapr_tce_kind_of(tbl);
	struct spapr_tce_hv *hv = NULL;
	int ret;

	if (!spapr_sparse_init(&window->origins, fls64(tbl->it_size - 1),
			       GFP_KERNEL_ACCOUNT))
		return -ENOMEM;

	if (kind->prepare) {
		ret = kind->prepare(window, tbl, &hv);
		if (ret) {
			spapr_sparse_destroy(&window->origins, true);
			return ret;
		}
	}

	spapr_tce_window_set_table(window, tbl, hv);
	trace_spapr_tce_window_create(window);
	return 0;
}

/* Allocate a window, and set what does not depend on whose memory it maps */
static struct spapr_tce_window *alloc_window(struct iommu_table *tbl)
{
	struct spapr_tce_window *window;

	window = kzalloc(sizeof(*window), GFP_KERNEL_ACCOUNT);
	if (!window)
		return NULL;

	window->page_shift = tbl->it_page_shift;
	window->page_mask = (1UL << tbl->it_page_shift) - 1;
	kref_init(&window->ref);
	mutex_init(&window->lock);
	INIT_LIST_HEAD(&window->groups);
	INIT_LIST_HEAD(&window->writers);
	return window;
}

/**
 * spapr_tce_window_create() - make a window of a table
 * @tbl: a table that nothing writes; its reference passes to the window
 * @mm: the process whose memory the TCEs may point to, and whose writers
 *	may use the window; the caller holds a reference (mmgrab()) as long as
 *	the window lives. With @owner it may be NULL.
 * @owner: how the caller puts TCEs for pages that it pins by itself; NULL for
 *	a window on registered memory
 *
 * Context: process context, may sleep.
 * Return: the window, or ERR_PTR(-ENOMEM); then @tbl is still the caller's.
 */
struct spapr_tce_window *
spapr_tce_window_create(struct iommu_table *tbl, struct mm_struct *mm,
			const struct spapr_tce_owner *owner)
{
	struct spapr_mem *mem = owner ? NULL : spapr_mem_of(mm);
	struct spapr_tce_window *window;
	int ret;

	if (!owner && !mem)
		return ERR_PTR(-ENOMEM);

	window = alloc_window(tbl);
	if (!window)
		return ERR_PTR(-ENOMEM);

	window->mem = mem;
	window->mm = mm;
	window->owner = owner;
	ret = init_window(window, tbl);
	if (ret) {
		kfree(window);
		return ERR_PTR(ret);
	}

	if (mem) {
		window->pages = &mem->pages;
		window->memory.ops = &spapr_tce_memory_ops;
		spapr_mem_add_user(mem, &window->memory);
	}

	return window;
}

/**
 * spapr_tce_window_create_by_gpa() - make a window on a guest's memory
 * @tbl: a table that nothing else writes; its reference passes to the window
 * @pages: guest page number -> word as in spapr_mem::pages. The caller keeps
 *	the array as long as the window lives. Before a page is unpinned the
 *	caller clears its word, calls spapr_tce_quiesce() and
 *	spapr_tce_window_forget(). A word without SPAPR_MEM_VALID is for the
 *	caller's own use
 *
 * Context: process context, may sleep.
 * Return: the window, or ERR_PTR(-ENOMEM); then @tbl is still the caller's.
 */
struct spapr_tce_window *
spapr_tce_window_create_by_gpa(struct iommu_table *tbl,
			       const struct spapr_sparse *pages)
{
	struct spapr_tce_window *window = alloc_window(tbl);
	int ret;

	if (!window)
		return ERR_PTR(-ENOMEM);

	window->pages = pages;
	window->by_gpa = true;
	ret = spapr_tce_suspects_init(window);
	if (!ret)
		ret = init_window(window, tbl);
	if (ret) {
		kvfree(window->suspects);
		kfree(window);
		return ERR_PTR(ret);
	}

	return window;
}

static void free_window(struct kref *ref)
{
	struct spapr_tce_window *window =
		container_of(ref, struct spapr_tce_window, ref);

	mutex_destroy(&window->lock);
	kvfree(window->suspects);
	kfree(window);
}

static struct attachment *find_group(struct spapr_tce_window *window,
				     struct iommu_group *group)
{
	struct attachment *attachment;

	lockdep_assert_held(&window->lock);
	list_for_each_entry(attachment, &window->groups, node)
		if (attachment->group == group)
			return attachment;
	return NULL;
}

/**
 * spapr_tce_window_add_group() - let writers find a window by a group
 * @window: the window
 * @group: a group that the caller owns
 *
 * Context: process context, may sleep; calls for @group are serialised by the
 *	owner.
 * Return: 0 or -ENOMEM.
 */
int spapr_tce_window_add_group(struct spapr_tce_window *window,
			       struct iommu_group *group)
{
	struct attachment *attachment;

	attachment = kzalloc(sizeof(*attachment), GFP_KERNEL_ACCOUNT);
	if (!attachment)
		return -ENOMEM;

	attachment->group = group;
	attachment->window = window;
	scoped_guard(mutex, &window->lock)
		list_add(&attachment->node, &window->groups);
	scoped_guard(mutex, &attachments_lock)
		list_add(&attachment->all, &attachments);

	return 0;
}

/**
 * spapr_tce_window_attach() - program a window into a group
 * @window: the window
 * @group: a group that the caller owns; one without hardware is only noted
 * @num: which of the group's windows this is to be
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 * Return: 0, -ENOMEM, or the platform's error; then the group is as before.
 */
int spapr_tce_window_attach(struct spapr_tce_window *window,
			    struct iommu_group *group, int num)
{
	struct iommu_table_group *table_group = iommu_group_get_iommudata(group);
	long ret;

	spapr_tce_window_assert_owned(window);

	ret = spapr_tce_window_add_group(window, group);
	if (ret || !table_group)
		return ret;

	ret = table_group->ops->set_window(table_group, num, window->tbl);
	if (ret)
		spapr_tce_window_remove_group(window, group);
	return ret;
}

/* Revoke the writers that came by @group, or all if @group is NULL */
static void revoke_writers(struct spapr_tce_window *window,
			   struct iommu_group *group)
{
	struct spapr_tce_writer *writer, *next;

	lockdep_assert_held(&window->lock);
	list_for_each_entry_safe(writer, next, &window->writers, node) {
		if (group && writer->group != group)
			continue;
		list_del_init(&writer->node);
		writer->revoke(writer);
	}
}

/**
 * spapr_tce_window_watch() - start or stop reserving a window for its owner
 * @window: the window
 * @watched: only the owner writes the window from now on: mediated devices use
 *	it, which have to be asked before a mapping goes
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_window_watch(struct spapr_tce_window *window, bool watched)
{
	spapr_tce_window_assert_owned(window);

	scoped_guard(mutex, &window->lock) {
		WRITE_ONCE(window->watched, watched);
		tell_writers(window);
	}
	spapr_tce_quiesce();
}

/**
 * spapr_tce_window_remove_group() - undo spapr_tce_window_add_group()
 * @window: the window
 * @group: the group
 *
 * The writers that came by @group are revoked.
 *
 * Context: process context, may sleep; calls for @group are serialised by the
 *	owner.
 */
void spapr_tce_window_remove_group(struct spapr_tce_window *window,
				   struct iommu_group *group)
{
	struct attachment *attachment;

	scoped_guard(mutex, &window->lock) {
		attachment = find_group(window, group);
		if (WARN_ON_ONCE(!attachment))
			return;
		revoke_writers(window, group);
		list_del(&attachment->node);
	}
	scoped_guard(mutex, &attachments_lock)
		list_del(&attachment->all);
	kfree(attachment);
}

/**
 * spapr_tce_window_detach() - take a window from a group
 * @window: the window
 * @group: a group that it was attached to
 * @num: as it was attached
 *
 * The writers that came by @group are revoked first. TCEs are left as they are:
 * an owner that wants them gone as well clears them before, while a table that
 * belongs to the hypervisor can still be reached.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 * Return: 0, or the platform's error; then the group may still have the table,
 * which is never freed.
 */
long spapr_tce_window_detach(struct spapr_tce_window *window,
			     struct iommu_group *group, int num)
{
	struct iommu_table_group *table_group = iommu_group_get_iommudata(group);

	spapr_tce_window_assert_owned(window);

	spapr_tce_window_remove_group(window, group);

	return table_group ? spapr_tce_window_unset(window, table_group, num) :
			     0;
}

/* Drop a table that no group has any more, or keep it if one may still have it */
void spapr_tce_window_put_table(struct spapr_tce_window *window,
				struct iommu_table *tbl)
{
	/*
	 * Freed, it would be memory that a device reaches. The window may get
	 * another table, which goes when it is taken from the group.
	 */
	if (window->stuck) {
		window->stuck = window->lost;
		return;
	}

	/* What could not be cleared has gone with the table */
	WRITE_ONCE(window->lost, false);
	spapr_tce_hv_unpin(window->left_hv, window->owner, window->npages);
	spapr_tce_hv_destroy(window->left_hv);
	window->left_hv = NULL;
	iommu_tce_table_put(tbl);
}

/**
 * spapr_tce_window_close() - end a window
 * @window: the window, not to be used any more
 *
 * The owner has drained it (spapr_tce_window_drain()), then detached it from
 * all its groups: the hypervisor's tables are reached only as long as they are
 * programmed into a group.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_window_close(struct spapr_tce_window *window)
{
	struct spapr_mem *mem = window->mem;

	spapr_tce_window_assert_owned(window);

	trace_spapr_tce_window_close(window);
	WARN_ON_ONCE(!window->drained || !list_empty(&window->groups));
	if (window->lost && window->stuck) {
		/*
		 * Registered memory goes on asking the window, and stays pinned,
		 * so what names it must not go with the process
		 */
		if (mem)
			mmgrab(mem->mm);
		pr_warn_ratelimited("a device may reach memory of a closed DMA window\n");
		return;
	}
	if (mem)
		spapr_mem_remove_user(mem, &window->memory);

	spapr_tce_hv_unpin(window->hv, window->owner, window->npages);
	spapr_tce_window_put_table(window, window->tbl);
	spapr_sparse_destroy(&window->origins, true);
	spapr_tce_hv_destroy(window->hv);
	kref_put(&window->ref, free_window);
}

/**
 * spapr_tce_window_drain() - revoke all writers and clear all TCEs
 * @window: the window, which is about to be closed
 *
 * It gets no new writers.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_window_drain(struct spapr_tce_window *window)
{
	spapr_tce_window_assert_owned(window);

	scoped_guard(mutex, &window->lock) {
		window->drained = true;
		revoke_writers(window, NULL);
	}
	/* Origins of what the hypervisor fails to clear stay */
	if (spapr_tce_unmap(window, 0, window->npages))
		WRITE_ONCE(window->lost, true);
}

static bool window_is_for(const struct spapr_tce_window *window,
			  const struct mm_struct *mm)
{
	return mm ? window->mm == mm : window->by_gpa;
}

static bool window_fits(const struct spapr_tce_window *window,
			unsigned int max_page_shift, u64 start, u64 size)
{
	return window->page_shift <= max_page_shift &&
	       (u64)window->offset << window->page_shift == start &&
	       (u64)window->npages << window->page_shift >= size;
}

/* A window of the group that fits, with a reference, or NULL */
static struct spapr_tce_window *
find_window(struct iommu_group *group, struct mm_struct *mm,
	    unsigned int max_page_shift, u64 start, u64 size)
{
	struct attachment *attachment;

	guard(mutex)(&attachments_lock);
	list_for_each_entry(attachment, &attachments, all) {
		struct spapr_tce_window *window = attachment->window;

		if (attachment->group == group && window_is_for(window, mm) &&
		    window_fits(window, max_page_shift, start, size)) {
			kref_get(&window->ref);
			return window;
		}
	}

	return NULL;
}

/**
 * spapr_tce_window_get() - become a writer of a window of a group
 * @group: the group, which the caller holds
 * @mm: the process that the writer works for; NULL for a window on a guest's
 *	memory
 * @max_page_shift: log2 of the largest page size in bytes that will do
 * @start: bus address at which the window must begin
 * @size: bytes that it must have at least
 * @writer: with spapr_tce_writer::revoke and changed set; the rest is filled in
 *	here
 *
 * Only a window that its owner has attached to @group is found: never a table
 * of the host's.
 *
 * Context: process context, may sleep.
 * Return: the window, or ERR_PTR(-EINVAL) if the group has none that fits.
 */
struct spapr_tce_window *spapr_tce_window_get(struct iommu_group *group,
					      struct mm_struct *mm,
					      unsigned int max_page_shift,
					      u64 start, u64 size,
					      struct spapr_tce_writer *writer)
{
	struct spapr_tce_window *window =
		find_window(group, mm, max_page_shift, start, size);

	if (!window)
		return ERR_PTR(-EINVAL);

	scoped_guard(mutex, &window->lock) {
		/* It may have left the group meanwhile */
		if (!window->drained && find_group(window, group)) {
			writer->group = group;
			writer->window = window;
			list_add(&writer->node, &window->writers);
			return window;
		}
	}
	kref_put(&window->ref, free_window);

	return ERR_PTR(-EINVAL);
}
EXPORT_SYMBOL_GPL(spapr_tce_window_get);

/**
 * spapr_tce_window_put() - stop being a writer of a window
 * @writer: the writer; the window is gone already if it has been revoked. Its
 *	walks do not reach the window any more, and spapr_tce_quiesce() has been
 *	called since.
 *
 * Context: process context, may sleep. Waits for a revocation under way.
 */
void spapr_tce_window_put(struct spapr_tce_writer *writer)
{
	struct spapr_tce_window *window = writer->window;

	scoped_guard(mutex, &window->lock)
		list_del_init(&writer->node);
	kref_put(&window->ref, free_window);
}
EXPORT_SYMBOL_GPL(spapr_tce_window_put);

#ifdef CONFIG_SPAPR_TCE_KUNIT_TEST
#include "window_test.c"
#endif
