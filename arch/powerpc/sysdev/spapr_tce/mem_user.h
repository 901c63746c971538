/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pinned user memory: what holders of TCEs do for it
 *
 * Before a page is unpinned, each holder reports the TCEs that may lead to it.
 */
#ifndef SPAPR_TCE_MEM_USER_H
#define SPAPR_TCE_MEM_USER_H

#include <linux/types.h>
#include <asm/spapr_mem.h>

struct spapr_mem_search;

/**
 * struct spapr_mem_user_ops - what a holder of TCEs is asked
 * @search: report each TCE that relies on registration to
 *	spapr_mem_search_tce() or spapr_mem_search_origin(), until
 *	spapr_mem_search_over(). A TCE that exists before the call and after it
 *	must be reported, and be on record as soon as the walk that made it has
 *	ended.
 * @lost: return true if TCEs that rely on registration may exist without being
 *	reported. Called after the end of the walks that may have lost them.
 *
 * Context: process context, may sleep; spapr_mem::lock held, no walk.
 */
struct spapr_mem_user_ops {
	void (*search)(struct spapr_mem_user *user,
		       struct spapr_mem_search *search);
	bool (*lost)(struct spapr_mem_user *user);
};

void spapr_mem_add_user(struct spapr_mem *mem, struct spapr_mem_user *user);
void spapr_mem_remove_user(struct spapr_mem *mem, struct spapr_mem_user *user);
bool spapr_mem_search_over(const struct spapr_mem_search *search);
void spapr_mem_search_tce(struct spapr_mem_search *search, unsigned long ua,
			  unsigned long hpa);
void spapr_mem_search_origin(struct spapr_mem_search *search, unsigned long ua);

#endif
