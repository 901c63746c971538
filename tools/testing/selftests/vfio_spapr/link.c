// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a link between a guest's TCE table and an IOMMU group, or in a
 * variant the nested page table of a device: what may be linked, and that a link
 * ends wholly, however it ends, while a vCPU goes on making hypercalls. Afterwards
 * neither the guest's hypercalls nor its device reach anything. Needs the
 * devices of lib/testbed.h.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/leak.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"

#define MIB		0x100000ul
#define MEM_SIZE	(16 * MIB)
#define LIST		(2 * MIB)
#define LIOBN		1
#define TCES		1024

/* Pages of the guest that the tests map, and where */
#define PAGE_OLD	(4 * MIB)
#define PAGE_NEW	(5 * MIB)
#define PAGE_SPIN	(6 * MIB)
#define IOBA_OLD	0x1000
#define IOBA_NEW	0x2000
#define IOBA_SPIN	0x10000

#define ALL		(DMA_READS | DMA_WRITES)

/* What the program runs as: linked_variant() of it, before there is a guest */
static struct linked program;

static __s64 put(struct linked *l, __u64 ioba, __u64 tce)
{
	return kvm_ppc_hcall(l->vcpu, H_PUT_TCE, LIOBN, l->start32 + ioba, tce,
			     0, NULL);
}

static unsigned int reach(struct linked *l, __u64 ioba, __u64 gpa)
{
	return linked_reach(l, l->start32 + ioba, gpa, 0, 0);
}

static void spin(struct linked *l, struct kvm_ppc_spin *s)
{
	linked_spin(l, s, LIOBN, IOBA_SPIN, PAGE_SPIN, LIST);
}

FIXTURE(link) {
	struct linked l;
	struct testbed *bed;
	int table;
};

FIXTURE_SETUP(link)
{
	const char *lacking;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	self->table = -1;
	self->bed = &self->l.bed;
	self->l.nested = program.nested;
	lacking = linked_find(&self->l);
	if (lacking)
		SKIP(return, "%s", lacking);
	linked_open(&self->l, false, MEM_SIZE);
	self->table = kvm_ppc_table(&self->l.vm, LIOBN, 12,
				    self->l.start32 >> 12, TCES);
}

FIXTURE_TEARDOWN(link)
{
	vfio_close(&self->table);
	linked_close(&self->l);
}

static int link_table(SELF(link) self)
{
	return linked_link(&self->l, self->table);
}

/* Files that are no group, no table, or not known */
TEST_F(link, wrong_files)
{
	int device = self->l.kvm_vfio, group = self->bed->group[0];
	struct kvm_ppc_vm vm;
	int null, other;

	if (self->l.nested)
		SKIP(return, "about containers");
	null = open("/dev/null", O_RDWR);
	EXPECT_EQ(-EBADF, __kvm_ppc_link(device, -1, self->table));
	EXPECT_EQ(-EBADF, __kvm_ppc_link(device, group, -1));
	EXPECT_EQ(-ENOENT, __kvm_ppc_link(device, null, self->table));
	EXPECT_EQ(-ENOENT, __kvm_ppc_link(device, self->bed->container,
					  self->table));
	EXPECT_EQ(-EINVAL, __kvm_ppc_link(device, group, null));
	EXPECT_EQ(-EINVAL, __kvm_ppc_link(device, group, group));

	kvm_ppc_vm_init(&vm, false, MEM_SIZE);
	other = kvm_ppc_table(&vm, LIOBN, 12, self->l.start32 >> 12, TCES);
	EXPECT_EQ(-EINVAL, __kvm_ppc_link(device, group, other));
	close(other);
	kvm_ppc_vm_close(&vm);

	EXPECT_EQ(-EEXIST, __kvm_ppc_group_add(device, group));
	EXPECT_EQ(-EINVAL, __kvm_ppc_group_add(device, null));
	EXPECT_EQ(-ENOENT, __kvm_ppc_group_del(device, null));
	close(null);
}

/* A table with another place, larger than the window or with smaller pages */
TEST_F(link, wrong_tables)
{
	const __u64 start = self->l.start32, end = start + self->l.size32;
	__u64 further;

	EXPECT_EQ(-EINVAL, __linked_table(&self->l, 2, 12, start + 0x1000, 16));
	EXPECT_EQ(-EINVAL, __linked_table(&self->l, 2, 12, end, 16));
	EXPECT_EQ(-EINVAL, __linked_table(&self->l, 2, 12, start,
					  (self->l.size32 >> 12) + 1));
	EXPECT_LT(0, __linked_table(&self->l, 2, 12, start,
				    self->l.size32 >> 12));
	EXPECT_LT(0, __linked_table(&self->l, 3, 16, start, 16));
	further = linked_window(&self->l, 16, 64 * MIB);
	EXPECT_EQ(-EINVAL, __linked_table(&self->l, 4, 12, further, 16));
}

/* One page goes through the link, for the device and back */
TEST_F(link, moves_data)
{
	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(0, reach(&self->l, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, 0));
	EXPECT_EQ(0, reach(&self->l, IOBA_NEW, PAGE_NEW));
}

/* Linked once more is linked; one end ends it. */
TEST_F(link, twice)
{
	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, linked_del(&self->l));
	EXPECT_EQ(0, put(&self->l, IOBA_OLD, PAGE_OLD | TCE_RW));
	EXPECT_EQ(0, reach(&self->l, IOBA_OLD, PAGE_OLD));
}

/* What the table has when it is linked, the device sees. */
TEST_F(link, entries_before)
{
	/* With a device that is not linked user space fills tables */
	ASSERT_EQ(0, linked_del(&self->l));
	ASSERT_EQ(0, put(&self->l, IOBA_OLD, PAGE_OLD | TCE_RW));
	ASSERT_EQ(0, linked_add(&self->l));
	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_OLD, PAGE_OLD));
}

struct linker {
	struct linked *l;
	int table, ret;
};

static void *link_all(void *arg)
{
	struct linker *linker = arg;

	linker->ret = linked_link(linker->l, linker->table);
	return NULL;
}

/*
 * User space says how many entries there are before, and who takes the window
 * away does not wait for all of them.
 */
TEST_F(link, ends_while_filled)
{
	struct linker linker = { .l = &self->l };
	const __u64 size = self->l.size32 / 0x1000;
	pthread_t thread;
	__u64 *view, i;

	linker.table = kvm_ppc_table(&self->l.vm, 2, 12, self->l.start32 >> 12,
				     size);
	view = mmap(NULL, size * 8, PROT_READ | PROT_WRITE, MAP_SHARED,
		    linker.table, 0);
	ASSERT_NE(MAP_FAILED, view);
	for (i = 0; i < size; i++)
		view[i] = PAGE_OLD | TCE_RW;
	ASSERT_EQ(0, pthread_create(&thread, NULL, link_all, &linker));
	usleep(50 * 1000);
	EXPECT_EQ(0, linked_remove_window(&self->l));
	pthread_join(thread, NULL);
	EXPECT_EQ(-EINVAL, linker.ret);
	EXPECT_EQ(0, reach(&self->l, IOBA_OLD, PAGE_OLD));
	munmap(view, size * 8);
	close(linker.table);
}

/* Two tables, a window each */
TEST_F(link, two_tables)
{
	__u64 start = linked_window(&self->l, page_shift(), 64 * MIB);
	int table = linked_table(&self->l, 2, 16, start, 16);

	ASSERT_EQ(0, link_table(self));
	EXPECT_EQ(0, put(&self->l, IOBA_OLD, PAGE_OLD | TCE_RW));
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE, 2, start,
				   PAGE_NEW | TCE_RW, 0, NULL));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(ALL, linked_reach(&self->l, start, PAGE_NEW, 0, 0));
	close(table);
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_NEW, PAGE_NEW));
}

/* A list for a table of 64 KiB pages and a window of 4 KiB ones */
TEST_F(link, list_in_parts)
{
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	int table = linked_table(&self->l, 2, 16, self->l.start32, 64);

	list[0] = htobe64(PAGE_OLD | TCE_RW);
	list[1] = htobe64(PAGE_OLD | TCE_RW);
	list[2] = htobe64(PAGE_NEW | TCE_RW);
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE_INDIRECT, 2,
				   self->l.start32, LIST, 3, NULL));
	EXPECT_EQ(ALL, reach(&self->l, 0x10000, PAGE_OLD));

	list[1] = 0;
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE_INDIRECT, 2,
				   self->l.start32, LIST, 3, NULL));
	EXPECT_EQ(ALL, reach(&self->l, 0xf000, PAGE_OLD + 0xf000));
	EXPECT_EQ(0, reach(&self->l, 0x10000, PAGE_OLD));
	EXPECT_EQ(ALL, reach(&self->l, 0x20000, PAGE_NEW));
	close(table);
}

/* One that begins in one page of what the guest sees and ends in the next */
static void put_across_pages(struct __test_metadata *_metadata,
			     struct linked *l)
{
	const __u64 last = page_size() / 8 - 1;
	const __u64 at = l->start32 + last * 0x1000;
	__be64 *list = kvm_ppc_mem(&l->vm, LIST);
	int table = linked_table(l, 2, 12, l->start32, 2 * last);
	__u64 tce = 0;

	/* There is the first of them */
	ASSERT_EQ(0, kvm_ppc_hcall(l->vcpu, H_PUT_TCE, 2, at,
				   PAGE_NEW | TCE_RW, 0, NULL));
	list[0] = htobe64(PAGE_OLD | TCE_RW);
	list[1] = htobe64(PAGE_NEW | TCE_RW);
	EXPECT_EQ(0, kvm_ppc_hcall(l->vcpu, H_PUT_TCE_INDIRECT, 2, at, LIST, 2,
				   NULL));
	EXPECT_EQ(0, kvm_ppc_hcall(l->vcpu, H_GET_TCE, 2, at + 0x1000, 0, 0,
				   &tce));
	EXPECT_EQ(PAGE_NEW | TCE_RW, tce);
	EXPECT_EQ(ALL, linked_reach(l, at, PAGE_OLD, 0, 0));
	EXPECT_EQ(ALL, linked_reach(l, at + 0x1000, PAGE_NEW, 0, 0));
	close(table);
}

TEST_F(link, list_across_pages)
{
	put_across_pages(_metadata, &self->l);
	/* The window has its part by now, the table is another */
	put_across_pages(_metadata, &self->l);
}

/* The table linked to the first group, and to the second one, too */
#define ASSERT_LINKED_BOTH(self)					\
do {									\
	ASSERT_EQ(0, add_other(&(self)->l));				\
	ASSERT_EQ(0, link_table(self));					\
	ASSERT_EQ(0, linked_link_other(&(self)->l, (self)->table));	\
} while (0)

static int add_other(struct linked *l)
{
	return __kvm_ppc_group_add(l->kvm_vfio, linked_other_file(l));
}

static int del_other(struct linked *l)
{
	return __kvm_ppc_group_del(l->kvm_vfio, linked_other_file(l));
}

/* Two groups on one table; one leaves */
TEST_F(link, two_groups)
{
	int ret = linked_join(&self->l);
	void *mem = kvm_ppc_mem(&self->l.vm, PAGE_NEW);
	const __u64 at = self->l.start32 + IOBA_NEW;

	if (ret == -EPERM && testbed_is_partition())
		SKIP(return, "a window belongs to one group here");
	ASSERT_EQ(0, ret);
	ASSERT_LINKED_BOTH(self);
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(ALL, dma_reach(&self->bed->dma[2], at, mem, 0, NULL));

	/* Both have the same window, so one link is left for it. */
	EXPECT_EQ(0, del_other(&self->l));
	EXPECT_EQ(0, put(&self->l, IOBA_OLD, PAGE_OLD | TCE_RW));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_OLD, PAGE_OLD));
}

/*
 * Two groups of one container. User space links only the first, as a monitor
 * does that links a window for the groups that it has by then, and takes both
 * away and back, one after the other, while the window stays. A device gets no link
 * that its user has not made, see iommufd_link.
 */
TEST_F(link, taken_and_returned)
{
	void *mem = kvm_ppc_mem(&self->l.vm, PAGE_OLD);
	int ret;

	if (self->l.nested)
		SKIP(return, "about containers");
	ret = linked_join(&self->l);
	if (ret == -EPERM && testbed_is_partition())
		SKIP(return, "a window belongs to one group here");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, add_other(&self->l));
	ASSERT_EQ(0, link_table(self));

	ASSERT_EQ(0, linked_del(&self->l));
	EXPECT_EQ(0, put(&self->l, IOBA_OLD, PAGE_OLD | TCE_RW));
	EXPECT_EQ(ALL, dma_reach(&self->bed->dma[2],
				 self->l.start32 + IOBA_OLD, mem, 0, NULL));
	ASSERT_EQ(0, linked_add(&self->l));

	ASSERT_EQ(0, del_other(&self->l));
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_NEW, PAGE_NEW));

	/* The second holds nothing any more, and the first is the last one. */
	EXPECT_EQ(0, linked_leave_other(&self->l));
	ASSERT_EQ(0, linked_del(&self->l));
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, 0));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_NEW, PAGE_NEW));
}

/* Two groups on one table, a window each: what is written is in both */
TEST_F(link, two_windows)
{
	const __u64 at = self->l.start32 + IOBA_NEW;
	__be64 *list = kvm_ppc_mem(&self->l.vm, LIST);
	void *mem = kvm_ppc_mem(&self->l.vm, PAGE_NEW);

	linked_other(&self->l);
#define reach_both()							\
	(reach(&self->l, IOBA_NEW, PAGE_NEW) |				\
	 dma_reach(&self->bed->dma[2], at, mem, 0, NULL) << 8)

	ASSERT_LINKED_BOTH(self);
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL | ALL << 8, reach_both());

	/* A list that takes the page away, and one that gives it back */
	list[0] = htobe64(PAGE_OLD | TCE_RW);
	list[1] = 0;
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE_INDIRECT, LIOBN,
				   self->l.start32 + IOBA_OLD, LIST, 2, NULL));
	EXPECT_EQ(0, reach_both());
	list[1] = htobe64(PAGE_NEW | TCE_RW);
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_PUT_TCE_INDIRECT, LIOBN,
				   self->l.start32 + IOBA_OLD, LIST, 2, NULL));
	EXPECT_EQ(ALL | ALL << 8, reach_both());

	/* What leaves takes its window's link along, and no other */
	EXPECT_EQ(0, linked_del(&self->l));
	EXPECT_EQ(0, kvm_ppc_hcall(self->l.vcpu, H_STUFF_TCE, LIOBN,
				   self->l.start32 + IOBA_OLD, 0, 2, NULL));
	EXPECT_EQ(ALL, reach_both());
}

/* The group's container stays while the link lasts. */
TEST_F(link, unset_container)
{
	struct kvm_ppc_spin s;

	if (self->l.nested)
		SKIP(return, "about containers");
	ASSERT_EQ(0, link_table(self));
	testbed_close_device(self->bed, 0);
	spin(&self->l, &s);
	EXPECT_EQ(-EBUSY, __vfio_group_unset_container(self->bed->group[0]));
	EXPECT_EQ(0, __kvm_ppc_group_del(self->l.kvm_vfio,
					 self->bed->group[0]));
	EXPECT_EQ(0, __vfio_group_unset_container(self->bed->group[0]));
	EXPECT_EQ(0, kvm_ppc_spin_stop(&s));
}

/* Files other than the group's: the link is what holds it. */
TEST_F(link, only_owned)
{
	int group, table;

	if (self->l.nested)
		SKIP(return, "about containers");
	/* No container at all; pages as large as those of the host's window */
	table = kvm_ppc_table(&self->l.vm, 2, 16, self->l.start32 >> 16, TCES);
	testbed_close_device(self->bed, 0);
	ASSERT_EQ(0, __kvm_ppc_group_del(self->l.kvm_vfio,
					 self->bed->group[0]));
	ASSERT_EQ(0, __vfio_group_unset_container(self->bed->group[0]));
	ASSERT_EQ(0, __kvm_ppc_group_add(self->l.kvm_vfio,
					 self->bed->group[0]));
	EXPECT_EQ(-EINVAL, __kvm_ppc_link(self->l.kvm_vfio,
					  self->bed->group[0], table));

	/* A container without IOMMU */
	group = vfio_group_open(self->bed->iommu_group[1]);
	vfio_close(&self->bed->container);
	self->bed->container = vfio_container_open();
	ASSERT_EQ(0, __vfio_group_set_container(group, self->bed->container));
	ASSERT_EQ(0, __kvm_ppc_group_add(self->l.kvm_vfio, group));
	EXPECT_EQ(-EINVAL, __kvm_ppc_link(self->l.kvm_vfio, group, table));
	EXPECT_EQ(0, __kvm_ppc_group_del(self->l.kvm_vfio, group));
	close(group);
	close(table);
}

/* Never linked, removed all the same */
TEST_F(link, del_without_link)
{
	EXPECT_EQ(0, linked_del(&self->l));
	EXPECT_EQ(-ENOENT, linked_del(&self->l));
}

/*
 * Ways to end a link. All begin with a page mapped and a vCPU that makes
 * hypercalls, and end with what the guest can still do.
 */

#define GUEST_REACHES_NOTHING(self)					\
	do {								\
		put(&(self)->l, IOBA_NEW, PAGE_NEW | TCE_RW);		\
		EXPECT_EQ(0, reach(&(self)->l, IOBA_NEW, PAGE_NEW));	\
	} while (0)

FIXTURE(end) {
	struct linked l;
	struct testbed *bed;
	int table;
	struct kvm_ppc_spin s;
	bool spins;
};

FIXTURE_SETUP(end)
{
	const char *lacking;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	self->table = -1;
	self->bed = &self->l.bed;
	self->l.nested = program.nested;
	lacking = linked_find(&self->l);
	if (lacking)
		SKIP(return, "%s", lacking);
	linked_open(&self->l, false, MEM_SIZE);
	self->table = linked_table(&self->l, LIOBN, 12, self->l.start32, TCES);
	ASSERT_EQ(0, put(&self->l, IOBA_OLD, PAGE_OLD | TCE_RW));
	ASSERT_EQ(ALL, reach(&self->l, IOBA_OLD, PAGE_OLD));
	spin(&self->l, &self->s);
	self->spins = true;
}

FIXTURE_TEARDOWN(end)
{
	if (self->spins)
		EXPECT_EQ(0, kvm_ppc_spin_stop(&self->s));
	vfio_close(&self->table);
	linked_close(&self->l);
}

#define NOTHING_IN_NEXT_CONTAINER(self)					\
	do {								\
		linked_again(&(self)->l);				\
		EXPECT_EQ(0, reach(&(self)->l, IOBA_OLD, PAGE_OLD));	\
		GUEST_REACHES_NOTHING(self);				\
		linked_spin_round(&(self)->l);				\
		EXPECT_EQ(0, reach(&(self)->l, IOBA_SPIN, PAGE_SPIN));	\
	} while (0)

TEST_F(end, group_del)
{
	EXPECT_EQ(0, linked_del(&self->l));
	GUEST_REACHES_NOTHING(self);
	NOTHING_IN_NEXT_CONTAINER(self);
}

TEST_F(end, table_close)
{
	vfio_close(&self->table);
	/* No table: user space is asked. */
	EXPECT_EQ(KVM_PPC_TO_USER, put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(0, reach(&self->l, IOBA_NEW, PAGE_NEW));
	EXPECT_EQ(0, linked_del(&self->l));
	NOTHING_IN_NEXT_CONTAINER(self);
}

TEST_F(end, vfio_device_close)
{
	vfio_close(&self->l.kvm_vfio);
	GUEST_REACHES_NOTHING(self);
	NOTHING_IN_NEXT_CONTAINER(self);
}

TEST_F(end, window_removed)
{
	EXPECT_EQ(0, linked_remove_window(&self->l));
	EXPECT_EQ(0, reach(&self->l, IOBA_OLD, PAGE_OLD));
	GUEST_REACHES_NOTHING(self);
	if (linked_make_window(&self->l)) {
		/* A partition has the default one once */
		EXPECT_TRUE(testbed_is_partition());
		return;
	}
	EXPECT_EQ(0, reach(&self->l, IOBA_OLD, PAGE_OLD));
	GUEST_REACHES_NOTHING(self);
	linked_spin_round(&self->l);
	EXPECT_EQ(0, reach(&self->l, IOBA_SPIN, PAGE_SPIN));
}

/* The link alone keeps the window and what is mapped there. */
TEST_F(end, files_close)
{
	int *files[LINKED_FILES];

	linked_files(&self->l, files);
	vfio_close(files[0]);
	EXPECT_EQ(ALL, reach(&self->l, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(0, put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW));
	EXPECT_EQ(ALL, reach(&self->l, IOBA_NEW, PAGE_NEW));
	/* The device works on while its registers are mapped */
	vfio_close(files[1]);
	EXPECT_EQ(ALL, reach(&self->l, IOBA_OLD, PAGE_OLD));
	if (!self->l.nested)
		testbed_close_device(self->bed, 0);
	EXPECT_EQ(0, kvm_ppc_spin_stop(&self->s));
	self->spins = false;
	vfio_close(&self->l.kvm_vfio);
	vfio_close(&self->table);
	linked_again(&self->l);
	EXPECT_EQ(0, reach(&self->l, IOBA_OLD, PAGE_OLD));
}

TEST_F(end, unbind)
{
	int i;

	linked_close_device(&self->l);
	for (i = 0; i < 2; i++)
		pci_unbind(self->bed->address[i]);
	put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW);
	for (i = 0; i < 2; i++)
		pci_bind(self->bed->address[i], "vfio-pci");
	NOTHING_IN_NEXT_CONTAINER(self);
}

TEST_F(end, hot_remove)
{
	int i;

	linked_close_device(&self->l);
	for (i = 0; i < 2; i++)
		pci_remove(self->bed->address[i]);
	put(&self->l, IOBA_NEW, PAGE_NEW | TCE_RW);
	/* The group goes with its last user, and comes back with a device. */
	vfio_close(&self->bed->group[0]);
	vfio_close(&self->bed->container);
	pci_rescan();
	ASSERT_TRUE(testbed_find(self->bed));
	NOTHING_IN_NEXT_CONTAINER(self);
}

/* The process that has it all dies with its vCPUs at work. */
TEST(killed)
{
	static struct linked l;
	struct kvm_ppc_spin s;
	int ready[2], status;
	char byte;
	pid_t pid;
	const char *lacking;

	transcript_begin("killed", NULL);
	l.nested = program.nested;
	lacking = linked_find(&l);
	if (lacking)
		SKIP(return, "%s", lacking);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid) {
		linked_open(&l, false, MEM_SIZE);
		linked_table(&l, LIOBN, 12, l.start32, TCES);
		put(&l, IOBA_OLD, PAGE_OLD | TCE_RW);
		spin(&l, &s);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));

	linked_open(&l, false, MEM_SIZE);
	EXPECT_EQ(0, reach(&l, IOBA_OLD, PAGE_OLD));
	EXPECT_EQ(0, reach(&l, IOBA_SPIN, PAGE_SPIN));
	linked_close(&l);
}

/* Files in any order; the group is as free afterwards as it was before. */
TEST(any_order)
{
	static struct linked l;
	int round, i, n, order[6], table, *file[6] = { NULL }, swap;
	unsigned int seed = 1;
	const char *lacking;

	transcript_begin("any_order", NULL);
	l.nested = program.nested;
	lacking = linked_find(&l);
	if (lacking)
		SKIP(return, "%s", lacking);
	for (round = 0; round < 10; round++) {
		linked_open(&l, false, MEM_SIZE);
		table = linked_table(&l, LIOBN, 12, l.start32, TCES);
		put(&l, IOBA_OLD, PAGE_OLD | TCE_RW);
		dma_device_close(l.nested ? &l.cdev.dma : &l.bed.dma[0]);
		l.bed.dma[0].bar = NULL;
		linked_files(&l, file);
		file[3] = &l.kvm_vfio;
		file[4] = &table;
		/* What is left is the VM and its vCPUs, also twice */
		for (i = 0; i < 6; i++)
			order[i] = i;
		for (n = 6; n > 1; n--) {
			i = rand_r(&seed) % n;
			swap = order[i];
			order[i] = order[n - 1];
			order[n - 1] = swap;
		}
		for (i = 0; i < 6; i++) {
			if (file[order[i]])
				vfio_close(file[order[i]]);
			else
				kvm_ppc_vm_close(&l.vm);
		}
		linked_close(&l);
	}
	linked_open(&l, false, MEM_SIZE);
	EXPECT_EQ(0, reach(&l, IOBA_OLD, PAGE_OLD));
	linked_close(&l);
}

/* Memory: what a link holds comes back when the link ends, not later. */

static struct linked leaking;

static int link_twice_over(void)
{
	int round, table;

	for (round = 0; round < 4; round++) {
		linked_open(&leaking, false, MEM_SIZE);
		table = linked_table(&leaking, LIOBN, 12, leaking.start32, TCES);
		put(&leaking, IOBA_OLD, PAGE_OLD | TCE_RW);
		if (linked_link(&leaking, table))
			return 1;
		close(table);
		linked_close(&leaking);
	}
	return 0;
}

TEST(twice_leaks_nothing)
{
	int status;
	const char *lacking;

	transcript_begin("twice_leaks_nothing", NULL);
	leaking.nested = program.nested;
	lacking = linked_find(&leaking);
	if (lacking)
		SKIP(return, "%s", lacking);
	EXPECT_EQ(0, leak_of(link_twice_over, &status));
	EXPECT_EQ(0, status);
}

int main(int argc, char **argv)
{
	linked_variant(&program, &argc, argv);
	return test_harness_run(argc, argv);
}
