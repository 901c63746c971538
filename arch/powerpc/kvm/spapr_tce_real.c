// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TCE hypercalls in real mode (POWER8)
 *
 * Hypercalls of a guest under KVM-HV with the hash MMU arrive in hypervisor real
 * mode and find these functions through hcall_real_table. Translation is off, so
 * only the linear map can be reached: this file and all that it calls are in
 * vmlinux, and all that it touches comes from the slab or page allocator. There
 * is no instrumentation (Makefile), no tracing, no printk and no lock.
 *
 * The thread may be one that the kernel believes to be offline, and the guest
 * may be another than the one whose runner holds SRCU for the core. So neither
 * RCU nor SRCU protects what is found; the walk of the engine does.
 *
 * Interrupts are hard-disabled: only system reset and machine check interrupt a
 * walk, and the host does not survive them, as in any other hypercall of real
 * mode. The exception is H_PUT_TCE_INDIRECT, which reads guest memory: there the
 * host handles machine checks (spapr_tce_nmi.h), and a memory error in the list
 * is left to virtual mode. A trap is fatal; so nothing here can be probed.
 *
 * The result goes into the guest's R3 and, for H_GET_TCE, R4. A request that is
 * too hard changes nothing and is made again in virtual mode.
 */
#include <linux/kprobes.h>

#include <asm/asm-prototypes.h>

#include "spapr_tce_make.h"
#include "spapr_tce_nmi.h"

#define TCE_PLACE	TCE_PLACE_REAL
#define FNAME(name)	real_##name
#define TCE_COPY_LIST	tce_copy_list
#include "spapr_tce_tmpl.h"

/* What a machine check has changed */
static noinline __kprobes void
restore_registers(const struct kvm_vcpu *vcpu, const struct tce_nmi_saved *saved)
{
	tce_restore_srr(vcpu);
	mtspr(SPRN_DAR, saved->dar);
	mtspr(SPRN_DSISR, saved->dsisr);
	tce_restore_decrementer(saved);
}

/**
 * kvmppc_rm_h_put_tce() - answer H_PUT_TCE in real mode
 * @vcpu: the vCPU that made the hypercall
 * @liobn: R4
 * @ioba: R5
 * @tce: R6
 *
 * Context: hypervisor real mode.
 * Return: the guest's return code, or H_TOO_HARD for virtual mode
 */
long __kprobes kvmppc_rm_h_put_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				   unsigned long ioba, unsigned long tce)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	ret = real_h_put(vcpu, liobn, ioba, tce);
	spapr_tce_walk_end(SPAPR_TCE_REAL);

	return tce_hand_on(ret);
}

/**
 * kvmppc_rm_h_put_tce_indirect() - answer H_PUT_TCE_INDIRECT in real mode
 * @vcpu: the vCPU that made the hypercall
 * @liobn: R4
 * @ioba: R5
 * @tce_list: R6
 * @npages: R7
 *
 * Context: hypervisor real mode.
 * Return: the guest's return code, or H_TOO_HARD for virtual mode
 */
long __kprobes
kvmppc_rm_h_put_tce_indirect(struct kvm_vcpu *vcpu, unsigned long liobn,
			     unsigned long ioba, unsigned long tce_list,
			     unsigned long npages)
{
	struct tce_nmi_saved saved = tce_host_handles_nmi();
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	ret = real_h_put_indirect(vcpu, liobn, ioba, tce_list, npages);
	spapr_tce_walk_end(SPAPR_TCE_REAL);
	tce_kvm_handles_nmi(KVM_GUEST_MODE_HOST_HV);
	__mtmsrd(0, 1);
	if (tce_nmi_left_work())
		restore_registers(vcpu, &saved);

	return tce_hand_on(ret);
}

/**
 * kvmppc_rm_h_stuff_tce() - answer H_STUFF_TCE in real mode
 * @vcpu: the vCPU that made the hypercall
 * @liobn: R4
 * @ioba: R5
 * @tce_value: R6
 * @npages: R7
 *
 * Context: hypervisor real mode.
 * Return: the guest's return code, or H_TOO_HARD for virtual mode
 */
long __kprobes kvmppc_rm_h_stuff_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				     unsigned long ioba,
				     unsigned long tce_value,
				     unsigned long npages)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	ret = real_h_stuff(vcpu, liobn, ioba, tce_value, npages);
	spapr_tce_walk_end(SPAPR_TCE_REAL);

	return tce_hand_on(ret);
}

/**
 * kvmppc_rm_h_get_tce() - answer H_GET_TCE in real mode
 * @vcpu: the vCPU that made the hypercall; its R4 gets the TCE
 * @liobn: R4
 * @ioba: R5
 *
 * Context: hypervisor real mode.
 * Return: the guest's return code, or H_TOO_HARD for virtual mode
 */
long __kprobes kvmppc_rm_h_get_tce(struct kvm_vcpu *vcpu, unsigned long liobn,
				   unsigned long ioba)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	ret = real_h_get(vcpu, liobn, ioba);
	spapr_tce_walk_end(SPAPR_TCE_REAL);

	return tce_hand_on(ret);
}
