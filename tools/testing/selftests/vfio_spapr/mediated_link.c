// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's hypercalls where a mediated device uses the window: they end in
 * user space, which makes the device unpin before it changes what is mapped, from
 * the moment when the device's group joins until it has left. What hypercalls
 * have mapped before, the device sees.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/linked.h"
#include "lib/mediated.h"
#include "lib/memory.h"
#include "lib/transcript.h"

#define MEM_SIZE	(16 * MiB)
#define LIOBN		1
#define TCES		1024

#define PAGE_OLD	(4 * MiB)
#define PAGE_NEW	(5 * MiB)
#define PAGE_SPIN	(6 * MiB)
#define IOBA_OLD	0x10000
#define IOBA_NEW	0x20000
#define IOBA_SPIN	0x30000

#define ALL		(DMA_READS | DMA_WRITES)

FIXTURE(mediated_link) {
	struct linked l;
	struct testbed *bed;
	struct mediated device;
	struct kvm_ppc_spin spin;
	int table;
	bool spins, ready;
};

static __s64 put(SELF(mediated_link) self, __u64 ioba, __u64 tce)
{
	return kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE, LIOBN,
			     self->l.start32 + ioba, tce, 0, NULL);
}

static unsigned int reach(SELF(mediated_link) self, __u64 ioba, __u64 gpa)
{
	return linked_reach(&self->l, self->l.start32 + ioba, gpa, 0, 0);
}

/* What user space does with a hypercall: map a page of the guest */
static long map(SELF(mediated_link) self, __u64 ioba, __u64 gpa, __u64 size)
{
	return container_map(self->bed->container,
			     (unsigned long)kvm_ppc_mem(&self->l.vm, gpa),
			     self->l.start32 + ioba, size, READ_WRITE);
}

/* Does the device read there what the guest's memory has? */
static int reads(SELF(mediated_link) self, __u64 ioba, __u64 gpa)
{
	char *memory = kvm_ppc_mem(&self->l.vm, gpa), byte = 0;
	int ret;

	*memory = 0x3c;
	ret = mediated_read(&self->device, self->l.start32 + ioba, &byte, 1);
	if (!ret && byte != 0x3c)
		return -EIO;

	return ret;
}

/* The second vCPU maps and unmaps from now on */
static void spin(SELF(mediated_link) self)
{
	struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&self->l.vm, 1);
	__u64 at = self->l.start32 + IOBA_SPIN;

	vcpu->calls[0] = (struct kvm_ppc_call){
		.nr = H_PUT_TCE,
		.arg = { LIOBN, at, PAGE_SPIN | TCE_RW },
	};
	vcpu->calls[1] = (struct kvm_ppc_call){
		.nr = H_STUFF_TCE, .arg = { LIOBN, at, 0, 8 },
	};
	kvm_ppc_spin_start(&self->spin, vcpu, 2);
	self->spins = true;
}

FIXTURE_SETUP(mediated_link)
{
	const char *lacking;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	self->bed = &self->l.bed;
	if (!mediated_available())
		SKIP(return, "mediated_dma is not loaded");
	lacking = linked_find(&self->l);
	if (lacking)
		SKIP(return, "%s", lacking);

	mediated_create(&self->device, 0);
	linked_open(&self->l, false, MEM_SIZE);
	self->table = linked_table(&self->l, LIOBN, 12, self->l.start32, TCES);
	self->ready = true;
	spin(self);
}

FIXTURE_TEARDOWN(mediated_link)
{
	if (!self->ready)
		return;
	if (self->spins)
		EXPECT_EQ(0, kvm_ppc_spin_stop(&self->spin));
	vfio_close(&self->table);
	mediated_leave(&self->device);
	linked_close(&self->l);
	mediated_remove(&self->device);
}

/* A table that has entries when it is linked: they are user space's affair, too */
TEST_F(mediated_link, entries_before)
{
	int table = kvm_ppc_table(&self->l.vm, LIOBN + 1, 12,
				  self->l.start32 >> 12, TCES);

	ASSERT_EQ(H_SUCCESS, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE, LIOBN + 1,
					   self->l.start32 + IOBA_NEW,
					   PAGE_NEW | TCE_RW, 0, NULL));
	ASSERT_EQ(0, mediated_join(&self->device, self->bed->container));
	EXPECT_EQ(0, __kvm_ppc_link(self->l.kvm_vfio, self->bed->group[0],
				    table));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	close(table);
}

TEST_F(mediated_link, joins_and_leaves)
{
	ASSERT_EQ(H_SUCCESS, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, mediated_join(&self->device,
					   self->bed->container));
		EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW,
					       PAGE_NEW | TCE_RW));
		EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_OLD, 0));
		mediated_open(&self->device);
		EXPECT_EQ(0, reads(self, IOBA_OLD, PAGE_OLD));
		EXPECT_EQ(-EINVAL, reads(self, IOBA_NEW, PAGE_NEW));
		EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));

		/* User space does what was left to it */
		ASSERT_EQ(0, map(self, IOBA_NEW, PAGE_NEW, page_size()));
		EXPECT_EQ(1, mediated_pin(&self->device,
					  self->l.start32 + IOBA_NEW, 1,
					  MEDIATED_BOTH));
		EXPECT_EQ(0, reads(self, IOBA_NEW, PAGE_NEW));
		ASSERT_EQ(0, container_unmap(self->bed->container,
					     self->l.start32 + IOBA_NEW,
					     page_size()));
		EXPECT_EQ(1, mediated_report(&self->device).asked);

		mediated_leave(&self->device);
		EXPECT_EQ(H_SUCCESS, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
		EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
		EXPECT_EQ(H_SUCCESS, put(self, IOBA_NEW, 0));
	}
}

/* A mediated device's group can be linked as any other, and be what is left */
TEST_F(mediated_link, linked_itself)
{
	int group;

	ASSERT_EQ(H_SUCCESS, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));
	ASSERT_EQ(0, mediated_join(&self->device, self->bed->container));
	mediated_open(&self->device);
	group = self->device.group;
	ASSERT_EQ(0, __kvm_ppc_group_add(self->l.kvm_vfio, group));
	ASSERT_EQ(0, __kvm_ppc_link(self->l.kvm_vfio, group, self->table));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));

	/* The hardware leaves; what it had is still mapped, and still linked */
	dma_device_close(&self->bed->dma[0]);
	vfio_close(&self->bed->device[0]);
	ASSERT_EQ(0, __kvm_ppc_group_del(self->l.kvm_vfio,
					 self->bed->group[0]));
	vfio_close(&self->bed->group[0]);
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, reads(self, IOBA_OLD, PAGE_OLD));
	ASSERT_EQ(0, map(self, IOBA_NEW, PAGE_NEW, page_size()));
	EXPECT_EQ(0, reads(self, IOBA_NEW, PAGE_NEW));

	/* And comes back */
	self->bed->group[0] = vfio_group_open(self->bed->iommu_group[0]);
	ASSERT_EQ(0, __vfio_group_set_container(self->bed->group[0],
						self->bed->container));
	testbed_open_device(self->bed, 0);
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, 0));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));

	EXPECT_EQ(0, __kvm_ppc_group_del(self->l.kvm_vfio, group));
}

TEST_HARNESS_MAIN
