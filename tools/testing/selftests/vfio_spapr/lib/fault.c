// SPDX-License-Identifier: GPL-2.0
/* Calls in which each allocation fails in turn, see fault.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../../kselftest.h"
#include "fault.h"
#include "memory.h"

#define DEBUGFS		"/sys/kernel/debug"
#define MAX_CHANCES	2000

/* Chances to fail that this task has had are counted from here on */
static void fail_nth(unsigned int n)
{
	int fd = open("/proc/thread-self/fail-nth", O_WRONLY);

	if (fd < 0 || dprintf(fd, "%u", n) < 0)
		ksft_exit_fail_msg("cannot make allocations fail\n");
	close(fd);
}

/* Whether the failure that was asked for has happened; none any more */
static bool has_failed(void)
{
	char left[16] = "";
	int fd = open("/proc/thread-self/fail-nth", O_RDWR);
	bool failed = read(fd, left, sizeof(left) - 1) > 0 && !atoi(left);

	dprintf(fd, "0");
	close(fd);

	return failed;
}

/* Do @act with its nth chance to fail failing: whether it was through */
static bool try(const char *name, int (*act)(void), void (*undo)(void),
		unsigned int n, bool *good)
{
	long locked = memory_locked();
	int ret, error;
	bool failed;

	fail_nth(n);
	ret = act();
	error = errno;
	failed = has_failed();

	if (!ret) {
		undo();
		if (memory_locked() != locked)
			*good = false;
		return !failed;
	}

	if (!failed || (error != ENOMEM && error != EFAULT) ||
	    memory_locked() != locked) {
		ksft_print_msg("%s, chance %u: %s, locked %ld before, %ld after\n",
			       name, n, strerror(error), locked,
			       memory_locked());
		*good = false;
	}
	return false;
}

bool fault_everywhere(const char *name, int (*act)(void), void (*undo)(void))
{
	unsigned int n = 1;
	bool good = true;

	while (n < MAX_CHANCES && !try(name, act, undo, n, &good))
		n++;
	ksft_print_msg("%s: %u chances\n", name, n - 1);

	return good && n < MAX_CHANCES;
}

static void set_debugfs(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), DEBUGFS "/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, 1) != 1)
		ksft_exit_skip("%s is not there\n", path);
	close(fd);
}

/* Also what may sleep, and without a trace in the log each time */
void fault_allow(void)
{
	mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	set_debugfs("failslab/ignore-gfp-wait", "N");
	set_debugfs("failslab/verbose", "0");
	set_debugfs("fail_page_alloc/ignore-gfp-wait", "N");
	set_debugfs("fail_page_alloc/ignore-gfp-highmem", "N");
	set_debugfs("fail_page_alloc/min-order", "0");
	set_debugfs("fail_page_alloc/verbose", "0");
	set_debugfs("fail_usercopy/verbose", "0");
}
