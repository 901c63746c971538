#!/usr/bin/awk -f
# SPDX-License-Identifier: GPL-2.0
#
# compare.awk DIFFERENCES BASE-OUTPUT OTHER-OUTPUT
#
# Compares the transcripts in the outputs of the same tests under two kernels,
# call by call (lib/transcript.h of vfio_spapr). An answer may differ where
# DIFFERENCES says so; its own opening comment tells how. What else differs is
# shown.
#
# A test whose calls differ is compared up to the first such call. A difference
# that is allowed but does not occur is no fault: it may need another machine.
#
# Ends with 0 when there is nothing that is not allowed, with 1 otherwise.

BEGIN {
	if (ARGC != 4) {
		print "usage: compare.awk DIFFERENCES BASE-OUTPUT OTHER-OUTPUT" \
			> "/dev/stderr"
		failed = 2
		exit
	}
}

FNR == 1 { file++ }

file == 1 && /^[^#]/ && NF {
	if (split($0, part, " => ") != 3) {
		printf "%s:%d: not a difference\n", FILENAME, FNR > "/dev/stderr"
		failed = 2
		exit
	}
	count++
	allowed_call[count] = "^(" part[1] ")$"
	allowed_base[count] = "^(" part[2] ")$"
	allowed_other[count] = "^(" part[3] ")$"
}

# A harness that shares its console with a kernel ends lines with a return
file > 1 { sub(/\r$/, "") }

file > 1 && /^# T / {
	at = index($0, " => ")
	key = $3 " " $4
	call = substr($0, length("# T " key " ") + 1)
	call = substr(call, 1, index(call, " => ") - 1)
	answer = substr($0, at + 4)
}

file == 2 && /^# T / {
	if (!($3 in tests))
		order[++ordered] = $3
	tests[$3] = $4
	base_call[key] = call
	base_answer[key] = answer
}

file == 3 && /^# T / {
	other_tests[$3] = $4
	other_call[key] = call
	other_answer[key] = answer
}

function allowed(test, call, base, other,	i) {
	for (i = 1; i <= count; i++)
		if ((test " " call) ~ allowed_call[i] &&
		    base ~ allowed_base[i] && other ~ allowed_other[i]) {
			used[i]++
			return 1
		}
	return 0
}

function show(test, number, call, base, other) {
	printf "%s %d: %s\n    base:  %s\n    other: %s\n", test, number, call,
		base, other
	differences++
}

END {
	if (failed)
		exit failed
	for (t = 1; t <= ordered; t++) {
		test = order[t]
		for (n = 1; n <= tests[test]; n++) {
			key = test " " n
			# Calls that a test makes without a word
			if (!(key in base_call) && !(key in other_call))
				continue
			if (!(key in other_call)) {
				show(test, n, base_call[key], base_answer[key],
				     "no such call any more")
				break
			}
			if (base_call[key] != other_call[key]) {
				show(test, n, "the calls part here",
				     base_call[key], other_call[key])
				break
			}
			calls++
			if (base_answer[key] == other_answer[key])
				continue
			if (allowed(test, base_call[key], base_answer[key],
				    other_answer[key]))
				known++
			else
				show(test, n, base_call[key], base_answer[key],
				     other_answer[key])
		}
		if (n > tests[test] && other_tests[test] > tests[test])
			show(test, n, other_call[test " " n], "no such call",
			     other_answer[test " " n])
	}
	for (test in other_tests)
		if (!(test in tests))
			show(test, 1, "the whole test", "not there", "there")
	printf "%d tests, %d calls compared: %d differences allowed, %d not\n",
		ordered, calls, known, differences
	exit !(calls && !differences)
}
