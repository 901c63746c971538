#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What an administrator sees when passthrough does not work: each message that
# Documentation/arch/powerpc/spapr-tce-host.rst quotes of QEMU and of the kernel
# and that needs no driver with a fault.
#
# shellcheck disable=SC2317,SC3045 # functions that check() calls; ulimit -l
. /guest_tap.sh

root=/guest/root
# Somebody without rights, and the group that may have the card
user=2000
group=1500

prepare() {
	mkdir -p $root
	mount -o ro /dev/vda $root
	for dir in dev proc sys; do
		mount --bind /$dir $root/$dir
	done
	mount -t tmpfs guest $root/tmp
	cp /bin/busybox $root/tmp/
	cp -r $root/etc /tmp/etc
	echo "user:x:$user:$group::/:/bin/sh" >>/tmp/etc/passwd
	echo "user:x:$group:" >>/tmp/etc/group
	mount --bind /tmp/etc $root/etc
	chmod 666 /dev/kvm
}

broken=cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off
irqchip=
partition && irqchip=,kernel-irqchip=off
memory=512
machine="pseries,accel=kvm,kvm-type=HV$irqchip,$broken"

# The guest is not started: QEMU that has nothing to complain about reads its
# monitor's input next.
qemu() {
	timeout 100 chroot $root "$@" -nodefaults -nographic -monitor stdio -S \
		-m $memory 2>&1
}

as_root() {
	qemu qemu-system-ppc64 -machine "$machine" "$@"
}

# as_user KIBIBYTES: of locked memory that it may have
as_user() {
	(
		ulimit -l "$1"
		shift
		qemu /tmp/busybox start-stop-daemon -S -c user:user \
			-x /usr/bin/qemu-system-ppc64 -- \
			-machine "$machine" "$@"
	)
}

# says MESSAGE COMMAND...
says() {
	message=$1
	shift
	echo quit | "$@" >/tmp/said
	cat /tmp/said
	grep -qF "$message" /tmp/said
}

# Gets as far as the monitor, and has nothing to say of VFIO
runs() {
	says "(qemu)" "$@" && ! grep -q 'vfio 0\|window' /tmp/said
}

# A guest that is there until stop
start() {
	: >/tmp/other
	mkfifo /tmp/monitor
	as_root "$@" </tmp/monitor >/tmp/other &
	exec 3>/tmp/monitor
	wait_for grep -q "(qemu)" /tmp/other
}

stop() {
	echo quit >&3
	exec 3>&-
	wait
	rm /tmp/monitor
}

kernel_says() {
	dmesg | grep -F "$1"
}

# The table of a guest whose devices are all emulated. QEMU makes it when it
# resets the machine, which may be after it asked for a command.
unlinked() {
	start
	for _ in $(seq 60); do
		cat /sys/kernel/debug/kvm/*/spapr_tce >/tmp/tables
		[ ! -s /tmp/tables ] || break
		sleep 1
	done
	stop
	cat /tmp/tables
	grep -q 'iommu=- ' /tmp/tables
}

prepare
first=$(cards 0001)
second=$(cards 0002 | head -n 1)
third=$(cards 0002 | tail -n 1)
file=$(group_file "$first")
card="-device vfio-pci,host=$first"

# shellcheck disable=SC2086 # words
{
check "the card has the host's driver" says \
	"failed to open $file: No such file or directory" as_root $card
give_to_vfio "$first"
give_to_vfio "$second"
check "another card of the group has the host's driver" says \
	"is not viable" as_root -device "vfio-pci,host=$second"
check "the file is not the user's" says \
	"failed to open $file: Permission denied" as_user unlimited $card
chown "0:$group" "$file"
chmod 660 "$file"
check "no memory may be locked" says \
	"Memory registering failed: Operation not permitted" \
	as_user 64 $card
check "the guest's memory alone may be locked" says \
	"Failed to create SPAPR window: Cannot allocate memory" \
	as_user $((memory << 10)) $card
check "... and KVM has no table" grep \
	"KVM: Failed to create TCE64 table for liobn 0x80000000" /tmp/said
check "... and QEMU ends" grep "DMA mapping failed, unable to continue" \
	/tmp/said
check "8 MiB more suffice" runs as_user $(((memory + 8) << 10)) $card
cp /tmp/said /tmp/said_eeh
chmod 600 /dev/kvm
check "KVM is not the user's" says \
	"Could not access KVM kernel module: Permission denied" \
	as_user unlimited $card
chmod 666 /dev/kvm
start $card
check "another guest has the card" says \
	"failed to open $file: Device or resource busy" as_root $card
stop
check "no group is linked" unlinked
machine="pseries,accel=kvm,kvm-type=HV$irqchip"
check "the processor does not promise what QEMU wants" says \
	"Requested safe cache capability level not supported by KVM" as_root
machine="pseries,accel=kvm,kvm-type=HV,ic-mode=xive,kernel-irqchip=on,$broken"
if partition; then
	check "QEMU says that the card has no EEH" grep \
		"vfio/eeh: EEH_PE_OP 0x1 failed: No such device" /tmp/said_eeh
	check "KVM has no XIVE" says \
		"IRQ_XIVE capability must be present for KVM" as_root
	machine="pseries,accel=kvm,kvm-type=HV$irqchip,$broken"
	give_to_vfio "$third"
	check "two groups in a partition" runs as_root $card \
		-device "vfio-pci,host=$second"
	check "... which the kernel tells" kernel_says \
		"is incompatible with the container's other groups"
fi
}
tap_end
