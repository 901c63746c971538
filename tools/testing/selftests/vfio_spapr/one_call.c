// SPDX-License-Identifier: GPL-2.0
/*
 * One hypercall, or one ioctl, that must not hurt the host. Each test stands
 * for a defect that Linux had: a guest could stop the host or keep its memory
 * for ever with the arguments used here. An argument names the only test to
 * run, as a kernel with the defect may not survive it; one after it the variant.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/leak.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define MIB		0x100000ul
#define MEM_SIZE	(64 * MIB)
#define LIST		(2 * MIB)
#define PAGE		(4 * MIB)
#define LIOBN		1
#define MANY_TABLES	4096

static struct linked guest;

static __s64 put(__u64 ioba, __u64 tce)
{
	return kvm_ppc_hcall(guest.vcpu, H_PUT_TCE, LIOBN, ioba, tce, 0, NULL);
}

/* list_of - H_PUT_TCE_INDIRECT with one entry */
static __s64 list_of(__u64 ioba, __u64 tce)
{
	*(__u64 *)kvm_ppc_mem(&guest.vm, LIST) = htobe64(tce);
	return kvm_ppc_hcall(guest.vcpu, H_PUT_TCE_INDIRECT, LIOBN, ioba, LIST,
			     1, NULL);
}

static unsigned int reach(__u64 ioba, __u64 gpa)
{
	return linked_reach(&guest, ioba, gpa, 0, 0);
}

/*
 * An entry with low bits but no permission is no mapping, whatever else it
 * says: taken it ends the one that was there, refused it leaves it.
 */
static bool test_no_permission(void)
{
	static const __u64 tces[] = { PAGE | 4, PAGE, 4, 0xffc, ~3ul, 0 };
	unsigned int i, found, expected;
	bool ok = true;
	int table;
	__s64 ret;

	linked_open(&guest, false, MEM_SIZE);
	table = linked_table(&guest, LIOBN, 12, guest.start32, 1024);
	for (i = 0; i < ARRAY_SIZE(tces); i++) {
		if (put(guest.start32, PAGE | TCE_RW))
			return false;
		ret = list_of(guest.start32, tces[i]);
		found = reach(guest.start32, PAGE);
		expected = ret ? DMA_READS | DMA_WRITES : 0;
		if (found == expected)
			continue;
		ksft_print_msg("list of %llx: %lld, device can %x\n", tces[i],
			       ret, found);
		ok = false;
	}
	close(table);
	linked_close(&guest);
	return ok;
}

static int put_zeroes(void)
{
	unsigned int i;
	int ret = 0;

	linked_open(&guest, false, MEM_SIZE);
	linked_table(&guest, LIOBN, 12, guest.start32, 1024);
	memset(guest.vm.slots[0].mem + PAGE, 1, MEM_SIZE - PAGE);
	for (i = 0; i < 8; i++)
		ret |= list_of(guest.start32, 0) != H_SUCCESS;
	return ret;
}

static bool lost_nothing(int (*run)(void))
{
	int status;
	long lost = leak_of(run, &status);

	if (lost || status)
		ksft_print_msg("status %d, %ld KiB did not come back\n",
			       status, lost);
	return !lost && !status;
}

/* Zeroes in a list map nothing, so they hold nothing either. */
static bool test_zeroes(void)
{
	return lost_nothing(put_zeroes);
}

/*
 * A table's page larger than the window's, the first part of it in registered
 * memory and the last not: the kernel maps none of it.
 */
static int put_across_end(void)
{
	const __u64 page = 16 * MIB;
	unsigned int i;
	__s64 ret;

	linked_open(&guest, false, MEM_SIZE);
	linked_table(&guest, LIOBN, 24, guest.start32, 4);
	kvm_ppc_slot(&guest.vm, 1, 2 * MEM_SIZE, 2 * page, NULL);
	if (__linked_give(&guest, 1, page + MIB))
		return 1;
	memset(guest.vm.slots[1].mem, 1, 2 * page);

	for (i = 0; i < 4; i++) {
		ret = put(guest.start32, (2 * MEM_SIZE + page) | TCE_RW);
		if (ret == H_SUCCESS)
			return 2;
		if (reach(guest.start32, 2 * MEM_SIZE + page))
			return 3;
	}
	/* What is registered as a whole goes on working */
	if (put(guest.start32, 2 * MEM_SIZE | TCE_RW))
		return 4;
	if (reach(guest.start32 + page - 4096, 2 * MEM_SIZE + page - 4096) !=
	    (DMA_READS | DMA_WRITES))
		return 5;
	return 0;
}

static bool test_across_end(void)
{
	return lost_nothing(put_across_end);
}

/* A table whose end is beyond 2^64, in whatever unit, can't be. */
static bool test_wrap(void)
{
	static const struct {
		unsigned int shift;
		__u64 offset, size;
	} tables[] = {
		{ 12, 1, ~0ul }, { 12, ~0ul, 1 }, { 12, 16, -8ul },
		{ 12, 1ul << 63, 1ul << 63 }, { 16, 1, ~0ul },
		{ 16, -0x2000ul, 0x2001 }, { 34, 1, ~0ul }, { 34, ~0ul, 2 },
	};
	bool ok = true;
	unsigned int i;
	int fd;

	kvm_ppc_vm_init(&guest.vm, false, MEM_SIZE);
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		fd = __kvm_ppc_table(&guest.vm, LIOBN, tables[i].shift,
				     tables[i].offset, tables[i].size);
		if (fd == -EINVAL)
			continue;
		ksft_print_msg("offset %llx size %llx: %d\n", tables[i].offset,
			       tables[i].size, fd);
		ok = false;
		if (fd >= 0)
			close(fd);
	}
	kvm_ppc_vm_close(&guest.vm);
	return ok;
}

#define HUGE_TABLE	(1ull << 32)

static void *stuff_all(void *unused)
{
	struct kvm_ppc_call call = {
		.nr = H_STUFF_TCE, .arg = { LIOBN, 0, 0, HUGE_TABLE },
	};

	__kvm_ppc_calls(guest.vcpu, &call, 1);
	return NULL;
}

static void on_alarm(int sig)
{
}

/* However much a guest asks for, a signal gets its vCPU back soon. */
static bool test_endless(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	pthread_t thread;
	bool ended;
	int table;

	kvm_ppc_vm_init(&guest.vm, false, MEM_SIZE);
	guest.vcpu = kvm_ppc_vcpu(&guest.vm, 0);
	table = __kvm_ppc_table(&guest.vm, LIOBN, 12, 0, HUGE_TABLE);
	if (table < 0) {
		ksft_print_msg("no such table: %d\n", table);
		return false;
	}
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, stuff_all, NULL);
	sleep(1);
	*guest.vcpu->stop = 1;
	pthread_kill(thread, SIGUSR1);

	ended = thread_ends(thread, 60);
	if (!ended) {
		ksft_print_msg("still at it 60 s after the signal\n");
		/* A host that survives this says so itself. */
		pthread_join(thread, NULL);
	}
	close(table);
	kvm_ppc_vm_close(&guest.vm);
	return ended;
}

/*
 * Nor with a list, whose few entries can be pages that are many of the window's.
 */
static bool test_list_signal(void)
{
	const struct itimerval soon = {
		.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000,
	};
	const struct itimerval never = { 0 };
	struct sigaction action = { .sa_handler = on_alarm };
	const unsigned int shift = 28;
	unsigned int i, n, calls = 0;
	__u64 *list;
	__s64 ret;

	linked_open(&guest, false, MEM_SIZE);
	linked_slot(&guest, 1, 1ul << shift, 1ul << shift);
	n = guest.size32 >> shift;
	linked_table(&guest, LIOBN, shift, guest.start32, n);
	list = kvm_ppc_mem(&guest.vm, LIST);
	for (i = 0; i < n; i++)
		list[i] = htobe64(1ul << shift | TCE_RW);

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	/* One call may end between two signals, and is then answered */
	do {
		ret = kvm_ppc_hcall(guest.vcpu, H_PUT_TCE_INDIRECT, LIOBN,
				    guest.start32, LIST, n, NULL);
	} while (ret == H_SUCCESS && ++calls < 10);
	setitimer(ITIMER_REAL, &never, NULL);
	if (ret != KVM_PPC_TO_USER)
		ksft_print_msg("answer %lld in spite of signals\n", ret);
	linked_close(&guest);
	return ret == KVM_PPC_TO_USER;
}

/* The tables that a monitor makes, and walks look at, have an end. */
static bool test_tables(void)
{
	const struct rlimit files = { MANY_TABLES * 2, MANY_TABLES * 2 };
	unsigned int made = 0;
	int ret;

	kvm_ppc_vm_init(&guest.vm, false, MEM_SIZE);
	setrlimit(RLIMIT_NOFILE, &files);
	do {
		ret = __kvm_ppc_table(&guest.vm, made, 12, 0, 1);
	} while (ret >= 0 && ++made <= MANY_TABLES);
	if (ret != -ENOSPC)
		ksft_print_msg("%u tables, then %d\n", made, ret);
	return made == MANY_TABLES && ret == -ENOSPC;
}

static const struct {
	const char *name;
	bool (*run)(void);
	bool needs_device;
} tests[] = {
	{ "no_permission", test_no_permission, true },
	{ "zeroes", test_zeroes, true },
	{ "across_end", test_across_end, true },
	{ "wrap", test_wrap, false },
	{ "endless", test_endless, false },
	{ "list_signal", test_list_signal, true },
	{ "tables", test_tables, false },
};

/* In a process of its own, whose end takes what a test that failed left open */
static bool passes(bool (*run)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		exit(run() ? KSFT_PASS : KSFT_FAIL);
	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFEXITED(status) && WEXITSTATUS(status) == KSFT_PASS;
}

int main(int argc, char **argv)
{
	const char *only, *lacking;
	unsigned int i, n = 0;

	linked_variant(&guest, &argc, argv);
	only = argc > 1 ? argv[1] : NULL;
	ksft_print_header();
	if (!kvm_ppc_has_hv())
		ksft_exit_skip("no KVM\n");
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		n += !only || !strcmp(only, tests[i].name);
	if (!n)
		ksft_exit_fail_msg("what is %s?\n", only);
	ksft_set_plan(n);

	lacking = linked_find(&guest);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (only && strcmp(only, tests[i].name))
			continue;
		if (tests[i].needs_device && lacking)
			ksft_test_result_skip("%s: %s\n", tests[i].name,
					      lacking);
		else
			ksft_test_result(passes(tests[i].run), "%s\n",
					 tests[i].name);
	}
	ksft_finished();
}
