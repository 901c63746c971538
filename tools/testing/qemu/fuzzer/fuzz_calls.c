// SPDX-License-Identifier: GPL-2.0
/*
 * The calls of the fuzzer, see fuzz_calls.h.
 *
 * Files are kept in slots. Two threads may use one slot at a time: a file is
 * opened into an empty slot and taken out to be closed by atomic exchange, so
 * no number is closed that has been given to another file meanwhile.
 *
 * User memory for DMA, the arena, is never touched by this program itself, as
 * calls unmap it; the guest's code and its lists lie elsewhere.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/fault.h"
#include "fuzz_calls.h"
#include "lib/kvm_ppc.h"
#include "lib/mediated.h"
#include "lib/memory.h"
#include "lib/nested.h"
#include "lib/transcript.h"
#include "kselftest.h"

#define CONTAINERS	2U
#define GROUPS		3U	/* the last one is the mediated device's */
#define DEVICES		4U	/* so is the last one here */
#define MEDIATED	3U
#define WINDOWS		3U
#define VMS		2U
#define TABLES		4U
#define IOMMUFDS	2U
#define OBJECTS		4U	/* address spaces and page tables of each */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PAGE		0x10000UL
#define ARENA_PAGES	64U
#define ARENA_SIZE	(ARENA_PAGES * PAGE)
/* Views of TCE tables, far from anything else */
#define VIEW		0x500000000000UL
#define VIEW_SIZE	(16 * MiB)

#define GUEST_SIZE	(2 * MiB)
/* Where memory slots begin in the guest, and its lists of TCEs are */
#define SLOT_GPA(slot)	((__u64)(slot) << 28)
#define LISTS		KVM_PPC_FREE
#define LIST_ENTRIES	512U

/* A pick from here on misses what makes sense */
#define MISSES		0xd0

/* log2 of the part of a window that a table has by default */
#define TABLE_SHARE	6

struct window {
	__u64 start, size;
	unsigned int shift;
};

struct vm {
	bool ready;
	int kvm_vfio;
	struct kvm_ppc_vm vm;
};

struct table {
	int fd;
	__u64 liobn, offset, size;
	unsigned int shift;
};

/* The second window of page tables of iommufds, unless a pick has it otherwise */
static const struct window second_window = { 1ULL << 59, 64 * MiB, 16 };

static struct {
	const struct testbed *bed;
	const struct fuzz_watch *watch;
	struct mediated mediated;
	bool pr;
	struct window window32;
	int memory;		/* a file of as many bytes as the arena */
	struct rlimit locked;

	int container[CONTAINERS], group[GROUPS], device[DEVICES];
	struct window windows[CONTAINERS][WINDOWS];
	struct vm vms[VMS];
	struct table tables[TABLES];
	int iommufd[IOMMUFDS];
	__u32 objects[IOMMUFDS][OBJECTS];
	struct cdev cdev[TESTBED_DEVICES];
	pthread_mutex_t making_vm;
	bool arena_changed, bar_mapped, limited, viewed, cdev_used;
} fuzz = { .making_vm = PTHREAD_MUTEX_INITIALIZER };

/*
 * The picks of a call, taken one by one; and for the thread that makes it. A
 * structure's members take theirs in the order in which the structure has them, not
 * in that of their initializers: this is how GCC evaluates these.
 */
struct picks {
	const __u8 *next, *end;
	bool alone;
};

/* What the next ioctl of this thread shall fail at, 0 for nothing */
static __thread unsigned int fail_nth;

static unsigned int pick(struct picks *p)
{
	return p->next < p->end ? *p->next++ : 0;
}

static __u64 miss(struct picks *p, __u64 value, unsigned int how)
{
	switch (how % 12) {
	case 0:
		return value + 1;
	case 1:
		return value - 1;
	case 2:
		return value + 0x1000;
	case 3:
		return value - 0x1000;
	case 4:
		return value + PAGE;
	case 5:
		return value - PAGE;
	case 6:
		return 0;
	case 7:
		return ~0UL;
	case 8:
		return value ^ 1UL << 63;
	case 9:
		return value ^ 1UL << (pick(p) % 64);
	case 10:
		return -value;
	}
	return (__u64)pick(p) << (pick(p) % 64);
}

/* @value, or what misses it by a bit */
static __u64 around(struct picks *p, __u64 value)
{
	const unsigned int how = pick(p);

	return how < MISSES ? value : miss(p, value, how);
}

/* Failures of allocations, for the ioctl in between */
static void fail_write(unsigned int nth)
{
	static __thread int fd = -1;

	if (fd < 0)
		fd = open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		dprintf(fd, "%u", nth);
}

static void fail_begin(void)
{
	if (fail_nth)
		fail_write(fail_nth);
}

static void fail_end(void)
{
	const int error = errno;

	if (fail_nth)
		fail_write(0);
	fail_nth = 0;
	errno = error;
}

static int call(int fd, unsigned long request, void *arg)
{
	int ret;

	fail_begin();
	ret = ioctl(fd, request, arg);
	fail_end();
	return ret;
}

/* Slots */

static int fd_of(const int *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* Puts @fd into an empty slot; what is in it in the end */
static int fd_put(int *slot, int fd)
{
	int empty = -1;

	if (fd < 0 || __atomic_compare_exchange_n(slot, &empty, fd, false,
						  __ATOMIC_ACQ_REL,
						  __ATOMIC_ACQUIRE))
		return fd;
	close(fd);
	return empty;
}

static int fd_close(int *slot)
{
	const int fd = __atomic_exchange_n(slot, -1, __ATOMIC_ACQ_REL);

	return fd < 0 ? 0 : close(fd);
}

/* Objects */

static int container(unsigned int c)
{
	const int fd = fd_of(&fuzz.container[c]);

	return fd >= 0 ? fd : fd_put(&fuzz.container[c],
				     open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
}

static int group(unsigned int g)
{
	const int fd = fd_of(&fuzz.group[g]);
	int number = g < TESTBED_GROUPS ? fuzz.bed->iommu_group[g] :
		     fuzz.mediated.iommu_group;

	if (fd >= 0 || number < 0)
		return fd;
	return fd_put(&fuzz.group[g], __vfio_group_open(number));
}

static const char *device_name(unsigned int d)
{
	return d == MEDIATED ? fuzz.mediated.uuid : fuzz.bed->address[d];
}

/* Only of a group that is in a container */
static int device(unsigned int d)
{
	const int fd = fd_of(&fuzz.device[d]);
	const unsigned int g = d == MEDIATED ? 2 : d == 2;

	if (fd >= 0)
		return fd;
	return fd_put(&fuzz.device[d], __vfio_device_open(group(g),
							  device_name(d)));
}

static unsigned int pick_container(struct picks *p)
{
	return pick(p) % CONTAINERS;
}

static struct vm *vm(unsigned int v)
{
	struct vm *vm = &fuzz.vms[v];

	pthread_mutex_lock(&fuzz.making_vm);
	if (!vm->ready) {
		kvm_ppc_vm_init(&vm->vm, v && fuzz.pr, GUEST_SIZE);
		kvm_ppc_vcpu(&vm->vm, 0);
		kvm_ppc_vcpu(&vm->vm, 1);
		vm->kvm_vfio = -1;
		vm->ready = true;
	}
	pthread_mutex_unlock(&fuzz.making_vm);
	return vm;
}

static struct vm *pick_vm(struct picks *p)
{
	return vm(pick(p) % VMS);
}

static int kvm_vfio(struct vm *vm)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };
	const int fd = fd_of(&vm->kvm_vfio);

	if (fd >= 0)
		return fd;
	if (ioctl(vm->vm.fd, KVM_CREATE_DEVICE, &device))
		return -1;
	return fd_put(&vm->kvm_vfio, device.fd);
}

/* A file for where one is expected: the right one, or any other */
static int pick_fd(struct picks *p, int right)
{
	unsigned int how = pick(p);

	if (how < MISSES)
		return right;
	switch (how % 8) {
	case 0:
		return fd_of(&fuzz.container[pick(p) % CONTAINERS]);
	case 1:
		return fd_of(&fuzz.group[pick(p) % GROUPS]);
	case 2:
		return fd_of(&fuzz.device[pick(p) % DEVICES]);
	case 3:
		return fd_of(&fuzz.tables[pick(p) % TABLES].fd);
	case 4:
		return fuzz.vms[0].ready ? fuzz.vms[0].vm.fd : -1;
	case 5:
		return fuzz.vms[0].ready ? fd_of(&fuzz.vms[0].kvm_vfio) : -1;
	case 6:
		return how & 8 ? fuzz.memory :
		       fd_of(&fuzz.iommufd[pick(p) % IOMMUFDS]);
	case 7:
		return fd_of(&fuzz.cdev[pick(p) % TESTBED_DEVICES].file);
	}
	return -1;
}

/* Values */

static __u64 arena(unsigned int page)
{
	return BASE_PAGES + page % ARENA_PAGES * PAGE;
}

/* User memory: the arena, a guest's, or neither */
static __u64 pick_vaddr(struct picks *p, unsigned int page_shift)
{
	const unsigned int where = pick(p);
	const unsigned int v = where & 1;

	switch (where >> 6) {
	case 2:
		if (fuzz.vms[v].ready)
			return around(p, (__u64)fuzz.vms[v].vm.slots[0].mem);
		break;
	case 3:
		return around(p, VIEW);
	}
	return around(p, BASE_PAGES +
		      (((__u64)pick(p) << page_shift) & (ARENA_SIZE - 1)));
}

static const struct window *pick_window(struct picks *p, unsigned int c)
{
	const unsigned int w = pick(p) % WINDOWS;
	const struct window *window = &fuzz.windows[c][w];

	return w && window->size ? window : &fuzz.window32;
}

/* An entry of a table of @n: near its begin, its end, or anywhere */
static __u64 pick_entry(struct picks *p, __u64 n)
{
	const unsigned int where = pick(p);

	switch (where >> 5) {
	case 4:
		return n - 1 - (where & 31);
	case 5:
		return n / 2 + (where & 31);
	case 6:
		return ((__u64)pick(p) << 8 | pick(p)) % (n ?: 1);
	case 7:
		return n + (where & 31);
	}
	return where;
}

static __u64 pick_count(struct picks *p)
{
	static const unsigned int counts[] = { 0, 511, 512, 513, 4096, 65536 };
	const unsigned int much = pick(p);

	if (much < 0x80)
		return 1 + much % 16;
	if (much < 0xc0)
		return much - 0x80;
	return around(p, counts[much % ARRAY_SIZE(counts)]);
}

static __u64 pick_gpa(struct picks *p)
{
	const unsigned int where = pick(p), page = pick(p);
	const unsigned int slot = where & 3;
	const __u64 base = slot ? SLOT_GPA(slot) : KVM_PPC_FREE;

	return around(p, base + page % 64 * PAGE + page / 64 * 0x1000);
}

static __u32 pick_argsz(struct picks *p, size_t size)
{
	const unsigned int how = pick(p);

	if (how < MISSES)
		return size;
	return how & 1 ? size + how % 16 : how % (size + 1);
}

/* Containers */

static int do_join(struct picks *p)
{
	int fd = container(pick_container(p));
	const int g = group(pick(p) % GROUPS);

	fd = pick_fd(p, fd);
	return call(g, VFIO_GROUP_SET_CONTAINER, &fd);
}

static int do_leave(struct picks *p)
{
	return call(fd_of(&fuzz.group[pick(p) % GROUPS]),
		    VFIO_GROUP_UNSET_CONTAINER, NULL);
}

static int do_iommu(struct picks *p)
{
	static const unsigned long types[] = {
		VFIO_SPAPR_TCE_v2_IOMMU, VFIO_SPAPR_TCE_IOMMU,
		VFIO_TYPE1v2_IOMMU, VFIO_NOIOMMU_IOMMU, VFIO_EEH, -1UL,
	};
	const int fd = container(pick_container(p));

	return call(fd, VFIO_SET_IOMMU,
		    (void *)types[pick(p) % ARRAY_SIZE(types)]);
}

/* A container with the first group and, as pick says, others in it */
static int do_setup(struct picks *p)
{
	const unsigned int c = pick_container(p), how = pick(p);
	unsigned int g;
	int fd = container(c);

	for (g = 0; g < GROUPS; g++)
		if (!(how & 1 << g))
			ioctl(group(g), VFIO_GROUP_SET_CONTAINER, &fd);
	return ioctl(fd, VFIO_SET_IOMMU, how & 8 ? VFIO_SPAPR_TCE_IOMMU :
		     VFIO_SPAPR_TCE_v2_IOMMU);
}

static int do_extension(struct picks *p)
{
	const int fd = container(pick_container(p));

	return call(fd, VFIO_CHECK_EXTENSION, (void *)around(p, pick(p) % 12));
}

static int do_enable(struct picks *p)
{
	return call(container(pick_container(p)), VFIO_IOMMU_ENABLE, NULL);
}

static int do_disable(struct picks *p)
{
	return call(container(pick_container(p)), VFIO_IOMMU_DISABLE, NULL);
}

static int do_info(struct picks *p)
{
	const int fd = container(pick_container(p));
	struct vfio_iommu_spapr_tce_info info = {
		.argsz = pick_argsz(p, sizeof(info)),
	};

	return call(fd, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);
}

static int do_map(struct picks *p)
{
	const unsigned int c = pick_container(p);
	const struct window *w = pick_window(p, c);
	const __u64 entry = pick_entry(p, w->size >> w->shift);
	const __u64 vaddr = pick_vaddr(p, w->shift);
	const __u64 count = pick_count(p);
	struct vfio_iommu_type1_dma_map map = {
		.vaddr = vaddr,
		.flags = around(p, READ_WRITE - pick(p) % 4),
		.iova = around(p, w->start + (entry << w->shift)),
		.size = around(p, count << w->shift),
		.argsz = pick_argsz(p, sizeof(map)),
	};

	return call(container(c), VFIO_IOMMU_MAP_DMA, &map);
}

static int do_unmap(struct picks *p)
{
	const unsigned int c = pick_container(p);
	const struct window *w = pick_window(p, c);
	const __u64 entry = pick_entry(p, w->size >> w->shift);
	const __u64 count = pick_count(p);
	struct vfio_iommu_type1_dma_unmap unmap = {
		.iova = around(p, w->start + (entry << w->shift)),
		.size = pick(p) & 1 ? w->size : around(p, count << w->shift),
		.flags = around(p, 0),
		.argsz = pick_argsz(p, sizeof(unmap)),
	};

	return call(container(c), VFIO_IOMMU_UNMAP_DMA, &unmap);
}

/* The whole arena or some of its pages; a guest's memory in one piece */
static int do_memory(struct picks *p, unsigned long request)
{
	const int fd = container(pick_container(p));
	const unsigned int count = pick(p);
	const __u64 vaddr = pick_vaddr(p, 16);
	const bool guests = vaddr - BASE_PAGES >= ARENA_SIZE;
	__u64 size = count ? count % ARENA_PAGES * PAGE : ARENA_SIZE;
	struct vfio_iommu_spapr_register_memory memory = {
		.vaddr = vaddr,
		.size = around(p, guests ? GUEST_SIZE : size),
		.flags = around(p, 0),
		.argsz = pick_argsz(p, sizeof(memory)),
	};

	return call(fd, request, &memory);
}

static int do_register(struct picks *p)
{
	return do_memory(p, VFIO_IOMMU_SPAPR_REGISTER_MEMORY);
}

static int do_unregister(struct picks *p)
{
	return do_memory(p, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY);
}

static void keep_window(unsigned int c, __u64 start, __u64 size,
			unsigned int shift)
{
	unsigned int w = fuzz.windows[c][1].size ? 2 : 1;

	fuzz.windows[c][w] = (struct window){ start, size, shift };
}

static int do_create(struct picks *p)
{
	static const unsigned char shifts[] = { 16, 12, 24, 21, 30, 34, 0, 63 };
	const unsigned int c = pick_container(p);
	struct vfio_iommu_spapr_tce_create create = {
		.page_shift = around(p, shifts[pick(p) % ARRAY_SIZE(shifts)]),
		.levels = around(p, 1 + pick(p) % 6),
		.window_size = around(p, GiB >> pick(p) % 20),
		.flags = around(p, 0),
		.argsz = pick_argsz(p, sizeof(create)),
	};
	int ret = call(container(c), VFIO_IOMMU_SPAPR_TCE_CREATE, &create);

	if (!ret)
		keep_window(c, create.start_addr, create.window_size,
			    create.page_shift);
	return ret;
}

static int do_remove(struct picks *p)
{
	const unsigned int c = pick_container(p);
	struct window *w = &fuzz.windows[c][1 + pick(p) % 2];
	const __u64 start = pick(p) & 1 ? fuzz.window32.start : w->start;
	struct vfio_iommu_spapr_tce_remove remove = {
		.start_addr = around(p, start),
		.flags = around(p, 0),
		.argsz = pick_argsz(p, sizeof(remove)),
	};
	int ret = call(container(c), VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove);

	if (!ret && start == w->start)
		w->size = 0;
	return ret;
}

static int do_eeh(struct picks *p)
{
	const int fd = container(pick_container(p));
	struct vfio_eeh_pe_op op = {
		.op = around(p, pick(p) % 10),
		.flags = around(p, 0),
		.argsz = pick_argsz(p, sizeof(op)),
	};

	/* Resets take their time and are not ours */
	if (op.op >= VFIO_EEH_PE_RESET_DEACTIVATE &&
	    op.op <= VFIO_EEH_PE_CONFIGURE && pick(p) < 0x80)
		op.op = VFIO_EEH_PE_GET_STATE;
	return call(fd, VFIO_EEH_PE_OP, &op);
}

/* Any request, to any file, with a structure of anything */
static int do_any(struct picks *p)
{
	static const unsigned long requests[] = {
		VFIO_GET_API_VERSION, VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU,
		VFIO_GROUP_GET_STATUS, VFIO_GROUP_SET_CONTAINER,
		VFIO_GROUP_UNSET_CONTAINER, VFIO_GROUP_GET_DEVICE_FD,
		VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_FEATURE,
		VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA,
		VFIO_IOMMU_ENABLE, VFIO_IOMMU_DISABLE, VFIO_IOMMU_DIRTY_PAGES,
		VFIO_EEH_PE_OP, VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
		VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, VFIO_IOMMU_SPAPR_TCE_CREATE,
		VFIO_IOMMU_SPAPR_TCE_REMOVE, VFIO_IOMMU_SPAPR_TCE_GET_INFO,
		KVM_CREATE_SPAPR_TCE, KVM_CREATE_SPAPR_TCE_64,
		KVM_SET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR,
		VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		VFIO_DEVICE_DETACH_IOMMUFD_PT, IOMMU_DESTROY, IOMMU_IOAS_ALLOC,
		IOMMU_IOAS_ALLOW_IOVAS, IOMMU_IOAS_COPY,
		IOMMU_IOAS_IOVA_RANGES, IOMMU_IOAS_MAP, IOMMU_IOAS_UNMAP,
		IOMMU_OPTION, IOMMU_VFIO_IOAS, IOMMU_HWPT_ALLOC,
		IOMMU_GET_HW_INFO, IOMMU_HWPT_SET_DIRTY_TRACKING,
		IOMMU_HWPT_GET_DIRTY_BITMAP, IOMMU_HWPT_INVALIDATE,
	};
	const unsigned long request = requests[pick(p) % ARRAY_SIZE(requests)];
	const unsigned int c = pick_container(p);
	const int fd = pick_fd(p, container(c));
	union {
		__u32 argsz;
		__u64 words[16];
	} arg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(arg.words); i++)
		arg.words[i] = around(p, i < 4 ? pick(p) : 0);
	if (pick(p) < MISSES)
		arg.argsz = sizeof(arg);
	return call(fd, request, pick(p) < MISSES ? &arg : (void *)8);
}

/* Groups and devices */

static int do_status(struct picks *p)
{
	struct vfio_group_status status = {
		.argsz = pick_argsz(p, sizeof(status)),
	};

	return call(group(pick(p) % GROUPS), VFIO_GROUP_GET_STATUS, &status);
}

static int do_group_close(struct picks *p)
{
	return fd_close(&fuzz.group[pick(p) % GROUPS]);
}

static int do_container_close(struct picks *p)
{
	const unsigned int c = pick_container(p);

	memset(fuzz.windows[c], 0, sizeof(fuzz.windows[c]));
	return fd_close(&fuzz.container[c]);
}

static int do_device(struct picks *p)
{
	const unsigned int d = MEDIATED - pick(p) % DEVICES;
	const unsigned int name = pick(p);
	int fd;

	if (name < MISSES)
		return device(d) < 0 ? -1 : 0;
	/* Of another group, or the name of no device */
	fd = call(group(pick(p) % GROUPS), VFIO_GROUP_GET_DEVICE_FD,
		  (void *)(name & 1 ? device_name(d) : "0000:ff:1f.7"));
	return fd < 0 ? -1 : close(fd);
}

static int do_device_close(struct picks *p)
{
	return fd_close(&fuzz.device[MEDIATED - pick(p) % DEVICES]);
}

/*
 * The driver leaves its device, and with it the group goes away under the process
 * that has it; not while the device is open, for which the driver would wait, be it
 * in the process that has forked this one.
 */
static int do_rebind(struct picks *p)
{
	const unsigned int d = pick(p) % MEDIATED;
	const char *address = fuzz.bed->address[d];

	if (!p->alone || fuzz.bar_mapped || fuzz.cdev_used ||
	    fd_of(&fuzz.device[d]) >= 0)
		return 0;
	if (!__pci_unbind(address) && pick(p) < 0x80)
		return 0;
	return __pci_bind(address, "vfio-pci") ? -1 : 0;
}

/* Mediated devices */

static int do_pin(struct picks *p, unsigned long request)
{
	const unsigned int c = pick_container(p);
	const struct window *w = pick_window(p, c);
	const __u64 entry = pick_entry(p, w->size / PAGE);
	struct mediated_dma_range range = {
		.bus = around(p, w->start + entry * PAGE),
		.npages = around(p, pick_count(p)),
		.flags = around(p, MEDIATED_BOTH ^ pick(p) % 8),
	};

	return call(device(MEDIATED), request, &range);
}

static int do_pin_pages(struct picks *p)
{
	return do_pin(p, MEDIATED_DMA_PIN);
}

static int do_unpin_pages(struct picks *p)
{
	return do_pin(p, MEDIATED_DMA_UNPIN);
}

static int do_copy(struct picks *p, unsigned long request)
{
	static char buffer[4 * PAGE];
	const unsigned int c = pick_container(p);
	const struct window *w = pick_window(p, c);
	const __u64 entry = pick_entry(p, w->size / PAGE);
	struct mediated_dma_copy copy = {
		.bus = around(p, w->start + entry * PAGE),
		.buffer = (unsigned long)buffer,
		.size = 1 + pick(p) * 0x400,
		.write = pick(p) & 1,
		.thread = pick(p) & 1,
	};

	return call(device(MEDIATED), request, &copy);
}

static int do_copy_pages(struct picks *p)
{
	return do_copy(p, MEDIATED_DMA_COPY);
}

static int do_copy_pinned(struct picks *p)
{
	return do_copy(p, MEDIATED_DMA_RUN);
}

static int do_behave(struct picks *p)
{
	struct mediated_dma_manners manners = {
		.litters = pick(p) & 1,
		.delay_ms = pick(p) % 4,
	};

	return call(device(MEDIATED), MEDIATED_DMA_BEHAVE, &manners);
}

/* iommufd and device files */

static int iommufd(unsigned int i)
{
	const int fd = fd_of(&fuzz.iommufd[i]);

	return fd >= 0 ? fd : fd_put(&fuzz.iommufd[i], iommufd_open());
}

static __u32 *object(unsigned int i, unsigned int o)
{
	return &fuzz.objects[i][o % OBJECTS];
}

static int result(long ret)
{
	if (ret >= 0)
		return 0;
	errno = -ret;
	return -1;
}

/* The first one is made when it is needed. */
static __u32 address_space(unsigned int i)
{
	if (!*object(i, 0))
		iommufd_ioas_alloc(iommufd(i), object(i, 0));
	return *object(i, 0);
}

static __u32 pick_object(struct picks *p, unsigned int i)
{
	const unsigned int o = pick(p) % OBJECTS;

	return around(p, o ? *object(i, o) : address_space(i));
}

/*
 * A device file, bound to the first iommufd unless it was to another. Only few
 * calls open it, as it takes a second or more to close: the bus is reset.
 */
static struct cdev *opened_cdev(unsigned int d)
{
	struct cdev *c = &fuzz.cdev[d];
	struct cdev fresh;

	if (fd_of(&c->file) >= 0)
		return c;
	fuzz.cdev_used = true;
	if (cdev_open(&fresh, fuzz.bed->address[d]))
		return c;
	if (!cdev_bind(&fresh, iommufd(0)))
		c->id = fresh.id;
	fd_put(&c->file, fresh.file);
	return c;
}

static struct cdev *pick_cdev(struct picks *p)
{
	return &fuzz.cdev[pick(p) % TESTBED_DEVICES];
}

static int do_io_space(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;
	struct iommu_ioas_alloc alloc = {
		.size = pick_argsz(p, sizeof(alloc)),
		.flags = around(p, 0),
	};
	int ret = call(iommufd(i), IOMMU_IOAS_ALLOC, &alloc);

	if (!ret)
		*object(i, pick(p)) = alloc.out_ioas_id;
	return ret;
}

/* Bus addresses that page tables of any windows may have */
static __u64 pick_iova(struct picks *p)
{
	const unsigned int where = pick(p);
	const __u64 entry = pick_entry(p, GiB / PAGE);

	return around(p, (where & 1 ? second_window.start : 0) + entry * PAGE);
}

static int do_io_map(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;
	struct iommu_ioas_map map = {
		.size = pick_argsz(p, sizeof(map)),
		.ioas_id = pick_object(p, i),
		.iova = pick_iova(p),
		.user_va = pick_vaddr(p, 16),
		.length = around(p, pick_count(p) * PAGE),
		.flags = around(p, (IOMMU_IOAS_MAP_FIXED_IOVA |
				    IOMMU_IOAS_MAP_READABLE |
				    IOMMU_IOAS_MAP_WRITEABLE) ^ pick(p) % 8),
	};

	return call(iommufd(i), IOMMU_IOAS_MAP, &map);
}

static int do_io_copy(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;
	struct iommu_ioas_copy copy = {
		.size = pick_argsz(p, sizeof(copy)),
		.flags = around(p, IOMMU_IOAS_MAP_FIXED_IOVA |
				   IOMMU_IOAS_MAP_READABLE),
		.dst_ioas_id = pick_object(p, i),
		.src_ioas_id = pick_object(p, i),
		.length = around(p, pick_count(p) * PAGE),
		.dst_iova = pick_iova(p),
		.src_iova = pick_iova(p),
	};

	return call(iommufd(i), IOMMU_IOAS_COPY, &copy);
}

static int do_io_unmap(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;
	struct iommu_ioas_unmap unmap = {
		.size = pick_argsz(p, sizeof(unmap)),
		.ioas_id = pick_object(p, i),
		.iova = pick_iova(p),
		.length = around(p, pick_count(p) * PAGE),
	};

	if (pick(p) & 1) {
		unmap.iova = 0;
		unmap.length = ~0ULL;
	}
	return call(iommufd(i), IOMMU_IOAS_UNMAP, &unmap);
}

static int do_io_ranges(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;
	struct iommu_iova_range ranges[4];
	struct iommu_ioas_iova_ranges query = {
		.size = pick_argsz(p, sizeof(query)),
		.ioas_id = pick_object(p, i),
		.num_iovas = around(p, ARRAY_SIZE(ranges)) %
			     (ARRAY_SIZE(ranges) + 1),
		.allowed_iovas = (unsigned long)ranges,
	};

	return call(iommufd(i), IOMMU_IOAS_IOVA_RANGES, &query);
}

/* A page table without data, a parent, or with windows */
static int do_io_table(struct picks *p)
{
	static const unsigned char shifts[] = { 16, 12, 21, 24, 30, 34, 0, 63 };
	const unsigned int i = pick(p) % IOMMUFDS, how = pick(p) % 4;
	const unsigned int d = pick(p) % TESTBED_DEVICES, o = 1 + pick(p);
	const unsigned int shift = around(p, shifts[pick(p) % 8]);
	const unsigned int levels = around(p, 0);
	const __u64 size = around(p, GiB >> pick(p) % 16);
	const struct hwpt_windows windows = {
		.flags = around(p, 0),
		.num_windows = around(p, 2),
		.windows = {
			{ fuzz.window32.start, fuzz.window32.size, 12 },
			{ second_window.start, size, shift, levels },
		},
	};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = around(p, how == 2 ? IOMMU_HWPT_ALLOC_NEST_PARENT : 0),
		.dev_id = around(p, fuzz.cdev[d].id),
		.pt_id = how == 3 ? pick_object(p, i) : address_space(i),
	};
	int ret;

	if (how == 1) {
		alloc.data_type = HWPT_DATA_SPAPR_TCE;
		alloc.data_len = pick_argsz(p, sizeof(windows));
		alloc.data_uptr = (unsigned long)&windows;
	}
	ret = call(iommufd(i), IOMMU_HWPT_ALLOC, &alloc);
	if (!ret)
		*object(i, o) = alloc.out_hwpt_id;
	return ret;
}

/*
 * Of a parent that is in the second place, as do_io_table() puts one there. The
 * first window is as large as tables are by default.
 */
static int do_io_nested(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;
	const unsigned int d = pick(p) % TESTBED_DEVICES;
	const unsigned int o = 2 + pick(p) % 2;
	const unsigned int shift = around(p, second_window.shift - 4 * (pick(p) % 2));
	const struct nested_windows windows = {
		.num_windows = around(p, 2 - pick(p) % 2),
		.windows = {
			{ { fuzz.window32.start,
			    fuzz.window32.size >> TABLE_SHARE, 12 },
			  pick_iova(p) },
			{ { second_window.start,
			    around(p, second_window.size), shift },
			  pick_iova(p) },
		},
	};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = around(p, fuzz.cdev[d].id),
		.pt_id = around(p, *object(i, 1)),
		.data_type = HWPT_DATA_SPAPR_NESTED,
		.data_len = sizeof(windows),
		.data_uptr = (unsigned long)&windows,
	};
	int ret = call(iommufd(i), IOMMU_HWPT_ALLOC, &alloc);

	if (!ret)
		*object(i, o) = alloc.out_hwpt_id;
	return ret;
}

static int do_io_invalidate(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;
	const unsigned int o = 2 + pick(p) % 2;
	struct nested_invalidate requests[2] = {
		{ .start = pick_iova(p), .size = pick_count(p) * PAGE },
		{ .start = pick_iova(p), .size = around(p, 16 * MiB),
		  .flags = around(p, 0) },
	};
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate),
		.hwpt_id = around(p, *object(i, o)),
		.data_uptr = (unsigned long)requests,
		.data_type = around(p, HWPT_INVALIDATE_DATA_SPAPR_TCE),
		.entry_len = pick_argsz(p, sizeof(requests[0])),
		.entry_num = around(p, 1) % 3,
	};

	return call(iommufd(i), IOMMU_HWPT_INVALIDATE, &invalidate);
}

static int do_io_info(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;
	struct hw_info_windows info;
	struct iommu_hw_info query = {
		.size = pick_argsz(p, sizeof(query)),
		.dev_id = around(p, pick_cdev(p)->id),
		.data_len = pick_argsz(p, sizeof(info)) % (sizeof(info) + 1),
		.data_uptr = (unsigned long)&info,
	};

	return call(iommufd(i), IOMMU_GET_HW_INFO, &query);
}

static int do_io_destroy(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS, o = ~pick(p);
	struct iommu_destroy destroy = {
		.size = sizeof(destroy),
		.id = around(p, *object(i, o)),
	};
	int ret = call(iommufd(i), IOMMU_DESTROY, &destroy);

	if (!ret && destroy.id == *object(i, o))
		*object(i, o) = 0;
	return ret;
}

static int do_io_close(struct picks *p)
{
	const unsigned int i = pick(p) % IOMMUFDS;

	memset(fuzz.objects[i], 0, sizeof(fuzz.objects[i]));
	return fd_close(&fuzz.iommufd[i]);
}

static int do_cdev_bind(struct picks *p)
{
	struct cdev *c = opened_cdev(pick(p) % TESTBED_DEVICES);
	struct vfio_device_bind_iommufd bind = {
		.argsz = pick_argsz(p, sizeof(bind)),
		.flags = around(p, 0),
		.iommufd = pick_fd(p, iommufd(pick(p) % IOMMUFDS)),
	};
	int ret = call(fd_of(&c->file), VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (!ret)
		c->id = bind.out_devid;
	return ret;
}

static int do_cdev_attach(struct picks *p)
{
	struct cdev *c = opened_cdev(pick(p) % TESTBED_DEVICES);
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = pick_argsz(p, sizeof(attach)),
		.flags = around(p, 0),
		.pt_id = pick_object(p, 0),
	};

	return call(fd_of(&c->file), VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

static int do_cdev_detach(struct picks *p)
{
	struct cdev *c = pick_cdev(p);
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = pick_argsz(p, sizeof(detach)),
		.flags = around(p, 0),
	};

	return call(fd_of(&c->file), VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

/* As do_eeh(), of a device */
static int do_cdev_eeh(struct picks *p)
{
	struct cdev *c = pick_cdev(p);
	const __u64 data[FEATURE_EEH_PE_SIZE / 8] = { around(p, pick(p) % 5) };

	return result(cdev_feature_eeh(c, around(p, VFIO_DEVICE_FEATURE_GET),
				       data, pick_argsz(p, sizeof(data))));
}

static int do_cdev_close(struct picks *p)
{
	return fd_close(&fuzz.cdev[pick(p) % TESTBED_DEVICES].file);
}

/* KVM */

/* A container's, or the one that only page tables of iommufds have */
static const struct window *pick_table_window(struct picks *p)
{
	const unsigned int c = pick(p);
	const struct window *window = pick_window(p, c % CONTAINERS);

	return c & CONTAINERS ? &second_window : window;
}

static int do_table(struct picks *p)
{
	struct vm *v = pick_vm(p);
	const unsigned int t = pick(p) % TABLES;
	const struct window *w = pick_table_window(p);
	const unsigned int shift = around(p, w->shift + 4 * (pick(p) % 4));
	const __u64 most = shift < 64 ? w->size >> shift : 0;
	struct kvm_create_spapr_tce_64 args = {
		.liobn = around(p, 1 + t),
		.page_shift = shift,
		.offset = around(p, shift < 64 ? w->start >> shift : 0),
		.size = around(p, most >> (pick(p) ?: TABLE_SHARE) % 32),
	};
	int fd = call(v->vm.fd, KVM_CREATE_SPAPR_TCE_64, &args);

	if (fd < 0)
		return fd;
	if (fd_put(&fuzz.tables[t].fd, fd) == fd) {
		fuzz.tables[t].liobn = args.liobn;
		fuzz.tables[t].offset = args.offset;
		fuzz.tables[t].size = args.size;
		fuzz.tables[t].shift = args.page_shift & 63;
	}
	return 0;
}

static int do_table32(struct picks *p)
{
	struct vm *v = pick_vm(p);
	const unsigned int t = pick(p) % TABLES;
	struct kvm_create_spapr_tce args = {
		.liobn = around(p, 1 + t),
		.window_size = around(p, GiB >> (pick(p) ?: TABLE_SHARE) % 32),
	};
	int fd = call(v->vm.fd, KVM_CREATE_SPAPR_TCE, &args);

	if (fd < 0)
		return fd;
	if (fd_put(&fuzz.tables[t].fd, fd) == fd) {
		fuzz.tables[t].liobn = args.liobn;
		fuzz.tables[t].offset = 0;
		fuzz.tables[t].size = args.window_size >> 12;
		fuzz.tables[t].shift = 12;
	}
	return 0;
}

static int do_table_close(struct picks *p)
{
	return fd_close(&fuzz.tables[pick(p) % TABLES].fd);
}

/* User space looks at a table; the view stays until the program's end. */
static int do_view(struct picks *p)
{
	const struct table *t = &fuzz.tables[pick(p) % TABLES];
	const __u64 size = around(p, (t->size * 8 | (PAGE - 1)) + 1);
	const __u64 offset = around(p, 0) % VIEW_SIZE;
	void *view;

	fuzz.viewed = true;
	view = mmap((void *)VIEW, size < VIEW_SIZE ? size : VIEW_SIZE,
		    pick(p) < 0x80 ? PROT_READ : PROT_READ | PROT_WRITE,
		    (pick(p) < MISSES ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED,
		    fd_of(&t->fd), pick(p) < MISSES ? 0 : PAGE);
	if (view == MAP_FAILED)
		return -1;
	return pwrite(fuzz.memory, (void *)(VIEW + offset), 8, 0) < 0 ? -1 : 0;
}

static int set_attr(struct picks *p, int fd, __u64 attr, void *value)
{
	struct kvm_device_attr args = {
		.group = around(p, KVM_DEV_VFIO_GROUP),
		.attr = around(p, attr),
		.addr = pick(p) < MISSES ? (unsigned long)value : 8,
	};

	return call(fd, pick(p) < MISSES ? KVM_SET_DEVICE_ATTR :
		    KVM_HAS_DEVICE_ATTR, &args);
}

static int pick_group(struct picks *p)
{
	return group(pick(p) % GROUPS);
}

/* Of a device that other calls have opened */
static int pick_cdev_file(struct picks *p)
{
	return fd_of(&pick_cdev(p)->file);
}

static int do_file_attr(struct picks *p, __u64 attr,
			int (*pick_right)(struct picks *p))
{
	struct vm *v = pick_vm(p);
	__s32 fd = pick_fd(p, pick_right(p));

	return set_attr(p, kvm_vfio(v), attr, &fd);
}

static int do_group_add(struct picks *p)
{
	return do_file_attr(p, KVM_DEV_VFIO_FILE_ADD, pick_group);
}

static int do_group_del(struct picks *p)
{
	return do_file_attr(p, KVM_DEV_VFIO_FILE_DEL, pick_group);
}

static int do_file_add(struct picks *p)
{
	return do_file_attr(p, KVM_DEV_VFIO_FILE_ADD, pick_cdev_file);
}

static int do_file_del(struct picks *p)
{
	return do_file_attr(p, KVM_DEV_VFIO_FILE_DEL, pick_cdev_file);
}

static int do_link(struct picks *p)
{
	struct vm *v = pick_vm(p);
	const unsigned int g = pick(p) % GROUPS, t = pick(p) % TABLES;
	struct kvm_vfio_spapr_tce link = {
		.groupfd = pick_fd(p, fd_of(&fuzz.group[g])),
		.tablefd = pick_fd(p, fd_of(&fuzz.tables[t].fd)),
	};

	return set_attr(p, kvm_vfio(v), KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
			&link);
}

static int do_file_set(struct picks *p, __u32 flags)
{
	struct vm *v = pick_vm(p);
	const unsigned int t = pick(p) % TABLES;
	struct file_spapr_tce link = {
		.argsz = pick_argsz(p, sizeof(link)),
		.flags = around(p, flags),
		.fd = pick_fd(p, pick_cdev_file(p)),
		.table = pick_fd(p, fd_of(&fuzz.tables[t].fd)),
	};

	return set_attr(p, kvm_vfio(v), FILE_SET_SPAPR_TCE, &link);
}

static int do_file_link(struct picks *p)
{
	return do_file_set(p, 0);
}

static int do_file_unlink(struct picks *p)
{
	return do_file_set(p, FILE_SPAPR_TCE_UNLINK);
}

static int do_kvm_vfio_close(struct picks *p)
{
	return fd_close(&pick_vm(p)->kvm_vfio);
}

/* The VM lives on in its other files */
static int do_vm_close(struct picks *p)
{
	return fd_close(&pick_vm(p)->vm.fd);
}

/* A memory slot of the arena's pages, or of none */
static int do_slot(struct picks *p)
{
	struct vm *v = pick_vm(p);
	const unsigned int slot = 1 + pick(p) % 3;
	const unsigned int page = pick(p), pages = pick(p);
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.userspace_addr = arena(page),
		.memory_size = (pages ? pages % (ARENA_PAGES + 1) :
				ARENA_PAGES - page % ARENA_PAGES) * PAGE,
		.guest_phys_addr = around(p, SLOT_GPA(slot)),
		.flags = pick(p) % 4,
	};

	return call(v->vm.fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/* A list of TCEs in the guest's own memory */
static int do_list(struct picks *p)
{
	struct vm *v = pick_vm(p);
	__u64 *list = kvm_ppc_mem(&v->vm, LISTS + pick(p) % 4 * 0x1000);
	const unsigned int bits = pick(p) % 4, stride = pick(p) % 2 ? 16 : 12;
	const unsigned int odd = pick(p) * 2;
	const __u64 gpa = pick_gpa(p);
	unsigned int i;

	for (i = 0; i < LIST_ENTRIES; i++)
		list[i] = htobe64((gpa + ((__u64)i % 64 << stride)) |
				  (bits ^ 3));
	if (odd)
		list[odd] = htobe64(around(p, pick_gpa(p) | pick(p) % 4));
	return 0;
}

static __u64 pick_ioba(struct picks *p, const struct table *t)
{
	const __u64 entry = pick_entry(p, t->size);

	return around(p, (t->offset + entry) << t->shift);
}

static int hcall(struct picks *p, struct vm *v, struct kvm_ppc_call *hcall)
{
	static __thread unsigned int nr;
	static unsigned int threads;
	struct kvm_ppc_vcpu *vcpu;
	int ret;

	if (!nr)
		nr = 1 + __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % 2;
	vcpu = &v->vm.vcpus[nr - 1];
	fail_begin();
	ret = __kvm_ppc_calls(vcpu, hcall, 1);
	fail_end();
	if (!ret)
		ret = hcall->ret ? -EPROTO : 0;
	errno = -ret;
	return ret ? -1 : 0;
}

static int do_put(struct picks *p)
{
	struct vm *v = pick_vm(p);
	const struct table *t = &fuzz.tables[pick(p) % TABLES];
	struct kvm_ppc_call call = {
		.nr = H_PUT_TCE,
		.arg = { around(p, t->liobn), pick_ioba(p, t),
			 pick_gpa(p) | (pick(p) % 4 ^ 3) },
	};

	return hcall(p, v, &call);
}

static int do_put_list(struct picks *p)
{
	struct vm *v = pick_vm(p);
	const struct table *t = &fuzz.tables[pick(p) % TABLES];
	const unsigned int list = pick(p);
	struct kvm_ppc_call call = {
		.nr = H_PUT_TCE_INDIRECT,
		.arg = { around(p, t->liobn), pick_ioba(p, t),
			 list < 0xc0 ? LISTS + list % 4 * 0x1000 : pick_gpa(p),
			 pick_count(p) },
	};

	return hcall(p, v, &call);
}

static int do_stuff(struct picks *p)
{
	struct vm *v = pick_vm(p);
	const struct table *t = &fuzz.tables[pick(p) % TABLES];
	const unsigned int value = pick(p);
	struct kvm_ppc_call call = {
		.nr = H_STUFF_TCE,
		.arg = { around(p, t->liobn), pick_ioba(p, t),
			 value < 0x80 ? value & 0x7c : pick_gpa(p) | value % 4,
			 pick_count(p) },
	};

	return hcall(p, v, &call);
}

static int do_get(struct picks *p)
{
	struct vm *v = pick_vm(p);
	const struct table *t = &fuzz.tables[pick(p) % TABLES];
	struct kvm_ppc_call call = {
		.nr = H_GET_TCE,
		.arg = { around(p, t->liobn), pick_ioba(p, t) },
	};

	return hcall(p, v, &call);
}

/* Memory under all this */

static int remap(__u64 where, size_t size, int protection, int flags, int fd)
{
	return mmap((void *)where, size, protection, flags | MAP_FIXED, fd,
		    fd == fuzz.memory ? where - BASE_PAGES : 0) == MAP_FAILED ?
		-1 : 0;
}

static int advise(__u64 where, size_t size, int what)
{
	return madvise((void *)where, size, what);
}

/* Something of the arena's pages, anonymous unless told otherwise */
static int do_arena(struct picks *p)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_HUGEPAGE, MADV_PAGEOUT, MADV_MERGEABLE,
		MADV_DONTFORK, MADV_COLLAPSE, MADV_FREE, MADV_POPULATE_WRITE,
	};
	const unsigned int what = pick(p), page = pick(p) % ARENA_PAGES;
	const unsigned int pages = pick(p), other = pick(p);
	const __u64 where = arena(page);
	size_t size = pages % ARENA_PAGES * PAGE;

	if (!size)
		size = ARENA_SIZE;
	if (where + size > BASE_PAGES + ARENA_SIZE)
		size = BASE_PAGES + ARENA_SIZE - where;
	fuzz.arena_changed = true;
	switch (what % 16) {
	case 0:
		return munmap((void *)where, size);
	case 1:
		return remap(where, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1);
	case 2:
		return remap(where, size, PROT_READ | PROT_WRITE,
			     other & 1 ? MAP_PRIVATE : MAP_SHARED, fuzz.memory);
	case 3:
		return mprotect((void *)where, size,
				other & 1 ? PROT_READ | PROT_WRITE : PROT_READ);
	case 4:
		/* Memory of the device itself */
		if (fd_of(&fuzz.device[0]) < 0)
			return 0;
		fuzz.bar_mapped = true;
		return remap(where, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			     fd_of(&fuzz.device[0]));
	case 5:
		return mremap((void *)where, size, size,
			      MREMAP_MAYMOVE | MREMAP_FIXED,
			      (void *)(arena(page) + ARENA_SIZE)) ==
			MAP_FAILED ? -1 : 0;
	case 6:
		return mlock((void *)where, size);
	case 7:
		return munlock((void *)where, size);
	case 8:
		return remap(where, size, PROT_READ,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1);
	}
	return advise(where, size, advices[what % ARRAY_SIZE(advices)]);
}

/* Privileges, faults, processes */

static void may_lock(bool yes)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	data[0].effective |= (__u32)yes << CAP_IPC_LOCK;
	syscall(SYS_capset, &header, data);
}

static int do_limit(struct picks *p)
{
	const struct rlimit limit = {
		.rlim_cur = pick(p) * PAGE,
		.rlim_max = fuzz.locked.rlim_max,
	};

	if (!p->alone)
		return 0;
	fuzz.limited = true;
	may_lock(false);
	return setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* The next ioctl of this thread has a failure */
static int do_fail(struct picks *p)
{
	fail_nth = 1 + pick(p) % 48;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct picks *p);
	unsigned int weight;
} kinds[] = {
	{ "setup", do_setup, 4 },
	{ "join", do_join, 4 },
	{ "leave", do_leave, 3 },
	{ "iommu", do_iommu, 4 },
	{ "extension", do_extension, 1 },
	{ "enable", do_enable, 3 },
	{ "disable", do_disable, 3 },
	{ "info", do_info, 2 },
	{ "map", do_map, 10 },
	{ "unmap", do_unmap, 8 },
	{ "register", do_register, 8 },
	{ "unregister", do_unregister, 6 },
	{ "create", do_create, 6 },
	{ "remove", do_remove, 5 },
	{ "eeh", do_eeh, 1 },
	{ "any", do_any, 3 },
	{ "status", do_status, 1 },
	{ "group_close", do_group_close, 3 },
	{ "container_close", do_container_close, 3 },
	{ "device", do_device, 1 },
	{ "device_close", do_device_close, 1 },
	{ "rebind", do_rebind, 1 },
	{ "pin", do_pin_pages, 5 },
	{ "unpin", do_unpin_pages, 4 },
	{ "copy", do_copy_pages, 3 },
	{ "run", do_copy_pinned, 2 },
	{ "behave", do_behave, 1 },
	{ "table", do_table, 5 },
	{ "table32", do_table32, 1 },
	{ "table_close", do_table_close, 3 },
	{ "view", do_view, 2 },
	{ "group_add", do_group_add, 4 },
	{ "group_del", do_group_del, 3 },
	{ "link", do_link, 6 },
	{ "file_add", do_file_add, 3 },
	{ "file_del", do_file_del, 2 },
	{ "file_link", do_file_link, 4 },
	{ "file_unlink", do_file_unlink, 3 },
	{ "kvm_vfio_close", do_kvm_vfio_close, 1 },
	{ "vm_close", do_vm_close, 1 },
	{ "slot", do_slot, 4 },
	{ "list", do_list, 4 },
	{ "put", do_put, 6 },
	{ "put_list", do_put_list, 6 },
	{ "stuff", do_stuff, 5 },
	{ "get", do_get, 3 },
	{ "space", do_io_space, 1 },
	{ "io_map", do_io_map, 6 },
	{ "io_copy", do_io_copy, 1 },
	{ "io_unmap", do_io_unmap, 4 },
	{ "ranges", do_io_ranges, 1 },
	{ "hwpt", do_io_table, 4 },
	{ "nested", do_io_nested, 3 },
	{ "invalidate", do_io_invalidate, 4 },
	{ "hw_info", do_io_info, 1 },
	{ "destroy", do_io_destroy, 3 },
	{ "iommufd_close", do_io_close, 1 },
	{ "bind", do_cdev_bind, 1 },
	{ "attach", do_cdev_attach, 2 },
	{ "detach", do_cdev_detach, 2 },
	{ "cdev_eeh", do_cdev_eeh, 1 },
	{ "cdev_close", do_cdev_close, 2 },
	{ "arena", do_arena, 5 },
	{ "limit", do_limit, 1 },
	{ "fail", do_fail, 6 },
	/* The calls after it are a child's, see fuzz_calls_run() */
	{ "child", NULL, 1 },
};

const unsigned int fuzz_kinds = ARRAY_SIZE(kinds);

const char *fuzz_kind_name(unsigned int kind)
{
	return kinds[kind].name;
}

unsigned int fuzz_kind_weight(unsigned int kind)
{
	return kinds[kind].weight;
}

static void run_one(const struct fuzz_call *call, bool alone)
{
	struct picks p = { call->picks, call->picks + FUZZ_PICKS, alone };
	int ret;

	fuzz.watch->before();
	ret = kinds[call->kind].run(&p);
	fuzz.watch->after(call->kind, ret < 0 ? errno : 0);
}

/* Calls [first, last) in a process of its own */
static void run_child(const struct fuzz_program *program, unsigned int first,
		      unsigned int last)
{
	pid_t pid = fork();

	if (!pid) {
		fuzz.watch->child();
		for (; first < last; first++)
			if (kinds[program->calls[first].kind].run)
				run_one(&program->calls[first], true);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
	fuzz.watch->parent();
}

void fuzz_calls_run(const struct fuzz_program *program, unsigned int first,
		    unsigned int last, bool alone)
{
	unsigned int until;

	for (; first < last; first++) {
		const struct fuzz_call *call = &program->calls[first];

		if (kinds[call->kind].run) {
			run_one(call, alone);
			continue;
		}
		if (!alone)
			continue;
		until = first + 2 + call->picks[0] % 4;
		until = until < last ? until : last;
		run_child(program, first + 1, until);
		first = until - 1;
	}
	fail_nth = 0;
}

static void close_vms(void)
{
	unsigned int v;

	for (v = 0; v < VMS; v++) {
		if (!fuzz.vms[v].ready)
			continue;
		fd_close(&fuzz.vms[v].kvm_vfio);
		kvm_ppc_vm_close(&fuzz.vms[v].vm);
		kvm_ppc_vm_free(&fuzz.vms[v].vm);
		fuzz.vms[v].ready = false;
	}
}

static void close_tables(void)
{
	unsigned int t;

	if (fuzz.viewed)
		munmap((void *)VIEW, VIEW_SIZE);
	fuzz.viewed = false;
	for (t = 0; t < TABLES; t++) {
		fd_close(&fuzz.tables[t].fd);
		fuzz.tables[t] = (struct table){ -1, t + 1, 0, 64, 12 };
	}
}

static void close_vfio(void)
{
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		fd_close(&fuzz.device[i]);
	for (i = 0; i < GROUPS; i++)
		fd_close(&fuzz.group[i]);
	for (i = 0; i < CONTAINERS; i++)
		fd_close(&fuzz.container[i]);
	memset(fuzz.windows, 0, sizeof(fuzz.windows));
}

static void close_cdevs(void)
{
	unsigned int i;

	for (i = 0; i < TESTBED_DEVICES; i++)
		fd_close(&fuzz.cdev[i].file);
	fuzz.cdev_used = false;
}

static void close_iommufds(void)
{
	unsigned int i;

	for (i = 0; i < IOMMUFDS; i++)
		fd_close(&fuzz.iommufd[i]);
	memset(fuzz.objects, 0, sizeof(fuzz.objects));
}

static void fresh_arena(void)
{
	munmap((void *)(BASE_PAGES + ARENA_SIZE), ARENA_SIZE);
	remap(BASE_PAGES, ARENA_SIZE, PROT_READ | PROT_WRITE,
	      MAP_PRIVATE | MAP_ANONYMOUS, -1);
	fuzz.arena_changed = false;
	fuzz.bar_mapped = false;
}

void fuzz_calls_end(unsigned int order)
{
	static void (*const closers[][3])(void) = {
		{ close_tables, close_vms, close_vfio },
		{ close_vfio, close_vms, close_tables },
		{ close_vms, close_vfio, close_tables },
		{ close_vfio, close_tables, close_vms },
	};
	unsigned int i;

	if (order & 4 && fuzz.arena_changed)
		fresh_arena();
	if (order & 8)
		close_iommufds();
	close_cdevs();
	close_iommufds();
	for (i = 0; i < 3; i++)
		closers[order % 4][i]();
	if (fuzz.arena_changed)
		fresh_arena();
	if (fuzz.limited) {
		may_lock(true);
		setrlimit(RLIMIT_MEMLOCK, &fuzz.locked);
		fuzz.limited = false;
	}
	/* Even if no call here has unbound it: a child's may have */
	for (i = 0; i < TESTBED_DEVICES; i++)
		pci_bind(fuzz.bed->address[i], "vfio-pci");
}

static void find_window32(void)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	struct testbed bed = *fuzz.bed;

	testbed_open(&bed, VFIO_SPAPR_TCE_v2_IOMMU);
	VFIO_REQUIRE(!ioctl(bed.container, VFIO_IOMMU_SPAPR_TCE_GET_INFO,
			    &info), "GET_INFO");
	testbed_close(&bed);
	fuzz.window32 = (struct window){ info.dma32_window_start,
					 info.dma32_window_size, 12 };
}

void fuzz_calls_init(const struct testbed *bed, const struct fuzz_watch *watch)
{
	unsigned int i;

	fuzz.bed = bed;
	fuzz.watch = watch;
	fuzz.pr = kvm_ppc_has_pr();
	if (!access("/sys/kernel/debug/failslab", F_OK))
		fault_allow();
	find_window32();
	fuzz.mediated.iommu_group = -1;
	if (mediated_available())
		mediated_create(&fuzz.mediated, 0);

	getrlimit(RLIMIT_MEMLOCK, &fuzz.locked);
	fuzz.memory = memfd_create("arena", MFD_CLOEXEC);
	VFIO_REQUIRE(!ftruncate(fuzz.memory, ARENA_SIZE), "memory file");
	for (i = 0; i < CONTAINERS; i++)
		fuzz.container[i] = -1;
	for (i = 0; i < GROUPS; i++)
		fuzz.group[i] = -1;
	for (i = 0; i < DEVICES; i++)
		fuzz.device[i] = -1;
	for (i = 0; i < IOMMUFDS; i++)
		fuzz.iommufd[i] = -1;
	for (i = 0; i < TESTBED_DEVICES; i++)
		fuzz.cdev[i].file = -1;
	for (i = 0; i < TABLES; i++)
		fuzz.tables[i].fd = -1;
	transcript_mute(1);
	close_tables();
	fresh_arena();
}
