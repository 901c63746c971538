# SPDX-License-Identifier: GPL-2.0
"""What bench and lines share: where things are, the emulator's plugins, and the
symbols of addresses."""

import bisect
import os
import re
import subprocess

from beds import bed

HERE = os.path.dirname(os.path.realpath(__file__))
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BUILD = os.path.join(PROJECT, os.environ.get("B") or "build")
OUT = os.path.join(BUILD, "bench")
FIRMWARE = "/usr/share/qemu/skiboot.lid"
MACHINES = ("powernv8", "powernv9", "powernv10", "pseries")
KERNELS = ("base", "host")
SELFTESTS = os.path.join(BUILD, "selftests/kselftest/vfio_spapr")
NO_FLUSH = "no_rfi_flush no_entry_flush no_uaccess_flush"
DEVICES = bed("edu")
LINE = re.compile(r"count (\S+) (\S+) (\d+)$")


class Failure(Exception):
    """What keeps a measurement from being made."""


def build_plugin(name="count", version=1):
    os.makedirs(OUT, exist_ok=True)
    plugin = os.path.join(OUT, f"{name}.{version}.so")
    subprocess.run(["cc", "-O2", "-Wall", "-shared", "-fPIC",
                    f"-DPLUGIN_VERSION={version}", "-o",
                    f"{plugin}.{os.getpid()}", f"{HERE}/{name}.c"], check=True)
    os.rename(f"{plugin}.{os.getpid()}", plugin)
    return plugin


# What an address belongs to

KERNEL_START = 0xc000000000000000
REAL_MODE_END = 0x4000000
GUEST_START, GUEST_END = 0x4000, 0x10000
OPAL_START, OPAL_END = 0x30000000, 0x40000000


class Symbols:
    """Names of addresses: of the kernel in both modes, and of OPAL."""

    def __init__(self, vmlinux):
        nm = subprocess.run(["powerpc64le-linux-gnu-nm", "-n", vmlinux],
                            stdout=subprocess.PIPE, check=True, text=True)
        self.kernel = self._sorted(nm.stdout)
        # Firmware carries its own table, to name functions in its traces
        with open(FIRMWARE, "rb") as f:
            self.opal = self._sorted(f.read().decode("latin-1"))

    @staticmethod
    def _sorted(text):
        found = re.findall(r"([0-9a-f]{16}) [tTwW] (\S+)", text)
        return sorted((int(address, 16), name) for address, name in found)

    @staticmethod
    def _at(symbols, address):
        at = bisect.bisect(symbols, (address, "\x7f"))
        return symbols[at - 1][1] if at else None

    def name(self, address):
        if OPAL_START <= address < OPAL_END:
            name = self._at(self.opal, address - OPAL_START)
            return f"OPAL {name or '(unknown)'}"
        if GUEST_START <= address < GUEST_END:
            return "(guest)"
        if address < REAL_MODE_END:
            return f"{self._at(self.kernel, address | KERNEL_START)} (real mode)"
        if address >= KERNEL_START:
            return self._at(self.kernel, address)
        return "(user space)"
