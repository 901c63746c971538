# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For test scripts on an emulated host: TAP of their guests.

. /tap.sh

# Is the host a logical partition?
partition() {
	grep -q 'platform.*pSeries' /proc/cpuinfo
}

# take_over FILE [GUEST]: lines of TAP that a guest wrote become the test's own,
# those of one of several guests with its name
take_over() {
	awk -v number=$tap_count -v guest="${2:+$2: }" '
		/^1\.\./ { next }
		sub(/^ok [0-9]+ - /, "ok " number + 1 " - " guest) ||
		sub(/^not ok [0-9]+ - /, "not ok " number + 1 " - " guest) {
			number++
		}
		{ print }' "$1"
	tap_count=$((tap_count + $(grep -c -E '^(not )?ok ' "$1")))
}

# check_guest NAME ARG...: run-guest ARG...; NAME passes when its command
# succeeds. Meanwhile what the guest writes is in /tmp/guest.tap.
check_guest() {
	tap_name=$1
	shift
	run-guest "$@" >/tmp/guest.tap 2>&1
	tap_status=$?
	take_over /tmp/guest.tap
	check "$tap_name" [ $tap_status = 0 ]
}

# Pages that are pinned for devices. Processors keep some of what they have counted
# to themselves until asked
pinned() {
	echo 1 >/proc/sys/vm/stat_refresh
	awk '/^nr_foll_pin_acquired / { pages += $2 }
	     /^nr_foll_pin_released / { pages -= $2 }
	     END { print pages }' /proc/vmstat
}

nothing_pinned() {
	tap_pages=$(pinned)
	echo "$tap_pages pages pinned"
	[ "$tap_pages" = 0 ]
}

# group_file ADDRESS: the file of a PCI function's IOMMU group
group_file() {
	echo "/dev/vfio/$(basename "$(readlink \
		"/sys/bus/pci/devices/$1/iommu_group")")"
}

# give_to_vfio ADDRESS: takes a PCI function from the host's driver
give_to_vfio() {
	given=/sys/bus/pci/devices/$1
	echo vfio-pci >"$given/driver_override"
	[ ! -e "$given/driver" ] || echo "$1" >"$given/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ -e "$(group_file "$1")" ]
}

# back_to_host ADDRESS: takes a PCI function from vfio-pci and lets the host's
# own driver have it; sets $interface if it has one then
back_to_host() {
	back=/sys/bus/pci/devices/$1
	echo >"$back/driver_override"
	echo "$1" >/sys/bus/pci/drivers/vfio-pci/unbind
	echo "$1" >/sys/bus/pci/drivers_probe
	[ -e "$back/driver" ] || return 1
	interface=$(ls "$back/net")
}

# cards DOMAIN: addresses of its network functions
cards() {
	for device in /sys/bus/pci/devices/"$1":*; do
		case $(cat "$device/class") in
		0x0200*) basename "$device" ;;
		esac
	done
}

# Each LIOBN in /tmp/links is linked to all groups in /tmp/groups, which is sorted
both_linked() {
	cat /tmp/links
	[ -s /tmp/links ] || return 1
	for liobn in $(cut -d ' ' -f 1 /tmp/links | sort -u); do
		grep "^$liobn " /tmp/links | cut -d ' ' -f 2 | sort |
			cmp - /tmp/groups || return 1
	done
}
