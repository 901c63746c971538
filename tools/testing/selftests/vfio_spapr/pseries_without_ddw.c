// SPDX-License-Identifier: GPL-2.0-only
/*
 * A partition whose hypervisor makes no DMA windows has the default one alone,
 * and says so.
 */
#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/testbed.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

FIXTURE(without_ddw) {
	struct vfio_pci pci;
};

FIXTURE_SETUP(without_ddw)
{
	char address[PCI_ADDRESS_LEN];

	if (!testbed_is_partition())
		SKIP(return, "not a logical partition");
	if (dma_device_find(0, 0, address))
		SKIP(return, "no device");
	pci_bind(address, "vfio-pci");
	vfio_pci_open_group(&self->pci, address, VFIO_SPAPR_TCE_v2_IOMMU);
}

FIXTURE_TEARDOWN(without_ddw)
{
	vfio_close(&self->pci.group);
	vfio_close(&self->pci.container);
}

TEST_F(without_ddw, windows)
{
	struct vfio_iommu_spapr_tce_info info;

	ASSERT_EQ(container_get_info(self->pci.container, &info), 0);
	if (info.ddw.levels)
		SKIP(return, "the hypervisor makes windows");
	EXPECT_EQ(info.ddw.max_dynamic_windows_supported, 1);
	EXPECT_NE(info.dma32_window_size, 0);
}

TEST_HARNESS_MAIN
