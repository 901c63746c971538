/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A network card of the host's own, as the witness that the host's DMA goes
 * on. It wants QEMU's user network at its other end, which answers ARP for
 * 10.0.2.2.
 */
#ifndef SELFTEST_VFIO_SPAPR_NIC_H
#define SELFTEST_VFIO_SPAPR_NIC_H

#include <stdbool.h>

#include "vfio_pci.h"

/* The function that is a card in IOMMU group @iommu_group: 0 or -ENODEV */
int nic_find(int iommu_group, char address[PCI_ADDRESS_LEN]);

/* Has the host's driver for it, its interface up and carrying traffic */
bool nic_start(const char *address);

/* The same with the driver that it has, which stays when it goes down */
bool nic_up(const char *address);
void nic_down(const char *address);

/* nic_alive() - @rounds requests, each answered, or one lost twice */
bool nic_alive(const char *address, unsigned int rounds);

#endif
