// SPDX-License-Identifier: GPL-2.0
/*
 * An Intel 82574, see e1000e.h and its datasheet.
 *
 * A copy is one packet. Its first PIECE bytes come from the driver's memory and
 * go back there; the others are what is copied. As receive buffers take PIECE
 * bytes each, the first one takes the header and the next ones no byte more
 * than what is copied. With the header the packet is long enough for Ethernet,
 * and nothing is padded. The checksum is not stored.
 */
#include <endian.h>
#include <linux/types.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "e1000e.h"

#define REG_CONTROL	0x0000	/* CTRL */
#define REG_STATUS	0x0008
#define REG_CAUSE	0x00c0	/* ICR: a 1 clears the bit */
#define REG_SET_CAUSE	0x00c8	/* ICS */
#define REG_MASK_SET	0x00d0	/* IMS: a 1 lets the cause interrupt */
#define REG_MASK_CLEAR	0x00d8	/* IMC */
#define REG_VECTORS	0x00e4	/* IVAR: four bits for each of the causes */
#define REG_RECEIVE	0x0100	/* RCTL */
#define REG_TRANSMIT	0x0400	/* TCTL */
#define REG_RX		0x2800	/* registers of receive queue 0 ... */
#define REG_TX		0x3800	/* ... and of transmit queue 0: */
#define RING_LOW	0x00	/* bus address */
#define RING_HIGH	0x04
#define RING_SIZE	0x08	/* bytes */
#define RING_HEAD	0x10	/* index that the card has reached */
#define RING_TAIL	0x18	/* index that it must not reach */

#define CONTROL_DUPLEX		0x1
#define CONTROL_LINK_UP		0x40
#define STATUS_LINK_UP		0x2

#define RECEIVE_ENABLE		0x2
#define RECEIVE_ALL_UNICAST	0x8
#define RECEIVE_LONG		0x20
#define RECEIVE_LOOPBACK	0x40
#define RECEIVE_SIZE_256	0x30000
#define RECEIVE_NO_CHECKSUM	0x4000000
#define RECEIVE (RECEIVE_ENABLE | RECEIVE_ALL_UNICAST | RECEIVE_LONG |	\
		 RECEIVE_LOOPBACK | RECEIVE_SIZE_256 | RECEIVE_NO_CHECKSUM)
#define PIECE			256

#define TRANSMIT_ENABLE		0x2

/* Receive queues 0 and 1, transmit queues 0 and 1, all others */
#define CAUSE(n)	(1U << (20 + (n)))
/* Cause n to vector n */
#define ROUTE(n)	((8U | (n)) << (4 * (n)))
#define ALL_ROUTES	(ROUTE(0) | ROUTE(1) | ROUTE(2) | ROUTE(3) | ROUTE(4))

/* Descriptors of either direction, in their oldest format */
struct receive {
	__le64 bus;
	__le16 length;
	__le16 checksum;
	__u8 status;
	__u8 errors;
	__le16 special;
};

struct transmit {
	__le64 bus;
	__le32 command;		/* with the length in its low half */
	__le32 status;
};

/* For what takes the card less than a second, unless the machine is busy */
#define POLLS		1000
#define POLL_NS		(5 * 1000 * 1000)

#define DONE		1	/* in either status */
#define COMMAND_END	0x1000000
#define COMMAND_SUM	0x2000000
#define COMMAND_REPORT	0x8000000

#define RECEIVES	32
#define TRANSMITS	8

/*
 * The card may take no more than a page of the IOMMU, of 4 KiB at least, by one
 * descriptor
 */
#define LEAST_PAGE	4096

/* Rings begin at multiples of 128 bytes and have a multiple of that as size */
struct memory {
	struct receive receive[RECEIVES];
	struct transmit transmit[TRANSMITS];
	__u8 sent_header[PIECE];
	__u8 received_header[PIECE];
	__u8 buffer[DMA_BUFFER_SIZE];
};

/* Source and destination are the same, and the type is one for experiments */
static const __u8 header[] = {
	0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 1, 0x88, 0xb5,
};

static __u32 read32(const volatile void *registers, unsigned int reg)
{
	return le32toh(*(const volatile __u32 *)(registers + reg));
}

static void write32(const struct dma_device *dma, unsigned int reg,
		    __u32 value)
{
	*(volatile __u32 *)(dma->bar + reg) = htole32(value);
}

static bool e1000e_alive(const struct dma_device *dma)
{
	return read32(dma->bar, REG_STATUS) != ~0U;
}

static void e1000e_init(struct dma_device *dma)
{
	struct memory *memory = dma->memory;

	write32(dma, REG_MASK_CLEAR, ~0U);
	if (!memory)
		return;
	memset(memory, 0, sizeof(*memory));
	memcpy(memory->sent_header, header, sizeof(header));
}

static __u64 bus_of(const struct dma_device *dma, size_t offset)
{
	return dma->bus + offset;
}

/* Return: the descriptor behind those of @count bytes */
static struct transmit *put_transmits(struct transmit *at, __u64 bus,
				      unsigned int count)
{
	while (count) {
		unsigned int length = LEAST_PAGE - bus % LEAST_PAGE;

		if (length > count)
			length = count;
		*at++ = (struct transmit) {
			.bus = htole64(bus),
			.command = htole32(length | COMMAND_SUM),
		};
		bus += length;
		count -= length;
	}
	return at;
}

static struct receive *put_receives(struct receive *at, __u64 bus,
				    unsigned int count)
{
	unsigned int done;

	for (done = 0; done < count; done += PIECE)
		*at++ = (struct receive) { .bus = htole64(bus + done) };
	return at;
}

/* The card has both rings from their beginnings on, with none of it to do yet */
static void set_ring(const struct dma_device *dma, unsigned int queue,
		     size_t offset, size_t size)
{
	const __u64 bus = bus_of(dma, offset);

	write32(dma, queue + RING_LOW, bus);
	write32(dma, queue + RING_HIGH, bus >> 32);
	write32(dma, queue + RING_SIZE, size);
	write32(dma, queue + RING_HEAD, 0);
	write32(dma, queue + RING_TAIL, 0);
}

/*
 * Without its link the card drops packets, in loopback, too. A host's driver that
 * had it before may have left it negotiating.
 */
static void wait_for_link(const struct dma_device *dma)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	int polls;

	for (polls = 0; polls < POLLS; polls++) {
		if (read32(dma->bar, REG_STATUS) & STATUS_LINK_UP)
			return;
		nanosleep(&pause, NULL);
	}
}

static void enable(const struct dma_device *dma)
{
	write32(dma, REG_RECEIVE, 0);
	write32(dma, REG_TRANSMIT, 0);
	write32(dma, REG_CONTROL, read32(dma->bar, REG_CONTROL) |
		CONTROL_DUPLEX | CONTROL_LINK_UP);
	wait_for_link(dma);
	set_ring(dma, REG_RX, offsetof(struct memory, receive),
		 sizeof(struct receive[RECEIVES]));
	set_ring(dma, REG_TX, offsetof(struct memory, transmit),
		 sizeof(struct transmit[TRANSMITS]));
	write32(dma, REG_RECEIVE, RECEIVE);
	write32(dma, REG_TRANSMIT, TRANSMIT_ENABLE);
}

/* Whether the card has written to the last of the descriptors */
static bool wait(const volatile struct receive *last)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	int polls;

	for (polls = 0; polls < POLLS / 10; polls++) {
		if (last->status & DONE)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool copy(const struct dma_device *dma, __u64 to, __u64 from,
		 unsigned int count)
{
	struct memory *memory = dma->memory;
	struct transmit *transmit = memory->transmit;
	struct receive *receive = memory->receive;

	transmit = put_transmits(transmit,
				 bus_of(dma, offsetof(struct memory,
						      sent_header)), PIECE);
	transmit = put_transmits(transmit, from, count);
	transmit[-1].command |= htole32(COMMAND_END | COMMAND_REPORT);
	receive = put_receives(receive,
			       bus_of(dma, offsetof(struct memory,
						    received_header)), PIECE);
	receive = put_receives(receive, to, count);

	enable(dma);
	__sync_synchronize();
	write32(dma, REG_RX + RING_TAIL, receive - memory->receive);
	write32(dma, REG_TX + RING_TAIL, transmit - memory->transmit);
	return wait(receive - 1);
}

static bool e1000e_load(const struct dma_device *dma, __u64 bus,
			unsigned int offset, unsigned int count)
{
	return copy(dma, bus_of(dma, offsetof(struct memory, buffer) + offset),
		    bus, count);
}

static bool e1000e_store(const struct dma_device *dma, __u64 bus,
			 unsigned int offset, unsigned int count)
{
	return copy(dma, bus,
		    bus_of(dma, offsetof(struct memory, buffer) + offset),
		    count);
}

/*
 * A cause that stays set would interrupt again and again. QEMU's card does not
 * send less than 128 us after the last interrupt, and its timer does not survive
 * a change to another kind of interrupts.
 */
static void e1000e_quiet(const struct dma_device *dma)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };

	write32(dma, REG_MASK_CLEAR, ~0U);
	write32(dma, REG_CAUSE, ~0U);
	nanosleep(&pause, NULL);
}

static void e1000e_interrupt(const struct dma_device *dma, unsigned int vector)
{
	e1000e_quiet(dma);
	write32(dma, REG_VECTORS, ALL_ROUTES);
	write32(dma, REG_MASK_SET, CAUSE(vector));
	write32(dma, REG_SET_CAUSE, CAUSE(vector));
}

__u64 e1000e_receive_ring(const volatile void *registers)
{
	return (__u64)read32(registers, REG_RX + RING_HIGH) << 32 |
	       read32(registers, REG_RX + RING_LOW);
}

static const struct dma_device_id e1000e_ids[] = {
	{ E1000E_VENDOR, E1000E_DEVICE },
	{}
};

const struct dma_device_ops e1000e_ops = {
	.name = "e1000e",
	.ids = e1000e_ids,
	.abilities = DMA_MSIX,
	.bar = E1000E_REGISTERS,
	.memory = sizeof(struct memory),
	/* For the card, a receive buffer at 0 is none */
	.first_bus = 1,
	.init = e1000e_init,
	.alive = e1000e_alive,
	.load = e1000e_load,
	.store = e1000e_store,
	.interrupt = e1000e_interrupt,
	.quiet = e1000e_quiet,
};
