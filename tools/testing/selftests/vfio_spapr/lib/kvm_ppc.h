/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests that do nothing but hypercalls.
 *
 * A guest runs a few instructions in real mode: it takes hypercalls from a
 * table in its memory, makes them one after the other and writes r3 and r4
 * back. One KVM_RUN executes a whole table, so nothing but the hypercalls
 * themselves needs to leave the guest. The same guest runs under KVM-HV, with
 * either MMU and nested, and under KVM-PR.
 *
 * A function whose name begins with two underscores returns -errno and leaves
 * the judgement to the test; all others end the test if the kernel refuses.
 *
 * Guest memory up to KVM_PPC_FREE belongs to this library.
 */
#ifndef SELFTEST_VFIO_SPAPR_KVM_PPC_H
#define SELFTEST_VFIO_SPAPR_KVM_PPC_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <linux/kvm.h>
#include <linux/types.h>

/* PAPR's numbers and return codes */
#define H_GET_TCE		0x1c
#define H_PUT_TCE		0x20
#define H_STUFF_TCE		0x138
#define H_PUT_TCE_INDIRECT	0x13c
#define H_SUCCESS		0
#define H_PARAMETER		(-4)

/* Permission bits of a TCE */
#define TCE_READ		1ul
#define TCE_WRITE		2ul
#define TCE_RW			(TCE_READ | TCE_WRITE)

#define KVM_PPC_MAX_VCPUS	8
#define KVM_PPC_MAX_SLOTS	16
#define KVM_PPC_MAX_CALLS	1024
#define KVM_PPC_FREE		0x100000ul

/*
 * What the guest gets for a hypercall that the kernel hands to user space:
 * with the arguments that it made, or with others, which is always a bug.
 */
#define KVM_PPC_TO_USER		0x75736572l
#define KVM_PPC_MANGLED		0x6d616e67l

/**
 * struct kvm_ppc_call - a hypercall, as the guest finds it in its table
 * @nr:		its number
 * @arg:	r4 to r8
 * @ret:	r3 afterwards
 * @out:	r4 afterwards
 */
struct kvm_ppc_call {
	__u64 nr;
	__u64 arg[5];
	__s64 ret;
	__u64 out;
};

/**
 * struct kvm_ppc_slot - a memory slot
 * @gpa:	guest physical address
 * @size:	in bytes, 0 for a slot that is not in use
 * @mem:	where the guest's memory is here
 */
struct kvm_ppc_slot {
	__u64 gpa;
	__u64 size;
	void *mem;
};

struct kvm_ppc_vm;

/**
 * struct kvm_ppc_vcpu - a vCPU
 * @vm:		where it belongs
 * @fd:		its file
 * @run:	what KVM_RUN shares
 * @calls:	its table of hypercalls, in the guest's memory
 * @stop:	in the guest's memory as well, ends endless rounds
 * @handed:	hypercalls that went to user space so far
 * @mangled:	those of them that had other arguments than the guest's
 * @monitor:	what answers the others, in the vCPU's thread, or NULL
 * @arg:	for @monitor
 */
struct kvm_ppc_vcpu {
	struct kvm_ppc_vm *vm;
	int fd;
	struct kvm_run *run;
	struct kvm_ppc_call *calls;
	volatile __u64 *stop;
	unsigned long handed;
	unsigned long mangled;
	__s64 (*monitor)(const struct kvm_ppc_call *call, void *arg);
	void *arg;
};

/**
 * struct kvm_ppc_vm - a VM
 * @fd:		its file
 * @pr:		KVM-PR rather than KVM-HV
 * @slots:	its memory
 * @vcpus:	its vCPUs, those with a @run
 */
struct kvm_ppc_vm {
	int fd;
	bool pr;
	struct kvm_ppc_slot slots[KVM_PPC_MAX_SLOTS];
	struct kvm_ppc_vcpu vcpus[KVM_PPC_MAX_VCPUS];
};

/* Whether KVM-HV and KVM-PR are there */
bool kvm_ppc_has_hv(void);
bool kvm_ppc_has_pr(void);

/* Set for guests with the hash MMU where radix is the rule */
extern bool kvm_ppc_hash;

/*
 * A VM with @mem_size bytes at address 0 (a multiple of 64 KiB, beyond
 * KVM_PPC_FREE) and the list hypercalls enabled.
 */
void kvm_ppc_vm_init(struct kvm_ppc_vm *vm, bool pr, size_t mem_size);

/* Closes the VM's own files; other files may keep the VM alive. */
void kvm_ppc_vm_close(struct kvm_ppc_vm *vm);

/* Gives the memory of a closed VM back. */
void kvm_ppc_vm_free(struct kvm_ppc_vm *vm);

/* @mem NULL: takes fresh memory. @size 0: deletes the slot, keeps the memory. */
int __kvm_ppc_slot(struct kvm_ppc_vm *vm, unsigned int slot, __u64 gpa,
		   size_t size, void *mem);
void kvm_ppc_slot(struct kvm_ppc_vm *vm, unsigned int slot, __u64 gpa,
		  size_t size, void *mem);

/* Where the guest's memory at @gpa is here, or NULL */
void *kvm_ppc_mem(struct kvm_ppc_vm *vm, __u64 gpa);

/* Lets the kernel handle hypercall @nr (@on), or hand it to user space. */
int __kvm_ppc_enable_hcall(struct kvm_ppc_vm *vm, __u64 nr, bool on);

struct kvm_ppc_vcpu *kvm_ppc_vcpu(struct kvm_ppc_vm *vm, unsigned int nr);

/*
 * Makes @n hypercalls and stores what they returned. -errno if KVM_RUN ended
 * with an error or with something that is no hypercall (-EPROTO), -EINTR if by
 * a signal after *@stop has been set.
 */
int __kvm_ppc_calls(struct kvm_ppc_vcpu *vcpu, struct kvm_ppc_call *calls,
		    unsigned int n);
void kvm_ppc_calls(struct kvm_ppc_vcpu *vcpu, struct kvm_ppc_call *calls,
		   unsigned int n);

/*
 * Whether the first @n hypercalls of the vCPU's own table succeeded, and all
 * hypercalls were answered in the kernel
 */
bool kvm_ppc_answered(const struct kvm_ppc_vcpu *vcpu, unsigned int n);

/**
 * struct kvm_ppc_spin - a vCPU in a thread of its own that makes hypercalls
 *	for ever, or until *@stop is set, without leaving the guest in between
 * @vcpu:	the vCPU, its table filled in
 * @n:		hypercalls in the table
 * @ret:	as __kvm_ppc_calls()
 */
struct kvm_ppc_spin {
	struct kvm_ppc_vcpu *vcpu;
	unsigned int n;
	int ret;
	pthread_t thread;
};

void kvm_ppc_spin_start(struct kvm_ppc_spin *spin, struct kvm_ppc_vcpu *vcpu,
			unsigned int n);
int kvm_ppc_spin_stop(struct kvm_ppc_spin *spin);

/* One hypercall; @out, if not NULL, receives r4 */
__s64 kvm_ppc_hcall(struct kvm_ppc_vcpu *vcpu, __u64 nr, __u64 a,
		    __u64 b, __u64 c, __u64 d, __u64 *out);

/* A table for LIOBN @liobn: its file. @offset and @size count TCEs. */
int __kvm_ppc_table(struct kvm_ppc_vm *vm, __u64 liobn,
		    unsigned int page_shift, __u64 offset, __u64 size);
int kvm_ppc_table(struct kvm_ppc_vm *vm, __u64 liobn,
		  unsigned int page_shift, __u64 offset, __u64 size);

/* The VM's VFIO device, and what it does with a group's file */
int kvm_ppc_vfio_device(struct kvm_ppc_vm *vm);
int __kvm_ppc_group_add(int device, int group);
int __kvm_ppc_group_del(int device, int group);
int __kvm_ppc_link(int device, int group, int table);

/* KVM_DEV_VFIO_FILE_SET_SPAPR_TCE and its structure, which not all headers have */
#define FILE_SET_SPAPR_TCE	4
#define FILE_SPAPR_TCE_UNLINK	1

struct file_spapr_tce {
	__u32 argsz;
	__u32 flags;
	__s32 fd;
	__s32 table;
};

/* The same for a device's own file, and whether the kernel has it */
int __kvm_ppc_file_link(int device, int file, int table);
/* Until it is linked again, hypercalls for the table go to the monitor */
int __kvm_ppc_file_unlink(int device, int file, int table);
bool kvm_ppc_has_file_link(int device);

#endif
