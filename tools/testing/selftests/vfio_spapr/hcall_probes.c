// SPDX-License-Identifier: GPL-2.0
/*
 * No kprobe can be put on code that answers TCE hypercalls in real mode or in a
 * guest's context. A trap there would end the host, or overwrite registers of
 * the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../kselftest.h"

#define TRACING		"/sys/kernel/tracing"
#define EVENTS		TRACING "/kprobe_events"

/*
 * Functions by name, or by the beginning of it where the name ends in "*": all
 * that spapr_tce_early.c, spapr_tce_real.c and put.c compile to, and what these
 * call. The compiler inlines none of them.
 */
static const char *const forbidden[] = {
	"kvmppc_early_tce_hcall",
	"early_check_links*",
	"early_indirect_general*",
	"early_make_large*",
	"early_put_general*",
	"early_put_indirect*",
	"early_stuff",
	"early_stuff_some*",
	"early_undo*",
	"real_check_links*",
	"real_indirect_general*",
	"real_make_large*",
	"real_put_general*",
	"real_stuff_some*",
	"real_undo*",
	"kvmppc_rm_h_put_tce",
	"kvmppc_rm_h_put_tce_indirect",
	"kvmppc_rm_h_stuff_tce",
	"kvmppc_rm_h_get_tce",
	"spapr_tce_put",
	"spapr_tce_try_put",
	"spapr_tce_store",
	"spapr_tce_clear",
	"spapr_tce_window_ready",
	"spapr_tce_address",
	"spapr_tce_kill",
	"confirm_clear*",
	"pnv_phb3_tce_kill_rm",
	"pnv_opal_tce_kill_early",
	"copy_mc_generic",
	"__opal_call",
	"opal_return",
};

/* What runs in the host's context can be probed */
static const char *const allowed[] = {
	"kvmppc_h_put_tce",
	"kvmppc_exit_tce_hcall",
};

static bool matches(const char *symbol, const char *name)
{
	size_t n = strlen(name);

	if (name[n - 1] == '*')
		return !strncmp(symbol, name, n - 1);
	return !strcmp(symbol, name);
}

/* The kernel's function of that name, with what the compiler added to it */
static bool find_symbol(const char *name, char *symbol, size_t size)
{
	char line[512], found[256], type;
	FILE *f = fopen("/proc/kallsyms", "r");
	bool is = false;

	while (f && !is && fgets(line, sizeof(line), f))
		is = sscanf(line, "%*s %c %255s", &type, found) == 2 &&
		     (type == 't' || type == 'T') && matches(found, name);
	if (f)
		fclose(f);
	if (is)
		snprintf(symbol, size, "%s", found);
	return is;
}

static int command(const char *format, const char *symbol)
{
	char text[320];
	int fd = open(EVENTS, O_WRONLY | O_APPEND), ret = 0, n;

	n = snprintf(text, sizeof(text), format, symbol);
	if (fd < 0 || write(fd, text, n) != n)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

static void test(const char *name, bool may)
{
	char symbol[256];
	int ret;

	/* One that goes by another name now would go untested */
	if (!find_symbol(name, symbol, sizeof(symbol))) {
		ksft_test_result_fail("%s: no such function\n", name);
		return;
	}

	ret = command("p:vfio_spapr/probe %s", symbol);
	if (!ret)
		command("-:vfio_spapr/probe%s", "");
	ksft_test_result(may ? !ret : ret == -EINVAL, "%s %s\n", name,
			 may ? "can be probed" : "can't be probed");
}

int main(void)
{
	unsigned int i;

	ksft_print_header();
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (access(EVENTS, W_OK))
		ksft_exit_skip("no CONFIG_KPROBE_EVENTS\n");

	ksft_set_plan(ARRAY_SIZE(forbidden) + ARRAY_SIZE(allowed));
	for (i = 0; i < ARRAY_SIZE(forbidden); i++)
		test(forbidden[i], false);
	for (i = 0; i < ARRAY_SIZE(allowed); i++)
		test(allowed[i], true);
	ksft_finished();
}
