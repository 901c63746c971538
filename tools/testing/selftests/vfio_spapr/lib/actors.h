/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Actors: threads that call the kernel at random, to test races.
 *
 * The arguments are valid, but another thread may be about to end what a call uses.
 * So a call may fail. Only an error that no state explains fails the test.
 */
#ifndef SELFTESTS_VFIO_SPAPR_LIB_ACTORS_H
#define SELFTESTS_VFIO_SPAPR_LIB_ACTORS_H

#include <stdbool.h>
#include <string.h>

#include "../../kselftest.h"

#define ACTORS_MAX	10

/* One call, what dice() says of its arguments: 0 or -errno */
typedef int (*actor_t)(unsigned int *seed);

/* What became of their calls */
struct actors_done {
	unsigned long succeeded[ACTORS_MAX];
	int surprise;		/* an error that cannot be, 0 for none */
};

/* A number below @faces; the same sequence in every run */
unsigned int dice(unsigned int *seed, unsigned int faces);

/* Whether some state of a container, and no other fault, explains the error */
bool actors_explained(int error);

/**
 * actors_run() - Let actors call against each other
 * @acts: a thread for each of them
 * @nr_acts: how many, ACTORS_MAX at most
 * @seconds: for how long
 * @explained: whether an error can be, actors_explained() or more than that
 */
struct actors_done actors_run(const actor_t *acts, unsigned int nr_acts,
			      unsigned int seconds,
			      bool (*explained)(int error));

/* As two tests; here because each file counts the results that it reports */
static inline void actors_test(const char *name, unsigned int nr_acts,
			       const struct actors_done *done)
{
	bool all = true;

	for (unsigned int i = 0; i < nr_acts; i++) {
		ksft_print_msg("%s: actor %u succeeded %lu times\n", name, i,
			       done->succeeded[i]);
		all &= done->succeeded[i] > 0;
	}
	ksft_test_result(all, "%s: each kind of call succeeded at times\n",
			 name);
	if (done->surprise)
		ksft_print_msg("%s\n", strerror(-done->surprise));
	ksft_test_result(!done->surprise, "%s: errors are explained\n", name);
}

#endif
