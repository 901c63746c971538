// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediated devices that pin, unpin and copy, against each other and against all
 * that changes what is mapped: map and unmap, windows, registration, DMA
 * disabled, devices closed with all that they have pinned, groups of both kinds
 * that join and leave.
 *
 * As in races.c, what counts is that the kernel survives, that errors are such
 * as can be, and that nothing is left: no page pinned, no memory locked.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "../kselftest.h"
#include "lib/edu.h"
#include "lib/mediated.h"
#include "lib/memory.h"
#include "lib/vfio_pci.h"

#define SECONDS		8
#define PAGES		16
#define REGION_PAGES	8
#define ACTORS_MAX	10

static struct {
	int container;
	unsigned long memory;
	unsigned long page;
	unsigned int type;
	/* The first one stays, the other comes and goes */
	struct mediated stays, comes;
	int hardware;		/* IOMMU group, -1 for none */
	volatile bool stop;
	volatile int surprise;
	volatile unsigned long done[ACTORS_MAX];
} shared;

static unsigned int dice(unsigned int *seed, unsigned int faces)
{
	return rand_r(seed) % faces;
}

/* A page on the bus, in the default window or in the second one */
static __u64 somewhere(unsigned int *seed)
{
	__u64 start = dice(seed, 4) ? 0 : 1ULL << 59;

	return start + dice(seed, PAGES) * shared.page;
}

/* 0 or -errno of an ioctl of the container's */
static int call(unsigned long request, void *arg)
{
	return ioctl(shared.container, request, arg) < 0 ? -errno : 0;
}

static int map(unsigned int *seed)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = dice(seed, 4) ? 3 : 1,
		.vaddr = shared.memory + dice(seed, PAGES) * shared.page,
		.iova = somewhere(seed),
		.size = shared.page,
	};

	return call(VFIO_IOMMU_MAP_DMA, &map);
}

static int unmap(unsigned int *seed)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = somewhere(seed),
		.size = shared.page << dice(seed, 2),
	};

	return call(VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static int pin(unsigned int *seed)
{
	int ret = mediated_pin(&shared.stays, somewhere(seed),
			       1 + dice(seed, 2),
			       MEDIATED_DMA_READ | MEDIATED_DMA_SINGLY);

	return ret < 0 ? ret : 0;
}

static int unpin(unsigned int *seed)
{
	return mediated_unpin(&shared.stays, somewhere(seed), 1,
			      MEDIATED_DMA_SINGLY);
}

static int copy(unsigned int *seed)
{
	char buffer[32] = "";
	__u64 bus = somewhere(seed) - dice(seed, 2) * 16;

	switch (dice(seed, 4)) {
	case 0:
		return mediated_write(&shared.stays, bus, buffer, 32);
	case 1:
		return mediated_run_read(&shared.stays, bus, buffer, 32);
	case 2:
		return mediated_thread_read(&shared.stays, bus, buffer, 32);
	default:
		return mediated_read(&shared.stays, bus, buffer, 32);
	}
}

/* Joins, pins, and leaves with all that it has pinned */
static int come(unsigned int *seed)
{
	const struct mediated_dma_manners slow = { .delay_ms = 1 };
	int ret = mediated_join(&shared.comes, shared.container);

	if (ret)
		return ret;
	mediated_open(&shared.comes);
	if (dice(seed, 2))
		mediated_behave(&shared.comes, &slow);
	for (int i = 0; i < 20; i++)
		mediated_pin(&shared.comes, somewhere(seed), 1,
			     MEDIATED_DMA_READ);
	mediated_leave(&shared.comes);

	return 0;
}

/* A group with DMA of its own joins for a moment */
static int drop_in(unsigned int *seed)
{
	int group = vfio_group_open(shared.hardware);
	int ret = __vfio_group_set_container(group, shared.container);

	usleep(1000 * dice(seed, 20));
	close(group);

	return ret;
}

static int memory(unsigned int *seed)
{
	struct vfio_iommu_spapr_register_memory memory = {
		.argsz = sizeof(memory),
		.vaddr = shared.memory +
			 dice(seed, 2) * REGION_PAGES * shared.page,
		.size = REGION_PAGES * shared.page,
	};

	return call(dice(seed, 2) ? VFIO_IOMMU_SPAPR_REGISTER_MEMORY :
				    VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
		    &memory);
}

static int window(unsigned int *seed)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.page_shift = page_shift(),
		.window_size = 1 << 30,
		.levels = 1,
	};
	struct vfio_iommu_spapr_tce_remove remove = {
		.argsz = sizeof(remove),
		.start_addr = dice(seed, 2) ? 0 : 1ULL << 59,
	};

	usleep(2000);

	return dice(seed, 2) ? call(VFIO_IOMMU_SPAPR_TCE_CREATE, &create) :
			       call(VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove);
}

static int enabling(unsigned int *seed)
{
	usleep(2000);

	return call(dice(seed, 3) ? VFIO_IOMMU_ENABLE : VFIO_IOMMU_DISABLE,
		    NULL);
}

typedef int (*actor_t)(unsigned int *seed);

struct actor {
	actor_t act;
	unsigned int nr;
	pthread_t thread;
};

static bool explained(int error)
{
	switch (-error) {
	case EINVAL:
	case ENXIO:
	case ENOENT:
	case EPERM:
	case EBUSY:
	case ENOSPC:
	case EFAULT:
		return true;
	}
	return false;
}

static void *play(void *arg)
{
	struct actor *actor = arg;
	unsigned int seed = 4711 * (actor->nr + 1);

	while (!shared.stop) {
		int ret = actor->act(&seed);

		if (!ret)
			shared.done[actor->nr]++;
		else if (!explained(ret))
			shared.surprise = ret;
	}

	return NULL;
}

static void run(const actor_t *acts, unsigned int nr_acts)
{
	struct actor actor[ACTORS_MAX];
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

static void open_files(void)
{
	int ret;

	shared.container = vfio_container_open();
	ret = mediated_join(&shared.stays, shared.container);
	VFIO_REQUIRE(!ret, "join: %d", ret);
	vfio_container_set_iommu(shared.container, shared.type);
	mediated_open(&shared.stays);
}

static void close_files(void)
{
	mediated_leave(&shared.stays);
	close(shared.container);
}

/* Pins of all pages; the device has none of its own */
static int all_pins(void)
{
	int pins = 0;

	open_files();
	for (int i = 0; i < PAGES; i++)
		pins += mediated_pins_of(&shared.stays,
					 (void *)shared.memory +
					 i * shared.page);
	close_files();

	return pins;
}

static void race(const char *name, unsigned int type, const actor_t *acts,
		 unsigned int nr_acts)
{
	bool all = true;

	shared.type = type;
	open_files();
	run(acts, nr_acts);

	for (unsigned int i = 0; i < nr_acts; i++) {
		ksft_print_msg("%s: actor %u succeeded %lu times\n", name, i,
			       shared.done[i]);
		all &= shared.done[i] > 0;
	}
	ksft_test_result(all, "%s: each kind of call succeeded at times\n",
			 name);
	if (shared.surprise)
		ksft_print_msg("%s\n", strerror(-shared.surprise));
	ksft_test_result(!shared.surprise, "%s: errors are explained\n", name);

	close_files();
	ksft_test_result(!memory_locked(), "%s: no memory is left locked\n",
			 name);
	ksft_test_result(!all_pins(), "%s: no page is left pinned\n", name);
}

int main(void)
{
	static const actor_t v2[] = { map, map, unmap, pin, unpin, copy, memory,
				      window, come };
	static const actor_t v2_mixed[] = { map, unmap, pin, unpin, copy,
					    memory, come, drop_in };
	static const actor_t v1[] = { map, map, unmap, pin, unpin, copy,
				      enabling, come };
	static const actor_t v1_mixed[] = { map, unmap, pin, unpin, copy,
					    enabling, come, drop_in };
	char address[PCI_ADDRESS_LEN];

	ksft_print_header();
	if (!mediated_available())
		ksft_exit_skip("mediated_dma is not loaded\n");
	if (__pci_find(EDU_VENDOR, EDU_DEVICE, 0, address))
		ksft_exit_skip("no edu device\n");
	ksft_set_plan(16);

	pci_bind(address, "vfio-pci");
	shared.hardware = pci_iommu_group(address);
	mediated_create(&shared.stays, 0);
	mediated_create(&shared.comes, 1);
	shared.page = page_size();
	shared.memory = (unsigned long)memory_get(BASE_PAGES,
						  PAGES * shared.page,
						  PROT_READ | PROT_WRITE);
	memset((void *)shared.memory, 1, PAGES * shared.page);

	race("v2", VFIO_SPAPR_TCE_v2_IOMMU, v2, ARRAY_SIZE(v2));
	race("v2 mixed", VFIO_SPAPR_TCE_v2_IOMMU, v2_mixed,
	     ARRAY_SIZE(v2_mixed));
	race("v1", VFIO_SPAPR_TCE_IOMMU, v1, ARRAY_SIZE(v1));
	race("v1 mixed", VFIO_SPAPR_TCE_IOMMU, v1_mixed, ARRAY_SIZE(v1_mixed));

	ksft_finished();
}
