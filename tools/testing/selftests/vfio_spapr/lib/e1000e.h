/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An Intel 82574 network card (e1000e) as a dma_device. It has INTx, MSI with
 * one vector and MSI-X with five. It copies by sending packets to itself (MAC
 * loopback) and needs memory for its descriptors and its buffer.
 */
#ifndef VFIO_SPAPR_E1000E_H
#define VFIO_SPAPR_E1000E_H

#include "dma_device.h"

#define E1000E_VENDOR	0x8086
#define E1000E_DEVICE	0x10d3

#define E1000E_REGISTERS	0	/* BAR */

extern const struct dma_device_ops e1000e_ops;

/*
 * The bus address that its driver has given to receive queue 0 of the card with
 * these registers
 */
__u64 e1000e_receive_ring(const volatile void *registers);

#endif
