/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest of a few instructions whose TCE tables are linked to the windows of
 * an IOMMU group, with a device in that group to see what they let
 * through. The windows are those of a container, or of a nested page table of an
 * iommufd.
 */
#ifndef SELFTEST_VFIO_SPAPR_LINKED_H
#define SELFTEST_VFIO_SPAPR_LINKED_H

#include "cdev.h"
#include "container.h"
#include "kvm_ppc.h"
#include "nested.h"
#include "testbed.h"

#define LINKED_TABLES	4

/**
 * struct linked - a guest and a device
 * @nested:	the device is in an iommufd; to be set before linked_find(), see
 *		linked_variant()
 * @bed:	container, groups and devices
 * @vm:		the guest
 * @vcpu:	its first vCPU
 * @given:	by slot, the memory that the container or the IOAS has
 * @kvm_vfio:	its VFIO device, -1 when not open
 * @start32:	bus address where the default window begins
 * @size32:	the default window's size in bytes
 * @start64:	bus address where a second window of a nested one begins
 * @container:	of the second group, when it has one of its own, else -1
 * @iommufd:	of a nested one, its file, and what follows is of it
 * @cdev:	the first device
 * @other:	the first device of the second group
 * @ioas:	the guest's memory, and its tables from LINKED_TABLES_AT on
 * @parent:	the page table that has it
 * @hwpt:	the nested page table
 * @windows:	its windows
 * @guest_tables:	of the windows, where they are here
 * @tables:	the tables that have been linked
 * @ntables:	how many these are
 */
struct linked {
	bool nested;
	struct testbed bed;
	struct kvm_ppc_vm vm;
	struct kvm_ppc_vcpu *vcpu;
	struct kvm_ppc_slot given[KVM_PPC_MAX_SLOTS];
	int kvm_vfio;
	__u64 start32;
	__u64 size32;
	__u64 start64;
	int container;
	int iommufd;
	struct cdev cdev, other;
	__u32 ioas, parent, hwpt;
	struct nested_windows windows;
	__be64 *guest_tables;
	int tables[LINKED_TABLES];
	unsigned int ntables;
};

#define LINKED_TABLES_AT	(1ULL << 46)

/*
 * The variants that a program runs in have names; the table is in the tests
 * folder of tools/testing/qemu. Takes a name off the end of the arguments.
 */
void linked_variant(struct linked *l, int *argc, char **argv);

/**
 * linked_find() - Find the devices and see to KVM
 * @l: no file of it is open afterwards
 *
 * Return: what the machine lacks, NULL for nothing.
 */
const char *linked_find(struct linked *l);

/**
 * linked_open() - Start a guest that has the first device
 * @l: with the devices that linked_find() found in its @bed
 * @pr: KVM-PR rather than KVM-HV
 * @mem_size: see kvm_ppc_vm_init(); this memory is registered with the
 *	container, others can be by linked_slot()
 *
 * The container is a v2 one with its default window; the group has been added
 * to KVM's VFIO device, and no table is linked. A nested one has a window like
 * that, and the device's file has been added.
 */
void linked_open(struct linked *l, bool pr, size_t mem_size);

/**
 * __linked_give() - Give memory to the container or the IOAS
 * @l: the guest
 * @slot: a memory slot
 * @size: the first bytes of it
 *
 * Return: 0 or -errno of the registration or the mapping.
 */
int __linked_give(struct linked *l, unsigned int slot, size_t size);

/* Take it back: 0 or -errno. A container keeps what is mapped for the device */
int __linked_take(struct linked *l, unsigned int slot);

/* A further memory slot, which is given as a whole */
void linked_slot(struct linked *l, unsigned int slot, __u64 gpa, size_t size);

/*
 * Another window of @size bytes: its bus address; the default one stays. For a
 * nested one another page table is allocated, and all tables are linked to that.
 */
__u64 linked_window(struct linked *l, unsigned int page_shift, __u64 size);

/*
 * What KVM's VFIO device knows the second group's device by: the group's file, or
 * its own
 */
int linked_other_file(const struct linked *l);

/* Have that file in KVM's VFIO device, and no more: 0 or -errno */
int linked_add(struct linked *l);
int linked_del(struct linked *l);

/* Link a table of the test's, to the second group's windows as well: 0 or -errno */
int linked_link(struct linked *l, int table);
int linked_link_other(struct linked *l, int table);

/* The monitor clears the first @size bytes of the default window. */
void linked_empty(struct linked *l, __u64 size);

/*
 * The default window goes, and comes back empty: 0 or -errno. A nested one goes
 * when the device is detached, and comes with another page table.
 */
int linked_remove_window(struct linked *l);
int linked_make_window(struct linked *l);

/*
 * The second group's device, as dma[2] of the bed: with the windows of the
 * first, or with some of its own at the same place. Return: 0, or -errno where a
 * window belongs to one group.
 */
int linked_join(struct linked *l);
void linked_other(struct linked *l);
/* After linked_join(): it has none any more. 0 or -errno */
int linked_leave_other(struct linked *l);

/*
 * Close what keeps the driver from leaving the first device. A nested one leaves
 * KVM's VFIO device as well.
 */
void linked_close_device(struct linked *l);

#define LINKED_FILES	3

/* What the monitor has open of its devices. Return: how many are in @files */
unsigned int linked_files(struct linked *l, int *files[LINKED_FILES]);

/*
 * The device in a container or iommufd of its own, as if nothing had been. KVM's
 * VFIO device does not have it.
 */
void linked_again(struct linked *l);

/* With a nested page table, whose windows @l has: attach the device to it */
void linked_attach(struct linked *l);

/**
 * __linked_table() - Make a table and link it to the group's window there
 * @l: the guest
 * @liobn: for the table
 * @page_shift: of the table, not less than the window's
 * @start: bus address, where the window begins
 * @size: of the table in TCEs
 *
 * Return: the table's file, or -errno of the link.
 */
int __linked_table(struct linked *l, __u64 liobn, unsigned int page_shift,
		   __u64 start, __u64 size);
int linked_table(struct linked *l, __u64 liobn, unsigned int page_shift,
		 __u64 start, __u64 size);

/*
 * What the device can do at bus address @bus with the guest's memory at @gpa;
 * see dma_reach(). Where the device may only read takes a bus address
 * @scratch_bus that lets it write to @scratch, 0 for none.
 */
unsigned int linked_reach(struct linked *l, __u64 bus, __u64 gpa,
			  __u64 scratch_bus, __u64 scratch);

/**
 * linked_spin() - Start a vCPU that makes every kind of hypercall without end
 * @l: the guest; it is its second vCPU, and has made each of them on return
 * @s: for kvm_ppc_spin_stop()
 * @liobn: of the table
 * @ioba: offset in the default window of the 16 TCEs that it changes
 * @gpa: of the pages, one after the other, that it puts there
 * @list: of a page of the guest that takes its list of TCEs
 */
void linked_spin(struct linked *l, struct kvm_ppc_spin *s, __u64 liobn,
		 __u64 ioba, __u64 gpa, __u64 list);

/* Waits until that vCPU has made each of its hypercalls once more, from now on */
void linked_spin_round(struct linked *l);

/* Close all files of the device; KVM's VFIO device may keep one alive */
void linked_close_files(struct linked *l);

/* Ends all of it in the order that a monitor would, and frees the memory */
void linked_close(struct linked *l);

#endif
