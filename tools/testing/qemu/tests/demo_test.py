#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The demo's verdict: each thing that did not hold makes it fail."""

import sys
import types

sys.dont_write_bytecode = True
import program  # noqa: E402

DEMO = program.load("demo")

SERVER = types.SimpleNamespace(sum="5a")
COUNTS = " H_PUT_TCE real={}/9 virtual={}/9 user={}/9 refused={}/9"


def table(group, *counts):
    """A line of spapr_tce as KVM writes it."""
    return f"liobn=80000000 bytes=40000000 page=1000 iommu={group}" \
        + COUNTS.format(*counts)


HELD = {"address": ["10.0.2.15"], "link": ["0x80000000 1"], "sum": ["5a"],
        "received": [str(DEMO.SIZE)]}

# name, facts that differ, exit status of the host, how much is wrong
CASES = (
    ("all held, hypercalls not counted", {}, 0, 0),
    ("all held, hypercalls counted", {"table": [table(1, 0, 7, 0, 0)]}, 0, 0),
    ("the host failed", {}, 126, 1),
    ("no address", {"address": []}, 0, 1),
    ("no link", {"link": []}, 0, 1),
    ("another file", {"sum": ["5b"]}, 0, 1),
    ("no file", {"sum": []}, 0, 1),
    ("too few bytes", {"received": ["8388607"]}, 0, 1),
    ("no bytes", {"received": []}, 0, 1),
    ("KVM has no link", {"table": [table("-", 0, 7, 0, 0)]}, 0, 1),
    ("KVM answered nothing", {"table": [table(1, 0, 0, 7, 7)]}, 0, 1),
    ("real mode is an answer", {"table": [table(1, 1, 0, 7, 7)]}, 0, 0),
    ("one of two tables is used",
     {"table": [table("-", 0, 0, 0, 0), table(1, 0, 7, 0, 0)]}, 0, 0),
    ("nothing", {name: [] for name in HELD}, 125, 5),
)

print(f"1..{len(CASES)}")
failures = 0
for number, (name, differ, status, expected) in enumerate(CASES, 1):
    facts = {k: v for k, v in {**HELD, **differ}.items() if v}
    wrong = DEMO.judge("powernv9", facts, status, SERVER)
    failures += len(wrong) != expected
    print("ok" if len(wrong) == expected else "not ok", number, "-", name)
    for line in wrong:
        print("#", line)
sys.exit(failures != 0)
