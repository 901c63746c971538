#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# reboot.sh TIMES
#
# A guest with a network card boots so many times, without a new QEMU, and has an
# address over the card each time. The host has as much memory pinned for it each
# time, and none at the end.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

# In the guest
if [ "${1:-}" = guest ]; then
	echo "# $(dhcp eth0)"
	read -r word </dev/hvc1
	[ "$word" = end ] || exec reboot -f
	check "the guest goes on to the end" [ "$word" = end ]
	tap_end
fi

# On the host
. /guest_tap.sh

times=$1

booted() {
	[ "$(grep -c '^# 10\.0\.2\.' /tmp/guest.tap)" = "$1" ]
}

boot_all() {
	for boot in $(seq "$times"); do
		wait_for booted "$boot" || return
		pinned >>/tmp/pinned
		[ "$boot" = "$times" ] || echo again >/guest/guest/input
	done
	echo end >/guest/guest/input
}

always_the_same() {
	cat /tmp/pinned
	[ "$(sort -u /tmp/pinned | wc -l)" = 1 ]
}

: >/tmp/guest.tap
boot_all 2>/dev/null &
check_guest "the guest ended well" -d 0001 -a "/reboot.sh /tap.sh" \
	-q "-action reboot=reset" -- reboot.sh guest
check "it booted $times times" [ "$(wc -l </tmp/pinned)" = "$times" ]
check "as much memory was pinned each time" always_the_same
check "none is pinned at the end" nothing_pinned
tap_end
