// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory pinned for DMA: pages held one by one
 *
 * A mediated device reaches single pages, which need not be registered. Such a
 * page is held: it has one pin while it has holders.
 *
 * A held page is accounted once as locked memory of its process. It is not
 * accounted while it is registered, or while each of its holders accounts for
 * it elsewhere (it is covered). Both can change while the page is held, so each
 * such change settles the account. Only the first hold of a page can fail for
 * the limit on locked memory.
 *
 * An address stands for the page that is registered or held there, as it does
 * for TCEs, even if the process has mapped something else there since.
 */
#include <linux/cleanup.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "memory.h"

/**
 * struct spapr_mem_held - a user page that is held
 * @page: the page, with one pin
 * @holders: numbers of holders that are not covered and that are
 * @accounted: the page is accounted as locked memory because it is held
 */
struct spapr_mem_held {
	struct page *page;
	unsigned long holders[2];
	bool accounted;
};

/* The registered page at a user page number, or NULL */
static struct page *registered_page(struct spapr_mem *mem, unsigned long index)
{
	u64 *slot = spapr_sparse_find(&mem->pages, index);
	u64 word = slot ? READ_ONCE(*slot) : 0;

	lockdep_assert_held(&mem->lock);

	return word & SPAPR_MEM_VALID ? spapr_mem_word_to_page(word) : NULL;
}

/* The payer's limit on locked memory, in host pages; 0 once it is dead */
static unsigned long limit_of(const struct spapr_mem_payer *payer)
{
	unsigned long flags, limit;

	if (payer->lock_cap)
		return ULONG_MAX;
	if (!lock_task_sighand(payer->task, &flags))
		return 0;
	limit = task_rlimit(payer->task, RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	unlock_task_sighand(payer->task, &flags);

	return limit;
}

/**
 * spapr_mem_account() - account locked memory of a process from any context
 * @mem: the process's pinned memory
 * @npages: number of host pages
 * @locked: true to add them to the process's locked memory, false to subtract
 * @payer: its limit applies; NULL for no limit
 *
 * account_locked_vm() would apply the current process's limit.
 *
 * Context: process context of any process, or a kernel thread; sleeps. No walk.
 * Return: 0, or -ENOMEM where the payer's RLIMIT_MEMLOCK does not allow it.
 */
int spapr_mem_account(struct spapr_mem *mem, unsigned long npages, bool locked,
		      const struct spapr_mem_payer *payer)
{
	unsigned long limit = payer ? limit_of(payer) : ULONG_MAX;
	int ret = -ENOMEM;

	mmap_write_lock(mem->mm);
	if (!locked || size_add(mem->mm->locked_vm, npages) <= limit)
		ret = __account_locked_vm(mem->mm, npages, locked, current,
					  true);
	mmap_write_unlock(mem->mm);

	return ret;
}
EXPORT_SYMBOL_GPL(spapr_mem_account);

/* Bring the account of a held page up to date, within the limit of a @payer */
static int settle(struct spapr_mem *mem, unsigned long index,
		  struct spapr_mem_held *held,
		  const struct spapr_mem_payer *payer)
{
	bool locked = held->holders[false] &&
		      registered_page(mem, index) != held->page;
	int ret;

	if (locked == held->accounted)
		return 0;

	ret = spapr_mem_account(mem, 1, locked, payer);
	if (!ret)
		held->accounted = locked;

	return ret;
}

/* How to get a page that is to be held. Pages that are pinned must not move. */
#define HOLD_FLAGS	(FOLL_WRITE | FOLL_LONGTERM)

/*
 * Pin a page of the process if @flags has FOLL_LONGTERM, else take a reference. With
 * FOLL_NOFAULT a page that is not present is -EAGAIN.
 */
static int get_page_at(struct spapr_mem *mem, unsigned long index,
		       unsigned int flags, struct page **page)
{
	unsigned long ua = index << PAGE_SHIFT;
	int locked = 1;
	long n;

	lockdep_assert_not_held(&mem->lock);

	/* The process may have gone, and its memory with it */
	if (!mmget_not_zero(mem->mm))
		return -EFAULT;
	mmap_read_lock(mem->mm);
	n = flags & FOLL_LONGTERM ?
	    pin_user_pages_remote(mem->mm, ua, 1, flags, page, &locked) :
	    get_user_pages_remote(mem->mm, ua, 1, flags, page, &locked);
	/* A fault that user space delays is waited for without the lock */
	if (locked)
		mmap_read_unlock(mem->mm);
	mmput(mem->mm);

	if (n == 1)
		return 0;
	if (flags & FOLL_NOFAULT)
		return -EAGAIN;

	return n < 0 ? n : -EFAULT;
}

/* Hold the page that is registered, or take *@fresh, which is pinned already */
static struct spapr_mem_held *held_create(struct spapr_mem *mem,
					  unsigned long index,
					  struct page **fresh)
{
	struct page *registered = registered_page(mem, index);
	struct spapr_mem_held *held __free(kfree) =
		kzalloc(sizeof(*held), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!held)
		return ERR_PTR(-ENOMEM);

	held->page = registered ?: *fresh;
	ret = xa_err(xa_store(&mem->held, index, held, GFP_KERNEL_ACCOUNT));
	if (ret)
		return ERR_PTR(ret);

	if (registered)
		folio_add_pin(page_folio(registered));
	else
		*fresh = NULL;

	return no_free_ptr(held);
}

/* Forget a page without holders, which a device may have written to */
static void held_drop(struct spapr_mem *mem, unsigned long index,
		      struct spapr_mem_held *held)
{
	settle(mem, index, held, NULL);
	xa_erase(&mem->held, index);
	unpin_user_pages_dirty_lock(&held->page, 1, true);
	kfree(held);
}

/* Add a holder; *@fresh is taken if no page is held or registered there yet */
static int hold(struct spapr_mem *mem, unsigned long index, bool covered,
		const struct spapr_mem_payer *payer, struct page **fresh,
		struct page **page)
{
	struct spapr_mem_held *held = xa_load(&mem->held, index);
	int ret;

	lockdep_assert_held(&mem->lock);

	if (!held)
		held = held_create(mem, index, fresh);
	if (IS_ERR(held))
		return PTR_ERR(held);

	held->holders[covered]++;
	ret = settle(mem, index, held, payer);
	if (ret) {
		if (!--held->holders[covered] && !held->holders[!covered])
			held_drop(mem, index, held);
		return ret;
	}

	*page = held->page;
	return 0;
}

/**
 * spapr_mem_hold() - hold a user page
 * @mem: the pinned memory of the page's process
 * @ua: user address, in bytes
 * @covered: the caller accounts for the page's locked memory
 * @payer: its limit on locked memory applies to a page that is not covered
 * @page: receives the page
 *
 * Context: process context of any process, or a kernel thread; sleeps. No walk.
 * Return: 0; -EAGAIN where spapr_mem_fault_in() has to be called first; -EFAULT
 * where there is no such user memory; -ENOMEM where memory or the payer's
 * RLIMIT_MEMLOCK does not allow it.
 */
int spapr_mem_hold(struct spapr_mem *mem, unsigned long ua, bool covered,
		   const struct spapr_mem_payer *payer, struct page **page)
{
	unsigned long index = ua >> PAGE_SHIFT;
	struct page *fresh = NULL;
	int ret;

	if (ua >= TASK_SIZE_USER64)
		return -EFAULT;

	scoped_guard(mutex, &mem->lock)
		if (xa_load(&mem->held, index) || registered_page(mem, index))
			return hold(mem, index, covered, payer, &fresh, page);

	ret = get_page_at(mem, index, HOLD_FLAGS | FOLL_NOFAULT, &fresh);
	if (ret)
		return ret;

	scoped_guard(mutex, &mem->lock)
		ret = hold(mem, index, covered, payer, &fresh, page);
	/* Another page may have been held or registered there meanwhile */
	if (fresh)
		unpin_user_page(fresh);

	return ret;
}
EXPORT_SYMBOL_GPL(spapr_mem_hold);

/**
 * spapr_mem_fault_in() - make a user page present
 * @mem: the pinned memory of the page's process
 * @ua: user address, in bytes
 * @hold: for spapr_mem_hold(); otherwise for spapr_mem_copy()
 * @write: the page is to be written
 *
 * A page that is registered or held is present. User space can make a page fault last
 * as long as it likes (userfaultfd, FUSE), so the caller holds no lock that others
 * wait for. The page may be absent again when this function returns.
 *
 * Context: process context of any process, or a kernel thread; sleeps, faults
 * the page in. No walk.
 * Return: 0; -EFAULT where the page cannot be pinned for long-term writing, or
 * cannot be read, or written; -ENOMEM; -EINTR where the process is being killed.
 */
int spapr_mem_fault_in(struct spapr_mem *mem, unsigned long ua, bool hold,
		       bool write)
{
	unsigned long index = ua >> PAGE_SHIFT;
	struct page *page;
	int ret;

	if (ua >= TASK_SIZE_USER64)
		return -EFAULT;

	scoped_guard(mutex, &mem->lock)
		if (xa_load(&mem->held, index) || registered_page(mem, index))
			return 0;

	ret = get_page_at(mem, index,
			  hold ? HOLD_FLAGS : write ? FOLL_WRITE : 0, &page);
	if (ret)
		return ret;

	if (hold)
		unpin_user_page(page);
	else
		put_page(page);
	return 0;
}
EXPORT_SYMBOL_GPL(spapr_mem_fault_in);

/**
 * spapr_mem_unhold() - release a user page that is held
 * @mem: the pinned memory of the page's process
 * @ua: user address that spapr_mem_hold() was called with
 * @covered: likewise
 *
 * Context: process context of any process, or a kernel thread; sleeps. No walk.
 */
void spapr_mem_unhold(struct spapr_mem *mem, unsigned long ua, bool covered)
{
	unsigned long index = ua >> PAGE_SHIFT;
	struct spapr_mem_held *held;

	guard(mutex)(&mem->lock);

	held = xa_load(&mem->held, index);
	if (WARN_ON_ONCE(!held || !held->holders[covered]))
		return;

	held->holders[covered]--;
	if (held->holders[false] || held->holders[true])
		settle(mem, index, held, NULL);
	else
		held_drop(mem, index, held);
}
EXPORT_SYMBOL_GPL(spapr_mem_unhold);

/**
 * spapr_mem_cover() - change whether holders of a page are covered
 * @mem: the pinned memory of the page's process
 * @ua: user address that spapr_mem_hold() was called with
 * @count: number of holders that change
 * @covered: true if they are covered from now on; they were the opposite before
 *
 * No limit applies, because a held page cannot be refused any more.
 *
 * Context: process context of any process, or a kernel thread; sleeps. No walk.
 */
void spapr_mem_cover(struct spapr_mem *mem, unsigned long ua,
		     unsigned long count, bool covered)
{
	unsigned long index = ua >> PAGE_SHIFT;
	struct spapr_mem_held *held;

	guard(mutex)(&mem->lock);

	held = xa_load(&mem->held, index);
	if (WARN_ON_ONCE(!held || held->holders[!covered] < count))
		return;

	held->holders[!covered] -= count;
	held->holders[covered] += count;
	settle(mem, index, held, NULL);
}
EXPORT_SYMBOL_GPL(spapr_mem_cover);

/**
 * spapr_mem_held_accounted() - count the pages accounted because they are held
 * @mem: a process's pinned memory
 * @first: first user address, in bytes
 * @last: last user address
 *
 * Context: process context; spapr_mem::lock held.
 * Return: the number of host pages.
 */
unsigned long spapr_mem_held_accounted(struct spapr_mem *mem,
				       unsigned long first, unsigned long last)
{
	struct spapr_mem_held *held;
	unsigned long index, n = 0;

	lockdep_assert_held(&mem->lock);
	xa_for_each_range(&mem->held, index, held, first >> PAGE_SHIFT,
			  last >> PAGE_SHIFT)
		n += held->accounted;

	return n;
}

/**
 * spapr_mem_settle() - settle accounts after a registration or its end
 * @mem: a process's pinned memory
 * @first: first user address, in bytes
 * @last: last user address
 * @paid: the registration has been accounted without those pages that
 *	spapr_mem_held_accounted() counted
 *
 * Context: process context; sleeps; spapr_mem::lock held.
 */
void spapr_mem_settle(struct spapr_mem *mem, unsigned long first,
		      unsigned long last, bool paid)
{
	struct spapr_mem_held *held;
	unsigned long index;

	lockdep_assert_held(&mem->lock);
	xa_for_each_range(&mem->held, index, held, first >> PAGE_SHIFT,
			  last >> PAGE_SHIFT) {
		if (paid)
			held->accounted = false;
		settle(mem, index, held, NULL);
	}
}

/* Copy from or to a page that stays meanwhile */
static void copy_page_part(struct page *page, unsigned int offset,
			   void *buffer, size_t size, bool write)
{
	if (!write) {
		memcpy_from_page(buffer, page, offset, size);
		return;
	}

	memcpy_to_page(page, offset, buffer, size);
	set_page_dirty_lock(page);
}

/**
 * spapr_mem_copy() - read or write memory of a process as a device would
 * @mem: the process's pinned memory
 * @ua: user address, in bytes
 * @buffer: kernel memory that is copied to the process or from it
 * @size: in bytes, up to the end of the host page at most
 * @write: to the process
 *
 * Memory that is registered or held is accessed where devices find it, even if
 * the process has mapped something else there. Other memory need not be pinned.
 *
 * Context: process context of any process, or a kernel thread; sleeps. No walk.
 * Return: 0; -EAGAIN where spapr_mem_fault_in() has to be called first; -EFAULT
 * where there is no such user memory.
 */
int spapr_mem_copy(struct spapr_mem *mem, unsigned long ua, void *buffer,
		   size_t size, bool write)
{
	unsigned long index = ua >> PAGE_SHIFT;
	struct page *page;
	int ret;

	if (ua >= TASK_SIZE_USER64)
		return -EFAULT;

	scoped_guard(mutex, &mem->lock) {
		struct spapr_mem_held *held = xa_load(&mem->held, index);

		page = held ? held->page : registered_page(mem, index);
		if (page) {
			copy_page_part(page, offset_in_page(ua), buffer, size,
				       write);
			return 0;
		}
	}

	ret = get_page_at(mem, index, FOLL_NOFAULT | (write ? FOLL_WRITE : 0),
			  &page);
	if (ret)
		return ret;

	copy_page_part(page, offset_in_page(ua), buffer, size, write);
	put_page(page);
	return 0;
}
EXPORT_SYMBOL_GPL(spapr_mem_copy);
