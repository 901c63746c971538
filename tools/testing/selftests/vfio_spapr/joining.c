// SPDX-License-Identifier: GPL-2.0
/*
 * A device that is plugged into a group in use leaves the group's windows
 * alone, and is given them when VFIO has it.
 */
#include <string.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"

#define PAGES	4

FIXTURE(joining) {
	struct testbed bed;
};

FIXTURE_SETUP(joining)
{
	struct testbed *bed = &self->bed;

	if (!testbed_find(bed))
		SKIP(return, "no devices");
	ASSERT_EQ(0, testbed_start(bed, VFIO_SPAPR_TCE_v2_IOMMU,
				   PAGES * bed->page));
	ASSERT_EQ(0, container_register(bed->container, BASE_PAGES,
					PAGES * bed->page));
	testbed_open_device(bed, 0);
}

FIXTURE_TEARDOWN(joining)
{
	testbed_close(&self->bed);
}

/* Whether a device reaches the memory's page number @page at @bus */
static bool reaches(struct testbed *bed, unsigned int device, __u64 bus,
		    unsigned int page)
{
	return dma_reach(&bed->dma[device], bus,
			 bed->memory + page * bed->page, 0, NULL) == 3;
}

static long map(struct testbed *bed, __u64 bus, unsigned int page)
{
	return container_map(bed->container, BASE_PAGES + page * bed->page, bus,
			     bed->page, READ_WRITE);
}

/* The first device's neighbour goes and comes back. */
static void replug(struct testbed *bed)
{
	const char *address = bed->address[1];

	pci_remove(address);
	VFIO_REQUIRE(pci_comes_back(address), "%s is not there again", address);
}

TEST_F(joining, default_window)
{
	struct testbed *bed = &self->bed;

	EXPECT_EQ(0, map(bed, bed->start, 0));
	EXPECT_TRUE(reaches(bed, 0, bed->start, 0));
	replug(bed);
	EXPECT_TRUE(reaches(bed, 0, bed->start, 0));
	/* Into the same table, which is still the one that the device sees */
	EXPECT_EQ(0, map(bed, bed->start + bed->page, 1));
	EXPECT_TRUE(reaches(bed, 0, bed->start + bed->page, 1));
	EXPECT_EQ(0, container_unmap(bed->container, bed->start, bed->page));
	EXPECT_FALSE(reaches(bed, 0, bed->start, 0));

	pci_bind(bed->address[1], "vfio-pci");
	testbed_open_device(bed, 1);
	EXPECT_TRUE(reaches(bed, 1, bed->start + bed->page, 1));
	EXPECT_FALSE(reaches(bed, 1, bed->start, 0));
}

TEST_F(joining, two_windows)
{
	struct testbed *bed = &self->bed;
	__u64 second = ~0ULL;

	EXPECT_EQ(0, map(bed, bed->start, 0));
	EXPECT_EQ(0, container_create_window(bed->container, page_shift(), GiB,
					     1, &second));
	EXPECT_EQ(0, map(bed, second, 1));
	replug(bed);
	EXPECT_TRUE(reaches(bed, 0, bed->start, 0));
	EXPECT_TRUE(reaches(bed, 0, second, 1));
	EXPECT_EQ(0, map(bed, second + bed->page, 2));
	EXPECT_TRUE(reaches(bed, 0, second + bed->page, 2));
	EXPECT_EQ(0, container_remove_window(bed->container, second));
	EXPECT_TRUE(reaches(bed, 0, bed->start, 0));
}

/* Nothing has been mapped: the first window is still to be made. */
TEST_F(joining, no_window)
{
	struct testbed *bed = &self->bed;

	replug(bed);
	EXPECT_EQ(0, map(bed, bed->start, 0));
	EXPECT_TRUE(reaches(bed, 0, bed->start, 0));
}

TEST_HARNESS_MAIN
