#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Virtual functions of a card that the host drives. Two guests have one each; one
# of them is killed, and its function is reset, while the other receives. Then
# the host takes the functions away while a guest uses one. At last the card
# itself is a user's, whose token those of its functions must know.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

# In a guest

address() {
	dhcp eth0 | grep '^10\.0\.2\.'
}

received() {
	grep -c 'bytes from' /tmp/ping
}

more_than() {
	[ "$(received)" -gt "$1" ]
}

goes_on() {
	wait_for more_than $(($(received) + 20))
}

# The host says when
in_guest() {
	echo "# waiting"
	read -r when </dev/hvc1
	check "$1: the guest has an address over its function" address
	ping -A -s 1400 10.0.2.2 >/tmp/ping 2>&1 &
	check "$1: it receives over it" goes_on
	while read -r when </dev/hvc1; do
		[ "$when" != end ] || tap_end
		check "$1: it receives $when" goes_on
	done
}

[ "${1:-}" != guest ] || in_guest "$2"

# On the host
. /guest_tap.sh

card=$(dirname "$(grep -l 0x0200 /sys/bus/pci/devices/0001:*/class)")

function_of() {
	basename "$(readlink "$card/virtfn$1")"
}

# functions NUMBER
functions() {
	echo "$1" >"$card/sriov_numvfs" &&
	[ "$(find "$card/" -name 'virtfn*' | wc -l)" = "$1" ]
}

alone() {
	for device in "$card" "$card"/virtfn*; do
		ls "$device/iommu_group/devices"
		[ "$(ls "$device/iommu_group/devices")" = \
			"$(basename "$(realpath "$device")")" ] || return 1
	done
}

# start NAME FUNCTION: until its guest waits
start() {
	: >"/tmp/$1.tap"
	run-guest -n "$1" -D "vfio-pci,host=$2,rombar=0" -m 256 \
		-a "/sriov.sh /tap.sh" -- sriov.sh guest "$1" \
		>"/tmp/$1.tap" 2>&1 &
	wait_for grep -q "^# waiting" "/tmp/$1.tap"
}

# A card of QEMU's forgets, when a function of its is reset, that it is up
come_up() {
	ip link set "$(ls "$card/net")" down &&
	ip link set "$(ls "$card/net")" up
}

# receives NAME: the card is up
receives() {
	echo up >"/guest/$1/input"
	wait_for answered "$1" 2 && grep "^ok 2" "/tmp/$1.tap" ||
		{ cat "/tmp/$1.tap"; return 1; }
}

answered() {
	[ "$(grep -c -E '^(not )?ok ' "/tmp/$1.tap")" -ge "$2" ]
}

# ask NAME WHEN: whether it receives then
ask() {
	asked=$(grep -c -E '^(not )?ok ' "/tmp/$1.tap")
	echo "$2" >"/guest/$1/input"
	wait_for answered "$1" $((asked + 1))
}

gone() {
	[ ! -d "/proc/$1" ]
}

killed() {
	pid=$(cat "/guest/$1/pid")
	kill -9 "$pid"
	wait_for gone "$pid"
}

# results NAME: without run-guest's surprise at the end of one that was killed
results() {
	sed -i '/^run-guest: /,$d' "/tmp/$1.tap"
	take_over "/tmp/$1.tap"
}

linked_to() {
	guest-links "$1"
	[ "$(guest-links "$1" | cut -d ' ' -f 2 | sort -u)" = \
		"$(basename "$(group_file "$2")")" ]
}

reset_of() {
	echo 1 >"/sys/bus/pci/devices/$1/reset"
}

# Disabling waits for the user
disabling() {
	echo 0 >"$card/sriov_numvfs" &
	disabler=$!
	sleep 3
	! gone "$disabler"
}

disabled() {
	wait_for gone "$disabler" &&
	[ "$(cat "$card/sriov_numvfs")" = 0 ] && [ ! -e "$card/virtfn0" ]
}

echo 0 >"$card/sriov_drivers_autoprobe"
check "the card gets two virtual functions" functions 2
check "each function is alone in its group" alone
first=$(function_of 0)
second=$(function_of 1)
check "one is given to VFIO" give_to_vfio "$first"
check "the other as well" give_to_vfio "$second"
check "a guest has one" start first "$first"
check "another guest has the other" start second "$second"
check "the card is up" come_up
check "the guest receives over its function" receives first
check "it is linked to the function's group" linked_to first "$first"
check "the other guest receives" receives second
check "it is linked to that function's group" linked_to second "$second"
check "the other guest is killed" killed second
ask first "when another function's guest has been killed"
check "its function is reset" reset_of "$second"
ask first "when another function has been reset"

check "the functions are being disabled while a guest uses one" disabling
ask first "while its function is being disabled"
echo end >/guest/first/input
check "they are gone when the guest has ended" disabled
wait
results first
results second
check "no page is pinned" nothing_pinned

check "the card gets its functions again" functions 2
check "they have the same names" [ "$(function_of 0)" = "$first" ]
give_to_vfio "$first"
check "a third guest has one" start third "$first"
check "the card is up again" come_up
check "the third guest receives over it" receives third
check "the functions are being disabled" disabling
check "the third guest is killed" killed third
check "the functions are gone" disabled
results third
check "no page is pinned when it was killed" nothing_pinned

# The card is a user's

yes=30303030-3030-4030-8030-303030303030
no=31313131-3131-4131-8131-313131313131
machine="pseries,accel=kvm,kvm-type=HV,cap-hpt-max-page-size=4k"
machine="$machine,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken"
machine="$machine,cap-ccf-assist=off,$(cat /guest/properties)"

# A guest that is not started: its monitor is asked
monitor() {
	timeout 100 chroot /guest/root qemu-system-ppc64 -machine "$machine" \
		-nodefaults -nographic -monitor stdio -S -m 256 \
		-device "vfio-pci,host=$1${2:+,vf-token=$2}" 2>&1
}

has_function() {
	echo quit | monitor "$@"
}

# refused MESSAGE ARG...: by the kernel, with its MESSAGE
refused() {
	message=$1
	shift
	dmesg -c >/dev/null
	! has_function "$@" && dmesg | grep "$message"
}

# It answers when it has its devices
up() {
	grep -q "VM status" /tmp/owner
}

owned() {
	mkfifo /tmp/owner.in
	monitor "$(basename "$card")" $yes </tmp/owner.in >/tmp/owner &
	exec 3>/tmp/owner.in
	echo "info status" >&3
	wait_for up || { cat /tmp/owner; return 1; }
}

check "the card is given to VFIO" give_to_vfio "$(basename "$card")"
echo Y >/sys/module/vfio_pci/parameters/enable_sriov
check "it gets a virtual function there" functions 1
check "that has VFIO's driver as well" [ -e "$(group_file "$first")" ]
check "a guest has the card, with a token" owned
check "the function is refused without a token" \
	refused "VF token required to access device" "$first"
check "... and with another one" \
	refused "Incorrect VF token provided for device" "$first" $no
check "it is a guest's with the same" has_function "$first" $yes
echo quit >&3
exec 3>&-
wait
check "the card's user has gone: the token stays" \
	refused "Incorrect VF token provided for device" "$first" $no
check "the function is a guest's with it" has_function "$first" $yes
check "the function is disabled" functions 0
tap_end
