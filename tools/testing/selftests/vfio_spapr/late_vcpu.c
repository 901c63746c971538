// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs that are created while others run.
 *
 * Each guest starts with one vCPU; the next are added at the moment when its
 * first KVM_RUN sets up the MMU. All of them have to get through their code.
 */
#include <stdlib.h>
#include <unistd.h>

#include "lib/kvm_ppc.h"
#include "../kselftest.h"

#define MEM_SIZE	(16ul * 1024 * 1024)
#define GUESTS		10
#define VCPUS		4

static int run_guest(void)
{
	struct kvm_ppc_spin spins[VCPUS];
	struct kvm_ppc_vm vm;
	struct kvm_ppc_vcpu *vcpu;
	int i, ret = 0;

	kvm_ppc_vm_init(&vm, false, MEM_SIZE);
	for (i = 0; i < VCPUS; i++) {
		vcpu = kvm_ppc_vcpu(&vm, i + 1);
		vcpu->calls[0] = (struct kvm_ppc_call){ .nr = H_GET_TCE };
		kvm_ppc_spin_start(&spins[i], vcpu, 1);
	}
	for (i = 0; i < VCPUS; i++)
		ret = kvm_ppc_spin_stop(&spins[i]) ?: ret;
	kvm_ppc_vm_close(&vm);
	kvm_ppc_vm_free(&vm);
	return ret;
}

int main(void)
{
	int i, ret;

	ksft_print_header();
	if (!kvm_ppc_has_hv())
		ksft_exit_skip("no KVM\n");
	ksft_set_plan(GUESTS);
	for (i = 0; i < GUESTS; i++) {
		ret = run_guest();
		ksft_test_result(!ret, "guest %d\n", i);
	}
	ksft_finished();
}
