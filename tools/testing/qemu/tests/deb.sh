#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# deb.sh
#
# The package with the kernel, unpacked as installing it would: its kernel boots
# on MACHINE, takes its modules, and passes a device to a process and to a guest.

here=$(dirname "$(realpath "$0")")
. "$here/tap.sh"
programs=$B/selftests/kselftest/vfio_spapr
package=$(ls "$B"/deb/linux-image-*_ppc64el.deb)
load="modprobe -a vfio_iommu_spapr_tce vfio-pci kvm-hv"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

unpacks() {
	[ "$(dpkg-deb -f "$package" Architecture)" = ppc64el ] &&
	dpkg-deb -x "$package" "$dir" &&
	kernel=$(ls "$dir"/boot/vmlinux-*)
}

boots() {
	"$here/../boot" -m "$MACHINE" -k "$kernel" -l "$LOG" -s 2 -t 600 \
		-a "$dir/lib/modules:/lib/modules" "$@"
}

# What the series makes possible on this base
has_options() {
	options=$here/../config/series-$BASE.config
	[ ! -e "$options" ] ||
		! grep '^CONFIG' "$options" |
			grep -vxF -f "$dir/boot/config-${kernel##*/vmlinux-}"
}

has_its_release() {
	release=$(boots -- uname -r) || return
	echo "$release"
	[ "$release" = "${kernel##*/vmlinux-}" ]
}

loads_modules() {
	boots -- sh -c "$load && cut -d ' ' -f 1 /proc/modules" >"$dir/modules" ||
		return
	cat "$dir/modules"
	for module in vfio vfio_pci vfio_iommu_spapr_tce kvm_hv; do
		grep -qx $module "$dir/modules" || return
	done
}

# program NAME: with devices on two buses
program() {
	boots -q "$EDU" -a "$programs/$1" -- sh -c "$load && exec /$1"
}

check "the package is for ppc64el and unpacks" unpacks
check "it has the options of the series" has_options
check "its kernel boots and says its release" has_its_release
check "VFIO and KVM load from its modules" loads_modules
check "a device's DMA is a process's" program flow
check "a device's DMA is a guest's" program link
tap_end
