/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's "edu" device as a dma_device. It has a buffer of its own, INTx and one
 * vector of MSI, and takes 100 ms for each copy. Give it
 * dma_mask=0xffffffffffffffff, otherwise it wraps bus addresses by itself.
 */
#ifndef VFIO_SPAPR_EDU_H
#define VFIO_SPAPR_EDU_H

#include "dma_device.h"

extern const struct dma_device_ops edu_ops;

#endif
