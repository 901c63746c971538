// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors in a list of TCEs:
 *
 *	hcall_memory_error [ERRORS]
 *
 * A vCPU makes H_PUT_TCE_INDIRECT and nothing else, while something outside of
 * the machine has the loads from its list fail where the list is read early.
 * The request is answered further on then, and host and guest go on.
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

static struct linked guest;

/* Lists that were not answered early, where all are that can be read */
static unsigned long failed(void)
{
	return tce_counts(&guest.vm, LIOBN,
			  "H_PUT_TCE_INDIRECT").requests[TCE_EXIT];
}

static bool answered(const struct kvm_ppc_vcpu *vcpu)
{
	unsigned int i;

	for (i = 0; i < CALLS; i++)
		if (vcpu->calls[i].ret)
			return false;
	return !vcpu->handed && !vcpu->mangled;
}

int main(int argc, char **argv)
{
	unsigned int i, wanted = argc > 1 ? atoi(argv[1]) : 1, seconds = 0;
	struct tce_counts counts;
	struct kvm_ppc_spin spin;
	__u64 *list;
	int ret;

	ksft_print_header();
	if (!kvm_ppc_has_hv())
		ksft_exit_skip("no KVM\n");
	if (!testbed_find(&guest.bed))
		ksft_exit_skip("no devices\n");

	ksft_set_plan(3);
	transcript_mute(1);
	linked_open(&guest, false, MEM_SIZE);
	linked_table(&guest, LIOBN, 12, guest.start32, TCES);
	list = kvm_ppc_mem(&guest.vm, LIST);
	for (i = 0; i < LENGTH; i++)
		list[i] = htobe64((PAGE + i * 4096) | TCE_RW);
	for (i = 0; i < CALLS; i++)
		guest.vcpu->calls[i] = (struct kvm_ppc_call){
			.nr = H_PUT_TCE_INDIRECT,
			.arg = { LIOBN, guest.start32 + i * LENGTH * 4096,
				 LIST, LENGTH },
		};
	kvm_ppc_spin_start(&spin, guest.vcpu, CALLS);
	ksft_print_msg("at work\n");
	while (failed() < wanted && seconds++ < 120)
		sleep(1);
	ret = kvm_ppc_spin_stop(&spin);
	counts = tce_counts(&guest.vm, LIOBN, "H_PUT_TCE_INDIRECT");
	for (i = 0; i < TCE_NR_ENDS; i++)
		ksft_print_msg("%s: %lu\n", tce_end_names[i],
			       counts.requests[i]);

	ksft_test_result(failed() == wanted, "errors are handed on\n");
	ksft_test_result(!ret && answered(guest.vcpu), "guest goes on\n");
	ksft_test_result(linked_reach(&guest, guest.start32 + 4096,
				      PAGE + 4096, 0, 0) ==
			 (EDU_READS | EDU_WRITES), "device\n");
	linked_close(&guest);
	ksft_finished();
}
