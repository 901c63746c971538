// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TCE hypercalls right at the guest's exit (POWER9 and later)
 *
 * kvmhv_vcpu_entry_p9() calls kvmppc_early_tce_hcall() when only the guest's
 * general registers are saved and everything else is still the guest's. The
 * guest is entered again at once. Its timers go on; the hypervisor decrementer,
 * external interrupts and doorbells that arrived meanwhile are taken as soon as
 * it runs. So the time limit, signals and kicks work as if the guest had run on.
 * A guest whose performance monitor counts is not served here, as it would see
 * the host's events.
 *
 * Guests with the radix MMU only. The kernel's addresses then mean the same in
 * all contexts (quadrant 3: partition and process 0), with translation on and,
 * in the linear map, off. Translation may be off, depending on the guest's
 * LPCR[AIL]. So, as in real mode, this file and all that it calls are in
 * vmlinux, without instrumentation, and touch the linear map only.
 *
 * Traps. At the exit some of the guest's registers lie in the paca, where the
 * next trap would overwrite them, and in_guest sends every interrupt to KVM,
 * which can't return to the hypervisor (kvmppc_p9_bad_interrupt). Therefore
 * save_registers() comes first, and nothing of the guest is left in the paca.
 * Then tce_host_handles_nmi() makes system reset and machine check what they are
 * in the host. So while a request is answered, also while firmware waits for a
 * host bridge, they are as survivable as in the host, and a memory error in a
 * guest's list is left to the next place. What runs before and after that can't
 * be probed, nor can the rest of the path, because probes would run in the
 * guest's context: it is all in .kprobes.text.
 */
#include <linux/kprobes.h>

#include "spapr_tce_make.h"
#include "spapr_tce_exit.h"
#include "spapr_tce_nmi.h"

#define TCE_PLACE	TCE_PLACE_EARLY
#define FNAME(name)	early_##name
#define TCE_COPY_LIST	tce_copy_list
#define TCE_BY_NUMBER
#include "spapr_tce_tmpl.h"

/* Take over what the exit left in the paca, before the next trap */
static __always_inline void save_registers(struct kvm_vcpu *vcpu)
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
}

/* Put it back for the rest of the exit, whatever trapped meanwhile */
static __always_inline void unsave_registers(const struct kvm_vcpu *vcpu)
{
	const struct pt_regs *regs = &vcpu->arch.regs;
	u64 *exsave = local_paca->exgen;

	exsave[EX_R9 / sizeof(u64)] = regs->gpr[9];
	exsave[EX_R10 / sizeof(u64)] = regs->gpr[10];
	exsave[EX_R11 / sizeof(u64)] = regs->gpr[11];
	exsave[EX_R12 / sizeof(u64)] = regs->gpr[12];
	exsave[EX_R13 / sizeof(u64)] = regs->gpr[13];
	exsave[EX_CTR / sizeof(u64)] = regs->ctr;
	exsave[EX_PPR / sizeof(u64)] = vcpu->arch.ppr;
	exsave[EX_CFAR / sizeof(u64)] = vcpu->arch.cfar;
}

/**
 * kvmppc_early_tce_hcall() - answer a TCE hypercall in the guest's context
 * @vcpu: the vCPU, with the registers that kvmppc_p9_enter_guest() saves
 *
 * To be called right after kvmppc_p9_enter_guest(), whatever the reason for the
 * exit.
 *
 * Context: between a guest's exit and the return of the host's state,
 * interrupts hard-disabled, translation on or off.
 * Return: true if it has been answered and kvmppc_p9_enter_guest() may be
 * called again; else the guest's registers are as they were.
 */
bool __kprobes kvmppc_early_tce_hcall(struct kvm_vcpu *vcpu)
{
	const struct kvmppc_host_state *hstate = &local_paca->kvm_hstate;
	const unsigned long req = hstate->scratch2;
	struct tce_nmi_saved saved;
	long ret;

	if (hstate->scratch0 != BOOK3S_INTERRUPT_SYSCALL ||
	    !tce_is_hcall(req) || !kvm_is_radix(vcpu->kvm) ||
	    !tce_may_answer(vcpu, vcpu->arch.shregs.msr) ||
	    !tce_pmu_is_frozen())
		return false;

	save_registers(vcpu);
	saved = tce_host_handles_nmi();
	spapr_tce_walk_begin(SPAPR_TCE_EARLY);
	ret = early_answer(vcpu, req);
	spapr_tce_walk_end(SPAPR_TCE_EARLY);
	tce_kvm_handles_nmi();
	tce_restore_srr(vcpu);
	/* A system reset's handler may have got interrupts of its own */
	mtspr(SPRN_DAR, saved.dar);
	mtspr(SPRN_DSISR, saved.dsisr);
	if (tce_nmi_left_work())
		tce_restore_decrementer(&saved);
	if (ret >= H_TOO_HARD) {
		/*
		 * At the exit only more lists can be read. @req is read
		 * again: to keep it would cost each hypercall a register.
		 */
		if (local_paca->kvm_hstate.scratch2 != H_PUT_TCE_INDIRECT)
			vcpu->arch.spapr_tce_at_exit = false;
		unsave_registers(vcpu);
		return false;
	}

	vcpu->arch.regs.gpr[3] = ret;
	mtspr(SPRN_HSRR0, vcpu->arch.regs.nip);
	mtspr(SPRN_HSRR1, (vcpu->arch.shregs.msr & ~MSR_HV) | MSR_ME);
	return true;
}
