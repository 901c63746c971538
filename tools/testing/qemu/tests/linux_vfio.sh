#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# linux_vfio.sh DRIVER PROGRAM...
#
# Linux's own selftests of VFIO with the first function that DRIVER of the host
# has, or, for "edu", the first one of QEMU's edu. Modes that want VFIO's type1
# container are left out: POWER's kernels have no such back end.

driver=$1
shift

if [ "$driver" = edu ]; then
	device=$(grep -lx 0x11e8 /sys/bus/pci/devices/*/device | head -n 1)
	device=${device%/device}
else
	device=$(ls -d /sys/bus/pci/drivers/"$driver"/*:* | head -n 1)
	echo "${device##*/}" >"$device/driver/unbind"
fi
device=${device##*/}
[ -n "$device" ] || exit 4
echo vfio-pci >"/sys/bus/pci/devices/$device/driver_override"
echo "$device" >/sys/bus/pci/drivers_probe

# Names of all variants with a mode that there is not
without() {
	"/vfio/$1" -l "$device" 2>&1 | grep -o 'vfio_type1[a-z0-9_]*' | sort -u |
		sed 's/^/-V /'
}

status=0
for program; do
	# shellcheck disable=SC2046 # words
	"/vfio/$program" $(without "$program") "$device" || status=1
done 2>&1 | sed "s/^# \(ok\|not ok\) .*/&/"
exit $status
