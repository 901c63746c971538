// SPDX-License-Identifier: GPL-2.0
/*
 * The host's own DMA does not suffer from a guest's hypercalls: its network
 * card, see lib/nic.h, lies in the IOMMU group of the first two devices
 * of lib/testbed.h. On powernv this wants the card behind the IOMMU
 * (iommu=nobypass).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/linked.h"
#include "lib/nic.h"
#include "lib/transcript.h"

#define MIB		0x100000ul
#define MEM_SIZE	(16 * MIB)
#define LIOBN		1

/* The part of the bus that the host's windows have at least: 1 GiB */
#define PAGE_SHIFT	16
#define TCES		0x4000

#define PAGE		(4 * MIB)

FIXTURE(host) {
	struct linked l;
	struct testbed *bed;
	char nic[PCI_ADDRESS_LEN];
};

FIXTURE_SETUP(host)
{
	const char *lacking = linked_find(&self->l);

	TRANSCRIPT_BEGIN(_metadata, NULL);
	self->bed = &self->l.bed;
	if (lacking)
		SKIP(return, "%s", lacking);
	if (nic_find(self->bed->iommu_group[0], self->nic))
		SKIP(return, "no network card in the group");
}

FIXTURE_TEARDOWN(host)
{
}

/*
 * harm - all that the guest can do to whatever its table is linked to: the
 * whole of it to @tce, or cleared
 */
static void harm(struct linked *l, __u64 tce)
{
	struct kvm_ppc_call calls[256];
	__u64 entry;
	int i;

	for (entry = 0; entry < TCES;) {
		for (i = 0; i < ARRAY_SIZE(calls); i++, entry += tce ? 1 : 512)
			calls[i] = (struct kvm_ppc_call){
				.nr = tce ? H_PUT_TCE : H_STUFF_TCE,
				.arg = { LIOBN, entry << PAGE_SHIFT, tce, 512 },
			};
		kvm_ppc_calls(l->vcpu, calls, ARRAY_SIZE(calls));
	}
}

/* A group whose other device the host uses is not the monitor's to link. */
TEST_F(host, not_owned)
{
	struct linked *l = &self->l;
	int table;

	ASSERT_TRUE(nic_start(self->nic));
	self->bed->container = vfio_container_open();
	self->bed->group[0] = vfio_group_open(self->bed->iommu_group[0]);
	EXPECT_NE(0, __vfio_group_set_container(self->bed->group[0],
						self->bed->container));
	kvm_ppc_vm_init(&l->vm, false, MEM_SIZE);
	l->vcpu = kvm_ppc_vcpu(&l->vm, 0);
	l->kvm_vfio = kvm_ppc_vfio_device(&l->vm);
	table = kvm_ppc_table(&l->vm, LIOBN, PAGE_SHIFT, 0, TCES);
	EXPECT_EQ(0, __kvm_ppc_group_add(l->kvm_vfio, self->bed->group[0]));
	EXPECT_EQ(-EINVAL, __kvm_ppc_link(l->kvm_vfio, self->bed->group[0],
					  table));
	harm(l, 0);
	EXPECT_TRUE(nic_alive(self->nic, 300));
	close(table);
	linked_close(l);
}

/* spin - a second vCPU that does its harm without an end */
static void spin(struct linked *l, struct kvm_ppc_spin *s)
{
	struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&l->vm, 1);
	int i;

	for (i = 0; i < 512; i++)
		vcpu->calls[i] = (struct kvm_ppc_call){
			.nr = H_PUT_TCE,
			.arg = { LIOBN, l->start32 + (i << PAGE_SHIFT),
				 PAGE | TCE_RW },
		};
	vcpu->calls[512] = (struct kvm_ppc_call){
		.nr = H_STUFF_TCE, .arg = { LIOBN, l->start32, 0, 512 },
	};
	kvm_ppc_spin_start(s, vcpu, 513);
}

/* keep_registered - @mem goes on being pinned, for another group's container */
static void keep_registered(struct testbed *bed, void *mem)
{
	bed->container = vfio_container_open();
	bed->group[1] = vfio_group_open(bed->iommu_group[1]);
	vfio_group_set_container(bed->group[1], bed->container);
	vfio_container_set_iommu(bed->container, VFIO_SPAPR_TCE_v2_IOMMU);
	container_register(bed->container, (__u64)mem, MEM_SIZE);
}

static bool all_zero(const char *page, size_t size)
{
	while (size && !*page)
		page++, size--;
	return !size;
}

/*
 * The group goes back to the host, which uses its card again; the guest's
 * hypercalls, the vCPU that makes them still at work, do not reach the host's
 * table, nor does the card reach the guest's memory.
 */
TEST_F(host, back_from_guest)
{
	struct linked *l = &self->l;
	struct testbed *bed = self->bed;
	struct kvm_ppc_spin s;
	void *page;
	int table, i;

	pci_bind(self->nic, NULL);
	linked_open(l, false, MEM_SIZE);
	table = linked_table(l, LIOBN, PAGE_SHIFT, l->start32, TCES);
	spin(l, &s);

	dma_device_close(&bed->dma[0]);
	vfio_close(&bed->device[0]);
	/* With the link: refused, the unbinding is what ends it. */
	__vfio_group_unset_container(bed->group[0]);
	for (i = 0; i < 2; i++)
		pci_unbind(bed->address[i]);
	vfio_close(&bed->group[0]);
	vfio_close(&bed->container);
	page = kvm_ppc_mem(&l->vm, PAGE);
	keep_registered(bed, l->vm.slots[0].mem);

	memset(page, 0, 1 << PAGE_SHIFT);
	ASSERT_TRUE(nic_start(self->nic));
	for (i = 0; i < 5; i++) {
		harm(l, i % 2 ? PAGE | TCE_RW : 0);
		EXPECT_TRUE(nic_alive(self->nic, 60));
	}
	EXPECT_TRUE(all_zero(page, 1 << PAGE_SHIFT));
	EXPECT_EQ(0, kvm_ppc_spin_stop(&s));
	close(table);
	linked_close(l);
}

TEST_HARNESS_MAIN
