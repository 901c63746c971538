// SPDX-License-Identifier: GPL-2.0
/*
 * System resets while TCE hypercalls are answered:
 *
 *	hcall_system_reset [RESETS]
 *
 * A vCPU makes linked H_PUT_TCE and nothing else, while something outside of the
 * machine raises system resets that the module system_reset takes. Host and
 * guest go on as if nothing had happened: each hypercall gets its answer, no
 * register of the guest changes, the device reaches what was mapped last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/linked.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define MIB		0x100000ul
#define MEM_SIZE	(16 * MIB)
#define PAGE		(4 * MIB)
#define LIOBN		1
#define TCES		512
#define CALLS		64
#define TAKEN		"/sys/module/system_reset/parameters/taken"

static struct linked guest;

static unsigned int taken(void)
{
	unsigned int n = 0;
	FILE *f = fopen(TAKEN, "r");

	if (!f || fscanf(f, "%u", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	unsigned int i, wanted, seconds = 0;
	struct kvm_ppc_spin spin;
	const char *lacking;
	int ret;

	linked_variant(&guest, &argc, argv);
	wanted = argc > 1 ? atoi(argv[1]) : 1;
	ksft_print_header();
	lacking = linked_find(&guest);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);
	if (access(TAKEN, R_OK))
		ksft_exit_skip("no module system_reset\n");

	ksft_set_plan(3);
	transcript_mute(1);
	linked_open(&guest, false, MEM_SIZE);
	linked_table(&guest, LIOBN, 12, guest.start32, TCES);
	for (i = 0; i < CALLS; i++)
		guest.vcpu->calls[i] = (struct kvm_ppc_call){
			.nr = H_PUT_TCE,
			.arg = { LIOBN, guest.start32 + i * 4096,
				 (PAGE + i * 4096) | TCE_RW },
		};
	kvm_ppc_spin_start(&spin, guest.vcpu, CALLS);
	ksft_print_msg("at work\n");
	while (taken() < wanted && seconds++ < 120)
		sleep(1);
	ret = kvm_ppc_spin_stop(&spin);
	ksft_print_msg("%u system resets\n", taken());

	ksft_test_result(taken() >= wanted, "taken by the host\n");
	ksft_test_result(!ret && kvm_ppc_answered(guest.vcpu, CALLS),
			 "guest goes on\n");
	ksft_test_result(linked_reach(&guest, guest.start32 + 4096,
				      PAGE + 4096, 0, 0) ==
			 (DMA_READS | DMA_WRITES), "device\n");
	linked_close(&guest);
	ksft_finished();
}
