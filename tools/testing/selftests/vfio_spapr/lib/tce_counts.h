/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own count of where TCE hypercalls were answered: the file
 * spapr_tce in the guest's debugfs directory
 */
#ifndef SELFTEST_VFIO_SPAPR_TCE_COUNTS_H
#define SELFTEST_VFIO_SPAPR_TCE_COUNTS_H

#include "kvm_ppc.h"

enum tce_end {
	TCE_REAL, TCE_EARLY, TCE_EXIT, TCE_VIRTUAL, TCE_USER, TCE_REFUSED,
	TCE_NR_ENDS
};

extern const char *const tce_end_names[TCE_NR_ENDS];

/**
 * struct tce_counts - of one hypercall and table
 * @requests:	by where they ended
 * @tces:	TCEs in them
 */
struct tce_counts {
	unsigned long requests[TCE_NR_ENDS], tces[TCE_NR_ENDS];
};

/* Ends the test if the kernel has no such counts. */
struct tce_counts tce_counts(const struct kvm_ppc_vm *vm, __u64 liobn,
			     const char *hcall);

#endif
