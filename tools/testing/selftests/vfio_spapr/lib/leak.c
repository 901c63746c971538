// SPDX-License-Identifier: GPL-2.0
/* Memory that outlives its process, see leak.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leak.h"

/* Differences below this are the noise of a running system. */
#define NOISE_KIB	2048
#define PATIENCE_MS	5000
#define TIMES		3

static long free_kib(void)
{
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static long lost_by(int (*run)(void), int *status)
{
	long lost, before;
	int ms, raw;
	pid_t pid;

	fflush(NULL);
	before = free_kib();
	pid = fork();
	if (!pid)
		exit(run());
	waitpid(pid, &raw, 0);
	*status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 256;

	for (ms = 0; ms < PATIENCE_MS; ms += 100) {
		lost = before - free_kib();
		if (lost < NOISE_KIB)
			return 0;
		usleep(100 * 1000);
	}
	return lost;
}

long leak_of(int (*run)(void), int *status)
{
	long lost, least = 0;
	int times;

	for (times = 0; times < TIMES; times++) {
		lost = lost_by(run, status);
		if (!lost || *status)
			return lost;
		if (!times || lost < least)
			least = lost;
	}
	return least;
}
