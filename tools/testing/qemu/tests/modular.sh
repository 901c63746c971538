#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# modular.sh
#
# Runs the tests of the external user API, of KVM's links and of iommufd on
# MACHINE under the kernel with VFIO, iommufd and KVM as modules, and that which
# unloads and loads VFIO's between its users, and on powernv9 does what the guide
# for owners of a machine says.

here=$(dirname "$(realpath "$0")")
kernel=$B/modular
. "$here/tap.sh"

# In the order in which they need each other. iommufd needs a table format
# where it serves devices without an IOMMU, which not every base does.
table=drivers/iommu/generic_pt/fmt/iommu_amdv1
[ -e "$kernel/$table.ko" ] || table=
modules="
	$table drivers/iommu/iommufd/iommufd
	drivers/vfio/vfio drivers/vfio/spapr/vfio_iommu_spapr_tce
	drivers/vfio/pci/vfio-pci-core drivers/vfio/pci/vfio-pci
	arch/powerpc/kvm/kvm arch/powerpc/kvm/kvm-hv"

# What the programs have in their environment: VFIO's modules, to be reloaded
variables="VFIO_SPAPR_MODULES='/vfio.ko /vfio_iommu_spapr_tce.ko \
	/vfio-pci-core.ko /vfio-pci.ko'"

# program LOADED NAME [ARG...]: boots with the MODULES of LOADED as well
program() {
	loaded="$modules $1"
	name=$2
	shift 2
	load=
	for module in $loaded; do
		ko=$(basename "$module").ko
		set -- "$@" -a "$kernel/$module.ko:/$ko"
		load="$load insmod /$ko"
		[ $ko = vfio.ko ] && load="$load enable_unsafe_noiommu_mode=1"
		# Under QEMU a partition's interrupts are not isolated
		[ $ko$MACHINE = iommufd.kopseries ] &&
			load="$load allow_unsafe_interrupts=1"
		load="$load &&"
	done
	"$here/../boot" -m "$MACHINE" -k "$kernel/vmlinux" -l "$LOG.$name" -s 2 \
		-t 600 -a "$PROGRAMS/$name" "$@" -- sh -c "$load $variables exec /$name"
}

# edus NAME: with the bed "edu", see beds
edus() {
	program "" "$1" -q "$EDU"
	echo "$?" >>"$LOG.status"
}

guide() {
	folder=lib/modules/$(cat "$kernel/include/config/kernel.release")
	set --
	for module in $modules; do
		set -- "$@" -a "$kernel/$module.ko:$folder/$(basename "$module").ko"
	done
	"$here/guide.sh" boot "$kernel/vmlinux" "$@" \
		-a "$kernel/modules.builtin:$folder/modules.builtin"
}

{
	program "test-modules/external_user_test test-modules/noiommu_device" \
		external_user -q "-device e1000e,bus={bus1}" \
		-q "-device edu,bus={pci0},addr=1" \
		-q "-device edu,bus={pci0},addr=2"
	echo "$?" >"$LOG.status"
	edus link
	edus reload
	# Device files, where the base has them on POWER
	if grep -qx CONFIG_VFIO_DEVICE_CDEV=y "$kernel/.config"; then
		for name in iommufd iommufd_eeh iommufd_link iommufd_nested; do
			edus $name
		done
	fi
	if [ "$MACHINE" = powernv9 ]; then
		guide
		echo "$?" >>"$LOG.status"
	fi
} 2>&1 | one_plan 0
exit "$(worst "$LOG.status")"
