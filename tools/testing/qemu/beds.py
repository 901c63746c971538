# SPDX-License-Identifier: GPL-2.0
"""The devices that tests/beds has by name."""

import os

BEDS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "tests/beds")


def bed(name):
    """QEMU's arguments for the devices of a bed; empty for an unknown one."""
    with open(BEDS, encoding="utf-8") as f:
        lines = [line.split(maxsplit=1)[1].strip() for line in f
                 if line.split(maxsplit=1)[:1] == [name]]
    return " ".join(lines)
