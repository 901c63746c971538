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
 * mode. Beside the kernel's own data, one read can raise the latter: that of the
 * list of H_PUT_TCE_INDIRECT in guest memory. A trap is as fatal; so nothing
 * here can be probed.
 *
 * The result goes into the guest's R3 and, for H_GET_TCE, R4. A request that is
 * too hard changes nothing and is made again in virtual mode.
 */
#include <linux/kprobes.h>

#include <asm/asm-prototypes.h>

#include "spapr_tce_make.h"

/*
 * Read a TCE of a list in pinned guest memory. Here a memory error is fatal: in
 * real mode this code runs at addresses that the exception table does not have.
 */
static __always_inline bool real_read_list(const __be64 *from, u64 *to)
{
	*to = spapr_tce_read(from);
	return true;
}

static __always_inline bool
real_copy_list(const struct kvmppc_spapr_tce_table *table,
	       const struct tce_list *list, unsigned long npages, u64 *tces)
{
	const __be64 *from;
	unsigned long i;

	from = tce_pinned_list(table, READ_ONCE(table->window), list);
	if (!from)
		return false;

	for (i = 0; i < npages; i++)
		tces[i] = be64_to_cpu(READ_ONCE(from[i]));
	return true;
}

#define TCE_PLACE	TCE_PLACE_REAL
#define FNAME(name)	real_##name
#define TCE_COPY_LIST	real_copy_list
#define TCE_READ_LIST	real_read_list
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
