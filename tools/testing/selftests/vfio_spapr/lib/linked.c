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

const char *linked_find(struct linked *l)
{
	l->iommufd = -1;
	l->cdev.file = -1;
	l->kvm_vfio = -1;
	l->ntables = 0;
	if (!kvm_ppc_has_hv())
		return "no KVM";
	if (l->nested)
		return cdev_find_bed(&l->bed);
	return testbed_find(&l->bed) ? NULL : "no devices";
}

static void map_memory(struct linked *l, void *memory, __u64 gpa, size_t size,
		       __u32 flags)
{
	long ret = iommufd_map(l->iommufd, l->ioas, memory, gpa, size, flags);

	VFIO_REQUIRE(!ret, "IOAS_MAP: %ld", ret);
}

static void map_slot(struct linked *l, const struct kvm_ppc_slot *slot)
{
	map_memory(l, slot->mem, slot->gpa, slot->size,
		   IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE);
}

void linked_attach(struct linked *l)
{
	__u32 old = l->hwpt;
	long ret;

	ret = iommufd_hwpt_alloc_nested(l->iommufd, l->cdev.id, l->parent,
					&l->windows, &l->hwpt);
	VFIO_REQUIRE(!ret, "HWPT_ALLOC: %ld", ret);
	ret = cdev_attach(&l->cdev, l->hwpt);
	VFIO_REQUIRE(!ret, "ATTACH: %ld", ret);
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
	l->windows = (struct nested_windows) {
		.num_windows = 1,
		.windows = {
			{ { l->start32, l->size32, 12 }, LINKED_TABLES_AT },
			{ { info.window_start[1] } },
		},
	};

	ret = iommufd_ioas_alloc(l->iommufd, &l->ioas);
	VFIO_REQUIRE(!ret, "IOAS_ALLOC: %ld", ret);
	map_memory(l, l->guest_tables, LINKED_TABLES_AT, GUEST_TABLES_SIZE,
		   IOMMU_IOAS_MAP_READABLE);
	map_slot(l, &l->vm.slots[0]);
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
	open_cdev(l);
	l->kvm_vfio = kvm_ppc_vfio_device(&l->vm);
	ret = __kvm_ppc_group_add(l->kvm_vfio, l->cdev.file);
	VFIO_REQUIRE(!ret, "KVM_DEV_VFIO_FILE_ADD: %d", ret);
	start_nested(l);
}

int linked_file(const struct linked *l)
{
	return l->nested ? l->cdev.file : l->bed.group[0];
}

int linked_link(struct linked *l, int table)
{
	if (l->nested)
		return __kvm_ppc_file_link(l->kvm_vfio, l->cdev.file, table);
	return __kvm_ppc_link(l->kvm_vfio, l->bed.group[0], table);
}

static void close_cdev(struct linked *l)
{
	if (!l->nested)
		return;
	l->bed.dma[0].bar = NULL;
	cdev_close(&l->cdev);
	vfio_close(&l->iommufd);
}

void linked_again(struct linked *l)
{
	if (l->nested) {
		/* The VM's VFIO device holds the file */
		if (l->kvm_vfio >= 0 && l->cdev.file >= 0)
			__kvm_ppc_group_del(l->kvm_vfio, l->cdev.file);
		close_cdev(l);
		open_cdev(l);
		start_nested(l);
		return;
	}

	testbed_close(&l->bed);
	testbed_open(&l->bed, VFIO_SPAPR_TCE_v2_IOMMU);
	testbed_open_device(&l->bed, 0);
	container_register(l->bed.container, (__u64)l->vm.slots[0].mem,
			   l->vm.slots[0].size);
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
	ret = container_register(l->bed.container, (__u64)l->vm.slots[0].mem,
				 mem_size);
	VFIO_REQUIRE(!ret, "REGISTER_MEMORY: %d", ret);

	/* The container makes its default window when it is first used. */
	container_unmap(l->bed.container, l->start32, 0x1000);

	l->kvm_vfio = kvm_ppc_vfio_device(&l->vm);
	ret = __kvm_ppc_group_add(l->kvm_vfio, l->bed.group[0]);
	VFIO_REQUIRE(!ret, "KVM_DEV_VFIO_GROUP_ADD: %d", ret);
}

void linked_slot(struct linked *l, unsigned int slot, __u64 gpa, size_t size)
{
	int ret;

	kvm_ppc_slot(&l->vm, slot, gpa, size, NULL);
	if (l->nested) {
		map_slot(l, &l->vm.slots[slot]);
		return;
	}
	ret = container_register(l->bed.container,
				 (__u64)l->vm.slots[slot].mem, size);
	VFIO_REQUIRE(!ret, "REGISTER_MEMORY: %d", ret);
}

/* A page table with both windows in place of the one */
static __u64 nested_window(struct linked *l, unsigned int page_shift,
			   __u64 size)
{
	unsigned int i;
	int ret;

	l->windows.num_windows = 2;
	l->windows.windows[1].size = size;
	l->windows.windows[1].page_shift = page_shift;
	l->windows.windows[1].table = LINKED_TABLES_AT +
				      (l->size32 >> 12) * sizeof(__be64);
	linked_attach(l);
	for (i = 0; i < l->ntables; i++) {
		ret = linked_link(l, l->tables[i]);
		VFIO_REQUIRE(!ret, "link: %d", ret);
	}
	return l->windows.windows[1].start;
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
}

void linked_close(struct linked *l)
{
	vfio_close(&l->kvm_vfio);
	kvm_ppc_vm_close(&l->vm);
	close_cdev(l);
	testbed_close(&l->bed);
	kvm_ppc_vm_free(&l->vm);
	if (l->nested && l->guest_tables)
		munmap(l->guest_tables, GUEST_TABLES_SIZE);
	l->guest_tables = NULL;
}
