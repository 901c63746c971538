#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest has two functions of one card, which on the host are behind a bridge and
# in one IOMMU group, and another card of another group, which is behind a bridge
# in the guest. It uses all three.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

# In the guest

# Each interface is on a network of its own, and all have the same addresses
works() {
	dhcp "$1" | grep '^10\.0\.2\.' &&
	ping -A -c 20 -s 1400 -I "$1" 10.0.2.2 | grep "20 packets received"
	status=$?
	ip address flush dev "$1"
	ip link set "$1" down
	return $status
}

# interfaces ADDRESS: of the functions of that slot in the guest
interfaces() {
	for net in /sys/class/net/eth*; do
		case $(basename "$(realpath "$net/device")") in
		"$1") basename "$net" ;;
		esac
	done
}

in_guest() {
	check "the guest uses the first function" \
		works "$(interfaces 0000:00:03.0)"
	check "it uses the second function" works "$(interfaces 0000:00:03.1)"
	check "it uses the card behind its bridge" \
		works "$(interfaces 0000:01:01.0)"
	check "it uses the first function again" \
		works "$(interfaces 0000:00:03.0)"
	tap_end
}

[ "${1:-}" != guest ] || in_guest

# On the host
. /guest_tap.sh

behind_bridge() {
	bridge=$(dirname "$(realpath "/sys/bus/pci/devices/$1")")
	cat "$bridge/class"
	grep -q '^0x0604' "$bridge/class"
}

first=$(cards 0002 | head -n 1)
second=$(cards 0002 | tail -n 1)
third=$(cards 0001)
check "the functions are behind a bridge" behind_bridge "$first"
give_to_vfio "$first"
check "the functions are in one group" \
	[ "$(group_file "$first")" = "$(group_file "$second")" ]
check "they are given to VFIO" give_to_vfio "$second"
check "another card is as well" give_to_vfio "$third"
for card in "$first" "$third"; do
	basename "$(group_file "$card")"
done | sort >/tmp/groups
check "that is in another group" [ "$(sort -u /tmp/groups | wc -l)" = 2 ]
check_guest "the guest ended well" -a "/functions.sh /tap.sh" \
	-D "vfio-pci,host=$first,rombar=0,addr=3.0,multifunction=on" \
	-D "vfio-pci,host=$second,rombar=0,addr=3.1" \
	-D pci-bridge,id=inside,chassis_nr=1,addr=4 \
	-D "vfio-pci,host=$third,rombar=0,bus=inside,addr=1" \
	-e "guest-links >/tmp/links" -- functions.sh guest
check "every LIOBN was linked to both groups" both_linked
check "no page is pinned" nothing_pinned
tap_end
