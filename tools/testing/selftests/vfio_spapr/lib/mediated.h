/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mediated devices of the module mediated_dma, for test programs: each a DMA
 * engine in software that does what it is told.
 *
 * What can fail returns what the ioctl did, or -errno; a number of pages counts
 * pages of the system's size.
 */
#ifndef SELFTESTS_VFIO_SPAPR_LIB_MEDIATED_H
#define SELFTESTS_VFIO_SPAPR_LIB_MEDIATED_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "../modules/mediated_dma.h"

#define MEDIATED_BOTH	(MEDIATED_DMA_READ | MEDIATED_DMA_WRITE)

/* A device that exists; its files are -1 when not open. */
struct mediated {
	char uuid[37];
	int iommu_group;
	int group;
	int device;
};

/* Whether the module is loaded */
bool mediated_available(void);

/* Makes the device number @nth; -1 for one that is there already. */
void mediated_create(struct mediated *mediated, unsigned int nth);
/* Closes what is open, and removes the device. */
void mediated_remove(struct mediated *mediated);

/* Opens the group and puts it into a container: 0 or -errno. */
int mediated_join(struct mediated *mediated, int container);
void mediated_leave(struct mediated *mediated);
void mediated_open(struct mediated *mediated);

int mediated_pin(const struct mediated *mediated, __u64 bus, int npages,
		 unsigned int flags);
int mediated_unpin(const struct mediated *mediated, __u64 bus, int npages,
		   unsigned int flags);

/* Copy without pinning, or by what is pinned. */
int mediated_read(const struct mediated *mediated, __u64 bus, void *buffer,
		  size_t size);
int mediated_write(const struct mediated *mediated, __u64 bus,
		   const void *buffer, size_t size);
int mediated_run_read(const struct mediated *mediated, __u64 bus,
		      void *buffer, size_t size);
int mediated_run_write(const struct mediated *mediated, __u64 bus,
		       const void *buffer, size_t size);
/* As mediated_read(), from a thread of the kernel. */
int mediated_thread_read(const struct mediated *mediated, __u64 bus,
			 void *buffer, size_t size);
int mediated_thread_write(const struct mediated *mediated, __u64 bus,
			  const void *buffer, size_t size);

void mediated_behave(const struct mediated *mediated,
		     const struct mediated_dma_manners *manners);
struct mediated_dma_report mediated_report(const struct mediated *mediated);
/* Pins of the page at an address of this process. */
int mediated_pins_of(const struct mediated *mediated, const void *address);

#endif
