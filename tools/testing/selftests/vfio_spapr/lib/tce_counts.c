// SPDX-License-Identifier: GPL-2.0
/* The kernel's counts of TCE hypercalls, see tce_counts.h. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tce_counts.h"
#include "../../kselftest.h"

const char *const tce_end_names[TCE_NR_ENDS] = {
	"real", "early", "exit", "virtual", "user", "refused",
};

static FILE *open_counts(const struct kvm_ppc_vm *vm)
{
	struct dirent *entry;
	char path[320], name[64];
	FILE *f = NULL;
	DIR *dir = opendir("/sys/kernel/debug/kvm");

	snprintf(name, sizeof(name), "%d-%d", getpid(), vm->fd);
	while (dir && !f && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, name))
			continue;
		snprintf(path, sizeof(path),
			 "/sys/kernel/debug/kvm/%s/spapr_tce", entry->d_name);
		f = fopen(path, "r");
	}
	if (dir)
		closedir(dir);
	if (!f)
		ksft_exit_fail_msg("no spapr_tce of the guest in debugfs\n");
	return f;
}

/* Any order of the fields will do */
struct tce_counts tce_counts(const struct kvm_ppc_vm *vm, __u64 liobn,
			     const char *hcall)
{
	struct tce_counts c = { 0 };
	char line[2048], want[32], *at, *field;
	FILE *f = open_counts(vm);
	int i;

	snprintf(want, sizeof(want), "liobn=%llx ", liobn);
	while ((at = fgets(line, sizeof(line), f)))
		if (!strncmp(line, want, strlen(want)))
			break;
	fclose(f);
	snprintf(want, sizeof(want), " %s ", hcall);
	at = at ? strstr(at, want) : NULL;
	if (!at)
		ksft_exit_fail_msg("no line of %llx and %s\n", liobn, hcall);
	for (i = 0; i < TCE_NR_ENDS; i++) {
		snprintf(want, sizeof(want), " %s=", tce_end_names[i]);
		field = strstr(at, want);
		if (!field || sscanf(field + strlen(want), "%lu/%lu",
				     &c.requests[i], &c.tces[i]) != 2)
			ksft_exit_fail_msg("no count of %s\n",
					   tce_end_names[i]);
	}
	return c;
}
