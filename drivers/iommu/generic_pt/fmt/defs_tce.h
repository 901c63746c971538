/* SPDX-License-Identifier: GPL-2.0-only */
/* Types of the TCE page table format, see tce.h */
#ifndef __GENERIC_PT_FMT_DEFS_TCE_H
#define __GENERIC_PT_FMT_DEFS_TCE_H

#include <linux/generic_pt/common.h>
#include <linux/types.h>

typedef u64 pt_vaddr_t;
typedef u64 pt_oaddr_t;

struct tce_pt_write_attrs {
	u64 permissions;
	gfp_t gfp;
};
#define pt_write_attrs tce_pt_write_attrs

#endif
