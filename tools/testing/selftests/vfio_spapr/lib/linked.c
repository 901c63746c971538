// SPDX-License-Identifier: GPL-2.0
/* A guest linked to a group with a device, see linked.h. */
#include <endian.h>
#include <errno.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linked.h"
#include "memory.h"
#include "transcript.h"

#define GUEST_TABLES_SIZE	(8 << 20)
#define SPIN_TCES		16
#define SPIN_CALLS		(SPIN_TCES + 3)
/* What no hypercall returns, and how long the vCPU may take for a round */
#define SPIN_NO_ANSWER		0x5e5e5e5e
#define SPIN_SECONDS		60

void linked_variant(struct linked *l, int *argc, char **argv)
{
	l->nested = *argc > 1 && !strcmp(argv[*argc - 1], "nested");
	if (l->nested)
		argv[--*argc] = NULL;
}

const char *linked_find(struct linked *l)
{
	l->container = -1;
	l->iommufd = -1;
	l->cdev.file = -1;
	l->other.file = -1;
	l->kvm_vfio = -1;
	l->ntables = 0;
	if (!kvm_ppc_has_hv())
		return "no KVM";
	if (l->nested)
		return cdev_find_bed(&l->bed, DMA_NO_MEMORY);
	return testbed_find(&l->bed) ? NULL : "no devices";
}

static int give(struct linked *l, const struct kvm_ppc_slot *memory)
{
	if (l->nested)
		return iommufd_map(l->iommufd, l->ioas, memory->mem,
				   memory->gpa, memory->size,
				   IOMMU_IOAS_MAP_READABLE |
				   IOMMU_IOAS_MAP_WRITEABLE);
	return container_register(l->bed.container, (__u64)memory->mem,
				  memory->size);
}

int __linked_give(struct linked *l, unsigned int slot, size_t size)
{
	struct kvm_ppc_slot memory = l->vm.slots[slot];
	int ret;

	memory.size = size;
	ret = give(l, &memory);
	if (!ret)
		l->given[slot] = memory;
	return ret;
}

int __linked_take(struct linked *l, unsigned int slot)
{
	const struct kvm_ppc_slot *memory = &l->given[slot];
	int ret;

	if (l->nested)
		ret = iommufd_unmap(l->iommufd, l->ioas, memory->gpa,
				    memory->size);
	else
		ret = container_unregister(l->bed.container,
					   (__u64)memory->mem, memory->size);
	if (!ret)
		l->given[slot].size = 0;
	return ret;
}

/* A new container or IOAS gets what the one before had */
static void give_all(struct linked *l)
{
	unsigned int i;
	int ret;

	for (i = 0; i < KVM_PPC_MAX_SLOTS; i++) {
		ret = l->given[i].size ? give(l, &l->given[i]) : 0;
		VFIO_REQUIRE(!ret, "memory of slot %u: %d", i, ret);
	}
}

static void give_first(struct linked *l)
{
	memset(l->given, 0, sizeof(l->given));
	l->given[0] = l->vm.slots[0];
}

static void allocate_page_table(struct linked *l, struct cdev *cdev, __u32 *id)
{
	long ret = iommufd_hwpt_alloc_nested(l->iommufd, cdev->id, l->parent,
					     &l->windows, id);

	VFIO_REQUIRE(!ret, "HWPT_ALLOC: %ld", ret);
}

static void attach(struct cdev *cdev, __u32 page_table)
{
	long ret = cdev_attach(cdev, page_table);

	VFIO_REQUIRE(!ret, "ATTACH: %ld", ret);
}

void linked_attach(struct linked *l)
{
	__u32 old = l->hwpt;

	allocate_page_table(l, &l->cdev, &l->hwpt);
	attach(&l->cdev, l->hwpt);
	if (old)
		iommufd_destroy(l->iommufd, old);
}

static void open_cdev(struct linked *l)
{
	long ret = cdev_open(&l->cdev, l->bed.address[0]);

	VFIO_REQUIRE(!ret, "device file: %ld", ret);
	l->iommufd = iommufd_open();
	VFIO_REQUIRE(l->iommufd >= 0, "iommufd: %d", l->iommufd);
}

/* The device reaches what the guest's tables say, which are empty */
static void start_nested(struct linked *l)
{
	struct hw_info_windows info;
	long ret;

	ret = cdev_bind(&l->cdev, l->iommufd);
	VFIO_REQUIRE(!ret, "BIND: %ld", ret);
	cdev_start_dma(&l->cdev);
	l->bed.dma[0] = l->cdev.dma;
	ret = iommufd_hw_info(l->iommufd, l->cdev.id, &info);
	VFIO_REQUIRE(!ret, "GET_HW_INFO: %ld", ret);
	l->start32 = info.window_start[0];
	l->size32 = info.default_window_size ?: GiB;
	l->start64 = info.window_start[1];
	l->windows = (struct nested_windows) {
		.num_windows = 1,
		.windows = {
			{ { l->start32, l->size32, 12 }, LINKED_TABLES_AT },
		},
	};

	ret = iommufd_ioas_alloc(l->iommufd, &l->ioas);
	VFIO_REQUIRE(!ret, "IOAS_ALLOC: %ld", ret);
	ret = iommufd_map(l->iommufd, l->ioas, l->guest_tables,
			  LINKED_TABLES_AT, GUEST_TABLES_SIZE,
			  IOMMU_IOAS_MAP_READABLE);
	VFIO_REQUIRE(!ret, "IOAS_MAP: %ld", ret);
	give_all(l);
	ret = iommufd_hwpt_alloc(l->iommufd, l->cdev.id, l->ioas,
				 IOMMU_HWPT_ALLOC_NEST_PARENT, &l->parent);
	VFIO_REQUIRE(!ret, "parent: %ld", ret);
	l->hwpt = 0;
	linked_attach(l);
}

static void open_nested(struct linked *l, bool pr, size_t mem_size)
{
	int ret;

	l->guest_tables = mmap(NULL, GUEST_TABLES_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	VFIO_REQUIRE(l->guest_tables != MAP_FAILED, "no memory");
	kvm_ppc_vm_init(&l->vm, pr, mem_size);
	l->vcpu = kvm_ppc_vcpu(&l->vm, 0);
	give_first(l);
	open_cdev(l);
	l->kvm_vfio = kvm_ppc_vfio_device(&l->vm);
	ret = __kvm_ppc_group_add(l->kvm_vfio, l->cdev.file);
	VFIO_REQUIRE(!ret, "KVM_DEV_VFIO_FILE_ADD: %d", ret);
	start_nested(l);
}

/* What KVM's VFIO device knows the device by: the group's file, or its own */
static int linked_file(const struct linked *l)
{
	return l->nested ? l->cdev.file : l->bed.group[0];
}

int linked_other_file(const struct linked *l)
{
	return l->nested ? l->other.file : l->bed.group[1];
}

int linked_add(struct linked *l)
{
	return __kvm_ppc_group_add(l->kvm_vfio, linked_file(l));
}

int linked_del(struct linked *l)
{
	return __kvm_ppc_group_del(l->kvm_vfio, linked_file(l));
}

static int link_file(struct linked *l, int file, int table)
{
	if (l->nested)
		return __kvm_ppc_file_link(l->kvm_vfio, file, table);
	return __kvm_ppc_link(l->kvm_vfio, file, table);
}

int linked_link(struct linked *l, int table)
{
	return link_file(l, linked_file(l), table);
}

int linked_link_other(struct linked *l, int table)
{
	return link_file(l, linked_other_file(l), table);
}

static void close_cdev(struct linked *l)
{
	if (!l->nested)
		return;
	l->bed.dma[0].bar = NULL;
	l->bed.dma[2].bar = NULL;
	cdev_close(&l->cdev);
	cdev_close(&l->other);
	vfio_close(&l->iommufd);
}

void linked_close_device(struct linked *l)
{
	if (!l->nested) {
		testbed_close_device(&l->bed, 0);
		return;
	}

	if (l->kvm_vfio >= 0)
		linked_del(l);
	l->bed.dma[0].bar = NULL;
	cdev_close(&l->cdev);
}

unsigned int linked_files(struct linked *l, int *files[LINKED_FILES])
{
	files[0] = l->nested ? &l->iommufd : &l->bed.container;
	files[1] = l->nested ? &l->cdev.file : &l->bed.group[0];
	files[2] = &l->bed.device[0];
	return l->nested ? 2 : 3;
}

void linked_again(struct linked *l)
{
	if (l->nested) {
		/* The VM's VFIO device holds the file */
		if (l->kvm_vfio >= 0 && l->cdev.file >= 0)
			linked_del(l);
		close_cdev(l);
		open_cdev(l);
		start_nested(l);
		return;
	}

	testbed_close(&l->bed);
	testbed_open(&l->bed, VFIO_SPAPR_TCE_v2_IOMMU);
	testbed_open_device(&l->bed, 0);
	give_all(l);
	container_unmap(l->bed.container, l->start32, 0x1000);
}

void linked_open(struct linked *l, bool pr, size_t mem_size)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	l->ntables = 0;
	if (l->nested) {
		open_nested(l, pr, mem_size);
		return;
	}
	testbed_open(&l->bed, VFIO_SPAPR_TCE_v2_IOMMU);
	testbed_open_device(&l->bed, 0);
	ret = container_get_info(l->bed.container, &info);
	VFIO_REQUIRE(!ret, "GET_INFO: %d", ret);
	l->start32 = info.dma32_window_start;
	l->size32 = info.dma32_window_size;

	kvm_ppc_vm_init(&l->vm, pr, mem_size);
	l->vcpu = kvm_ppc_vcpu(&l->vm, 0);
	give_first(l);
	give_all(l);

	/* The container makes its default window when it is first used. */
	container_unmap(l->bed.container, l->start32, 0x1000);

	l->kvm_vfio = kvm_ppc_vfio_device(&l->vm);
	ret = linked_add(l);
	VFIO_REQUIRE(!ret, "KVM_DEV_VFIO_GROUP_ADD: %d", ret);
}

void linked_slot(struct linked *l, unsigned int slot, __u64 gpa, size_t size)
{
	int ret;

	kvm_ppc_slot(&l->vm, slot, gpa, size, NULL);
	ret = __linked_give(l, slot, size);
	VFIO_REQUIRE(!ret, "memory of slot %u: %d", slot, ret);
}

/* The tables in the IOAS are empty: let the page table be like them */
static void empty_page_table(struct linked *l, __u64 size)
{
	struct nested_invalidate request = {
		.start = l->start32, .size = size,
	};
	__u32 count = 1;
	long ret = iommufd_invalidate(l->iommufd, l->hwpt,
				      HWPT_INVALIDATE_DATA_SPAPR_TCE, &request,
				      &count);

	VFIO_REQUIRE(!ret, "HWPT_INVALIDATE: %ld", ret);
}

void linked_empty(struct linked *l, __u64 size)
{
	if (l->nested)
		empty_page_table(l, size);
	else
		container_unmap(l->bed.container, l->start32, size);
}

int linked_remove_window(struct linked *l)
{
	if (l->nested)
		return cdev_detach(&l->cdev);
	return container_remove_window(l->bed.container, l->start32);
}

int linked_make_window(struct linked *l)
{
	if (!l->nested)
		return container_create_window(l->bed.container, 12,
					       l->size32, 1, NULL);
	linked_attach(l);
	return 0;
}

static void open_other_cdev(struct linked *l)
{
	long ret = cdev_open_bound(&l->other, l->bed.address[2], l->iommufd);

	VFIO_REQUIRE(!ret, "device file: %ld", ret);
	cdev_start_dma(&l->other);
	l->bed.dma[2] = l->other.dma;
}

int linked_join(struct linked *l)
{
	int ret;

	if (l->nested) {
		open_other_cdev(l);
		attach(&l->other, l->hwpt);
		return 0;
	}
	ret = testbed_join(&l->bed);
	if (!ret)
		testbed_open_device(&l->bed, 2);
	return ret;
}

int linked_leave_other(struct linked *l)
{
	if (l->nested)
		return cdev_detach(&l->other);
	testbed_close_device(&l->bed, 2);
	return __vfio_group_unset_container(l->bed.group[1]);
}

void linked_other(struct linked *l)
{
	__u32 id;

	if (l->nested) {
		open_other_cdev(l);
		allocate_page_table(l, &l->other, &id);
		attach(&l->other, id);
		return;
	}
	l->container = vfio_container_open();
	l->bed.group[1] = vfio_group_open(l->bed.iommu_group[1]);
	vfio_group_set_container(l->bed.group[1], l->container);
	vfio_container_set_iommu(l->container, VFIO_SPAPR_TCE_v2_IOMMU);
	container_register(l->container, (__u64)l->given[0].mem,
			   l->given[0].size);
	container_unmap(l->container, l->start32, 0x1000);
	testbed_open_device(&l->bed, 2);
}

/* A page table with both windows in place of the one */
static __u64 nested_window(struct linked *l, unsigned int page_shift,
			   __u64 size)
{
	unsigned int i;
	int ret;

	l->windows.num_windows = 2;
	l->windows.windows[1].start = l->start64;
	l->windows.windows[1].size = size;
	l->windows.windows[1].page_shift = page_shift;
	l->windows.windows[1].table = LINKED_TABLES_AT +
				      (l->size32 >> 12) * sizeof(__be64);
	linked_attach(l);
	for (i = 0; i < l->ntables; i++) {
		ret = linked_link(l, l->tables[i]);
		VFIO_REQUIRE(!ret, "link: %d", ret);
	}
	return l->start64;
}

__u64 linked_window(struct linked *l, unsigned int page_shift, __u64 size)
{
	__u64 start;
	int ret;

	if (l->nested)
		return nested_window(l, page_shift, size);
	ret = container_create_window(l->bed.container, page_shift, size, 1,
				      &start);
	VFIO_REQUIRE(!ret, "TCE_CREATE: %d", ret);
	return start;
}

int __linked_table(struct linked *l, __u64 liobn, unsigned int page_shift,
		   __u64 start, __u64 size)
{
	int ret, table = kvm_ppc_table(&l->vm, liobn, page_shift,
				       start >> page_shift, size);

	ret = linked_link(l, table);
	if (ret) {
		close(table);
		return ret;
	}
	if (l->ntables < LINKED_TABLES)
		l->tables[l->ntables++] = table;
	return table;
}

int linked_table(struct linked *l, __u64 liobn, unsigned int page_shift,
		 __u64 start, __u64 size)
{
	int table = __linked_table(l, liobn, page_shift, start, size);

	VFIO_REQUIRE(table >= 0, "link: %d", table);
	return table;
}

unsigned int linked_reach(struct linked *l, __u64 bus, __u64 gpa,
			  __u64 scratch_bus, __u64 scratch)
{
	return dma_reach(&l->bed.dma[0], bus, kvm_ppc_mem(&l->vm, gpa),
			 scratch_bus,
			 scratch_bus ? kvm_ppc_mem(&l->vm, scratch) : NULL);
}

/* The last of the vCPU's hypercalls is answered once more */
static void spin_once(struct linked *l)
{
	volatile __s64 *ret = &l->vm.vcpus[1].calls[SPIN_CALLS - 1].ret;
	unsigned int ms;

	*ret = SPIN_NO_ANSWER;
	for (ms = 0; *ret == SPIN_NO_ANSWER && ms < SPIN_SECONDS * 1000; ms++)
		usleep(1000);
	VFIO_REQUIRE(*ret != SPIN_NO_ANSWER, "the second vCPU stands still");
}

void linked_spin_round(struct linked *l)
{
	/* The first may have been at its end */
	spin_once(l);
	spin_once(l);
}

void linked_spin(struct linked *l, struct kvm_ppc_spin *s, __u64 liobn,
		 __u64 ioba, __u64 gpa, __u64 list)
{
	struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&l->vm, 1);
	__be64 *tces = kvm_ppc_mem(&l->vm, list);
	const __u64 at = l->start32 + ioba;
	unsigned int i, n = 0;

	for (i = 0; i < SPIN_TCES; i++)
		tces[i] = htobe64((gpa + i * 0x1000) | TCE_RW);
	for (i = 0; i < SPIN_TCES; i++)
		vcpu->calls[n++] = (struct kvm_ppc_call){
			.nr = H_PUT_TCE,
			.arg = { liobn, at + i * 0x1000, gpa | TCE_RW },
		};
	vcpu->calls[n++] = (struct kvm_ppc_call){
		.nr = H_PUT_TCE_INDIRECT,
		.arg = { liobn, at, list, SPIN_TCES },
	};
	vcpu->calls[n++] = (struct kvm_ppc_call){
		.nr = H_GET_TCE, .arg = { liobn, at },
	};
	vcpu->calls[n++] = (struct kvm_ppc_call){
		.nr = H_STUFF_TCE, .arg = { liobn, at, 0, SPIN_TCES },
	};
	kvm_ppc_spin_start(s, vcpu, n);
	linked_spin_round(l);
}

void linked_close_files(struct linked *l)
{
	close_cdev(l);
	testbed_close(&l->bed);
	vfio_close(&l->container);
}

void linked_close(struct linked *l)
{
	vfio_close(&l->kvm_vfio);
	kvm_ppc_vm_close(&l->vm);
	linked_close_files(l);
	kvm_ppc_vm_free(&l->vm);
	if (l->nested && l->guest_tables)
		munmap(l->guest_tables, GUEST_TABLES_SIZE);
	l->guest_tables = NULL;
}
