/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls in which each allocation fails in turn, on a kernel with fault
 * injection.
 *
 * The kernel lets the nth chance to fail of a task fail (see
 * Documentation/fault-injection). A call is repeated with n from 1 on until it
 * is through without a failure; until then it either succeeds all the same, or
 * says ENOMEM, or EFAULT where it was the copying of user memory that failed,
 * and has changed nothing: no locked memory, and the same call succeeds when
 * nothing fails. What is lost in the kernel, kmemleak finds.
 */
#ifndef VFIO_SPAPR_FAULT_H
#define VFIO_SPAPR_FAULT_H

#include <errno.h>
#include <stdbool.h>
#include "../../kselftest.h"

/* Also what may sleep fails from now on, and without a trace in the log */
void fault_allow(void);

/**
 * fault_everywhere() - Let a call fail in all places
 * @name: of the call, for messages
 * @act: the call: 0, or -1 with errno
 * @undo: what ends its effect
 *
 * Return: whether it always ended as it should.
 */
bool fault_everywhere(const char *name, int (*act)(void), void (*undo)(void));

/* What an act returns, of a function that returns -errno or what is not less */
static inline int fault_result(int ret)
{
	if (ret >= 0)
		return 0;
	errno = -ret;
	return -1;
}

/* As a test; here because each file counts the results that it reports itself */
static inline void fault_test(const char *name, int (*act)(void),
			      void (*undo)(void))
{
	ksft_test_result(fault_everywhere(name, act, undo), "%s\n", name);
}

#endif
