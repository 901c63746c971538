/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Machine checks while a TCE hypercall is answered in a guest's context
 *
 * After a guest's exit in_guest sends every interrupt to KVM, which cannot
 * return to the hypervisor. While a hypercall is answered early, the host's own
 * handlers can take system reset and machine check instead: on a radix host the
 * kernel's addresses are the host's in every guest's context. The handlers need
 * stacks of their own and nothing else of the host's context, and find the load
 * of a list that has a memory error in the exception table.
 */
#ifndef _POWERPC_KVM_SPAPR_TCE_NMI_H
#define _POWERPC_KVM_SPAPR_TCE_NMI_H

#include <linux/kvm_host.h>

#include <asm/paca.h>
#include <asm/reg.h>

/**
 * struct tce_nmi_saved - what a machine check or its handler changes
 * @dar: the guest's DAR
 * @dsisr: the guest's DSISR
 * @dec: the guest's decrementer
 */
struct tce_nmi_saved {
	unsigned long dar;
	unsigned long dsisr;
	unsigned long dec;
};

/*
 * Let the host's own handlers take system reset and machine check. They return
 * to where they came from, as SRR0 and SRR1 hold nothing that is needed.
 */
static __always_inline struct tce_nmi_saved tce_host_handles_nmi(void)
{
	struct tce_nmi_saved saved = {
		.dar = mfspr(SPRN_DAR),
		.dsisr = mfspr(SPRN_DSISR),
		.dec = mfspr(SPRN_DEC),
	};

	WRITE_ONCE(local_paca->kvm_hstate.in_guest, KVM_GUEST_MODE_NONE);
	barrier();
	__mtmsrd(MSR_RI, 1);
	return saved;
}

/* Let KVM take them again */
static __always_inline void tce_kvm_handles_nmi(void)
{
	barrier();
	WRITE_ONCE(local_paca->kvm_hstate.in_guest, KVM_GUEST_MODE_HV_P9);
	barrier();
}

/* Has a handler left work to an interrupt? */
static __always_inline bool tce_nmi_left_work(void)
{
	return unlikely(READ_ONCE(local_paca->irq_work_pending));
}

/*
 * The handler set the decrementer to have that interrupt soon. The host does that
 * work at its next decrementer interrupt after the guest's exit. The guest gets
 * its own when it is due, but for the time that the handler took.
 */
static __always_inline void
tce_restore_decrementer(const struct tce_nmi_saved *saved)
{
	mtspr(SPRN_DEC, saved->dec);
}

/* The guest gets SRR0 and SRR1 as its system call left them */
static __always_inline void tce_restore_srr(const struct kvm_vcpu *vcpu)
{
	mtspr(SPRN_SRR0, vcpu->arch.regs.nip);
	mtspr(SPRN_SRR1, vcpu->arch.shregs.msr);
}

#endif /* _POWERPC_KVM_SPAPR_TCE_NMI_H */
