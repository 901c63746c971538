// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors in a guest's list of TCEs:
 *
 *	hcall_memory_error [ERRORS [LENGTH...]] [VARIANT]
 *
 * A vCPU repeats H_PUT_TCE_INDIRECT. From outside the machine,
 * early_memory_error.py makes loads from the list fail ERRORS times. Each failed
 * request must be answered at a later place (spapr_tce.h). Host and guest must go
 * on. The test repeats this for each LENGTH of the list.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/linked.h"
#include "lib/tce_counts.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define MIB		0x100000ul
#define MEM_SIZE	(16 * MIB)
#define LIST		(2 * MIB)
#define PAGE		(4 * MIB)
#define LIOBN		1
#define TCES		512
#define LENGTH		64
#define CALLS		8
#define SECONDS		120

static struct linked guest;

static struct tce_counts lists(void)
{
	return tce_counts(&guest.vm, LIOBN, "H_PUT_TCE_INDIRECT");
}

/* Lists that the place after the first has answered */
static unsigned long handed_on(void)
{
	struct tce_counts counts = lists();

	return counts.requests[TCE_EXIT] + counts.requests[TCE_VIRTUAL];
}

static void set_up(unsigned int length)
{
	__u64 *list = kvm_ppc_mem(&guest.vm, LIST);
	unsigned int i;

	for (i = 0; i < length; i++)
		list[i] = htobe64((PAGE + i * 4096) | TCE_RW);
	/* The first long one is answered in virtual mode, which allocates */
	kvm_ppc_hcall(guest.vcpu, H_PUT_TCE_INDIRECT, LIOBN, guest.start32,
		      LIST, length, NULL);
	for (i = 0; i < CALLS; i++)
		guest.vcpu->calls[i] = (struct kvm_ppc_call){
			.nr = H_PUT_TCE_INDIRECT,
			.arg = { LIOBN, guest.start32 + i * length * 4096,
				 LIST, length },
		};
}

static void test(unsigned int wanted, unsigned int length)
{
	unsigned int seconds = 0, i;
	struct tce_counts counts;
	struct kvm_ppc_spin spin;
	unsigned long before;
	int ret;

	set_up(length);
	before = handed_on();
	kvm_ppc_spin_start(&spin, guest.vcpu, CALLS);
	ksft_print_msg("at work %u\n", length);
	while (handed_on() - before < wanted && seconds++ < SECONDS)
		sleep(1);
	ret = kvm_ppc_spin_stop(&spin);
	counts = lists();
	for (i = 0; i < TCE_NR_ENDS; i++)
		ksft_print_msg("%s: %lu\n", tce_end_names[i],
			       counts.requests[i]);

	ksft_test_result(handed_on() - before == wanted,
			 "%u TCEs: errors are handed on\n", length);
	ksft_test_result(!ret && kvm_ppc_answered(guest.vcpu, CALLS),
			 "%u TCEs: guest goes on\n", length);
	ksft_test_result(linked_reach(&guest, guest.start32 + 4096,
				      PAGE + 4096, 0, 0) ==
			 (DMA_READS | DMA_WRITES), "%u TCEs: device\n",
			 length);
}

int main(int argc, char **argv)
{
	const char *lacking;
	unsigned int wanted;
	int i;

	linked_variant(&guest, &argc, argv);
	wanted = argc > 1 ? atoi(argv[1]) : 1;
	ksft_print_header();
	lacking = linked_find(&guest);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);

	ksft_set_plan(argc > 2 ? 3 * (argc - 2) : 3);
	transcript_mute(1);
	linked_open(&guest, false, MEM_SIZE);
	linked_table(&guest, LIOBN, 12, guest.start32, TCES);
	for (i = 2; i < argc; i++)
		test(wanted, atoi(argv[i]));
	if (argc <= 2)
		test(wanted, LENGTH);
	linked_close(&guest);
	ksft_finished();
}
