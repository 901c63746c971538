/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs of the fuzzer: sequences of calls, which are written, read and
 * changed here, and mean something only in fuzz_calls.c.
 *
 * A call is a name and some bytes, its picks. Each says which of the values that
 * make sense at its place is taken, or by how much to miss it. A pick that is
 * not there is 0, and 0 is what a well-meaning user would choose.
 *
 * As text a program is one line: "iommu register:0004 map | unmap | hcall:01" is
 * two calls, and then two threads, of which the first unmaps while the second
 * makes a hypercall.
 */
#ifndef SELFTEST_VFIO_SPAPR_FUZZ_PROGRAM_H
#define SELFTEST_VFIO_SPAPR_FUZZ_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define FUZZ_CALLS	32
#define FUZZ_PICKS	16
/* A program's text, with its end */
#define FUZZ_TEXT	2048

struct fuzz_call {
	__u8 kind;
	__u8 picks[FUZZ_PICKS];
};

/**
 * struct fuzz_program - a sequence of calls
 * @n:		how many
 * @fork:	those from here on belong to the first of two threads,
 * @second:	and those from here on to the second
 * @calls:	the calls
 */
struct fuzz_program {
	unsigned int n, fork, second;
	struct fuzz_call calls[FUZZ_CALLS];
};

/* Numbers at random, the same for the same seed */
struct fuzz_dice {
	__u64 state;
};

void fuzz_dice_init(struct fuzz_dice *dice, __u64 seed, __u64 turn);
unsigned int fuzz_roll(struct fuzz_dice *dice, unsigned int sides);

/* The kinds of calls that there are, from fuzz_calls.c */
extern const unsigned int fuzz_kinds;
const char *fuzz_kind_name(unsigned int kind);
unsigned int fuzz_kind_weight(unsigned int kind);

bool fuzz_parse(struct fuzz_program *program, const char *text);
void fuzz_print(const struct fuzz_program *program, char text[FUZZ_TEXT]);

/* Takes calls [@first, @first + @n) out. */
void fuzz_cut(struct fuzz_program *program, unsigned int first, unsigned int n);

/**
 * fuzz_mutate() - Change a program
 * @program: the program, which may have no calls yet
 * @other: another one to take calls from, NULL for none
 * @dice: what decides
 */
void fuzz_mutate(struct fuzz_program *program, const struct fuzz_program *other,
		 struct fuzz_dice *dice);

#endif
