// SPDX-License-Identifier: GPL-2.0
/*
 * What the TCE hypercalls cost, each with a LIOBN that feeds a device's window
 * ("linked", and "nested" where that is one of an iommufd) and with one that does
 * not. Beside them: the least that any hypercall costs, answered by the kernel and by
 * user space, and H_PUT_TCE answered by user space that maps with MAP_DMA.
 *
 * The device tells whether what was counted has been done: it reaches a page
 * that was mapped, and does not reach it when the TCE has been cleared.
 *
 * bench_hcall [OPERATION]
 */
#include <stdio.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "lib/bench.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"

#define LINKED		0x80000000ul
#define UNLINKED	0x80000001ul
#define BY_USER		0x80000002ul	/* the kernel has no table for it */
#define GUEST_SIZE	(128 * MiB)
#define GUEST_LIST	(64 * MiB)	/* a list of TCEs in guest memory */
#define GUEST_DMA	(65 * MiB)	/* pages for TCEs from here on */
#define GUEST_OTHER	(96 * MiB)	/* others */
#define STEP		0x1000ul

static struct linked l = { .kvm_vfio = -1 };

/* Enough calls that the way to the first does not matter, few for the timer */
static unsigned long calls_of(unsigned long tces)
{
	return tces <= 2 ? 32 : tces == 16 ? 16 : 4;
}

static struct bench_calls put(unsigned long liobn, unsigned long page)
{
	return (struct bench_calls){
		.nr = H_PUT_TCE,
		.arg = { liobn, l.start32, page | TCE_RW },
		.step = { STEP, STEP },
		.n = calls_of(1),
	};
}

static struct bench_calls put_none(unsigned long liobn)
{
	return (struct bench_calls){
		.nr = H_PUT_TCE,
		.arg = { liobn, l.start32 },
		.step = { STEP },
		.n = calls_of(1),
	};
}

static struct bench_calls get(unsigned long liobn)
{
	return (struct bench_calls){
		.nr = H_GET_TCE,
		.arg = { liobn, l.start32 },
		.step = { STEP },
		.n = calls_of(1),
	};
}

static struct bench_calls indirect(unsigned long liobn, unsigned long tces)
{
	return (struct bench_calls){
		.nr = H_PUT_TCE_INDIRECT,
		.arg = { liobn, l.start32, GUEST_LIST, tces },
		.step = { STEP * tces },
		.n = calls_of(tces),
	};
}

static struct bench_calls stuff(unsigned long liobn, unsigned long tces)
{
	return (struct bench_calls){
		.nr = H_STUFF_TCE,
		.arg = { liobn, l.start32, 0, tces },
		.step = { STEP * tces },
		.n = calls_of(tces),
	};
}

/* Calls, after others that leave the table as these are to find it */
static void bench_calls(const char *operation, const char *unit,
			unsigned long units, struct bench_calls calls,
			struct bench_calls before)
{
	long ret;

	bench_rounds(operation) {
		ret = bench_make_calls(l.vcpu, &before, false);
		bench_require(!ret, operation, "hypercalls before", ret);
		ret = bench_make_calls(l.vcpu, &calls, true);
		bench_counted(operation, unit, calls.n * units);
		bench_require(!ret, operation, "hypercalls", ret);
	}
}

/* Does the device reach the page at this distance from the first? */
static void check_reach(const char *operation, unsigned long liobn,
			unsigned long pages, unsigned long page, bool mapped)
{
	unsigned int reach;

	if (liobn != LINKED || !bench_wanted(operation))
		return;
	reach = linked_reach(&l, l.start32 + pages * STEP,
			     page + pages * STEP, 0, 0);
	bench_require(!!(reach & DMA_WRITES) == mapped, operation,
		      "reach of the device", reach);
}

static void bench_put(unsigned long liobn, const char *kind)
{
	const unsigned long last = calls_of(1) - 1;
	char name[64];

	snprintf(name, sizeof(name), "H_PUT_TCE,fresh,%s", kind);
	bench_calls(name, "hcall", 1, put(liobn, GUEST_DMA), put_none(liobn));
	check_reach(name, liobn, last, GUEST_DMA, true);

	snprintf(name, sizeof(name), "H_PUT_TCE,over,%s", kind);
	bench_calls(name, "hcall", 1, put(liobn, GUEST_OTHER),
		    put(liobn, GUEST_DMA));
	check_reach(name, liobn, last, GUEST_OTHER, true);

	snprintf(name, sizeof(name), "H_PUT_TCE,clear,%s", kind);
	bench_calls(name, "hcall", 1, put_none(liobn), put(liobn, GUEST_DMA));
	check_reach(name, liobn, last, GUEST_DMA, false);

	snprintf(name, sizeof(name), "H_PUT_TCE,clear-over-clear,%s", kind);
	bench_calls(name, "hcall", 1, put_none(liobn), put_none(liobn));
	check_reach(name, liobn, last, GUEST_DMA, false);

	snprintf(name, sizeof(name), "H_GET_TCE,%s", kind);
	bench_calls(name, "hcall", 1, get(liobn), put(liobn, GUEST_DMA));
}

static void bench_lists(unsigned long liobn, const char *kind,
			unsigned long tces)
{
	const unsigned long last = tces - 1;
	char name[64];

	snprintf(name, sizeof(name), "H_PUT_TCE_INDIRECT,%lu,%s", tces, kind);
	bench_calls(name, "TCE", tces, indirect(liobn, tces),
		    stuff(liobn, tces));
	check_reach(name, liobn, last, GUEST_DMA, true);

	snprintf(name, sizeof(name), "H_STUFF_TCE,%lu,%s", tces, kind);
	bench_calls(name, "TCE", tces, stuff(liobn, tces),
		    indirect(liobn, tces));
	check_reach(name, liobn, last, GUEST_DMA, false);

	snprintf(name, sizeof(name), "H_STUFF_TCE,%lu,over-clear,%s", tces,
		 kind);
	bench_calls(name, "TCE", tces, stuff(liobn, tces),
		    stuff(liobn, tces));
	check_reach(name, liobn, last, GUEST_DMA, false);
}

static void bench_table(unsigned long liobn, const char *kind)
{
	bench_put(liobn, kind);
	bench_lists(liobn, kind, 1);
	bench_lists(liobn, kind, 2);
	bench_lists(liobn, kind, 16);
	bench_lists(liobn, kind, 512);
}

/* What a monitor does with an H_PUT_TCE that it gets */
static __s64 map_by_user(const __u64 *arg, void *data)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = READ_WRITE,
		.vaddr = (__u64)l.vm.slots[0].mem + (arg[2] & ~TCE_RW),
		.iova = arg[1],
		.size = STEP,
	};

	return ioctl(l.bed.container, VFIO_IOMMU_MAP_DMA, &map);
}

static void bench_floors(void)
{
	/* An address within a TCE's page: refused before any work */
	const struct bench_calls refused = {
		.nr = H_GET_TCE,
		.arg = { UNLINKED, 1 },
		.step = { STEP },
		.n = calls_of(1),
	};
	const struct bench_calls unknown = { .nr = 0xf004, .n = calls_of(1) };
	struct bench_calls by_user = put(BY_USER, GUEST_DMA);
	const char *name = "floor,answered-at-once";

	by_user.answer = map_by_user;
	bench_rounds(name) {
		bench_make_calls(l.vcpu, &refused, true);
		bench_counted(name, "hcall", refused.n);
	}
	name = "floor,to-user-space";
	bench_calls(name, "hcall", 1, unknown, unknown);
	name = "H_PUT_TCE,by-user-space";
	bench_calls(name, "hcall", 1, by_user, by_user);
	check_reach(name, LINKED, by_user.n - 1, GUEST_DMA, true);
	container_unmap(l.bed.container, l.start32, by_user.n * STEP);
}

static void fill_list(void)
{
	__u64 *list = kvm_ppc_mem(&l.vm, GUEST_LIST);
	unsigned int i;

	for (i = 0; i < 512; i++)
		list[i] = __builtin_bswap64((GUEST_DMA + i * STEP) | TCE_RW);
}

/*
 * In a partition under QEMU an iommufd takes no device unless the kernel has been
 * booted with iommufd.allow_unsafe_interrupts=1.
 */
static void bench_nested(void)
{
	int table;

	l.nested = true;
	if (linked_find(&l))
		return;

	linked_open(&l, false, GUEST_SIZE);
	fill_list();
	table = linked_table(&l, LINKED, 12, l.start32, l.size32 >> 12);
	bench_table(LINKED, "nested");
	close(table);
	linked_close(&l);
}

int main(int argc, char **argv)
{
	int linked, unlinked;

	bench_choose(argc > 1 ? argv[1] : NULL);
	transcript_mute(1);
	if (!testbed_find(&l.bed))
		return 1;
	linked_open(&l, false, GUEST_SIZE);
	fill_list();

	unlinked = kvm_ppc_table(&l.vm, UNLINKED, 12, l.start32 >> 12,
				 l.size32 >> 12);
	bench_floors();
	linked = linked_table(&l, LINKED, 12, l.start32, l.size32 >> 12);
	bench_table(LINKED, "linked");
	bench_table(UNLINKED, "unlinked");

	close(linked);
	close(unlinked);
	linked_close(&l);
	bench_nested();
	return 0;
}
