/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's plugin interface as far as the plugins here use it, since distributions
 * ship QEMU without its header: version 1 (up to QEMU 8.1) or, with
 * -DPLUGIN_VERSION=3, that and later ones. And the markers at which the plugins
 * begin and end to look.
 */
#ifndef QEMU_PLUGIN_H
#define QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION	1
#endif

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_info_t;

enum { QEMU_PLUGIN_CB_NO_REGS };
enum { QEMU_PLUGIN_INLINE_ADD_U64 };
enum { QEMU_PLUGIN_MEM_RW = 3 };

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
typedef void (*translated_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*executed_cb)(unsigned int vcpu, void *data);
typedef void (*accessed_cb)(unsigned int vcpu, qemu_plugin_meminfo_t info,
			    uint64_t address, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   translated_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  executed_cb cb, int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    executed_cb cb, int flags,
					    void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      accessed_cb cb, int flags, int rw,
				      void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info,
						  uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *hwaddr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hwaddr);

__attribute__((visibility("default")))
int qemu_plugin_version = PLUGIN_VERSION;

#if PLUGIN_VERSION < 3
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb,
					      int op, void *at, uint64_t add);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

static inline uint32_t insn_word(const struct qemu_plugin_insn *insn)
{
	uint32_t word;

	memcpy(&word, qemu_plugin_insn_data(insn), sizeof(word));
	return word;
}
#else
struct qemu_plugin_scoreboard;

typedef struct {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
} qemu_plugin_u64;

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
uint64_t qemu_plugin_u64_sum(qemu_plugin_u64 entry);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
		struct qemu_plugin_tb *tb, int op, qemu_plugin_u64 entry,
		uint64_t add);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *data,
			     size_t size);

static inline uint32_t insn_word(const struct qemu_plugin_insn *insn)
{
	uint32_t word;

	qemu_plugin_insn_data(insn, &word, sizeof(word));
	return word;
}
#endif

/* xori RS,RA,0 with RS = RA, as the bytes of a big-endian instruction */
#define MARK_BEGIN	0x6b5a0000u
#define MARK_END	0x6b7b0000u

/* The same marker in either byte order of the emulated processor */
static inline bool is_marker(uint32_t word, uint32_t marker)
{
	return word == marker || word == __builtin_bswap32(marker);
}

/* Return: what to call at the instruction, NULL when it is no marker */
static inline executed_cb cb_of(const struct qemu_plugin_insn *insn,
				executed_cb begin, executed_cb end)
{
	const uint32_t word = insn_word(insn);

	if (is_marker(word, MARK_BEGIN))
		return begin;
	return is_marker(word, MARK_END) ? end : NULL;
}

#endif
