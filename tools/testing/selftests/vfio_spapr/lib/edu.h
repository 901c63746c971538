/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's "edu" device as a probe of what a device can reach.
 *
 * It copies between its own buffer and any bus address, takes 100 ms for each
 * copy and says when it is done; it does not say whether the bus refused.
 * That shows in memory. Give it dma_mask=0xffffffffffffffff, otherwise it
 * wraps bus addresses by itself.
 */
#ifndef VFIO_SPAPR_EDU_H
#define VFIO_SPAPR_EDU_H

#include <linux/types.h>
#include <stdbool.h>

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8
#define EDU_BUFFER_SIZE	4096

/* A device is known by the mapping of its BAR 0. */
struct edu {
	volatile char *bar;
};

/* Whether the device answers; not so once its PE is frozen */
bool edu_alive(const struct edu *edu);

/**
 * edu_load() - Copy from the bus into the device's buffer
 * @edu: the device
 * @bus: bus address
 * @offset: in the buffer, bytes
 * @count: bytes
 *
 * Return: true when the device has finished, false when it did not within two
 * seconds or does not answer. Neither says that data has moved.
 */
bool edu_load(const struct edu *edu, __u64 bus, unsigned int offset,
	      unsigned int count);

/* The other way: from the device's buffer to the bus */
bool edu_store(const struct edu *edu, __u64 bus, unsigned int offset,
	       unsigned int count);

/* What a device can do at a bus address */
#define EDU_READS	1
#define EDU_WRITES	2
#define EDU_SILENT	4	/* it did not finish */

/**
 * edu_reach() - Find out whether the device reaches user memory
 * @edu: the device
 * @bus: bus address, 8-byte aligned
 * @memory: what it should reach there; 8 bytes are changed and put back
 * @scratch_bus: bus address where the device can write
 * @scratch: the memory there
 *
 * Writing is tested with what was read, so that no pattern needs to be in the
 * device before. Where it cannot write, reading shows at the scratch address;
 * a null @scratch leaves that open and says that the device does not read.
 *
 * Return: EDU_... flags, also in the transcript.
 */
unsigned int edu_reach(const struct edu *edu, __u64 bus,
		       volatile void *memory, __u64 scratch_bus,
		       volatile void *scratch);

#endif
