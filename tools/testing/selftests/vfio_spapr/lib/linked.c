// SPDX-License-Identifier: GPL-2.0
/* A guest linked to a group with an edu device, see linked.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "linked.h"
#include "transcript.h"

const char *linked_find(struct linked *l)
{
	if (!kvm_ppc_has_hv())
		return "no KVM";
	return testbed_find(&l->bed) ? NULL : "no devices";
}

void linked_open(struct linked *l, bool pr, size_t mem_size)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

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
	ret = container_register(l->bed.container,
				 (__u64)l->vm.slots[slot].mem, size);
	VFIO_REQUIRE(!ret, "REGISTER_MEMORY: %d", ret);
}

__u64 linked_window(struct linked *l, unsigned int page_shift, __u64 size)
{
	__u64 start;
	int ret = container_create_window(l->bed.container, page_shift, size,
					  1, &start);

	VFIO_REQUIRE(!ret, "TCE_CREATE: %d", ret);
	return start;
}

int __linked_table(struct linked *l, __u64 liobn, unsigned int page_shift,
		   __u64 start, __u64 size)
{
	int ret, table = kvm_ppc_table(&l->vm, liobn, page_shift,
				       start >> page_shift, size);

	ret = __kvm_ppc_link(l->kvm_vfio, l->bed.group[0], table);
	if (!ret)
		return table;
	close(table);
	return ret;
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
	return edu_reach(&l->bed.edu[0], bus, kvm_ppc_mem(&l->vm, gpa),
			 scratch_bus,
			 scratch_bus ? kvm_ppc_mem(&l->vm, scratch) : NULL);
}

void linked_close(struct linked *l)
{
	vfio_close(&l->kvm_vfio);
	kvm_ppc_vm_close(&l->vm);
	testbed_close(&l->bed);
	kvm_ppc_vm_free(&l->vm);
}
