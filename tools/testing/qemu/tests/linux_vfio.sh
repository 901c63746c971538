#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# linux_vfio.sh [-d ID] PROGRAM...
#
# Linux's own selftests of VFIO, on the first PCI device with this device ID, by
# default QEMU's edu. They lie in /vfio.

. /tap.sh

id=0x11e8
[ "$1" != -d ] || { id=$2; shift 2; }
device=$(grep -lx "$id" /sys/bus/pci/devices/*/device | head -n 1)
device=${device%/device}
device=${device##*/}
[ -n "$device" ] || exit 4
echo vfio-pci >"/sys/bus/pci/devices/$device/driver_override"
echo "$device" >/sys/bus/pci/drivers_probe

# type1_modes PROGRAM: the modes that it has of those that POWER has no back end
# for. iommufd in the container's place has them all the same
type1_modes() {
	"/vfio/$1" -l "$device" 2>&1 | grep -o 'vfio_type1[a-z0-9_]*' | sort -u
}

# What a program says of itself when it cannot run at all
why_skipped() {
	tr '\n' ' ' <"/tmp/$1" | sed 's/1\.\.0 # SKIP *//'
}

status=0
for program; do
	modes=$(type1_modes "$program")
	# shellcheck disable=SC2046,SC2086 # words
	"/vfio/$program" ${modes:+$(printf -- '-V %s ' $modes)} "$device" \
		>"/tmp/$program" 2>&1
	ended=$?
	if [ $ended = 4 ]; then
		skip "$program" "$(why_skipped "$program")"
	else
		cat "/tmp/$program"
		[ $ended = 0 ] || status=1
	fi
	for mode in $modes; do
		skip "$program: $mode" "POWER has no type1 back end"
	done
done >/tmp/linux_vfio
one_plan "$tap_count" </tmp/linux_vfio
exit $status
