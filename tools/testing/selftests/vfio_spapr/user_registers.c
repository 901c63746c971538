// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_RUN leaves the floating-point and vector registers of its caller alone,
 * those that a function call preserves at least.
 *
 * What else runs on the CPU is what can go wrong: here a thread that shares it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/kvm_ppc.h"

#define MEM_SIZE	(16ul * 1024 * 1024)
#define RUNS		3000

/* f14 to f31, and v20 to v31, which are vs52 to vs63 */
#define NR_FPRS	18
#define NR_VRS	12

struct registers {
	__u64 fpr[NR_FPRS];
	__u64 vr[NR_VRS][2];
};

/* Callers of set() and get() keep no values of their own there */
static inline __attribute__((always_inline)) void not_mine(void)
{
	asm volatile("" : : : "fr14", "fr15", "fr16", "fr17", "fr18", "fr19",
		     "fr20", "fr21", "fr22", "fr23", "fr24", "fr25", "fr26",
		     "fr27", "fr28", "fr29", "fr30", "fr31", "v20", "v21",
		     "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
		     "v30", "v31");
}

static void __attribute__((noinline)) set(const struct registers *r)
{
	const void *vr = r->vr;

	asm volatile(".set nr, 14\n"
		     ".rept 18\n"
		     "lfd nr, (nr - 14) * 8(%0)\n"
		     ".set nr, nr + 1\n"
		     ".endr" : : "b" (r->fpr) : "memory");
	asm volatile(".set nr, 52\n"
		     ".rept 12\n"
		     "lxvd2x nr, 0, %0\n"
		     "addi %0, %0, 16\n"
		     ".set nr, nr + 1\n"
		     ".endr" : "+b" (vr) : : "memory");
}

static void __attribute__((noinline)) get(struct registers *r)
{
	void *vr = r->vr;

	asm volatile(".set nr, 14\n"
		     ".rept 18\n"
		     "stfd nr, (nr - 14) * 8(%0)\n"
		     ".set nr, nr + 1\n"
		     ".endr" : : "b" (r->fpr) : "memory");
	asm volatile(".set nr, 52\n"
		     ".rept 12\n"
		     "stxvd2x nr, 0, %0\n"
		     "addi %0, %0, 16\n"
		     ".set nr, nr + 1\n"
		     ".endr" : "+b" (vr) : : "memory");
}

static volatile bool stop;

static void *compete(void *arg)
{
	while (!stop)
		sched_yield();
	return NULL;
}

FIXTURE(user_registers) {
	struct kvm_ppc_vm vm;
	pthread_t competitor;
	cpu_set_t cpus;
	bool ready;
};

FIXTURE_VARIANT(user_registers) {
	bool pr;
};

FIXTURE_VARIANT_ADD(user_registers, hv) {
	.pr = false,
};

FIXTURE_VARIANT_ADD(user_registers, pr) {
	.pr = true,
};

FIXTURE_SETUP(user_registers)
{
	if (variant->pr ? !kvm_ppc_has_pr() : !kvm_ppc_has_hv())
		SKIP(return, "no such KVM");
	kvm_ppc_vm_init(&self->vm, variant->pr, MEM_SIZE);
	CPU_ZERO(&self->cpus);
	CPU_SET(sched_getcpu(), &self->cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(self->cpus), &self->cpus));
	stop = false;
	ASSERT_EQ(0, pthread_create(&self->competitor, NULL, compete, NULL));
	self->ready = true;
}

FIXTURE_TEARDOWN(user_registers)
{
	if (!self->ready)
		return;
	stop = true;
	pthread_join(self->competitor, NULL);
	kvm_ppc_vm_close(&self->vm);
	kvm_ppc_vm_free(&self->vm);
}

TEST_F(user_registers, survive)
{
	struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&self->vm, 1);
	struct registers mine, now;
	unsigned int run, lost = 0;

	memset(&mine, 0x5a, sizeof(mine));
	for (run = 0; run < RUNS; run++) {
		not_mine();
		set(&mine);
		kvm_ppc_hcall(vcpu, H_GET_TCE, 1, 0, 0, 0, NULL);
		get(&now);
		not_mine();
		lost += !!memcmp(&mine, &now, sizeof(mine));
	}
	EXPECT_EQ(0, lost);
}

TEST_HARNESS_MAIN
