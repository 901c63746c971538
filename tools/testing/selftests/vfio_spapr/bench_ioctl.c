// SPDX-License-Identifier: GPL-2.0
/*
 * What VFIO's and KVM's ioctls for TCEs cost: memory registered and given back,
 * maps of several sizes with both containers and TCEs of 4 and 64 KiB, a table
 * linked to a window, and all that a user does from a group's file to the
 * first DMA.
 *
 * A device tells whether what was counted has been done.
 *
 * bench_ioctl [OPERATION]
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/bench.h"
#include "lib/container.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define BUFFER_SIZE	(64 * MiB)
#define WINDOW_SIZE	(1 * GiB)
#define GUEST_SIZE	(16 * MiB)
#define SMALL		16UL	/* ioctls of one size, side by side */

static struct testbed bed;
static char *buffer;

static void name_map(char *name, size_t length, const char *container,
		     unsigned int shift, unsigned long size)
{
	snprintf(name, length, "MAP_DMA,%s,%luK,%lu%s", container,
		 (1UL << shift) / KiB, size < MiB ? size / KiB : size / MiB,
		 size < MiB ? "KiB" : "MiB");
}

/* @n maps of @size next to each other, and the same unmapped */
static void bench_map_of(const char *container, __u64 start,
			 unsigned int shift, unsigned long size,
			 unsigned long n)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .size = size,
	};
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = READ_WRITE, .size = size,
	};
	const char *unit = n > 1 ? "ioctl" : "TCE";
	const unsigned long units = n > 1 ? n : size >> shift;
	const __u64 last = n * size - (1UL << shift);
	char name[64] = "UN", *map_name = name + 2;
	unsigned int reach;
	unsigned long i;
	long ret;

	name_map(map_name, sizeof(name) - 2, container, shift, size);
	if (!bench_wanted(name) && !bench_wanted(map_name))
		return;

	for (unsigned int round = 0; round < BENCH_ROUNDS; round++) {
		if (bench_wanted(map_name))
			bench_begin();
		for (i = 0, ret = 0; i < n; i++) {
			map.vaddr = (__u64)buffer + i * size;
			map.iova = start + i * size;
			ret |= ioctl(bed.container, VFIO_IOMMU_MAP_DMA, &map);
		}
		if (bench_wanted(map_name))
			bench_end(map_name, unit, units);
		bench_require(!ret, map_name, "ioctl", ret);
		if (!round) {
			reach = dma_reach(&bed.dma[0], start + last,
					  buffer + last, 0, NULL);
			bench_require(reach & DMA_WRITES, map_name,
				      "reach of the device", reach);
		}

		if (bench_wanted(name))
			bench_begin();
		for (i = 0, ret = 0; i < n; i++) {
			unmap.iova = start + i * size;
			ret |= ioctl(bed.container, VFIO_IOMMU_UNMAP_DMA,
				     &unmap);
			unmap.size = size;
		}
		if (bench_wanted(name))
			bench_end(name, unit, units);
		bench_require(!ret, name, "ioctl", ret);
		if (!round) {
			reach = dma_reach(&bed.dma[0], start + last,
					  buffer + last, 0, NULL);
			bench_require(!(reach & DMA_WRITES), name,
				      "reach of the device", reach);
		}
	}
}

static void bench_map(const char *container, __u64 start, unsigned int shift)
{
	if (shift == 12)
		bench_map_of(container, start, shift, 4 * KiB, SMALL);
	bench_map_of(container, start, shift, 64 * KiB, SMALL);
	bench_map_of(container, start, shift, 1 * MiB, SMALL);
	bench_map_of(container, start, shift, 64 * MiB, 1);
}

static void bench_register(void)
{
	const char *name = "REGISTER_MEMORY,64MiB";
	const char *un_name = "UNREGISTER_MEMORY,64MiB";
	const unsigned long pages = BUFFER_SIZE / page_size();
	long ret;

	if (!bench_wanted(name) && !bench_wanted(un_name))
		return;
	for (unsigned int round = 0; round < BENCH_ROUNDS; round++) {
		if (bench_wanted(name))
			bench_begin();
		ret = container_register(bed.container, (__u64)buffer,
					 BUFFER_SIZE);
		if (bench_wanted(name))
			bench_end(name, "page", pages);
		bench_require(!ret, name, "ioctl", ret);

		if (bench_wanted(un_name))
			bench_begin();
		ret = container_unregister(bed.container, (__u64)buffer,
					   BUFFER_SIZE);
		if (bench_wanted(un_name))
			bench_end(un_name, "page", pages);
		bench_require(!ret, un_name, "ioctl", ret);
	}
}

static __u64 window_start(void)
{
	struct vfio_iommu_spapr_tce_info info;
	long ret = container_get_info(bed.container, &info);

	bench_require(!ret, "container", "GET_INFO", ret);
	return info.dma32_window_start;
}

static void bench_v2(void)
{
	__u64 start, start64;
	long ret;

	testbed_open(&bed, VFIO_SPAPR_TCE_v2_IOMMU);
	testbed_open_device(&bed, 0);
	start = window_start();
	bench_register();
	ret = container_register(bed.container, (__u64)buffer, BUFFER_SIZE);
	bench_require(!ret, "v2", "REGISTER_MEMORY", ret);
	bench_map("v2", start, 12);
	ret = container_create_window(bed.container, 16, WINDOW_SIZE, 1,
				      &start64);
	bench_require(!ret, "v2", "TCE_CREATE", ret);
	bench_map("v2", start64, 16);
	testbed_close(&bed);
}

static void bench_v1(void)
{
	__u64 start;
	long ret;

	testbed_open(&bed, VFIO_SPAPR_TCE_IOMMU);
	testbed_open_device(&bed, 0);
	start = window_start();
	ret = container_enable(bed.container);
	bench_require(!ret, "v1", "ENABLE", ret);
	bench_map("v1", start, 12);
	testbed_close(&bed);
}

static void bench_link(void)
{
	static struct linked l = { .kvm_vfio = -1 };
	const char *name = "GROUP_SET_SPAPR_TCE";
	int table, ret;

	if (!bench_wanted(name))
		return;
	l.bed = bed;
	linked_open(&l, false, GUEST_SIZE);
	bench_rounds(name) {
		table = kvm_ppc_table(&l.vm, 0x80000000, 12, l.start32 >> 12,
				      l.size32 >> 12);
		bench_begin();
		ret = __kvm_ppc_link(l.kvm_vfio, l.bed.group[0], table);
		bench_end(name, "link", 1);
		bench_require(!ret, name, "link", ret);
		close(table);
	}
	linked_close(&l);
}

/* Not counted: the device is reset when it is opened, and that waits */
static void bench_first_dma(void)
{
	const char *name = "group-open-to-first-DMA";
	unsigned int reach;
	__u64 start;
	long ret;

	bench_rounds(name) {
		bench_begin();
		testbed_open(&bed, VFIO_SPAPR_TCE_v2_IOMMU);
		start = window_start();
		ret = container_register(bed.container, (__u64)buffer,
					 page_size());
		if (!ret)
			ret = container_map(bed.container, (__u64)buffer,
					    start, 4 * KiB, READ_WRITE);
		bench_end(name, "user", 1);
		bench_require(!ret, name, "map", ret);
		testbed_open_device(&bed, 0);
		reach = dma_reach(&bed.dma[0], start, buffer, 0, NULL);
		bench_require(reach & DMA_WRITES, name, "reach of the device",
			      reach);
		testbed_close(&bed);
	}
}

int main(int argc, char **argv)
{
	bench_choose(argc > 1 ? argv[1] : NULL);
	transcript_mute(1);
	if (!testbed_find(&bed))
		return 1;
	buffer = memory_get(BASE_PAGES, BUFFER_SIZE, PROT_READ | PROT_WRITE);
	memset(buffer, 1, BUFFER_SIZE);

	bench_v2();
	bench_v1();
	bench_link();
	bench_first_dma();
	return 0;
}
