#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest of Debian's libvirt whose network card is a managed <hostdev>: defined,
# started, the card detached while the guest receives over it, attached again,
# and what an administrator reads when that does not work.
#
# The daemons live in the image's root, in a mount namespace of its own: where
# libvirt enters another process's namespace, it finds itself in the root of
# that. This script stays outside, with that root as its directory.
#
# shellcheck disable=SC2317 # functions that check() calls
. /tap.sh

image=/libvirt
images=var/lib/libvirt/images

# In the guest

address() {
	dhcp eth0 | grep '^10\.0\.2\.'
}

busy_card() {
	ping -A -s 1400 10.0.2.2 >/tmp/ping 2>&1 &
	wait_for echoed
}

echoed() {
	[ "$(grep -c 'bytes from' /tmp/ping)" -gt 10 ]
}

# How often the hypervisor has asked for something
requests() {
	awk '/RAS_HOTPLUG/ { print $2 + $3 }' /proc/interrupts
}

asked() {
	[ "$(requests)" -gt "$1" ]
}

release() {
	drc=$(readlink -f /sys/class/net/eth0/device/of_node)/ibm,my-drc-index
	cp "$drc" /tmp/drc &&
	echo 1 >/sys/class/net/eth0/device/remove &&
	drc-release /tmp/drc
}

# The device tree still has the slot, which is what it was
take() {
	echo 1 >/sys/bus/pci/rescan
	[ -e /sys/class/net/eth0 ]
}

in_guest() {
	check "the guest has an address over the card" address
	busy_card
	before=$(requests)
	echo "# receiving"
	check "the guest is asked to release the card" wait_for asked "$before"
	# Longer than libvirt waits
	sleep 15
	before=$(requests)
	check "the guest releases it late" release
	check "the guest is given the card again" wait_for asked "$before"
	check "the guest finds it" wait_for take
	check "the guest has an address over it again" address
	tap_end
}

[ "${1:-}" != guest ] || in_guest

# On the host
. /guest_tap.sh

# The kernel has what libvirt confines QEMU with
distribution() {
	[ -e /proc/sys/kernel/seccomp ]
}

if [ "${1:-}" != inside ]; then
	mkdir -p $image
	mount -o ro /dev/vda $image || exit
	cd $image || exit
	for dir in etc var tmp run; do
		mkdir -p /tmp/copy
		[ ! -e $dir ] || cp -a $dir/. /tmp/copy/
		mount -t tmpfs -o mode=755 $dir $dir
		cp -a /tmp/copy/. $dir/
		rm -rf /tmp/copy
	done
	chmod 1777 tmp
	for dir in dev proc sys; do
		mount --rbind /$dir $dir
	done
	# libvirt lets a guest's cgroup have the devices that it needs
	! distribution || mount -t cgroup2 cgroup sys/fs/cgroup
	exec unshare -m sh -c 'mount --move . / && exec "$0" inside' "$0"
fi

# What the packages' installation would do
install() {
	cp usr/share/base-passwd/passwd.master etc/passwd
	cp usr/share/base-passwd/group.master etc/group
	cat >>etc/passwd <<-END
		libvirt-qemu:x:64055:109::/var/lib/libvirt:/usr/sbin/nologin
	END
	cat >>etc/group <<-END
		kvm:x:109:
		libvirt:x:110:
		libvirt-qemu:x:64055:libvirt-qemu
	END
	echo 'auth_unix_rw = "none"' >>etc/libvirt/libvirtd.conf
	chown 0:109 dev/kvm
	chmod 660 dev/kvm
	mkdir -p run/lock $images
	rm -rf var/run
	ln -s /run var/run
}

daemons() {
	chroot . /usr/sbin/virtlogd -d &&
	chroot . /usr/sbin/libvirtd -d &&
	wait_for virsh list
}

virsh() {
	timeout 300 chroot . /usr/bin/virsh -q -c qemu:///system "$@"
}

initrd() {
	mkdir -p /tmp/initrd/bin
	cp /bin/busybox /tmp/initrd/bin/
	cp /guest/init /dhcp /drc-release /tap.sh /libvirt.sh /tmp/initrd/
	printf '#!/bin/sh\nexec /libvirt.sh guest\n' >/tmp/initrd/command
	chmod +x /tmp/initrd/command
	(cd /tmp/initrd && find . | cpio -o -H newc 2>/dev/null) >$images/initrd
	cp /guest/vmlinux $images/
}

# hostdev MANAGED
hostdev() {
	cat <<-END
		<hostdev mode='subsystem' type='pci' managed='$1'>
		  <source>
		    <address domain='0x0001' bus='0x01' slot='0' function='0'/>
		  </source>
		  <rom bar='off'/>
		  <address type='pci' domain='0' bus='1' slot='1' function='0'/>
		</hostdev>
	END
}

# domain NAME MANAGED [XML]
domain() {
	cat <<-END
		<domain type='kvm'>
		  <name>$1</name>
		  <memory unit='MiB'>512</memory>
		  ${3:-}
		  <vcpu>1</vcpu>
		  <os>
		    <type arch='ppc64le' machine='pseries'>hvm</type>
		    <kernel>/$images/vmlinux</kernel>
		    <initrd>/$images/initrd</initrd>
		    <cmdline>console=hvc0 quiet panic=-1</cmdline>
		  </os>
		  <features>
		    <cfpc value='broken'/>
		    <sbbc value='broken'/>
		    <ibs value='broken'/>
		    <ccf-assist state='off'/>
		  </features>
		  <on_reboot>destroy</on_reboot>
		  <on_crash>destroy</on_crash>
		  <devices>
		    <controller type='pci' index='0' model='pci-root'/>
		    <controller type='pci' index='1' model='pci-root'/>
		    <controller type='usb' model='none'/>
		    $(hostdev "$2")
	END
	for port in 0 1 2; do
		echo "<serial type='file'><source path='/tmp/$1.$port'/>"
		echo "<target port='$port'/></serial>"
	done
	echo "<memballoon model='none'/></devices></domain>"
}

define() {
	domain "$@" >tmp/domain.xml
	virsh define /tmp/domain.xml
}

driver_is() {
	readlink /sys/bus/pci/devices/0001:01:00.0/driver
	[ "$(basename "$(readlink /sys/bus/pci/devices/0001:01:00.0/driver)")" \
		= "$1" ]
}

guest_says() {
	grep -q "$1" tmp/guest.1
}

guest_has_card() {
	virsh dumpxml guest | grep "<hostdev"
}

guest_ended() {
	[ -s tmp/guest.2 ]
}

linked() {
	cat /sys/kernel/debug/kvm/*/spapr_tce
	grep -q 'iommu=[0-9]' /sys/kernel/debug/kvm/*/spapr_tce
}

runs_as_user() {
	grep "^Uid:.64055.64055" "/proc/$(pidof qemu-system-ppc64)/status" &&
	grep "^CapEff:.0*$" "/proc/$(pidof qemu-system-ppc64)/status"
}

sandboxed() {
	grep "^Seccomp:.2" "/proc/$(pidof qemu-system-ppc64)/status"
}

# confined FILE ERROR: what a process of the guest's cgroup gets that opens FILE
confined() {
	cgroup=$(ls -d sys/fs/cgroup/machine/*guest*) || return
	(
		sh -c 'echo $$ >"$0/cgroup.procs" && exec head -c 1 "$1"' \
			"$cgroup" "$1" 2>&1
	) >/tmp/said
	find "$cgroup"
	cat /tmp/said
	grep "$2" /tmp/said
}

# Two nodes, and memory to be added
numa="<maxMemory slots='1' unit='GiB'>4</maxMemory>
	<cpu><numa>
	  <cell id='0' cpus='0' memory='256' unit='MiB'/>
	  <cell id='1' memory='256' unit='MiB'/>
	</numa></cpu>"

memory() {
	cat <<-END
		<memory model='dimm'>
		  <target><size unit='MiB'>256</size><node>1</node></target>
		</memory>
	END
}

# What QEMU may lock: enough for all memory that may be added
limited() {
	limit=$(awk '/^Max locked memory/ { print $4 }' \
		"/proc/$(pidof qemu-system-ppc64)/limits")
	echo "$limit"
	[ "$limit" -lt $((5 << 30)) ]
}

numa_guest_says() {
	grep -q "$1" tmp/numa.1
}

# fails MESSAGE VIRSH-ARG...
fails() {
	message=$1
	shift
	virsh "$@" >/tmp/said 2>&1 && return 1
	cat /tmp/said
	grep -q "$message" /tmp/said
}

# The driver is there before it has made the interface
host_has_card() {
	driver_is e1000e && ls /sys/bus/pci/devices/0001:01:00.0/net
}

host_uses_card() {
	wait_for host_has_card &&
		dhcp "$(ls /sys/bus/pci/devices/0001:01:00.0/net)" |
			grep '^10\.0\.2\.'
}

install
initrd
hostdev yes >tmp/card.xml
check "libvirt starts" daemons
check "a guest is defined" define guest yes
check "it starts" virsh start guest
check "its card has been given to VFIO" driver_is vfio-pci
check "QEMU is an ordinary user's" runs_as_user
if distribution; then
	check "its calls are filtered" sandboxed
	check "its cgroup may open the card's group" confined \
		"$(group_file 0001:01:00.0)" "Device or resource busy"
	check "its cgroup may open no other device" confined /dev/mem \
		"Operation not permitted"
fi
check "the guest has an address" wait_for guest_says '^# receiving'
check "its hypercalls are linked to the card's group" linked
check "libvirt asks it to release the card" \
	virsh detach-device guest /tmp/card.xml --live
check "... and does not wait for ever" guest_has_card
check "the host uses the card when the guest has released it" host_uses_card
check "the card is attached again" virsh attach-device guest /tmp/card.xml --live
check "it has been given to VFIO again" driver_is vfio-pci
wait_for guest_ended
take_over tmp/guest.1
check "the guest ended well" grep -qx 0 tmp/guest.2
check "the guest is destroyed" virsh destroy guest
check "the host uses the card again" host_uses_card

memory >tmp/memory.xml
check "a guest with NUMA and room for memory is defined" define numa yes "$numa"
check "the guest with NUMA starts" virsh start numa
check "it has an address" wait_for numa_guest_says '^# receiving'
check "it is given memory" virsh attach-device numa /tmp/memory.xml --live
check "what QEMU may lock is limited" limited
check "the guest with NUMA is destroyed" virsh destroy numa

check "a guest that needs the card unmanaged is defined" define unmanaged no
check "... and libvirt tells why it does not start" fails "must be manually detached" \
	start unmanaged
check "a guest with too low a limit is defined" define limited yes \
	"<memtune><hard_limit unit='MiB'>256</hard_limit></memtune>"
check "... and QEMU tells why it does not start" fails "emory registering failed" \
	start limited
check "the card is the host's all the same" host_uses_card
tap_end
