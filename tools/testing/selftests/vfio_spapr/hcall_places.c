// SPDX-License-Identifier: GPL-2.0
/*
 * Where TCE hypercalls are answered, by the kernel's own count: the file
 * spapr_tce in the guest's debugfs folder. On POWER8 real mode answers them,
 * on POWER9 and later the kernel does before it is back in the host's context,
 * as far as that can be; what can't be done there ends correctly further on.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/linked.h"
#include "lib/tce_counts.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define MIB		0x100000ul
#define MEM_SIZE	(16 * MIB)
#define LIST		(2 * MIB)
#define PAGE		(4 * MIB)
#define HOLE		(64 * MIB)
#define FREE_MEM	(32 * MIB)
#define FREE_SIZE	MIB
#define LINKED		1
#define UNLINKED	2
#define TCES		0x8000
#define ROUNDS		100
#define TRACED		"/sys/kernel/tracing/events/kvm_hv/kvm_hcall_enter/enable"

/* A page of the guest's view has as many TCEs as fit into it, at most this */
#define VIEW_TCES	0x2000

static struct linked guest;

/*
 * moved - the same hypercall ROUNDS times: true if all of them were answered
 * at places in the mask @where
 */
static bool moved(__u64 nr, const char *name, __u64 liobn, __u64 ioba, __u64 b,
		  __u64 n, unsigned int where)
{
	struct tce_counts before, after;
	unsigned long requests = 0, tces = 0;
	unsigned int i;

	/* The first time may make what the others find. */
	kvm_ppc_hcall(guest.vcpu, nr, liobn, ioba, b, n, NULL);
	before = tce_counts(&guest.vm, liobn, name);
	for (i = 0; i < ROUNDS; i++)
		if (kvm_ppc_hcall(guest.vcpu, nr, liobn, ioba, b, n, NULL))
			return false;
	after = tce_counts(&guest.vm, liobn, name);
	for (i = 0; i < TCE_NR_ENDS; i++) {
		after.requests[i] -= before.requests[i];
		after.tces[i] -= before.tces[i];
		if (after.requests[i])
			ksft_print_msg("%s of %llx: %s %lu/%lu\n", name, liobn,
				       tce_end_names[i], after.requests[i],
				       after.tces[i]);
		if (!(where >> i & 1))
			continue;
		requests += after.requests[i];
		tces += after.tces[i];
	}
	return requests == ROUNDS && tces == ROUNDS * n;
}

/* @lists is where lists are answered */
static void test_table(const char *which, __u64 liobn, __u64 ioba,
		       unsigned int where, unsigned int lists)
{
	__u64 *list = kvm_ppc_mem(&guest.vm, LIST);
	int i;

	for (i = 0; i < 512; i++)
		list[i] = htobe64((PAGE + i * 0x1000) | TCE_RW);
	ksft_test_result(moved(H_PUT_TCE, "H_PUT_TCE", liobn, ioba,
			       PAGE | TCE_RW, 1, where),
			 "H_PUT_TCE, %s\n", which);
	ksft_test_result(moved(H_GET_TCE, "H_GET_TCE", liobn, ioba, 0, 1,
			       where | 1 << TCE_EARLY | 1 << TCE_EXIT),
			 "H_GET_TCE, %s\n", which);
	ksft_test_result(moved(H_STUFF_TCE, "H_STUFF_TCE", liobn, ioba, 0, 512,
			       where),
			 "H_STUFF_TCE, %s\n", which);
	ksft_test_result(moved(H_PUT_TCE_INDIRECT, "H_PUT_TCE_INDIRECT", liobn,
			       ioba, LIST, 512, lists),
			 "H_PUT_TCE_INDIRECT, %s\n", which);
}

/* counted - one H_PUT_TCE more at @place and nowhere else, with this answer */
static bool counted(__u64 ioba, __u64 tce, __s64 answer, int place)
{
	struct tce_counts before = tce_counts(&guest.vm, LINKED, "H_PUT_TCE"), after;
	__s64 ret = kvm_ppc_hcall(guest.vcpu, H_PUT_TCE, LINKED, ioba, tce, 0,
				  NULL);
	int i;

	after = tce_counts(&guest.vm, LINKED, "H_PUT_TCE");
	for (i = 0; i < TCE_NR_ENDS; i++)
		if (after.requests[i] - before.requests[i] != (i == place ? 1 : 0))
			return false;
	return ret == answer;
}

/* What has to be populated, and what the kernel can't or won't do */
static bool test_further_on(void)
{
	const __u64 ioba = guest.start32 + ((__u64)3 * VIEW_TCES << 12);

	return counted(ioba, PAGE | TCE_RW, H_SUCCESS, TCE_VIRTUAL) &&
	       linked_reach(&guest, ioba, PAGE, 0, 0) ==
			(DMA_READS | DMA_WRITES) &&
	       counted(ioba, HOLE | TCE_RW, KVM_PPC_TO_USER, TCE_USER) &&
	       counted(ioba + 1, PAGE | TCE_RW, H_PARAMETER, TCE_REFUSED);
}

static bool cpuinfo_has(const char *what)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, what);
	if (f)
		fclose(f);
	return found;
}

/*
 * A list in memory that is not registered, hence not pinned: there it is read as
 * the process has it mapped, where that is possible.
 */
static void test_unregistered(unsigned int where)
{
	__u64 *list;
	int i;

	kvm_ppc_slot(&guest.vm, 1, FREE_MEM, FREE_SIZE, NULL);
	list = kvm_ppc_mem(&guest.vm, FREE_MEM);
	for (i = 0; i < 512; i++)
		list[i] = htobe64((PAGE + i * 0x1000) | TCE_RW);
	ksft_test_result(moved(H_PUT_TCE_INDIRECT, "H_PUT_TCE_INDIRECT",
			       UNLINKED, 0, FREE_MEM, 512, where),
			 "H_PUT_TCE_INDIRECT, list not registered\n");
}

/* A tracer sees all hypercalls: none is answered before virtual mode then. */
static void test_traced(unsigned int where)
{
	int fd;

	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	fd = open(TRACED, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1) {
		ksft_test_result_skip("traced: no tracepoints\n");
		return;
	}
	ksft_test_result(moved(H_PUT_TCE, "H_PUT_TCE", LINKED, guest.start32,
			       PAGE | TCE_RW, 1, where), "traced\n");
	if (write(fd, "0", 1) != 1)
		ksft_print_msg("tracing goes on\n");
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned int where, unregistered = 1 << TCE_VIRTUAL;
	unsigned int traced = 1 << TCE_VIRTUAL;
	const char *lacking;

	linked_variant(&guest, &argc, argv);
	kvm_ppc_hash = argc > 1 && !strcmp(argv[1], "hash");
	ksft_print_header();
	lacking = linked_find(&guest);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);
	if (!cpuinfo_has("PowerNV")) {
		/* The host's context is there when H_ENTER_NESTED returns. */
		where = 1 << TCE_EXIT;
	} else if (cpuinfo_has("POWER8")) {
		where = 1 << TCE_REAL;
		traced = where;
	} else {
		/* Early a hash guest's MMU would be no good to an NMI's handler. */
		where = kvm_ppc_hash ? 1 << TCE_EXIT : 1 << TCE_EARLY;
		unregistered = 1 << TCE_EXIT;
	}

	ksft_set_plan(11);
	transcript_mute(1);
	linked_open(&guest, false, MEM_SIZE);
	linked_table(&guest, LINKED, 12, guest.start32, TCES);
	kvm_ppc_table(&guest.vm, UNLINKED, 12, 0, TCES);
	test_table("linked", LINKED, guest.start32, where, where);
	/* Without a link nothing leads to what an iommufd has pinned */
	test_table("not linked", UNLINKED, 0, where,
		   guest.nested ? unregistered : where);
	test_unregistered(unregistered);
	test_traced(traced);
	ksft_test_result(test_further_on(), "further on\n");
	linked_close(&guest);
	ksft_finished();
}
