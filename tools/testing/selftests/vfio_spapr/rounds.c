// SPDX-License-Identifier: GPL-2.0
/*
 * All that a monitor does with a group, from the container to hypercalls that
 * write the device's window, a thousand times, begun and ended in another order
 * each time: nothing stays behind, neither pins nor locked memory nor any other.
 *
 * No device is opened, as each opening waits for a reset. The same with an iommufd
 * and a nested page table, which need an open device, is done less often.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest.h"
#include "lib/leak.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"

#define ROUNDS		1000
/* Each opens the devices, which resets them */
#define NESTED_ROUNDS	32
#define LIOBN		0x80000000ul
#define MEM_SIZE	(4 * MiB)
#define GUEST_PAGE	(1 * MiB)
#define TCES		16

static struct linked l;

static void begin_container(void)
{
	struct vfio_iommu_spapr_tce_info info;

	testbed_open(&l.bed, VFIO_SPAPR_TCE_v2_IOMMU);
	VFIO_REQUIRE(!container_get_info(l.bed.container, &info), "GET_INFO");
	l.start32 = info.dma32_window_start;
	l.size32 = info.dma32_window_size;
	kvm_ppc_vm_init(&l.vm, false, MEM_SIZE);
	l.vcpu = kvm_ppc_vcpu(&l.vm, 0);
	VFIO_REQUIRE(!container_register(l.bed.container,
					 (__u64)l.vm.slots[0].mem, MEM_SIZE),
		     "REGISTER_MEMORY");
	l.kvm_vfio = kvm_ppc_vfio_device(&l.vm);
	VFIO_REQUIRE(!__kvm_ppc_group_add(l.kvm_vfio, l.bed.group[0]),
		     "GROUP_ADD");
}

static void begin(void)
{
	if (l.nested)
		linked_open(&l, false, MEM_SIZE);
	else
		begin_container();
}

/* Another page table, with a second window; the guest's memory goes and comes */
static void map_nested(bool other_window)
{
	if (other_window)
		linked_window(&l, page_shift(), 64 * MiB);
	VFIO_REQUIRE(!__linked_take(&l, 0), "IOAS_UNMAP");
	VFIO_REQUIRE(!__linked_give(&l, 0, MEM_SIZE), "IOAS_MAP");
}

/* A window of the user's choice, mapped by ioctl; the default one by default */
static void map_container(bool other_window)
{
	__u64 start = l.start32;

	if (other_window) {
		container_remove_window(l.bed.container, l.start32);
		start = linked_window(&l, 16, 64 * MiB);
	}
	VFIO_REQUIRE(!container_map(l.bed.container,
				    (__u64)l.vm.slots[0].mem, start, 64 * KiB,
				    READ_WRITE), "MAP_DMA");
	VFIO_REQUIRE(!container_unmap(l.bed.container, start, 64 * KiB),
		     "UNMAP_DMA");
}

static void map(bool other_window)
{
	if (l.nested)
		map_nested(other_window);
	else
		map_container(other_window);
}

/* Hypercalls write the window, and the last TCEs stay in it. */
static int hypercalls(bool other_window)
{
	struct kvm_ppc_call calls[] = {
		{ .nr = H_PUT_TCE,
		  .arg = { LIOBN, l.start32, GUEST_PAGE | TCE_RW } },
		{ .nr = H_STUFF_TCE, .arg = { LIOBN, l.start32, 0, TCES } },
		{ .nr = H_PUT_TCE,
		  .arg = { LIOBN, l.start32 + 0x1000, GUEST_PAGE | TCE_RW } },
	};
	unsigned int i;
	int table;

	/* A container has it in the place of the default one */
	if (other_window && !l.nested)
		return kvm_ppc_table(&l.vm, LIOBN, 12, 0, TCES);
	table = linked_table(&l, LIOBN, 12, l.start32, l.size32 >> 12);
	kvm_ppc_calls(l.vcpu, calls, ARRAY_SIZE(calls));
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		VFIO_REQUIRE(!calls[i].ret, "hypercall %u: %lld", i,
			     (long long)calls[i].ret);
	return table;
}

/* Each file may be the last one that is closed. */
static void end(unsigned int order, int table)
{
	const bool vm_last = order & 8;

	if (order & 1)
		vfio_close(&table);
	if (order & 2)
		linked_del(&l);
	if (order & 4)
		linked_close_files(&l);
	vfio_close(&l.kvm_vfio);
	if (!vm_last)
		kvm_ppc_vm_close(&l.vm);
	linked_close_files(&l);
	vfio_close(&table);
	linked_close(&l);
}

static int all_rounds(void)
{
	const unsigned int rounds = l.nested ? NESTED_ROUNDS : ROUNDS;
	unsigned int round;
	int table;

	for (round = 0; round < rounds; round++) {
		begin();
		map(round & 16);
		table = hypercalls(round & 16);
		end(round, table);
		if (memory_locked())
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const long before = leak_pins();
	const char *lacking;
	int status;
	long lost;

	ksft_print_header();
	transcript_mute(1);
	linked_variant(&l, &argc, argv);
	lacking = linked_find(&l);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);

	ksft_set_plan(3);
	lost = leak_of(all_rounds, &status);
	ksft_test_result(!status, "all rounds\n");
	if (lost)
		ksft_print_msg("%ld KiB did not come back\n", lost);
	ksft_test_result(!lost, "memory comes back\n");
	ksft_test_result(leak_pins() == before, "no page stays pinned\n");
	ksft_finished();
}
