#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The demo does its job with the kernel VMLINUX on MACHINE, and says so.

cd "$(dirname "$0")" || exit 1
. ./tap.sh

output=$(mktemp)
trap 'rm -f "$output"' EXIT
trap 'exit 1' HUP INT TERM

demo() {
	../demo "$MACHINE" "$VMLINUX" >"$output" 2>&1
	status=$?
	cat "$output"
	return $status
}

# The MMU that a KVM guest has there by default
guest_mmu() {
	case $MACHINE in
	powernv8) grep '^  guest  *Hash MMU' "$output" ;;
	*) grep '^  guest  *Radix MMU' "$output" ;;
	esac
}

no_kernel() {
	! ../demo "$MACHINE" /no/kernel >"$output" 2>&1 &&
	grep '/no/kernel is missing' "$output"
}

check "a guest fetches a file over its card" demo
check "the guest has the MMU that it should have" guest_mmu
check "the report names the LIOBN's group" \
	grep 'LIOBN 0x80000000 -> IOMMU group 1$' "$output"
check "a missing kernel is an error, with its name" no_kernel
tap_end
