// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TCE hypercalls in the guest's context (POWER9 and later)
 *
 * kvmhv_vcpu_entry_p9() calls kvmppc_early_tce_hcall() right after the guest's exit,
 * when only its general registers are saved. KVM then enters the guest again at
 * once. The guest's timers keep running. The hypervisor decrementer, external
 * interrupts and doorbells that arrive meanwhile are taken as soon as the guest
 * runs. So time limits, signals and kicks work as if it had not exited.
 *
 * Only guests with the radix MMU are served. With radix, the kernel's addresses mean
 * the same in all contexts (quadrant 3: partition and process 0). A guest whose
 * performance monitor counts is not served, because it would count the host's work.
 *
 * Translation is on or off, depending on the guest's LPCR[AIL]. So this file and all
 * that it calls are in vmlinux, have no instrumentation, and touch only the linear
 * map, as in real mode.
 *
 * At the exit the paca holds some of the guest's registers, which the next interrupt
 * would overwrite. So save_registers() comes first. At the exit in_guest also sends
 * every interrupt to KVM, which cannot return to the hypervisor
 * (kvmppc_p9_bad_interrupt). So tce_host_handles_nmi() comes next. From then on the
 * host's own handlers take system resets and machine checks, also while firmware
 * waits for a host bridge. If a guest's list of TCEs has a memory error, the
 * hypercall begins again in spapr_tce_exit.c.
 *
 * A kprobe would trap in the guest's context. So the whole path is in .kprobes.text.
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

/* Put it back for the rest of the exit: a trap may have overwritten the paca */
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
 * KVM calls it right after kvmppc_p9_enter_guest(), for every exit.
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
