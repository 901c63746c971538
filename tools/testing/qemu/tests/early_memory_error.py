#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory errors in a list of TCEs that a hypercall reads.

Runs hcall_memory_error on an emulated host and stops the processor, by way of
the emulator's gdb stub, where a list is going to be read early, and then at the
guest's exit.
It then steps to the first load from the list and sets the registers as the
processor does for a machine check that this load gets, and does that again
wherever the kernel tries once more in the same place. Passes on what the program
says.
"""

import os
import re
import struct
import sys
import time

sys.dont_write_bytecode = True
import early_system_reset as early  # noqa: E402

ERRORS = 10
LENGTHS = (2, 16, 64)
# Longer lists are copied at once
FEW = 32
# In the order in which a request comes to them
CALLERS, COPY = ("early_put_indirect", "exit_put_indirect"), "copy_mc_generic"
# gdb's numbers of registers
NIP, MSR = 64, 65
MSR_SF_HV_LE = 1 << 63 | 1 << 60 | 1
# The cause is in DSISR: an uncorrectable error at a load
SRR1_LOAD_STORE, DSISR_UE = 1 << 63 - 42, 0x8000
# Loads from the list: ldbrx RT,RA,RB in the short path, ld RT,D(r4) in the copy
LDBRX, LDBRX_MASK = 31 << 26 | 532 << 1, 0xfc0007ff
LD, LD_MASK = 58 << 26 | 4 << 16, 0xfc1f0003
# mtctr r7, lbz r0,0(r4): what the exception table leads to, before the function.
# It copies byte by byte, to find out how far it gets.
BYTE_LOOP = struct.pack("<II", 0x7ce903a6, 0x88040000)
BEFORE = 0x100
STEPS = 2000


class Registers:
    """A stopped little-endian processor's."""

    def __init__(self, stub):
        self.stub = stub
        self.numbers = {}
        number = 0
        for name in re.findall(r'href="([^"]+)"', self.feature("target.xml")):
            for tag in re.findall(r"<reg [^>]*>", self.feature(name)):
                given = re.search(r'regnum="(\d+)"', tag)
                number = int(given[1]) if given else number
                self.numbers[re.search(r'name="([^"]+)"', tag)[1]] = number
                number += 1

    def feature(self, name):
        text = ""
        while True:
            part = self.stub.ask(f"qXfer:features:read:{name}:"
                                 f"{len(text):x},800")
            text += part[1:]
            if part[:1] != "m":
                return text

    def get(self, number):
        data = bytes.fromhex(self.stub.ask(f"p{number:x}"))
        return int.from_bytes(data, "little")

    def put(self, number, value, size=8):
        data = value.to_bytes(size, "little").hex()
        if self.stub.ask(f"P{number:x}={data}") != "OK":
            raise OSError(f"register {number} cannot be written")


def step_to(stub, registers, load, mask):
    """Step to such a load; the instruction."""
    for _ in range(STEPS):
        nip = registers.get(NIP)
        insn, = struct.unpack("<I", bytes.fromhex(
            stub.ask(f"m{nip:x},4")))
        if insn & mask == load:
            return insn
        stub.step()
    raise OSError(f"the list is not read up to {nip:x}")


def indexed(registers, insn):
    """The address that a load of RA,RB has; RA 0 is no register."""
    base = insn >> 16 & 31
    return registers.get(insn >> 11 & 31) + (base and registers.get(base))


def machine_check(registers, address):
    spr = registers.numbers
    msr = registers.get(MSR)
    registers.put(spr["srr0"], registers.get(NIP))
    registers.put(spr["srr1"], msr | SRR1_LOAD_STORE)
    registers.put(spr["dar"], address)
    registers.put(spr["dsisr"], DSISR_UE)
    registers.put(MSR, MSR_SF_HV_LE)
    registers.put(NIP, 0x200)


def run_to(stub, address):
    stub.ask(f"Z1,{address:x},4")
    stub.send("c")
    stub.wait_for_stop()
    stub.ask(f"z1,{address:x},4")


def fail_list(stub, registers, copy, byte_load, length):
    """Have all loads from a list fail, from where it is going to be read."""
    if length <= FEW:
        insn = step_to(stub, registers, LDBRX, LDBRX_MASK)
        machine_check(registers, indexed(registers, insn))
    run_to(stub, copy)
    insn = step_to(stub, registers, LD, LD_MASK)
    offset = (insn & 0xfffc ^ 0x8000) - 0x8000
    machine_check(registers, registers.get(4) + offset)
    run_to(stub, byte_load)
    machine_check(registers, registers.get(4))


def raise_errors(folder, addresses, length):
    stub = early.Stub(os.path.join(folder, "gdb"))
    stub.ask("Qqemu.PhyMemMode:0")
    registers = Registers(stub)
    copy, byte_load = addresses[COPY], None
    for _ in range(ERRORS):
        for caller in CALLERS:
            # Calls in one object skip the two instructions that set the TOC
            run_to(stub, addresses[caller] + 8)
            byte_load = byte_load or copy - BEFORE + 4 + \
                stub.read(copy - BEFORE, BEFORE).index(BYTE_LOOP)
            fail_list(stub, registers, copy, byte_load, int(length))
        stub.send("c")
        time.sleep(0.2)
        early.interrupt(stub)
    stub.go()


if __name__ == "__main__":
    sys.exit(early.run(" ".join(map(str, ("/hcall_memory_error", ERRORS,
                                          *LENGTHS, *sys.argv[1:]))),
                       (*CALLERS, COPY), raise_errors))
