// SPDX-License-Identifier: GPL-2.0-only
/*
 * LIOBN tables: creation, the guest's view, release
 *
 * A table is a file. Creation charges its pages to the process as locked
 * memory. A page is allocated when the guest or user space first touches it, and
 * stays until the table is freed. Release of the file takes the table out of
 * the guest's list, ends its links, waits for walks and frees it.
 *
 * User space names a table by its file descriptor, for links as well, which
 * spapr_tce_link.c makes and ends.
 *
 * Creation makes sure that size is not 0, and that offset + size, shifted by
 * the page size, does not overflow 64 bits. All later arithmetic on indices
 * relies on it.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "spapr_tce.h"

static unsigned long view_pages(u64 size)
{
	return DIV_ROUND_UP_ULL(size, TCE_VIEW_TCES);
}

/* Locked memory of a table whose view is populated */
static unsigned long charged_pages(u64 size)
{
	struct kvmppc_spapr_tce_table *table;
	unsigned long npages = view_pages(size);

	return npages + DIV_ROUND_UP(struct_size(table, view, npages),
				     PAGE_SIZE);
}

/* Get a page of the view, allocate it if it is missing; callers may race */
static u64 *view_page(struct kvmppc_spapr_tce_table *table, unsigned long nr)
{
	u64 *page = READ_ONCE(table->view[nr]), *old;

	if (page)
		return page;

	page = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return NULL;

	/* Zeroes are seen before the pointer: cmpxchg() is a full barrier */
	old = cmpxchg(&table->view[nr], NULL, page);
	if (!old)
		return page;

	free_page((unsigned long)page);
	return old;
}

/**
 * kvmppc_tce_view_populate() - make entries of the guest's view writable
 * @table: the table
 * @index: first entry
 * @npages: number of entries, at least 1; the range lies in the table
 *
 * Context: process context, may sleep.
 * Return: false without memory.
 */
bool kvmppc_tce_view_populate(struct kvmppc_spapr_tce_table *table,
			      unsigned long index, unsigned long npages)
{
	unsigned long nr = index >> TCE_VIEW_SHIFT;
	unsigned long last = (index + npages - 1) >> TCE_VIEW_SHIFT;

	for (; nr <= last; nr++)
		if (!view_page(table, nr))
			return false;

	return true;
}

static vm_fault_t table_fault(struct vm_fault *vmf)
{
	struct kvmppc_spapr_tce_table *table = vmf->vma->vm_file->private_data;
	u64 *view;

	if (vmf->pgoff >= view_pages(table->size))
		return VM_FAULT_SIGBUS;

	view = view_page(table, vmf->pgoff);
	if (!view)
		return VM_FAULT_OOM;

	vmf->page = virt_to_page(view);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct table_vm_ops = {
	.fault = table_fault,
};

static int table_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &table_vm_ops;
	return 0;
}

static void counts_free(struct kvmppc_spapr_tce_table *table)
{
	unsigned int cpu;

	if (!table->counts)
		return;
	for_each_possible_cpu(cpu)
		kfree(table->counts[cpu]);
	kfree(table->counts);
}

/*
 * One structure per CPU, on its node. Not from alloc_percpu(), whose memory is
 * not in the linear map.
 */
static bool counts_alloc(struct kvmppc_spapr_tce_table *table)
{
	unsigned int cpu;

	table->counts = kcalloc(nr_cpu_ids, sizeof(*table->counts),
				GFP_KERNEL_ACCOUNT);
	if (!table->counts)
		return false;

	for_each_possible_cpu(cpu) {
		table->counts[cpu] = kzalloc_node(sizeof(*table->counts[cpu]),
						  GFP_KERNEL_ACCOUNT,
						  cpu_to_node(cpu));
		if (!table->counts[cpu])
			return false;
	}

	return true;
}

static void table_free(struct kvmppc_spapr_tce_table *table)
{
	unsigned long nr, npages = view_pages(table->size);

	for (nr = 0; nr < npages; nr++)
		if (table->view[nr])
			free_page((unsigned long)table->view[nr]);
	counts_free(table);
	kfree(table);
}

static int table_release(struct inode *inode, struct file *file)
{
	struct kvmppc_spapr_tce_table *table = file->private_data;
	struct kvm *kvm = table->kvm;

	scoped_guard(mutex, &kvm->arch.spapr_tce_lock)
		list_del_rcu(&table->list);
	kvmppc_tce_drop_claims(table);
	spapr_tce_quiesce();

	account_locked_vm(kvm->mm, charged_pages(table->size), false);
	table_free(table);
	kvm_put_kvm(kvm);
	return 0;
}

static const struct file_operations table_fops = {
	/* Its release may end the guest, and with it the last use of KVM */
	.owner = THIS_MODULE,
	.mmap = table_mmap,
	.release = table_release,
};

/* The table that a file stands for, as long as the caller holds it, or NULL */
static struct kvmppc_spapr_tce_table *
table_of_file(struct kvm *kvm, struct file *file)
{
	struct kvmppc_spapr_tce_table *table = file->private_data;

	if (file->f_op != &table_fops || table->kvm != kvm)
		return NULL;

	return table;
}

static struct kvmppc_spapr_tce_table *
table_alloc(struct kvm *kvm, const struct kvm_create_spapr_tce_64 *args)
{
	unsigned long npages = view_pages(args->size);
	struct kvmppc_spapr_tce_table *table;

	table = kzalloc(struct_size(table, view, npages),
			GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!table)
		return NULL;

	table->mem = spapr_mem_of(kvm->mm);
	if (!table->mem || !counts_alloc(table)) {
		counts_free(table);
		kfree(table);
		return NULL;
	}

	table->kvm = kvm;
	table->liobn = args->liobn;
	table->page_shift = args->page_shift;
	table->page_rotate = 64 - args->page_shift;
	table->page_mask = (1UL << args->page_shift) - 1;
	table->offset = args->offset;
	table->size = args->size;
	INIT_LIST_HEAD(&table->links);
	INIT_LIST_HEAD(&table->claims);
	return table;
}

/* Give the table a file descriptor and a place in the guest's list */
static int table_install(struct kvmppc_spapr_tce_table *table)
{
	struct kvmppc_spapr_tce_table *other;
	struct kvm *kvm = table->kvm;
	unsigned int nr = 0;
	int fd;

	guard(mutex)(&kvm->arch.spapr_tce_lock);
	list_for_each_entry(other, &kvm->arch.spapr_tce_tables, list) {
		if (other->liobn == table->liobn)
			return -EBUSY;
		nr++;
	}
	if (nr == TCE_TABLES_OF_GUEST)
		return -ENOSPC;

	kvm_get_kvm(kvm);
	fd = anon_inode_getfd("kvm-spapr-tce", &table_fops, table,
			      O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		kvm_put_kvm_no_destroy(kvm);
		return fd;
	}

	table->links_state = kvmppc_tce_table_state(table);
	/* A release by another thread waits for the lock */
	list_add_rcu(&table->list, &kvm->arch.spapr_tce_tables);
	return fd;
}

/**
 * kvm_vm_ioctl_create_spapr_tce() - create a table (KVM_CREATE_SPAPR_TCE_64)
 * @kvm: the guest
 * @args: LIOBN; page shift, 12 to 34; offset and size in pages
 *
 * Context: process context, may sleep.
 * Return: a file descriptor; -EINVAL for a geometry that does not fit 64 bits
 * of bus address; -EBUSY for a LIOBN in use; -ENOSPC for one table more than
 * TCE_TABLES_OF_GUEST; -ENOMEM, also above RLIMIT_MEMLOCK; or the error of opening
 * one more file.
 */
int kvm_vm_ioctl_create_spapr_tce(struct kvm *kvm,
				  struct kvm_create_spapr_tce_64 *args)
{
	struct kvmppc_spapr_tce_table *table;
	u64 end;
	int ret;

	if (!args->size || args->page_shift < 12 || args->page_shift > 34 ||
	    check_add_overflow(args->offset, args->size, &end) ||
	    end > U64_MAX >> args->page_shift)
		return -EINVAL;

	ret = account_locked_vm(kvm->mm, charged_pages(args->size), true);
	if (ret)
		return ret;

	ret = -ENOMEM;
	table = table_alloc(kvm, args);
	if (table) {
		ret = table_install(table);
		if (ret >= 0)
			return ret;
		table_free(table);
	}

	account_locked_vm(kvm->mm, charged_pages(args->size), false);
	return ret;
}

/* Make a call for the table that a file descriptor stands for */
static int call_for_table(struct kvm *kvm, int tablefd, struct file *file,
			  int (*call)(struct kvmppc_spapr_tce_table *table,
				      struct file *file))
{
	struct kvmppc_spapr_tce_table *table;

	CLASS(fd, f)(tablefd);
	if (fd_empty(f))
		return -EBADF;

	table = table_of_file(kvm, fd_file(f));
	return table ? call(table, file) : -EINVAL;
}

/**
 * kvm_spapr_tce_link_group() - link a LIOBN's table to a group's window
 * @kvm: the guest
 * @tablefd: file descriptor of the LIOBN's table
 * @file: file of the VFIO group, or of a device in an iommufd; the caller holds
 *	it until it has called kvm_spapr_tce_unlink_group()
 *
 * Entries that the table has are written into the window before this returns.
 * Others are cleared in the window of a nested domain. On failure, those already
 * written stay there, as after an unlink. Linking a second time does nothing.
 *
 * Context: process context, may sleep; one caller at a time for @kvm. Takes
 * locks of VFIO and of the TCE engine.
 * Return: 0; -EBADF for @tablefd; -EINVAL if it is no table of @kvm's, the
 * group is not ready for DMA, or it has no window that begins at the table's
 * bus address, is at least as large and has pages no larger; -ENODEV for a
 * group that is going away; -ENOMEM; -EINTR; -EIO if the hypervisor refuses an
 * entry.
 */
int kvm_spapr_tce_link_group(struct kvm *kvm, int tablefd, struct file *file)
{
	return call_for_table(kvm, tablefd, file, kvmppc_tce_link);
}

/**
 * kvm_spapr_tce_unlink_table() - leave a LIOBN's hypercalls to user space
 * @kvm: the guest
 * @tablefd: file descriptor of the LIOBN's table
 * @file: file of a device in an iommufd; the caller holds it until it has called
 *	kvm_spapr_tce_unlink_group()
 *
 * When this returns, hypercalls that change the table change nothing and go to
 * user space, whatever else it is linked to. They do until @file is linked to the
 * table again or is unlinked as a whole. What has been answered before is in the
 * device's window. A second time this does nothing.
 *
 * Context: process context, may sleep; one caller at a time for @kvm. Takes
 * locks of the TCE engine.
 * Return: 0; -EBADF for @tablefd; -EINVAL if it is no table of @kvm's; -ENOENT if
 * it has not been linked to @file.
 */
int kvm_spapr_tce_unlink_table(struct kvm *kvm, int tablefd, struct file *file)
{
	return call_for_table(kvm, tablefd, file, kvmppc_tce_unlink);
}
