#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How boot sorts a console's bytes, in whatever pieces they come."""

import contextlib
import io
import sys

sys.dont_write_bytecode = True
import program  # noqa: E402

BOOT = program.load("boot")

# Firmware talks before the kernel, in a command's line, in a record
SAID = (b"[   0.100,5] OPAL\r\n[    0.000000] Linux version 6\n"
        b"\x1ewordbok 1 a[  12.345678,3] slow\r\n.b [1] [2.3,4\n"
        b"[ 1.2,3]\x1ewordkker[ 9.1,2] again\nnel\n\x1eother\n"
        b"[ 5.6,1] no end\x1eworde7\n")
PASSED = b"ok 1 a.b [1] [2.3,4\n[ 1.2,3]\x1eother\n[ 5.6,1] no end"


def sorted_in_pieces(size):
    """What passes when the bytes come SIZE at a time, and the console."""
    log, out = io.BytesIO(), io.TextIOWrapper(io.BytesIO())
    console = BOOT.Console(b"word", log)
    with contextlib.redirect_stdout(out):
        for at in range(0, len(SAID), size):
            console.feed(SAID[at:at + size])
    return out.buffer.getvalue(), console


failed = 0
CHECKS = (
    ("a command's bytes pass", lambda passed, _: passed == PASSED),
    ("the kernel is heard", lambda _, console: console.kernel_started()),
    ("a record is the kernel's",
     lambda _, console: console.kernel[-1] == b"kernel\n"),
    ("the status", lambda _, console: console.status == 7),
    ("all is logged", lambda _, console: b"slow" in console.log.getvalue()),
)
print(f"1..{len(CHECKS)}")
for number, (name, check) in enumerate(CHECKS, 1):
    bad = [size for size in range(1, len(SAID) + 1)
           if not check(*sorted_in_pieces(size))]
    failed += bool(bad)
    print("not ok" if bad else "ok", number, "-", name)
sys.exit(failed != 0)
