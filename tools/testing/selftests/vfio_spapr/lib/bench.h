/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting what an operation costs.
 *
 * An operation is done a number of times between two markers, instructions
 * that do nothing and at which the emulator's plugin starts and stops counting
 * (tools/testing/qemu/count.c). Standard output names what was counted, in the
 * plugin's order:
 *
 *	count OPERATION UNIT N
 *
 * for N units done. Everything is done BENCH_ROUNDS times: a timer's tick
 * lands in one round or another, the least count has none.
 *
 * Hypercalls are made by a loop in the guest, marked there, of 11 instructions
 * around each: no way into the guest or out of it is counted.
 */
#ifndef SELFTEST_VFIO_SPAPR_BENCH_H
#define SELFTEST_VFIO_SPAPR_BENCH_H

#include <stdbool.h>
#include <linux/types.h>

#include "kvm_ppc.h"

#ifndef BENCH_ROUNDS
#define BENCH_ROUNDS	9
#endif

/* For each round of @operation, unless another one is asked for */
#define bench_rounds(operation)						\
	for (unsigned int round_ = 0;					\
	     round_ < BENCH_ROUNDS && bench_wanted(operation); round_++)

/* The one operation to be counted; NULL: all of them */
void bench_choose(const char *operation);
bool bench_wanted(const char *operation);

/* What follows is counted */
static inline void bench_begin(void)
{
	asm volatile("xori 26,26,0" : : : "memory");
}

/* @n units of the operation have been done */
#define bench_end(operation, unit, n)					\
do {									\
	asm volatile("xori 27,27,0" : : : "memory");			\
	bench_counted(operation, unit, n);				\
} while (0)

void bench_counted(const char *operation, const char *unit, unsigned long n);

/* Ends the program unless @good: what does not work costs nothing. */
void bench_require(bool good, const char *operation, const char *what,
		   long got);

/**
 * struct bench_calls - a series of hypercalls
 * @nr: the hypercall
 * @arg: R4 to R7 of the first
 * @step: what the next one has more in R5 and R6
 * @n: how many
 * @answer: what user space answers, for those that the kernel hands on; NULL
 *	answers H_SUCCESS
 * @data: for @answer
 */
struct bench_calls {
	__u64 nr;
	__u64 arg[4];
	__u64 step[2];
	unsigned long n;
	__s64 (*answer)(const __u64 *arg, void *data);
	void *data;
};

/*
 * Makes them, between markers if @counted. Return: the bitwise or of what they
 * returned; -errno of KVM_RUN ends the program.
 */
__s64 bench_make_calls(struct kvm_ppc_vcpu *vcpu,
		       const struct bench_calls *calls, bool counted);

#endif
