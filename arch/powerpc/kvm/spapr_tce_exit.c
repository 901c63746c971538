// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TCE hypercalls before the host's state is back
 *
 * Real mode (POWER8). Hypercalls of a guest under KVM-HV with the hash MMU
 * arrive in hypervisor real mode and find the functions here through
 * hcall_real_table. Translation is off: only the linear map can be reached, so
 * everything here, and what it calls, is in vmlinux, and what it touches came
 * from the slab or page allocator. There is no instrumentation (Makefile), no
 * tracing, no printk, no lock. The thread may be one that the kernel believes
 * to be offline, and the guest may be another than the one whose runner holds
 * SRCU for the core: so neither RCU nor SRCU protects what is found; the walk
 * of the engine does. Interrupts are hard-disabled, so a walk is not
 * interrupted but by system reset and machine check. One of these while here
 * ends as in any other hypercall of real mode: the host can't go on. What can
 * raise the latter beyond the kernel's own data is one read of guest memory,
 * the list of H_PUT_TCE_INDIRECT.
 *
 * The result goes into the guest's R3 and, for H_GET_TCE, R4; a request that is
 * too hard leaves no trace and takes the way out to virtual mode.
 *
 * Right at the exit (POWER9, POWER10). kvmhv_vcpu_entry_p9() calls
 * kvmppc_early_tce_hcall() when only the guest's general registers are saved
 * and everything else is still the guest's. With radix guests translation is
 * on, and the kernel's addresses mean the same in all contexts (quadrant 3:
 * partition and process 0); with hash guests it is off, as in real mode:
 * linear map only. A guest whose performance monitor counts is not served
 * here, so that it sees none of the host's events. The guest's timers go on,
 * and the hypervisor decrementer, external interrupts and doorbells that came
 * meanwhile are taken as soon as the guest is entered again, so that the time
 * limit, signals and kicks work as if the guest had run on; the work done here
 * is bounded by SPAPR_TCE_LIST_MAX TCEs. A machine check or a system reset
 * before the host's state is back is fatal to the host, in firmware's part of
 * the invalidation as well, where the host's context might recover from it.
 * Therefore guest memory isn't read: lists are left to virtual mode.
 *
 * On the way out. Later, with the host's state back but interrupts still
 * disabled, kvmppc_exit_tce_hcall() is called where the hypercalls of XICS are
 * answered. A nested host has no earlier place: there it is called when
 * H_ENTER_NESTED returns, and may make hypercalls of its own; where guests run
 * by H_GUEST_RUN_VCPU it is not called. The guest is
 * then entered again with the state that it came out with. A pending interrupt
 * or the time limit bring it out at once, before its next instruction; these
 * also announce signals, requests and the scheduler's wishes.
 */
#include <linux/export.h>

#include <asm/asm-prototypes.h>

#include "spapr_tce_hcall.h"

/* Whatever virtual mode could do about it */
static __always_inline long hand_on(long ret)
{
	return ret > H_TOO_HARD ? H_TOO_HARD : ret;
}

/* A list in guest memory that is pinned, copied once into the buffer */
static __always_inline bool
rm_copy_list(const struct kvmppc_spapr_tce_table *table, unsigned long ua,
	     unsigned long npages, u64 *tces)
{
	const __be64 *list;
	unsigned long hpa, i;

	/* It does not cross a 4 KiB page */
	if (!spapr_mem_to_phys(table->mem, ua, ilog2(SZ_4K), &hpa))
		return false;

	list = __va(hpa);
	for (i = 0; i < npages; i++)
		tces[i] = be64_to_cpu(READ_ONCE(list[i]));

	return true;
}

static __always_inline long
rm_put_indirect(struct kvm_vcpu *vcpu, struct kvmppc_spapr_tce_table *table,
		unsigned long ioba, unsigned long tce_list,
		unsigned long npages)
{
	struct kvmppc_spapr_tce_buffer *buffer = vcpu->arch.spapr_tce_buffer;
	unsigned long index, ua;
	long ret;

	ret = tce_check_list(table, ioba, tce_list, npages, &ua);
	if (ret || !npages)
		return ret;
	if (!buffer || !rm_copy_list(table, ua, npages, buffer->tces) ||
	    !tce_index(table, ioba, npages, &index))
		return H_TOO_HARD;

	ret = tce_may_change(tce_links_state(table), npages, TCE_END_REAL);
	if (ret)
		return ret;

	return tce_put_list(table, index, buffer->tces, npages, buffer->list,
			    true, TCE_END_REAL);
}

/**
 * kvmppc_rm_h_put_tce() - H_PUT_TCE in real mode
 * @vcpu: the vCPU that made the hypercall
 * @liobn: R4
 * @ioba: R5
 * @tce: R6
 *
 * Context: hypervisor real mode.
 * Return: what the guest gets, or H_TOO_HARD
 */
long kvmppc_rm_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			 unsigned long ioba, unsigned long tce)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	ret = tce_h_put(vcpu, liobn, ioba, tce, TCE_END_REAL);
	spapr_tce_walk_end(SPAPR_TCE_REAL);

	return hand_on(ret);
}

/**
 * kvmppc_rm_h_put_tce_indirect() - H_PUT_TCE_INDIRECT in real mode
 * @vcpu: the vCPU that made the hypercall
 * @liobn: R4
 * @ioba: R5
 * @tce_list: R6
 * @npages: R7
 *
 * Context: hypervisor real mode.
 * Return: what the guest gets, or H_TOO_HARD
 */
long kvmppc_rm_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
				  unsigned long ioba, unsigned long tce_list,
				  unsigned long npages)
{
	struct kvmppc_spapr_tce_table *table;
	long ret = H_TOO_HARD;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	table = tce_table(vcpu->kvm, liobn, TCE_END_REAL);
	if (table) {
		ret = rm_put_indirect(vcpu, table, ioba, tce_list, npages);
		tce_count(table, TCE_HCALL_PUT_INDIRECT, ret, npages,
			  TCE_END_REAL);
	}
	spapr_tce_walk_end(SPAPR_TCE_REAL);

	return hand_on(ret);
}

/**
 * kvmppc_rm_h_stuff_tce() - H_STUFF_TCE in real mode
 * @vcpu: the vCPU that made the hypercall
 * @liobn: R4
 * @ioba: R5
 * @tce_value: R6
 * @npages: R7
 *
 * Context: hypervisor real mode.
 * Return: what the guest gets, or H_TOO_HARD
 */
long kvmppc_rm_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			   unsigned long ioba, unsigned long tce_value,
			   unsigned long npages)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	ret = tce_h_stuff(vcpu, liobn, ioba, tce_value, npages, TCE_END_REAL);
	spapr_tce_walk_end(SPAPR_TCE_REAL);

	return hand_on(ret);
}

/**
 * kvmppc_rm_h_get_tce() - H_GET_TCE in real mode
 * @vcpu: the vCPU that made the hypercall; its R4 gets the TCE
 * @liobn: R4
 * @ioba: R5
 *
 * Context: hypervisor real mode.
 * Return: what the guest gets, or H_TOO_HARD
 */
long kvmppc_rm_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
			 unsigned long ioba)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	ret = tce_h_get(vcpu, liobn, ioba, TCE_END_REAL);
	spapr_tce_walk_end(SPAPR_TCE_REAL);

	return hand_on(ret);
}

static __always_inline bool is_tce_hcall(unsigned long req)
{
	return req == H_PUT_TCE || req == H_GET_TCE || req == H_STUFF_TCE;
}

/* Is the hypercall left to this kernel, and not to user space? */
static __always_inline bool hcall_enabled(const struct kvm *kvm,
					  unsigned long req)
{
	return kvm->arch.enabled_hcalls[BIT_WORD(req / 4)] & BIT_MASK(req / 4);
}

/* True if a guest that came out for a hypercall has got its answer */
static __always_inline bool answer_exit(struct kvm_vcpu *vcpu,
					unsigned long req, unsigned long msr,
					enum kvmppc_tce_end place)
{
	const unsigned long *gpr = vcpu->arch.regs.gpr;
	long ret;

	/* Not for a guest's user space, and not in a transaction */
	if (msr & (MSR_PR | MSR_TS_MASK) || vcpu->kvm->arch.secure_guest ||
	    !hcall_enabled(vcpu->kvm, req))
		return false;

	spapr_tce_walk_begin(tce_mode(place));
	if (req == H_PUT_TCE)
		ret = tce_h_put(vcpu, gpr[4], gpr[5], gpr[6], place);
	else if (req == H_STUFF_TCE)
		ret = tce_h_stuff(vcpu, gpr[4], gpr[5], gpr[6], gpr[7], place);
	else
		ret = tce_h_get(vcpu, gpr[4], gpr[5], place);
	spapr_tce_walk_end(tce_mode(place));

	if (ret >= H_TOO_HARD)
		return false;

	vcpu->arch.regs.gpr[3] = ret;
	return true;
}

/* Does the guest's performance monitor stand still, as it does in the host? */
static __always_inline bool pmu_is_frozen(void)
{
	unsigned long mmcr0 = mfspr(SPRN_MMCR0), mmcra = mfspr(SPRN_MMCRA);

	if (!(mmcr0 & MMCR0_FC) || mmcra & MMCRA_SAMPLE_ENABLE)
		return false;
	return !cpu_has_feature(CPU_FTR_ARCH_31) ||
	       (mmcr0 & MMCR0_PMCCEXT && mmcra & MMCRA_BHRB_DISABLE);
}

/* Make kvmppc_p9_enter_guest() go on where the guest's system call ended */
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
 * kvmppc_early_tce_hcall() - an exit, which may be a hypercall of TCEs, right
 *	when kvmppc_p9_enter_guest() returns
 * @vcpu: the vCPU, with the registers saved that assembler saves
 *
 * Context: between a guest's exit and the return of the host's state,
 * interrupts hard-disabled, translation on or off.
 * Return: true if it has been answered and kvmppc_p9_enter_guest() may be
 * called again; else nothing has changed.
 */
bool kvmppc_early_tce_hcall(struct kvm_vcpu *vcpu)
{
	const struct kvmppc_host_state *hstate = &local_paca->kvm_hstate;

	if (hstate->scratch0 != BOOK3S_INTERRUPT_SYSCALL ||
	    !is_tce_hcall(hstate->scratch2) || !pmu_is_frozen() ||
	    !answer_exit(vcpu, hstate->scratch2, vcpu->arch.shregs.msr,
			 TCE_END_EARLY))
		return false;

	resume_guest(vcpu);
	return true;
}

/* A nested guest's performance monitor is not told host from guest */
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
 * kvmppc_exit_tce_hcall() - a hypercall, which may be one of TCEs, on the way
 *	out of the guest
 * @vcpu: the vCPU, with its registers saved
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
	bool answered;

	if (!is_tce_hcall(req))
		return false;

	if (nested_guest_counts())
		return false;

	/* A window of the hypervisor's has locks, firmware calls tracepoints */
	guest_state_exit_irqoff();
	answered = answer_exit(vcpu, req, msr, TCE_END_EXIT);
	guest_state_enter_irqoff();

	return answered;
}
EXPORT_SYMBOL_GPL(kvmppc_exit_tce_hcall);
