/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI functions that do DMA and raise interrupts when a test program asks for
 * it, whatever card they are.
 *
 * A kind of card has a driver here, which is found by the card's PCI IDs. A
 * device copies between a buffer of its own and any bus address. It says when
 * it is done. It does not say whether the bus refused: that shows in memory.
 */
#ifndef VFIO_SPAPR_DMA_DEVICE_H
#define VFIO_SPAPR_DMA_DEVICE_H

#include <linux/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "vfio_pci.h"

/*
 * Size of a device's buffer in bytes. QEMU 7.2 aborts when an edu is asked for
 * the last of its 4096 bytes.
 */
#define DMA_BUFFER_SIZE	2048

/*
 * Abilities that not all devices have. A test asks for those that it needs, and
 * is skipped where a device lacks one.
 */
#define DMA_NO_MEMORY	1	/* works without memory of the program */
#define DMA_TAKES_TIME	2	/* other things happen during a copy */
#define DMA_MSIX	4	/* has several vectors of MSI-X */

struct dma_device;

struct dma_device_id {
	__u16 vendor;
	__u16 device;
};

/**
 * struct dma_device_ops - a driver
 * @name: of the card
 * @ids: the cards, up to an entry of zeroes
 * @abilities: DMA_... flags
 * @bar: number of the BAR with the registers
 * @memory: bytes of mapped memory that it needs, 0 with DMA_NO_MEMORY
 * @first_bus: the least bus address that the device can write to
 * @init: prepares the device; it does no DMA before it is asked for a copy.
 *	May be NULL.
 * @alive: see dma_alive()
 * @load: see dma_load()
 * @store: see dma_store()
 * @interrupt: sends an interrupt, by MSI-X from this vector
 * @quiet: ends the cause of the interrupt, so that it does not come again
 */
struct dma_device_ops {
	const char *name;
	const struct dma_device_id *ids;
	unsigned int abilities;
	unsigned int bar;
	size_t memory;
	__u64 first_bus;
	void (*init)(struct dma_device *dma);
	bool (*alive)(const struct dma_device *dma);
	bool (*load)(const struct dma_device *dma, __u64 bus,
		     unsigned int offset, unsigned int count);
	bool (*store)(const struct dma_device *dma, __u64 bus,
		      unsigned int offset, unsigned int count);
	void (*interrupt)(const struct dma_device *dma, unsigned int vector);
	void (*quiet)(const struct dma_device *dma);
};

/**
 * struct dma_device - an open device
 * @ops: its driver
 * @bar: its registers, NULL when they are not mapped
 * @bar_size: of these in bytes
 * @memory: the driver's memory, NULL when it has none
 * @bus: the bus address of this
 */
struct dma_device {
	const struct dma_device_ops *ops;
	volatile char *bar;
	size_t bar_size;
	void *memory;
	__u64 bus;
};

/**
 * dma_device_find() - Find a function that has a driver here
 * @nth: which of the functions, from 0
 * @abilities: what it needs to be able to do
 * @address: receives the function's address
 *
 * The functions are those that the environment variable VFIO_SPAPR_DEVICES
 * names. Without it they are all those of the first driver with the abilities,
 * in the order of addresses.
 *
 * Return: 0, or -errno after a line that says what is lacking.
 */
int dma_device_find(unsigned int nth, unsigned int abilities,
		    char address[PCI_ADDRESS_LEN]);

/*
 * Whether the function at @address has a driver and these abilities: 0, or
 * -errno after a line that says what is lacking
 */
int dma_device_check(const char *address, unsigned int abilities);

/**
 * dma_device_open() - Map a function's registers and make it a bus master
 * @dma: the device; needs dma_device_init() before it does anything
 * @file: VFIO's device file. What that ends, ends the device's DMA.
 */
void dma_device_open(struct dma_device *dma, int file);

/* How much memory an open device's driver needs, a multiple of the page size */
size_t dma_device_memory(const struct dma_device *dma);

/**
 * dma_device_init() - Make an open device ready for DMA
 * @dma: the device
 * @memory: what its driver needs, NULL for none. It needs to be mapped only
 *	while the device copies.
 * @bus: bus address of this
 */
void dma_device_init(struct dma_device *dma, void *memory, __u64 bus);

/* Open and init a device that needs no memory */
void dma_device_start(struct dma_device *dma, int file);

/* End the mapping of the registers, if there is one */
void dma_device_close(struct dma_device *dma);

/* Whether the device answers; not so once its PE is frozen */
bool dma_alive(const struct dma_device *dma);

/**
 * dma_load() - Copy from the bus into the device's buffer
 * @dma: the device
 * @bus: bus address
 * @offset: in the buffer, bytes
 * @count: bytes
 *
 * Return: true when the device has finished, false when it did not within some
 * seconds or does not answer. Neither says that data has moved.
 */
bool dma_load(const struct dma_device *dma, __u64 bus, unsigned int offset,
	      unsigned int count);

/*
 * The other way: from the device's buffer to the bus, of which no other byte is
 * written
 */
bool dma_store(const struct dma_device *dma, __u64 bus, unsigned int offset,
	       unsigned int count);

/* Send an interrupt, from @vector with MSI-X; DMA_MSIX is for others than 0 */
void dma_interrupt(const struct dma_device *dma, unsigned int vector);

/* To be called before the next interrupt is waited for */
void dma_quiet(const struct dma_device *dma);

/* What a device can do at a bus address */
#define DMA_READS	1
#define DMA_WRITES	2
#define DMA_SILENT	4	/* it did not finish */

/**
 * dma_reach() - Find out whether the device reaches user memory
 * @dma: the device
 * @bus: bus address, 8-byte aligned
 * @memory: what it should reach there; 8 bytes are changed and put back
 * @scratch_bus: bus address where the device can write
 * @scratch: the memory there
 *
 * Writing is tested with what was read, so that no pattern needs to be in the
 * device before. Where it cannot write, reading shows at the scratch address;
 * a null @scratch leaves that open and says that the device does not read.
 *
 * A device that cannot write to the first bytes of the bus is tested behind
 * them.
 *
 * Return: DMA_... flags, also in the transcript.
 */
unsigned int dma_reach(const struct dma_device *dma, __u64 bus,
		       volatile void *memory, __u64 scratch_bus,
		       volatile void *scratch);

/**
 * dma_strays() - Find out whether a write to a wrong address does harm
 * @dma: the device, whose buffer does not begin with bytes of 0xa5
 * @bus: bus address that should lead nowhere
 * @memory: all that the device might reach; it is overwritten
 * @size: of the memory in bytes
 *
 * Return: whether the device, asked to write to @bus, changes @memory. Also in
 * the transcript.
 */
bool dma_strays(const struct dma_device *dma, __u64 bus, void *memory,
		size_t size);

/**
 * struct dma_writer - a thread that has a device write to one address, without end
 * @dma: the device, whose buffer does not begin with bytes of 0xa5
 * @bus: bus address
 * @thread: the thread
 * @end: it is to end
 * @copies: how many have ended
 */
struct dma_writer {
	const struct dma_device *dma;
	__u64 bus;
	pthread_t thread;
	atomic_bool end;
	atomic_uint copies;
};

void dma_writer_start(struct dma_writer *w, const struct dma_device *dma,
		      __u64 bus);
void dma_writer_stop(struct dma_writer *w);

/* Copies to wait for: one that has begun and a whole one; more than it takes */
#define DMA_NEXT_COPIES	2
#define DMA_MANY_COPIES	30

/**
 * dma_writer_reaches() - Find out whether memory is written from now on
 * @w: the thread
 * @memory: all that might be written; it is overwritten
 * @size: of the memory in bytes
 * @copies: how many have to end without a trace to say that it is not
 */
bool dma_writer_reaches(const struct dma_writer *w, void *memory, size_t size,
			unsigned int copies);

#endif
