#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# smoke.sh MACHINE RELEASE
#
# The host is the one asked for and has what the other tests build upon.

. /tap.sh

machine=$1
release=$2

cpuinfo() {
	grep -q "^$1[[:space:]]*: $2" /proc/cpuinfo
}

# Every PCI function that is no bridge is in an IOMMU group.
all_grouped() {
	seen=0
	for device in /sys/bus/pci/devices/*; do
		case $(cat "$device/class") in
		0x0604*) continue ;;
		esac
		[ -e "$device/iommu_group" ] || return 1
		seen=$((seen + 1))
	done
	[ $seen = 2 ]
}

groups() {
	for group in /sys/bus/pci/devices/*/iommu_group; do
		readlink -f "$group"
	done | sort -u | wc -l
}

check "the kernel is the one built" [ "$(uname -r)" = "$release" ]
case $machine in
powernv8)
	check "POWER8" cpuinfo cpu POWER8
	check "hash MMU" cpuinfo MMU Hash
	;;
powernv9 | pseries)
	check "POWER9" cpuinfo cpu POWER9
	check "radix MMU" cpuinfo MMU Radix
	;;
powernv10)
	check "POWER10" cpuinfo cpu POWER10
	check "radix MMU" cpuinfo MMU Radix
	;;
powernv11)
	check "Power11" cpuinfo cpu Power11
	check "radix MMU" cpuinfo MMU Radix
	;;
esac
case $machine in
powernv*) check "bare metal" cpuinfo platform PowerNV ;;
*) check "logical partition" cpuinfo platform pSeries ;;
esac
check "KVM" [ -c /dev/kvm ]
check "VFIO" [ -c /dev/vfio/vfio ]
check "iommufd" [ -c /dev/iommu ]
check "each PCI function is in an IOMMU group" all_grouped
check "PCI host bridges do not share a group" [ "$(groups)" = 2 ]
check "mediated devices" [ -d /sys/class/mdev_bus/mtty ]
check "debugfs" [ -d /sys/kernel/debug/powerpc ]
check "modules can be loaded" [ -e /proc/modules ]
tap_end
