// SPDX-License-Identifier: GPL-2.0-only
/* Threads that call against each other, see actors.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors.h"

/* What the threads share */
static struct {
	volatile bool stop;
	volatile int surprise;
	volatile unsigned long succeeded[ACTORS_MAX];
	bool (*explained)(int error);
} shared;

struct actor {
	actor_t act;
	unsigned int nr;
	pthread_t thread;
};

unsigned int dice(unsigned int *seed, unsigned int faces)
{
	return rand_r(seed) % faces;
}

bool actors_explained(int error)
{
	switch (-error) {
	case EINVAL:
	case ENXIO:
	case ENOENT:
	case EPERM:
	case EBUSY:
	case ENOSPC:
	case EFAULT:
		return true;
	}
	return false;
}

static void *play(void *arg)
{
	struct actor *actor = arg;
	unsigned int seed = 4711 * (actor->nr + 1);

	while (!shared.stop) {
		int ret = actor->act(&seed);

		if (!ret)
			shared.succeeded[actor->nr]++;
		else if (!shared.explained(ret))
			shared.surprise = ret;
	}

	return NULL;
}

struct actors_done actors_run(const actor_t *acts, unsigned int nr_acts,
			      unsigned int seconds,
			      bool (*explained)(int error))
{
	struct actor actor[ACTORS_MAX];
	struct actors_done done;
	unsigned int i;

	shared.stop = false;
	shared.surprise = 0;
	shared.explained = explained;
	memset((void *)shared.succeeded, 0, sizeof(shared.succeeded));
	for (i = 0; i < nr_acts; i++) {
		actor[i] = (struct actor) { .act = acts[i], .nr = i };
		pthread_create(&actor[i].thread, NULL, play, &actor[i]);
	}
	sleep(seconds);
	shared.stop = true;
	for (i = 0; i < nr_acts; i++)
		pthread_join(actor[i].thread, NULL);

	memcpy(done.succeeded, (void *)shared.succeeded,
	       sizeof(done.succeeded));
	done.surprise = shared.surprise;
	return done;
}
