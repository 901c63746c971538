// SPDX-License-Identifier: GPL-2.0-only
/*
 * A container's ioctls against each other (lib/actors.h): each may meet a
 * window, a registration or a whole container that another thread is about to
 * end.
 *
 * What counts is that the kernel survives (a splat fails the test), that memory
 * which is never mapped can always be unregistered, and that nothing is left in
 * the end: no locked memory, no mapping that keeps memory registered, a group
 * that can be used again.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "../kselftest.h"
#include "lib/actors.h"
#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define SECONDS		6
#define REGIONS		4
#define REGION_PAGES	16
#define WINDOW_SIZE	(1ULL << 30)

/* What the threads share; calls on a closed file would be errors of the test */
static struct {
	int container;
	int spare;
	int group;
	unsigned long memory;
	unsigned long page;
} shared;

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

	return container_map(shared.container, region(dice(seed, REGIONS)),
			     somewhere(seed, size), size, 1 + dice(seed, 3));
}

static int unmap(unsigned int *seed)
{
	__u64 size = shared.page << dice(seed, 4);

	return container_unmap(shared.container, somewhere(seed, size), size);
}

static int memory(unsigned int *seed)
{
	unsigned long vaddr = region(dice(seed, REGIONS));
	unsigned long size = REGION_PAGES * shared.page;

	return dice(seed, 2) ?
	       container_register(shared.container, vaddr, size) :
	       container_unregister(shared.container, vaddr, size);
}

/* With TCEs of the kernel's page size, the largest that all memory is good for */
static int window(unsigned int *seed)
{
	return dice(seed, 2) ?
	       container_create_window(shared.container,
				       page_shift(), WINDOW_SIZE, 1, NULL) :
	       container_remove_window(shared.container, somewhere(seed, 0));
}

/* A region after those that are mapped, in a container of its own */
static int unmapped(unsigned int *seed)
{
	unsigned long size = REGION_PAGES * shared.page;
	long ret = container_register(shared.spare, region(REGIONS), size);

	if (!ret)
		ret = container_unregister(shared.spare, region(REGIONS), size);
	/* No state of another region explains EBUSY */
	return ret ? -EPROTO : 0;
}

static int info(unsigned int *seed)
{
	struct vfio_iommu_spapr_tce_info info;

	return container_get_info(shared.container, &info);
}

static int enabling(unsigned int *seed)
{
	return dice(seed, 2) ? container_enable(shared.container) :
			       container_disable(shared.container);
}

/* Ends the container's IOMMU and begins another, under the other threads */
static int regroup(unsigned long type)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	nanosleep(&pause, NULL);
	if (ioctl(shared.group, VFIO_GROUP_UNSET_CONTAINER) ||
	    ioctl(shared.group, VFIO_GROUP_SET_CONTAINER, &shared.container))
		return -errno;

	return container_set_iommu(shared.container, type);
}

static int regroup_v1(unsigned int *seed)
{
	return regroup(VFIO_SPAPR_TCE_IOMMU);
}

static int regroup_v2(unsigned int *seed)
{
	return regroup(VFIO_SPAPR_TCE_v2_IOMMU);
}

/* Also what a container without IOMMU says */
static bool explained(int error)
{
	return actors_explained(error) || error == -ENODEV || error == -ENOTTY;
}

static void open_files(int iommu_group, unsigned int type)
{
	shared.container = vfio_container_open();
	shared.group = vfio_group_open(iommu_group);
	vfio_group_set_container(shared.group, shared.container);
	vfio_container_set_iommu(shared.container, type);
}

static void race(const char *name, int iommu_group, unsigned int type,
		 const actor_t *acts, unsigned int nr_acts)
{
	struct actors_done done;

	open_files(iommu_group, type);
	done = actors_run(acts, nr_acts, SECONDS, explained);
	actors_test(name, nr_acts, &done);

	close(shared.group);
	close(shared.container);
	ksft_test_result(!memory_locked(), "%s: no memory is left locked\n",
			 name);
}

int main(void)
{
	static const actor_t v2[] = { memory, map, unmap, window, map, info,
				      unmapped };
	static const actor_t v2_regroup[] = { memory, map, unmap, window,
					      regroup_v2 };
	static const actor_t v1[] = { enabling, map, unmap, info };
	static const actor_t v1_regroup[] = { enabling, map, unmap,
					      regroup_v1 };
	char address[PCI_ADDRESS_LEN], second[PCI_ADDRESS_LEN];
	struct vfio_pci spare;
	int iommu_group;

	ksft_print_header();
	if (dma_device_find(0, 0, address) ||
	    dma_device_find(1, 0, second))
		ksft_exit_skip("no two devices\n");
	transcript_mute(1);
	ksft_set_plan(12);

	pci_bind(address, "vfio-pci");
	iommu_group = pci_iommu_group(address);
	shared.page = page_size();
	shared.memory = (unsigned long)memory_get(BASE_PAGES, (REGIONS + 1) *
						  REGION_PAGES * shared.page,
						  PROT_READ | PROT_WRITE);

	vfio_pci_open_group(&spare, second, VFIO_SPAPR_TCE_v2_IOMMU);
	shared.spare = spare.container;
	race("v2", iommu_group, VFIO_SPAPR_TCE_v2_IOMMU, v2,
	     ARRAY_SIZE(v2));
	vfio_pci_close(&spare);
	race("v2 regrouped", iommu_group, VFIO_SPAPR_TCE_v2_IOMMU, v2_regroup,
	     ARRAY_SIZE(v2_regroup));
	race("v1", iommu_group, VFIO_SPAPR_TCE_IOMMU, v1, ARRAY_SIZE(v1));
	race("v1 regrouped", iommu_group, VFIO_SPAPR_TCE_IOMMU, v1_regroup,
	     ARRAY_SIZE(v1_regroup));

	ksft_finished();
}
