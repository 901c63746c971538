#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# soak.sh SECONDS
#
# Two guests at work for a long time: their network cards fetch from each other,
# one also writes to an NVMe disk (where the machine has a bus for it) and reads
# back, and every 20 seconds each of them loses a device and gets it back. What a
# device that leaves cuts short is no fault; what arrives in full must be right,
# and at the end the host has all of its memory again.
#
# The guest with two devices maps all of its memory once, the other one maps for
# each transfer. The other way round it could not go on: QEMU 7.2 links a group
# to a LIOBN when it opens a container, not when the group joins one that is
# open, as a second device does when it comes back.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

period=20
# Seconds for what takes parts of one: a busy machine with sanitizers is slow
patience=300
bytes=65536
block=$bytes
blocks=64

# Lines that a file has, if there is one
count() {
	grep -c '' "$1" 2>/dev/null || [ -e "$1" ] || echo 0
}

# In the guest

sum_of() {
	head -c "$bytes" "$1" | sha256sum | cut -c 1-64
}

# Data that are new each time, with their checksum
offer() {
	head -c "$bytes" /dev/urandom >/tmp/offer
	sum=$(sum_of /tmp/offer)
	echo "$sum" >>/tmp/offer
	mv /tmp/offer /tmp/www/data
}

card_traffic() {
	while :; do
		offer
		if ! timeout 20 wget -q -O /tmp/got "http://$1/data"; then
			sleep 1
		elif [ "$(sum_of /tmp/got)" = "$(tail -c 65 /tmp/got)" ]; then
			echo >>/tmp/card.right
		else
			echo >>/tmp/card.wrong
		fi
	done
}

# Past the guest's page cache
write_block() {
	dd if=/tmp/written of=/tmp/disk bs="$block" seek="$1" oflag=direct
}

# A disk that is leaving has no end to read beyond
read_block() {
	dd if=/tmp/disk bs="$block" skip="$1" count=1 iflag=direct \
		of=/tmp/read && [ "$(wc -c </tmp/read)" = "$block" ]
}

# What is on the disk stays there while the disk is away: the last block that
# was right is read once more before the next one is written.
disk_traffic() {
	number=0
	head -c "$block" /dev/urandom >/tmp/written
	until write_block 0; do
		sleep 1
	done
	while :; do
		if ! read_block $((number % blocks)); then
			echo >>/tmp/disk.cut
			wait_for [ -e /tmp/disk.there ]
		elif ! cmp /tmp/written /tmp/read; then
			echo >>/tmp/disk.wrong
		else
			echo >>/tmp/disk.right
			# The card is to have its turn, too
			sleep 0.2
			next_block
		fi
	done
}

# It replaces the last one when it is known to be complete
next_block() {
	mv /tmp/written /tmp/last
	head -c "$block" /dev/urandom >/tmp/written
	if write_block $(((number + 1) % blocks)); then
		number=$((number + 1))
	else
		echo >>/tmp/disk.cut
		mv /tmp/last /tmp/written
		wait_for [ -e /tmp/disk.there ]
	fi
}

# A device's place: devices keep theirs, as only one is away at a time
place_of() {
	case $1 in
	card) class=0x0200 ;;
	disk) class=0x0108 ;;
	esac
	dirname "$(grep -l "$class" /sys/bus/pci/devices/*/class)"
}

use_card() {
	interface=$(ls "$place/net") &&
	ip link set "$interface" up &&
	ip address add "$address/24" dev "$interface"
}

has_namespace() {
	ls -d /sys/block/nvme*
}

# A node of our own: a writer that comes too late can't make a file instead
use_disk() {
	wait_for has_namespace &&
	rm -f /tmp/disk &&
	mknod /tmp/disk b "$(sed 's/:.*//' /sys/block/nvme*/dev)" \
		"$(sed 's/.*://' /sys/block/nvme*/dev)" &&
	touch /tmp/disk.there
}

use() {
	place=$(cat "/tmp/$1.place")
	"use_$1"
}

release() {
	place=$(cat "/tmp/$1.place")
	rm -f "/tmp/$1.there"
	cp "$(readlink -f "$place/of_node")/ibm,my-drc-index" /tmp/drc &&
	echo 1 >"$place/remove" &&
	drc-release /tmp/drc
}

# The device tree still has the slot, which is what it was
take() {
	echo 1 >/sys/bus/pci/rescan
	wait_for [ -e "$(cat "/tmp/$1.place")/driver" ] && use "$1"
}

more_right() {
	[ "$(count "/tmp/$1.right")" -gt "$2" ]
}

# Something new has come, and in order
work() {
	wait_for more_right "$1" "$(count "/tmp/$1.right")"
}

nothing_wrong() {
	[ ! -e "/tmp/$1.wrong" ]
}

# Each time the disk left, one block
no_more_cut() {
	echo "$(count /tmp/disk.cut) cut short, the disk left $1 times"
	[ "$(count /tmp/disk.cut)" -le "$1" ]
}

# guest ADDRESS PEER DEVICE...: does what the host says over the second console
in_guest() {
	address=$1
	peer=$2
	shift 2
	left=0
	mkdir -p /tmp/www
	httpd -h /tmp/www
	for device; do
		place_of "$device" >"/tmp/$device.place"
		check "the guest uses its $device" use "$device"
	done
	for device; do
		"${device}_traffic" "$peer" >/dev/null 2>&1 &
	done
	echo "# done at work"
	while read -r word device; do
		[ "$word" != end ] || break
		if ! "$word" "$device" >/tmp/out 2>&1; then
			sed 's/^/# /' /tmp/out
			dmesg | tail -n 20 | sed 's/^/# /'
			echo "# failed to $word the $device"
			break
		fi
		[ "$word $device" != "release disk" ] || left=$((left + 1))
		echo "# done $word $device: $(count /tmp/card.right) fetched," \
			"$(count /tmp/disk.right) blocks"
	done </dev/hvc1
	check "the guest went on to the end" [ "$word" = end ]
	for device; do
		check "nothing from its $device was wrong" \
			nothing_wrong "$device"
	done
	[ ! -e /tmp/disk.place ] ||
		check "no more was cut short than was due" no_more_cut $left
	tap_end
}

if [ "${1:-}" = guest ]; then
	shift
	in_guest "$@"
fi

# On the host

seconds=$1
. /guest_tap.sh

# kib FILE FIELD
kib() {
	sed -n "s/^$2:[^0-9]*\([0-9]*\).*/\1/p" "$1"
}

locked() {
	kib "/proc/$(cat "/guest/$1/pid")/status" VmLck
}

# KiB of free pages that processors keep to themselves, up to a few MiB each
kept() {
	awk -v kib="$(kib /proc/self/smaps KernelPageSize | head -n 1)" '
		$1 == "count:" { pages += $2 }
		END { print pages * kib }' /proc/zoneinfo
}

# What can be had again is not in use
available() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 2
	echo 3 >/proc/sys/vm/drop_caches
	echo $(($(kib /proc/meminfo MemAvailable) + $(kept)))
}

# domain_of GUEST DEVICE
domain_of() {
	case $1.$2 in
	first.card) echo 0001 ;;
	second.card) echo 0002 ;;
	first.disk) echo 0003 ;;
	esac
}

# id_of DEVICE: in the order in which run-guest was told of them
id_of() {
	case $1 in
	card) echo dev0 ;;
	disk) echo dev1 ;;
	esac
}

done_so_far() {
	grep -c '^# done' "/tmp/$1.tap"
}

has_done() {
	grep -q '^# failed' "/tmp/$1.tap" || [ "$(done_so_far "$1")" -gt "$2" ]
}

# tell GUEST PIPE WORDS: also when no process reads there any more
tell() {
	echo "$3" 1<>"/guest/$1/$2"
}

# ask GUEST WORD DEVICE
ask() {
	before=$(done_so_far "$1")
	tell "$1" input "$2 $3"
	wait_for has_done "$1" "$before" && ! grep '^# failed' "/tmp/$1.tap"
}

monitor_has() {
	for fd in /proc/"$(cat "/guest/$1/pid")"/fd/*; do
		case $(readlink "$fd") in
		*/dev/vfio/"$2") return 0 ;;
		esac
	done
	return 1
}

monitor_has_not() {
	! monitor_has "$@"
}

# replug GUEST DEVICE
replug() {
	card=$(basename "/sys/bus/pci/drivers/vfio-pci/$(domain_of "$1" "$2")":*)
	group=$(basename "$(readlink "/sys/bus/pci/devices/$card/iommu_group")")
	id=$(id_of "$2")
	lock=$(locked "$1")

	ask "$1" release "$2" || return 1
	tell "$1" monitor.in "device_del $id"
	wait_for monitor_has_not "$1" "$group" || return 1
	tell "$1" monitor.in "device_add vfio-pci,id=$id,host=$card,rombar=0"
	wait_for monitor_has "$1" "$group" || return 1
	ask "$1" take "$2" || return 1
	ask "$1" work "$2" || return 1
	echo >>"/tmp/$1.replugged"
	[ "$(locked "$1")" = "$lock" ] ||
		echo "$2: $lock KiB locked before, $(locked "$1") after" \
			>>"/tmp/$1.locked"
}

# replug_all GUEST: its devices in turn, one at least, until the end
replug_all() {
	guest=$1
	while :; do
		for device in $(devices_of "$guest"); do
			next=$(($(now) + period))
			if ! replug "$guest" "$device"; then
				echo "$device" >"/tmp/$guest.stuck"
				# Of what the monitor's line editor draws the end
				tail -n 5 "/guest/$guest/monitor" |
					sed "s/.*$(printf '\033')\\[K//" \
						>>"/tmp/$guest.stuck"
				return
			fi
			[ "$next" -lt "$end" ] || return
			while [ "$(now)" -lt "$next" ]; do
				sleep 1
			done
		done
	done
}

# devices_of GUEST
devices_of() {
	echo card
	[ "$1" = second ] || [ ! -e /sys/bus/pci/devices/0003:00:00.0 ] ||
		echo disk
}

# start GUEST KERNEL-ARGS ADDRESS PEER
start() {
	guest=$1
	args=$2
	shift 2
	domains=
	for device in $(devices_of "$guest"); do
		domains="$domains -d $(domain_of "$guest" "$device")"
	done
	# shellcheck disable=SC2046,SC2086 # lists of words
	run-guest -n "$guest" $domains -m 512 -c "$args" \
		-a "/soak.sh /tap.sh /drc-release" -- \
		soak.sh guest "$@" $(devices_of "$guest")
}

progress() {
	line="# $(($(now) - begin)) s:"
	for guest in first second; do
		line="$line $guest $(count /tmp/$guest.replugged) times,"
		line="$line $(sed -n 's/^# done.*: //p' /tmp/$guest.tap |
			tail -n 1), $(locked $guest) KiB locked;"
	done
	echo "$line $(pinned) pages pinned," \
		"$(kib /proc/meminfo MemAvailable) KiB available"
}

replug_both() {
	replug_all first &
	one=$!
	replug_all second &
	other=$!
	told=$begin
	while kill -0 $one || kill -0 $other; do
		if [ "$(now)" -ge "$told" ]; then
			progress
			told=$((told + 60))
		fi
		sleep 1
	done 2>/dev/null
	tell first input end
	tell second input end
}

at_work() {
	has_done "$1" 0 || ! kill -0 "$2" 2>/dev/null
}

both_run() {
	start first '' 192.168.7.1 192.168.7.2 >/tmp/first.tap 2>&1 &
	first=$!
	start second disable_ddw 192.168.7.2 192.168.7.1 >/tmp/second.tap 2>&1 &
	second=$!
	wait_for at_work first $first
	wait_for at_work second $second
	begin=$(now)
	end=$((begin + $1))
	[ ! -e /guest/first/pid ] || [ ! -e /guest/second/pid ] || replug_both
	wait $first
	first_status=$?
	wait $second
	second_status=$?
	wait
}

clear() {
	rm -rf /guest/root/tmp/first /guest/root/tmp/second
	rm -f /tmp/first.* /tmp/second.*
}

all_stayed_locked() {
	[ ! -e "/tmp/$1.locked" ] || { cat "/tmp/$1.locked"; return 1; }
}

was_replugged() {
	cat "/tmp/$1.tap" "/tmp/$1.stuck" 2>/dev/null
	[ ! -e "/tmp/$1.stuck" ] && [ -e "/tmp/$1.replugged" ]
}

monitors_are_gone() {
	! pidof qemu-system-ppc64
}

# What the kernel keeps of its caches for itself differs from one time to the
# next. A page at each replug of half an hour were more than this. Behind KASAN
# up to a part in 32 of memory waits in quarantine.
all_available() {
	slack=8192
	[ ! -e /sys/kernel/debug/kmemleak ] ||
		slack=$((slack + $(kib /proc/meminfo MemTotal) / 32))
	after=$(available)
	echo "# $after KiB available after, $1 before" >&3
	[ $((after + slack)) -ge "$1" ]
}

hosts_again() {
	for device in /sys/bus/pci/drivers/vfio-pci/0*; do
		device=$(basename "$device")
		echo "$device is to leave vfio-pci"
		back_to_host "$device"
		[ -e "/sys/bus/pci/devices/$device/driver" ] || return 1
	done
}

# What the kernel keeps for the next time it has after this
both_run 0
check "the first guest loses and gets back a device" was_replugged first
check "the second guest loses and gets back a device" was_replugged second
clear
memory=$(available)

both_run "$seconds"
echo "# replugged $(count /tmp/first.replugged) times and" \
	"$(count /tmp/second.replugged) times"
for guest in first second; do
	take_over /tmp/$guest.tap "$guest"
	check "the $guest guest lost and got back its devices" \
		was_replugged $guest
	check "the $guest guest had as much memory locked each time" \
		all_stayed_locked $guest
done
check "both ended well" [ "$first_status.$second_status" = 0.0 ]
check "no monitor is left" monitors_are_gone
check "no page is pinned any more" nothing_pinned
clear
exec 3>&1
check "all memory is there again" all_available "$memory"
check "the host's drivers take the devices" hosts_again
tap_end
