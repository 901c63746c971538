// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation and each copy from and to user space fails in turn, in all
 * that KVM does about LIOBN tables (lib/fault.h): tables come, are mapped and
 * filled by the guest, groups or devices join the KVM-VFIO device, are linked and
 * leave.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "../kselftest.h"
#include "lib/fault.h"
#include "lib/linked.h"
#include "lib/memory.h"

#define MEM_SIZE	(16 * MiB)
#define LIOBN		0x80000000UL
#define OTHER_LIOBN	0x80000001UL
#define TCES		(1UL << 16)

static struct linked l;
static int table = -1;
static __u64 *view;

/* Each returns 0, or -1 with errno */

static void close_table(void)
{
	if (view)
		munmap(view, TCES * sizeof(*view));
	view = NULL;
	vfio_close(&table);
}

static int create_small(void)
{
	struct kvm_create_spapr_tce args = {
		.liobn = OTHER_LIOBN,
		.window_size = 16 * MiB,
	};

	table = ioctl(l.vm.fd, KVM_CREATE_SPAPR_TCE, &args);
	return table < 0 ? -1 : 0;
}

static int create(void)
{
	table = __kvm_ppc_table(&l.vm, OTHER_LIOBN, 16, 0, TCES);
	return fault_result(table);
}

/* Closing a file must not touch the error that led to it */
static int close_after(int ret)
{
	int error = errno;

	if (ret)
		close_table();
	errno = error;
	return ret;
}

/* A page that the kernel cannot get when it is touched is asked for again */
static int create_and_map(void)
{
	if (create())
		return -1;
	view = mmap(NULL, TCES * sizeof(*view), PROT_READ | PROT_WRITE,
		    MAP_SHARED, table, 0);
	if (view == MAP_FAILED) {
		view = NULL;
		return close_after(-1);
	}
	view[TCES - 1] = TCE_RW;
	return close_after(fault_result(view[TCES - 1] == TCE_RW ? 0 : -EIO));
}

/* What the kernel has no memory for it hands to user space, as it came */
static int create_and_put(void)
{
	struct kvm_ppc_call call = {
		.nr = H_PUT_TCE,
		.arg = { OTHER_LIOBN, 0, KVM_PPC_FREE | TCE_RW },
	};
	int ret;

	if (create())
		return -1;
	ret = __kvm_ppc_calls(l.vcpu, &call, 1);
	if (!ret && call.ret != H_SUCCESS && call.ret != KVM_PPC_TO_USER)
		ret = -EIO;
	return close_after(fault_result(ret));
}

static int group_add(void)
{
	return fault_result(linked_add(&l));
}

static int group_del(void)
{
	return fault_result(linked_del(&l));
}

static void del(void)
{
	group_del();
}

static int set_table(void)
{
	return fault_result(linked_link(&l, table));
}

/* The only way to end a link and keep the table and the group */
static void unset_table(void)
{
	group_del();
	group_add();
}

static void add_linked(void)
{
	VFIO_REQUIRE(!group_add() && !set_table(), "link");
}

/* A table with an entry, which the link takes into the window */
static void make_table(void)
{
	unsigned int shift = 16;
	__s64 ret;

	table = kvm_ppc_table(&l.vm, LIOBN, shift, l.start32 >> shift,
			      l.size32 >> shift);
	ret = kvm_ppc_hcall(l.vcpu, H_PUT_TCE, LIOBN, l.start32,
			    KVM_PPC_FREE | TCE_RW, 0, NULL);
	VFIO_REQUIRE(ret == H_SUCCESS, "H_PUT_TCE: %lld", (long long)ret);
}

static bool entry_in_place(void)
{
	__u64 tce = 0;

	return kvm_ppc_hcall(l.vcpu, H_GET_TCE, LIOBN, l.start32, 0, 0,
			     &tce) == H_SUCCESS &&
	       tce == (KVM_PPC_FREE | TCE_RW);
}

int main(int argc, char **argv)
{
	const char *lacking;

	linked_variant(&l, &argc, argv);
	ksft_print_header();
	fault_allow();
	lacking = linked_find(&l);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);
	ksft_set_plan(9);
	linked_open(&l, false, MEM_SIZE);
	/* With a device that is not linked user space fills tables */
	VFIO_REQUIRE(!group_del(), "KVM_DEV_VFIO_GROUP_DEL");

	fault_test("KVM_CREATE_SPAPR_TCE", create_small, close_table);
	fault_test("KVM_CREATE_SPAPR_TCE_64", create, close_table);
	fault_test("a table is mapped", create_and_map, close_table);
	fault_test("the guest fills a table", create_and_put, close_table);

	make_table();
	fault_test("KVM_DEV_VFIO_GROUP_ADD", group_add, del);
	VFIO_REQUIRE(!group_add(), "KVM_DEV_VFIO_GROUP_ADD");
	fault_test("KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE", set_table, unset_table);
	ksft_test_result(entry_in_place(), "the guest's entry is as it was\n");
	VFIO_REQUIRE(!set_table(), "KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE");
	fault_test("KVM_DEV_VFIO_GROUP_DEL", group_del, add_linked);

	close_table();
	linked_close(&l);
	ksft_test_result(!memory_locked(), "no memory is left locked\n");

	ksft_finished();
}
