#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the tests of VFIO containers on MACHINE under the kernel VMLINUX and
# compares their transcripts with those under the plain kernel, call by call.
#
# Their results come first, as one test's; the comparison is the last one. On
# the plain kernel itself there is none, without one it is skipped. SEED, a
# number, chooses the calls made at random.

programs="container_info container_v1 container_v2 windows accounting groups
	process eeh driver_order random"

here=$(dirname "$(realpath "$0")")
. "$here/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# runs VMLINUX LOG: boots it and runs all programs. powernv9 has all page sizes
# of its processor, and memory for them.
runs() {
	command="export SEED=${SEED:-1};"
	set -- "$1" "$2" -s 2 -t 900
	[ "$MACHINE" != powernv9 ] || set -- "$@" -p -M 10G
	for program in $programs; do
		set -- "$@" -a "$PROGRAMS/$program"
		command="$command /$program || failed=1;"
	done
	vmlinux=$1
	log=$2
	shift 2
	"$here/../boot" -m "$MACHINE" -k "$vmlinux" -l "$log" "$@" \
		-q "$EDU" -- sh -c "$command exit \$failed"
}

same=$(readlink -f "$VMLINUX") && [ "$same" = "$(readlink -f "$PLAIN")" ] &&
	compared=0 || compared=1

runs "$VMLINUX" "$LOG" >"$dir/out" 2>"$dir/err"
status=$?
one_plan "$compared" <"$dir/out"
cat "$dir/err"
# A kernel that died or complained has said all there is to say
[ "$status" -lt 124 ] || exit "$status"
[ "$compared" = 1 ] || exit "$status"

if [ ! -e "$PLAIN" ]; then
	echo "ok - answers as the plain kernel # SKIP there is no $PLAIN"
	exit "$status"
fi
# The plain kernel has defects that may end it before it has answered
for _ in 1 2 3; do
	runs "$PLAIN" "$LOG.base" >"$dir/base" 2>&1
	[ $? -ge 124 ] || break
	tail -n 24 "$dir/base" | sed 's/^/# base: /'
done
if "$here/compare.awk" "$here/differences" "$dir/base" "$dir/out" \
		>"$dir/compared"; then
	verdict=ok
else
	verdict="not ok"
	status=1
fi
sed 's/^/# /' "$dir/compared"
echo "$verdict - answers as the plain kernel"
exit "$status"
