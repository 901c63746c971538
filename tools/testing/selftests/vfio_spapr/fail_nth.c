// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation in turn fails, in each ioctl of a container (lib/fault.h).
 */
#include <errno.h>
#include <unistd.h>

#include "../kselftest.h"
#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/fault.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define PAGES		1024UL

static struct {
	int container;
	int group;
	int other_group;
	int iommu_group[2];
	char address[2][PCI_ADDRESS_LEN];
	unsigned long memory;
	unsigned long size;
	__u64 window;
} bed = { .container = -1, .group = -1, .other_group = -1 };

/* Each returns 0, or -1 with errno */

static int set_iommu(unsigned long type)
{
	return fault_result(container_set_iommu(bed.container, type));
}

static int set_v1(void)
{
	return set_iommu(VFIO_SPAPR_TCE_IOMMU);
}

static int set_v2(void)
{
	return set_iommu(VFIO_SPAPR_TCE_v2_IOMMU);
}

/* The container without IOMMU, with the group in it */
static void unset(void)
{
	vfio_group_unset_container(bed.group);
	vfio_group_set_container(bed.group, bed.container);
}

static int enable(void)
{
	return fault_result(container_enable(bed.container));
}

static void disable(void)
{
	container_disable(bed.container);
}

static int register_memory(void)
{
	return fault_result(container_register(bed.container, bed.memory,
					       bed.size));
}

static void unregister_memory(void)
{
	container_unregister(bed.container, bed.memory, bed.size);
}

static int create_window(void)
{
	int ret = container_create_window(bed.container, 16, 1ULL << 36, 2,
					  &bed.window);

	/* A partition's tables have one level */
	if (ret == -EINVAL)
		ret = container_create_window(bed.container, 16, 1ULL << 36, 1,
					      &bed.window);
	return fault_result(ret);
}

static void remove_window(void)
{
	container_remove_window(bed.container, bed.window);
}

static int map_at(__u64 iova)
{
	return fault_result(container_map(bed.container, bed.memory, iova,
					  bed.size, READ_WRITE));
}

static void unmap_at(__u64 iova)
{
	container_unmap(bed.container, iova, bed.size);
}

static int map(void)
{
	return map_at(bed.window);
}

static void unmap(void)
{
	unmap_at(bed.window);
}

/* The first map also makes the default window */
static int map_default(void)
{
	return map_at(0);
}

static void unmap_default(void)
{
	unmap_at(0);
}

static int join(void)
{
	return fault_result(__vfio_group_set_container(bed.other_group,
						       bed.container));
}

static void leave(void)
{
	vfio_group_unset_container(bed.other_group);
}

/* Where bare metal's bypass window shows all of the host's memory */
#define BYPASS		(1ULL << 59)

static unsigned int bypassed;

/* The host may have no memory for a window of its own, and go without */
static int give_back(void)
{
	vfio_group_unset_container(bed.group);
	return 0;
}

static void take_again(void)
{
	struct dma_device dma;
	int device;

	vfio_group_set_container(bed.group, bed.container);
	VFIO_REQUIRE(!set_v2(), "v2");
	device = vfio_device_open(bed.group, bed.address[0]);
	dma_device_start(&dma, device);
	bypassed += dma_reach(&dma, BYPASS |
			      memory_physical((void *)bed.memory),
			      (void *)bed.memory, 0, NULL) != 0;
	dma_device_close(&dma);
	close(device);
}

static void open_files(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		char *address = bed.address[i];

		if (dma_device_find(i, DMA_NO_MEMORY, address))
			ksft_exit_skip("two devices are needed\n");
		pci_bind(address, "vfio-pci");
		bed.iommu_group[i] = pci_iommu_group(address);
	}
	bed.container = vfio_container_open();
	bed.group = vfio_group_open(bed.iommu_group[0]);
	bed.other_group = vfio_group_open(bed.iommu_group[1]);
	vfio_group_set_container(bed.group, bed.container);

	bed.size = PAGES * page_size();
	bed.memory = (unsigned long)memory_get_present(bed.size);
}

static void test_join(void)
{
	int ret = join();

	if (ret && errno == EPERM) {
		ksft_test_result_skip("v2: a second group joins\n");
		return;
	}
	VFIO_REQUIRE(!ret, "join");
	leave();
	fault_test("v2: a second group joins", join, leave);
}

int main(void)
{
	ksft_print_header();
	fault_allow();
	/* What is written would take chances to fail, too */
	transcript_mute(1);
	open_files();
	ksft_set_plan(11);

	fault_test("v1: VFIO_SET_IOMMU", set_v1, unset);
	VFIO_REQUIRE(!set_v1(), "v1");
	fault_test("v1: VFIO_IOMMU_ENABLE", enable, disable);
	VFIO_REQUIRE(!enable(), "enable");
	/* Locked memory grows when the default window is made */
	VFIO_REQUIRE(!map_default(), "map");
	unmap_default();
	fault_test("v1: VFIO_IOMMU_MAP_DMA", map_default, unmap_default);
	unset();

	fault_test("v2: VFIO_SET_IOMMU", set_v2, unset);
	VFIO_REQUIRE(!set_v2(), "v2");
	fault_test("v2: VFIO_IOMMU_SPAPR_REGISTER_MEMORY", register_memory,
		   unregister_memory);
	VFIO_REQUIRE(!register_memory(), "register");
	VFIO_REQUIRE(!container_remove_window(bed.container, 0),
		     "remove the default window");
	fault_test("v2: VFIO_IOMMU_SPAPR_TCE_CREATE", create_window,
		   remove_window);
	VFIO_REQUIRE(!create_window(), "create");
	fault_test("v2: VFIO_IOMMU_MAP_DMA", map, unmap);
	VFIO_REQUIRE(!map(), "map");
	test_join();

	unset();
	VFIO_REQUIRE(!set_v2(), "v2");
	fault_test("the host takes the group", give_back, take_again);
	ksft_test_result(!bypassed, "no user finds a bypass window\n");

	vfio_close(&bed.group);
	vfio_close(&bed.other_group);
	vfio_close(&bed.container);
	ksft_test_result(!memory_locked(), "no memory is left locked\n");

	ksft_finished();
}
