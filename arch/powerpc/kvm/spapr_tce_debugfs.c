// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs: TCE hypercall statistics of each LIOBN table
 *
 * The file spapr_tce in the guest's debugfs directory has one line per table. A
 * line begins with the table's LIOBN, bus address, bytes and page size, and the
 * numbers of the IOMMU groups that it is linked to ("-" for none). Then follow,
 * for each hypercall, requests/TCEs by where they ended. Fields have names:
 * a reader finds them by name, and more can be added.
 *
 * Each CPU has its own counters, which are read without stopping it. A line is
 * exact while the guest is idle.
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

static const char * const place_names[TCE_NR_PLACES] = {
	[TCE_PLACE_REAL] = "real",
	[TCE_PLACE_EARLY] = "early",
	[TCE_PLACE_EXIT] = "exit",
	[TCE_PLACE_VIRTUAL] = "virtual",
};

static void add_count(struct kvmppc_tce_count *sum,
		      const struct kvmppc_tce_count *count)
{
	sum->requests += READ_ONCE(count->requests);
	sum->tces += READ_ONCE(count->tces);
}

static void show_count(struct seq_file *m, const char *name,
		       enum kvmppc_tce_hcall hcall,
		       const struct kvmppc_tce_count *sum)
{
	const bool one = hcall == TCE_HCALL_GET || hcall == TCE_HCALL_PUT;

	seq_printf(m, " %s=%llu/%llu", name, sum->requests,
		   one ? sum->requests : sum->tces);
}

static void show_hcall(struct seq_file *m,
		       const struct kvmppc_spapr_tce_table *table,
		       enum kvmppc_tce_hcall hcall)
{
	struct kvmppc_tce_count answered[TCE_NR_PLACES] = {};
	struct kvmppc_tce_count refused = {}, to_user = {};
	unsigned int cpu, place;

	for_each_possible_cpu(cpu) {
		const struct kvmppc_tce_counts *counts = table->counts[cpu];

		for (place = 0; place < TCE_NR_PLACES; place++)
			add_count(&answered[place],
				  &counts->hcall[hcall].answered[place]);
		add_count(&refused, &counts->hcall[hcall].refused);
		add_count(&to_user, &counts->hcall[hcall].to_user);
	}

	seq_printf(m, " %s", hcall_names[hcall]);
	for (place = 0; place < TCE_NR_PLACES; place++)
		show_count(m, place_names[place], hcall, &answered[place]);
	show_count(m, "user", hcall, &to_user);
	show_count(m, "refused", hcall, &refused);
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
 * kvmppc_spapr_tce_debugfs_init() - create the guest's file
 * @kvm: the guest; its debugfs directory exists and is removed before it is freed
 */
void kvmppc_spapr_tce_debugfs_init(struct kvm *kvm)
{
	debugfs_create_file("spapr_tce", 0444, kvm->debugfs_dentry, kvm,
			    &spapr_tce_fops);
}
