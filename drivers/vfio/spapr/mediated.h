/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mediated devices in an sPAPR TCE container
 *
 * A mediated device reaches the memory that its container has mapped through
 * the kernel: it pins pages by bus address, and reads and writes there. This is
 * the container's part of that. The container's windows say what is mapped.
 *
 * A page stays mapped while a device has it pinned. So before a mapping changes,
 * the devices are asked to unpin it. The mapping then changes with
 * tce_mediated::lock held, which keeps the devices from pinning it again:
 *
 *	ret = tce_mediated_lock_unpinned(mediated, start, size);
 *	if (ret)
 *		return ret;
 *	... change what is mapped there ...
 *	tce_mediated_unlock(mediated);
 *
 * Devices are asked without any lock that pinning and unpinning take.
 */
#ifndef VFIO_SPAPR_MEDIATED_H
#define VFIO_SPAPR_MEDIATED_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <asm/spapr_domain.h>
#include <asm/spapr_mem.h>

struct vfio_device;

/**
 * struct tce_mediated - what mediated devices do in a container
 * @lock: protects what windows there are and what is mapped in them, and all
 *	other members but @devices;
 *	nests inside the container's lock
 * @domain: the container's windows
 * @mem: pinned memory of the container's process, once there is one
 * @pins: number of a host page in bus addresses -> how often it is pinned
 * @covered: the container accounts all that can be mapped; otherwise what is
 *	pinned is accounted by itself
 * @payer: whose limit on locked memory counts, once there is a process
 * @nr_devices: open devices that pin; while there are none nothing is pinned
 * @unpinned: woken when something has been unpinned
 * @devices_lock: protects @devices; held while they are asked to unpin; not
 *	taken with @lock held
 * @devices: open devices that pin (struct vfio_device::iommu_entry)
 */
struct tce_mediated {
	struct mutex lock;	/* what is mapped and pinned */
	struct spapr_tce_domain *domain;
	struct spapr_mem *mem;
	struct xarray pins;
	bool covered;
	struct spapr_mem_payer payer;
	unsigned int nr_devices;
	wait_queue_head_t unpinned;
	struct mutex devices_lock;	/* which devices there are */
	struct list_head devices;
};

/* The container */
void tce_mediated_init(struct tce_mediated *mediated,
		       struct spapr_tce_domain *domain);
void tce_mediated_destroy(struct tce_mediated *mediated);
int tce_mediated_serve(struct tce_mediated *mediated);
void tce_mediated_release(struct tce_mediated *mediated,
			  struct spapr_tce_window *window);
int tce_mediated_lock_unpinned(struct tce_mediated *mediated, u64 start,
			       u64 size);
void tce_mediated_cover(struct tce_mediated *mediated, bool covered);

/**
 * tce_mediated_unlock() - let mediated devices pin again
 * @mediated: as tce_mediated_lock_unpinned() was called with
 *
 * Context: process context; releases tce_mediated::lock.
 */
static inline void tce_mediated_unlock(struct tce_mediated *mediated)
{
	mutex_unlock(&mediated->lock);
}

/* VFIO, for a device */
void tce_mediated_add(struct tce_mediated *mediated,
		      struct vfio_device *device);
void tce_mediated_remove(struct tce_mediated *mediated,
			 struct vfio_device *device);
int tce_mediated_pin(struct tce_mediated *mediated, u64 bus, int npages,
		     int prot, struct page **pages);
void tce_mediated_unpin(struct tce_mediated *mediated, u64 bus, int npages);
int tce_mediated_copy(struct tce_mediated *mediated, u64 bus, void *buffer,
		      size_t size, bool write);

#endif
