// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: how a table of TCEs comes into a user's hands, is filled by ioctl,
 * and leaves again
 *
 * A window's owner is a container (of VFIO, say), which serialises the calls
 * that create, attach, detach and close it and its own maps and unmaps. Others
 * who write it by walks got it by the id of a group that it is fed to, and are
 * revoked before it leaves that group. What holds whenever no call is under
 * way:
 *
 *  - A TCE of a window that relies on registration points to a page that is
 *    registered in the process of the window, because a page leaves the
 *    registration only after spapr_tce_window_uses() has said no.
 *  - A TCE of a window that pins has one pin of its own.
 *  - A window in software has origins only, of memory that may be anything.
 *  - The origins of a window say what is mapped, whatever the table.
 *  - A closed window has no TCE, no user, no group.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/spapr_tce.h>

/* A group that a window is fed to */
struct window_group {
	struct list_head node;
	struct iommu_group *group;
};

/*
 * How many TCEs an ioctl prepares on the stack before it stores them, and how
 * many host pages it pins at a time.
 */
#define MAP_BATCH	64UL
#define PIN_BATCH	16UL

/**
 * spapr_tce_quiesce() - wait for all walks that were under way
 *
 * What was made unreachable before the call is not used by any walk, in any
 * mode, when it returns. A walk is short, so this waits actively; it disturbs
 * no CPU.
 *
 * Context: process context, may sleep; not inside a walk.
 */
void spapr_tce_quiesce(void)
{
	int cpu;

	might_sleep();
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
EXPORT_SYMBOL_GPL(spapr_tce_quiesce);

/* Put the window on @tbl: all that depends on the kind of table */
static void set_table(struct spapr_tce_window *window, struct iommu_table *tbl,
		      bool pins)
{
	window->tbl = tbl;
	window->pins = pins;
	window->soft = spapr_tce_table_is_soft(tbl);
	window->in_memory = !tbl->it_ops->put_list;
	window->offset = tbl->it_offset;
	window->kill_rm = window->in_memory ? tbl->it_ops->tce_kill_rm : NULL;
	window->flat = window->in_memory && !tbl->it_indirect_levels ?
		       (__be64 *)tbl->it_base : NULL;

	/* IODA has no TCE that can be written but not read */
	window->perm[TCE_PCI_READ] = TCE_PCI_READ;
	window->perm[TCE_PCI_WRITE] = TCE_PCI_WRITE;
	if (window->in_memory)
		window->perm[TCE_PCI_WRITE] |= TCE_PCI_READ;
	window->perm[SPAPR_TCE_PERM] = SPAPR_TCE_PERM;
}

static bool init_arrays(struct spapr_tce_window *window,
			unsigned int index_bits)
{
	if (!spapr_sparse_init(&window->origins, index_bits,
			       GFP_KERNEL_ACCOUNT))
		return false;
	if (spapr_sparse_init(&window->pinned, index_bits, GFP_KERNEL_ACCOUNT))
		return true;

	spapr_sparse_destroy(&window->origins, true);
	return false;
}

/**
 * spapr_tce_window_create() - make a window of a table
 * @tbl: a table that no one writes; its reference passes to the window
 * @mm: the process whose memory the TCEs may point to; the caller holds a
 *	reference (mmgrab()) as long as the window lives
 * @pins: the TCEs hold their pages themselves instead of relying on
 *	registration; only for TCE pages no larger than the host's, and not for
 *	a table in software
 *
 * Context: process context, may sleep.
 * Return: the window, or ERR_PTR(-ENOMEM, -EINVAL); then @tbl is still the
 * caller's.
 */
struct spapr_tce_window *spapr_tce_window_create(struct iommu_table *tbl,
						 struct mm_struct *mm,
						 bool pins)
{
	struct spapr_mem *mem = spapr_mem_of(mm);
	struct spapr_tce_window *window;
	unsigned int i;

	if (!mem)
		return ERR_PTR(-ENOMEM);
	if (pins && tbl->it_page_shift > PAGE_SHIFT)
		return ERR_PTR(-EINVAL);

	window = kzalloc(sizeof(*window), GFP_KERNEL_ACCOUNT);
	if (!window)
		return ERR_PTR(-ENOMEM);

	window->mem = mem;
	window->page_shift = tbl->it_page_shift;
	window->page_mask = (1UL << tbl->it_page_shift) - 1;
	set_table(window, tbl, pins);
	if (!init_arrays(window, fls64(tbl->it_size - 1))) {
		kfree(window);
		return ERR_PTR(-ENOMEM);
	}
	for (i = 0; i < SPAPR_TCE_WINDOW_LOCKS; i++)
		raw_spin_lock_init(&window->locks[i].lock);
	INIT_LIST_HEAD(&window->groups);
	INIT_LIST_HEAD(&window->users);

	guard(mutex)(&mem->lock);
	guard(mutex)(&mem->users_lock);
	list_add(&window->node, &mem->windows);

	return window;
}
EXPORT_SYMBOL_GPL(spapr_tce_window_create);

static struct window_group *find_group(struct spapr_tce_window *window,
				       struct iommu_group *group)
{
	struct window_group *wg;

	lockdep_assert_held(&window->mem->users_lock);
	list_for_each_entry(wg, &window->groups, node)
		if (wg->group == group)
			return wg;
	return NULL;
}

/**
 * spapr_tce_window_attach() - feed a window to the PEs of a group
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
	struct window_group *wg __free(kfree) = kzalloc(sizeof(*wg), GFP_KERNEL);
	long ret;

	if (!wg)
		return -ENOMEM;

	if (table_group) {
		ret = table_group->ops->set_window(table_group, num,
						   window->tbl);
		if (ret)
			return ret;
	}

	wg->group = group;
	scoped_guard(mutex, &window->mem->users_lock)
		list_add(&no_free_ptr(wg)->node, &window->groups);

	return 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_window_attach);

/* Tell those who came to @window by @group, or all where @group is NULL. */
static void revoke_users(struct spapr_tce_window *window,
			 struct iommu_group *group)
{
	struct spapr_tce_user *user, *next;

	lockdep_assert_held(&window->mem->users_lock);
	list_for_each_entry_safe(user, next, &window->users, node) {
		if (group && user->group != group)
			continue;
		list_del_init(&user->node);
		user->revoke(user);
	}
}

/* Tell the users that what they look at has changed */
static void tell_users(struct spapr_tce_window *window)
{
	struct spapr_tce_user *user;

	lockdep_assert_held(&window->mem->users_lock);
	list_for_each_entry(user, &window->users, node)
		user->changed(user);
}

/**
 * spapr_tce_window_watch() - devices in software come to use a window, or cease
 * @window: the window
 * @watched: whether there are any from now on
 *
 * When this returns with @watched set, nobody but the owner changes what is
 * mapped.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_window_watch(struct spapr_tce_window *window, bool watched)
{
	scoped_guard(mutex, &window->mem->users_lock) {
		WRITE_ONCE(window->watched, watched);
		tell_users(window);
	}
	spapr_tce_quiesce();
}
EXPORT_SYMBOL_GPL(spapr_tce_window_watch);

/**
 * spapr_tce_window_detach() - take a window from a group
 * @window: the window
 * @group: a group that it was attached to
 * @num: as it was attached
 *
 * The users who came by @group are revoked first. TCEs are left as they are:
 * an owner that wants them gone as well clears them before, while a table that
 * belongs to the hypervisor can still be reached.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_window_detach(struct spapr_tce_window *window,
			     struct iommu_group *group, int num)
{
	struct iommu_table_group *table_group = iommu_group_get_iommudata(group);
	struct window_group *wg;

	scoped_guard(mutex, &window->mem->users_lock) {
		wg = find_group(window, group);
		if (WARN_ON_ONCE(!wg))
			return;
		revoke_users(window, group);
		list_del(&wg->node);
	}

	kfree(wg);
	if (table_group)
		table_group->ops->unset_window(table_group, num);
}
EXPORT_SYMBOL_GPL(spapr_tce_window_detach);

/**
 * spapr_tce_window_close() - end a window
 * @window: the window, not to be used any more
 *
 * The owner has drained it (spapr_tce_window_drain()), then detached it from
 * all its groups: the hypervisor's tables are reached only as long as they are
 * fed to a group.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_window_close(struct spapr_tce_window *window)
{
	struct spapr_mem *mem = window->mem;

	WARN_ON_ONCE(!window->drained || !list_empty(&window->groups));
	scoped_guard(mutex, &mem->lock) {
		guard(mutex)(&mem->users_lock);
		list_del(&window->node);
	}

	WARN_ONCE(window->lost, "a hypervisor's table could not be cleared");
	spapr_mem_reap(mem);
	iommu_tce_table_put(window->tbl);
	spapr_sparse_destroy(&window->origins, true);
	spapr_sparse_destroy(&window->pinned, true);
	kfree(window);
}
EXPORT_SYMBOL_GPL(spapr_tce_window_close);

/**
 * spapr_tce_window_drain() - revoke all users and clear all TCEs
 * @window: the window, which is going to be closed
 *
 * Nobody becomes a user of it any more.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_window_drain(struct spapr_tce_window *window)
{
	scoped_guard(mutex, &window->mem->users_lock) {
		window->drained = true;
		revoke_users(window, NULL);
	}
	spapr_tce_unmap(window, 0, window->tbl->it_size);
}
EXPORT_SYMBOL_GPL(spapr_tce_window_drain);

static bool window_fits(const struct spapr_tce_window *window,
			unsigned int max_page_shift, u64 start, u64 size)
{
	const struct iommu_table *tbl = window->tbl;

	return !window->drained && tbl->it_page_shift <= max_page_shift &&
	       (u64)tbl->it_offset << tbl->it_page_shift == start &&
	       (u64)tbl->it_size << tbl->it_page_shift >= size;
}

/**
 * spapr_tce_window_get() - become a user of a window of a group
 * @group: the group, held by the caller as its external user
 * @mm: the process that the user works for
 * @max_page_shift: log2 of the largest page size in bytes that will do
 * @start: bus address at which the window must begin
 * @size: bytes that it must have at least
 * @user: with spapr_tce_user::revoke and changed set; the rest is filled in here
 *
 * Only a window that its owner has attached to @group is found: never a table
 * of the host's.
 *
 * Context: process context, may sleep.
 * Return: the window, or ERR_PTR(-EINVAL) where the group has none that fits.
 */
struct spapr_tce_window *spapr_tce_window_get(struct iommu_group *group,
					      struct mm_struct *mm,
					      unsigned int max_page_shift,
					      u64 start, u64 size,
					      struct spapr_tce_user *user)
{
	struct spapr_mem *mem = READ_ONCE(mm->context.spapr_mem);
	struct spapr_tce_window *window;

	/* Made with the first of the process's windows */
	if (!mem)
		return ERR_PTR(-EINVAL);

	guard(mutex)(&mem->users_lock);
	list_for_each_entry(window, &mem->windows, node) {
		if (!find_group(window, group) ||
		    !window_fits(window, max_page_shift, start, size))
			continue;
		user->group = group;
		user->mem = mem;
		list_add(&user->node, &window->users);
		return window;
	}

	return ERR_PTR(-EINVAL);
}
EXPORT_SYMBOL_GPL(spapr_tce_window_get);

/**
 * spapr_tce_window_put() - cease to be a user
 * @user: the user of a window, which is gone already if the user has been
 *	revoked. Its walks do not reach the window any more, and
 *	spapr_tce_quiesce() has been called since; the process still lives.
 *
 * Context: process context, may sleep. Waits for a revocation under way.
 */
void spapr_tce_window_put(struct spapr_tce_user *user)
{
	guard(mutex)(&user->mem->users_lock);
	list_del_init(&user->node);
}
EXPORT_SYMBOL_GPL(spapr_tce_window_put);

/**
 * spapr_tce_window_populate() - make TCEs writable without allocation
 * @window: the window
 * @index: first TCE
 * @npages: how many; the range lies in the window
 *
 * Context: process context, may sleep. Any number of callers at once.
 * Return: 0 or -ENOMEM.
 */
int spapr_tce_window_populate(struct spapr_tce_window *window,
			      unsigned long index, unsigned long npages)
{
	struct iommu_table *tbl = window->tbl;
	unsigned long end = index + npages;

	while (index < end) {
		if (window->in_memory && !spapr_tce_address(window, index) &&
		    !tbl->it_ops->populate(tbl, tbl->it_offset + index))
			return -ENOMEM;
		if (window->pins && !window->in_memory &&
		    !spapr_sparse_populate(&window->pinned, index,
					   GFP_KERNEL_ACCOUNT))
			return -ENOMEM;
		/* Last: where origins are, all is */
		if (!spapr_sparse_populate(&window->origins, index,
					   GFP_KERNEL_ACCOUNT))
			return -ENOMEM;
		index = (index | SPAPR_SPARSE_LEAF_MASK) + 1;
		cond_resched();
	}

	return 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_window_populate);

/* Does the origin explain the TCE: is this page registered under it? */
static bool tce_explained(struct spapr_tce_window *window, u64 origin, u64 tce)
{
	unsigned long hpa;

	return spapr_mem_to_phys(window->mem, origin & ~SPAPR_TCE_PERM,
				 window->tbl->it_page_shift, &hpa) &&
	       hpa == (tce & ~SPAPR_TCE_PERM);
}

/*
 * Is there a TCE at @slot that came from [ua, ua + size)? Where TCE and origin
 * contradict each other, either a walk is between its two stores, then it
 * helps to look again; or two walks raced for this TCE, which only a guest
 * against itself does, and it is unknown what the TCE is: say yes.
 */
static bool tce_uses(struct spapr_tce_window *window, unsigned long index,
		     u64 *slot, unsigned long ua, unsigned long size)
{
	unsigned int tries = 1000;
	u64 origin, tce;

	do {
		__be64 *address = NULL;

		origin = READ_ONCE(*slot);
		if (window->in_memory) {
			address = spapr_tce_address(window, index);
			tce = address ? be64_to_cpu(READ_ONCE(*address)) : 0;
			if (!tce)
				return false;
		} else if (!origin) {
			return false;
		}
		if ((origin & ~SPAPR_TCE_PERM) - ua < size)
			return true;
		if (!window->in_memory || tce_explained(window, origin, tce))
			return false;
		cpu_relax();
	} while (--tries);

	return true;
}

/**
 * spapr_tce_window_uses() - does any TCE point to this part of user memory?
 * @window: the window
 * @ua: first user address
 * @size: bytes
 *
 * Costs what is populated. A yes may be outdated when it is returned; a no is
 * final if the memory was made unreachable and spapr_tce_quiesce() called
 * before. That the device has let go of it, too, is known after another
 * spapr_tce_quiesce(): a walk clears a TCE first and then tells the device. If
 * it could not be cleared, spapr_tce_window::lost says so by then.
 *
 * Context: process context, may sleep; spapr_mem::lock held.
 * Return: whether a TCE leads there, or may do so.
 */
bool spapr_tce_window_uses(struct spapr_tce_window *window,
			   unsigned long ua, unsigned long size)
{
	unsigned long index = 0, last = window->tbl->it_size - 1;
	u64 *slot;

	lockdep_assert_held(&window->mem->lock);
	if (window->pins)
		return false;
	/* In software as well, while the group has the hardware's table still */
	if (READ_ONCE(window->lost))
		return true;
	/* Nothing relies on registration there */
	if (window->soft)
		return false;

	while ((slot = spapr_sparse_next_leaf(&window->origins, &index, last))) {
		do {
			if (tce_uses(window, index, slot++, ua, size))
				return true;
		} while (++index & SPAPR_SPARSE_LEAF_MASK && index <= last);
		if (index > last)
			break;
		cond_resched();
	}

	return false;
}

static unsigned long leaf_end(unsigned long index, unsigned long end)
{
	return min(end, (index | SPAPR_SPARSE_LEAF_MASK) + 1);
}

/*
 * Make TCEs for user memory from @ua on. Those for one of the host's pages
 * follow from one look.
 */
static __always_inline bool
make_registered(struct spapr_mem_cursor *cursor, struct spapr_tce *list,
		unsigned long ua, unsigned long npages, unsigned long step,
		unsigned long perm, unsigned long bits)
{
	const struct spapr_tce *end = list + npages;
	unsigned long hpa;

	while (list < end) {
		if (!spapr_mem_next_to_phys(cursor, ua, &hpa))
			return false;
		do {
			list->origin = ua | perm;
			list->tce = hpa | bits;
			list++;
			ua += step;
			hpa += step;
		} while (list < end && ua & ~PAGE_MASK);
	}

	return true;
}

/*
 * Put TCEs of one leaf that rely on registration. The walk ends when the device
 * has let go of what they replace: who unregisters that waits for the walk.
 * Returns how many were put, or an error; then none.
 */
static long map_registered(struct spapr_tce_window *window,
			   unsigned long index, unsigned long ua,
			   unsigned long npages, unsigned long perm)
{
	const unsigned long step = window->page_mask + 1;
	struct spapr_tce list[MAP_BATCH] __uninitialized;
	struct spapr_mem_cursor cursor;
	unsigned long done = 0, n;
	long ret = 0;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	cursor = spapr_mem_cursor(window->mem, window->page_shift);
	while (done < npages) {
		n = min(npages - done, MAP_BATCH);
		ret = -EINVAL;
		if (make_registered(&cursor, list, ua, n, step, perm,
				    window->perm[perm]))
			ret = spapr_tce_store(window, index + done, list, n);
		if (ret)
			break;
		done += n;
		ua += n * step;
	}
	if (done)
		spapr_tce_kill(window, index, done);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	/* An error after the first part comes again with the rest */
	return done ?: ret;
}

/* What a TCE that holds its own pin let the device do, and to which page */
static void unpin_tces(u64 tce, unsigned long npins)
{
	struct page *page = pfn_to_page(tce >> PAGE_SHIFT);

	if (tce & TCE_PCI_WRITE)
		set_page_dirty_lock(page);
	unpin_user_folio(page_folio(page), npins);
}

/* Unpin the pages of replaced TCEs (@origin); one call a page and run. */
static void unpin_replaced(struct spapr_tce_window *window,
			   const struct spapr_tce *list, unsigned long npages)
{
	unsigned long i, run;

	/* Better a page lost than one that the device still reaches */
	if (window->lost)
		return;

	for (i = 0; i < npages; i += run) {
		u64 tce = list[i].origin;

		for (run = 1; i + run < npages; run++)
			if ((list[i + run].origin ^ tce) &
			    (PAGE_MASK | TCE_PCI_WRITE))
				break;
		if (tce & SPAPR_TCE_PERM)
			unpin_tces(tce, run);
	}
}

static void exchange_in_memory(struct spapr_tce_window *window,
			       unsigned long index, struct spapr_tce *list,
			       unsigned long npages)
{
	__be64 *tce = spapr_tce_address(window, index);
	unsigned long i;

	for (i = 0; i < npages; i++) {
		__be64 put = cpu_to_be64(list[i].tce);
		u64 old = xchg((u64 *)&tce[i], (__force u64)put);

		list[i].origin = be64_to_cpu((__force __be64)old);
	}
}

static long exchange_by_hypervisor(struct spapr_tce_window *window,
				   unsigned long index, struct spapr_tce *list,
				   unsigned long npages)
{
	u64 *pinned = spapr_sparse_find(&window->pinned, index);
	raw_spinlock_t *lock = spapr_tce_window_lock(window, index);
	unsigned long i, flags;
	long ret;

	raw_spin_lock_irqsave(lock, flags);
	ret = spapr_tce_window_put_list(window, index, list, npages);
	for (i = 0; i < npages; i++) {
		list[i].origin = pinned[i];
		WRITE_ONCE(pinned[i], ret ? 0 : list[i].tce);
	}
	raw_spin_unlock_irqrestore(lock, flags);

	return ret;
}

/*
 * Exchange TCEs that hold pins: @list has the ones to put and gets, as origins,
 * the ones that were there, whose pins are then the caller's. After an error
 * the TCEs are clear, and the pins of both are the caller's.
 */
static long exchange_pinned(struct spapr_tce_window *window,
			    unsigned long index, struct spapr_tce *list,
			    unsigned long npages)
{
	if (!window->in_memory)
		return exchange_by_hypervisor(window, index, list, npages);

	exchange_in_memory(window, index, list, npages);
	return 0;
}

/* Note that @npages are mapped from @ua on, or with no @perm that none is */
static void set_origins(struct spapr_tce_window *window, unsigned long index,
			unsigned long ua, unsigned long npages,
			unsigned long perm)
{
	u64 *origin = spapr_sparse_find(&window->origins, index);
	unsigned long i;

	for (i = 0; i < npages; i++, ua += 1UL << window->page_shift)
		WRITE_ONCE(origin[i], perm ? ua | perm : 0);
}

/*
 * Put TCEs of one leaf that hold pins, for up to PIN_BATCH host pages. Returns
 * how many were put, or an error; then none.
 */
static long map_pinned(struct spapr_tce_window *window, unsigned long index,
		       unsigned long ua, unsigned long npages,
		       unsigned long perm)
{
	const unsigned int shift = window->page_shift;
	unsigned long first = ua >> PAGE_SHIFT, taken = 0, nr_pages, nr, put;
	const unsigned long start = ua;
	struct spapr_tce list[MAP_BATCH] __uninitialized;
	struct page *pages[PIN_BATCH] __uninitialized;
	long ret, got;

	npages = min(npages, MAP_BATCH);
	while (((ua + (npages << shift) - 1) >> PAGE_SHIFT) - first >= PIN_BATCH)
		npages--;
	nr_pages = ((ua + (npages << shift) - 1) >> PAGE_SHIFT) - first + 1;

	/*
	 * For writing, whatever the TCE permits: a page pinned for reading is
	 * not the process's page any more once the process has written to it.
	 * For as long as user space likes: once pinned, the page could not be
	 * moved to where such pages belong for those who pin it next.
	 */
	got = pin_user_pages_fast(first << PAGE_SHIFT, nr_pages,
				  FOLL_WRITE | FOLL_LONGTERM, pages);
	if (got <= 0)
		return -EFAULT;

	/* What was pinned before a hole is mapped; the next call says -EFAULT */
	for (put = 0; put < npages; put++, ua += 1UL << shift) {
		nr = (ua >> PAGE_SHIFT) - first;
		if (nr >= got)
			break;
		/* A page's first TCE takes over the pin that it came with */
		if (nr < taken)
			folio_add_pin(page_folio(pages[nr]));
		taken = nr + 1;
		list[put].tce = page_to_phys(pages[nr]) | (ua & ~PAGE_MASK) |
				window->perm[perm];
	}

	ret = exchange_pinned(window, index, list, put);
	set_origins(window, index, start, put, ret ? 0 : perm);
	/* The device lets go of the old pages before their pins go */
	spapr_tce_kill(window, index, put);
	unpin_replaced(window, list, put);
	if (!ret)
		return put;

	for (nr = 0; nr < put; nr++)
		list[nr].origin = list[nr].tce;
	unpin_replaced(window, list, put);
	return ret;
}

/* Put TCEs of one leaf in a window in software */
static long map_soft(struct spapr_tce_window *window, unsigned long index,
		     unsigned long ua, unsigned long npages, unsigned long perm)
{
	if (fatal_signal_pending(current))
		return -EINTR;

	set_origins(window, index, ua, npages, perm);
	return npages;
}

/* Put some TCEs of one leaf. Returns how many, or an error; then none. */
static long map_some(struct spapr_tce_window *window, unsigned long index,
		     unsigned long ua, unsigned long npages, unsigned long perm)
{
	if (window->soft)
		return map_soft(window, index, ua, npages, perm);
	if (window->pins)
		return map_pinned(window, index, ua, npages, perm);

	return map_registered(window, index, ua, npages, perm);
}

/* Can a range be mapped? As far as that can be told without mapping it. */
static int may_map(struct spapr_tce_window *window, unsigned long ua,
		   unsigned long size)
{
	if (window->pins)
		return 0;
	if (window->soft)
		return ua < TASK_SIZE_USER64 &&
		       size <= TASK_SIZE_USER64 - ua ? 0 : -EFAULT;

	return spapr_mem_covers(window->mem, ua, size, window->page_shift) ?
	       0 : -EINVAL;
}

/**
 * spapr_tce_map() - map a range of user memory
 * @window: the window
 * @index: first TCE
 * @ua: user address of the current process, a multiple of the window's page
 *	size
 * @npages: how many TCEs, at least 1; the range lies in the window
 * @perm: SPAPR_TCE_PERM bits, at least one
 *
 * Replaces what was mapped there. Where it fails, the part of the range that
 * had been done is clear.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 * Return: 0; -EINVAL for memory that is not registered, or not as pages of the
 * window's size; for a window that pins, -EFAULT where the memory can't be
 * pinned; for one in software, -EFAULT where no user memory can be, and -EINTR
 * where the process is being killed; -ENOMEM; or the error of a hypervisor's
 * table.
 */
long spapr_tce_map(struct spapr_tce_window *window, unsigned long index,
		   unsigned long ua, unsigned long npages, unsigned long perm)
{
	const unsigned int shift = window->page_shift;
	unsigned long first = index, end = index + npages;
	long ret;

	/* What one walk puts all or nothing of needs no look in advance */
	if (npages > MAP_BATCH || leaf_end(index, end) < end || window->soft) {
		ret = may_map(window, ua, npages << shift);
		if (ret)
			return ret;
	}

	while (index < end) {
		unsigned long stop = leaf_end(index, end);

		ret = spapr_tce_window_populate(window, index, stop - index);
		while (!ret && index < stop) {
			long done = map_some(window, index, ua, stop - index,
					     perm);

			if (done < 0) {
				ret = done;
				break;
			}
			index += done;
			ua += done << shift;
		}
		if (ret) {
			spapr_tce_unmap(window, first, index - first);
			return ret;
		}
		cond_resched();
	}

	return 0;
}
EXPORT_SYMBOL_GPL(spapr_tce_map);

/* Clear TCEs of one leaf that rely on registration, not the origins */
static void empty_leaf(struct spapr_tce_window *window, unsigned long index,
		       unsigned long npages)
{
	raw_spinlock_t *lock = spapr_tce_window_lock(window, index);
	unsigned long flags;
	__be64 *tce;

	if (window->in_memory) {
		tce = spapr_tce_address(window, index);
		for (unsigned long i = 0; tce && i < npages; i++)
			WRITE_ONCE(tce[i], 0);
	} else {
		raw_spin_lock_irqsave(lock, flags);
		spapr_tce_window_clear_list(window, index, npages);
		raw_spin_unlock_irqrestore(lock, flags);
	}
	spapr_tce_kill(window, index, npages);
}

static bool pins_populated(struct spapr_tce_window *window,
			   unsigned long index)
{
	if (window->in_memory)
		return spapr_tce_address(window, index);

	return spapr_sparse_find(&window->pinned, index);
}

/* Clear TCEs of one leaf that hold pins, the origins too unless @keep */
static void unmap_pinned(struct spapr_tce_window *window, unsigned long index,
			 unsigned long npages, bool keep)
{
	struct spapr_tce list[MAP_BATCH] __uninitialized;

	/* A table that was to be filled from the origins, and was not */
	if (!pins_populated(window, index)) {
		if (!keep)
			set_origins(window, index, 0, npages, 0);
		return;
	}

	while (npages) {
		unsigned long run = min(npages, MAP_BATCH);

		memset(list, 0, run * sizeof(list[0]));
		exchange_pinned(window, index, list, run);
		spapr_tce_kill(window, index, run);
		unpin_replaced(window, list, run);
		if (!keep)
			set_origins(window, index, 0, run, 0);
		index += run;
		npages -= run;
	}
}

/**
 * spapr_tce_unmap() - clear a range of TCEs
 * @window: the window
 * @index: first TCE
 * @npages: how many; the range lies in the window
 *
 * When this returns, the device reaches none of the range. Costs what is
 * populated.
 *
 * Context: process context, may sleep; calls are serialised by the owner.
 */
void spapr_tce_unmap(struct spapr_tce_window *window, unsigned long index,
		     unsigned long npages)
{
	unsigned long end = index + npages;

	if (!npages)
		return;

	while (spapr_sparse_next_leaf(&window->origins, &index, end - 1)) {
		unsigned long stop = leaf_end(index, end);

		if (window->pins) {
			unmap_pinned(window, index, stop - index, false);
		} else {
			spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
			spapr_tce_clear(window, index, stop - index,
					SPAPR_TCE_VIRTUAL);
			spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
		}
		index = stop;
		if (index >= end)
			break;
		cond_resched();
	}
}
EXPORT_SYMBOL_GPL(spapr_tce_unmap);

/* Clear the table and leave the origins, which say what is mapped */
static void empty_table(struct spapr_tce_window *window)
{
	unsigned long index = 0, end = window->tbl->it_size;

	while (index < end &&
	       spapr_sparse_next_leaf(&window->origins, &index, end - 1)) {
		unsigned long stop = leaf_end(index, end);

		if (window->pins)
			unmap_pinned(window, index, stop - index, true);
		else
			empty_leaf(window, index, stop - index);
		index = stop;
		cond_resched();
	}
}

/* Put into the table what the origins of one leaf say, as they stand there */
static long refill_leaf(struct spapr_tce_window *window, unsigned long index,
			unsigned long stop)
{
	const unsigned long size = 1UL << window->page_shift;
	u64 *origin = spapr_sparse_find(&window->origins, index);

	while (index < stop) {
		unsigned long perm = *origin & SPAPR_TCE_PERM, n = 1;
		unsigned long ua = *origin & ~SPAPR_TCE_PERM;
		long done = 1;

		while (perm && n < MAP_BATCH && index + n < stop &&
		       origin[n] == *origin + n * size)
			n++;
		if (perm)
			done = map_some(window, index, ua, n, perm);
		if (done < 0) {
			set_origins(window, index, ua, n, perm);
			return done;
		}
		index += done;
		origin += done;
	}

	return 0;
}

static long refill_table(struct spapr_tce_window *window)
{
	unsigned long index = 0, end = window->tbl->it_size;

	while (index < end &&
	       spapr_sparse_next_leaf(&window->origins, &index, end - 1)) {
		unsigned long stop = leaf_end(index, end);
		long ret = spapr_tce_window_populate(window, index,
						     stop - index);

		if (!ret)
			ret = refill_leaf(window, index, stop);
		if (ret)
			return ret;
		index = stop;
		cond_resched();
	}

	return 0;
}

/*
 * Exchange the table. No walk uses a window that is watched; but users populate
 * it, with the lock held that they take to be told.
 */
static void exchange_table(struct spapr_tce_window *window,
			   struct iommu_table *tbl, bool pins)
{
	guard(mutex)(&window->mem->users_lock);
	set_table(window, tbl, pins);
	tell_users(window);
}

/**
 * spapr_tce_window_move() - put a window on another table
 * @window: a window that is watched
 * @tbl: a table of the same start, size and page size, in which nothing is
 *	mapped; or the one in software
 * @pins: as for spapr_tce_window_create(); then the process of the window is
 *	the current one
 *
 * What is mapped stays mapped. On success the reference to @tbl passes to the
 * window, and the one to the table that it had to the caller. That table is
 * empty then.
 *
 * Context: process context, may sleep; calls are serialised by the owner, who
 * feeds the window to no hardware at the moment or has only that of the table
 * which it leaves.
 * Return: 0; otherwise all is as before: -EINVAL where memory is mapped that is
 * not registered, or not as pages of the window's size; with @pins, -EFAULT
 * where memory is mapped that can't be pinned; -ENOMEM; or the error of a
 * hypervisor's table. To a table in software nothing fails.
 */
int spapr_tce_window_move(struct spapr_tce_window *window,
			  struct iommu_table *tbl, bool pins)
{
	struct iommu_table *old = window->tbl;
	long ret = 0;

	WARN_ON_ONCE(!window->watched);

	/* No registration ends while only the origins tell what it is used for */
	guard(mutex)(&window->mem->lock);
	if (!window->soft)
		empty_table(window);

	exchange_table(window, tbl, pins);
	if (!window->soft)
		ret = refill_table(window);
	if (ret) {
		empty_table(window);
		exchange_table(window, old, false);
	}

	return ret;
}
EXPORT_SYMBOL_GPL(spapr_tce_window_move);
