/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the calls of the fuzzer's programs do: every ioctl of containers, groups
 * and KVM's VFIO device, of device files and iommufd, TCE tables and their
 * hypercalls, memory that changes under them, pins of mediated devices.
 *
 * A program starts with nothing open. What a call needs is opened when it is
 * needed, so that any sequence of calls does something. At its end all is
 * closed, and the memory is as it was.
 */
#ifndef SELFTEST_VFIO_SPAPR_FUZZ_CALLS_H
#define SELFTEST_VFIO_SPAPR_FUZZ_CALLS_H

#include <stdbool.h>

#include "fuzz_program.h"
#include "lib/testbed.h"

/**
 * struct fuzz_watch - who looks at calls
 * @before: called in the thread that makes the call
 * @after: the same, with the kind and what came of it: 0 or an errno
 * @child: called in a process that a call has forked, before it does anything
 * @parent: called when that process has ended
 */
struct fuzz_watch {
	void (*before)(void);
	void (*after)(unsigned int kind, int error);
	void (*child)(void);
	void (*parent)(void);
};

/* Finds out what the machine has; the testbed has been found. */
void fuzz_calls_init(const struct testbed *bed, const struct fuzz_watch *watch);

/* Calls [@first, @last), in this thread; @alone: no other makes calls */
void fuzz_calls_run(const struct fuzz_program *program, unsigned int first,
		    unsigned int last, bool alone);

/* Closes everything, in one of several orders. */
void fuzz_calls_end(unsigned int order);

#endif
