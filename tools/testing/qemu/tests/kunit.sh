#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh SUITE...
#
# What the KUnit suites that ran as the kernel booted found, case by case.

. /tap.sh

debugfs=/sys/kernel/debug

passed() {
	cat "$debugfs/kunit/$1/results"
	grep -q "^ *ok [0-9]* $2\$" "$debugfs/kunit/$1/results"
}

for suite; do
	cases=$(sed -n 's/^    \(not \)\{0,1\}ok [0-9]* \([a-z0-9_]*\).*/\2/p' \
		"$debugfs/kunit/$suite/results")
	check "$suite ran" [ -n "$cases" ]
	for case in $cases; do
		check "$suite: $case" passed "$suite" "$case"
	done
done

tap_end
