#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Two guests with a network card each, at the same time: both use the same
# LIOBN, each for its own. One sends the other 4 MiB over a wire that joins the
# cards; then one of them ends, and the other goes on using its card.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

bytes=4194304

# One address each; the other side's is the one that is not ours
up() {
	ip link set eth0 up
	ip address add "$1/24" dev eth0
}

# The wire is joined when the other's kernel answers
reach() {
	for _ in $(seq 120); do
		ping -c 1 -W 1 "$1" >/dev/null && return 0
	done
	return 1
}

serve() {
	mkdir -p /tmp/www
	httpd -h /tmp/www
}

# fetch ADDRESS FILE: from the other guest, which may still be making it
fetch() {
	wait_for wget -q -O "/tmp/$2" "http://$1/$2"
}

sum_of() {
	sha256sum <"$1" | cut -c 1-64
}

# It tells the other what it has got, and that only when it has got it.
receive() {
	fetch "$1" data &&
	sum_of /tmp/data >/tmp/sum &&
	mv /tmp/sum /tmp/www/sum
}

was_right() {
	fetch "$1" sum &&
	sum_of /tmp/www/data | cmp - /tmp/sum
}

first() {
	check "the first guest's card comes up" up 192.168.7.1
	serve
	check "it reaches the second guest" reach 192.168.7.2
	check "it receives 4 MiB from the second guest" receive 192.168.7.2
	# The second ends here; who answers then is the host that has its card
	check "the card works on when the second guest has gone" reach 192.168.7.3
	tap_end
}

second() {
	check "the second guest's card comes up" up 192.168.7.2
	serve
	# The other one finds all of it, or nothing
	head -c $bytes /dev/urandom >/tmp/made
	mv /tmp/made /tmp/www/data
	check "it reaches the first guest" reach 192.168.7.1
	check "what the first guest received is what was sent" \
		was_right 192.168.7.1
	tap_end
}

host_joins() {
	back_to_host "$(basename /sys/bus/pci/drivers/vfio-pci/0002:*)" &&
	ip address add 192.168.7.3/24 dev "$interface" &&
	ip link set "$interface" up
}

# group_of DOMAIN: of the one device there that is no bridge
group_of() {
	basename "$(readlink -f /sys/bus/pci/drivers/vfio-pci/"$1":*/iommu_group)"
}

# own_group GUEST GROUP: the guest's LIOBNs are linked to that group only
own_group() {
	cat "/tmp/$1.links"
	[ "$(cut -d ' ' -f 2 "/tmp/$1.links" | sort -u)" = "$2" ]
}

# start NAME DOMAIN
start() {
	run-guest -n "$1" -d "$2" -m 256 -a "/two_guests.sh /tap.sh" \
		-e "guest-links $1 >/tmp/$1.links" -- two_guests.sh "$1"
}

case ${1:-} in
first) first ;;
second) second ;;
esac

. /guest_tap.sh
start first 0001 >/tmp/first.tap 2>&1 &
first=$!
start second 0002 >/tmp/second.tap 2>&1
status=$?
take_over /tmp/second.tap
check "the second guest ended well" [ $status = 0 ]
check "the second guest was linked to its own group" own_group second "$(group_of 0002)"
check "the host takes the second guest's card" host_joins
wait $first
status=$?
take_over /tmp/first.tap
check "the first guest ended well" [ $status = 0 ]
check "the first guest was linked to its own group" own_group first "$(group_of 0001)"
tap_end
