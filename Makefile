# SPDX-License-Identifier: GPL-2.0
#
# The front door: "make help" tells what there is.

# Build directory
B ?= build
# Emulated host: powernv8, powernv9, powernv10, pseries
MACHINE ?= powernv9
# Kernel that "make test" runs: host (patched), base (not patched), debug, kcsan,
# 4k (pages of 4 KiB), be (big-endian), distro (with NUMA, kdump, seccomp)
KERNEL ?= host
# Emulators at a time: they wait for resets and timers as long as they compute
JOBS ?= $(shell expr 2 \* $$(nproc))

# Base kernel: 6.12 or 7.3, see series/bases
BASE ?= 6.12
export BASE

bases := $(shell awk '/^[^\#]/ { print $$1 }' series/bases)
ifeq ($(filter $(BASE),$(bases)),)
$(error BASE=$(BASE) is unknown, choose one of: $(bases))
endif

# What is the same for all bases is in the build directory, the rest of each but
# the first in a directory of its own there
override S := $(abspath $(B))
override B := $(if $(filter $(BASE),$(firstword $(bases))),$S,$S/$(BASE))
export B

# To Linux's makefiles M and others mean something else: keep ours from them
MAKEOVERRIDES :=
unexport M T

machines := powernv8 powernv9 powernv10 pseries
kernels := host base debug kcsan 4k be distro
# Configured by host.config and, on top, a fragment of their own name
variants := debug modular 4k be distro
config := tools/testing/qemu/config
host_config := $(config)/host.config $(config)/host-$(BASE).config
# What only the series makes possible on a base
series_config := $(host_config) $(wildcard $(config)/series-$(BASE).config)
# What runs the KUnit tests of each folder that has such; kunit.test runs them
kunit := $(wildcard arch/*/*/*/.kunitconfig drivers/*/*/.kunitconfig)
busybox := $S/ppc64el/busybox
busybox_be := $S/ppc64/busybox
qemu := $S/ppc64el/qemu
rootfs := $S/rootfs.ext4
dpdk := $S/dpdk.ext4
libvirt := $S/libvirt.ext4
newest := $S/qemu-newest.ext4
with_iommufd := $S/qemu-iommufd.ext4
kexec := $S/ppc64el/kexec
emulator := $S/emulator
emulator_newest := $S/emulator-newest
drc_release := $S/drc-release

ifeq ($(filter $(MACHINE),$(machines)),)
$(error MACHINE=$(MACHINE) is unknown, choose one of: $(machines))
endif
ifeq ($(filter $(KERNEL),$(kernels)),)
$(error KERNEL=$(KERNEL) is unknown, choose one of: $(kernels))
endif

# The target that makes it
kernel := $(patsubst %-host,%,kernel-$(KERNEL))
# asked TEST...: does "make test" run one of them, as far as T tells?
asked = $(if $T,$(or $(findstring *,$T),$(findstring ?,$T),\
	$(findstring [,$T),$(filter $1,$T)),all)
# Tested along with that one
modular := $(if $(filter host,$(KERNEL)),$(if $(call asked,modular),\
	kernel-modular))
# What single tests need beside
needed := $(if $(filter host,$(KERNEL)),$(if $(call asked,dpdk dpdk_iommufd),$(dpdk))) \
	$(if $(filter host distro,$(KERNEL)),$(if $(FULL),\
		$(if $(call asked,libvirt),$(libvirt)) \
		$(if $(call asked,newest_functions newest_memory\
			newest_reboot newest_two_devices newest_unplug\
			newest_xics),$(newest)))) \
	$(if $(filter host,$(KERNEL)),$(if $(FULL),$(if $(filter 7.3,$(BASE)),\
		$(if $(call asked,two_devices_iommufd),$(with_iommufd))))) \
	$(if $(filter distro,$(KERNEL)),$(if $(call asked,kdump_default\
		kdump_large),$(kexec))) \
	$(if $(filter host,$(KERNEL)),$(if $(FULL),\
		$(if $(call asked,linux_vfio_igb nested_v2),$(emulator)))) \
	$(if $(filter powernv11,$M),$(emulator_newest)) \
	$(if $(filter 4k,$(KERNEL)),$(if $(FULL),$(if $(call asked,sriov),\
		$(emulator_newest) $(newest))))
# Linux has its own tests of iommufd where iommufd serves POWER
mock := $(if $(filter host,$(KERNEL)),$(if $(filter 7.3,$(BASE)),\
	$(if $(call asked,linux_iommufd linux_iommufd_fail_nth linux_kunit),\
		kernel-mock)))
# What it answers is what the patched one has to answer
plain := $(if $(filter host base debug,$(KERNEL)),$(if $(call asked,container\
	container_defects bench),kernel-base))
# QEMU's hypervisor takes the guests of a partition in the byte order of the
# machine that QEMU runs on: on x86, those of a little-endian one
tested := $(or $(M),$(if $(filter be,$(KERNEL)),powernv8 powernv9 powernv10))

help:
	@sed -n 's/^## \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

## make setup         install the Debian packages needed (as root), and find the
##                    newest source of BASE
setup:
	@NEWEST=$(if $(filter setup,$(MAKECMDGOALS)),1) tools/build/setup
	@mkdir -p $(B)
	$(if $(filter setup,$(MAKECMDGOALS)),@[ "$$(id -u)" != 0 ] || \
		chown -R --reference=. $S)
	@[ $(B) = $S ] || ln -sfn ../ppc64el ../ppc64 ../rootfs.ext4 \
		../dpdk.ext4 ../libvirt.ext4 ../qemu-newest.ext4 ../qemu-iommufd.ext4 \
		../drc-release ../emulator ../emulator-newest $(B)

## make tree          $B/linux: the base kernel, one commit per patch on top
tree: setup
	@tools/build/weave $(B)

## make kernel        $B/host/vmlinux: the patched kernel
kernel: tree $(busybox)
	@tools/build/kernel $(B) $(B)/linux $(B)/host $(series_config)

## make kernel-base   $B/base/vmlinux: the same without the patches
kernel-base: tree $(busybox)
	@[ -d $(B)/base/linux ] || \
		git -C $(B)/linux worktree add -fq --detach $(B)/base/linux base
	@tools/build/kernel $(B) $(B)/base/linux $(B)/base/out \
		$(host_config)
	@ln -sf out/vmlinux $(B)/base/vmlinux

## make kernel-debug  $B/debug/vmlinux: patched, with sanitizers and lockdep
## make kernel-modular $B/modular/vmlinux: patched, VFIO and KVM as modules
## make kernel-4k     $B/4k/vmlinux: patched, with pages of 4 KiB
## make kernel-be     $B/be/vmlinux: patched, big-endian
## make kernel-distro $B/distro/vmlinux: patched, with NUMA, kdump and seccomp
$(variants:%=kernel-%): kernel-%: tree $(busybox)
	@tools/build/kernel $(B) $(B)/linux $(B)/$* \
		$(series_config) $(if $(filter debug,$*),$(kunit)) \
		$(config)/$*.config $(wildcard $(config)/$*-$(BASE).config)

## make kernel-mock   $B/mock/vmlinux: patched, small, for Linux's own tests
kernel-mock: tree $(busybox)
	@tools/build/kernel $(B) $(B)/linux $(B)/mock $(config)/mock.config

kernel-be: setup-be $(busybox_be)

setup-be:
	@tools/build/setup gcc-powerpc64-linux-gnu libc6-dev-ppc64-cross \
		dpkg-dev bzip2

$(busybox_be): | setup-be
	@tools/build/ppc64-busybox $@

## make kernel-fuzz   $B/fuzz/vmlinux: patched, tells the fuzzer what has run
kernel-fuzz: tree $(busybox)
	@COVERED="$$(tools/testing/qemu/fuzz -o)" tools/build/kernel \
		$(B) $(B)/linux $(B)/fuzz $(series_config) \
		$(config)/debug.config $(config)/fuzz.config

## make deb           $B/deb: the kernel as packages for Debian's ppc64el
deb: setup-deb tree
	@tools/build/deb $(B) alldefconfig \
		$(B)/linux/arch/powerpc/configs/powernv_defconfig \
		$(wildcard $(config)/series-$(BASE).config) $(config)/deb.config

setup-deb:
	@tools/build/setup debhelper dpkg-dev kmod rsync cpio

## make kernel-kcsan  $B/kcsan/vmlinux: patched, looks for data races
kernel-kcsan: tree $(busybox)
	@COVERED="$$(tools/testing/qemu/fuzz -o)" FORCED=put tools/build/kernel \
		$(B) $(B)/linux $(B)/kcsan $(series_config) \
		$(config)/kcsan.config

## make kernel-gcov   $B/gcov/vmlinux: patched, counts which lines have run
kernel-gcov: tree $(busybox)
	@COVERED="$$(tools/testing/qemu/coverage -o)" tools/build/kernel \
		$(B) $(B)/linux $(B)/gcov $(series_config) $(kunit) \
		$(config)/gcov.config

$(busybox): | setup
	@tools/build/debian-packages $@ busybox-static

$(qemu): | setup
	@tools/build/debian-packages $@ qemu-system-ppc ipxe-qemu

$(rootfs): tools/build/rootfs | $(qemu)
	@tools/build/rootfs $(qemu) $@ usr/bin/qemu-system-ppc64

$S/ppc64el/dpdk: | setup
	@tools/build/debian-packages $@ dpdk-dev librte-net-e1000-23

$S/ppc64el/libvirt: | setup
	@tools/build/debian-packages $@ libvirt-daemon-system libvirt-clients \
		libvirt-daemon-driver-qemu base-passwd qemu-system-ppc ipxe-qemu

$(libvirt): tools/build/rootfs | $S/ppc64el/libvirt
	@tools/build/rootfs $S/ppc64el/libvirt $@ usr/sbin/libvirtd

$S/ppc64el/qemu-newest: | setup
	@tools/build/debian-packages -s sid $@ qemu-system-ppc ipxe-qemu

# Runs nested guests by H_GUEST_RUN_VCPU, and has igb
$(emulator): | setup
	@tools/build/emulator $@

# Knows powernv11, and igb with its SR-IOV
$(emulator_newest): | setup
	@tools/build/emulator $@ trixie-backports

$(newest): tools/build/rootfs | $S/ppc64el/qemu-newest
	@tools/build/rootfs $S/ppc64el/qemu-newest $@ usr/bin/qemu-system-ppc64

$S/ppc64el/qemu-iommufd: | $(qemu)
	@tools/build/setup ninja-build pkg-config python3-venv
	@tools/build/qemu-iommufd $(qemu) $@

$(with_iommufd): tools/build/rootfs | $S/ppc64el/qemu-iommufd
	@tools/build/rootfs $S/ppc64el/qemu-iommufd $@ usr/bin/qemu-system-ppc64

$(kexec): | setup
	@tools/build/debian-packages $@ kexec-tools

$(dpdk): tools/build/rootfs | $S/ppc64el/dpdk
	@tools/build/rootfs $S/ppc64el/dpdk $@ usr/bin/dpdk-testpmd

$(drc_release): tools/testing/qemu/inside/drc-release.c | setup
	@mkdir -p $(@D)
	@powerpc64le-linux-gnu-gcc -static -O2 -Wall -Wextra -o $@ $<

## make rootfs        $B/rootfs.ext4: Debian's QEMU for the emulated hosts
rootfs: $(rootfs)

## make demo          give a NIC to a KVM guest on MACHINE, and what came of it
demo: $(kernel) rootfs
	@tools/testing/qemu/demo $(MACHINE) $(B)/$(KERNEL)/vmlinux

## make test          the tests on all machines, or M='MACHINE...', or only
##                    T='NAME...'; KERNEL=base expects the known defects,
##                    KERNEL=debug, kcsan, 4k, be and distro test those,
##                    FULL=1 runs them on more machines and for longer,
##                    AGAIN=1 gives what failed a second try and says so;
##                    M=powernv11 is on request, with QEMU of backports
test: $(kernel) $(plain) $(modular) $(mock) rootfs $(needed) $(drc_release)
	@[ -z "$(modular)" ] || tools/build/selftests $(B) $(B)/modular
	@tools/build/selftests $(B) $(if $(filter base,$(KERNEL)),,$(B)/$(KERNEL))
	@tools/testing/qemu/run -k $(KERNEL) -m '$(tested)' -t '$(T)' -j $(JOBS) \
		$(if $(AGAIN),-r) $(if $(FULL),-f)

## make fuzz          the fuzzer on M=MACHINE for SECONDS=600, guided by what the
##                    kernel has run; what it finds goes into its corpus
fuzz: kernel-fuzz
	@tools/build/selftests $(B) $(B)/fuzz
	@tools/testing/qemu/fuzz -m '$(M)' -t $(or $(SECONDS),600)

## make soak          two guests whose devices leave and come back all the time,
##                    for SECONDS=1800, on M=powernv9, with KERNEL
soak: $(kernel) rootfs $(drc_release)
	@tools/build/selftests $(B)
	@tools/testing/qemu/run -k $(KERNEL) -m '$(or $(M),powernv9)' -t soak -f \
		-v -j 1 -s $(or $(SECONDS),1800)

## make coverage      which lines of the series' files the tests run, M and T as
##                    for "make test"; $B/coverage has those that they don't,
##                    tools/testing/qemu/coverage.reasons says why not
coverage: kernel-gcov rootfs $(drc_release)
	@tools/build/selftests $(B) $(B)/gcov
	@rm -rf $(B)/coverage
	@status=0; COVERAGE=$(B)/coverage/counts tools/testing/qemu/run -k gcov \
		-m '$(M)' -t '$(T)' -j $(JOBS) >$(B)/coverage.log || status=1; \
	tail -n 40 $(B)/coverage.log; \
	tools/testing/qemu/coverage $(if $(M)$(T),,-e) || status=1; \
	exit $$status

## make test-deb      boot what make deb makes, on powernv9; FULL=1 on all machines
test-deb: deb $(busybox)
	@tools/build/selftests $(B)
	@tools/testing/qemu/run -k deb -t deb -m '$(M)' -j 1 $(if $(FULL),-f)

## make test-distro   what wants the kernel of a distribution and takes its time:
##                    dumps of a crash, guests of more than 2^24 TCEs, libvirt
test-distro:
	@$(MAKE) --no-print-directory test B=$S BASE=$(BASE) KERNEL=distro FULL=1 \
		M='$(M)' JOBS=$(JOBS) AGAIN='$(AGAIN)' \
		T='$(or $T,kdump_default kdump_large large_guest libvirt)'

## make bench         what operations cost on base and patched kernels, counted;
##                    M='MACHINE...', PROFILE=OPERATION, FLUSH=1 with the
##                    mitigations on, KEEP=1 takes the last base counts,
##                    LINES=1 counts cache lines that processors share instead
bench: kernel kernel-base rootfs $(if $(filter pseries-v2,$M),$(emulator))
	@tools/build/selftests $(B)
	@tools/testing/qemu/$(if $(LINES),lines -m '$(M)',bench -m '$(M)' \
		-p '$(PROFILE)' $(if $(FLUSH),-f) $(if $(KEEP),-b))

## make series        $B/series: the patches to be mailed, with a cover letter
series: tree
	@tools/build/series $(B) $(B)/series

## make refresh       take commits and edits made in $B/linux back to series/;
##                    PATCH=NNNN-name says where edits go, else the last one;
##                    OWN=1 keeps what changed for BASE alone
refresh:
	@OWN='$(OWN)' tools/build/refresh $(B) $(PATCH)

## make check         checkpatch, sparse, W=1, kernel-doc, htmldocs, MAINTAINERS,
##                    help in Kconfig, order in series/; FULL=1 also make each
check: setup-check kernel kernel-base series $(if $(FULL),setup-each)
	@tools/build/check $(B)
	@[ -z "$(FULL)" ] || tools/build/each $(B)

setup-check:
	@tools/build/setup python3-sphinx

## make each          each patch in each configuration, or in
##                    CONFIGURATIONS='NAME...': builds, boots on the way
each: setup-each tree $(busybox)
	@tools/build/each $(B) $(CONFIGURATIONS)

setup-each:
	@tools/build/setup gcc-powerpc64-linux-gnu

## make clean         remove $B; without BASE, what the other base has there too
##
## MACHINE is powernv8, powernv9, powernv10 or pseries, default powernv9; KERNEL
## is host, base, debug, kcsan, 4k, be or distro, default host; B is the build
## directory, default build; JOBS is how many emulators run at a time
clean:
	rm -rf $(B)

# The steps share their build directory
.NOTPARALLEL:
.PHONY: bench help setup setup-be tree kernel kernel-base \
	$(variants:%=kernel-%) kernel-mock kernel-fuzz fuzz kernel-kcsan \
	kernel-gcov soak coverage rootfs demo test series refresh check \
	setup-check each setup-each deb setup-deb test-deb test-distro clean
