// SPDX-License-Identifier: GPL-2.0
/*
 * The engine's tracepoints (events/spapr_tce): what a monitor does with windows,
 * mappings and links is seen through tracefs, with the addresses that it used;
 * and nothing is seen while they are off.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/linked.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define MIB		0x100000ul
#define MEM_SIZE	(16 * MIB)
#define PAGE		(4 * MIB)
#define LIOBN		0x71234
#define TCES		512
#define TRACING		"/sys/kernel/tracing/"
#define EVENTS		TRACING "events/spapr_tce/enable"
#define TRACE		TRACING "trace"

static struct linked guest;

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/* How many lines of the trace have @event and @fields */
static unsigned int traced(const char *event, const char *fields)
{
	unsigned int found = 0;
	char line[512], name[64];
	FILE *f = fopen(TRACE, "r");

	snprintf(name, sizeof(name), " %s: ", event);
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, name))
			continue;
		ksft_print_msg("%s", strstr(line, name) + 1);
		if (strstr(line, fields))
			found++;
	}
	if (f)
		fclose(f);
	return found;
}

static void test_map(void)
{
	void *mem = kvm_ppc_mem(&guest.vm, PAGE);
	char fields[128];

	write_file(TRACE, "\n");
	container_map(guest.bed.container, (__u64)mem, guest.start32, 0x3000,
		      READ_WRITE);
	container_unmap(guest.bed.container, guest.start32, 0x2000);
	snprintf(fields, sizeof(fields),
		 "bus=0x%llx ua=0x%llx size=0x3000 perm=rw ret=0\n",
		 guest.start32, (__u64)mem);
	ksft_test_result(traced("spapr_tce_map", fields) == 1, "map\n");
	snprintf(fields, sizeof(fields), "bus=0x%llx size=0x2000 ret=0\n",
		 guest.start32);
	ksft_test_result(traced("spapr_tce_unmap", fields) == 1, "unmap\n");

	/* Memory that is not registered */
	write_file(TRACE, "\n");
	container_map(guest.bed.container, (__u64)mem + MEM_SIZE,
		      guest.start32, 0x1000, READ_ONLY);
	ksft_test_result(traced("spapr_tce_map",
				"size=0x1000 perm=r- ret=-22\n") == 1,
			 "map that fails\n");
}

static void test_link(void)
{
	int table;

	write_file(TRACE, "\n");
	table = linked_table(&guest, LIOBN, 12, guest.start32, TCES);
	ksft_test_result(traced("spapr_tce_link", "liobn=0x71234 group=") == 1,
			 "link\n");
	/* Before its link is made, walks have been waited for */
	ksft_test_result(traced("spapr_tce_quiesce", "ns=") > 0,
			 "wait for walks\n");

	write_file(TRACE, "\n");
	close(table);
	ksft_test_result(traced("spapr_tce_unlink",
				"liobn=0x71234 group=") == 1, "unlink\n");
}

static void test_window(void)
{
	char fields[128];
	__u64 start = 0;
	long ret;

	write_file(TRACE, "\n");
	/* A page of TCEs: smaller tables are rounded up */
	ret = container_create_window(guest.bed.container, 16, 512 * MIB, 1,
				      &start);
	snprintf(fields, sizeof(fields),
		 "bus=0x%llx size=0x20000000 page=0x10000\n", start);
	if (ret)
		ksft_print_msg("TCE_CREATE: %ld\n", ret);
	else
		container_remove_window(guest.bed.container, start);
	ksft_test_result(!ret &&
			 traced("spapr_tce_window_create", fields) == 1 &&
			 traced("spapr_tce_window_close", fields) == 1,
			 "window\n");
}

static void test_off(void)
{
	if (!write_file(EVENTS, "0"))
		ksft_print_msg("tracing goes on\n");
	write_file(TRACE, "\n");
	container_unmap(guest.bed.container, guest.start32, 0x3000);
	ksft_test_result(!traced("spapr_tce_unmap", "bus="), "off\n");
}

int main(void)
{
	const char *lacking;

	ksft_print_header();
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (access(EVENTS, W_OK))
		ksft_exit_skip("no tracepoints\n");
	lacking = linked_find(&guest);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);

	ksft_set_plan(8);
	transcript_mute(1);
	linked_open(&guest, false, MEM_SIZE);
	if (!write_file(EVENTS, "1"))
		ksft_exit_fail_msg("events cannot be enabled\n");
	test_map();
	test_link();
	test_window();
	test_off();
	linked_close(&guest);
	ksft_finished();
}
