// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCG plugin: which cache lines several processors use, and where
 *
 * Between the markers of count.c it records every access to memory by cache
 * line, processor and instruction.
 *
 *	-plugin lines.so,out=FILE
 *
 * At each end FILE gets a row for each processor, instruction and kind of access
 * of each line that one processor has written and another has touched:
 *
 *	LINE CPU ADDRESS load|store COUNT
 *
 * LINE is a physical address and ADDRESS that of the instruction, in
 * hexadecimal; an empty line ends the rows. A line is as long as a POWER
 * processor's, 128 bytes.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"

#define LINE_SHIFT	7
#define NR_BUCKETS	(1u << 18)

/* Accesses of one instruction by one processor to one line */
struct access {
	struct access *next;
	uint64_t line;
	uint64_t address;
	uint64_t count;
	unsigned int vcpu;
	bool store;
};

/* The accesses whose lines have the same hash; the emulated run in parallel */
struct bucket {
	pthread_mutex_t lock;
	struct access *first;
};

static struct bucket buckets[NR_BUCKETS];
static volatile bool recording;
static FILE *out;

static void begin(unsigned int vcpu, void *data)
{
	recording = true;
}

/* Has one processor written the line, and another touched it? */
static bool is_shared(const struct bucket *bucket, uint64_t line)
{
	const struct access *a, *b;

	for (a = bucket->first; a; a = a->next)
		for (b = bucket->first; a->line == line && a->store && b;
		     b = b->next)
			if (b->line == line && b->vcpu != a->vcpu)
				return true;
	return false;
}

static void write_bucket(struct bucket *bucket)
{
	struct access *access, *next;

	for (access = bucket->first; access; access = access->next)
		if (is_shared(bucket, access->line))
			fprintf(out, "%" PRIx64 " %u %" PRIx64 " %s %" PRIu64
				"\n", access->line << LINE_SHIFT, access->vcpu,
				access->address,
				access->store ? "store" : "load",
				access->count);
	for (access = bucket->first; access; access = next) {
		next = access->next;
		free(access);
	}
	bucket->first = NULL;
}

static void end(unsigned int vcpu, void *data)
{
	unsigned int i;

	if (!recording)
		return;
	recording = false;
	for (i = 0; i < NR_BUCKETS; i++) {
		pthread_mutex_lock(&buckets[i].lock);
		write_bucket(&buckets[i]);
		pthread_mutex_unlock(&buckets[i].lock);
	}
	fputc('\n', out);
	fflush(out);
}

static void record(struct bucket *bucket, uint64_t line, unsigned int vcpu,
		   uint64_t address, bool store)
{
	struct access **at = &bucket->first;

	for (; *at; at = &(*at)->next)
		if ((*at)->line == line && (*at)->vcpu == vcpu &&
		    (*at)->address == address && (*at)->store == store)
			break;
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			abort();
		(*at)->line = line;
		(*at)->vcpu = vcpu;
		(*at)->address = address;
		(*at)->store = store;
	}
	(*at)->count++;
}

static void accessed(unsigned int vcpu, qemu_plugin_meminfo_t info,
		     uint64_t address, void *data)
{
	struct qemu_plugin_hwaddr *hwaddr;
	struct bucket *bucket;
	uint64_t line;

	if (!recording)
		return;
	hwaddr = qemu_plugin_get_hwaddr(info, address);
	if (!hwaddr || qemu_plugin_hwaddr_is_io(hwaddr))
		return;

	line = qemu_plugin_hwaddr_phys_addr(hwaddr) >> LINE_SHIFT;
	bucket = &buckets[(line * 0x9e3779b97f4a7c15u) >> 46];
	pthread_mutex_lock(&bucket->lock);
	record(bucket, line, vcpu, (uintptr_t)data,
	       qemu_plugin_mem_is_store(info));
	pthread_mutex_unlock(&bucket->lock);
}

/*
 * Each vCPU of a guest runs into the marker at the end of its calls, but those of
 * bench_lines belong to the program: between them all vCPUs are done.
 */
static bool in_guest(const struct qemu_plugin_insn *insn)
{
	const uint64_t address = qemu_plugin_insn_vaddr(insn);

	return address >= 0x4000 && address < 0x10000;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		executed_cb cb = in_guest(insn) ? NULL :
				 cb_of(insn, begin, end);

		if (cb)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, cb,
					QEMU_PLUGIN_CB_NO_REGS, NULL);
		else
			qemu_plugin_register_vcpu_mem_cb(insn, accessed,
					QEMU_PLUGIN_CB_NO_REGS,
					QEMU_PLUGIN_MEM_RW,
					(void *)(uintptr_t)
					qemu_plugin_insn_vaddr(insn));
	}
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info,
			int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	if (!out) {
		fprintf(stderr, "lines: usage: -plugin lines.so,out=FILE\n");
		return -1;
	}

	for (i = 0; i < (int)NR_BUCKETS; i++)
		pthread_mutex_init(&buckets[i].lock, NULL);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
