#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh [-r] SUITE...
#
# What the KUnit suites that ran as the kernel booted found, case by case. -r
# runs them first.

. /tap.sh

debugfs=/sys/kernel/debug

passed() {
	cat "$debugfs/kunit/$1/results"
	grep -q "^ *ok [0-9]* $2\$" "$debugfs/kunit/$1/results"
}

# What the case says itself, or else for the first of its parameters
why_skipped() {
	awk -v case_name="$2" '
		/# Subtest: /			{ inside = $NF == case_name }
		$3 == case_name && /# SKIP ./	{ inside = 1 }
		inside && sub(/.*# SKIP /, "")	{ print; exit }
	' "$debugfs/kunit/$1/results"
}

if [ "$1" = -r ]; then
	shift
	# Suites of page tables compare a counter whose parts each processor adds
	# up every so often, by default once a second
	echo 86400 >/proc/sys/vm/stat_interval
	for suite; do
		echo 1 >"$debugfs/kunit/$suite/run"
	done
fi

for suite; do
	cases=$(sed -n 's/^    \(not \)\{0,1\}ok [0-9]* \([a-z0-9_]*\).*/\2/p' \
		"$debugfs/kunit/$suite/results")
	check "$suite ran" [ -n "$cases" ]
	for case in $cases; do
		if grep -q "^    ok [0-9]* $case # SKIP" \
			"$debugfs/kunit/$suite/results"; then
			why=$(why_skipped "$suite" "$case")
			skip "$suite: $case" "$why"
		else
			check "$suite: $case" passed "$suite" "$case"
		fi
	done
done

tap_end
