// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediated devices in an sPAPR TCE container: pins by bus address
 *
 * mediated.h tells what the container has to do. Whenever tce_mediated::lock is
 * free, this holds:
 *
 *  - A pinned page is mapped where it was pinned. Each page of bus addresses has
 *    a count of pins, and the user page that is mapped there is held as often
 *    (spapr_mem_hold()), which pins and accounts it once.
 *  - Without a device nothing is pinned. When the last device is closed, the
 *    pins that it has left behind are released with a message.
 *
 * A group that leaves the container waits for the lock, so no page is faulted in
 * with it held (container.c). A call that finds a page absent undoes what it has
 * done, faults the page in without the lock and starts over.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/task.h>
#include <linux/vfio.h>
#include "mediated.h"

/*
 * A device that is asked to unpin does so before its callback returns, or soon
 * after. The call fails if the device has not done so after this many requests.
 */
#define ASK_TIMES	10
#define ASK_INTERVAL	(HZ / 10)

/* How often a call faults its pages in, as they may be absent again afterwards */
#define FAULT_TRIES	16

/* What is mapped at @bus: in which window, and where in user memory */
static int find_memory(struct tce_mediated *mediated, u64 bus,
		       unsigned int shift, unsigned long perm,
		       struct spapr_tce_window **window, unsigned long *ua)
{
	int num;

	lockdep_assert_held(&mediated->lock);

	num = spapr_tce_domain_find(mediated->domain, bus);
	if (num < 0)
		return -EINVAL;

	*window = mediated->domain->windows[num];
	return spapr_tce_window_lookup(*window, bus, shift, perm, ua);
}

static unsigned long pins_at(struct tce_mediated *mediated, u64 bus)
{
	void *entry = xa_load(&mediated->pins, bus >> PAGE_SHIFT);

	return entry ? xa_to_value(entry) : 0;
}

static int set_pins(struct tce_mediated *mediated, u64 bus, unsigned long count)
{
	unsigned long index = bus >> PAGE_SHIFT;

	if (count)
		return xa_err(xa_store(&mediated->pins, index,
				       xa_mk_value(count), GFP_KERNEL_ACCOUNT));

	xa_erase(&mediated->pins, index);
	return 0;
}

/* Fault in the page that is mapped at @bus, to pin it (@hold) or to copy it */
static int fault_in(struct tce_mediated *mediated, u64 bus, unsigned int shift,
		    unsigned long perm, bool hold)
{
	struct spapr_tce_window *window;
	unsigned long ua;
	int ret;

	scoped_guard(mutex, &mediated->lock)
		ret = find_memory(mediated, bus, shift, perm, &window, &ua);

	return ret ?: spapr_mem_fault_in(mediated->mem, ua, hold,
					 perm & TCE_PCI_WRITE);
}

/* Pin a page; -EAGAIN if it has to be faulted in first */
static int pin_one(struct tce_mediated *mediated, u64 bus, unsigned long perm,
		   struct page **page)
{
	struct spapr_tce_window *window;
	unsigned long ua;
	int ret;

	ret = find_memory(mediated, bus, PAGE_SHIFT, perm, &window, &ua);
	if (ret)
		return ret;

	ret = spapr_mem_hold(mediated->mem, ua, mediated->covered,
			     &mediated->payer, page);
	if (ret)
		return ret;

	ret = set_pins(mediated, bus, pins_at(mediated, bus) + 1);
	if (ret)
		spapr_mem_unhold(mediated->mem, ua, mediated->covered);

	return ret;
}

/* Take back @count pins of a page; false if there are not so many */
static bool unpin(struct tce_mediated *mediated, u64 bus, unsigned long count)
{
	unsigned long pins = pins_at(mediated, bus), ua;
	struct spapr_tce_window *window;

	if (pins < count ||
	    find_memory(mediated, bus, PAGE_SHIFT, 0, &window, &ua))
		return false;

	/* Storing a smaller count takes no memory */
	set_pins(mediated, bus, pins - count);
	while (count--)
		spapr_mem_unhold(mediated->mem, ua, mediated->covered);

	return true;
}

/* Is anything pinned in these pages of bus addresses? */
static bool is_pinned(struct tce_mediated *mediated, unsigned long first,
		      unsigned long last)
{
	return !xa_empty(&mediated->pins) &&
	       xa_find(&mediated->pins, &first, last, XA_PRESENT);
}

/* Release pins that no device is left to unpin */
static void release_pins(struct tce_mediated *mediated, unsigned long first,
			 unsigned long last)
{
	unsigned long index, pages = 0;
	void *entry;

	lockdep_assert_held(&mediated->lock);

	xa_for_each_range(&mediated->pins, index, entry, first, last) {
		unpin(mediated, (u64)index << PAGE_SHIFT, xa_to_value(entry));
		pages++;
	}

	if (pages)
		pr_warn_ratelimited("mediated devices left %lu pages pinned, which are released\n",
				    pages);
}

/* The host pages in which a range of bus addresses lies; it is not empty */
static unsigned long first_page(u64 start)
{
	return start >> PAGE_SHIFT;
}

static unsigned long last_page(u64 start, u64 size)
{
	return (start + size - 1) >> PAGE_SHIFT;
}

static void ask_devices(struct tce_mediated *mediated, u64 start, u64 size)
{
	u64 first = (u64)first_page(start) << PAGE_SHIFT;
	u64 length = (last_page(start, size) - first_page(start) + 1)
		     << PAGE_SHIFT;
	struct vfio_device *device;

	guard(mutex)(&mediated->devices_lock);
	list_for_each_entry(device, &mediated->devices, iommu_entry)
		device->ops->dma_unmap(device, first, length);
}

/* Ask the devices to unpin a range until nothing is pinned there, then lock */
static noinline int ask_and_lock(struct tce_mediated *mediated, u64 start,
				 u64 size)
{
	unsigned long first = first_page(start), last = last_page(start, size);
	int ret;

	for (unsigned int asked = 0; asked < ASK_TIMES; asked++) {
		ask_devices(mediated, start, size);
		ret = wait_event_killable_timeout(mediated->unpinned,
						  !is_pinned(mediated, first,
							     last),
						  ASK_INTERVAL);
		if (ret < 0)
			return -EINTR;

		mutex_lock(&mediated->lock);
		if (!is_pinned(mediated, first, last))
			return 0;
		mutex_unlock(&mediated->lock);
	}

	pr_warn_ratelimited("mediated devices do not unpin bus addresses from %#llx on\n",
			    start);
	return -EBUSY;
}

/**
 * tce_mediated_lock_unpinned() - lock mappings when nothing is pinned in a range
 * @mediated: of the container
 * @start: first bus address, in bytes
 * @size: in bytes; 0 for what no device can have pinned
 *
 * Asks the devices to unpin the range, and waits for it.
 *
 * Context: process context; sleeps; the container's lock held. On success
 * tce_mediated::lock is held as well, and nothing is pinned in the range until
 * the caller calls tce_mediated_unlock().
 * Return: 0; -EBUSY if a device keeps a page pinned; -EINTR if the process is
 * killed while it waits.
 */
int tce_mediated_lock_unpinned(struct tce_mediated *mediated, u64 start,
			       u64 size)
{
	mutex_lock(&mediated->lock);
	if (!size || !is_pinned(mediated, first_page(start),
				last_page(start, size)))
		return 0;
	mutex_unlock(&mediated->lock);

	return ask_and_lock(mediated, start, size);
}

/**
 * tce_mediated_release() - unpin what devices still have pinned in a window
 * @mediated: of the container
 * @window: the window, which is about to be closed
 *
 * Context: process context; sleeps; tce_mediated::lock held until the window is
 * closed.
 */
void tce_mediated_release(struct tce_mediated *mediated,
			  struct spapr_tce_window *window)
{
	u64 start = spapr_tce_window_start(window);

	release_pins(mediated, first_page(start),
		     last_page(start, spapr_tce_window_size(window)));
}

/**
 * tce_mediated_cover() - start or stop counting pins as accounted
 * @mediated: of the container
 * @covered: the container accounts all that can be mapped from now on
 *
 * Context: process context; sleeps; tce_mediated::lock held.
 */
void tce_mediated_cover(struct tce_mediated *mediated, bool covered)
{
	struct spapr_tce_window *window;
	unsigned long index, ua;
	void *entry;

	lockdep_assert_held(&mediated->lock);

	if (mediated->covered == covered)
		return;

	mediated->covered = covered;
	xa_for_each(&mediated->pins, index, entry)
		if (!find_memory(mediated, (u64)index << PAGE_SHIFT, PAGE_SHIFT,
				 0, &window, &ua))
			spapr_mem_cover(mediated->mem, ua, xa_to_value(entry),
					covered);
}

/**
 * tce_mediated_serve() - serve the current process from now on
 * @mediated: of the container
 *
 * Context: process context, once.
 * Return: 0 or -ENOMEM.
 */
int tce_mediated_serve(struct tce_mediated *mediated)
{
	mediated->mem = spapr_mem_of(current->mm);
	if (!mediated->mem)
		return -ENOMEM;

	mediated->payer.task = get_task_struct(current->group_leader);
	mediated->payer.lock_cap = capable(CAP_IPC_LOCK);
	return 0;
}

/**
 * tce_mediated_init() - initialise a container's mediated-device state
 * @mediated: of the container
 * @domain: the container's windows
 *
 * Context: any.
 */
void tce_mediated_init(struct tce_mediated *mediated,
		       struct spapr_tce_domain *domain)
{
	mutex_init(&mediated->lock);
	mutex_init(&mediated->devices_lock);
	mediated->domain = domain;
	xa_init(&mediated->pins);
	init_waitqueue_head(&mediated->unpinned);
	INIT_LIST_HEAD(&mediated->devices);
}

/**
 * tce_mediated_destroy() - free a container's mediated-device state
 * @mediated: of the container, which has no window and no device any more
 *
 * Context: process context.
 */
void tce_mediated_destroy(struct tce_mediated *mediated)
{
	WARN_ON_ONCE(!xa_empty(&mediated->pins) ||
		     !list_empty(&mediated->devices));
	xa_destroy(&mediated->pins);
	if (mediated->payer.task)
		put_task_struct(mediated->payer.task);
	mutex_destroy(&mediated->devices_lock);
	mutex_destroy(&mediated->lock);
}

/**
 * tce_mediated_add() - add a device that is opened
 * @mediated: of the container that its group is in
 * @device: the device; one that cannot be asked to unpin may not pin
 *
 * Context: process context; sleeps; struct vfio_iommu_driver_ops.
 */
void tce_mediated_add(struct tce_mediated *mediated, struct vfio_device *device)
{
	if (!device->ops->dma_unmap)
		return;

	scoped_guard(mutex, &mediated->lock)
		mediated->nr_devices++;
	guard(mutex)(&mediated->devices_lock);
	list_add(&device->iommu_entry, &mediated->devices);
}

/**
 * tce_mediated_remove() - remove a device that has been closed
 * @mediated: of the container that its group is in
 * @device: the device
 *
 * Context: process context; sleeps; struct vfio_iommu_driver_ops.
 */
void tce_mediated_remove(struct tce_mediated *mediated,
			 struct vfio_device *device)
{
	if (!device->ops->dma_unmap)
		return;

	scoped_guard(mutex, &mediated->devices_lock)
		list_del(&device->iommu_entry);
	scoped_guard(mutex, &mediated->lock)
		if (!--mediated->nr_devices)
			release_pins(mediated, 0, ULONG_MAX);
	wake_up_all(&mediated->unpinned);
}

/* Pin all pages or none; -EAGAIN if some have to be faulted in first */
static int pin_present(struct tce_mediated *mediated, u64 bus, int npages,
		       unsigned long perm, struct page **pages)
{
	int i, ret;

	guard(mutex)(&mediated->lock);
	if (!mediated->nr_devices)
		return -EINVAL;

	for (i = 0; i < npages; i++) {
		ret = pin_one(mediated, bus + i * PAGE_SIZE, perm, &pages[i]);
		if (ret)
			goto undo;
	}

	return npages;

undo:
	pages[i] = NULL;
	while (i--) {
		unpin(mediated, bus + i * PAGE_SIZE, 1);
		pages[i] = NULL;
	}
	/* A waiter for other pins may have seen these */
	wake_up_all(&mediated->unpinned);

	return ret;
}

/**
 * tce_mediated_pin() - pin pages by bus address
 * @mediated: of the container that the device's group is in
 * @bus: bus address in the first page; the place in that page does not matter
 * @npages: how many host pages, at least 1
 * @prot: IOMMU_READ and IOMMU_WRITE, as the device is going to use them
 * @pages: receives the pages
 *
 * Pages that are pinned already are pinned once more.
 *
 * Context: process context of any process, or a kernel thread; sleeps, faults
 * pages in; struct vfio_iommu_driver_ops.
 * Return: @npages, or an error, then nothing has been pinned: -EINVAL without a
 * device (a late request of one that has been closed), and where a page of bus
 * addresses is not all mapped, or not to one host page; -EPERM where it is not
 * mapped for @prot; -EFAULT where there is no memory that can be pinned for
 * long-term writing; -ENOMEM where memory, or the limit on locked memory of the
 * container's process, does not allow it; -EINTR where it is being killed.
 */
int tce_mediated_pin(struct tce_mediated *mediated, u64 bus, int npages,
		     int prot, struct page **pages)
{
	unsigned long perm = 0;
	int ret;

	bus &= PAGE_MASK;
	if (npages <= 0 || npages - 1 > (U64_MAX - bus) >> PAGE_SHIFT)
		return -EINVAL;

	if (prot & IOMMU_READ)
		perm |= TCE_PCI_READ;
	if (prot & IOMMU_WRITE)
		perm |= TCE_PCI_WRITE;

	for (int tries = 0; tries < FAULT_TRIES; tries++) {
		ret = pin_present(mediated, bus, npages, perm, pages);
		if (ret != -EAGAIN)
			return ret;

		for (int i = 0; i < npages; i++) {
			ret = fault_in(mediated, bus + i * PAGE_SIZE,
				       PAGE_SHIFT, perm, true);
			if (ret)
				return ret;
		}
	}

	return -EFAULT;
}

/**
 * tce_mediated_unpin() - unpin pages by bus address
 * @mediated: of the container that the device's group is in
 * @bus: bus address in the first page
 * @npages: how many host pages, each pinned
 *
 * Context: process context of any process, or a kernel thread; sleeps; struct
 * vfio_iommu_driver_ops.
 */
void tce_mediated_unpin(struct tce_mediated *mediated, u64 bus, int npages)
{
	bool all = true;

	bus &= PAGE_MASK;
	scoped_guard(mutex, &mediated->lock)
		for (int i = 0; i < npages; i++)
			all &= unpin(mediated, bus + i * PAGE_SIZE, 1);
	wake_up_all(&mediated->unpinned);

	WARN_ONCE(!all, pr_fmt("unpin of a page that is not pinned\n"));
}

/*
 * Copy up to the end of the TCE page and of the host page. Returns the number of
 * bytes copied, or an error; -EAGAIN if the page has to be faulted in first.
 */
static long copy_present(struct tce_mediated *mediated, u64 bus, void *buffer,
			 u64 left, unsigned long perm)
{
	struct spapr_tce_window *window;
	unsigned long ua;
	u64 chunk;
	int ret;

	guard(mutex)(&mediated->lock);

	ret = find_memory(mediated, bus, 0, perm, &window, &ua);
	if (ret)
		return ret;

	chunk = BIT_ULL(min(window->page_shift, PAGE_SHIFT));
	chunk = min(left, chunk - (ua & (chunk - 1)));
	ret = spapr_mem_copy(mediated->mem, ua, buffer, chunk,
			     perm == TCE_PCI_WRITE);

	return ret ?: chunk;
}

/* As copy_present(), and fault the page in where that is needed */
static long copy_chunk(struct tce_mediated *mediated, u64 bus, void *buffer,
		       u64 left, unsigned long perm)
{
	for (int tries = 0; tries < FAULT_TRIES; tries++) {
		long ret = copy_present(mediated, bus, buffer, left, perm);

		if (ret != -EAGAIN)
			return ret;

		ret = fault_in(mediated, bus, 0, perm, false);
		if (ret)
			return ret;
	}

	return -EFAULT;
}

/**
 * tce_mediated_copy() - read or write memory by bus address
 * @mediated: of the container that the device's group is in
 * @bus: bus address, in bytes
 * @buffer: kernel memory that is copied to the bus or from it
 * @size: in bytes
 * @write: to the bus
 *
 * Nothing need be pinned.
 *
 * Context: process context of any process, or a kernel thread; sleeps, faults
 * pages in; struct vfio_iommu_driver_ops.
 * Return: 0, or an error, then a part may have been copied: -EINVAL where not
 * all is mapped, -EPERM where it is not mapped so, -EFAULT where there is no
 * such memory.
 */
int tce_mediated_copy(struct tce_mediated *mediated, u64 bus, void *buffer,
		      size_t size, bool write)
{
	unsigned long perm = write ? TCE_PCI_WRITE : TCE_PCI_READ;
	long done;

	if (!size || size - 1 > U64_MAX - bus)
		return -EINVAL;

	for (; size; size -= done, bus += done, buffer += done) {
		done = copy_chunk(mediated, bus, buffer, size, perm);
		if (done < 0)
			return done;
	}

	return 0;
}
