#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the runner makes of a test's output and exit status."""

import sys

sys.dont_write_bytecode = True
import program  # noqa: E402

RUN = program.load("run")

TWO = "TAP version 13\n1..2\n# words\nok 1 a.b\n"

# name, output, exit status, failures due on base, and what it comes to:
# passed, failed, skipped, failed as expected
CASES = (
    ("results are counted", TWO + "ok 2 - c # 3 s\n", 0, [],
     (["a.b", "c"], [], [], [])),
    ("the plan may come last", "ok 1 - a\n1..1\n", 0, [],
     (["a"], [], [], [])),
    ("a failure", TWO + "not ok 2 c\n", 1, [], (["a.b"], ["c"], [], [])),
    ("a skip", TWO + "ok 2 c # SKIP no device\n", 0, [],
     (["a.b"], [], ["c"], [])),
    ("all skipped", "1..0 # SKIP no device\n", 4, [], ([], [], ["(all)"], [])),
    ("a result is missing", TWO, 0, [],
     (["a.b"], ["(1 results of 2 planned)"], [], [])),
    ("no plan", "ok 1 a\n", 0, [],
     (["a"], ["(1 results of None planned)"], [], [])),
    ("nothing at all", "", 0, [],
     ([], ["(0 results of None planned)"], [], [])),
    ("nested results are not ours", "1..1\n    not ok 1 x\nok 1 a\n", 0, [],
     (["a"], [], [], [])),
    ("prose is no result", "1..1\nokay then\nok 1 a\n", 0, [],
     (["a"], [], [], [])),
    ("a splat fails what passed", "1..1\nok 1 a\n", 126, [],
     (["a"], ["(splat)"], [], [])),
    ("a time-out", TWO, 124, [], (["a.b"], ["(time-out)"], [], [])),
    ("not up", "", 125, [], ([], ["(not up)"], [], [])),
    ("an exit status without a reason", "1..1\nok 1 a\n", 3, [],
     (["a"], ["(exit status 3)"], [], [])),
    ("a name that two have", "1..2\nok 1 a\nnot ok 2 a\n", 1, [],
     (["a"], ["a", "(a stands 2 times)"], [], [])),
    ("skips have no names", "1..2\nok 1 # SKIP x\nok 2 # SKIP y\n", 4, [],
     ([], [], ["", ""], [])),
    ("a failure due on base", TWO + "not ok 2 c\n", 1, ["c"],
     (["a.b"], [], [], ["c"])),
    ("a pattern of failures", TWO + "not ok 2 c.d\n", 1, ["c.*"],
     (["a.b"], [], [], ["c.d"])),
    ("another failure there", TWO + "not ok 2 c\n", 1, ["a.b"],
     (["a.b"], ["c", "(a.b does not fail on base)"], [], [])),
    ("a defect that does not show", TWO + "ok 2 c\n", 0, ["c"],
     (["a.b", "c"], ["(c does not fail on base)"], [], [])),
    ("a splat due, before its time", TWO, 126, ["(splat)", "c"],
     (["a.b"], [], [], ["(splat)"])),
    ("a splat due, and a defect that does not show", TWO + "ok 2 c\n", 126,
     ["(splat)", "c"],
     (["a.b", "c"], ["(c does not fail on base)"], [], ["(splat)"])),
    ("a failure that calls itself a skip", TWO + "not ok 2 c # SKIP x\n", 1,
     [], (["a.b"], ["c"], [], [])),
    ("a splat that is not due", TWO, 126, ["c"],
     (["a.b"], ["(splat)", "(c does not fail on base)"], [], [])),
)

# output, exit status, failures due on base, those that may come, and those that
# remain
VARYING = (
    ("a failure that may come", TWO + "not ok 2 c\n", 1, [], ["c"], []),
    ("one that need not come", TWO + "ok 2 c\n", 0, [], ["c", "(splat)"], []),
    ("a splat that may come", TWO, 126, [], ["(splat)"], []),
    ("another one beside it", TWO + "not ok 2 c\n", 1, [], ["d"], ["c"]),
    ("one that is due, too", TWO + "not ok 2 c\n", 1, ["c"], ["*"], []),
    ("one that is due, and did not come", TWO + "not ok 2 c\n", 1, ["d"],
     ["*"], ["(d does not fail on base)"]),
)

# output, and what of it explains a failure
WORDS = (
    ("words before a failure", TWO + "# b is\n# not c\nnot ok 2 c\n"
     "# Totals: pass:1\n", ["# b is", "# not c"]),
    ("words before what passed", "1..2\n# a is b\nok 1 a\nnot ok 2 c\n", []),
    ("words before the end", "1..2\n# a\nok 1 a\nWARNING: c\n",
     ["WARNING: c"]),
    ("nothing was said", "", []),
)

# output, exit status, and what of it fails where nothing may lack
SKIPPING = (
    ("nothing but skips", "1..1\nok 1 a # SKIP no device\n", 4,
     ["(all skipped)"]),
    ("a test that skips itself", "1..0 # SKIP no device\n", 4,
     ["(all skipped)"]),
    ("one skip of two", TWO + "ok 2 c # SKIP no device\n", 0, []),
)

print(f"1..{len(CASES) + len(VARYING) + len(WORDS) + len(SKIPPING)}")
failed = 0
for number, (name, output, status, due, expected) in enumerate(CASES, 1):
    outcome = RUN.Outcome(output, status, due)
    got = (outcome.passed, outcome.failed, outcome.skipped,
           outcome.as_expected)
    if got != expected:
        failed += 1
        print(f"# {got} instead of {expected}")
    print("ok" if got == expected else "not ok", number, "-", name)
for number, (name, output, status, due, may, expected) in \
        enumerate(VARYING, len(CASES) + 1):
    got = RUN.Outcome(output, status, due, may).failed
    failed += got != expected
    print("ok" if got == expected else "not ok", number, "-", name)
for number, (name, output, expected) in \
        enumerate(WORDS, len(CASES) + len(VARYING) + 1):
    got = RUN.Outcome(output, 1, []).words
    failed += got != expected
    print("ok" if got == expected else "not ok", number, "-", name)
for number, (name, output, status, expected) in \
        enumerate(SKIPPING, len(CASES) + len(VARYING) + len(WORDS) + 1):
    got = RUN.Outcome(output, status, [], may_skip=False).failed
    failed += got != expected
    print("ok" if got == expected else "not ok", number, "-", name)
sys.exit(failed != 0)
