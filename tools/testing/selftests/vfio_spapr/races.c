// SPDX-License-Identifier: GPL-2.0-only
/*
 * A container's ioctls against each other.
 *
 * Threads call with valid arguments, in no order, so each call may meet a
 * window, a registration or a whole container that another thread is about to
 * end. What they return is no matter, apart from errors that no state of the
 * container explains. What counts is that the kernel survives (a splat fails
 * the test) and that nothing is left in the end: no locked memory, no mapping
 * that keeps memory registered, a group that can be used again.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "../kselftest.h"
#include "lib/edu.h"
#include "lib/memory.h"
#include "lib/vfio_pci.h"

#define SECONDS		6
#define REGIONS		4
#define REGION_PAGES	16
#define WINDOW_SHIFT	16
#define WINDOW_SIZE	(1ULL << 30)

/* What the threads share; calls on a closed file would be errors of the test */
static struct {
	int container;
	int group;
	unsigned long memory;
	unsigned long page;
	volatile bool stop;
	volatile int surprise;		/* an errno that cannot be */
	volatile unsigned long done[8];	/* calls that succeeded, by actor */
} shared;

static unsigned int dice(unsigned int *seed, unsigned int faces)
{
	return rand_r(seed) % faces;
}

/* Bus address in one of the windows, where they start on any machine */
static __u64 somewhere(unsigned int *seed, __u64 size)
{
	static const __u64 starts[] = { 0, 1ULL << 59, 0x800000000000000ULL };

	return starts[dice(seed, 3)] + dice(seed, 64) * size;
}

static unsigned long region(unsigned int i)
{
	return shared.memory + i * REGION_PAGES * shared.page;
}

static int map(unsigned int *seed)
{
	__u64 size = shared.page << dice(seed, 4);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = 1 + dice(seed, 3),
		.vaddr = region(dice(seed, REGIONS)),
		.iova = somewhere(seed, size),
		.size = size,
	};

	return ioctl(shared.container, VFIO_IOMMU_MAP_DMA, &map);
}

static int unmap(unsigned int *seed)
{
	__u64 size = shared.page << dice(seed, 4);
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = somewhere(seed, size),
		.size = size,
	};

	return ioctl(shared.container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static int memory(unsigned int *seed)
{
	struct vfio_iommu_spapr_register_memory memory = {
		.argsz = sizeof(memory),
		.vaddr = region(dice(seed, REGIONS)),
		.size = REGION_PAGES * shared.page,
	};

	return ioctl(shared.container, dice(seed, 2) ?
		     VFIO_IOMMU_SPAPR_REGISTER_MEMORY :
		     VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &memory);
}

static int window(unsigned int *seed)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.page_shift = WINDOW_SHIFT,
		.window_size = WINDOW_SIZE,
		.levels = 1,
	};
	struct vfio_iommu_spapr_tce_remove remove = {
		.argsz = sizeof(remove),
		.start_addr = somewhere(seed, 0),
	};

	return dice(seed, 2) ?
	       ioctl(shared.container, VFIO_IOMMU_SPAPR_TCE_CREATE, &create) :
	       ioctl(shared.container, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove);
}

static int info(unsigned int *seed)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };

	return ioctl(shared.container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);
}

static int enabling(unsigned int *seed)
{
	return ioctl(shared.container, dice(seed, 2) ? VFIO_IOMMU_ENABLE :
						       VFIO_IOMMU_DISABLE);
}

/* Ends the container's IOMMU and begins another, under the other threads */
static int regroup(unsigned int type)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	nanosleep(&pause, NULL);
	if (ioctl(shared.group, VFIO_GROUP_UNSET_CONTAINER) ||
	    ioctl(shared.group, VFIO_GROUP_SET_CONTAINER, &shared.container))
		return -1;

	return ioctl(shared.container, VFIO_SET_IOMMU, type);
}

static int regroup_v1(unsigned int *seed)
{
	return regroup(VFIO_SPAPR_TCE_IOMMU);
}

static int regroup_v2(unsigned int *seed)
{
	return regroup(VFIO_SPAPR_TCE_v2_IOMMU);
}

typedef int (*actor_t)(unsigned int *seed);

struct actor {
	actor_t act;
	unsigned int nr;
	pthread_t thread;
};

/* EINVAL also comes from a container that has no IOMMU at the moment */
static bool explained(int error)
{
	switch (error) {
	case EINVAL:
	case ENXIO:
	case ENOENT:
	case EPERM:
	case EBUSY:
	case ENOSPC:
	case ENODEV:
	case EFAULT:
	case ENOTTY:
		return true;
	}
	return false;
}

static void *play(void *arg)
{
	struct actor *actor = arg;
	unsigned int seed = 4711 * (actor->nr + 1);

	while (!shared.stop) {
		if (!actor->act(&seed))
			shared.done[actor->nr]++;
		else if (!explained(errno))
			shared.surprise = errno;
	}

	return NULL;
}

static void run(actor_t *acts, unsigned int nr_acts)
{
	struct actor actor[nr_acts];
	unsigned int i;

	shared.stop = false;
	shared.surprise = 0;
	memset((void *)shared.done, 0, sizeof(shared.done));
	for (i = 0; i < nr_acts; i++) {
		actor[i] = (struct actor) { .act = acts[i], .nr = i };
		pthread_create(&actor[i].thread, NULL, play, &actor[i]);
	}
	sleep(SECONDS);
	shared.stop = true;
	for (i = 0; i < nr_acts; i++)
		pthread_join(actor[i].thread, NULL);
}

static void open_files(int iommu_group, unsigned int type)
{
	shared.container = vfio_container_open();
	shared.group = vfio_group_open(iommu_group);
	vfio_group_set_container(shared.group, shared.container);
	vfio_container_set_iommu(shared.container, type);
}

static void judge(const char *name, unsigned int nr_acts)
{
	bool all = true;

	for (unsigned int i = 0; i < nr_acts; i++) {
		ksft_print_msg("%s: actor %u succeeded %lu times\n", name, i,
			       shared.done[i]);
		all &= shared.done[i] > 0;
	}
	ksft_test_result(all, "%s: each kind of call succeeded at times\n",
			 name);
	if (shared.surprise)
		ksft_print_msg("%s\n", strerror(shared.surprise));
	ksft_test_result(!shared.surprise, "%s: errors are explained\n", name);

	close(shared.group);
	close(shared.container);
	ksft_test_result(!memory_locked(), "%s: no memory is left locked\n",
			 name);
}

static void race(const char *name, int iommu_group, unsigned int type,
		 actor_t *acts, unsigned int nr_acts)
{
	open_files(iommu_group, type);
	run(acts, nr_acts);
	judge(name, nr_acts);
}

int main(void)
{
	actor_t v2[] = { memory, map, unmap, window, map, info };
	actor_t v2_regroup[] = { memory, map, unmap, window, regroup_v2 };
	actor_t v1[] = { enabling, map, unmap, info };
	actor_t v1_regroup[] = { enabling, map, unmap, regroup_v1 };
	char address[PCI_ADDRESS_LEN];
	int iommu_group;

	ksft_print_header();
	if (__pci_find(EDU_VENDOR, EDU_DEVICE, 0, address))
		ksft_exit_skip("no edu device\n");
	ksft_set_plan(12);

	pci_bind(address, "vfio-pci");
	iommu_group = pci_iommu_group(address);
	shared.page = page_size();
	shared.memory = (unsigned long)memory_get(BASE_PAGES, REGIONS *
						  REGION_PAGES * shared.page,
						  PROT_READ | PROT_WRITE);

	race("v2", iommu_group, VFIO_SPAPR_TCE_v2_IOMMU, v2,
	     ARRAY_SIZE(v2));
	race("v2 regrouped", iommu_group, VFIO_SPAPR_TCE_v2_IOMMU, v2_regroup,
	     ARRAY_SIZE(v2_regroup));
	race("v1", iommu_group, VFIO_SPAPR_TCE_IOMMU, v1, ARRAY_SIZE(v1));
	race("v1 regrouped", iommu_group, VFIO_SPAPR_TCE_IOMMU, v1_regroup,
	     ARRAY_SIZE(v1_regroup));

	ksft_finished();
}
