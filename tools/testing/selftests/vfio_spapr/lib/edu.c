// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's "edu" device, see edu.h and QEMU's docs/specs/edu.
 *
 * Its registers have the endianness of the emulated target, which is big on
 * POWER whatever the kernel runs in.
 */
#include <endian.h>
#include <time.h>

#include "edu.h"

#define REG_ID		0x00
#define REG_INTERRUPT	0x60		/* sets bits of its status */
#define REG_ACKNOWLEDGE	0x64		/* clears them */
#define REG_SOURCE	0x80
#define REG_DESTINATION	0x88
#define REG_COUNT	0x90
#define REG_COMMAND	0x98

#define ID_LOW		0xed		/* the rest is a version */
#define STATUS_TEST	0x1		/* no interrupt of the device's own */
#define COMMAND_RUN	0x1
#define COMMAND_TO_BUS	0x2

#define BUFFER		0x40000		/* as the device itself sees it */

/*
 * A copy takes 100 ms of the emulator's time, which is not that of its
 * processors: 10 s at least
 */
#define POLLS		2000

static void write32(const struct dma_device *dma, unsigned int reg,
		    __u32 value)
{
	*(volatile __u32 *)(dma->bar + reg) = htobe32(value);
}

static void write64(const struct dma_device *dma, unsigned int reg,
		    __u64 value)
{
	*(volatile __u64 *)(dma->bar + reg) = htobe64(value);
}

static __u32 read32(const struct dma_device *dma, unsigned int reg)
{
	return be32toh(*(volatile __u32 *)(dma->bar + reg));
}

static bool edu_alive(const struct dma_device *dma)
{
	__u32 id = read32(dma, REG_ID);

	return id != ~0U && (id & 0xff) == ID_LOW;
}

static bool run(const struct dma_device *dma, __u64 source, __u64 destination,
		unsigned int count, unsigned int direction)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	int polls;

	write64(dma, REG_SOURCE, source);
	write64(dma, REG_DESTINATION, destination);
	write64(dma, REG_COUNT, count);
	write64(dma, REG_COMMAND, COMMAND_RUN | direction);

	for (polls = 0; polls < POLLS; polls++) {
		__u32 command;

		nanosleep(&pause, NULL);
		command = be64toh(*(volatile __u64 *)(dma->bar + REG_COMMAND));
		if (command == ~0U)
			return false;
		if (!(command & COMMAND_RUN))
			return true;
	}
	return false;
}

static bool edu_load(const struct dma_device *dma, __u64 bus,
		     unsigned int offset, unsigned int count)
{
	return run(dma, bus, BUFFER + offset, count, 0);
}

static bool edu_store(const struct dma_device *dma, __u64 bus,
		      unsigned int offset, unsigned int count)
{
	return run(dma, BUFFER + offset, bus, count, COMMAND_TO_BUS);
}

static void edu_interrupt(const struct dma_device *dma, unsigned int vector)
{
	write32(dma, REG_INTERRUPT, STATUS_TEST);
}

static void edu_quiet(const struct dma_device *dma)
{
	write32(dma, REG_ACKNOWLEDGE, ~0U);
}

static const struct dma_device_id edu_ids[] = {
	{ 0x1234, 0x11e8 },
	{}
};

const struct dma_device_ops edu_ops = {
	.name = "edu",
	.ids = edu_ids,
	.abilities = DMA_NO_MEMORY | DMA_TAKES_TIME,
	.alive = edu_alive,
	.load = edu_load,
	.store = edu_store,
	.interrupt = edu_interrupt,
	.quiet = edu_quiet,
};
