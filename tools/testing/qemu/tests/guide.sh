#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# guide.sh boot KERNEL [OPTION OF boot]...
#
# Boots KERNEL on MACHINE, with the modules that the OPTIONs add, and does there
# what Documentation/arch/powerpc/spapr-tce-host.rst tells the owner of a machine,
# step by step, with the commands that it prints. The card has the address that it
# has there. The guest is given a kernel, and is told what an emulated processor
# and the image lack, by a program that stands in for QEMU and starts it.
#
# shellcheck disable=SC2317 # functions that check() calls
if [ "${1:-}" = boot ]; then
	here=$(dirname "$(realpath "$0")")
	kernel=$2
	shift 2
	exec "$here/../boot" -m "$MACHINE" -k "$kernel" -l "$LOG.guide" -s 2 \
		-t 1200 -M 6G -a "$here/tap.sh" -a "$here/guest_tap.sh" \
		-a "$here/guide.sh" -a "$here/../inside/dhcp" \
		-a "$here/../../../../Documentation/arch/powerpc/spapr-tce-host.rst" \
		-a "$kernel:guest/vmlinux" \
		-q "-drive if=none,id=root,format=raw,readonly=on,file=$B/rootfs.ext4" \
		-q "-device virtio-blk-pci,drive=root,bus={bus0}" \
		-q "-netdev user,id=net -device e1000e,netdev=net,bus={bus1}" \
		"$@" -- /guide.sh
fi

. /guest_tap.sh

root=/guest/root
card=0001:01:00.0

# commands STEP: those of root's that the guide prints for it
commands() {
	awk -v step="$1" '
		/^A card for a guest of libvirt/ { exit }
		/^[0-9]+\. /	{ now = int($1) }
		now != step	{ next }
		goes_on		{ print }
		sub(/^ +# /, "") { print; goes_on = 1 }
		!/\\$/		{ goes_on = 0 }' /spapr-tce-host.rst
}

# do_step STEP: fails with the first command that does
do_step() {
	commands "$1" >"/tmp/step.$1"
	cat "/tmp/step.$1"
	[ -s "/tmp/step.$1" ] && sh -e "/tmp/step.$1"
}

prepare() {
	[ -e "/lib/modules/$(uname -r)/modules.dep" ] || depmod || return
	modprobe -a virtio_blk ext4
	mkdir -p $root && mount -o ro /dev/vda $root || return
	for dir in dev proc sys; do
		mount --bind /$dir $root/$dir
	done
	mount -t tmpfs guest $root/tmp
	cp /guest/vmlinux /bin/busybox $root/tmp/
	mkdir -p /tmp/initrd/bin
	cp /bin/busybox /tmp/initrd/bin/
	cp /dhcp /tmp/initrd/
	cat >/tmp/initrd/init <<-'END'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		mkdir -p /proc /sys /dev
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		echo "guest: $(/dhcp eth0)"
		ping -A -c 100 -s 1400 10.0.2.2 | sed 's/^/guest: /'
		sleep 20
		poweroff -f
	END
	chmod +x /tmp/initrd/init
	(cd /tmp/initrd && find . | cpio -o -H newc) >$root/tmp/initrd
	head -c 1M /dev/zero >$root/tmp/guest.qcow2
	cat >/bin/qemu-system-ppc64 <<-'END'
		#!/bin/sh
		exec chroot /guest/root /tmp/busybox sh -c \
			'cd /tmp && exec qemu-system-ppc64 "$@"' sh "$@" \
			-machine cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken \
			-machine cap-ccf-assist=off \
			-nic none -vga none -no-reboot \
			-kernel /tmp/vmlinux -initrd /tmp/initrd \
			-append "console=hvc0 quiet panic=-1"
	END
	chmod +x /bin/qemu-system-ppc64
}

shows_card() {
	do_step 2 | grep -qx $card
}

shows_group() {
	do_step 3 | tee /tmp/said
	tail -n 1 /tmp/said | grep -qx vfio &&
		grep -qx "$(basename "$(group_file $card)")" /tmp/said
}

# guest_says WORDS: waits as long as it lives; to lock its memory takes a while
guest_says() {
	until grep "^guest: .*$1" /tmp/guest; do
		[ -d /proc/$guest ] || { cat /tmp/guest; return 1; }
		sleep 1
	done
}

shows_link() {
	do_step 5 | tee /tmp/said
	grep -q "iommu=$(basename "$(group_file $card)") " /tmp/said
}

ended() {
	wait $guest || { cat /tmp/guest; return 1; }
}

host_has_card() {
	ls /sys/bus/pci/devices/$card/net
}

host_uses_card() {
	wait_for host_has_card >/dev/null &&
		dhcp "$(host_has_card)" | grep '^10\.0\.2\.'
}

prepare >/tmp/said 2>&1 || cat /tmp/said
check "1. the modules load" do_step 1
check "2. the card is alone in its group" shows_card
check "3. the card is given to VFIO" shows_group
do_step 4 >/tmp/guest 2>&1 &
guest=$!
check "4. the guest has an address over the card" guest_says '10\.0\.2'
check "5. its hypercalls are answered in the kernel" shows_link
check "   it receives over the card" guest_says "100 packets received"
check "   it ends" ended
check "6. the card is given back" do_step 6
check "   the host uses it" host_uses_card
tap_end
