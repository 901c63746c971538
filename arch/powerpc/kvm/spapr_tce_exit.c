// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TCE hypercalls on the way out of the guest (POWER9 and later)
 *
 * kvmppc_exit_tce_hcall() is called where the hypercalls of XICS are answered,
 * with the host's context loaded but interrupts still disabled. For a nested guest
 * it is called when H_ENTER_NESTED or H_GUEST_RUN_VCPU returns. Such a guest has no
 * earlier place, and answering may make hypercalls.
 *
 * The guest is entered again with the state that it came out with. A pending
 * interrupt or the time limit, which also announce signals, requests and the need
 * to reschedule, bring it out before its next instruction.
 */
#include <linux/export.h>
#include "spapr_tce_make.h"
#include "spapr_tce_exit.h"
#include "book3s_hv.h"

/*
 * Copy a list from guest memory: pinned, or as the process has it mapped. In a
 * nested guest's host the latter would overwrite the guest's AMR.
 */
static bool exit_copy_list(const struct kvmppc_spapr_tce_table *table,
			   const struct tce_list *list, unsigned long npages,
			   u64 *tces)
{
	unsigned long i;

	if (tce_copy_list(table, list, npages, tces))
		return true;
	if (kvmhv_on_pseries() ||
	    copy_from_user_nofault(tces, (void __user *)list->ua,
				   npages * sizeof(*tces)))
		return false;

	for (i = 0; i < npages; i++)
		be64_to_cpus(&tces[i]);
	return true;
}

/*
 * Does anything follow whether this CPU is in the guest? RCU and lockdep need not
 * be told of the way out and back otherwise. To enter guest state also notes a
 * quiescent state for RCU, which costs more than the rest of a short hypercall. The
 * next tick brings the guest out and one is noted then.
 */
static __always_inline bool guest_state_is_tracked(void)
{
	return IS_ENABLED(CONFIG_TRACE_IRQFLAGS) ||
	       context_tracking_enabled_this_cpu();
}

#define TCE_PLACE	TCE_PLACE_EXIT
#define FNAME(name)	exit_##name
#define TCE_COPY_LIST	exit_copy_list
#define TCE_BY_NUMBER
#include "spapr_tce_tmpl.h"

/* A nested guest's performance monitor would count the host's events */
static bool nested_guest_counts(void)
{
#ifdef CONFIG_PPC_PSERIES
	return kvmhv_on_pseries() && get_lppaca()->pmcregs_in_use &&
	       !tce_pmu_is_frozen();
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
	const bool tracked = guest_state_is_tracked();
	unsigned long req = vcpu->arch.regs.gpr[3];
	long ret;

	if (!tce_is_hcall(req) || !tce_may_answer(vcpu, msr) ||
	    nested_guest_counts())
		return false;

	/* A hypervisor's window takes locks, and calls of firmware are traced */
	if (tracked)
		guest_state_exit_irqoff();
	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	ret = exit_answer(vcpu, req);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
	if (tracked)
		guest_state_enter_irqoff();
	if (ret >= H_TOO_HARD)
		return false;

	vcpu->arch.regs.gpr[3] = ret;
	return true;
}
EXPORT_SYMBOL_GPL(kvmppc_exit_tce_hcall);

/**
 * kvmppc_nestedv2_tce_hcall() - answer a TCE hypercall after H_GUEST_RUN_VCPU
 * @vcpu: the vCPU, which came out for a hypercall
 *
 * Context: as for kvmppc_exit_tce_hcall().
 * Return: true if it has been answered and the guest can go on.
 */
bool kvmppc_nestedv2_tce_hcall(struct kvm_vcpu *vcpu)
{
	unsigned int gpr;

	/* The outer hypervisor has passed R3 to R12 */
	if (kvmhv_nestedv2_cached_reload(vcpu, KVMPPC_GSID_GPR(3)) < 0 ||
	    !tce_is_hcall(vcpu->arch.regs.gpr[3]))
		return false;
	for (gpr = 4; gpr <= 7; gpr++)
		if (kvmhv_nestedv2_cached_reload(vcpu,
						 KVMPPC_GSID_GPR(gpr)) < 0)
			return false;

	/*
	 * The MSR would have to be asked for. It passes on no hypercall from
	 * user space, and its processors have no transactions.
	 */
	if (!kvmppc_exit_tce_hcall(vcpu, 0))
		return false;

	kvmhv_nestedv2_mark_dirty(vcpu, KVMPPC_GSID_GPR(3));
	return true;
}
EXPORT_SYMBOL_GPL(kvmppc_nestedv2_tce_hcall);
