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
 *
 * QEMU's plugin interface, version 1, is declared here as far as it is used,
 * since distributions ship QEMU without its header.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_info_t;

enum { QEMU_PLUGIN_CB_NO_REGS };
enum { QEMU_PLUGIN_MEM_RW = 3 };

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
typedef void (*translated_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*executed_cb)(unsigned int vcpu, void *data);
typedef void (*accessed_cb)(unsigned int vcpu, qemu_plugin_meminfo_t info,
			    uint64_t address, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   translated_cb cb);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    executed_cb cb, int flags,
					    void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      accessed_cb cb, int flags, int rw,
				      void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info,
						  uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *hwaddr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hwaddr);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* xori RS,RA,0 with RS = RA, as the bytes of a big-endian instruction */
#define MARK_BEGIN	0x6b5a0000u
#define MARK_END	0x6b7b0000u

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

/* The same marker in either byte order of the emulated processor */
static bool is_marker(uint32_t word, uint32_t marker)
{
	return word == marker || word == __builtin_bswap32(marker);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		executed_cb cb;
		uint32_t word;

		memcpy(&word, qemu_plugin_insn_data(insn), sizeof(word));
		cb = is_marker(word, MARK_BEGIN) ? begin :
		     is_marker(word, MARK_END) ? end : NULL;
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
