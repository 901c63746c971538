// SPDX-License-Identifier: GPL-2.0
/* Three devices in two IOMMU groups, see testbed.h. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "container.h"
#include "memory.h"
#include "testbed.h"
#include "transcript.h"

#define GROUP_OF(device)	((device) == 2)

/* Behind the memory of tests, see memory.h */
#define DEVICE_PAGES	(BASE_PAGES + 0x80000000000UL)

/*
 * The addresses order the functions, not the groups: the group that has two
 * of them comes first.
 */
static bool sort_by_group(struct testbed *bed)
{
	int group[TESTBED_DEVICES], alone, i;
	char swap[PCI_ADDRESS_LEN];

	for (i = 0; i < TESTBED_DEVICES; i++)
		group[i] = pci_iommu_group(bed->address[i]);

	if (group[0] == group[1])
		alone = 2;
	else if (group[0] == group[2])
		alone = 1;
	else
		alone = 0;

	bed->iommu_group[1] = group[alone];
	memcpy(swap, bed->address[alone], sizeof(swap));
	memcpy(bed->address[alone], bed->address[2], sizeof(swap));
	memcpy(bed->address[2], swap, sizeof(swap));
	bed->iommu_group[0] = pci_iommu_group(bed->address[0]);

	return bed->iommu_group[0] == pci_iommu_group(bed->address[1]) &&
	       bed->iommu_group[0] != bed->iommu_group[1];
}

bool testbed_find_with(struct testbed *bed, unsigned int abilities)
{
	int i;

	memset(bed, 0, sizeof(*bed));
	bed->page = page_size();
	bed->container = -1;
	for (i = 0; i < TESTBED_GROUPS; i++)
		bed->group[i] = -1;
	for (i = 0; i < TESTBED_DEVICES; i++)
		bed->device[i] = -1;

	for (i = 0; i < TESTBED_DEVICES; i++)
		if (dma_device_find(i, abilities, bed->address[i]))
			return false;
	if (!sort_by_group(bed)) {
		printf("# the devices must be two in a group and one\n");
		return false;
	}
	for (i = 0; i < TESTBED_DEVICES; i++)
		pci_bind(bed->address[i], "vfio-pci");
	return true;
}

bool testbed_find(struct testbed *bed)
{
	return testbed_find_with(bed, DMA_NO_MEMORY);
}

bool testbed_can(const struct testbed *bed, unsigned int abilities)
{
	int i;

	for (i = 0; i < TESTBED_DEVICES; i++)
		if (dma_device_check(bed->address[i], abilities))
			return false;
	return true;
}

bool testbed_is_partition(void)
{
	return access("/proc/device-tree/ibm,opal", F_OK) != 0;
}

void testbed_take_memory(struct testbed *bed, size_t size)
{
	bed->memory = memory_get(BASE_PAGES, size, PROT_READ | PROT_WRITE);
}

void testbed_open_as(struct testbed *bed, int container, unsigned int type)
{
	bed->type = type;
	bed->container = container;
	bed->group[0] = vfio_group_open(bed->iommu_group[0]);
	vfio_group_set_container(bed->group[0], bed->container);
	if (type)
		vfio_container_set_iommu(bed->container, type);
}

void testbed_open(struct testbed *bed, unsigned int type)
{
	testbed_open_as(bed, vfio_container_open(), type);
}

long testbed_get_info(struct testbed *bed)
{
	long ret = container_get_info(bed->container, &bed->info);

	bed->start = bed->info.dma32_window_start;
	bed->end = bed->start + bed->info.dma32_window_size;
	return ret;
}

long testbed_start(struct testbed *bed, unsigned int type, size_t size)
{
	testbed_take_memory(bed, size);
	testbed_open(bed, type);
	return testbed_get_info(bed);
}

int testbed_join(struct testbed *bed)
{
	if (bed->group[1] < 0)
		bed->group[1] = vfio_group_open(bed->iommu_group[1]);
	return transcript_errno(__vfio_group_set_container(bed->group[1],
							   bed->container),
				"SET_CONTAINER of the second group");
}

static void map_device_memory(struct testbed *bed, void *memory, __u64 bus,
			      size_t size)
{
	const __u64 from = (__u64)memory;
	long ret = 0;

	VFIO_REQUIRE(bed->type, "a type of container");
	if (bed->type == VFIO_SPAPR_TCE_v2_IOMMU)
		ret = container_register(bed->container, from, size);
	if (!ret)
		ret = container_map(bed->container, from, bus, size,
				    READ_WRITE);
	VFIO_REQUIRE(!ret, "memory for a device: %ld", ret);
}

static void init_device(struct testbed *bed, unsigned int device)
{
	struct dma_device *dma = &bed->dma[device];
	const size_t size = dma_device_memory(dma);
	const size_t at = TESTBED_MEMORY + device * size;
	void **memory = &bed->device_memory[device];

	if (size && !*memory) {
		/* Others than the sPAPR container begin at 0 */
		VFIO_REQUIRE(bed->type == VFIO_TYPE1v2_IOMMU ||
			     !testbed_get_info(bed), "GET_INFO");
		*memory = memory_get(DEVICE_PAGES + at, size,
				     PROT_READ | PROT_WRITE);
		map_device_memory(bed, *memory, bed->start + at, size);
	}
	dma_device_init(dma, *memory, bed->start + at);
}

void testbed_open_device(struct testbed *bed, unsigned int device)
{
	int fd = vfio_device_open(bed->group[GROUP_OF(device)],
				  bed->address[device]);

	bed->device[device] = fd;
	dma_device_open(&bed->dma[device], fd);
	init_device(bed, device);
}

void testbed_close_device(struct testbed *bed, unsigned int device)
{
	dma_device_close(&bed->dma[device]);
	vfio_close(&bed->device[device]);
}

/* The container is closed, and what it had mapped is unmapped. */
static void free_device_memory(struct testbed *bed)
{
	int i;

	for (i = 0; i < TESTBED_DEVICES; i++) {
		if (bed->device_memory[i])
			munmap(bed->device_memory[i],
			       dma_device_memory(&bed->dma[i]));
		bed->device_memory[i] = NULL;
	}
}

void testbed_close(struct testbed *bed)
{
	int i;

	for (i = 0; i < TESTBED_DEVICES; i++)
		testbed_close_device(bed, i);
	for (i = 0; i < TESTBED_GROUPS; i++)
		vfio_close(&bed->group[i]);
	vfio_close(&bed->container);
	free_device_memory(bed);
}
