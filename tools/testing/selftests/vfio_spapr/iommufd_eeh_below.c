// SPDX-License-Identifier: GPL-2.0
/*
 * A PE with another one below: the first device has a bridge for a sibling, and
 * the second one lies behind it. They are of different IOMMU groups, so the
 * user of the first may not reset the second by VFIO_DEVICE_FEATURE_EEH_PE. The
 * container's VFIO_EEH_PE_OP always could.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define IOVA		MiB
#define REACHES		(DMA_READS | DMA_WRITES)

enum { ABOVE, BELOW, DEVICES };

static const __u32 reaching[] = {
	VFIO_EEH_PE_ENABLE, VFIO_EEH_PE_RESET_HOT,
	VFIO_EEH_PE_RESET_FUNDAMENTAL, VFIO_EEH_PE_RESET_DEACTIVATE,
	VFIO_EEH_PE_CONFIGURE,
};

FIXTURE(below) {
	char address[DEVICES][PCI_ADDRESS_LEN];
	/* Two users */
	int iommufd[DEVICES];
	struct cdev cdev[DEVICES];
	void *memory;
};

FIXTURE_SETUP(below)
{
	int i;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	for (i = 0; i < DEVICES; i++) {
		self->iommufd[i] = -1;
		self->cdev[i].file = -1;
	}
	for (i = 0; i < DEVICES; i++) {
		if (dma_device_find(i, DMA_NO_MEMORY, self->address[i]))
			SKIP(return, "two devices are needed");
		pci_bind(self->address[i], "vfio-pci");
	}
	if (access("/dev/vfio/devices", F_OK))
		SKIP(return, "no device files");
	ASSERT_NE(pci_iommu_group(self->address[ABOVE]),
		  pci_iommu_group(self->address[BELOW]));
	self->memory = memory_get(BASE_PAGES, page_size(),
				  PROT_READ | PROT_WRITE);
}

FIXTURE_TEARDOWN(below)
{
	int i;

	for (i = 0; i < DEVICES; i++) {
		cdev_close(&self->cdev[i]);
		vfio_close(&self->iommufd[i]);
	}
	if (self->memory)
		munmap(self->memory, page_size());
}

static void start(SELF(below) self, int i)
{
	struct cdev *cdev = &self->cdev[i];
	__u32 ioas;

	self->iommufd[i] = iommufd_open();
	VFIO_REQUIRE(self->iommufd[i] >= 0, "iommufd");
	VFIO_REQUIRE(!iommufd_ioas_alloc(self->iommufd[i], &ioas), "IOAS");
	VFIO_REQUIRE(!iommufd_map(self->iommufd[i], ioas, self->memory, IOVA,
				  page_size(), IOAS_READ_WRITE), "map");
	VFIO_REQUIRE(!cdev_open(cdev, self->address[i]), "device file");
	VFIO_REQUIRE(!cdev_bind(cdev, self->iommufd[i]), "bind");
	VFIO_REQUIRE(!cdev_attach(cdev, ioas), "attach");
	cdev_start_dma(cdev);
}

static unsigned int reach(SELF(below) self, int i)
{
	return dma_reach(&self->cdev[i].dma, IOVA, self->memory, 0, NULL);
}

/* What would reach the other user's device is refused and does nothing. */
TEST_F(below, refused)
{
	struct cdev *cdev = self->cdev;
	unsigned int i;

	start(self, ABOVE);
	start(self, BELOW);
	for (i = 0; i < ARRAY_SIZE(reaching); i++) {
		EXPECT_EQ(-EPERM, cdev_eeh(&cdev[ABOVE], reaching[i], NULL));
		EXPECT_TRUE(dma_alive(&cdev[ABOVE].dma));
		EXPECT_TRUE(dma_alive(&cdev[BELOW].dma));
	}
	EXPECT_EQ(REACHES, reach(self, ABOVE));
	EXPECT_EQ(REACHES, reach(self, BELOW));
	/* Wrong arguments come first */
	EXPECT_EQ(-EINVAL, cdev_eeh(&cdev[ABOVE], VFIO_EEH_PE_GET_STATE, NULL));
	EXPECT_EQ(-EINVAL, cdev_eeh(&cdev[ABOVE], VFIO_EEH_PE_INJECT_ERR + 1,
				    NULL));
}

/* What concerns the PE alone works. */
TEST_F(below, own)
{
	static const __u32 ops[] = {
		VFIO_EEH_PE_DISABLE, VFIO_EEH_PE_UNFREEZE_IO,
		VFIO_EEH_PE_UNFREEZE_DMA,
	};
	struct cdev *cdev = &self->cdev[ABOVE];
	unsigned int i;

	start(self, ABOVE);
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		EXPECT_EQ(0, cdev_eeh(cdev, ops[i], NULL));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, cdev_eeh_state(cdev));
}

/* The one below has none below, and the one above does not notice. */
TEST_F(below, leaf)
{
	struct cdev *cdev = self->cdev;
	unsigned int i;

	start(self, ABOVE);
	start(self, BELOW);
	for (i = 0; i < ARRAY_SIZE(reaching); i++) {
		EXPECT_EQ(0, cdev_eeh(&cdev[BELOW], reaching[i], NULL));
		EXPECT_TRUE(dma_alive(&cdev[ABOVE].dma));
		EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
			  cdev_eeh_state(&cdev[ABOVE]));
	}
	EXPECT_EQ(REACHES, reach(self, ABOVE));
}

/* Without devices below there is no such PE. */
TEST_F(below, removed)
{
	struct cdev *cdev = &self->cdev[ABOVE];

	start(self, ABOVE);
	pci_remove(self->address[BELOW]);
	EXPECT_EQ(0, cdev_eeh(cdev, VFIO_EEH_PE_RESET_HOT, NULL));
	EXPECT_EQ(0, cdev_eeh(cdev, VFIO_EEH_PE_RESET_DEACTIVATE, NULL));
	EXPECT_EQ(0, cdev_eeh(cdev, VFIO_EEH_PE_CONFIGURE, NULL));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, cdev_eeh_state(cdev));
	ASSERT_TRUE(pci_comes_back(self->address[BELOW]));
	EXPECT_EQ(-EPERM, cdev_eeh(cdev, VFIO_EEH_PE_RESET_HOT, NULL));
}

static long container_op(int container, __u32 op)
{
	struct vfio_eeh_pe_op arg = { .argsz = sizeof(arg), .op = op };
	const long ret = ioctl(container, VFIO_EEH_PE_OP, &arg);

	return ret < 0 ? -errno : ret;
}

/* It is true that a reset reaches the PE below: the container's does. */
TEST_F(below, container)
{
	struct vfio_pci pci = { .container = -1, .group = -1, .device = -1 };
	__u16 id;

	vfio_pci_open(&pci, self->address[ABOVE], VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_EQ(0, container_op(pci.container, VFIO_EEH_PE_ENABLE));
	id = pci_vendor(self->address[BELOW]);
	EXPECT_NE(0xffff, id);
	EXPECT_EQ(0, container_op(pci.container, VFIO_EEH_PE_RESET_HOT));
	EXPECT_EQ(0xffff, pci_vendor(self->address[BELOW]));
	EXPECT_EQ(0, container_op(pci.container, VFIO_EEH_PE_RESET_DEACTIVATE));
	EXPECT_EQ(0, container_op(pci.container, VFIO_EEH_PE_CONFIGURE));
	vfio_pci_close(&pci);
	/* Nothing has brought the PE below back: a new one does */
	pci_remove(self->address[BELOW]);
	ASSERT_TRUE(pci_comes_back(self->address[BELOW]));
	EXPECT_EQ(id, pci_vendor(self->address[BELOW]));
}

TEST_HARNESS_MAIN
