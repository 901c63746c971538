#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The monitor asks for the network card while the guest receives over it, the
# guest releases it, and the card works for the host again. Nothing of the guest's
# mappings may be left to disturb that, and the guest lives on.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

address() {
	dhcp eth0 | grep '^10\.0\.2\.'
}

echoed() {
	[ "$(grep -c 'bytes from' /tmp/ping)" -gt 10 ]
}

busy_card() {
	ping -A -s 1400 10.0.2.2 >/tmp/ping 2>&1 &
	wait_for echoed
}

# The hypervisor's request arrives as an interrupt that nothing else uses
asked_to_release() {
	grep 'RAS_HOTPLUG' /proc/interrupts | grep -q -v -E '^ *[0-9]+: +0 '
}

release() {
	drc=$(readlink -f /sys/class/net/eth0/device/of_node)/ibm,my-drc-index
	cp "$drc" /tmp/drc &&
	echo 1 >/sys/class/net/eth0/device/remove &&
	drc-release /tmp/drc
}

in_guest() {
	check "the guest has an address over the card" address
	check "it receives over the card" busy_card
	echo "# receiving"
	check "the guest is asked to release it while it receives" \
		wait_for asked_to_release
	check "the guest releases it" release
	check "the card has gone from the guest" [ ! -e /sys/class/net/eth0 ]
	tap_end
}

has_group() {
	for fd in /proc/"$(cat /guest/guest/pid)"/fd/*; do
		case $(readlink "$fd") in
		*/dev/vfio/[0-9]*) return 0 ;;
		esac
	done
	return 1
}

monitor_has_no_group() {
	! has_group
}

# The guest is still there, without the card
on_host() {
	card=$(basename /sys/bus/pci/drivers/vfio-pci/0001:*)
	check "the monitor has no group open any more" \
		wait_for monitor_has_no_group
	check "the host's driver takes the card" back_to_host "$card"
	check "the host has an address over the card" address
}

[ "${1:-}" != guest ] || in_guest

. /guest_tap.sh
[ "${1:-}" != host ] || { on_host; exit; }

{
	until grep -q '^# receiving' /tmp/guest.tap; do
		sleep 0.2
	done
	echo device_del dev0 >/guest/guest/monitor.in
} 2>/dev/null &

check_guest "the guest ended well" -d 0001 \
	-a "/unplug.sh /tap.sh /drc-release" -e "unplug.sh host" -- \
	unplug.sh guest
tap_end
