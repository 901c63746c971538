// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that means harm: hypercalls with any LIOBN, bus address, TCE, list
 * and count, for a bounded time:
 *
 *	hostile [SECONDS [SEED]]
 *
 * The host stays up. The device reaches none of the memory that the monitor
 * has registered with the container and not given to the guest, and the table
 * of another guest keeps what it had.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define MIB		0x100000ul
#define MEM_SIZE	(16 * MIB)
#define LISTS		(2 * MIB)
#define MEM1		(1ul << 40)
#define MEM1_SIZE	MIB
#define TCES		4096
#define OTHER_LIOBN	9
#define CALLS		512
#define PROBES		24

/* What the monitor keeps for itself, and the other guest's only entry */
#define SECRET_SIZE	(4 * MIB)
#define SECRET		0x7a
#define OTHER_TCE	0x123000ul

static struct linked guest;
static struct kvm_ppc_vm other;
static unsigned char *secret;
static __u64 *other_view;
static time_t until;
static __u64 start64;

static __u64 any64(unsigned int *seed)
{
	return (__u64)rand_r(seed) << 42 ^ (__u64)rand_r(seed) << 21 ^
	       rand_r(seed);
}

/* any - one of the values that mean something, or any at all */
static __u64 any(unsigned int *seed, const __u64 *some, unsigned int n)
{
	__u64 value = some[rand_r(seed) % n];

	switch (rand_r(seed) % 8) {
	case 0:
		return any64(seed);
	case 1:
		return value ^ 1ul << rand_r(seed) % 64;
	case 2:
		return value + rand_r(seed) % 16 - 8;
	}
	return value;
}

static __u64 any_liobn(unsigned int *seed)
{
	const __u64 liobns[] = { 1, 2, 3, 1, 2, 3, OTHER_LIOBN, 0, -1ul };

	return any(seed, liobns, ARRAY_SIZE(liobns));
}

static __u64 any_ioba(unsigned int *seed)
{
	const __u64 entry = rand_r(seed) % TCES;
	const __u64 iobas[] = {
		guest.start32 + (entry << 12), guest.start32 + (entry << 16),
		start64 + (entry << 16), guest.start32 + ((TCES - 1) << 12),
		start64 + ((TCES - 1) << 16),
	};

	return any(seed, iobas, ARRAY_SIZE(iobas));
}

static __u64 any_page(unsigned int *seed)
{
	const __u64 pages[] = {
		(rand_r(seed) % (MEM_SIZE >> 12)) << 12,
		(rand_r(seed) % (MEM_SIZE >> 16)) << 16,
		MEM1 + ((rand_r(seed) % (MEM1_SIZE >> 12)) << 12),
		MEM_SIZE, MEM_SIZE - 0x1000, MEM1 + MEM1_SIZE,
	};

	return any(seed, pages, ARRAY_SIZE(pages));
}

static __u64 any_tce(unsigned int *seed)
{
	return any_page(seed) | rand_r(seed) % 4;
}

static __u64 any_count(unsigned int *seed)
{
	const __u64 counts[] = {
		0, 1, 2, rand_r(seed) % 512, 512, 513, TCES, TCES + 1, -1ul,
	};

	return any(seed, counts, ARRAY_SIZE(counts));
}

static __u64 any_list(unsigned int *seed)
{
	if (rand_r(seed) % 4)
		return LISTS + (rand_r(seed) % 16) * 0x1000;
	return any_page(seed);
}

static struct kvm_ppc_call any_call(unsigned int *seed)
{
	const __u64 liobn = any_liobn(seed), ioba = any_ioba(seed);

	switch (rand_r(seed) % 4) {
	case 0:
		return (struct kvm_ppc_call){
			.nr = H_PUT_TCE_INDIRECT,
			.arg = { liobn, ioba, any_list(seed), any_count(seed) },
		};
	case 1:
		return (struct kvm_ppc_call){
			.nr = H_STUFF_TCE,
			.arg = { liobn, ioba, rand_r(seed) % 2 ? 0 :
				 any_tce(seed), any_count(seed) },
		};
	case 2:
		return (struct kvm_ppc_call){
			.nr = H_GET_TCE, .arg = { liobn, ioba },
		};
	}
	return (struct kvm_ppc_call){
		.nr = H_PUT_TCE, .arg = { liobn, ioba, any_tce(seed) },
	};
}

/* attack - one vCPU, until the time is over; lists change under the others */
static void *attack(void *arg)
{
	struct kvm_ppc_vcpu *vcpu = arg;
	unsigned int seed = (vcpu - guest.vm.vcpus) * 7919 + until;
	struct kvm_ppc_call calls[CALLS];
	__u64 *lists = kvm_ppc_mem(&guest.vm, LISTS);
	int i;

	while (time(NULL) < until) {
		for (i = 0; i < 512; i++)
			lists[rand_r(&seed) % (16 * 512)] =
				htobe64(any_tce(&seed));
		for (i = 0; i < CALLS; i++)
			calls[i] = any_call(&seed);
		if (__kvm_ppc_calls(vcpu, calls, CALLS))
			return arg;
	}
	return NULL;
}

static bool attack_all(unsigned int n)
{
	pthread_t threads[KVM_PPC_MAX_VCPUS];
	bool ok = true;
	void *failed;
	unsigned int i;

	for (i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, attack,
			       kvm_ppc_vcpu(&guest.vm, i));
	for (i = 0; i < n; i++) {
		pthread_join(threads[i], &failed);
		ok &= !failed && !guest.vm.vcpus[i].mangled;
	}
	return ok;
}

/* The device writes wherever it can; what is not the guest's stays as it is. */
static bool secret_kept(unsigned int seed)
{
	unsigned long i;

	for (i = 0; i < PROBES; i++)
		dma_store(&guest.bed.dma[0], any_ioba(&seed) & ~0xffful, 0,
			  DMA_BUFFER_SIZE);
	for (i = 0; i < SECRET_SIZE; i++)
		if (secret[i] != SECRET)
			return false;
	return true;
}

static bool other_kept(void)
{
	int i;

	for (i = 1; i < TCES; i++)
		if (other_view[i])
			return false;
	return other_view[0] == OTHER_TCE;
}

static void other_guest(void)
{
	int table;

	kvm_ppc_vm_init(&other, false, MEM_SIZE);
	table = kvm_ppc_table(&other, OTHER_LIOBN, 12, 0, TCES);
	other_view = mmap(NULL, TCES * 8, PROT_READ, MAP_SHARED, table, 0);
	kvm_ppc_hcall(kvm_ppc_vcpu(&other, 0), H_PUT_TCE, OTHER_LIOBN, 0,
		      OTHER_TCE, 0, NULL);
}

int main(int argc, char **argv)
{
	unsigned int n = sysconf(_SC_NPROCESSORS_ONLN);
	const char *lacking;
	unsigned int seed;
	long ret = 0;

	linked_variant(&guest, &argc, argv);
	seed = argc > 2 ? atoi(argv[2]) : 1;
	ksft_print_header();
	lacking = linked_find(&guest);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);
	ksft_set_plan(3);

	other_guest();
	transcript_mute(1);
	linked_open(&guest, false, MEM_SIZE);
	linked_slot(&guest, 1, MEM1, MEM1_SIZE);
	start64 = linked_window(&guest, page_shift(), 512 * MIB);
	linked_table(&guest, 1, 12, guest.start32, TCES);
	linked_table(&guest, 2, 16, start64, TCES);
	kvm_ppc_table(&guest.vm, 3, 12, guest.start32 >> 12, TCES);

	secret = mmap(NULL, SECRET_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(secret, SECRET, SECRET_SIZE);
	if (!guest.nested)
		ret = container_register(guest.bed.container, (__u64)secret,
					 SECRET_SIZE);
	VFIO_REQUIRE(!ret, "REGISTER_MEMORY: %ld", ret);

	until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	ksft_test_result(attack_all(n > 4 ? 4 : n), "the guest lives\n");
	ksft_test_result(secret_kept(seed), "the monitor's memory\n");
	ksft_test_result(other_kept(), "the other guest's table\n");

	linked_close(&guest);
	ksft_finished();
}
