#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# named.sh VENDOR:DEVICE PROGRAM...
#
# Runs selftests on the functions with these PCI IDs, by their addresses.

. /tap.sh

ids=$1
shift
VFIO_SPAPR_DEVICES=
for device in /sys/bus/pci/devices/*; do
	[ "$(cat "$device/vendor"):$(cat "$device/device")" = \
		"0x${ids%:*}:0x${ids#*:}" ] || continue
	VFIO_SPAPR_DEVICES="$VFIO_SPAPR_DEVICES ${device##*/}"
	# A group is for users only when all of it is
	echo vfio-pci >"$device/driver_override"
	[ ! -e "$device/driver" ] || echo "${device##*/}" >"$device/driver/unbind"
	echo "${device##*/}" >/sys/bus/pci/drivers_probe
done
export VFIO_SPAPR_DEVICES

# What they say is heard at once, also of one that does not end
for program; do
	"/$program" || echo "$program" >>/tmp/failed
done | one_plan 0
[ ! -e /tmp/failed ]
