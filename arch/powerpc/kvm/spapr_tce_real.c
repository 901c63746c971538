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
 * Interrupts are hard-disabled. Only a system reset or a machine check can interrupt
 * a walk. The host survives neither, as in any hypercall that real mode answers: the
 * handlers continue in virtual mode, where the MMU translates through the guest's
 * SLB. A walk reads guest memory only for the list of H_PUT_TCE_INDIRECT. A memory
 * error there causes a machine check. A kprobe's trap is fatal as well, so nothing
 * here can be probed.
 *
 * The result goes into the guest's R3 and, for H_GET_TCE, R4. A request that is
 * too hard is made again in virtual mode.
 */
#include <linux/kprobes.h>

#include <asm/asm-prototypes.h>

#include "spapr_tce_make.h"

#define TCE_PLACE	TCE_PLACE_REAL
#define FNAME(name)	real_##name
#define TCE_COPY_LIST	tce_copy_list
#include "spapr_tce_tmpl.h"

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
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_REAL);
	ret = real_h_put_indirect(vcpu, liobn, ioba, tce_list, npages);
	spapr_tce_walk_end(SPAPR_TCE_REAL);

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
