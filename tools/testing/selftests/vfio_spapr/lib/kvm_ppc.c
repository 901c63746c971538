// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that do nothing but hypercalls: the code they run, and the ioctls
 * around it. Real mode makes guests independent of the MMU; KVM-HV with the
 * hash MMU maps it by itself (VRMA) once there is memory at address 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kvm_ppc.h"
#include "../../kselftest.h"

/* The state the guest begins with: 64 bit, real mode, the bytes ordered as here */
#define MSR_SF			0x8000000000000000ul
#define MSR_ME			0x1000ul
#define MSR_RI			0x2ul
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MSR_ORDER		0x1ul		/* LE */
#else
#define MSR_ORDER		0x0ul
#endif

/* Where guests' memory is here: the same in each run, for transcripts */
#define GUEST_MEM		0x300000000000ul
#define GUEST_MEM_STEP		0x1000000000ul

/* Where things are in the guest's memory */
#define GUEST_CODE		0x4000ul
#define GUEST_STOP		0x8000ul
#define GUEST_CALLS		0x10000ul

/* Smallest hashed page table, by its size's logarithm */
#define HPT_ORDER		18

/*
 * Seconds that a guest has to see its stop word. One round of its hypercalls may
 * take many on a busy machine.
 */
#define STOP_PATIENCE		60

/* An unassigned hypercall that says: the table is done */
#define H_DONE			0xf000

/*
 * A partition's kernel can't see the hypercalls that its own guests make in
 * problem state, they go to the hypervisor. KVM-PR takes this illegal
 * instruction for "sc 1" instead (KVM_CAP_PPC_FIXUP_HCALL).
 */
#define INSN_SC1		0x44000022
#define INSN_SC1_PR		0x7c000268

/*
 * r14: table  r15: hypercalls in it  r16: rounds  r17: address of the stop word
 * KVM keeps r14 to r31 over a hypercall.
 */
asm(".pushsection .rodata\n"
	"	.balign 4\n"
	"kvm_ppc_guest:\n"
	"1:	mr	18,14\n"
	"	mr	19,15\n"
	"2:	cmpldi	19,0\n"
	"	beq	3f\n"
	"	ld	3,0(18)\n"
	"	ld	4,8(18)\n"
	"	ld	5,16(18)\n"
	"	ld	6,24(18)\n"
	"	ld	7,32(18)\n"
	"	ld	8,40(18)\n"
	"	sc	1\n"
	"	std	3,48(18)\n"
	"	std	4,56(18)\n"
	"	addi	18,18,64\n"
	"	addi	19,19,-1\n"
	"	b	2b\n"
	"3:	ld	20,0(17)\n"
	"	cmpldi	20,0\n"
	"	bne	4f\n"
	"	addi	16,16,-1\n"
	"	cmpldi	16,0\n"
	"	bne	1b\n"
	"4:	li	3,0\n"
	"	ori	3,3,0xf000\n"
	"	sc	1\n"
	"	b	4b\n"
	"kvm_ppc_guest_end:\n"
	"	.popsection\n");

extern const __u32 kvm_ppc_guest[], kvm_ppc_guest_end[];

#define must(what) must_not_fail((what), #what)

static long must_not_fail(long ret, const char *what)
{
	if (ret < 0)
		ksft_exit_fail_msg("%s: %s\n", what, strerror(errno));
	return ret;
}

static int as_errno(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* kvm_ppc_dev - /dev/kvm; stays open, all VMs of a test share it. */
static int kvm_ppc_dev(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = must(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	return fd;
}

static bool kvm_ppc_has(unsigned long type)
{
	int fd;

	if (access("/dev/kvm", R_OK | W_OK))
		return false;
	fd = ioctl(kvm_ppc_dev(), KVM_CREATE_VM, type);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

bool kvm_ppc_has_hv(void)
{
	return kvm_ppc_has(KVM_VM_PPC_HV);
}

bool kvm_ppc_has_pr(void)
{
	return kvm_ppc_has(KVM_VM_PPC_PR);
}

/* Whether guests can have the radix MMU, which is the host's then */
static bool kvm_ppc_has_radix(void)
{
	return ioctl(kvm_ppc_dev(), KVM_CHECK_EXTENSION,
		     KVM_CAP_PPC_MMU_RADIX) > 0;
}

int __kvm_ppc_slot(struct kvm_ppc_vm *vm, unsigned int slot, __u64 gpa,
		   size_t size, void *mem)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
	};
	int ret;

	if (size && !mem) {
		mem = mmap((void *)(GUEST_MEM + slot * GUEST_MEM_STEP), size,
			   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
		if (mem == MAP_FAILED)
			return -errno;
	}
	region.userspace_addr = (unsigned long)mem;
	ret = as_errno(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region));
	if (!ret)
		vm->slots[slot] = (struct kvm_ppc_slot){ gpa, size, mem };
	return ret;
}

void kvm_ppc_slot(struct kvm_ppc_vm *vm, unsigned int slot, __u64 gpa,
		  size_t size, void *mem)
{
	int ret = __kvm_ppc_slot(vm, slot, gpa, size, mem);

	if (ret)
		ksft_exit_fail_msg("slot %u: %s\n", slot, strerror(-ret));
}

void *kvm_ppc_mem(struct kvm_ppc_vm *vm, __u64 gpa)
{
	const struct kvm_ppc_slot *slot;

	for (slot = vm->slots; slot < vm->slots + KVM_PPC_MAX_SLOTS; slot++)
		if (gpa - slot->gpa < slot->size)
			return (char *)slot->mem + (gpa - slot->gpa);
	return NULL;
}

int __kvm_ppc_enable_hcall(struct kvm_ppc_vm *vm, __u64 nr, bool on)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_PPC_ENABLE_HCALL,
		.args = { nr, on },
	};

	return as_errno(ioctl(vm->fd, KVM_ENABLE_CAP, &cap));
}

static void kvm_ppc_load_code(struct kvm_ppc_vm *vm)
{
	size_t i, n = kvm_ppc_guest_end - kvm_ppc_guest;
	__u32 *code = kvm_ppc_mem(vm, GUEST_CODE);

	for (i = 0; i < n; i++) {
		code[i] = kvm_ppc_guest[i];
		if (vm->pr && code[i] == INSN_SC1)
			code[i] = INSN_SC1_PR;
	}
	__builtin___clear_cache((char *)code, (char *)(code + n));
}

bool kvm_ppc_hash;

void kvm_ppc_vm_init(struct kvm_ppc_vm *vm, bool pr, size_t mem_size)
{
	__u32 order = HPT_ORDER;

	memset(vm, 0, sizeof(*vm));
	vm->pr = pr;
	vm->fd = must(ioctl(kvm_ppc_dev(), KVM_CREATE_VM,
			    pr ? KVM_VM_PPC_PR : KVM_VM_PPC_HV));

	/* The kernel's default is larger; a radix guest would become a hash one. */
	if (!pr && (kvm_ppc_hash || !kvm_ppc_has_radix()))
		ioctl(vm->fd, KVM_PPC_ALLOCATE_HTAB, &order);

	kvm_ppc_slot(vm, 0, 0, mem_size, NULL);
	kvm_ppc_load_code(vm);

	must(__kvm_ppc_enable_hcall(vm, H_PUT_TCE_INDIRECT, true));
	must(__kvm_ppc_enable_hcall(vm, H_STUFF_TCE, true));
}

void kvm_ppc_vm_close(struct kvm_ppc_vm *vm)
{
	struct kvm_ppc_vcpu *vcpu;
	int size = ioctl(kvm_ppc_dev(), KVM_GET_VCPU_MMAP_SIZE, 0);

	for (vcpu = vm->vcpus; vcpu < vm->vcpus + KVM_PPC_MAX_VCPUS; vcpu++) {
		if (!vcpu->run)
			continue;
		munmap(vcpu->run, size);
		close(vcpu->fd);
		vcpu->run = NULL;
	}
	close(vm->fd);
	vm->fd = -1;
}

void kvm_ppc_vm_free(struct kvm_ppc_vm *vm)
{
	struct kvm_ppc_slot *slot;

	for (slot = vm->slots; slot < vm->slots + KVM_PPC_MAX_SLOTS; slot++)
		if (slot->size)
			munmap(slot->mem, slot->size);
	memset(vm->slots, 0, sizeof(vm->slots));
}

struct kvm_ppc_vcpu *kvm_ppc_vcpu(struct kvm_ppc_vm *vm, unsigned int nr)
{
	struct kvm_enable_cap papr = { .cap = KVM_CAP_PPC_PAPR };
	struct kvm_ppc_vcpu *vcpu = &vm->vcpus[nr];
	int size, stride;

	if (vcpu->run)
		return vcpu;

	/* A vCPU each core: their numbers lie that far apart. */
	stride = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_PPC_SMT);
	if (stride < 1)
		stride = 1;
	size = must(ioctl(kvm_ppc_dev(), KVM_GET_VCPU_MMAP_SIZE, 0));

	vcpu->vm = vm;
	vcpu->fd = must(ioctl(vm->fd, KVM_CREATE_VCPU, nr * stride));
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		ksft_exit_fail_msg("mmap of a vCPU: %s\n", strerror(errno));
	must(ioctl(vcpu->fd, KVM_ENABLE_CAP, &papr));

	vcpu->calls = kvm_ppc_mem(vm, GUEST_CALLS * (nr + 1));
	vcpu->stop = (__u64 *)kvm_ppc_mem(vm, GUEST_STOP) + nr;
	return vcpu;
}

/*
 * kvm_ppc_answer - answer what the kernel handed over, check what it is: the
 * guest has the call that it is making in its r18
 */
static int kvm_ppc_answer(struct kvm_ppc_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	const struct kvm_ppc_call *call;
	struct kvm_regs regs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -errno;

	call = kvm_ppc_mem(vcpu->vm, regs.gpr[18]);
	vcpu->handed++;
	run->papr_hcall.ret = KVM_PPC_TO_USER;
	if (!call || call->nr != run->papr_hcall.nr ||
	    memcmp(call->arg, (void *)run->papr_hcall.args,
		   sizeof(call->arg))) {
		vcpu->mangled++;
		run->papr_hcall.ret = KVM_PPC_MANGLED;
	} else if (vcpu->monitor) {
		run->papr_hcall.ret = vcpu->monitor(call, vcpu->arg);
	}
	return 0;
}

static int kvm_ppc_run(struct kvm_ppc_vcpu *vcpu, unsigned int n,
		       __u64 rounds)
{
	unsigned int nr = vcpu - vcpu->vm->vcpus;
	struct kvm_run *run = vcpu->run;
	struct kvm_regs regs = {
		.pc = GUEST_CODE,
		.msr = MSR_SF | MSR_ME | MSR_RI | MSR_ORDER,
		.gpr = {
			[14] = GUEST_CALLS * (nr + 1),
			[15] = n,
			[16] = rounds,
			[17] = GUEST_STOP + nr * sizeof(*vcpu->stop),
		},
	};
	int ret;

	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		return -errno;
	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			if (errno != EINTR && errno != EAGAIN)
				return -errno;
			if (*vcpu->stop)
				return -EINTR;
			continue;
		}
		if (run->exit_reason != KVM_EXIT_PAPR_HCALL) {
			ksft_print_msg("exit %u instead of a hypercall\n",
				       run->exit_reason);
			return -EPROTO;
		}
		if (run->papr_hcall.nr == H_DONE)
			break;
		ret = kvm_ppc_answer(vcpu);
		if (ret)
			return ret;
	}
	return 0;
}

int __kvm_ppc_calls(struct kvm_ppc_vcpu *vcpu, struct kvm_ppc_call *calls,
		    unsigned int n)
{
	int ret;

	*vcpu->stop = 0;
	memcpy(vcpu->calls, calls, n * sizeof(*calls));
	ret = kvm_ppc_run(vcpu, n, 1);
	memcpy(calls, vcpu->calls, n * sizeof(*calls));
	return ret;
}

void kvm_ppc_calls(struct kvm_ppc_vcpu *vcpu, struct kvm_ppc_call *calls,
		   unsigned int n)
{
	int ret = __kvm_ppc_calls(vcpu, calls, n);

	if (ret)
		ksft_exit_fail_msg("KVM_RUN: %s\n", strerror(-ret));
}

bool kvm_ppc_answered(const struct kvm_ppc_vcpu *vcpu, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (vcpu->calls[i].ret)
			return false;
	return !vcpu->handed && !vcpu->mangled;
}

/* Ends KVM_RUN, nothing else */
static void kvm_ppc_wake(int signal)
{
}

static void *kvm_ppc_spin_run(void *arg)
{
	struct kvm_ppc_spin *spin = arg;

	spin->ret = kvm_ppc_run(spin->vcpu, spin->n, ~0ul);
	return NULL;
}

void kvm_ppc_spin_start(struct kvm_ppc_spin *spin, struct kvm_ppc_vcpu *vcpu,
			unsigned int n)
{
	struct sigaction wake = { .sa_handler = kvm_ppc_wake };

	sigaction(SIGUSR1, &wake, NULL);
	spin->vcpu = vcpu;
	spin->n = n;
	*vcpu->stop = 0;
	errno = pthread_create(&spin->thread, NULL, kvm_ppc_spin_run, spin);
	if (errno)
		ksft_exit_fail_msg("thread: %s\n", strerror(errno));
}

/* A guest that does not see its stop word has lost its way, or its memory */
static int kvm_ppc_spin_stuck(struct kvm_ppc_spin *spin)
{
	struct kvm_regs regs;

	while (pthread_kill(spin->thread, SIGUSR1) == 0 &&
	       pthread_tryjoin_np(spin->thread, NULL))
		usleep(100 * 1000);
	must(ioctl(spin->vcpu->fd, KVM_GET_REGS, &regs));
	ksft_print_msg("vCPU %td did not stop: pc %llx msr %llx r3 %llx\n",
		       spin->vcpu - spin->vcpu->vm->vcpus, regs.pc, regs.msr,
		       regs.gpr[3]);
	return -EDEADLK;
}

int kvm_ppc_spin_stop(struct kvm_ppc_spin *spin)
{
	struct timespec until;

	*spin->vcpu->stop = 1;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_PATIENCE;
	if (pthread_timedjoin_np(spin->thread, NULL, &until))
		return kvm_ppc_spin_stuck(spin);
	return spin->ret;
}

__s64 kvm_ppc_hcall(struct kvm_ppc_vcpu *vcpu, __u64 nr, __u64 a,
		    __u64 b, __u64 c, __u64 d, __u64 *out)
{
	struct kvm_ppc_call call = { .nr = nr, .arg = { a, b, c, d } };

	kvm_ppc_calls(vcpu, &call, 1);
	if (out)
		*out = call.out;
	return call.ret;
}

int __kvm_ppc_table(struct kvm_ppc_vm *vm, __u64 liobn,
		    unsigned int page_shift, __u64 offset, __u64 size)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = liobn,
		.page_shift = page_shift,
		.offset = offset,
		.size = size,
	};

	return as_errno(ioctl(vm->fd, KVM_CREATE_SPAPR_TCE_64, &args));
}

int kvm_ppc_table(struct kvm_ppc_vm *vm, __u64 liobn,
		  unsigned int page_shift, __u64 offset, __u64 size)
{
	int fd = __kvm_ppc_table(vm, liobn, page_shift, offset, size);

	if (fd < 0)
		ksft_exit_fail_msg("table: %s\n", strerror(-fd));
	return fd;
}

int kvm_ppc_vfio_device(struct kvm_ppc_vm *vm)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };

	must(ioctl(vm->fd, KVM_CREATE_DEVICE, &device));
	return device.fd;
}

static int kvm_ppc_set_attr(int device, __u64 attr, void *value)
{
	struct kvm_device_attr args = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attr,
		.addr = (unsigned long)value,
	};

	return as_errno(ioctl(device, KVM_SET_DEVICE_ATTR, &args));
}

int __kvm_ppc_group_add(int device, int group)
{
	__s32 fd = group;

	return kvm_ppc_set_attr(device, KVM_DEV_VFIO_GROUP_ADD, &fd);
}

int __kvm_ppc_group_del(int device, int group)
{
	__s32 fd = group;

	return kvm_ppc_set_attr(device, KVM_DEV_VFIO_GROUP_DEL, &fd);
}

int __kvm_ppc_link(int device, int group, int table)
{
	struct kvm_vfio_spapr_tce link = {
		.groupfd = group,
		.tablefd = table,
	};

	return kvm_ppc_set_attr(device, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
				&link);
}

static int set_spapr_tce(int device, __u32 flags, int file, int table)
{
	struct file_spapr_tce link = {
		.argsz = sizeof(link),
		.flags = flags,
		.fd = file,
		.table = table,
	};

	return kvm_ppc_set_attr(device, FILE_SET_SPAPR_TCE, &link);
}

int __kvm_ppc_file_link(int device, int file, int table)
{
	return set_spapr_tce(device, 0, file, table);
}

int __kvm_ppc_file_unlink(int device, int file, int table)
{
	return set_spapr_tce(device, FILE_SPAPR_TCE_UNLINK, file, table);
}

bool kvm_ppc_has_file_link(int device)
{
	struct kvm_device_attr args = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = FILE_SET_SPAPR_TCE,
	};

	return !ioctl(device, KVM_HAS_DEVICE_ATTR, &args);
}
