# SPDX-License-Identifier: GPL-2.0
#
# awk -v program=PROGRAM -v arguments='ARG...' -f linux_tests.awk KNOWN -
#
# Reads what PROGRAM wrote and, as the last line, "status STATUS"; writes it with
# the results of cases that cannot pass mended, and exits with STATUS unless they
# explain it. KNOWN names those cases, a line each:
#
#   PROGRAM CASE # REASON
#
# A failure of such a case counts as skipped, with the reason. It is a failure
# that the case passes, and that it did not run although no ARG leaves it out: the
# suites of KUnit are ARGs, those of the harness are filters.

function result(ok, name) {
	print ok, ++count, "- " name
	fflush()
	if (ok == "not ok")
		failed++
}

function left_out(name,	suite) {
	suite = name
	sub(/: .*/, "", suite)
	return arguments != "" && !index(" " arguments " ", " " suite " ")
}

NR == FNR {
	if ($1 == program) {
		at = index($0, " # ")
		name = substr($0, length($1) + 2, at - length($1) - 2)
		reason[name] = substr($0, at + 3)
	}
	next
}

/^status [0-9]+$/	{ status = $2; next }
/^TAP version/		{ next }
/^1\.\.[0-9]/		{ planned = substr($1, 4); next }
!/^(not )?ok /		{ print; next }

{
	ok = /^ok/ ? "ok" : "not ok"
	name = $0
	sub(/^(not )?ok [0-9]* *(- *)?/, "", name)
	test = name
	sub(/ *#.*/, "", test)
	ran[test] = 1
	if (!(test in reason)) {
		result(ok, name)
	} else if (ok == "ok") {
		result("not ok", test " passes, which linux_tests.known denies")
	} else {
		result("ok", test " # SKIP cannot pass: " reason[test])
		excused = 1
	}
}

END {
	for (test in reason)
		if (!(test in ran) && !left_out(test)) {
			result("not ok", test " of linux_tests.known did not run")
			planned++
		}
	if (planned != "")
		print "1.." planned
	# 1 is the status of programs of which a case has failed
	exit (status == 1 && excused && !failed ? 0 : status)
}
