// SPDX-License-Identifier: GPL-2.0
/* An Intel 82574 as a source of interrupts, see e1000e.h and its datasheet. */
#include <endian.h>
#include <linux/types.h>
#include <time.h>

#include "e1000e.h"

#define REG_CAUSE	0x00c0	/* ICR: a 1 clears the bit */
#define REG_SET_CAUSE	0x00c8	/* ICS */
#define REG_MASK_SET	0x00d0	/* IMS: a 1 lets the cause interrupt */
#define REG_MASK_CLEAR	0x00d8	/* IMC */
#define REG_VECTORS	0x00e4	/* IVAR: four bits for each of the causes */
#define REG_RING_LOW	0x2800	/* RDBAL, RDBAH: bus address */
#define REG_RING_HIGH	0x2804

/* Receive queues 0 and 1, transmit queues 0 and 1, all others */
#define CAUSE(n)	(1U << (20 + (n)))
/* Cause n to vector n */
#define ROUTE(n)	((8U | (n)) << (4 * (n)))
#define ALL_ROUTES	(ROUTE(0) | ROUTE(1) | ROUTE(2) | ROUTE(3) | ROUTE(4))

static __u32 read32(const struct e1000e *card, unsigned int reg)
{
	return le32toh(*(volatile __u32 *)(card->bar + reg));
}

static void write32(const struct e1000e *card, unsigned int reg, __u32 value)
{
	*(volatile __u32 *)(card->bar + reg) = htole32(value);
}

/*
 * A cause that stays set would interrupt again and again. QEMU's card does not
 * send less than 128 us after the last interrupt, and its timer does not survive
 * a change to another kind of interrupts.
 */
void e1000e_quiet(const struct e1000e *card)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };

	write32(card, REG_MASK_CLEAR, ~0U);
	write32(card, REG_CAUSE, ~0U);
	nanosleep(&pause, NULL);
}

void e1000e_interrupt(const struct e1000e *card, unsigned int vector)
{
	e1000e_quiet(card);
	write32(card, REG_VECTORS, ALL_ROUTES);
	write32(card, REG_MASK_SET, CAUSE(vector));
	write32(card, REG_SET_CAUSE, CAUSE(vector));
}

__u64 e1000e_receive_ring(const struct e1000e *card)
{
	return (__u64)read32(card, REG_RING_HIGH) << 32 |
	       read32(card, REG_RING_LOW);
}
