#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# One guest with a network card and an NVMe disk, each in an IOMMU group of its
# own and both on the guest's one PHB, so that every LIOBN feeds two groups.
# Where a table can serve both groups they share a container, else the monitor
# needs one for each. What the guest writes to the disk while the card is busy
# must be what it reads back.
#
# As "two_devices.sh iommufd" both are in one iommufd, whose mappings the monitor
# makes: KVM has to leave the guest's hypercalls to it.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

mebibytes=4

address() {
	dhcp eth0 | grep '^10\.0\.2\.'
}

busy_card() {
	ping -A -s 1400 10.0.2.2 >/tmp/ping 2>&1 &
	ping=$!
}

# Both past the guest's page cache
write_disk() {
	dd if=/tmp/written of=/dev/nvme0n1 bs=64k oflag=direct
}

same_on_disk() {
	dd if=/dev/nvme0n1 bs=64k count=$((mebibytes * 16)) iflag=direct |
		cmp - /tmp/written
}

echoed() {
	kill -INT $ping
	wait $ping
	tail -n 3 /tmp/ping
	[ "$(grep -c 'bytes from' /tmp/ping)" -gt 10 ]
}

in_guest() {
	check "the guest has an address over the card" address
	check "the guest has the disk" test -b /dev/nvme0n1
	dd if=/dev/urandom of=/tmp/written bs=1M count=$mebibytes 2>/dev/null
	busy_card
	check "the guest writes to the disk while the card is busy" write_disk
	check "the guest reads back what it wrote" same_on_disk
	check "the card was at work all the time" echoed
	tap_end
}

left_to_monitor() {
	cat /tmp/tables
	awk '{
		for (i = 1; i <= NF; i++) {
			answered += $i ~ /^(real|early|exit|virtual)=[1-9]/
			left += $i ~ /^user=[1-9]/
		}
	}
	END { exit answered || !left }' /tmp/tables
}

[ "${1:-}" != guest ] || in_guest

. /guest_tap.sh

for domain in 0001 0002; do
	basename "$(readlink -f /sys/bus/pci/devices/$domain:*[!:]/iommu_group)"
done | sort -u >/tmp/groups
check "the devices are in two groups" [ "$(wc -l </tmp/groups)" = 2 ]
if [ "${1:-}" = iommufd ]; then
	# On bare metal the addresses of an iommufd end below the guest's 64-bit window
	partition ||
		low="-global spapr-pci-host-bridge.dma64_win_addr=0x100000000"
	check_guest "the guest used both devices" -d 0001 -d 0002 -i -q "${low:-}" \
		-a "/two_devices.sh /tap.sh" \
		-e "cat /sys/kernel/debug/kvm/*/spapr_tce >/tmp/tables" \
		-- two_devices.sh guest
	check "KVM left all hypercalls to the monitor" left_to_monitor
	tap_end
fi
check_guest "the guest used both devices" -d 0001 -d 0002 \
	-a "/two_devices.sh /tap.sh" \
	-e "guest-links >/tmp/links" -- two_devices.sh guest
check "every LIOBN was linked to both groups" both_linked
tap_end
