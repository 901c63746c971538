#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# memory.sh KIND...
#
# A guest uses its network card with memory of each KIND:
#
#   memfd   that of a file without a name
#   huge    the same of huge pages, 2 MiB each
#   thp     transparent huge pages
#   added   a second half is added while it runs, and used for DMA
#   balloon the half of it is asked back, given to it again, and used for DMA
#   large   as added, and so much may be added that a table for it has more than
#           2^24 TCEs; another card is added as well
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

# Seconds: a guest boots in less, also on a busy machine
patience=300

# In the guest

kib() {
	awk -v field="$1:" '$1 == field { print $2 }' /proc/meminfo
}

address() {
	dhcp eth0 | grep '^10\.0\.2\.'
}

echoes() {
	ping -A -c 50 -s 1400 10.0.2.2 | grep "50 packets received"
}

more_than() {
	[ "$(kib MemTotal)" -gt "$1" ]
}

given() {
	wait_for more_than "$1" || { dmesg | tail -n 20; return 1; }
}

less_than() {
	[ "$(kib MemTotal)" -lt "$1" ]
}

# So that what the card uses next comes from anywhere
fill() {
	mount -t tmpfs -o size=90% filled /mnt &&
	dd if=/dev/zero of=/mnt/data bs=1024k \
		count=$(($(kib MemAvailable) * 3 / 4 / 1024)) &&
	ip link set eth0 down && ip link set eth0 up && address
}

in_guest() {
	mkdir -p /mnt
	check "$1: the guest has an address over the card" address
	check "$1: ... and answers to its packets" echoes
	case $1 in
	added | large)
		total=$(kib MemTotal)
		echo "# waiting"
		check "$1: it is given memory" given $((total + total / 2))
		check "$1: the card works when most of it is full" fill
		check "$1: ... for fifty packets" echoes ;;
	balloon)
		total=$(kib MemTotal)
		echo "# waiting"
		check "$1: it gives memory back" \
			wait_for less_than $((total * 2 / 3))
		check "$1: the card works" echoes
		echo "# waiting again"
		check "$1: it has its memory again" given $((total - 1))
		check "$1: the card works when most of it is full" fill
		check "$1: ... for fifty packets" echoes
	esac
	tap_end
}

if [ "${1:-}" = guest ]; then
	in_guest "$2"
fi

# On the host
. /guest_tap.sh

# state KIND: while the guest is still there
state() {
	pid=$(cat /guest/guest/pid)
	case $1 in
	memfd)
		grep -q memfd: "/proc/$pid/maps" && echo memory ;;
	huge)
		awk '/^Private_Hugetlb|^Shared_Hugetlb/ { kib += $2 }
		     END { if (kib >= 524288) print "memory" }' \
			"/proc/$pid/smaps" ;;
	thp)
		awk '/^AnonHugePages/ { kib += $2 }
		     END { if (kib) print "memory" }' "/proc/$pid/smaps" ;;
	balloon)
		# What is not there is not what the device has
		awk '/^VmRSS/ && $2 >= 524288 { print "memory" }' \
			"/proc/$pid/status" ;;
	esac
	guest-links | grep . >/dev/null && echo linked
}

# Two of QEMU's answers that do not come when something fails
monitor_has() {
	echo "info qtree" >/guest/guest/monitor.in
	sleep 1
	grep -q "$1" /guest/guest/monitor
}

# said WORDS: by the guest
said() {
	grep -q "^# $1" /tmp/guest.tap
}

# add MEMORY CARD
add() {
	wait_for said "waiting" || return
	{
		[ -z "$2" ] ||
			echo "device_add vfio-pci,id=dev1,host=$2,rombar=0"
		echo "object_add memory-backend-ram,id=more,size=$1"
		echo "device_add pc-dimm,id=dimm,memdev=more"
	} >/guest/guest/monitor.in
	[ -z "$2" ] || wait_for monitor_has 'id "dev1"' && echo "card"
} 2>/dev/null

# balloon LESS MORE: what the guest may have, in MiB
balloon() {
	wait_for said "waiting$" && echo "balloon $1" >/guest/guest/monitor.in
	wait_for said "waiting again" &&
		echo "balloon $2" >/guest/guest/monitor.in
} 2>/dev/null

# gets KIND FACT
gets() {
	cat "/tmp/$1.state" /guest/guest/errors
	grep -qx "$2" "/tmp/$1.state"
}

other_card() {
	dirname "$(grep -l 0x0200 /sys/bus/pci/devices/0002:*/class)" |
		xargs basename
}

run() {
	kind=$1
	shift
	check_guest "$kind: the guest ended well" -d 0001 \
		-a "/memory.sh /tap.sh" \
		-e "memory.sh state $kind >/tmp/$kind.state" "$@" -- \
		memory.sh guest "$kind"
	check "$kind: its hypercalls were linked" gets "$kind" linked
}

if [ "${1:-}" = state ]; then
	state "$2"
	exit 0
fi

memfd=memory-backend-memfd,id=ram,size=512M
for kind; do
	case $kind in
	memfd)
		run memfd -q "-object $memfd -machine memory-backend=ram"
		check "memfd: it had that memory" gets memfd memory ;;
	huge)
		echo 300 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
		run huge -q "-object $memfd,hugetlb=on,hugetlbsize=2M \
			-machine memory-backend=ram"
		check "huge: it had that memory" gets huge memory
		echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages ;;
	thp)
		run thp
		check "thp: it had that memory" gets thp memory ;;
	added)
		: >/tmp/guest.tap
		add 512M "" >/dev/null &
		# A kernel without NUMA makes its 64-bit window as large as its
		# memory is, and then takes none that the window does not reach
		run added -m 512,slots=1,maxmem=2G -c disable_ddw ;;
	balloon)
		: >/tmp/guest.tap
		balloon 256 512 &
		run balloon -D virtio-balloon-pci
		check "balloon: it had all its memory pinned" gets balloon memory ;;
	large)
		card=$(other_card)
		give_to_vfio "$card"
		: >/tmp/guest.tap
		add 1G "$card" >/tmp/large.added &
		run large -m 1G,slots=1,maxmem=128G \
			-q "-global spapr-pci-host-bridge.pgsz=0x1000"
		check "large: it had another card" grep card /tmp/large.added
		check "large: QEMU asked for more levels than one" grep \
			"vfio_spapr_create_window .*levels=[2-9]" \
			/guest/guest/trace ;;
	esac
done
tap_end
