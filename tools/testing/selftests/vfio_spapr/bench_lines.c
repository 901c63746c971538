// SPDX-License-Identifier: GPL-2.0
/*
 * Cache lines that processors share while they map memory for devices.
 *
 * bench_lines VCPUS
 *
 * Run it under the emulator's plugin that records cache lines
 * (tools/testing/qemu/lines.c), with one processor for each vCPU.
 *
 * Each vCPU, or thread, has a processor of its own and pages of its own. First,
 * as the operation "background", the threads only sleep and wake for a while:
 * what is shared then belongs to timers, the scheduler and RCU.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "lib/bench.h"
#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"

#define LIOBN		0x80000000ul
#define GUEST_SIZE	(128 * MiB)
#define GUEST_LIST	(64 * MiB)	/* a list of TCEs for each vCPU */
#define GUEST_DMA	(66 * MiB)	/* 4 MiB of pages for each vCPU */
#define STEP		0x1000ul
/* TCEs of a vCPU's share of a window: whole leaves, whatever their size */
#define SHARE		8192ul
#define VCPUS_MAX	8
#define CALLS		128ul
#define BACKGROUND	3	/* seconds */

static struct linked l = { .kvm_vfio = -1 };
static unsigned int nr_vcpus;

/**
 * struct thread - one of those that work side by side
 * @thread: its handle
 * @cpu: its processor, and its number among them
 * @container: for MAP_DMA
 * @start: bus address of what it maps
 * @ua: address of the memory that it maps
 * @calls: for hypercalls
 * @ret: or of what the operations returned
 */
struct thread {
	pthread_t thread;
	unsigned int cpu;
	int container;
	__u64 start;
	__u64 ua;
	struct bench_calls calls;
	long ret;
};

static struct thread threads[VCPUS_MAX];
static pthread_barrier_t barrier;

static void pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	bench_require(!sched_setaffinity(0, sizeof(set), &set), "affinity",
		      "cpu", cpu);
}

static void *call(void *arg)
{
	struct thread *t = arg;
	struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&l.vm, t->cpu);
	struct bench_calls warm = t->calls;

	pin(t->cpu);
	/* Whatever is allocated once */
	warm.n = 32;
	t->ret = bench_make_calls(vcpu, &warm, false);
	pthread_barrier_wait(&barrier);
	/* Here the recording begins */
	pthread_barrier_wait(&barrier);
	t->ret |= bench_make_calls(vcpu, &t->calls, false);
	return NULL;
}

static void *sleep_and_wake(void *arg)
{
	struct thread *t = arg;
	time_t end = time(NULL) + BACKGROUND;

	pin(t->cpu);
	t->ret = 0;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	while (time(NULL) < end)
		usleep(1000);
	return NULL;
}

static void *map(void *arg)
{
	struct thread *t = arg;
	struct vfio_iommu_type1_dma_map args = {
		.argsz = sizeof(args),
		.flags = READ_WRITE,
		.vaddr = t->ua,
		.iova = t->start,
		.size = STEP,
	};
	unsigned long i;

	pin(t->cpu);
	t->ret = ioctl(t->container, VFIO_IOMMU_MAP_DMA, &args);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (i = 1; i < CALLS; i++) {
		args.iova += STEP;
		t->ret |= ioctl(t->container, VFIO_IOMMU_MAP_DMA, &args);
	}
	return NULL;
}

/* Have @nr threads do it at once, and record that */
static void side_by_side(const char *name, void *(*work)(void *),
			 unsigned int nr)
{
	unsigned int i;

	pthread_barrier_init(&barrier, NULL, nr + 1);
	for (i = 0; i < nr; i++)
		if (pthread_create(&threads[i].thread, NULL, work,
				   &threads[i]))
			exit(1);
	pthread_barrier_wait(&barrier);
	bench_begin();
	pthread_barrier_wait(&barrier);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i].thread, NULL);
	bench_end(name, "operation", nr * CALLS);
	for (i = 0; i < nr; i++)
		bench_require(!threads[i].ret, name, "result", threads[i].ret);
	pthread_barrier_destroy(&barrier);
}

/* Hypercalls of all vCPUs for one device, or of two for a device each */
static void bench_hcalls(const char *where, unsigned int nr, bool one_device)
{
	const unsigned long tces = 16;
	char name[64];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const unsigned long liobn = LIOBN + (one_device ? 0 : i);
		const __u64 start = l.start32 + i * SHARE * STEP;
		const __u64 page = GUEST_DMA + i * 4 * MiB;

		threads[i].cpu = i;
		threads[i].calls = (struct bench_calls){
			.nr = H_PUT_TCE,
			.arg = { liobn, start, page | TCE_RW },
			.step = { STEP, STEP },
			.n = CALLS,
		};
	}
	snprintf(name, sizeof(name), "H_PUT_TCE,%s", where);
	side_by_side(name, call, nr);

	for (i = 0; i < nr; i++) {
		struct bench_calls *calls = &threads[i].calls;

		calls->nr = H_PUT_TCE_INDIRECT;
		calls->arg[2] = GUEST_LIST + i * 64 * KiB;
		calls->arg[3] = tces;
		calls->step[0] = STEP * tces;
		calls->step[1] = 0;
	}
	snprintf(name, sizeof(name), "H_PUT_TCE_INDIRECT,16,%s", where);
	side_by_side(name, call, nr);

	for (i = 0; i < nr; i++) {
		threads[i].calls.nr = H_STUFF_TCE;
		threads[i].calls.arg[2] = 0;
	}
	snprintf(name, sizeof(name), "H_STUFF_TCE,16,%s", where);
	side_by_side(name, call, nr);
}

static void fill_lists(void)
{
	unsigned int vcpu, i;

	for (vcpu = 0; vcpu < nr_vcpus; vcpu++) {
		__u64 *list = kvm_ppc_mem(&l.vm, GUEST_LIST + vcpu * 64 * KiB);

		for (i = 0; i < 16; i++)
			list[i] = __builtin_bswap64((GUEST_DMA +
				vcpu * 4 * MiB + i * STEP) | TCE_RW);
	}
}

/* The second group, in a container of its own with the guest's memory */
static int open_other(struct vfio_pci *other)
{
	long ret;

	vfio_pci_open_group(other, l.bed.address[2], VFIO_SPAPR_TCE_v2_IOMMU);
	ret = container_register(other->container,
				 (__u64)l.vm.slots[0].mem, GUEST_SIZE);
	bench_require(!ret, "other", "REGISTER_MEMORY", ret);
	container_unmap(other->container, l.start32, STEP);
	ret = __kvm_ppc_group_add(l.kvm_vfio, other->group);
	bench_require(!ret, "other", "KVM_DEV_VFIO_GROUP_ADD", ret);
	return other->container;
}

int main(int argc, char **argv)
{
	struct vfio_pci other;
	int table[2];
	long ret;

	nr_vcpus = argc > 1 ? atoi(argv[1]) : 2;
	if (nr_vcpus < 2 || nr_vcpus > VCPUS_MAX)
		return 1;
	bench_choose(NULL);
	transcript_mute(1);
	if (!testbed_find(&l.bed))
		return 1;
	linked_open(&l, false, GUEST_SIZE);
	fill_lists();
	/* The guest's code is there before several run it */
	bench_make_calls(l.vcpu, &(struct bench_calls){ .nr = 0xf004, .n = 1 },
			 false);

	for (unsigned int i = 0; i < nr_vcpus; i++)
		threads[i].cpu = i;
	side_by_side("background", sleep_and_wake, nr_vcpus);

	table[0] = linked_table(&l, LIOBN, 12, l.start32, l.size32 >> 12);
	bench_hcalls("one-device", nr_vcpus, true);

	open_other(&other);
	table[1] = kvm_ppc_table(&l.vm, LIOBN + 1, 12, l.start32 >> 12,
				 l.size32 >> 12);
	ret = __kvm_ppc_link(l.kvm_vfio, other.group, table[1]);
	bench_require(!ret, "other", "link", ret);
	bench_hcalls("a-device-each", 2, false);

	threads[0].container = l.bed.container;
	threads[1].container = other.container;
	for (unsigned int i = 0; i < 2; i++) {
		threads[i].start = l.start32;
		threads[i].ua = (__u64)l.vm.slots[0].mem + GUEST_DMA +
				i * 4 * MiB;
	}
	side_by_side("MAP_DMA,a-container-each", map, 2);

	close(table[0]);
	close(table[1]);
	__kvm_ppc_group_del(l.kvm_vfio, other.group);
	vfio_pci_close(&other);
	linked_close(&l);
	return 0;
}
