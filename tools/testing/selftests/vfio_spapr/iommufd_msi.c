// SPDX-License-Identifier: GPL-2.0
/*
 * iommufd hands out devices that cannot raise interrupts of others, and those
 * alone unless it is told otherwise (iommufd.allow_unsafe_interrupts).
 *
 * An MSI is a write. A device that has the address and the data of another's
 * makes the same write by DMA: the bridge must not take it for an interrupt.
 */
#include <errno.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define IOVA		MiB
#define PATIENCE	5000	/* ms */

struct msi {
	__u64 address;
	__u32 data;
};

FIXTURE(msi) {
	char address[2][PCI_ADDRESS_LEN];
	int iommufd;
	__u32 ioas;
	struct cdev cdev[2];
	int eventfd[2];
	struct msi msi[2];
	__u32 *memory;
};

/* Is this the emulated machine @name? The file has a list of such names. */
static bool is_emulated(const char *name)
{
	char names[256] = "";
	FILE *f = fopen("/proc/device-tree/compatible", "r");
	const char *each;
	size_t n;

	if (!f)
		return false;
	n = fread(names, 1, sizeof(names) - 1, f);
	fclose(f);
	for (each = names; each < names + n; each += strlen(each) + 1)
		if (!strcmp(each, name))
			return true;
	return false;
}

FIXTURE_SETUP(msi)
{
	int i;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	self->iommufd = -1;
	for (i = 0; i < 2; i++) {
		self->cdev[i].file = -1;
		self->eventfd[i] = -1;
		if (dma_device_find(i, DMA_NO_MEMORY, self->address[i]))
			SKIP(return, "two devices are needed");
		pci_bind(self->address[i], "vfio-pci");
	}
	if (access("/dev/vfio/devices", F_OK))
		SKIP(return, "no device files");
	if (pci_iommu_group(self->address[0]) ==
	    pci_iommu_group(self->address[1]))
		SKIP(return, "two PEs are needed");
	self->memory = memory_get(BASE_PAGES, page_size(),
				  PROT_READ | PROT_WRITE);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &self->ioas));
}

FIXTURE_TEARDOWN(msi)
{
	int i;

	for (i = 0; i < 2; i++) {
		cdev_close(&self->cdev[i]);
		vfio_close(&self->eventfd[i]);
	}
	vfio_close(&self->iommufd);
	munmap(self->memory, page_size());
}

static long bind(SELF(msi) self, int i)
{
	return cdev_open_bound(&self->cdev[i], self->address[i], self->iommufd);
}

/* QEMU's partitions do not check who sends an interrupt, so nothing says so. */
TEST_F(msi, bind)
{
	EXPECT_EQ(is_emulated("qemu,pseries") ? -EPERM : 0, bind(self, 0));
}

static __u32 host_config(int file, unsigned int offset, unsigned int len)
{
	__u32 value = 0;

	VFIO_REQUIRE(pread(file, &value, len, offset) == len, "config space");
	return le32toh(value);
}

/* What the host has put into the device's MSI capability */
static struct msi read_msi(const char *address)
{
	struct msi msi = {};
	unsigned int at;
	char path[64];
	int file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
	file = open(path, O_RDONLY | O_CLOEXEC);
	VFIO_REQUIRE(file >= 0, "config space");
	for (at = host_config(file, PCI_CAPABILITY_LIST, 1);
	     at && host_config(file, at, 1) != PCI_CAP_ID_MSI;
	     at = host_config(file, at + 1, 1))
		;
	VFIO_REQUIRE(at, "MSI");
	VFIO_REQUIRE(host_config(file, at + PCI_MSI_FLAGS, 2) &
		     PCI_MSI_FLAGS_ENABLE, "MSI is on");
	msi.address = host_config(file, at + PCI_MSI_ADDRESS_LO, 4);
	if (host_config(file, at + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT) {
		msi.address |= (__u64)host_config(file,
						  at + PCI_MSI_ADDRESS_HI,
						  4) << 32;
		msi.data = host_config(file, at + PCI_MSI_DATA_64, 2);
	} else {
		msi.data = host_config(file, at + PCI_MSI_DATA_32, 2);
	}
	close(file);
	return msi;
}

static long start(SELF(msi) self, int i)
{
	long ret = bind(self, i);

	if (!ret)
		ret = cdev_attach(&self->cdev[i], self->ioas);
	if (ret)
		return ret;
	cdev_start_dma(&self->cdev[i]);
	self->eventfd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	VFIO_REQUIRE(!__vfio_device_set_eventfds(self->cdev[i].file,
						 VFIO_PCI_MSI_IRQ_INDEX, 0, 1,
						 &self->eventfd[i]),
		     "interrupt");
	self->msi[i] = read_msi(self->address[i]);
	return 0;
}

/* Device @i makes the write that is the interrupt of device @of: did it come? */
static bool raises(SELF(msi) self, int i, int of)
{
	struct pollfd event = { .fd = self->eventfd[of], .events = POLLIN };
	const struct dma_device *dma = &self->cdev[i].dma;
	__u64 count;

	*self->memory = htole32(self->msi[of].data);
	VFIO_REQUIRE(dma_load(dma, IOVA, 0, 4), "DMA");
	dma_store(dma, self->msi[of].address, 0, 4);
	if (poll(&event, 1, PATIENCE) != 1)
		return false;
	return read(event.fd, &count, sizeof(count)) == sizeof(count);
}

TEST_F(msi, others)
{
	int i;

	ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, self->memory, IOVA,
				 page_size(), IOMMU_IOAS_MAP_READABLE));
	for (i = 0; i < 2; i++) {
		const long ret = start(self, i);

		if (ret == -EPERM)
			SKIP(return, "not handed out");
		ASSERT_EQ(0, ret);
	}
	EXPECT_TRUE(raises(self, 0, 0));
	EXPECT_TRUE(raises(self, 1, 1));
	if (is_emulated("qemu,powernv9") || is_emulated("qemu,powernv10")) {
		transcript_see("others' interrupt", "%s",
			       raises(self, 0, 1) ? "raised" : "not raised");
		SKIP(return, "QEMU's PHB4 and PHB5 do not compare PEs");
	}
	EXPECT_FALSE(raises(self, 0, 1));
	EXPECT_FALSE(raises(self, 1, 0));
	EXPECT_TRUE(raises(self, 0, 0));
	EXPECT_TRUE(raises(self, 1, 1));
}

TEST_HARNESS_MAIN
