// SPDX-License-Identifier: GPL-2.0-only
/*
 * To look at: how the TCE hypercalls of a guest were answered
 *
 * The file spapr_tce in the guest's debugfs folder has one line a table. Each
 * begins with the table's LIOBN, bus address, bytes and page size and the
 * numbers of the IOMMU groups that it is linked to ("-" for none); then follow,
 * for each hypercall, requests/TCEs by where they ended. Fields have names, so
 * that one can be added without breaking a reader.
 *
 * Counters belong to one CPU each and are read without stopping it; a line is
 * exact when the guest is idle.
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "spapr_tce.h"

static const char * const hcall_names[TCE_NR_HCALLS] = {
	[TCE_HCALL_GET] = "H_GET_TCE",
	[TCE_HCALL_PUT] = "H_PUT_TCE",
	[TCE_HCALL_PUT_INDIRECT] = "H_PUT_TCE_INDIRECT",
	[TCE_HCALL_STUFF] = "H_STUFF_TCE",
};

static const char * const end_names[TCE_NR_ENDS] = {
	[TCE_END_REAL] = "real",
	[TCE_END_EARLY] = "early",
	[TCE_END_EXIT] = "exit",
	[TCE_END_VIRTUAL] = "virtual",
	[TCE_END_USER] = "user",
	[TCE_END_REFUSED] = "refused",
};

static void show_hcall(struct seq_file *m,
		       const struct kvmppc_spapr_tce_table *table,
		       enum kvmppc_tce_hcall hcall)
{
	unsigned int cpu, end;

	seq_printf(m, " %s", hcall_names[hcall]);
	for (end = 0; end < TCE_NR_ENDS; end++) {
		u64 requests = 0, tces = 0;

		for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
			requests += READ_ONCE(table->counts[cpu].requests[hcall][end]);
			tces += READ_ONCE(table->counts[cpu].tces[hcall][end]);
		}
		if (hcall == TCE_HCALL_GET || hcall == TCE_HCALL_PUT)
			tces = requests;
		seq_printf(m, " %s=%llu/%llu", end_names[end], requests, tces);
	}
}

static int spapr_tce_show(struct seq_file *m, void *unused)
{
	struct kvm *kvm = m->private;
	struct kvmppc_spapr_tce_table *table;
	unsigned int hcall;

	guard(mutex)(&kvm->arch.spapr_tce_lock);
	list_for_each_entry(table, &kvm->arch.spapr_tce_tables, list) {
		seq_printf(m, "liobn=%llx start=%llx bytes=%llx page=%llx iommu=",
			   table->liobn, table->offset << table->page_shift,
			   table->size << table->page_shift,
			   1ULL << table->page_shift);
		kvmppc_tce_show_claims(table, m);
		for (hcall = 0; hcall < TCE_NR_HCALLS; hcall++)
			show_hcall(m, table, hcall);
		seq_putc(m, '\n');
	}

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(spapr_tce);

/**
 * kvmppc_spapr_tce_debugfs_init() - make the guest's file
 * @kvm: the guest, whose debugfs folder exists and goes before it does
 */
void kvmppc_spapr_tce_debugfs_init(struct kvm *kvm)
{
	debugfs_create_file("spapr_tce", 0444, kvm->debugfs_dentry, kvm,
			    &spapr_tce_fops);
}
