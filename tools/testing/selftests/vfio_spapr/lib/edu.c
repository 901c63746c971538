// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's "edu" device, see edu.h and QEMU's docs/specs/edu.
 *
 * Its registers have the endianness of the emulated target, which is big on
 * POWER whatever the kernel runs in.
 */
#include <endian.h>
#include <stdio.h>
#include <time.h>

#include "edu.h"
#include "transcript.h"

#define REG_ID		0x00
#define REG_SOURCE	0x80
#define REG_DESTINATION	0x88
#define REG_COUNT	0x90
#define REG_COMMAND	0x98

#define ID_LOW		0xed		/* the rest is a version */
#define COMMAND_RUN	0x1
#define COMMAND_TO_BUS	0x2

#define BUFFER		0x40000		/* as the device itself sees it */

static void write64(const struct edu *edu, unsigned int reg, __u64 value)
{
	*(volatile __u64 *)(edu->bar + reg) = htobe64(value);
}

static __u32 read32(const struct edu *edu, unsigned int reg)
{
	return be32toh(*(volatile __u32 *)(edu->bar + reg));
}

bool edu_alive(const struct edu *edu)
{
	__u32 id = read32(edu, REG_ID);

	return id != ~0U && (id & 0xff) == ID_LOW;
}

static bool run(const struct edu *edu, __u64 source, __u64 destination,
		unsigned int count, unsigned int direction)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	int polls;

	write64(edu, REG_SOURCE, source);
	write64(edu, REG_DESTINATION, destination);
	write64(edu, REG_COUNT, count);
	write64(edu, REG_COMMAND, COMMAND_RUN | direction);

	for (polls = 0; polls < 400; polls++) {
		__u32 command;

		nanosleep(&pause, NULL);
		command = be64toh(*(volatile __u64 *)(edu->bar + REG_COMMAND));
		if (command == ~0U)
			return false;
		if (!(command & COMMAND_RUN))
			return true;
	}
	return false;
}

bool edu_load(const struct edu *edu, __u64 bus, unsigned int offset,
	      unsigned int count)
{
	return run(edu, bus, BUFFER + offset, count, 0);
}

bool edu_store(const struct edu *edu, __u64 bus, unsigned int offset,
	       unsigned int count)
{
	return run(edu, BUFFER + offset, bus, count, COMMAND_TO_BUS);
}

static unsigned int reach(const struct edu *edu, __u64 bus,
			  volatile __u64 *memory, __u64 scratch_bus,
			  volatile __u64 *scratch)
{
	static __u64 serial = 0x5341505200000000;
	const __u64 sent = ++serial, left = ++serial;
	unsigned int found = 0;

	*memory = sent;
	if (!edu_load(edu, bus, 0, sizeof(sent)))
		return EDU_SILENT;
	*memory = left;
	if (!edu_store(edu, bus, 0, sizeof(sent)))
		return EDU_SILENT;
	if (*memory == sent)
		return EDU_READS | EDU_WRITES;
	if (*memory != left)
		found |= EDU_WRITES;
	if (!scratch)
		return found;

	*scratch = left;
	if (!edu_store(edu, scratch_bus, 0, sizeof(sent)))
		return found | EDU_SILENT;
	if (*scratch == sent)
		found |= EDU_READS;
	return found;
}

unsigned int edu_reach(const struct edu *edu, __u64 bus,
		       volatile void *memory, __u64 scratch_bus,
		       volatile void *scratch)
{
	static const char *const reaches[] = {
		"nothing", "reads", "writes", "reads and writes",
	};
	const __u64 before = *(volatile __u64 *)memory;
	unsigned int found;
	char question[96];

	found = reach(edu, bus, memory, scratch_bus, scratch);
	*(volatile __u64 *)memory = before;

	snprintf(question, sizeof(question), "device at %#llx to %p",
		 (unsigned long long)bus, (void *)memory);
	transcript_see(question, "%s%s", reaches[found & 3],
		       found & EDU_SILENT ? ", hangs" : "");
	return found;
}
