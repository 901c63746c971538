// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on TCEs, each done a few and many times between the markers of
 * the counting plugin (tools/testing/qemu/count.c). Standard output names each
 * counted run in the order of the plugin's lines:
 *
 *	count OPERATION UNIT N
 *
 * for N units done. What one unit costs is the difference between runs of many
 * and of few, so that what surrounds them does not matter. Not a test, but it
 * stops where a result is not what it should be: what does not work costs
 * nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "lib/linked.h"
#include "lib/memory.h"

#define ROUNDS		5
#define GUEST_SIZE	(128 * MiB)
#define LINKED		0x80000000ul
#define UNLINKED	0x80000001ul
#define GUEST_LIST	(64 * MiB)	/* lists of TCEs in guest memory */
#define GUEST_DMA	(65 * MiB)	/* pages for TCEs from here on */
#define BUFFER_SIZE	(64 * MiB)
#define FEW		16
#define MANY		256

static struct linked l = { .kvm_vfio = -1 };
static const char *only;	/* the one operation to be run, or NULL */
static struct kvm_ppc_call calls[MANY];

static bool wanted(const char *operation)
{
	return !only || !strcmp(only, operation);
}

static void begin(const char *operation)
{
	if (wanted(operation))
		asm volatile("xori 26,26,0" : : : "memory");
}

/* @n units of the operation are done */
static void end(const char *operation, const char *unit, unsigned long n)
{
	if (!wanted(operation))
		return;
	asm volatile("xori 27,27,0" : : : "memory");
	printf("count %s %s %lu\n", operation, unit, n);
}

static void require(bool good, const char *operation, const char *what, long got)
{
	if (good)
		return;
	fprintf(stderr, "bench: %s: %s: %ld\n", operation, what, got);
	exit(1);
}

/* Hypercalls: what a call is, as a function of its number in the run */
typedef void (*make_call)(struct kvm_ppc_call *call, unsigned int i,
			  unsigned long liobn, unsigned long tces);

static unsigned long page_of(unsigned int i)
{
	return GUEST_DMA + (i % 512) * 0x1000ul;
}

static unsigned long ioba_of(unsigned int i, unsigned long tces)
{
	return l.start32 + (i * tces % 0x8000) * 0x1000;
}

static void call_put(struct kvm_ppc_call *c, unsigned int i,
		     unsigned long liobn, unsigned long tces)
{
	*c = (struct kvm_ppc_call) { H_PUT_TCE,
		{ liobn, ioba_of(i, 1), page_of(i) | TCE_RW } };
}

static void call_put_none(struct kvm_ppc_call *c, unsigned int i,
			  unsigned long liobn, unsigned long tces)
{
	*c = (struct kvm_ppc_call) { H_PUT_TCE, { liobn, ioba_of(i, 1), 0 } };
}

static void call_get(struct kvm_ppc_call *c, unsigned int i,
		     unsigned long liobn, unsigned long tces)
{
	*c = (struct kvm_ppc_call) { H_GET_TCE, { liobn, ioba_of(i, 1) } };
}

static void call_indirect(struct kvm_ppc_call *c, unsigned int i,
			  unsigned long liobn, unsigned long tces)
{
	*c = (struct kvm_ppc_call) { H_PUT_TCE_INDIRECT,
		{ liobn, ioba_of(i, tces), GUEST_LIST, tces } };
}

static void call_stuff(struct kvm_ppc_call *c, unsigned int i,
		       unsigned long liobn, unsigned long tces)
{
	*c = (struct kvm_ppc_call) { H_STUFF_TCE,
		{ liobn, ioba_of(i, tces), 0, tces } };
}

static void make_calls(make_call make, unsigned int n, unsigned long liobn,
		       unsigned long tces)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		make(&calls[i], i, liobn, tces);
}

static void run_calls(const char *operation, unsigned int n)
{
	unsigned int i;

	kvm_ppc_calls(l.vcpu, calls, n);
	for (i = 0; i < n; i++)
		require(calls[i].ret == H_SUCCESS, operation, "hypercall",
			calls[i].ret);
}

/* @before leaves the table as @make is to find it; NULL: as it is */
static void bench_calls(const char *operation, const char *unit,
			make_call make, make_call before, unsigned long liobn,
			unsigned long tces)
{
	static const unsigned int runs[] = { FEW, MANY };
	unsigned int round, i, n;

	if (!wanted(operation))
		return;
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 2; i++) {
			n = tces > 16 ? runs[i] / 4 : runs[i];
			if (before) {
				make_calls(before, n, liobn, tces);
				run_calls(operation, n);
			}
			make_calls(make, n, liobn, tces);
			begin(operation);
			kvm_ppc_calls(l.vcpu, calls, n);
			end(operation, unit, n * tces);
			run_calls(operation, n);
		}
	}
}

static void bench_hypercalls(unsigned long liobn, const char *kind)
{
	static const unsigned int sizes[] = { 1, 16, 512 };
	char operation[64];
	unsigned int i;

#define NAME(...) (snprintf(operation, sizeof(operation), __VA_ARGS__), operation)
	bench_calls(NAME("H_PUT_TCE,fresh,%s", kind), "hcall", call_put,
		    call_put_none, liobn, 1);
	bench_calls(NAME("H_PUT_TCE,over,%s", kind), "hcall", call_put,
		    call_put, liobn, 1);
	bench_calls(NAME("H_PUT_TCE,clear,%s", kind), "hcall", call_put_none,
		    call_put, liobn, 1);
	bench_calls(NAME("H_GET_TCE,%s", kind), "hcall", call_get, call_put,
		    liobn, 1);
	for (i = 0; i < 3; i++) {
		bench_calls(NAME("H_PUT_TCE_INDIRECT,%u,%s", sizes[i], kind),
			    "TCE", call_indirect, call_stuff, liobn, sizes[i]);
		bench_calls(NAME("H_STUFF_TCE,%u,%s", sizes[i], kind), "TCE",
			    call_stuff, call_indirect, liobn, sizes[i]);
	}
#undef NAME
}

/* The floors: answered by the kernel without any work, and by user space */
static void call_unknown(struct kvm_ppc_call *c, unsigned int i,
			 unsigned long liobn, unsigned long tces)
{
	*c = (struct kvm_ppc_call) { 0xf004, { 0 } };
}

static void call_refused(struct kvm_ppc_call *c, unsigned int i,
			 unsigned long liobn, unsigned long tces)
{
	/* An address within a TCE's page: the kernel refuses it at once */
	*c = (struct kvm_ppc_call) { H_GET_TCE, { UNLINKED, 1 } };
}

static void bench_floor(const char *operation, make_call make)
{
	static const unsigned int runs[] = { FEW, MANY };
	unsigned int round, i;

	if (!wanted(operation))
		return;
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 2; i++) {
			make_calls(make, runs[i], 0, 1);
			begin(operation);
			kvm_ppc_calls(l.vcpu, calls, runs[i]);
			end(operation, "hcall", runs[i]);
		}
	}
}

/* Maps by ioctl: as much as fits, and a sixteenth of it */
static void bench_map(const char *kind, void *buffer, unsigned long size)
{
	unsigned long sizes[2] = { size / 16, size };
	char map[32], unmap[40];
	unsigned int round, i;

	snprintf(map, sizeof(map), "MAP_DMA,%s,%luMiB", kind, size / MiB);
	snprintf(unmap, sizeof(unmap), "UN%s", map);
	if (!wanted(map) && !wanted(unmap))
		return;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 2; i++) {
			long ret;

			begin(map);
			ret = container_map(l.bed.container, (__u64)buffer,
					    l.start32, sizes[i], READ_WRITE);
			end(map, "TCE", sizes[i] / 0x1000);
			require(!ret, map, "result", ret);
			begin(unmap);
			ret = container_unmap(l.bed.container, l.start32,
					      sizes[i]);
			end(unmap, "TCE", sizes[i] / 0x1000);
			require(!ret, unmap, "result", ret);
		}
	}
}

static void bench_register(void *buffer)
{
	unsigned long sizes[2] = { BUFFER_SIZE / 16, BUFFER_SIZE };
	unsigned int round, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 2; i++) {
			long ret;

			begin("REGISTER_MEMORY");
			ret = container_register(l.bed.container, (__u64)buffer,
						 sizes[i]);
			end("REGISTER_MEMORY", "page", sizes[i] / page_size());
			require(!ret, "REGISTER_MEMORY", "result", ret);
			begin("UNREGISTER_MEMORY");
			ret = container_unregister(l.bed.container,
						   (__u64)buffer, sizes[i]);
			end("UNREGISTER_MEMORY", "page", sizes[i] / page_size());
			require(!ret, "UNREGISTER_MEMORY", "result", ret);
		}
	}
}

static void fill_list(void)
{
	__u64 *list = kvm_ppc_mem(&l.vm, GUEST_LIST);
	unsigned int i;

	for (i = 0; i < 512; i++)
		list[i] = __builtin_bswap64(page_of(i) | TCE_RW);
}

/* What was measured did what it says: the device reaches the page, then not */
static void check_dma(void)
{
	unsigned int reach;

	make_calls(call_put, 1, LINKED, 1);
	run_calls("check", 1);
	reach = linked_reach(&l, l.start32, page_of(0), 0, 0);
	require(reach & EDU_WRITES, "check", "reach of a mapped page", reach);
	make_calls(call_put_none, 1, LINKED, 1);
	run_calls("check", 1);
}

static void bench_v2(void *buffer)
{
	int linked, unlinked;

	linked_open(&l, false, GUEST_SIZE);
	linked = linked_table(&l, LINKED, 12, l.start32, l.size32 >> 12);
	unlinked = kvm_ppc_table(&l.vm, UNLINKED, 12, l.start32 >> 12,
				 l.size32 >> 12);
	fill_list();
	check_dma();

	bench_floor("floor,refused", call_refused);
	bench_floor("floor,to-user-space", call_unknown);
	bench_hypercalls(LINKED, "linked");
	bench_hypercalls(UNLINKED, "unlinked");
	close(linked);
	close(unlinked);

	bench_register(buffer);
	require(!container_register(l.bed.container, (__u64)buffer,
				    BUFFER_SIZE), "v2", "REGISTER_MEMORY", 0);
	bench_map("v2", buffer, 64 * MiB);
	bench_map("v2", buffer, 1 * MiB);
	linked_close(&l);
}

static void bench_v1(void *buffer)
{
	struct vfio_iommu_spapr_tce_info info;

	testbed_open(&l.bed, VFIO_SPAPR_TCE_IOMMU);
	require(!container_get_info(l.bed.container, &info), "v1", "GET_INFO",
		0);
	l.start32 = info.dma32_window_start;
	require(!container_enable(l.bed.container), "v1", "ENABLE", 0);
	bench_map("v1", buffer, 64 * MiB);
	testbed_close(&l.bed);
}

int main(int argc, char **argv)
{
	void *buffer = memory_get(BASE_PAGES, BUFFER_SIZE,
				  PROT_READ | PROT_WRITE);

	only = argc > 1 ? argv[1] : NULL;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!testbed_find(&l.bed))
		return 1;
	memset(buffer, 1, BUFFER_SIZE);
	bench_v2(buffer);
	bench_v1(buffer);
	puts("done");
	return 0;
}
