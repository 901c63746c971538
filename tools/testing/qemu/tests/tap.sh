# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# TAP for test scripts: check for each question, tap_end as the last word.

tap_count=0
tap_failed=0

# check NAME COMMAND...: passes when COMMAND succeeds
check() {
	tap_name=$1
	shift
	tap_count=$((tap_count + 1))
	tap_said=$(mktemp /tmp/tap.XXXXXX)
	if "$@" >"$tap_said" 2>&1; then
		echo "ok $tap_count - $tap_name"
	else
		sed 's/^/# /' "$tap_said"
		echo "not ok $tap_count - $tap_name"
		tap_failed=$((tap_failed + 1))
	fi
	rm -f "$tap_said"
}

# skip NAME REASON
skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# Seconds since this machine was started
now() {
	cut -d . -f 1 /proc/uptime
}

# wait_for COMMAND...: until it succeeds; fails after $patience seconds, which are
# two minutes unless the script says otherwise
wait_for() {
	tap_until=$(($(now) + ${patience:-120}))
	until "$@"; do
		[ "$(now)" -lt "$tap_until" ] || return 1
		sleep 0.2
	done
}

# one_plan N: of several programs' output on stdin, and N results to come. A
# program that skips all of its tests is a skipped result of its own.
one_plan() {
	awk '/^TAP version/	{ next }
	     /^1\.\.0 # SKIP/	{ sub(/^1\.\.0/, "ok - all (" ++planned ")") }
	     /^1\.\.[0-9]/	{ planned += substr($1, 4); next }
				{ print }
	     END		{ print "1.." planned + '"$1"' }'
}

# worst FILE: of several programs' exit statuses, of which a skip is no failure
worst() {
	sed 's/^4$/0/' "$1" | sort -n | tail -n 1
}

tap_end() {
	echo "1..$tap_count"
	[ $tap_failed = 0 ]
	exit
}
