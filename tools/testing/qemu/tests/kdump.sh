#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# kdump.sh KERNEL-ARGS
#
# The host crashes while a guest, booted with KERNEL-ARGS, receives over a card
# that it was given: Debian's kexec has loaded a kernel to take the dump. That
# must come up, use both the card that was the host's and the one that was the
# guest's, and find its own memory as it left it.
#
# shellcheck disable=SC2046,SC2317 # words; functions that check() calls
. /tap.sh

# In the guest: receives whatever is on the wire
if [ "${1:-}" = guest ]; then
	dhcp eth0
	ip link set eth0 promisc on
	echo "# receiving"
	exec ping -A -s 1400 10.0.2.2
fi

interface() {
	ls /sys/bus/pci/devices/"$1":*/net
}

address() {
	dhcp "$(interface "$1")" | grep '^10\.0\.2\.'
}

# The other card has what is on the wire, too
echoes() {
	ping -A -c 100 -s 1400 10.0.2.2 | grep "100 packets received"
}

# That of the kernel which crashed
has_dump() {
	[ "$(head -c 4 /proc/vmcore | tail -c 3)" = ELF ] &&
	dd if=/proc/vmcore of=/dev/null bs=1M count=64
}

# Of what is free: what a device writes where it should not, shows there or ends
# the kernel
fill_memory() {
	mount -t tmpfs filled /mnt &&
	dd if=/dev/urandom of=/mnt/data bs=1M count=64 2>/dev/null &&
	sha256sum /mnt/data >/tmp/sum
}

no_frozen_pe() {
	! dmesg | grep -i 'EEH: .*\(frozen\|detected\)'
}

dumping() {
	mkdir -p /mnt
	# The last line of the kernel that crashed may lack its end
	echo
	check "the kernel for the dump has come up" has_dump
	check "its memory is filled" fill_memory
	check "the host's card works in it" address 0002
	check "the host's card echoes a hundred packets" echoes
	ip link set "$(interface 0002)" down
	check "the guest's card works in it" address 0001
	check "the guest's card echoes a hundred packets" echoes
	check "its memory is as it was" sha256sum -c /tmp/sum
	check "no PE is frozen" no_frozen_pe
	tap_end
}

[ ! -e /proc/vmcore ] || dumping

load() {
	mkdir -p /mnt
	printf '%s\n' /proc /sys /dev $(find /bin) /init /command /dhcp \
		/tap.sh /kdump.sh |
		cpio -o -H newc >/tmp/initrd 2>/dev/null
	kexec -s -p /guest/vmlinux --initrd=/tmp/initrd --append="$(cat \
		/proc/cmdline) nr_cpus=1 reset_devices quiet" &&
	[ "$(cat /sys/kernel/kexec_crash_loaded)" = 1 ]
}

receiving() {
	grep -q "^# receiving" /tmp/guest
}

failed() {
	sed 's/^/# /' /tmp/guest /tmp/load
	echo "not ok 1 - a guest receives and the kernel for the dump is loaded"
	echo "1..1"
	exit 1
}

mount -t tmpfs tmp /tmp
run-guest -d 0001 -c "$1" -a "/kdump.sh /tap.sh" -- kdump.sh guest \
	>/tmp/guest 2>&1 &
load >/tmp/load 2>&1 || failed
wait_for receiving || failed
address 0002 >/dev/null
ping -A -s 1400 10.0.2.2 >/dev/null &
sleep 2
echo c >/proc/sysrq-trigger
