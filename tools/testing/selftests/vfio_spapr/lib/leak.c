// SPDX-License-Identifier: GPL-2.0
/* Memory that outlives its process, see leak.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leak.h"

/* Differences below this are the noise of a running system. */
#define NOISE_KIB	2048
#define PATIENCE_MS	5000
#define TIMES		3

/* sum_of - all numbers in a file that follow a word at a line's beginning */
static long sum_of(const char *path, const char *format)
{
	char line[128];
	long number, sum = 0;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, format, &number) == 1)
			sum += number;
	if (f)
		fclose(f);
	return sum;
}

/* Pages in the lists of a CPU are free as well, but not counted as such. */
static long free_kib(void)
{
	return sum_of("/proc/meminfo", "MemFree: %ld") +
	       sum_of("/proc/zoneinfo", " count: %ld") *
	       (sysconf(_SC_PAGESIZE) / 1024);
}

/* status_of - run in a process of its own */
static int status_of(int (*run)(void))
{
	pid_t pid;
	int raw;

	fflush(NULL);
	pid = fork();
	if (!pid)
		exit(run());
	waitpid(pid, &raw, 0);
	return WIFEXITED(raw) ? WEXITSTATUS(raw) : 256;
}

static long lost_by(int (*run)(void), int *status)
{
	long lost, before = free_kib();
	int ms;

	*status = status_of(run);
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

	/*
	 * A kernel that finds leaks by itself also keeps what is freed from
	 * being used again for some time: nothing is to be seen in its memory.
	 */
	if (!access("/sys/kernel/debug/kmemleak", F_OK)) {
		*status = status_of(run);
		return 0;
	}

	for (times = 0; times < TIMES; times++) {
		lost = lost_by(run, status);
		if (!lost || *status)
			return lost;
		if (!times || lost < least)
			least = lost;
	}
	return least;
}

static void refresh_statistics(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);

	if (fd < 0 || write(fd, "1", 1) != 1) {
		printf("# stat_refresh: %s\n", strerror(errno));
		exit(1);
	}
	close(fd);
}

long leak_pins(void)
{
	long pages, sum = 0;
	char word[64];
	FILE *f;

	/* Each CPU keeps small changes to itself */
	refresh_statistics();
	f = fopen("/proc/vmstat", "r");

	while (f && fscanf(f, "%63s %ld", word, &pages) == 2) {
		if (!strcmp(word, "nr_foll_pin_acquired"))
			sum += pages;
		if (!strcmp(word, "nr_foll_pin_released"))
			sum -= pages;
	}
	if (f)
		fclose(f);
	return sum;
}
