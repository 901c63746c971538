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

# skip_one NAME REASON: with a plan of its own
skip_one() {
	skip "$@"
	echo "1..1"
}

# run PROGRAM ARG...: what it says is heard at once, but for the plan of one that
# cannot run at all; its exit status is in /tmp/ended
run() {
	{
		"/vfio/$@" 2>&1
		echo $? >/tmp/ended
	} | awk -v said="/tmp/$1" '
		{ print >said }
		!/^1\.\.0 # SKIP/ { print; fflush() }'
}

for program; do
	: >"/tmp/$program"
	modes=$(type1_modes "$program")
	# shellcheck disable=SC2046,SC2086 # words
	run "$program" ${modes:+$(printf -- '-V %s ' $modes)} "$device"
	case $(cat /tmp/ended) in
	0)	;;
	4)	skip_one "$program" "$(why_skipped "$program")" ;;
	*)	echo "$program" >>/tmp/failed ;;
	esac
	for mode in $modes; do
		skip_one "$program: $mode" "POWER has no type1 back end"
	done
done | one_plan 0
[ ! -e /tmp/failed ]
