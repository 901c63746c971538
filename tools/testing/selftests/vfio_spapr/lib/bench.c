// SPDX-License-Identifier: GPL-2.0
/* Counting what an operation costs, see bench.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bench.h"

/* In the memory that belongs to lib/kvm_ppc */
#define GUEST_CODE	0xc000ul

/* 64 bit, little endian, real mode */
#define GUEST_MSR	0x8000000000001003ul

/* Unassigned hypercalls. All have been made: */
#define H_DONE		0xf000
/* None has been counted yet: */
#define H_BEFORE	0xf008

/*
 * A thread that has used its vector registers gets them loaded at each return
 * to user space, until it has not used them for 255 returns. Whatever the
 * program did last, they are not loaded when counting begins.
 */
#define VECTORS_FORGOTTEN	300

/*
 * r14: hypercall  r15 to r18: its arguments  r19, r20: steps of r16 and r17
 * r21: or of the results  r22: how many  r23: of H_BEFORE
 * KVM keeps r14 to r31 over a hypercall.
 */
asm(".pushsection .rodata\n"
	"	.balign 4\n"
	"bench_guest_counted:\n"
	"	li	3,0\n"
	"	ori	3,3,0xf008\n"
	"	sc	1\n"
	"	addic.	23,23,-1\n"
	"	bne	bench_guest_counted\n"
	"	xori	26,26,0\n"
	"bench_guest:\n"
	"	mr	3,14\n"
	"	mr	4,15\n"
	"	mr	5,16\n"
	"	mr	6,17\n"
	"	mr	7,18\n"
	"	sc	1\n"
	"	or	21,21,3\n"
	"	add	16,16,19\n"
	"	add	17,17,20\n"
	"	addic.	22,22,-1\n"
	"	bne	bench_guest\n"
	"	xori	27,27,0\n"
	"1:	li	3,0\n"
	"	ori	3,3,0xf000\n"
	"	sc	1\n"
	"	b	1b\n"
	"bench_guest_end:\n"
	"	.popsection\n");

extern const __u32 bench_guest_counted[], bench_guest[], bench_guest_end[];

static const char *only;

void bench_choose(const char *operation)
{
	only = operation;
	setvbuf(stdout, NULL, _IOLBF, 0);
}

bool bench_wanted(const char *operation)
{
	return !only || !strcmp(only, operation);
}

void bench_counted(const char *operation, const char *unit, unsigned long n)
{
	printf("count %s %s %lu\n", operation, unit, n);
}

void bench_require(bool good, const char *operation, const char *what,
		   long got)
{
	if (good)
		return;
	fprintf(stderr, "# %s: %s: %ld\n", operation, what, got);
	exit(1);
}

/* KVM_RUN, again where it was interrupted */
static void run(struct kvm_ppc_vcpu *vcpu)
{
	while (ioctl(vcpu->fd, KVM_RUN, 0))
		bench_require(errno == EINTR || errno == EAGAIN, "KVM_RUN",
			      "errno", errno);
	bench_require(vcpu->run->exit_reason == KVM_EXIT_PAPR_HCALL, "KVM_RUN",
		      "exit", vcpu->run->exit_reason);
}

__s64 bench_make_calls(struct kvm_ppc_vcpu *vcpu,
		       const struct bench_calls *calls, bool counted)
{
	size_t size = (bench_guest_end - bench_guest_counted) * sizeof(__u32);
	char *code = kvm_ppc_mem(vcpu->vm, GUEST_CODE);
	struct kvm_run *shared = vcpu->run;
	struct kvm_regs regs = {
		.pc = GUEST_CODE,
		.msr = GUEST_MSR,
		.gpr = {
			[14] = calls->nr, calls->arg[0], calls->arg[1],
			calls->arg[2], calls->arg[3], calls->step[0],
			calls->step[1], 0, calls->n, VECTORS_FORGOTTEN,
		},
	};

	if (memcmp(code, bench_guest_counted, size)) {
		memcpy(code, bench_guest_counted, size);
		__builtin___clear_cache(code, code + size);
	}
	if (!counted)
		regs.pc += (bench_guest - bench_guest_counted) * sizeof(__u32);
	bench_require(!ioctl(vcpu->fd, KVM_SET_REGS, &regs), "KVM_SET_REGS",
		      "errno", errno);

	for (run(vcpu); shared->papr_hcall.nr != H_DONE; run(vcpu)) {
		if (!calls->answer || shared->papr_hcall.nr == H_BEFORE)
			shared->papr_hcall.ret = H_SUCCESS;
		else
			shared->papr_hcall.ret =
				calls->answer((const __u64 *)shared->papr_hcall.args,
					      calls->data);
	}

	bench_require(!ioctl(vcpu->fd, KVM_GET_REGS, &regs), "KVM_GET_REGS",
		      "errno", errno);
	return regs.gpr[21];
}
