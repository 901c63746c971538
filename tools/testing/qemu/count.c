// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCG plugin: how many instructions are executed between two markers
 *
 * The emulated machine marks what it measures itself, by instructions that do
 * nothing and that no compiler emits:
 *
 *	xori 26,26,0	begin counting, from zero
 *	xori 27,27,0	end: a line with the count goes to the output
 *
 * in host user space, in a guest's code, nested or not. Counted is what the
 * whole machine executes meanwhile, firmware and real mode included; so it is
 * run with one CPU, and a measurement is the least of several runs.
 *
 *	-plugin count.so,out=FILE[,profile=FILE]
 *
 * FILE of profile gets, at each end, a line for each block of code executed
 * since the begin: its address and the instructions executed in it; then an
 * empty line. The emulator may be killed at any time after that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"

#if PLUGIN_VERSION < 3
static uint64_t total;

static void count_block(struct qemu_plugin_tb *tb, uint64_t insns)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &total, insns);
}

static uint64_t executed(void)
{
	return total;
}
#else
static qemu_plugin_u64 total;

static void count_block(struct qemu_plugin_tb *tb, uint64_t insns)
{
	if (!total.score)
		total.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb,
			QEMU_PLUGIN_INLINE_ADD_U64, total, insns);
}

static uint64_t executed(void)
{
	return qemu_plugin_u64_sum(total);
}
#endif

/* A block of translated code; found again by address when translated once more */
struct block {
	struct block *next;
	uint64_t address;
	uint64_t executed;
	uint64_t insns;
};

#define NR_BUCKETS	65536

static uint64_t begun_at;
static bool counting;
static FILE *out;
static FILE *profile;
static struct block *blocks[NR_BUCKETS];

static void begin(unsigned int vcpu, void *data)
{
	counting = true;
	begun_at = executed();
}

/* Write what was executed since the begin, and forget it */
static void write_profile(void)
{
	struct block *block;
	size_t i;

	for (i = 0; i < NR_BUCKETS; i++) {
		for (block = blocks[i]; block; block = block->next) {
			if (!block->executed)
				continue;
			fprintf(profile, "%" PRIx64 " %" PRIu64 "\n",
				block->address, block->executed);
			block->executed = 0;
		}
	}
	fputc('\n', profile);
	fflush(profile);
}

static void end(unsigned int vcpu, void *data)
{
	if (!counting)
		return;
	counting = false;
	if (profile)
		write_profile();
	fprintf(out, "%" PRIu64 "\n", executed() - begun_at);
	fflush(out);
}

static void block_executed(unsigned int vcpu, void *data)
{
	struct block *block = data;

	if (counting)
		block->executed += block->insns;
}

static struct block *block_at(uint64_t address, uint64_t insns)
{
	struct block **at = &blocks[(address >> 2) % NR_BUCKETS];

	for (; *at; at = &(*at)->next)
		if ((*at)->address == address && (*at)->insns == insns)
			return *at;

	*at = calloc(1, sizeof(**at));
	if (!*at)
		abort();
	(*at)->address = address;
	(*at)->insns = insns;
	return *at;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	count_block(tb, n);
	if (profile)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, block_executed,
				QEMU_PLUGIN_CB_NO_REGS,
				block_at(qemu_plugin_tb_vaddr(tb), n));

	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		executed_cb cb = cb_of(insn, begin, end);

		if (cb)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, cb,
					QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

static FILE *open_for(const char *arg, const char *name)
{
	size_t length = strlen(name);
	FILE *f;

	if (strncmp(arg, name, length) || arg[length] != '=')
		return NULL;
	f = fopen(arg + length + 1, "w");
	if (!f)
		perror(arg + length + 1);
	return f;
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info,
			int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		FILE *f = open_for(argv[i], "out");

		if (f)
			out = f;
		f = open_for(argv[i], "profile");
		if (f)
			profile = f;
	}
	if (!out) {
		fprintf(stderr, "count: usage: -plugin count.so,out=FILE[,profile=FILE]\n");
		return -1;
	}

	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
