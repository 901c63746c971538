// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TCE hypercalls at the guest's exit (POWER9 and later)
 *
 * Early. kvmhv_vcpu_entry_p9() calls kvmppc_early_tce_hcall() when only the
 * guest's general registers are saved and everything else is still the guest's.
 * With radix guests translation is on, and the kernel's addresses mean the same
 * in all contexts (quadrant 3: partition and process 0). With hash guests
 * translation is off, as in real mode. So, as there, this file and all that it
 * calls are in vmlinux, without instrumentation, and touch the linear map only.
 *
 * The guest is entered again at once. Its timers go on; the hypervisor
 * decrementer, external interrupts and doorbells that arrived meanwhile are
 * taken as soon as it runs. So the time limit, signals and kicks work as if the
 * guest had run on. A guest whose performance monitor counts is not served here,
 * as it would see the host's events.
 *
 * A machine check or a system reset before the host's state is back is fatal to
 * the host, in firmware's part of the invalidation as well, where the host's
 * context might recover from it. Therefore guest memory is not read: lists are
 * left to virtual mode.
 *
 * Exit. Later, with the host's context loaded but interrupts still disabled,
 * kvmppc_exit_tce_hcall() is called where the hypercalls of XICS are answered.
 * Of a nested guest, H_ENTER_NESTED returns in the host's context: it has no
 * earlier place, and may make hypercalls of its own. Where guests run by
 * H_GUEST_RUN_VCPU this is not called. The guest is entered again with the state
 * that it came out with. A pending interrupt or the time limit, which also
 * announce signals, requests and the scheduler's wishes, bring it out before its
 * next instruction.
 */
#include <linux/export.h>

#include "spapr_tce_make.h"

#define TCE_PLACE	TCE_PLACE_EARLY
#define FNAME(name)	early_##name
#include "spapr_tce_tmpl.h"

#define TCE_PLACE	TCE_PLACE_EXIT
#define FNAME(name)	exit_##name
#include "spapr_tce_tmpl.h"

static __always_inline bool is_tce_hcall(unsigned long req)
{
	return req == H_PUT_TCE || req == H_GET_TCE || req == H_STUFF_TCE;
}

/* Has user space left the hypercall to this kernel? */
static __always_inline bool hcall_enabled(const struct kvm *kvm,
					  unsigned long req)
{
	return kvm->arch.enabled_hcalls[BIT_WORD(req / 4)] & BIT_MASK(req / 4);
}

/*
 * Does the hypercall come from the guest's kernel, outside of a transaction, and
 * is it this kernel's to answer?
 */
static __always_inline bool may_answer(const struct kvm *kvm,
				       unsigned long req, unsigned long msr)
{
	return !(msr & (MSR_PR | MSR_TS_MASK)) && !kvm->arch.secure_guest &&
	       hcall_enabled(kvm, req);
}

static __always_inline long early_answer(struct kvm_vcpu *vcpu,
					 unsigned long req)
{
	const unsigned long *gpr = vcpu->arch.regs.gpr;

	if (req == H_PUT_TCE)
		return early_h_put(vcpu, gpr[4], gpr[5], gpr[6]);
	if (req == H_STUFF_TCE)
		return early_h_stuff(vcpu, gpr[4], gpr[5], gpr[6], gpr[7]);
	return early_h_get(vcpu, gpr[4], gpr[5]);
}

static __always_inline long exit_answer(struct kvm_vcpu *vcpu,
					unsigned long req)
{
	const unsigned long *gpr = vcpu->arch.regs.gpr;

	if (req == H_PUT_TCE)
		return exit_h_put(vcpu, gpr[4], gpr[5], gpr[6]);
	if (req == H_STUFF_TCE)
		return exit_h_stuff(vcpu, gpr[4], gpr[5], gpr[6], gpr[7]);
	return exit_h_get(vcpu, gpr[4], gpr[5]);
}

/* Is the guest's performance monitor frozen, as it is in the host? */
static __always_inline bool pmu_is_frozen(void)
{
	unsigned long mmcr0 = mfspr(SPRN_MMCR0), mmcra = mfspr(SPRN_MMCRA);

	if (!(mmcr0 & MMCR0_FC) || mmcra & MMCRA_SAMPLE_ENABLE)
		return false;
	return !cpu_has_feature(CPU_FTR_ARCH_31) ||
	       (mmcr0 & MMCR0_PMCCEXT && mmcra & MMCRA_BHRB_DISABLE);
}

/* Make kvmppc_p9_enter_guest() return from the guest's system call */
static __always_inline void resume_guest(struct kvm_vcpu *vcpu)
{
	const u64 *exsave = local_paca->exgen;
	struct pt_regs *regs = &vcpu->arch.regs;

	regs->gpr[1] = local_paca->kvm_hstate.scratch1;
	regs->gpr[9] = exsave[EX_R9 / sizeof(u64)];
	regs->gpr[10] = exsave[EX_R10 / sizeof(u64)];
	regs->gpr[11] = exsave[EX_R11 / sizeof(u64)];
	regs->gpr[12] = exsave[EX_R12 / sizeof(u64)];
	regs->gpr[13] = exsave[EX_R13 / sizeof(u64)];
	regs->ctr = exsave[EX_CTR / sizeof(u64)];
	vcpu->arch.ppr = exsave[EX_PPR / sizeof(u64)];
	vcpu->arch.cfar = exsave[EX_CFAR / sizeof(u64)];

	mtspr(SPRN_HSRR0, regs->nip);
	mtspr(SPRN_HSRR1, (vcpu->arch.shregs.msr & ~MSR_HV) | MSR_ME);
}

/**
 * kvmppc_early_tce_hcall() - answer a TCE hypercall in the guest's context
 * @vcpu: the vCPU, with the registers that kvmppc_p9_enter_guest() saves
 *
 * To be called right after kvmppc_p9_enter_guest(), whatever the guest came out
 * for.
 *
 * Context: between a guest's exit and the return of the host's state,
 * interrupts hard-disabled, translation on or off.
 * Return: true if it has been answered and kvmppc_p9_enter_guest() may be
 * called again; else nothing has changed.
 */
bool kvmppc_early_tce_hcall(struct kvm_vcpu *vcpu)
{
	const struct kvmppc_host_state *hstate = &local_paca->kvm_hstate;

	const unsigned long req = hstate->scratch2;
	long ret;

	if (hstate->scratch0 != BOOK3S_INTERRUPT_SYSCALL ||
	    !is_tce_hcall(req) || !pmu_is_frozen() ||
	    !may_answer(vcpu->kvm, req, vcpu->arch.shregs.msr))
		return false;

	spapr_tce_walk_begin(SPAPR_TCE_EARLY);
	ret = early_answer(vcpu, req);
	spapr_tce_walk_end(SPAPR_TCE_EARLY);
	if (ret >= H_TOO_HARD)
		return false;

	vcpu->arch.regs.gpr[3] = ret;
	resume_guest(vcpu);
	return true;
}

/* A nested guest's performance monitor would count the host's events */
static bool nested_guest_counts(void)
{
#ifdef CONFIG_PPC_PSERIES
	return kvmhv_on_pseries() && get_lppaca()->pmcregs_in_use &&
	       !pmu_is_frozen();
#else
	return false;
#endif
}

/**
 * kvmppc_exit_tce_hcall() - answer a TCE hypercall in the host's context
 * @vcpu: the vCPU, which came out for a hypercall, with its registers saved
 * @msr: the guest's MSR
 *
 * Context: the host's timers and MMU are back, interrupts are hard-disabled and
 * RCU need not watch, between guest_state_enter_irqoff() and
 * guest_state_exit_irqoff(). Of a nested guest's host also floating point,
 * vector and storage key registers are still the guest's.
 * Return: true if it has been answered and the guest can go on.
 */
bool kvmppc_exit_tce_hcall(struct kvm_vcpu *vcpu, unsigned long msr)
{
	unsigned long req = vcpu->arch.regs.gpr[3];
	long ret;

	if (!is_tce_hcall(req) || !may_answer(vcpu->kvm, req, msr) ||
	    nested_guest_counts())
		return false;

	/* A hypervisor's window takes locks, and calls of firmware are traced */
	guest_state_exit_irqoff();
	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	ret = exit_answer(vcpu, req);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
	guest_state_enter_irqoff();
	if (ret >= H_TOO_HARD)
		return false;

	vcpu->arch.regs.gpr[3] = ret;
	return true;
}
EXPORT_SYMBOL_GPL(kvmppc_exit_tce_hcall);
