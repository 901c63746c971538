#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the regression tests of VFIO containers on MACHINE under the kernel
# VMLINUX: all in one boot, but on the plain kernel each in one of its own,
# because what some of them do to that leaves nothing for the next.

here=$(dirname "$(realpath "$0")")
program=$PROGRAMS/container_defects

out=$(mktemp)
trap 'rm -f "$out"' EXIT
trap 'exit 1' HUP INT TERM

# boots LOG [ARG...]: runs the program
boots() {
	log=$1
	shift
	"$here/../boot" -m "$MACHINE" -k "$VMLINUX" -l "$log" -s 2 -t 600 \
		-a "$program" -q "$EDU" -- /container_defects "$@"
}

if [ "$(readlink -f "$VMLINUX")" != "$(readlink -f "$PLAIN")" ]; then
	boots "$LOG"
	exit
fi

tests=$(sed -n 's/^TEST_F[A-Z_]*(defects, \([a-z0-9_]*\).*/\1/p' \
	"$here/../../selftests/vfio_spapr/container_defects.c")
failed=0
count=0
for name in $tests; do
	count=$((count + 1))
	boots "$LOG.$name" -t "$name" >"$out" 2>&1
	status=$?
	grep -v -e '^TAP ' -e '^1\.\.' -e '^ok ' -e '^not ok ' "$out"
	skip=$(sed -n 's/^ok .*\(# SKIP.*\)/\1/p' "$out")
	# A kernel that did not come up has shown nothing
	[ $status != 125 ] || exit $status
	if [ $status = 0 ] || { [ $status = 4 ] && [ -n "$skip" ]; }; then
		echo "ok $count - $name $skip"
	else
		echo "not ok $count - $name"
		failed=1
	fi
done
echo "1..$count"
exit $failed
