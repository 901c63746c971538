// SPDX-License-Identifier: GPL-2.0
/*
 * What hot operations cost as things grow: registered regions, the window, the
 * groups that one LIOBN is linked to; what a large window's removal costs; and
 * what the end of registrations costs while another container has many TCEs.
 *
 * An operation's name ends with what has grown: H_PUT_TCE,regions=1000. What a
 * machine does not have, windows of that size or more groups, is left out.
 *
 * bench_scale [OPERATION]
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* With many regions the base is slow, and its counts are large */
#define BENCH_ROUNDS	5

#include "lib/bench.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/nic.h"
#include "lib/transcript.h"

#define LIOBN		0x80000000ul
#define GUEST_SIZE	(128 * MiB)
#define GUEST_LIST	(64 * MiB)	/* a list of TCEs in guest memory */
#define GUEST_DMA	(65 * MiB)	/* pages for TCEs from here on */
#define LIST_TCES	128ul
#define CALLS		16ul
#define LIST_CALLS	1ul
#define MAP_SIZE	(1 * MiB)
#define TiB		(1024 * GiB)
#define MILLION		(1024 * 1024ul)
#define ENDS		512ul	/* registrations that end together */

static struct linked l = { .kvm_vfio = -1 };

/* The hot operations, in a window of pages of 1 << @shift at @start */
struct hot {
	__u64 start;
	unsigned int shift;
	const char *grown;
};

static void bench_calls(const char *what, const struct hot *hot,
			unsigned long tces, struct bench_calls calls,
			struct bench_calls before)
{
	char name[80];
	long ret;

	snprintf(name, sizeof(name), "%s,%s", what, hot->grown);
	bench_rounds(name) {
		bench_make_calls(l.vcpu, &before, false);
		ret = bench_make_calls(l.vcpu, &calls, true);
		bench_counted(name, tces > 1 ? "TCE" : "hcall", calls.n * tces);
		bench_require(!ret, name, "hypercalls", ret);
	}
}

static void fill_list(unsigned long step)
{
	__u64 *list = kvm_ppc_mem(&l.vm, GUEST_LIST);
	unsigned int i;

	for (i = 0; i < LIST_TCES; i++)
		list[i] = __builtin_bswap64((GUEST_DMA + i * step) | TCE_RW);
}

static void bench_hot_calls(const struct hot *hot)
{
	const unsigned long step = 1ul << hot->shift;
	const struct bench_calls put = {
		.nr = H_PUT_TCE,
		.arg = { LIOBN, hot->start, GUEST_DMA | TCE_RW },
		.step = { step, step },
		.n = CALLS,
	}, clear = {
		.nr = H_PUT_TCE,
		.arg = { LIOBN, hot->start },
		.step = { step },
		.n = CALLS,
	}, list = {
		.nr = H_PUT_TCE_INDIRECT,
		.arg = { LIOBN, hot->start, GUEST_LIST, LIST_TCES },
		.step = { step * LIST_TCES },
		.n = LIST_CALLS,
	}, stuff = {
		.nr = H_STUFF_TCE,
		.arg = { LIOBN, hot->start, 0, LIST_TCES },
		.step = { step * LIST_TCES },
		.n = LIST_CALLS,
	};

	fill_list(step);
	bench_calls("H_PUT_TCE", hot, 1, put, clear);
	bench_calls("H_PUT_TCE_INDIRECT,128", hot, LIST_TCES, list, stuff);
	bench_calls("H_STUFF_TCE,128", hot, LIST_TCES, stuff, list);
}

static void bench_map(const struct hot *hot)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = READ_WRITE,
		.vaddr = (__u64)l.vm.slots[0].mem + GUEST_DMA,
		.iova = hot->start,
		.size = MAP_SIZE,
	};
	char name[80];
	long ret;

	snprintf(name, sizeof(name), "MAP_DMA,v2,1MiB,%s", hot->grown);
	bench_rounds(name) {
		bench_begin();
		ret = ioctl(l.bed.container, VFIO_IOMMU_MAP_DMA, &map);
		bench_end(name, "TCE", MAP_SIZE >> hot->shift);
		bench_require(!ret, name, "ioctl", ret);
		container_unmap(l.bed.container, hot->start, MAP_SIZE);
	}
}

/* Regions of one page, in addition to the guest's memory */
static void bench_regions(void)
{
	static const unsigned int numbers[] = { 1, 10, 1000, 30000 };
	const unsigned long size = page_size();
	unsigned int registered = 1, i;
	struct hot hot = { .start = l.start32, .shift = 12 };
	char grown[32];
	char *pages;
	int table;

	/* A page between two of them: neighbours might become one region */
	pages = memory_get(BASE_PAGES, 2 * size * numbers[3],
			   PROT_READ | PROT_WRITE);
	table = linked_table(&l, LIOBN, 12, l.start32, l.size32 >> 12);
	hot.grown = grown;
	for (i = 0; i < 4; i++) {
		for (; registered < numbers[i]; registered++) {
			long ret = container_register(l.bed.container,
					(__u64)pages + registered * 2 * size,
					size);

			bench_require(!ret, "regions", "REGISTER_MEMORY", ret);
		}
		snprintf(grown, sizeof(grown), "regions=%u", numbers[i]);
		bench_hot_calls(&hot);
		bench_map(&hot);
	}
	close(table);
}

static unsigned int levels_of(unsigned long size)
{
	return size > 64 * GiB ? 2 : 1;
}

/* Windows of 64 KiB pages, the default one stays */
static void bench_windows(void)
{
	static const struct {
		unsigned long size;
		const char *grown;
	} windows[] = {
		{ 1 * GiB, "window=1GiB" },
		{ 64 * GiB, "window=64GiB" },
		{ 1 * TiB, "window=1TiB" },
		{ 16 * TiB, "window=16TiB" },
	};
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct hot hot = { 0, 16, windows[i].grown };
		int table;

		if (container_create_window(l.bed.container, 16,
					    windows[i].size,
					    levels_of(windows[i].size),
					    &hot.start))
			continue;
		table = linked_table(&l, LIOBN, 16, hot.start,
				     windows[i].size >> 16);
		bench_hot_calls(&hot);
		bench_map(&hot);
		close(table);
		container_remove_window(l.bed.container, hot.start);
	}
}

/* Removal of a window of 16 TiB in which so many TCEs are populated */
static void bench_removal(unsigned long tces, const char *name)
{
	const unsigned long size = GUEST_SIZE / 2, step = 64 * KiB;
	unsigned long done, n;
	__u64 start;
	long ret;

	for (unsigned int round = 0; round < 2 && bench_wanted(name); round++) {
		if (container_create_window(l.bed.container, 16, 16 * TiB, 2,
					    &start))
			return;
		for (done = 0; done < tces; done += n / step) {
			n = tces - done < size / step ?
			    (tces - done) * step : size;
			ret = container_map(l.bed.container,
					    (__u64)l.vm.slots[0].mem,
					    start + done * step, n, READ_WRITE);
			bench_require(!ret, name, "MAP_DMA", ret);
		}
		bench_begin();
		ret = container_remove_window(l.bed.container, start);
		bench_end(name, "window", 1);
		bench_require(!ret, name, "TCE_REMOVE", ret);
	}
}

static void register_ends(struct vfio_pci *other, char *pages)
{
	const unsigned long size = page_size();

	vfio_pci_open_group(other, l.bed.address[2], VFIO_SPAPR_TCE_v2_IOMMU);
	for (unsigned long i = 0; i < ENDS; i++) {
		long ret = container_register(other->container,
					      (__u64)pages + i * 2 * size,
					      size);

		bench_require(!ret, "ends", "REGISTER_MEMORY", ret);
	}
}

/* 64 Ki TCEs of 4 KiB in one container, regions of one page in another */
static void bench_ends(void)
{
	const char *unregister = "UNREGISTER_MEMORY,1page,TCEs=64Ki";
	const char *end = "close,regions=512,TCEs=64Ki";
	const unsigned long size = page_size();
	struct vfio_pci other;
	char *pages;
	long ret;

	if (!bench_wanted(unregister) && !bench_wanted(end))
		return;
	pages = memory_get(HUGE_PAGES, 2 * size * ENDS, PROT_READ | PROT_WRITE);
	for (unsigned long i = 0; i < 2; i++) {
		ret = container_map(l.bed.container,
				    (__u64)l.vm.slots[0].mem,
				    l.start32 + i * GUEST_SIZE, GUEST_SIZE,
				    READ_WRITE);
		bench_require(!ret, "ends", "MAP_DMA", ret);
	}

	for (unsigned int round = 0; round < 2; round++) {
		register_ends(&other, pages);
		if (bench_wanted(unregister))
			bench_begin();
		ret = container_unregister(other.container, (__u64)pages, size);
		if (bench_wanted(unregister))
			bench_end(unregister, "ioctl", 1);
		bench_require(!ret, unregister, "ioctl", ret);

		if (bench_wanted(end))
			bench_begin();
		vfio_pci_close(&other);
		if (bench_wanted(end))
			bench_end(end, "region", ENDS - 1);
	}

	container_unmap(l.bed.container, l.start32, 2 * GUEST_SIZE);
	munmap(pages, 2 * size * ENDS);
}

/* A group's file: in the container, or in one of its own where it must be */
static int add_group(int number, int *container)
{
	int group = vfio_group_open(number);
	struct vfio_iommu_spapr_tce_info info;
	long ret;

	*container = -1;
	if (__vfio_group_set_container(group, l.bed.container)) {
		*container = vfio_container_open();
		vfio_group_set_container(group, *container);
		vfio_container_set_iommu(*container, VFIO_SPAPR_TCE_v2_IOMMU);
		container_get_info(*container, &info);
		ret = container_register(*container,
					 (__u64)l.vm.slots[0].mem, GUEST_SIZE);
		bench_require(!ret, "groups", "REGISTER_MEMORY", ret);
		/* Makes the default window */
		container_unmap(*container, info.dma32_window_start, 0x1000);
	}
	ret = __kvm_ppc_group_add(l.kvm_vfio, group);
	bench_require(!ret, "groups", "KVM_DEV_VFIO_GROUP_ADD", ret);
	return group;
}

/* The second group of the testbed, then those of network cards */
static int next_group(unsigned int nr)
{
	char address[PCI_ADDRESS_LEN];

	if (nr == 1)
		return l.bed.iommu_group[1];
	if (__pci_find(0x8086, 0x10d3, nr - 2, address))
		return -1;
	pci_bind(address, "vfio-pci");
	return pci_iommu_group(address);
}

static void bench_groups(void)
{
	int group[4] = { -1, -1, -1, -1 }, container[4] = { -1, -1, -1, -1 };
	struct hot hot = { .start = l.start32, .shift = 12 };
	char grown[32];
	unsigned int n;
	int table = linked_table(&l, LIOBN, 12, l.start32, l.size32 >> 12);
	long ret;

	hot.grown = grown;
	for (n = 1; n <= 4; n++) {
		if (n > 1) {
			int number = next_group(n - 1);

			if (number < 0)
				break;
			group[n - 1] = add_group(number, &container[n - 1]);
			ret = __kvm_ppc_link(l.kvm_vfio, group[n - 1], table);
			bench_require(!ret, "groups", "link", ret);
		}
		snprintf(grown, sizeof(grown), "groups=%u", n);
		if (n != 3)
			bench_hot_calls(&hot);
	}

	close(table);
	for (n = 1; n < 4; n++) {
		if (group[n] >= 0)
			__kvm_ppc_group_del(l.kvm_vfio, group[n]);
		vfio_close(&group[n]);
		vfio_close(&container[n]);
	}
}

int main(int argc, char **argv)
{
	bench_choose(argc > 1 ? argv[1] : NULL);
	transcript_mute(1);
	if (!testbed_find(&l.bed))
		return 1;
	linked_open(&l, false, GUEST_SIZE);
	bench_windows();
	bench_ends();
	bench_removal(1, "TCE_REMOVE,16TiB,TCEs=1");
	bench_removal(MILLION, "TCE_REMOVE,16TiB,TCEs=1Mi");
	bench_groups();
	bench_regions();
	linked_close(&l);
	return 0;
}
