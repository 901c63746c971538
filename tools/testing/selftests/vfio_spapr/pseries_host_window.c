// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypervisor does not clear the TCEs that a partition's kernel has in a default
 * window. No user gets the group: its device would reach the host's memory.
 */
#include <errno.h>

#include "lib/dma_device.h"
#include "lib/harness.h"
#include "lib/testbed.h"
#include "lib/vfio_pci.h"

#define REFUSE	"/sys/module/refuse_tces/parameters/refuse"

FIXTURE(host_window) {
	char address[PCI_ADDRESS_LEN];
};

FIXTURE_VARIANT(host_window) {
	unsigned int iommu_type;
};

FIXTURE_VARIANT_ADD(host_window, v1) { VFIO_SPAPR_TCE_IOMMU };
FIXTURE_VARIANT_ADD(host_window, v2) { VFIO_SPAPR_TCE_v2_IOMMU };

FIXTURE_SETUP(host_window)
{
	if (!testbed_is_partition())
		SKIP(return, "not a logical partition");
	if (dma_device_find(0, 0, self->address))
		SKIP(return, "no device");
	pci_bind(self->address, "vfio-pci");
}

FIXTURE_TEARDOWN(host_window)
{
	file_write(REFUSE, "-");
}

static int take_group(const char *address, unsigned int iommu_type)
{
	int container = vfio_container_open();
	int group = vfio_group_open(pci_iommu_group(address));
	int ret = __vfio_group_set_container(group, container);

	if (!ret)
		ret = __vfio_container_set_iommu(container, iommu_type);
	vfio_close(&group);
	vfio_close(&container);
	return ret;
}

TEST_F(host_window, not_cleared)
{
	ASSERT_EQ(0, file_write(REFUSE, self->address));
	EXPECT_EQ(-EIO, take_group(self->address, variant->iommu_type));
	EXPECT_EQ(-EIO, take_group(self->address, variant->iommu_type));
	ASSERT_EQ(0, file_write(REFUSE, "-"));
	EXPECT_EQ(0, take_group(self->address, variant->iommu_type));
}

TEST_HARNESS_MAIN
