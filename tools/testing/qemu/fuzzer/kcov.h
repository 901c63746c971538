/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of the kernel a thread has made run, as KCOV tells it.
 *
 * A trace is one thread's: the basic blocks, in the order in which they ran, of
 * those objects that the kernel was built to tell about. What shows that a call
 * did something new is not a block alone but the step from one to the next.
 */
#ifndef SELFTEST_VFIO_SPAPR_KCOV_H
#define SELFTEST_VFIO_SPAPR_KCOV_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct kcov {
	int fd;
	volatile __u64 *area;
};

/* Whether the kernel has KCOV */
bool kcov_available(void);

/* Memory for a trace; it is shared with processes forked later. */
void kcov_open(struct kcov *kcov);

/* From now on, and until it ends, the calling thread leaves its trace there. */
bool kcov_follow(struct kcov *kcov);

/* Forget the trace so far. */
void kcov_forget(struct kcov *kcov);

/**
 * kcov_each() - Go through the trace and forget it
 * @kcov: of a thread that makes no system call meanwhile
 * @see: gets each block and the one before it, 0 for the first
 */
void kcov_each(struct kcov *kcov, void (*see)(__u64 before, __u64 block));

#endif
