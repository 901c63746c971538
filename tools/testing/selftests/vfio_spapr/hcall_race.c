// SPDX-License-Identifier: GPL-2.0
/*
 * Hypercalls against all that can happen to what they use, for a bounded time:
 *
 *	hcall_race [SECONDS a race] [VARIANT]
 *
 * Several vCPUs make TCE hypercalls without leaving the guest more than these
 * need, while the monitor links and unlinks, closes and removes. Each race runs
 * in a process of its own; what it had pinned or allocated must have come back
 * when it has ended.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/leak.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define MIB		0x100000ul
#define MEM_SIZE	(16 * MIB)
#define LIST		(2 * MIB)
#define PAGES		(4 * MIB)
#define TCES		512
#define LIOBN		1
#define CALLS		256

/* A slot that comes and goes */
#define MEM1		(64 * MIB)
#define MEM1_SIZE	(8 * MIB)

static struct linked guest;
static struct testbed *const bed = &guest.bed;
static int table;
static unsigned int seconds = 2;
static unsigned int nvcpus;
static struct kvm_ppc_spin spins[KVM_PPC_MAX_VCPUS];

static bool time_left(time_t *end)
{
	if (!*end)
		*end = time(NULL) + seconds;
	return time(NULL) < *end;
}

static __u64 some_page(unsigned int *seed)
{
	__u64 base = rand_r(seed) % 2 ? PAGES : MEM1;

	return base + (rand_r(seed) % (4 * MIB / 4096)) * 4096ul;
}

static void fill_list(void)
{
	__u64 *list = kvm_ppc_mem(&guest.vm, LIST);
	unsigned int i, seed = 7;

	for (i = 0; i < 512; i++)
		list[i] = htobe64(some_page(&seed) | TCE_RW);
}

static struct kvm_ppc_call some_call(unsigned int *seed)
{
	const unsigned int at = rand_r(seed) % TCES;
	const unsigned int n = 1 + rand_r(seed) % (TCES - at);
	const __u64 ioba = guest.start32 + at * 4096ul;

	switch (rand_r(seed) % 8) {
	case 0:
		return (struct kvm_ppc_call){
			.nr = H_STUFF_TCE, .arg = { LIOBN, ioba, 0, n },
		};
	case 1:
		return (struct kvm_ppc_call){
			.nr = H_PUT_TCE_INDIRECT,
			.arg = { LIOBN, ioba, LIST, n },
		};
	case 2:
		return (struct kvm_ppc_call){
			.nr = H_GET_TCE, .arg = { LIOBN, ioba },
		};
	}
	return (struct kvm_ppc_call){
		.nr = H_PUT_TCE,
		.arg = { LIOBN, ioba, some_page(seed) |
			 rand_r(seed) % 4 },
	};
}

static void spin_all(void)
{
	unsigned int i, j, seed;
	struct kvm_ppc_vcpu *vcpu;

	fill_list();
	/* As monitors do: a vCPU added to a running guest may miss its MMU */
	for (i = 0; i < nvcpus; i++)
		kvm_ppc_vcpu(&guest.vm, i + 1);
	for (i = 0; i < nvcpus; i++) {
		vcpu = kvm_ppc_vcpu(&guest.vm, i + 1);
		seed = i;
		for (j = 0; j < CALLS; j++)
			vcpu->calls[j] = some_call(&seed);
		kvm_ppc_spin_start(&spins[i], vcpu, CALLS);
	}
}

static int stop_all(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nvcpus; i++)
		ret |= kvm_ppc_spin_stop(&spins[i]);
	for (i = 0; i < nvcpus; i++)
		if (spins[i].vcpu->mangled)
			ret = -EPROTO;
	return ret;
}

/* begin - a guest linked to the device's group, all its vCPUs at work */
static void begin(void)
{
	transcript_mute(1);
	linked_open(&guest, false, MEM_SIZE);
	linked_slot(&guest, 1, MEM1, MEM1_SIZE);
	memset(guest.vm.slots[1].mem, 0, MEM1_SIZE);
	table = linked_table(&guest, LIOBN, 12, guest.start32, TCES);
	spin_all();
}

/* Whether the kernel answers H_PUT_TCE, and the device reaches that page */
static bool link_works(void)
{
	return kvm_ppc_hcall(guest.vcpu, H_PUT_TCE, LIOBN, guest.start32,
			     PAGES | TCE_RW, 0, NULL) == H_SUCCESS &&
	       linked_reach(&guest, guest.start32, PAGES, 0, 0) ==
	       (DMA_READS | DMA_WRITES);
}

/*
 * end - all vCPUs stop, and a link that there is works as it did before the race;
 * with the window empty no memory is held, and the device reaches nothing.
 */
static int end(bool linked)
{
	struct kvm_ppc_slot *slot = guest.vm.slots;
	int i, ret = stop_all();

	if (linked && !link_works()) {
		ksft_print_msg("the link does not work any more\n");
		ret |= 4;
	}
	linked_empty(&guest, TCES * 4096ul);
	for (i = 0; i < 8; i++)
		if (dma_reach(&bed->dma[0], guest.start32 + i * 61 * 4096,
			      slot[0].mem + PAGES, 0, NULL))
			ret |= 1;
	for (i = 0; i < 2; i++)
		if (__linked_take(&guest, i))
			ret |= 2;
	vfio_close(&table);
	linked_close(&guest);
	return ret & 0xff;
}

static int link_again(void)
{
	return linked_link(&guest, table);
}

static int race_unlink(void)
{
	time_t until = 0;
	int ret = 0;

	begin();
	while (!ret && time_left(&until))
		ret = linked_del(&guest) ?: linked_add(&guest) ?: link_again();
	return end(!ret) ?: -ret;
}

static int race_table_close(void)
{
	time_t until = 0;
	int ret = 0;

	begin();
	while (!ret && time_left(&until)) {
		close(table);
		table = kvm_ppc_table(&guest.vm, LIOBN, 12,
				      guest.start32 >> 12, TCES);
		ret = link_again();
	}
	return end(!ret) ?: -ret;
}

static int race_window(void)
{
	bool window = true;
	time_t until = 0;
	int ret = 0;

	begin();
	while (!ret && time_left(&until)) {
		ret = linked_remove_window(&guest);
		if (ret)
			break;
		window = !linked_make_window(&guest);
		if (!window)
			break;		/* a partition has it only once */
		ret = link_again();
	}
	if (!window && !testbed_is_partition())
		ret = -ENOSPC;
	return end(window && !ret) ?: -ret;
}

static int race_memory(void)
{
	time_t until = 0;
	int ret = 0;

	begin();
	while (!ret && time_left(&until))
		if (!__linked_take(&guest, 1))
			ret = __linked_give(&guest, 1, MEM1_SIZE);
	return end(!ret) ?: -ret;
}

static int race_slots(void)
{
	void *mem;
	time_t until = 0;
	int i = 0;

	begin();
	mem = guest.vm.slots[1].mem;
	while (time_left(&until)) {
		kvm_ppc_slot(&guest.vm, 1, MEM1, 0, mem);
		kvm_ppc_slot(&guest.vm, 1, i++ % 2 ? MEM1 : MEM1 + 4 * MIB,
			     MEM1_SIZE, mem);
	}
	return end(true);
}

static int race_list(void)
{
	static const __u64 bits[] = { TCE_RW, 0, 4, 0x200, TCE_READ, ~0ul };
	time_t until = 0;
	__u64 *list;
	unsigned int i, seed = 3;

	begin();
	list = kvm_ppc_mem(&guest.vm, LIST);
	while (time_left(&until))
		for (i = 0; i < 4096; i++)
			list[rand_r(&seed) % 512] =
				htobe64(some_page(&seed) |
					bits[rand_r(&seed) % ARRAY_SIZE(bits)]);
	return end(true);
}

/* reopen - the device's files again, after it has been taken away */
static int reopen(void)
{
	linked_del(&guest);
	linked_again(&guest);
	return linked_add(&guest) ?: link_again();
}

static int race_unbind(void)
{
	time_t until = 0;
	int i, ret = 0;

	begin();
	while (!ret && time_left(&until)) {
		linked_close_device(&guest);
		for (i = 0; i < 2; i++)
			pci_unbind(bed->address[i]);
		for (i = 0; i < 2; i++)
			pci_bind(bed->address[i], "vfio-pci");
		ret = reopen();
	}
	return end(!ret) ?: -ret;
}

static int race_kill(void)
{
	time_t until = 0;
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		return 1;
	while (time_left(&until)) {
		pid = fork();
		if (!pid) {
			begin();
			usleep(20 * 1000);
			if (write(ready[1], "", 1) == 1)
				pause();
			_exit(1);
		}
		if (read(ready[0], &byte, 1) != 1)
			return 1;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

/*
 * A hypercall that sleeps: its list is in a page that user space has yet to
 * supply. Meanwhile the table or the link goes away. A kernel that does not
 * sleep there hands the hypercall to user space, which is as well.
 */
static __s64 sleeper_ret;

static void *sleeper(void *unused)
{
	sleeper_ret = kvm_ppc_hcall(guest.vcpu, H_PUT_TCE_INDIRECT, LIOBN,
				    guest.start32, MEM1, 16, NULL);
	return NULL;
}

static volatile bool taken;

static void *take_table(void *unused)
{
	vfio_close(&table);
	taken = true;
	return NULL;
}

static void *take_group(void *unused)
{
	linked_del(&guest);
	taken = true;
	return NULL;
}

static void *take_slot(void *unused)
{
	__kvm_ppc_slot(&guest.vm, 1, MEM1, 0, NULL);
	taken = true;
	return NULL;
}

static void supply(int fd, void *mem)
{
	const size_t size = sysconf(_SC_PAGESIZE);
	__u64 *page = aligned_alloc(size, size);
	struct uffdio_copy copy = {
		.dst = (unsigned long)mem,
		.src = (unsigned long)page,
		.len = size,
	};
	int i;

	memset(page, 0, size);
	for (i = 0; i < 16; i++)
		page[i] = htobe64((PAGES + i * 4096) | TCE_RW);
	if (ioctl(fd, UFFDIO_COPY, &copy))
		ksft_exit_fail_msg("UFFDIO_COPY: %s\n", strerror(errno));
	free(page);
}

/* Whether the hypercall waits for the page; else it has been answered */
static bool waits_for_page(struct pollfd *fault, pthread_t asleep)
{
	while (poll(fault, 1, 100) != 1)
		if (!pthread_tryjoin_np(asleep, NULL))
			return false;
	return true;
}

static int sleep_and(void *(*take)(void *))
{
	struct pollfd fault = { .events = POLLIN };
	pthread_t asleep, taker;
	void *slot;
	bool gone;
	int ret = 0;

	transcript_mute(1);
	linked_open(&guest, false, MEM_SIZE);
	/* Not registered, so not pinned and not there yet */
	kvm_ppc_slot(&guest.vm, 1, MEM1, MEM1_SIZE, NULL);
	slot = guest.vm.slots[1].mem;
	table = linked_table(&guest, LIOBN, 12, guest.start32, TCES);
	fault.fd = pages_withhold((unsigned long)slot, MEM1_SIZE);

	pthread_create(&asleep, NULL, sleeper, NULL);
	if (!waits_for_page(&fault, asleep)) {
		linked_close(&guest);
		return sleeper_ret != KVM_PPC_TO_USER;
	}
	pthread_create(&taker, NULL, take, NULL);
	usleep(500 * 1000);
	gone = taken;
	supply(fault.fd, slot);
	pthread_join(asleep, NULL);
	pthread_join(taker, NULL);

	if (gone && take == take_table && sleeper_ret == H_SUCCESS)
		ret = 1;
	if (gone && linked_reach(&guest, guest.start32, PAGES, 0, 0))
		ret = 2;
	/* Who is told that a slot has gone may use its addresses for others */
	if (gone && take == take_slot)
		ret = 3;
	close(fault.fd);
	vfio_close(&table);
	linked_close(&guest);
	return ret;
}

static int sleeping_table_close(void)
{
	return sleep_and(take_table);
}

static int sleeping_unlink(void)
{
	return sleep_and(take_group);
}

static int sleeping_slot(void)
{
	return sleep_and(take_slot);
}

static const struct {
	const char *name;
	int (*run)(void);
} races[] = {
	{ "unlink", race_unlink },
	{ "table_close", race_table_close },
	{ "window", race_window },
	{ "memory", race_memory },
	{ "slots", race_slots },
	{ "unbind", race_unbind },
	{ "kill", race_kill },
	{ "sleeping_table_close", sleeping_table_close },
	{ "sleeping_unlink", sleeping_unlink },
	{ "sleeping_slot", sleeping_slot },
	/* Fatal on some kernels, therefore the last */
	{ "list", race_list },
};

int main(int argc, char **argv)
{
	const char *lacking;
	unsigned int i;
	int status;
	long lost;

	linked_variant(&guest, &argc, argv);
	ksft_print_header();
	lacking = linked_find(&guest);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);
	if (argc > 1)
		seconds = atoi(argv[1]);
	nvcpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (nvcpus > 4)
		nvcpus = 4;

	ksft_set_plan(ARRAY_SIZE(races));
	for (i = 0; i < ARRAY_SIZE(races); i++) {
		lost = leak_of(races[i].run, &status);
		if (lost || status)
			ksft_print_msg("status %d, %ld KiB did not come back\n",
				       status, lost);
		ksft_test_result(!lost && !status, "%s\n", races[i].name);
	}
	ksft_finished();
}
