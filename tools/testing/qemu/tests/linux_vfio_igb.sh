#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# linux_vfio_igb.sh
#
# Runs Linux's vfio_pci_driver_test on MACHINE with an igb. QEMU has that from 8.0
# on, hence the emulator of backports.

here=$(dirname "$(realpath "$0")")
program=vfio_pci_driver_test

set -- -m "$MACHINE" -k "$VMLINUX" -l "$LOG" -e emulator -t 900 \
	-a "$here/linux_vfio.sh" -a "$here/tap.sh" \
	-a "$PROGRAMS/../vfio/$program:/vfio/$program" \
	-q "-device igb,bus={bus0}"
# Under QEMU interrupts are not isolated
[ "$MACHINE" != pseries ] || set -- "$@" -c iommufd.allow_unsafe_interrupts=1
exec "$here/../boot" "$@" -- /linux_vfio.sh -d 0x10c9 $program
