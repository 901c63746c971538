#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# nested_v2.sh
#
# Runs the tests of hypercalls and of links on a partition whose hypervisor runs
# nested guests by H_GUEST_RUN_VCPU, as PowerVM does. The system's emulator may be
# too old for that, so boot takes the one of backports.

here=$(dirname "$(realpath "$0")")
. "$here/tap.sh"

# program NAME: one boot
program() {
	"$here/../boot" -m pseries-v2 -k "$VMLINUX" -l "$LOG.$1" -s 2 -t 1200 \
		-a "$PROGRAMS/$1" -q "$EDU" -- "/$1"
	echo "$?" >>"$LOG.status"
}

rm -f "$LOG.status"
{
	program hcall_places
	program hcall
	program link
} 2>&1 | one_plan 0
exit "$(worst "$LOG.status")"
