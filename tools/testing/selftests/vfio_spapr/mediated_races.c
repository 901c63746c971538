// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediated devices that pin, unpin and copy, against each other and against all
 * that changes what is mapped (lib/actors.h): map and unmap, windows,
 * registration, DMA disabled, devices closed with all that they have pinned,
 * groups of both kinds that join and leave.
 *
 * As in races.c, what counts is that the kernel survives, that errors are such
 * as can be, and that nothing is left: no page pinned, no memory locked.
 */
#include <unistd.h>
#include <linux/vfio.h>

#include "../kselftest.h"
#include "lib/actors.h"
#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/mediated.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define SECONDS		8
#define PAGES		16
#define REGION_PAGES	8

static struct {
	int container;
	unsigned long memory;
	unsigned long page;
	unsigned int type;
	/* The first one stays, the other comes and goes */
	struct mediated stays, comes;
	int hardware;		/* IOMMU group, -1 for none */
} shared;

/* A page on the bus, in the default window or in the second one */
static __u64 somewhere(unsigned int *seed)
{
	__u64 start = dice(seed, 4) ? 0 : 1ULL << 59;

	return start + dice(seed, PAGES) * shared.page;
}

static int map(unsigned int *seed)
{
	return container_map(shared.container,
			     shared.memory + dice(seed, PAGES) * shared.page,
			     somewhere(seed), shared.page,
			     dice(seed, 4) ? READ_WRITE : READ_ONLY);
}

static int unmap(unsigned int *seed)
{
	return container_unmap(shared.container, somewhere(seed),
			       shared.page << dice(seed, 2));
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
	unsigned long size = REGION_PAGES * shared.page;
	unsigned long vaddr = shared.memory + dice(seed, 2) * size;

	return dice(seed, 2) ?
	       container_register(shared.container, vaddr, size) :
	       container_unregister(shared.container, vaddr, size);
}

static int window(unsigned int *seed)
{
	usleep(2000);

	return dice(seed, 2) ?
	       container_create_window(shared.container, page_shift(), GiB, 1,
				       NULL) :
	       container_remove_window(shared.container,
				       dice(seed, 2) ? 0 : 1ULL << 59);
}

static int enabling(unsigned int *seed)
{
	usleep(2000);

	return dice(seed, 3) ? container_enable(shared.container) :
			       container_disable(shared.container);
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
	struct actors_done done;

	shared.type = type;
	open_files();
	done = actors_run(acts, nr_acts, SECONDS, actors_explained);
	actors_test(name, nr_acts, &done);

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
	if (dma_device_find(0, 0, address))
		ksft_exit_skip("no device\n");
	transcript_mute(1);
	ksft_set_plan(16);

	pci_bind(address, "vfio-pci");
	shared.hardware = pci_iommu_group(address);
	mediated_create(&shared.stays, 0);
	mediated_create(&shared.comes, 1);
	shared.page = page_size();
	shared.memory = (unsigned long)memory_get_present(PAGES * shared.page);

	race("v2", VFIO_SPAPR_TCE_v2_IOMMU, v2, ARRAY_SIZE(v2));
	race("v2 mixed", VFIO_SPAPR_TCE_v2_IOMMU, v2_mixed,
	     ARRAY_SIZE(v2_mixed));
	race("v1", VFIO_SPAPR_TCE_IOMMU, v1, ARRAY_SIZE(v1));
	race("v1 mixed", VFIO_SPAPR_TCE_IOMMU, v1_mixed, ARRAY_SIZE(v1_mixed));

	mediated_remove(&shared.comes);
	mediated_remove(&shared.stays);
	ksft_finished();
}
