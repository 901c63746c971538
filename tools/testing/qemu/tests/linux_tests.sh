#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# linux_tests.sh [-g GLOB] PROGRAM [ARG...]
#
# Runs one of Linux's own tests of iommufd and of page tables on MACHINE, under the
# kernel that has iommufd's mock device and KUnit. GLOB limits KUnit to cases,
# SUITE.CASE. linux_tests.known names the cases that cannot pass.

here=$(dirname "$(realpath "$0")")
glob='*'
if [ "$1" = -g ]; then
	glob=$2
	shift 2
fi
program=$1
shift
arguments=$*

case $program in
*.sh)	from=$here ;;
*)	from=$B/selftests/kselftest/iommu ;;
esac

# Huge pages of the size that transparent ones have, for those of the tests
page_sizes=
huge="default_hugepagesz=2M hugepages=128"
case $MACHINE in
powernv8)	huge="default_hugepagesz=16M hugepages=16" ;;
powernv*)	page_sizes=-p ;;
esac
{
	"$here/../boot" -m "$MACHINE" -k "$B/mock/vmlinux" -l "$LOG" -t 3600 \
		$page_sizes -c "$huge" \
		-c "kunit.enable=1 kunit.filter_glob=$glob" \
		-a "$from/$program" -a "$here/tap.sh" -- "/$program" "$@"
	printf '\nstatus %d\n' $?
} | awk -v program="$program" -v arguments="$arguments" \
	-f "$here/linux_tests.awk" "$here/linux_tests.known" -
