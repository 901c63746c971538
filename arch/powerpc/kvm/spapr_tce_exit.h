/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of a guest's exits are TCE hypercalls that may be answered at once
 */
#ifndef _POWERPC_KVM_SPAPR_TCE_EXIT_H
#define _POWERPC_KVM_SPAPR_TCE_EXIT_H

#include <linux/kvm_host.h>

#include <asm/hvcall.h>
#include <asm/reg.h>

static __always_inline bool tce_is_hcall(unsigned long req)
{
	return req == H_PUT_TCE || req == H_GET_TCE || req == H_STUFF_TCE ||
	       req == H_PUT_TCE_INDIRECT;
}

/* Has user space left hypercall @req, a constant, to this kernel? */
static __always_inline bool tce_enabled(const struct kvm_vcpu *vcpu,
					unsigned long req)
{
	return vcpu->kvm->arch.enabled_hcalls[BIT_WORD(req / 4)] &
	       BIT_MASK(req / 4);
}

/*
 * Does it come from the guest's kernel, not in a transaction, and is no tracer
 * waiting for it? Only virtual mode traces.
 */
static __always_inline bool tce_may_answer(const struct kvm_vcpu *vcpu,
					   unsigned long msr)
{
	return !(msr & (MSR_PR | MSR_TS_MASK)) &&
	       vcpu->arch.spapr_tce_at_exit && !vcpu->kvm->arch.secure_guest;
}

/* Is the guest's performance monitor frozen, as it is in the host? */
static __always_inline bool tce_pmu_is_frozen(void)
{
	unsigned long mmcr0 = mfspr(SPRN_MMCR0), mmcra = mfspr(SPRN_MMCRA);

	if (!(mmcr0 & MMCR0_FC) || mmcra & MMCRA_SAMPLE_ENABLE)
		return false;
	return !cpu_has_feature(CPU_FTR_ARCH_31) ||
	       (mmcr0 & MMCR0_PMCCEXT && mmcra & MMCRA_BHRB_DISABLE);
}

#endif /* _POWERPC_KVM_SPAPR_TCE_EXIT_H */
