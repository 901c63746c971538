// SPDX-License-Identifier: GPL-2.0
/*
 * The table of a user's DMA window is charged to the user's memory cgroup.
 *
 * On a host, where the kernel allocates it: a level when the window is created
 * and lower ones as DMA is mapped. In a partition it is the hypervisor's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

#define CGROUPS		"/tmp/cgroup"
#define CGROUP		CGROUPS "/table_memory"

/* Bytes charged to the cgroup */
static long charged(void)
{
	FILE *f = fopen(CGROUP "/memory.current", "r");
	long bytes = -1;

	VFIO_REQUIRE(f && fscanf(f, "%ld", &bytes) == 1, "memory.current");
	fclose(f);
	return bytes;
}

static bool enter_cgroup(void)
{
	mkdir(CGROUPS, 0755);
	if (mount("none", CGROUPS, "cgroup2", 0, NULL) && errno != EBUSY)
		return false;
	file_write(CGROUPS "/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	return !access(CGROUP "/memory.max", W_OK) &&
	       !file_write(CGROUP "/cgroup.procs", "0");
}

FIXTURE(table) {
	struct vfio_pci pci;
	char *memory;
};

FIXTURE_SETUP(table)
{
	char address[PCI_ADDRESS_LEN];

	if (testbed_is_partition())
		SKIP(return, "a partition's tables are the hypervisor's");
	if (dma_device_find(0, 0, address))
		SKIP(return, "no device");
	if (!enter_cgroup())
		SKIP(return, "no memory cgroups");

	self->memory = memory_get_present(MiB);
	vfio_pci_open_group(&self->pci, address, VFIO_SPAPR_TCE_v2_IOMMU);
	VFIO_REQUIRE(!container_register(self->pci.container,
					 (__u64)self->memory, MiB), "memory");
	VFIO_REQUIRE(!container_remove_window(self->pci.container, 0),
		     "default window");
}

FIXTURE_TEARDOWN(table)
{
	file_write(CGROUP "/memory.max", "max");
	vfio_pci_close(&self->pci);
	munmap(self->memory, MiB);
}

/* Eight bytes a TCE */
TEST_F(table, first_level)
{
	const long size = 4 * GiB / (4 * KiB) * 8;
	const long before = charged();
	__u64 start;

	ASSERT_EQ(container_create_window(self->pci.container, 12, 4 * GiB, 1,
					  &start), 0);
	EXPECT_GE(charged() - before, size);
	ASSERT_EQ(container_remove_window(self->pci.container, start), 0);
	EXPECT_LT(charged() - before, size / 2);
}

/*
 * Each TCE in a level of its own: 64 KiB at least for each. The cgroup counts in
 * batches of 64 pages.
 */
TEST_F(table, lower_levels)
{
	const long levels = 256 * 64 * KiB, batch = 64 * page_size();
	const __u64 size = 64 * GiB, step = size / 256;
	__u64 start, bus;
	long before;

	ASSERT_EQ(container_create_window(self->pci.container, 12, size, 2,
					  &start), 0);
	before = charged();
	for (bus = start; bus < start + size; bus += step)
		ASSERT_EQ(container_map(self->pci.container,
					(__u64)self->memory, bus, 4 * KiB,
					READ_WRITE), 0);
	EXPECT_GE(charged() - before, levels - batch);
}

TEST_F(table, limited)
{
	char limit[32];
	__u64 start;

	snprintf(limit, sizeof(limit), "%ld", charged() + 4 * (long)MiB);
	ASSERT_EQ(0, file_write(CGROUP "/memory.max", limit));
	EXPECT_EQ(container_create_window(self->pci.container, 12, 4 * GiB, 1,
					  NULL), -ENOMEM);
	/* Still alive, and served what fits */
	EXPECT_EQ(container_create_window(self->pci.container, 16, GiB, 1,
					  &start), 0);
}

TEST_HARNESS_MAIN
