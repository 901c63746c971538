#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the regression tests of VFIO containers on MACHINE under the kernel
# VMLINUX, each in a boot of its own: on a kernel that has the defects some of
# them leave nothing for the next.

here=$(dirname "$(realpath "$0")")
program=$B/selftests/kselftest/vfio_spapr/container_defects

out=$(mktemp)
trap 'rm -f "$out"' EXIT

# boots NAME: runs one test
boots() {
	edu=edu,dma_mask=0xffffffffffffffff
	"$here/boot" -m "$MACHINE" -k "$VMLINUX" -l "$LOG.$1" -s 2 -t 300 \
		-a "$program" \
		-q "-device $edu,bus={pci0},addr=1" \
		-q "-device $edu,bus={pci0},addr=2" \
		-q "-device $edu,bus={pci1},addr=1" \
		-- /container_defects -t "$1"
}

tests=$(sed -n 's/^TEST_F[A-Z_]*(defects, \([a-z0-9_]*\).*/\1/p' \
	"$here/../selftests/vfio_spapr/container_defects.c")
failed=0
count=0
for name in $tests; do
	count=$((count + 1))
	boots "$name" >"$out" 2>&1
	status=$?
	grep -v -e '^TAP ' -e '^1\.\.' -e '^ok ' -e '^not ok ' "$out"
	skip=$(sed -n 's/^ok .*\(# SKIP.*\)/\1/p' "$out")
	if [ $status = 0 ] || [ -n "$skip" ]; then
		echo "ok $count - $name $skip"
	else
		echo "not ok $count - $name"
		failed=1
	fi
done
echo "1..$count"
exit $failed
