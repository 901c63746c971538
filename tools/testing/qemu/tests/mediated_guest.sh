#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# One guest, under Debian's QEMU, with a mediated device: the serial card that
# is Linux's sample of one (mtty). What is written to its port comes back.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

uuid=6d747479-7365-4261-8000-000000000001
modules="serial_base 8250_base 8250 8250_pci"

load() {
	for module in $modules; do
		insmod /$module.ko || return 1
	done
}

has_card() {
	cat /sys/bus/pci/devices/*/uevent
	grep -l PCI_ID=4348:3253 /sys/bus/pci/devices/*/uevent
}

has_port() {
	dmesg | grep -i -e serial -e tty
	ls -l /sys/bus/pci/drivers/serial/
	[ -c /dev/ttyS0 ] && ls -d /sys/bus/pci/drivers/serial/*:*
}

is_back() {
	[ "$(cat /tmp/back)" = "$1" ]
}

# The card takes 16 characters in a row for none
comes_back() {
	stty -F /dev/ttyS0 raw -echo -crtscts clocal
	exec 3<>/dev/ttyS0
	for text in 'to the card' 'and again'; do
		: >/tmp/back
		dd bs=1 count=${#text} of=/tmp/back <&3 2>/dev/null &
		reader=$!
		printf %s "$text" >&3
		wait_for is_back "$text"
		kill $reader
		cat /proc/interrupts /tmp/back
		is_back "$text" || return 1
	done
}

in_guest() {
	check "the guest sees the card" has_card
	check "the guest has drivers" load
	check "the guest's driver takes the card" has_port
	check "what the guest writes to the port comes back" comes_back
	tap_end
}

[ "${1:-}" != guest ] || in_guest

. /guest_tap.sh

make_device() {
	echo $uuid >/sys/class/mtty/mtty/mdev_supported_types/mtty-1/create
}

# The monitor has made a window for the guest in the device's container
has_window() {
	cat /guest/guest/trace
	grep -q vfio_spapr_create_window /guest/guest/trace
}

# All LIOBNs of the guest are linked to the device's group
is_linked() {
	cat /tmp/links
	[ "$(cut -d ' ' -f 2 /tmp/links | sort -u)" = "$group" ]
}

files="/mediated_guest.sh /tap.sh"
for module in $modules; do
	files="$files /$module.ko"
done

check "the host has the device" make_device
group=$(basename "$(readlink /sys/bus/mdev/devices/$uuid/iommu_group)")
check_guest "the guest used the device" -a "$files" \
	-e "guest-links >/tmp/links" \
	-D "vfio-pci,id=card,sysfsdev=/sys/bus/mdev/devices/$uuid" \
	-- mediated_guest.sh guest
check "its container has a window for the guest" has_window
check "the guest's hypercalls are linked to its group" is_linked
check "the device can be removed" \
	sh -c "echo 1 >/sys/bus/mdev/devices/$uuid/remove"
tap_end
