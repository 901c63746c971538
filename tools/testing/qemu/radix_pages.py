# SPDX-License-Identifier: GPL-2.0
"""All page sizes of a POWER9 or POWER10 for an emulated powernv machine.

Its device tree does not tell them, and Linux then knows pages of 4 and 64 KiB
only. The tree is changed in the machine's memory, by way of the emulator's gdb
stub, before firmware reads it.
"""

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import time

# Where the machine puts the tree, and its header's totalsize
TREE, TOTAL_SIZE = 0x1000000, 4
CHUNK = 0x400
# 4 KiB, 64 KiB, 2 MiB, 1 GiB: the AP field in the first three bits, the shift
ENCODINGS = ("c", "a0000010", "20000015", "4000001e")
PROPERTY = "ibm,processor-radix-AP-encodings"
SECONDS = 60


class Stub:
    """The few packets of gdb's protocol that this needs."""

    def __init__(self, path):
        deadline = time.monotonic() + SECONDS
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.received = b""
        self.ask("Qqemu.PhyMemMode:1")

    def send(self, packet):
        data = packet.encode()
        self.socket.sendall(b"$%s#%02x" % (data, sum(data) & 0xff))

    def packet(self):
        """The next packet that the stub sent."""
        while True:
            whole = re.match(rb"\+*\$([^#]*)#..", self.received, re.S)
            if whole:
                break
            received = self.socket.recv(65536)
            if not received:
                raise OSError("the emulator left its gdb stub")
            self.received += received
        self.received = self.received[whole.end():]
        self.socket.sendall(b"+")
        return whole[1].decode()

    def wait_for_stop(self):
        while not self.packet().startswith("T"):
            pass

    def ask(self, packet):
        """What the stub answers. A machine that the connection stopped says
        so, too, at a time of its own."""
        self.send(packet)
        answer = self.packet()
        while answer.startswith("T"):
            answer = self.packet()
        return answer

    def step(self):
        self.send("s")
        self.wait_for_stop()

    def read(self, address, size):
        return b"".join(
            bytes.fromhex(self.ask(f"m{at:x},{min(CHUNK, address + size - at):x}"))
            for at in range(address, address + size, CHUNK))

    def write(self, address, data):
        for at in range(0, len(data), CHUNK):
            part = data[at:at + CHUNK]
            if self.ask(f"M{address + at:x},{len(part):x}:{part.hex()}") != "OK":
                raise OSError("the emulator's memory cannot be written")

    def go(self):
        """Detaches; the machine begins to run."""
        self.ask("D")


def edit(path):
    """Tell the page sizes in each processor's node of a flattened tree."""
    nodes = subprocess.run(["fdtget", "-l", path, "/cpus"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    for node in nodes:
        if node.startswith("PowerPC,"):
            subprocess.run(["fdtput", "-t", "x", path, f"/cpus/{node}",
                            PROPERTY, *ENCODINGS], check=True)


@contextlib.contextmanager
def halted():
    """Arguments with which the emulator waits, and what lets it run."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "gdb")

        def tell_and_go():
            stub = Stub(path)
            size = int.from_bytes(stub.read(TREE + TOTAL_SIZE, 4), "big")
            tree = os.path.join(folder, "tree")
            with open(tree, "wb") as f:
                f.write(stub.read(TREE, size))
            edit(tree)
            with open(tree, "rb") as f:
                stub.write(TREE, f.read())
            stub.go()

        yield ["-S", "-gdb", f"unix:{path},server=on,wait=off"], tell_and_go
