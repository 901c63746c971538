// SPDX-License-Identifier: GPL-2.0
/*
 * Links between a guest's TCE tables and the windows of a nested page table: the
 * guest's hypercalls write what the device reaches, as far as the parent has the
 * guest's memory, and a link ends wholly, however it ends.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"

#define MEM_SIZE	(16 * MiB)
#define LIST		(2 * MiB)
#define LIOBN		1
#define OTHER_LIOBN	2
#define TCES		1024

/* Pages of the guest that the tests map, and where */
#define PAGE_OLD	(4 * MiB)
#define PAGE_NEW	(5 * MiB)
#define PAGE_SPIN	(6 * MiB)
#define IOBA_OLD	0x1000
#define IOBA_NEW	0x2000
#define IOBA_SPIN	0x10000

#define ALL		(DMA_READS | DMA_WRITES)
#define MEMORY		IOAS_READ_WRITE

FIXTURE(iommufd_link) {
	struct linked l;
	int table;
	struct kvm_ppc_spin s;
	bool spins;
};

FIXTURE_SETUP(iommufd_link)
{
	const char *lacking;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	self->table = -1;
	self->l.nested = true;
	lacking = linked_find(&self->l);
	if (lacking)
		SKIP(return, "%s", lacking);
	linked_open(&self->l, false, MEM_SIZE);
	self->table = kvm_ppc_table(&self->l.vm, LIOBN, 12,
				    self->l.start32 >> 12, TCES);
}

FIXTURE_TEARDOWN(iommufd_link)
{
	if (self->spins)
		EXPECT_EQ(0, kvm_ppc_spin_stop(&self->s));
	vfio_close(&self->table);
	linked_close(&self->l);
}

static __s64 hcall(SELF(iommufd_link) self, __u64 nr, __u64 ioba, __u64 a,
		   __u64 b)
{
	return kvm_ppc_hcall(self->l.vcpu, nr, LIOBN, self->l.start32 + ioba, a,
			     b, NULL);
}

static __s64 put(SELF(iommufd_link) self, __u64 ioba, __u64 tce)
{
	return hcall(self, H_PUT_TCE, ioba, tce, 0);
}

static unsigned int reach(SELF(iommufd_link) self, __u64 ioba, __u64 gpa)
{
	return linked_reach(&self->l, self->l.start32 + ioba, gpa, 0, 0) & ALL;
}

/* What the device can do there with other memory than the guest's */
static unsigned int reach_at(SELF(iommufd_link) self, __u64 ioba, void *memory)
{
	return dma_reach(&self->l.cdev.dma, self->l.start32 + ioba, memory, 0,
			 NULL) & ALL;
}

static int link_table(SELF(iommufd_link) self)
{
	return linked_link(&self->l, self->table);
}

static long unmap(SELF(iommufd_link) self, __u64 gpa, size_t size)
{
	return iommufd_unmap(self->l.iommufd, self->l.ioas, gpa, size);
}

static long map(SELF(iommufd_link) self, const void *memory, __u64 gpa,
		size_t size, __u32 flags)
{
	return iommufd_map(self->l.iommufd, self->l.ioas, memory, gpa, size,
			   flags);
}

static long map_guest(SELF(iommufd_link) self, __u64 gpa, size_t size)
{
	return map(self, kvm_ppc_mem(&self->l.vm, gpa), gpa, size, MEMORY);
}

static void spin(SELF(iommufd_link) self)
{
	linked_spin(&self->l, &self->s, LIOBN, IOBA_SPIN, PAGE_SPIN, LIST);
	self->spins = true;
}

static int stop_spin(SELF(iommufd_link) self)
{
	self->spins = false;
	return kvm_ppc_spin_stop(&self->s);
}

/* Linked, a page mapped, and a vCPU at work */
static long start(SELF(iommufd_link) self)
{
	int ret = link_table(self);

	if (!ret && (put(self, IOBA_OLD, PAGE_OLD | TCE_RW) != H_SUCCESS ||
		     reach(self, IOBA_OLD, PAGE_OLD) != ALL))
		ret = -EPROTO;
	if (!ret)
		spin(self);
	return ret;
}

/* The device reaches nothing, and hypercalls are the monitor's. */
#define EXPECT_ENDED(self) do {						\
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW)); \
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));			\
	EXPECT_EQ(0, reach(self, IOBA_OLD, PAGE_OLD));			\
	EXPECT_EQ(0, reach(self, IOBA_SPIN, PAGE_SPIN));		\
} while (0)

/* Files that are no device, no table, or not known */
TEST_F(iommufd_link, wrong_files)
{
	int device = self->l.kvm_vfio, file = self->l.cdev.file, other;
	int null = open("/dev/null", O_RDWR);
	struct kvm_ppc_vm vm;

	EXPECT_TRUE(kvm_ppc_has_file_link(device));
	EXPECT_EQ(-EBADF, __kvm_ppc_file_link(device, -1, self->table));
	EXPECT_EQ(-EBADF, __kvm_ppc_file_link(device, file, -1));
	EXPECT_EQ(-ENOENT, __kvm_ppc_file_link(device, null, self->table));
	EXPECT_EQ(-EINVAL, __kvm_ppc_file_link(device, file, null));
	EXPECT_EQ(-EINVAL, __kvm_ppc_file_link(device, file, file));
	EXPECT_EQ(-EINVAL, __kvm_ppc_link(device, file, self->table));
	EXPECT_EQ(-EEXIST, __kvm_ppc_group_add(device, file));

	kvm_ppc_vm_init(&vm, false, MEM_SIZE);
	other = kvm_ppc_table(&vm, LIOBN, 12, self->l.start32 >> 12, TCES);
	EXPECT_EQ(-EINVAL, __kvm_ppc_file_link(device, file, other));
	close(other);
	kvm_ppc_vm_close(&vm);
	kvm_ppc_vm_free(&vm);
	close(null);
}

/* A structure of another size or with unknown flags */
TEST_F(iommufd_link, wrong_structures)
{
	struct file_spapr_tce bad, good = {
		sizeof(good), 0, self->l.cdev.file, self->table,
	};
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_GROUP, .attr = FILE_SET_SPAPR_TCE,
		.addr = (unsigned long)&bad,
	};

#define WRONG(error, change) do {					\
	bad = good;							\
	change;								\
	EXPECT_EQ(-1, ioctl(self->l.kvm_vfio, KVM_SET_DEVICE_ATTR, &attr)); \
	EXPECT_EQ(error, errno);					\
} while (0)

	WRONG(EINVAL, bad.argsz = 15);
	WRONG(ENOENT, bad.flags = 1);
	WRONG(EINVAL, bad.flags = 2);
	WRONG(EINVAL, bad.flags = 1U << 31);
	WRONG(EFAULT, attr.addr = 8);
#undef WRONG
	attr.addr = (unsigned long)&bad;
	bad = good;
	bad.argsz = 64;
	EXPECT_EQ(0, ioctl(self->l.kvm_vfio, KVM_SET_DEVICE_ATTR, &attr));
}

/* A table with another place, larger than the window or with smaller pages */
TEST_F(iommufd_link, wrong_tables)
{
	const __u64 first = self->l.start32, size = self->l.size32;
	__u64 further;

	EXPECT_EQ(-EINVAL, __linked_table(&self->l, 2, 12, first + 0x1000, 16));
	EXPECT_EQ(-EINVAL, __linked_table(&self->l, 2, 12, first + size, 16));
	EXPECT_EQ(-EINVAL, __linked_table(&self->l, 2, 12, first,
					  (size >> 12) + 1));
	EXPECT_LT(0, __linked_table(&self->l, 2, 12, first, size >> 12));
	EXPECT_LT(0, __linked_table(&self->l, 3, 16, first, 16));
	further = linked_window(&self->l, page_shift(), 64 * MiB);
	if (page_shift() > 12)
		EXPECT_EQ(-EINVAL, __linked_table(&self->l, 4, 12, further,
						  16));
}

/*
 * A monitor that links nothing gets the hypercalls; one that does gets none, also
 * not of other tables.
 */
TEST_F(iommufd_link, not_linked)
{
	int other = kvm_ppc_table(&self->l.vm, OTHER_LIOBN, 12, 0, TCES);
	struct kvm_ppc_vcpu *vcpu = self->l.vcpu;
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	__u64 tce;

	list[0] = htobe64(PAGE_NEW | TCE_RW);
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, 0));
	EXPECT_EQ(KVM_PPC_TO_USER, hcall(self, H_PUT_TCE_INDIRECT, IOBA_NEW,
					 LIST, 1));
	EXPECT_EQ(KVM_PPC_TO_USER, hcall(self, H_STUFF_TCE, IOBA_NEW, 0, 1));
	EXPECT_EQ(0, kvm_ppc_hcall(vcpu, H_GET_TCE, LIOBN,
				   self->l.start32 + IOBA_NEW, 0, 0, &tce));
	EXPECT_EQ(0, tce);
	EXPECT_EQ(KVM_PPC_TO_USER, kvm_ppc_hcall(vcpu, H_PUT_TCE, OTHER_LIOBN,
						 0, PAGE_NEW | TCE_RW, 0,
						 NULL));
	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, kvm_ppc_hcall(vcpu, H_PUT_TCE, OTHER_LIOBN, 0,
				   PAGE_NEW | TCE_RW, 0, NULL));
	close(other);
	other = kvm_ppc_table(&self->l.vm, OTHER_LIOBN, 12, 0, TCES);
	EXPECT_EQ(0, kvm_ppc_hcall(vcpu, H_PUT_TCE, OTHER_LIOBN, 0,
				   PAGE_NEW | TCE_RW, 0, NULL));
	vfio_close(&self->table);
	EXPECT_EQ(KVM_PPC_TO_USER, kvm_ppc_hcall(vcpu, H_PUT_TCE, OTHER_LIOBN,
						 0, PAGE_NEW | TCE_RW, 0,
						 NULL));
	/* Without a device there is nothing to be lost */
	EXPECT_EQ(0, __kvm_ppc_group_del(self->l.kvm_vfio,
					 self->l.cdev.file));
	EXPECT_EQ(0, kvm_ppc_hcall(vcpu, H_PUT_TCE, OTHER_LIOBN, 0,
				   PAGE_NEW | TCE_RW, 0, NULL));
	close(other);
}

/*
 * A device beside one that is linked: the table may be for both, so the monitor gets
 * the hypercalls until it has linked the second one, too.
 */
TEST_F(iommufd_link, not_linked_beside)
{
	struct linked *l = &self->l;
	const __u64 at = l->start32 + IOBA_NEW;
	void *new = kvm_ppc_mem(&l->vm, PAGE_NEW);
	int elsewhere;
	__u64 tce;

	linked_other(l);
	elsewhere = kvm_ppc_table(&l->vm, OTHER_LIOBN, 12,
				  (l->start32 + l->size32) >> 12, TCES);
	ASSERT_EQ(0, link_table(self));
	ASSERT_EQ(0, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));
	ASSERT_EQ(0, __kvm_ppc_group_add(l->kvm_vfio, linked_other_file(l)));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(KVM_PPC_TO_USER, hcall(self, H_STUFF_TCE, IOBA_OLD, 0, 1));
	EXPECT_EQ(0, kvm_ppc_hcall(l->vcpu, H_GET_TCE, LIOBN,
				   l->start32 + IOBA_OLD, 0, 0, &tce));
	EXPECT_EQ(PAGE_OLD | TCE_RW, tce);

	/* A link that fails is none */
	EXPECT_EQ(-EINVAL, linked_link_other(l, elsewhere));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));

	ASSERT_EQ(0, linked_link_other(l, self->table));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(ALL, dma_reach(&l->other.dma, at, new, 0, NULL) & ALL);
	close(elsewhere);
}

/* One page by each hypercall, for the device and back */
TEST_F(iommufd_link, moves_data)
{
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	__u64 tce;
	int i;

	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
		EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
		EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_OLD | TCE_RW));
		EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
		EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_OLD));
		EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_GET_TCE, LIOBN,
					   self->l.start32 + IOBA_NEW, 0, 0,
					   &tce));
		EXPECT_EQ(PAGE_OLD | TCE_RW, tce);
		EXPECT_EQ(0, put(self, IOBA_NEW, 0));
		EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_OLD));

		list[0] = htobe64(PAGE_OLD | TCE_RW);
		list[1] = htobe64((PAGE_NEW + 0x3000) | TCE_RW);
		EXPECT_EQ(0, hcall(self, H_PUT_TCE_INDIRECT, IOBA_OLD, LIST,
				   2));
		EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
		EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW + 0x3000));
		EXPECT_EQ(0, hcall(self, H_STUFF_TCE, IOBA_OLD, 0, 2));
		EXPECT_EQ(0, reach(self, IOBA_OLD, PAGE_OLD));
		EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW + 0x3000));
	}
}

/* A long list, with one TCE that cannot be: none of it is done. */
TEST_F(iommufd_link, long_list)
{
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	int i;

	ASSERT_EQ(0, link_table(self));
	for (i = 0; i < 512; i++)
		list[i] = htobe64((PAGE_NEW + i * 0x1000) | TCE_RW);
	EXPECT_EQ(0, hcall(self, H_PUT_TCE_INDIRECT, 0, LIST, 512));
	EXPECT_EQ(ALL, reach(self, 0, PAGE_NEW));
	EXPECT_EQ(ALL, reach(self, 511 * 0x1000, PAGE_NEW + 511 * 0x1000));
	list[0] = htobe64(PAGE_OLD | TCE_RW);
	list[400] = htobe64((1ULL << 45) | TCE_RW);
	EXPECT_EQ(KVM_PPC_TO_USER, hcall(self, H_PUT_TCE_INDIRECT, 0, LIST,
					 512));
	EXPECT_EQ(0, reach(self, 0, PAGE_OLD));
	EXPECT_EQ(ALL, reach(self, 0, PAGE_NEW));
	EXPECT_EQ(0, hcall(self, H_STUFF_TCE, 0, 0, 512));
	EXPECT_EQ(0, reach(self, 0, PAGE_NEW));
	EXPECT_EQ(0, reach(self, 511 * 0x1000, PAGE_NEW + 511 * 0x1000));
}

/* Addresses that no guest has, and those of the tables, which only the host has */
TEST_F(iommufd_link, hostile)
{
	static const __u64 bad[] = {
		MEM_SIZE, 1ULL << 45, (1ULL << 47) - 0x1000, 1ULL << 47,
		1ULL << 51, 1ULL << 52, 1ULL << 52 | PAGE_NEW,
		1ULL << 63 | PAGE_NEW, -0x1000ULL, LINKED_TABLES_AT,
	};
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	unsigned int i;

	ASSERT_EQ(0, link_table(self));
	ASSERT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW,
					       bad[i] | TCE_RW));
		list[0] = htobe64(bad[i] | TCE_RW);
		EXPECT_EQ(KVM_PPC_TO_USER, hcall(self, H_PUT_TCE_INDIRECT,
						 IOBA_NEW, LIST, 1));
		EXPECT_EQ(KVM_PPC_TO_USER, hcall(self, H_PUT_TCE_INDIRECT,
						 IOBA_NEW, bad[i], 1));
	}
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
}

/* What the table has when it is linked, and nothing else, the device sees. */
TEST_F(iommufd_link, entries_before)
{
	__u64 *view = mmap(NULL, TCES * 8, PROT_READ | PROT_WRITE, MAP_SHARED,
			   self->table, 0);

	ASSERT_NE(MAP_FAILED, view);
	self->l.guest_tables[3] = htobe64((PAGE_NEW + 0x1000) | TCE_RW);
	self->l.guest_tables[700] = htobe64((PAGE_NEW + 0x2000) | TCE_RW);
	linked_attach(&self->l);
	EXPECT_EQ(ALL, reach(self, 3 * 0x1000, PAGE_NEW + 0x1000));
	EXPECT_EQ(ALL, reach(self, 700 * 0x1000, PAGE_NEW + 0x2000));
	view[1] = PAGE_OLD | TCE_RW;
	view[600] = PAGE_NEW | TCE_RW;
	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(ALL, reach(self, 600 * 0x1000, PAGE_NEW));
	EXPECT_EQ(0, reach(self, 3 * 0x1000, PAGE_NEW + 0x1000));
	EXPECT_EQ(0, reach(self, 700 * 0x1000, PAGE_NEW + 0x2000));
	munmap(view, TCES * 8);
}

/* KVM's table as the guest's: a new page table has what the guest put. */
TEST_F(iommufd_link, kvm_table)
{
	const size_t size = (self->l.size32 >> 12) * sizeof(__u64);
	const __u64 at = 1ULL << 45;
	int table = kvm_ppc_table(&self->l.vm, OTHER_LIOBN, 12,
				  self->l.start32 >> 12,
				  self->l.size32 >> 12);
	void *view = mmap(NULL, size, PROT_READ, MAP_SHARED, table, 0);

	ASSERT_NE(MAP_FAILED, view);
	ASSERT_EQ(0, map(self, view, at, size, IOMMU_IOAS_MAP_READABLE));
	self->l.windows.flags = 1;
	self->l.windows.windows[0].table = at;
	linked_attach(&self->l);
	ASSERT_EQ(0, linked_link(&self->l, table));
	ASSERT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE, OTHER_LIOBN,
				   self->l.start32 + IOBA_NEW,
				   PAGE_NEW | TCE_RW, 0, NULL));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	linked_attach(&self->l);
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	munmap(view, size);
	close(table);
}

/* Memory that leaves the parent is not reached, and TCEs cannot be put to it. */
TEST_F(iommufd_link, unmap)
{
	ASSERT_EQ(0, link_table(self));
	ASSERT_EQ(0, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));
	ASSERT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, unmap(self, 0, MEM_SIZE));
	EXPECT_EQ(0, reach(self, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, map_guest(self, 0, MEM_SIZE));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, reach(self, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(0, put(self, IOBA_NEW, 0));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
}

/* All of many TCEs, of which some point to other memory, and never more */
TEST_F(iommufd_link, unmap_many)
{
	static const unsigned int looked_at[] = {
		0, 31, 32, 63, 511, 512, 513, 543, 544, 700, 1021, 1023,
	};
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	unsigned int i, j;

	/* In pieces, as what is unmapped must have been mapped as one */
	ASSERT_EQ(0, unmap(self, 0, MEM_SIZE));
	ASSERT_EQ(0, map_guest(self, 0, PAGE_SPIN));
	ASSERT_EQ(0, map_guest(self, PAGE_SPIN, MiB));
	ASSERT_EQ(0, link_table(self));
	for (i = 0; i < TCES; i += 512) {
		for (j = 0; j < 512; j++)
			list[j] = htobe64((j % 7 == 6 ? PAGE_OLD : PAGE_SPIN) |
					  TCE_RW);
		ASSERT_EQ(0, hcall(self, H_PUT_TCE_INDIRECT, i * 0x1000, LIST,
				   512));
	}
	EXPECT_EQ(0, unmap(self, PAGE_SPIN, MiB));
	for (i = 0; i < ARRAY_SIZE(looked_at); i++) {
		j = looked_at[i];
		EXPECT_EQ(0, reach(self, j * 0x1000, PAGE_SPIN));
		EXPECT_EQ(j % 512 % 7 == 6 ? ALL : 0,
			  reach(self, j * 0x1000, PAGE_OLD));
	}
	EXPECT_EQ(0, map_guest(self, PAGE_SPIN, MiB));
	for (i = 0; i < ARRAY_SIZE(looked_at); i++)
		EXPECT_EQ(0, reach(self, looked_at[i] * 0x1000, PAGE_SPIN));
}

/* Where memory slots and parent disagree, the parent decides. */
TEST_F(iommufd_link, slots_disagree)
{
	const size_t size = page_size();
	const __u64 gpa = 64 * MiB;
	char *other = memory_get(BASE_PAGES, size, PROT_READ | PROT_WRITE);

	ASSERT_EQ(0, link_table(self));
	/* A slot that the parent does not have */
	kvm_ppc_slot(&self->l.vm, 1, gpa, MiB, NULL);
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, gpa | TCE_RW));
	/* Other memory there than the slot's, then no slot */
	ASSERT_EQ(0, map(self, other, gpa, size, MEMORY));
	EXPECT_EQ(0, put(self, IOBA_NEW, gpa | TCE_RW));
	EXPECT_EQ(0, reach(self, IOBA_NEW, gpa));
	EXPECT_EQ(ALL, reach_at(self, IOBA_NEW, other));
	kvm_ppc_slot(&self->l.vm, 1, gpa, 0, self->l.vm.slots[1].mem);
	EXPECT_EQ(0, put(self, IOBA_OLD, gpa | TCE_RW));
	EXPECT_EQ(ALL, reach_at(self, IOBA_OLD, other));
	EXPECT_EQ(0, unmap(self, gpa, size));
	EXPECT_EQ(0, reach_at(self, IOBA_OLD, other));
	EXPECT_EQ(0, reach_at(self, IOBA_NEW, other));
	munmap(other, size);
}

/* What the device may only read the monitor has to put. */
TEST_F(iommufd_link, read_only)
{
	const size_t size = page_size();
	const __u64 gpa = 64 * MiB;
	char *other = memory_get(BASE_PAGES, size, PROT_READ | PROT_WRITE);

	ASSERT_EQ(0, link_table(self));
	ASSERT_EQ(0, map(self, other, gpa, size, IOMMU_IOAS_MAP_READABLE));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, gpa | TCE_RW));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, gpa | TCE_READ));
	EXPECT_EQ(0, reach_at(self, IOBA_NEW, other));
	munmap(other, size);
}

/* KVM's table as the guest's, in a page table that is as it is; the view of it */
static __u64 *use_kvm_table(SELF(iommufd_link) self)
{
	const size_t size = (self->l.size32 >> 12) * sizeof(__u64);
	const __u64 at = 1ULL << 45;
	__u64 *view;
	long ret;

	vfio_close(&self->table);
	self->table = kvm_ppc_table(&self->l.vm, LIOBN, 12,
				    self->l.start32 >> 12,
				    self->l.size32 >> 12);
	view = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    self->table, 0);
	VFIO_REQUIRE(view != MAP_FAILED, "no view");
	ret = map(self, view, at, size, IOMMU_IOAS_MAP_READABLE);
	VFIO_REQUIRE(!ret, "IOAS_MAP: %ld", ret);
	self->l.windows.flags = 1;
	self->l.windows.windows[0].table = at;
	linked_attach(&self->l);
	return view;
}

static void drop_view(SELF(iommufd_link) self, __u64 *view)
{
	munmap(view, (self->l.size32 >> 12) * sizeof(__u64));
}

/* What only the page table's own reading can put stays when a table is linked. */
TEST_F(iommufd_link, link_keeps)
{
	const size_t size = page_size();
	const __u64 gpa = 64 * MiB, at = self->l.start32;
	char *other = memory_get(BASE_PAGES, size, PROT_READ | PROT_WRITE);
	__u64 *view = use_kvm_table(self);
	void *scratch = kvm_ppc_mem(&self->l.vm, PAGE_OLD);

	ASSERT_EQ(0, map(self, other, gpa, size, IOMMU_IOAS_MAP_READABLE));
	view[IOBA_OLD >> 12] = PAGE_OLD | TCE_RW;
	view[IOBA_NEW >> 12] = gpa | TCE_READ;
	linked_attach(&self->l);
	EXPECT_EQ(DMA_READS, dma_reach(&self->l.cdev.dma, at + IOBA_NEW, other,
				       at + IOBA_OLD, scratch));
	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(DMA_READS, dma_reach(&self->l.cdev.dma, at + IOBA_NEW, other,
				       at + IOBA_OLD, scratch));
	EXPECT_EQ(0, put(self, IOBA_NEW, 0));
	EXPECT_EQ(0, dma_reach(&self->l.cdev.dma, at + IOBA_NEW, other,
			       at + IOBA_OLD, scratch));
	drop_view(self, view);
	munmap(other, size);
}

struct namer {
	struct linked *l;
	volatile __u64 *view;
	__u64 tce;
	volatile bool ready;
	unsigned int done;
};

/* Have the table read again until the guest has begun to write it */
static void *name_until_put(void *arg)
{
	struct nested_invalidate request;
	struct namer *namer = arg;
	__u32 count;

	do {
		request = (struct nested_invalidate){
			.start = namer->l->start32, .size = 512 * 0x1000,
		};
		count = 1;
		iommufd_invalidate(namer->l->iommufd, namer->l->hwpt,
				   HWPT_INVALIDATE_DATA_SPAPR_TCE, &request,
				   &count);
		namer->done++;
		namer->ready = true;
	} while (*namer->view != namer->tce);
	return NULL;
}

/*
 * The table is read again while the guest writes it: what the guest has put stays,
 * though it is in the table later than in the page table.
 */
TEST_F(iommufd_link, named_while_put)
{
	static const unsigned int looked_at[] = { 0, 170, 340, 511 };
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	__u64 *view = use_kvm_table(self);
	struct namer namer = { .l = &self->l, .view = view };
	unsigned int i, j;
	pthread_t thread;
	__u64 page;

	ASSERT_EQ(0, link_table(self));
	transcript_mute(1);
	for (i = 0; i < 30; i++) {
		page = i % 2 ? PAGE_OLD : PAGE_NEW;
		for (j = 0; j < 512; j++)
			list[j] = htobe64(page | TCE_RW);
		namer.tce = page | TCE_RW;
		namer.ready = false;
		ASSERT_EQ(0, pthread_create(&thread, NULL, name_until_put,
					    &namer));
		while (!namer.ready)
			;
		EXPECT_EQ(0, hcall(self, H_PUT_TCE_INDIRECT, 0, LIST, 512));
		pthread_join(thread, NULL);
		for (j = 0; j < ARRAY_SIZE(looked_at); j++)
			EXPECT_EQ(ALL, reach(self, looked_at[j] * 0x1000,
					     page));
	}
	TH_LOG("read %u times", namer.done);
	drop_view(self, view);
}

/* Two guests with a device each: neither has what the other puts or loses. */
TEST_F(iommufd_link, two_guests)
{
	static struct linked other;
	const __u64 at = self->l.start32 + IOBA_NEW;
	char swap[PCI_ADDRESS_LEN];
	int table;

	memset(&other, 0, sizeof(other));
	other.nested = true;
	ASSERT_EQ(NULL, linked_find(&other));
	memcpy(swap, other.bed.address[0], sizeof(swap));
	memcpy(other.bed.address[0], other.bed.address[2], sizeof(swap));
	memcpy(other.bed.address[2], swap, sizeof(swap));
	linked_open(&other, false, MEM_SIZE);
	table = linked_table(&other, LIOBN, 12, other.start32, TCES);
	ASSERT_EQ(0, link_table(self));

	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, linked_reach(&other, at, PAGE_NEW, 0, 0) & ALL);
	EXPECT_EQ(0, kvm_ppc_hcall(other.vcpu, H_PUT_TCE, LIOBN, at,
				   PAGE_NEW | TCE_RW, 0, NULL));
	EXPECT_EQ(ALL, linked_reach(&other, at, PAGE_NEW, 0, 0));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	/* The same address in each is memory of its own */
	EXPECT_EQ(0, dma_reach(&other.cdev.dma, at,
			       kvm_ppc_mem(&self->l.vm, PAGE_NEW), 0, NULL) &
		  ALL);
	/* A device of the one and a table of the other */
	EXPECT_EQ(-EINVAL, __kvm_ppc_file_link(self->l.kvm_vfio,
					       self->l.cdev.file, table));
	EXPECT_EQ(-ENOENT, __kvm_ppc_file_link(self->l.kvm_vfio,
					       other.cdev.file, self->table));

	EXPECT_EQ(0, unmap(self, 0, MEM_SIZE));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(ALL, linked_reach(&other, at, PAGE_NEW, 0, 0));
	EXPECT_EQ(0, map_guest(self, 0, MEM_SIZE));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	close(table);
	linked_close(&other);
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
}

/* A second window and a table of larger pages */
TEST_F(iommufd_link, two_windows)
{
	const unsigned int shift = page_shift();
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	__u64 start64;
	int table;

	ASSERT_EQ(0, link_table(self));
	self->l.tables[self->l.ntables++] = self->table;
	ASSERT_EQ(0, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));
	start64 = linked_window(&self->l, shift, 64 * MiB);
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
	table = linked_table(&self->l, OTHER_LIOBN, 16, start64, 16);
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE, OTHER_LIOBN,
				   start64 + 0x10000, PAGE_NEW | TCE_RW, 0,
				   NULL));
	list[0] = htobe64((PAGE_NEW + 0x10000) | TCE_RW);
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE_INDIRECT,
				   OTHER_LIOBN, start64 + 0x20000, LIST, 1,
				   NULL));
	EXPECT_EQ(ALL, linked_reach(&self->l, start64 + 0x10000, PAGE_NEW, 0,
				    0));
	EXPECT_EQ(ALL, linked_reach(&self->l, start64 + 0x2f000,
				    PAGE_NEW + 0x1f000, 0, 0));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	close(table);
}

/* A device of another group behind the same page table */
TEST_F(iommufd_link, two_groups)
{
	const __u64 at = self->l.start32 + IOBA_NEW;
	void *old = kvm_ppc_mem(&self->l.vm, PAGE_OLD);
	void *new = kvm_ppc_mem(&self->l.vm, PAGE_NEW);
	struct cdev other;

	ASSERT_EQ(0, link_table(self));
	ASSERT_EQ(0, put(self, IOBA_NEW, PAGE_OLD | TCE_RW));
	ASSERT_EQ(0, cdev_open_for_dma(&other, self->l.bed.address[2],
				       self->l.iommufd));
	ASSERT_EQ(0, cdev_attach(&other, self->l.hwpt));
	EXPECT_EQ(ALL, dma_reach(&other.dma, at, old, 0, NULL));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, dma_reach(&other.dma, at, old, 0, NULL) & ALL);
	EXPECT_EQ(ALL, dma_reach(&other.dma, at, new, 0, NULL));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, unmap(self, 0, MEM_SIZE));
	EXPECT_EQ(0, dma_reach(&other.dma, at, new, 0, NULL) & ALL);
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	cdev_close(&other);
}

/* --- Ways to end a link, with a vCPU at work */

TEST_F(iommufd_link, ends_by_detach)
{
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, cdev_detach(&self->l.cdev));
	EXPECT_ENDED(self);
	EXPECT_EQ(-EINVAL, link_table(self));
	EXPECT_EQ(0, iommufd_destroy(self->l.iommufd, self->l.hwpt));
	self->l.hwpt = 0;
	linked_attach(&self->l);
	EXPECT_ENDED(self);
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
}

TEST_F(iommufd_link, ends_by_replace)
{
	__u32 flat;

	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->l.iommufd, &flat));
	EXPECT_EQ(0, cdev_attach(&self->l.cdev, flat));
	EXPECT_ENDED(self);
	EXPECT_EQ(-EINVAL, link_table(self));
	linked_attach(&self->l);
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
}

TEST_F(iommufd_link, ends_by_del)
{
	ASSERT_EQ(0, start(self));
	EXPECT_EQ(0, __kvm_ppc_group_del(self->l.kvm_vfio,
					 self->l.cdev.file));
	/* Nothing is known of a device: the table is one that KVM answers for */
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(-ENOENT, link_table(self));
	EXPECT_EQ(0, __kvm_ppc_group_add(self->l.kvm_vfio,
					 self->l.cdev.file));
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
}

TEST_F(iommufd_link, ends_by_table_close)
{
	ASSERT_EQ(0, start(self));
	vfio_close(&self->table);
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	/* The next table of this LIOBN is not linked before it is asked for */
	self->table = kvm_ppc_table(&self->l.vm, LIOBN, 12,
				    self->l.start32 >> 12, TCES);
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
}

TEST_F(iommufd_link, ends_by_vfio_device_close)
{
	ASSERT_EQ(0, start(self));
	vfio_close(&self->l.kvm_vfio);
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	linked_again(&self->l);
	EXPECT_EQ(0, reach(self, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(0, reach(self, IOBA_SPIN, PAGE_SPIN));
}

/* The device goes as soon as KVM lets its file go. */
TEST_F(iommufd_link, ends_by_unbind)
{
	int i;

	ASSERT_EQ(0, start(self));
	self->l.bed.dma[0].bar = NULL;
	cdev_close(&self->l.cdev);
	vfio_close(&self->l.iommufd);
	vfio_close(&self->l.kvm_vfio);
	for (i = 0; i < 2; i++)
		pci_unbind(self->l.bed.address[i]);
	put(self, IOBA_NEW, PAGE_NEW | TCE_RW);
	for (i = 0; i < 2; i++)
		pci_bind(self->l.bed.address[i], "vfio-pci");
	linked_again(&self->l);
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, reach(self, IOBA_SPIN, PAGE_SPIN));
}

struct unbinder {
	const char *address;
	volatile bool done;
};

static void *unbind_device(void *arg)
{
	struct unbinder *u = arg;

	pci_unbind(u->address);
	u->done = true;
	return NULL;
}

/* The driver leaves a device at work when the monitor has let it go, not before. */
TEST_F(iommufd_link, unbind_waits)
{
	struct unbinder u = { .address = self->l.bed.address[0] };
	pthread_t thread;

	ASSERT_EQ(0, start(self));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind_device, &u));
	usleep(500 * 1000);
	EXPECT_FALSE(u.done);
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));

	linked_close_device(&self->l);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, put(self, IOBA_OLD, PAGE_NEW | TCE_RW));
	pci_bind(self->l.bed.address[0], "vfio-pci");
	linked_again(&self->l);
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, reach(self, IOBA_SPIN, PAGE_SPIN));
}

/* Memory, page tables and links come and go while vCPU and device work. */
TEST_F(iommufd_link, races)
{
	int i;

	/* In pieces, as what is unmapped must have been mapped as one */
	ASSERT_EQ(0, unmap(self, 0, MEM_SIZE));
	ASSERT_EQ(0, map_guest(self, 0, PAGE_SPIN));
	ASSERT_EQ(0, map_guest(self, PAGE_SPIN, MiB));
	ASSERT_EQ(0, start(self));
	transcript_mute(1);
	for (i = 0; i < 50; i++) {
		/* One that the vCPU at work does not clear, and one that it may */
		EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_SPIN | TCE_RW));
		EXPECT_EQ(0, unmap(self, PAGE_SPIN, MiB));
		EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_SPIN));
		EXPECT_EQ(0, reach(self, IOBA_SPIN, PAGE_SPIN));
		EXPECT_EQ(0, map_guest(self, PAGE_SPIN, MiB));
		EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
		if (i % 5)
			continue;
		EXPECT_EQ(0, cdev_detach(&self->l.cdev));
		EXPECT_EQ(0, cdev_attach(&self->l.cdev, self->l.hwpt));
		EXPECT_EQ(0, link_table(self));
	}
	EXPECT_EQ(0, stop_spin(self));
	EXPECT_EQ(0, unmap(self, PAGE_SPIN, MiB));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0, reach(self, IOBA_SPIN + i * 0x1000,
				   PAGE_SPIN + i * 0x1000));
}

/* A vCPU that puts TCEs to the memory, of two pages in turn, and never clears one */
static void put_without_end(SELF(iommufd_link) self)
{
	struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&self->l.vm, 1);
	unsigned int i;

	for (i = 0; i < 2; i++)
		vcpu->calls[i] = (struct kvm_ppc_call){
			.nr = H_PUT_TCE,
			.arg = { LIOBN, self->l.start32 + IOBA_SPIN,
				 (PAGE_SPIN + i * 0x1000) | TCE_RW },
		};
	kvm_ppc_spin_start(&self->s, vcpu, 2);
	self->spins = true;
}

/*
 * Memory leaves while a vCPU puts TCEs to it and the device writes there: from then
 * on the device does not. What is mapped there again the vCPU gives to the device.
 */
TEST_F(iommufd_link, unmap_under_dma)
{
	void *memory = kvm_ppc_mem(&self->l.vm, PAGE_SPIN);
	const size_t size = 0x2000;
	struct dma_writer writer;
	int i;

	/* In pieces, as in races */
	ASSERT_EQ(0, unmap(self, 0, MEM_SIZE));
	ASSERT_EQ(0, map_guest(self, 0, PAGE_SPIN));
	ASSERT_EQ(0, link_table(self));
	put_without_end(self);
	transcript_mute(1);
	dma_writer_start(&writer, &self->l.cdev.dma,
			 self->l.start32 + IOBA_SPIN);
	for (i = 0; i < 30; i++) {
		EXPECT_EQ(0, map_guest(self, PAGE_SPIN, MiB));
		EXPECT_TRUE(dma_writer_reaches(&writer, memory, size,
					       DMA_MANY_COPIES));
		EXPECT_EQ(0, unmap(self, PAGE_SPIN, MiB));
		EXPECT_FALSE(dma_writer_reaches(&writer, memory, size,
						DMA_NEXT_COPIES));
	}
	dma_writer_stop(&writer);
	EXPECT_EQ(0, stop_spin(self));
	/* TCEs for what was not mapped the monitor got */
	EXPECT_LT(0, self->l.vm.vcpus[1].handed);
}

/* --- Tables that are unlinked while the device's page table is replaced */

static int unlink_table(SELF(iommufd_link) self)
{
	return __kvm_ppc_file_unlink(self->l.kvm_vfio, self->l.cdev.file,
				     self->table);
}

/* The monitor is asked, also while other tables are linked. */
TEST_F(iommufd_link, unlinked)
{
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	__u64 start64, tce;
	int other;

	EXPECT_EQ(-ENOENT, unlink_table(self));
	start64 = linked_window(&self->l, page_shift(), 64 * MiB);
	other = linked_table(&self->l, OTHER_LIOBN, 16, start64, 16);
	ASSERT_EQ(0, link_table(self));
	ASSERT_EQ(0, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));

	EXPECT_EQ(0, unlink_table(self));
	EXPECT_EQ(0, unlink_table(self));
	list[0] = htobe64(PAGE_NEW | TCE_RW);
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_OLD, 0));
	EXPECT_EQ(KVM_PPC_TO_USER, hcall(self, H_PUT_TCE_INDIRECT, IOBA_NEW,
					 LIST, 1));
	EXPECT_EQ(KVM_PPC_TO_USER, hcall(self, H_STUFF_TCE, IOBA_OLD, 0, 1));
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_GET_TCE, LIOBN,
				   self->l.start32 + IOBA_OLD, 0, 0, &tce));
	EXPECT_EQ(PAGE_OLD | TCE_RW, tce);
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(0, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE, OTHER_LIOBN,
				   start64, PAGE_NEW | TCE_RW, 0, NULL));
	EXPECT_EQ(ALL, linked_reach(&self->l, start64, PAGE_NEW, 0, 0));

	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
	/* It ends with the device's file in KVM's VFIO device */
	EXPECT_EQ(0, unlink_table(self));
	EXPECT_EQ(0, linked_del(&self->l));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_OLD | TCE_RW));
	EXPECT_EQ(0, linked_add(&self->l));
	EXPECT_EQ(-ENOENT, unlink_table(self));
	close(other);
}

/* One of two devices, whose link fails at first */
TEST_F(iommufd_link, unlinked_by_one)
{
	const __u64 at = self->l.start32 + IOBA_NEW;
	void *new = kvm_ppc_mem(&self->l.vm, PAGE_NEW);

	linked_other(&self->l);
	ASSERT_EQ(0, __kvm_ppc_group_add(self->l.kvm_vfio,
					 linked_other_file(&self->l)));
	ASSERT_EQ(0, link_table(self));
	ASSERT_EQ(0, linked_link_other(&self->l, self->table));
	ASSERT_EQ(0, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));

	EXPECT_EQ(0, unlink_table(self));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, cdev_detach(&self->l.cdev));
	EXPECT_EQ(-EINVAL, link_table(self));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, dma_reach(&self->l.other.dma, at, new, 0, NULL) & ALL);
	linked_attach(&self->l);
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(ALL, dma_reach(&self->l.other.dma, at, new, 0, NULL) & ALL);
}

/* A link that is gone can be unlinked: the table remains the monitor's. */
TEST_F(iommufd_link, unlinked_when_gone)
{
	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(0, cdev_detach(&self->l.cdev));
	EXPECT_EQ(0, unlink_table(self));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	linked_attach(&self->l);
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, unlink_table(self));
	vfio_close(&self->table);
}

/* A device that has not been linked gets no link of another that leaves. */
TEST_F(iommufd_link, not_shared)
{
	struct linked *l = &self->l;
	int other;

	ASSERT_EQ(0, linked_join(l));
	ASSERT_EQ(0, link_table(self));
	other = kvm_ppc_table(&l->vm, OTHER_LIOBN, 12, 0, TCES);
	ASSERT_EQ(0, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));
	ASSERT_EQ(0, __kvm_ppc_group_add(l->kvm_vfio, linked_other_file(l)));

	EXPECT_EQ(0, __kvm_ppc_group_del(l->kvm_vfio, l->cdev.file));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(KVM_PPC_TO_USER, kvm_ppc_hcall(l->vcpu, H_PUT_TCE,
						 OTHER_LIOBN, 0,
						 PAGE_NEW | TCE_RW, 0, NULL));
	close(other);
}

/*
 * A device that is unlinked gets no link of another that leaves: linking it again
 * would do nothing then.
 */
TEST_F(iommufd_link, unlinked_not_shared)
{
	const int device = self->l.kvm_vfio;

	ASSERT_EQ(0, linked_join(&self->l));
	ASSERT_EQ(0, __kvm_ppc_group_add(device,
					 linked_other_file(&self->l)));
	ASSERT_EQ(0, link_table(self));
	ASSERT_EQ(0, linked_link_other(&self->l, self->table));
	ASSERT_EQ(0, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));

	EXPECT_EQ(0, unlink_table(self));
	EXPECT_EQ(0, __kvm_ppc_group_del(device,
					 linked_other_file(&self->l)));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
}

/* One of two windows goes: its table is the monitor's, the other's is not. */
TEST_F(iommufd_link, unlinked_with_window)
{
	struct linked *l = &self->l;
	struct nested_windows two;
	__u64 start64;
	int table;

	ASSERT_EQ(0, link_table(self));
	l->tables[l->ntables++] = self->table;
	start64 = linked_window(l, page_shift(), 64 * MiB);
	table = linked_table(l, OTHER_LIOBN, 16, start64, 16);
	ASSERT_EQ(0, put(self, IOBA_OLD, PAGE_OLD | TCE_RW));
	ASSERT_EQ(0, kvm_ppc_hcall(l->vcpu, H_PUT_TCE, OTHER_LIOBN, start64,
				   PAGE_NEW | TCE_RW, 0, NULL));
	EXPECT_EQ(ALL, linked_reach(l, start64, PAGE_NEW, 0, 0));

	two = l->windows;
	l->windows.num_windows = 1;
	memset(&l->windows.windows[1], 0, sizeof(l->windows.windows[1]));
	linked_attach(l);
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(self, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(ALL, reach(self, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(KVM_PPC_TO_USER,
		  kvm_ppc_hcall(l->vcpu, H_PUT_TCE, OTHER_LIOBN,
				start64 + 0x10000, PAGE_NEW | TCE_RW, 0, NULL));
	EXPECT_EQ(-EINVAL, linked_link(l, table));
	EXPECT_EQ(0, linked_reach(l, start64, PAGE_NEW, 0, 0) & ALL);

	l->windows = two;
	linked_attach(l);
	EXPECT_EQ(0, linked_link(l, table));
	EXPECT_EQ(ALL, linked_reach(l, start64, PAGE_NEW, 0, 0));
	EXPECT_EQ(0, kvm_ppc_hcall(l->vcpu, H_PUT_TCE, OTHER_LIOBN,
				   start64 + 0x10000, PAGE_NEW | TCE_RW, 0,
				   NULL));
	EXPECT_EQ(ALL, linked_reach(l, start64 + 0x10000, PAGE_NEW, 0, 0));
	EXPECT_EQ(KVM_PPC_TO_USER, put(self, IOBA_NEW, PAGE_OLD | TCE_RW));
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(ALL, reach(self, IOBA_NEW, PAGE_NEW));
	close(table);
}

/*
 * What has been answered when a table is unlinked the device sees: the last of
 * two lists that a vCPU puts in turn.
 */
TEST_F(iommufd_link, unlinked_at_work)
{
	struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&self->l.vm, 1);
	const __u64 page[] = { PAGE_OLD, PAGE_NEW };
	unsigned int i, j, last = 511;
	volatile __u64 *view;
	__be64 *list;
	__u64 tce;

	view = mmap(NULL, TCES * 8, PROT_READ, MAP_SHARED, self->table, 0);
	ASSERT_NE(MAP_FAILED, view);
	for (i = 0; i < 2; i++) {
		list = kvm_ppc_mem(&self->l.vm, LIST + i * 0x1000);
		for (j = 0; j <= last; j++)
			list[j] = htobe64(page[i] | TCE_RW);
		vcpu->calls[i] = (struct kvm_ppc_call){
			.nr = H_PUT_TCE_INDIRECT,
			.arg = { LIOBN, self->l.start32, LIST + i * 0x1000,
				 last + 1 },
		};
	}
	ASSERT_EQ(0, link_table(self));
	kvm_ppc_spin_start(&self->s, vcpu, 2);
	self->spins = true;
	/* The first of the lists has been put */
	for (i = 0; !view[last] && i < 60 * 1000; i++)
		usleep(1000);
	ASSERT_NE(0, view[last]);
	transcript_mute(1);
	for (i = 0; i < 30; i++) {
		usleep(10 * 1000);
		ASSERT_EQ(0, unlink_table(self));
		tce = view[last];
		EXPECT_EQ(ALL, reach(self, last * 0x1000,
				     tce & ~(__u64)TCE_RW));
		EXPECT_EQ(tce, view[last]);
		ASSERT_EQ(0, link_table(self));
	}
	EXPECT_LT(0, vcpu->handed);
	munmap((void *)view, TCES * 8);
}

/* What a monitor has at hand while it changes the page table */
struct monitor {
	struct linked *l;
	__u64 *view;
	pthread_mutex_t lock;
	/*
	 * The device reaches what is mapped. In a partition it has no windows while
	 * its page table is exchanged.
	 */
	pthread_mutex_t windows;
	/* 0 for none */
	__u32 next;
	unsigned int asked;
};

static void name_tce(struct monitor *m, __u32 page_table, __u64 at)
{
	struct nested_invalidate request = { .start = at, .size = 0x1000 };
	__u32 count = 1;
	long ret = iommufd_invalidate(m->l->iommufd, page_table,
				      HWPT_INVALIDATE_DATA_SPAPR_TCE, &request,
				      &count);

	VFIO_REQUIRE(!ret && !request.out_bad, "HWPT_INVALIDATE: %ld", ret);
}

/* H_PUT_TCE, as Documentation/arch/powerpc/iommufd.rst has it */
static __s64 answer_put(const struct kvm_ppc_call *call, void *arg)
{
	const __u64 at = call->arg[1];
	struct monitor *m = arg;

	pthread_mutex_lock(&m->lock);
	m->view[(at - m->l->start32) >> 12] = call->arg[2];
	name_tce(m, m->l->hwpt, at);
	if (m->next)
		name_tce(m, m->next, at);
	m->asked++;
	pthread_mutex_unlock(&m->lock);
	return H_SUCCESS;
}

/* Each step takes a while, in which the guest goes on */
static void replace_page_table(struct monitor *m, int table)
{
	struct linked *l = m->l;
	__u32 old = l->hwpt;
	long ret;

	ret = __kvm_ppc_file_unlink(l->kvm_vfio, l->cdev.file, table);
	VFIO_REQUIRE(!ret, "unlink: %ld", ret);
	usleep(300 * 1000);
	pthread_mutex_lock(&m->lock);
	ret = iommufd_hwpt_alloc_nested(l->iommufd, l->cdev.id, l->parent,
					&l->windows, &m->next);
	pthread_mutex_unlock(&m->lock);
	VFIO_REQUIRE(!ret, "HWPT_ALLOC: %ld", ret);
	usleep(300 * 1000);
	if (testbed_is_partition())
		pthread_mutex_lock(&m->windows);
	ret = cdev_attach(&l->cdev, m->next);
	if (testbed_is_partition())
		pthread_mutex_unlock(&m->windows);
	VFIO_REQUIRE(!ret, "ATTACH: %ld", ret);
	usleep(300 * 1000);
	pthread_mutex_lock(&m->lock);
	ret = linked_link(l, table);
	l->hwpt = m->next;
	m->next = 0;
	pthread_mutex_unlock(&m->lock);
	VFIO_REQUIRE(!ret, "link: %ld", ret);
	iommufd_destroy(l->iommufd, old);
	usleep(300 * 1000);
}

struct replacer {
	struct monitor *m;
	int table;
	volatile bool stop;
};

static void *replace_all_the_time(void *arg)
{
	struct replacer *r = arg;

	while (!r->stop)
		replace_page_table(r->m, r->table);
	return NULL;
}

/* The device sees all that a guest has put, at once, through all of it. */
TEST_F(iommufd_link, replaced_at_work)
{
	struct monitor m = {
		.l = &self->l, .lock = PTHREAD_MUTEX_INITIALIZER,
		.windows = PTHREAD_MUTEX_INITIALIZER,
	};
	struct replacer r = { .m = &m };
	unsigned int i, answered = 0;
	pthread_t thread;
	__u64 page;

	m.view = use_kvm_table(self);
	ASSERT_EQ(0, link_table(self));
	self->l.vcpu->monitor = answer_put;
	self->l.vcpu->arg = &m;

	r.table = self->table;
	transcript_mute(1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, replace_all_the_time, &r));
	for (i = 0; i < 40; i++) {
		page = PAGE_OLD + i * 0x1000;
		EXPECT_EQ(0, put(self, IOBA_NEW, page | TCE_RW));
		pthread_mutex_lock(&m.windows);
		EXPECT_EQ(ALL, reach(self, IOBA_NEW, page));
		pthread_mutex_unlock(&m.windows);
		EXPECT_EQ(0, put(self, IOBA_NEW, 0));
		EXPECT_EQ(0, reach(self, IOBA_NEW, page));
		answered += 2;
	}
	r.stop = true;
	pthread_join(thread, NULL);
	/* Both have answered */
	EXPECT_LT(0, m.asked);
	EXPECT_LT(m.asked, answered);
	self->l.vcpu->monitor = NULL;
	drop_view(self, m.view);
}

TEST_HARNESS_MAIN
