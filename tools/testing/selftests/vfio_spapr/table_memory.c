// SPDX-License-Identifier: GPL-2.0
/*
 * The table of a user's DMA window is charged to the user's memory cgroup.
 *
 * On a host, where the kernel allocates it: a level when the window is created
 * and lower ones as DMA is mapped. In a partition it is the hypervisor's.
 */
#include <errno.h>
#include <sys/mman.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

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
	if (!memory_enter_cgroup())
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
	memory_unlimit_charged();
	vfio_pci_close(&self->pci);
	munmap(self->memory, MiB);
}

/* Eight bytes a TCE */
TEST_F(table, first_level)
{
	const long size = 4 * GiB / (4 * KiB) * 8;
	const long before = memory_charged();
	__u64 start;

	ASSERT_EQ(container_create_window(self->pci.container, 12, 4 * GiB, 1,
					  &start), 0);
	EXPECT_GE(memory_charged() - before, size);
	ASSERT_EQ(container_remove_window(self->pci.container, start), 0);
	EXPECT_LT(memory_charged() - before, size / 2);
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
	before = memory_charged();
	for (bus = start; bus < start + size; bus += step)
		ASSERT_EQ(container_map(self->pci.container,
					(__u64)self->memory, bus, 4 * KiB,
					READ_WRITE), 0);
	EXPECT_GE(memory_charged() - before, levels - batch);
}

TEST_F(table, limited)
{
	__u64 start;

	memory_limit_charged(4 * MiB);
	EXPECT_EQ(container_create_window(self->pci.container, 12, 4 * GiB, 1,
					  NULL), -ENOMEM);
	/* Still alive, and served what fits */
	EXPECT_EQ(container_create_window(self->pci.container, 16, GiB, 1,
					  &start), 0);
}

TEST_HARNESS_MAIN
