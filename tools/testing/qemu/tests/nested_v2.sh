#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# nested_v2.sh
#
# Runs the tests of hypercalls and of links on a partition whose hypervisor runs
# nested guests by H_GUEST_RUN_VCPU, as PowerVM does. The system's emulator may be
# too old for it, so it is Debian's newest, which is fetched into $B/emulator.

here=$(dirname "$(realpath "$0")")
. "$here/tap.sh"
edu=edu,dma_mask=0xffffffffffffffff

"$here/../../../build/emulator" "$B/emulator" || {
	skip nested_v2 "no emulator; is the network up?"
	tap_end
}

# program NAME: one boot
program() {
	"$here/../boot" -m pseries-v2 -k "$VMLINUX" -l "$LOG.$1" -s 2 -t 1200 \
		-a "$PROGRAMS/$1" -q "-device $edu,bus={pci0},addr=1" \
		-q "-device $edu,bus={pci0},addr=2" \
		-q "-device $edu,bus={pci1},addr=1" -- "/$1"
	echo "$?" >>"$LOG.status"
}

rm -f "$LOG.status"
{
	program hcall_places
	program hcall
	program link
} 2>&1 | one_plan 0
exit "$(worst "$LOG.status")"
