// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mediated device with an iommufd as its container, by the ioctls of type 1:
 * it needs no IOMMU, so nothing of it depends on the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/mediated.h"
#include "lib/memory.h"
#include "lib/vfio_pci.h"

#define MEMORY_PAGES	16
#define BUS		(16 * MiB)

FIXTURE(iommufd)
{
	unsigned long page;
	char *memory;
	int container;
	struct mediated device;
	bool ready;
};

static __u64 at(SELF(iommufd) self, unsigned int number)
{
	return BUS + number * self->page;
}

static char *mem(SELF(iommufd) self, unsigned int number)
{
	return self->memory + number * self->page;
}

static long map(SELF(iommufd) self, unsigned int number,
		unsigned int pages, unsigned int flags)
{
	return container_map(self->container,
			     (unsigned long)mem(self, number),
			     at(self, number), pages * self->page, flags);
}

FIXTURE_SETUP(iommufd)
{
	if (!mediated_available())
		SKIP(return, "mediated_dma is not loaded");

	self->page = page_size();
	self->memory = memory_get_present(MEMORY_PAGES * self->page);
	mediated_create(&self->device, 0);
	self->ready = true;

	self->container = open("/dev/iommu", O_RDWR);
	ASSERT_LE(0, self->container);
	ASSERT_EQ(0, mediated_join(&self->device, self->container));
	vfio_container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU);
	mediated_open(&self->device);
}

FIXTURE_TEARDOWN(iommufd)
{
	if (!self->ready)
		return;
	mediated_leave(&self->device);
	vfio_close(&self->container);
	mediated_remove(&self->device);
}

TEST_F(iommufd, extensions)
{
	EXPECT_EQ(VFIO_API_VERSION, ioctl(self->container,
					  VFIO_GET_API_VERSION));
	EXPECT_EQ(1, container_check_extension(self->container,
					       VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, container_check_extension(self->container,
					       VFIO_SPAPR_TCE_v2_IOMMU));
}

TEST_F(iommufd, info)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	ASSERT_EQ(0, ioctl(self->container, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_TRUE(info.flags & VFIO_IOMMU_INFO_PGSIZES);
	EXPECT_TRUE(info.iova_pgsizes & self->page);
}

TEST_F(iommufd, pins)
{
	ASSERT_EQ(0, map(self, 0, 4, READ_WRITE));
	EXPECT_EQ(0, mediated_pins_of(&self->device, mem(self, 1)));

	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 1), 2,
				  MEDIATED_BOTH));
	ASSERT_EQ(2, mediated_pin(&self->device, at(self, 1), 2,
				  MEDIATED_BOTH));
	EXPECT_EQ(1, mediated_pins_of(&self->device, mem(self, 1)));
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 1), 2, 0));
	EXPECT_EQ(1, mediated_pins_of(&self->device, mem(self, 1)));
	ASSERT_EQ(0, mediated_unpin(&self->device, at(self, 1), 2, 0));
	EXPECT_EQ(0, mediated_pins_of(&self->device, mem(self, 1)));

	EXPECT_GT(0, mediated_pin(&self->device, at(self, 3), 2,
				  MEDIATED_BOTH));
	EXPECT_EQ(0, mediated_pins_of(&self->device, mem(self, 3)));
}

TEST_F(iommufd, permissions)
{
	char byte = 2;

	ASSERT_EQ(0, map(self, 0, 1, READ_ONLY));
	EXPECT_EQ(-EPERM, mediated_pin(&self->device, at(self, 0), 1,
				       MEDIATED_BOTH));
	EXPECT_EQ(1, mediated_pin(&self->device, at(self, 0), 1,
				  MEDIATED_DMA_READ));
	EXPECT_EQ(-EPERM, mediated_write(&self->device, at(self, 0), &byte, 1));
	EXPECT_EQ(0, mediated_read(&self->device, at(self, 0), &byte, 1));
	EXPECT_EQ(1, byte);
}

TEST_F(iommufd, copies)
{
	char text[] = "by way of the iommufd", buffer[sizeof(text)];
	__u64 bus = at(self, 1) - 7;

	ASSERT_EQ(0, map(self, 0, 4, READ_WRITE));
	ASSERT_EQ(0, mediated_write(&self->device, bus, text, sizeof(text)));
	EXPECT_STREQ(text, mem(self, 1) - 7);
	ASSERT_EQ(0, mediated_read(&self->device, bus, buffer, sizeof(text)));
	EXPECT_STREQ(text, buffer);

	ASSERT_EQ(2, mediated_pin(&self->device, bus, 2, MEDIATED_BOTH));
	ASSERT_EQ(0, mediated_run_write(&self->device, bus + 100, text,
					sizeof(text)));
	EXPECT_STREQ(text, mem(self, 1) + 93);
}

TEST_F(iommufd, unmap_asks)
{
	ASSERT_EQ(0, map(self, 0, 4, READ_WRITE));
	ASSERT_EQ(1, mediated_pin(&self->device, at(self, 1), 1,
				  MEDIATED_BOTH));
	ASSERT_EQ(0, container_unmap(self->container, at(self, 0),
				     4 * self->page));
	EXPECT_EQ(1, mediated_report(&self->device).asked);
	EXPECT_EQ(0, mediated_report(&self->device).ranges);
	EXPECT_EQ(0, mediated_pins_of(&self->device, mem(self, 1)));
	EXPECT_GT(0, mediated_pin(&self->device, at(self, 1), 1,
				  MEDIATED_BOTH));
}

/* A device that is open keeps its pages until it is closed */
TEST_F(iommufd, closed_while_pinned)
{
	ASSERT_EQ(0, map(self, 0, 4, READ_WRITE));
	ASSERT_EQ(3, mediated_pin(&self->device, at(self, 0), 3,
				  MEDIATED_BOTH));
	vfio_close(&self->container);
	EXPECT_EQ(1, mediated_pins_of(&self->device, mem(self, 0)));
	vfio_close(&self->device.device);
	mediated_open(&self->device);
	EXPECT_EQ(0, mediated_pins_of(&self->device, mem(self, 0)));
}

TEST_HARNESS_MAIN
