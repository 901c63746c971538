/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An Intel 82574 network card (e1000e) as a source of interrupts. It has
 * INTx, MSI with one vector and MSI-X with five, and sends an interrupt when
 * its own registers ask for one.
 */
#ifndef VFIO_SPAPR_E1000E_H
#define VFIO_SPAPR_E1000E_H

#include <linux/types.h>

#define E1000E_VENDOR	0x8086
#define E1000E_DEVICE	0x10d3

#define E1000E_REGISTERS	0	/* BAR */
#define E1000E_MSIX_TABLE	3	/* BAR, from its start */
#define E1000E_VECTORS		5	/* of MSI-X */

/* A card is known by the mapping of its registers' BAR. */
struct e1000e {
	volatile char *bar;
};

/**
 * e1000e_interrupt() - Make the card send an interrupt
 * @card: with its memory space and bus mastering enabled
 * @vector: of MSI-X, less than E1000E_VECTORS; MSI ignores it
 */
void e1000e_interrupt(const struct e1000e *card, unsigned int vector);

/* After it the card sends no interrupt until it is asked for the next one. */
void e1000e_quiet(const struct e1000e *card);

/* The bus address that its driver has given to receive queue 0 */
__u64 e1000e_receive_ring(const struct e1000e *card);

#endif
