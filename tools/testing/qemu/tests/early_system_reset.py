#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""System resets in the middle of a TCE hypercall that is answered early.

Runs hcall_system_reset on an emulated host and stops the processor, by way of
the emulator's gdb stub, where firmware is going to be asked for an invalidation
in a guest's context. There the emulator's monitor raises a system reset. Passes
on what the program says.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.dont_write_bytecode = True
sys.path.append(HERE)
from radix_pages import Stub  # noqa: E402

RESETS = 20
SECONDS = 300
SYMBOL = "pnv_opal_tce_kill_early"


def addresses_of(vmlinux, symbols):
    nm = subprocess.run(["powerpc64le-linux-gnu-nm", vmlinux], check=True,
                        stdout=subprocess.PIPE, text=True)
    return {symbol: int(re.search(rf"^(\w+) . {symbol}$", nm.stdout,
                                  re.M)[1], 16) for symbol in symbols}


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.read()

    def read(self):
        said = b""
        while not said.endswith(b"(qemu) "):
            said += self.socket.recv(4096)

    def tell(self, command):
        self.socket.sendall(command.encode() + b"\n")
        self.read()


def interrupt(stub):
    stub.socket.sendall(b"\x03")
    stub.wait_for_stop()


def raise_resets(folder, addresses):
    """Each at the breakpoint, which the interrupted code passes afterwards."""
    address = addresses[SYMBOL]
    stub = Stub(os.path.join(folder, "gdb"))
    monitor = Monitor(os.path.join(folder, "monitor"))
    for _ in range(RESETS):
        stub.ask(f"Z1,{address:x},4")
        stub.send("c")
        stub.wait_for_stop()
        stub.ask(f"z1,{address:x},4")
        monitor.tell("nmi")
        stub.send("c")
        time.sleep(0.2)
        interrupt(stub)
    stub.go()


def run(command, symbols, disturb):
    """Run command; when it says "at work WORDS", disturb(folder, addresses,
    *WORDS)."""
    vmlinux, programs = os.environ["VMLINUX"], os.environ["PROGRAMS"]
    module = os.path.join(os.path.dirname(os.path.realpath(vmlinux)),
                          "test-modules", "system_reset.ko")
    addresses = addresses_of(vmlinux, symbols)
    with tempfile.TemporaryDirectory() as folder:
        argv = [os.path.join(HERE, "boot"), "-m", os.environ["MACHINE"],
                "-k", vmlinux, "-t", str(SECONDS), "-a", module, "-a",
                os.path.join(programs, command.split()[0].lstrip("/")),
                "-l", os.environ["LOG"], "-q", os.environ["EDU"]]
        argv += ["-q", f"-gdb unix:{folder}/gdb,server=on,wait=off",
                 "-q", f"-monitor unix:{folder}/monitor,server=on,wait=off",
                 "--", "sh", "-c", f"insmod /system_reset.ko && {command}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as boot:
            for line in boot.stdout:
                print(line, end="", flush=True)
                if line.startswith("# at work"):
                    threading.Thread(target=disturb, daemon=True,
                                     args=(folder, addresses,
                                           *line.split()[3:])).start()
            return boot.wait()


if __name__ == "__main__":
    sys.exit(run(" ".join(("/hcall_system_reset", str(RESETS), *sys.argv[1:])),
                 (SYMBOL,), raise_resets))
