#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Debian's DPDK over a v2 container or, as "dpdk.sh iommufd", over an iommufd that
# stands in the place of a type 1 container: its testpmd, run by a user without
# rights, moves packets between two cards, answers the host's pings over one of
# them, and may be killed while it does so. In a partition it cannot use the window
# that a v2 container gives it, and needs physical addresses, which only root sees,
# with an iommufd. What it says when it is not set up as it should be is in
# Documentation/arch/powerpc/spapr-tce-host.rst.
#
# shellcheck disable=SC2317,SC3045 # functions that check() calls; ulimit -l
. /guest_tap.sh

root=/dpdk
user=2000
huge=2048
api=${1:-container}
container=/dev/vfio/vfio
iommu="7 (sPAPR)"

# Memory that stays as it is from the start to the end
fixed="--legacy-mem -m 128"
account=user
if [ "$api" = iommufd ]; then
	container=/dev/iommu
	[ -e $container ] || { echo "1..0 # SKIP no $container"; exit 4; }
	iommu="1 (Type 1)"
	if partition; then
		fixed="$fixed --iova-mode=pa"
		account=root
	fi
fi

prepare() {
	mkdir -p $root
	mount -o ro /dev/vda $root
	for dir in dev proc sys; do
		mount --bind /$dir $root/$dir
	done
	mount -t hugetlbfs -o pagesize=${huge}k,mode=1777 huge $root/dev/hugepages
	mount -t tmpfs -o mode=1777 dpdk $root/tmp
	cp /bin/busybox $root/tmp/
	mount -t tmpfs dpdk $root/var
	mkdir $root/tmp/etc $root/var/run
	cp -r $root/etc/. $root/tmp/etc/
	for id in root:0 user:$user; do
		echo "${id%:*}:x:${id#*:}:${id#*:}::/:/bin/sh" >>$root/tmp/etc/passwd
		echo "${id%:*}:x:${id#*:}:" >>$root/tmp/etc/group
	done
	mount --bind $root/tmp/etc $root/etc
	[ "$api" = container ] || mount --bind $container $root/dev/vfio/vfio
	echo 96 >/sys/kernel/mm/hugepages/hugepages-${huge}kB/nr_hugepages
}

# card DOMAIN: the address of its network card
card() {
	dirname "$(grep -l 0x0200 /sys/bus/pci/devices/"$1":*/class)" |
		xargs basename
}

# testpmd KIBIBYTES ARG...: with as much locked memory as that
testpmd() {
	(
		ulimit -l "$1"
		shift
		exec timeout 120 chroot $root /tmp/busybox start-stop-daemon -S \
			-c $account:$account -x /usr/bin/dpdk-testpmd -- -l 0,1 "$@" 2>&1
	)
}

# start TESTPMD-ARG...: it reads what is said to it
start() {
	: >/tmp/said
	mkfifo /tmp/in
	# shellcheck disable=SC2086 # words
	testpmd unlimited $fixed "$@" -i --total-num-mbufs=2048 </tmp/in \
		>/tmp/said &
	exec 3>/tmp/in
	rm /tmp/in
	wait_for grep -q 'testpmd>\|Error' /tmp/said
}

say() {
	echo "$*" >&3
}

uses_container() {
	cat /tmp/said
	grep -qF "Using IOMMU type $iommu" /tmp/said &&
		[ "$(grep -c "Probe PCI driver: net_e1000_em" /tmp/said)" = "$1" ]
}

# received PORTS PACKETS: so many at least on each of so many ports, all right
received() {
	say show port stats all
	sleep 0.5
	awk -v ports="$1" -v packets="$2" '
		/NIC statistics for port/ { port = $6 }
		/^ *RX-packets:/	{ got[port] = $2 }
		/^ *RX-(errors|nombuf):/ { wrong += $2 }
		END {
			for (port = 0; port < ports; port++)
				few += got[port] < packets
			exit few || wrong
		}' /tmp/said
}

forwards() {
	say start tx_first
	wait_for received 2 1000 || { cat /tmp/said; return 1; }
}

no_error() {
	cat /tmp/said
	grep -q '^Bye' /tmp/said && ! grep 'EAL:.*error' /tmp/said
}

ended() {
	say quit
	exec 3>&-
	wait
	no_error
}

killed() {
	kill -9 "$(pidof dpdk-testpmd)"
	exec 3>&-
	wait
	! pidof dpdk-testpmd
}

host_pings() {
	back_to_host "$second" &&
	ip address add 192.168.7.1/24 dev "$interface" &&
	ip link set "$interface" up || return 1
	say start
	wait_for ping -c 1 -W 1 192.168.7.2 >/dev/null
	ping -c 20 -A -s 1400 192.168.7.2 | grep "20 packets received"
}

# says MESSAGE KIBIBYTES ARG...
says() {
	message=$1
	shift
	echo quit | testpmd "$@" -i --total-num-mbufs=2048 >/tmp/said
	cat /tmp/said
	grep -qF "$message" /tmp/said
}

# runs KIBIBYTES ARG...: takes the first card and ends without an error
runs() {
	says "device: $first" "$@" && no_error
}

prepare
first=$(card 0001)
second=$(card 0002)
only="-a $first"
check "a card is given to VFIO" give_to_vfio "$first"
check "another one is given to VFIO" give_to_vfio "$second"
# shellcheck disable=SC2086 # words
{
case $api in
container)
	check "the file is not the user's" says \
		"Cannot open $(group_file "$first"): Permission denied" \
		unlimited $fixed $only --
	;;
iommufd)
	chmod 600 $container
	account=user check "the file is not the user's" says \
		"Cannot open VFIO container /dev/vfio/vfio, error 13 (Permission denied)" \
		unlimited --legacy-mem -m 128 $only --
	;;
esac
chown $user "$(group_file "$first")" "$(group_file "$second")" $container
if partition; then
	case $api in
	container)
		check "the window is not at address 0" says \
			"Received unsupported start address 0x800000000000000" \
			unlimited $fixed $only --
		check "no page is pinned" nothing_pinned
		tap_end
		;;
	iommufd)
		check "no window has virtual addresses" says \
			"Getting a vfio_dev_fd for $first failed" \
			unlimited --legacy-mem -m 128 --iova-mode=va $only --
		;;
	esac
fi

start --
check "testpmd takes two cards into a container" uses_container 2
check "it receives over both what it sends over the other" forwards
check "it ends" ended
start --
check "it starts again" forwards
check "it is killed while it forwards" killed
# What was mapped may outlive the process by a moment
check "no page is pinned when it was killed" wait_for nothing_pinned
start $only -- --forward-mode=icmpecho
check "it starts with one card" uses_container 1
check "it answers the host's pings" host_pings
check "it ends with one card" ended

if [ "$api" = container ]; then
	check "no memory may be locked" says \
		"Cannot create new DMA window, error 12 (Cannot allocate memory)" \
		64 $fixed $only --
	check "pages are no huge ones" says \
		"Cannot register vaddr for IOMMU, error 22 (Invalid argument)" \
		unlimited --no-huge -m 64 $only --
	check "memory is given back early" says \
		"Cannot unregister vaddr for IOMMU, error 16 (Device or resource busy)" \
		unlimited $only --
elif ! partition; then
	check "no memory may be locked" says \
		"Getting a vfio_dev_fd for $first failed" 64 $fixed $only --
	check "pages need not be huge ones" runs unlimited --no-huge -m 64 $only --
	check "memory may be given back early" runs unlimited $only --
fi
check "no page is pinned at the end" nothing_pinned
}
tap_end
