// SPDX-License-Identifier: GPL-2.0
/*
 * The devices that other tests rely on: they copy the bytes that they are asked
 * to copy and no others, and send the interrupts that they are asked for. See
 * lib/dma_device.h.
 */
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define SIZE		(64 * KiB)	/* for the source, and for the rest */
#define FREE		0xee
#define IOMMU_PAGE	(4 * KiB)
#define VECTORS		3
#define PATIENCE	5000		/* ms */

FIXTURE(device) {
	char address[PCI_ADDRESS_LEN];
	struct vfio_pci pci;
	struct dma_device dma;
	unsigned char *memory;	/* at @bus: source, destination, the driver's */
	__u64 bus;
	int eventfd[VECTORS];
};

FIXTURE_SETUP(device)
{
	struct vfio_iommu_spapr_tce_info info;
	int c, i;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (dma_device_find(0, 0, self->address))
		SKIP(return, "no device");
	self->memory = memory_get_present(3 * SIZE);
	vfio_pci_open(&self->pci, self->address, VFIO_SPAPR_TCE_v2_IOMMU);
	c = self->pci.container;
	ASSERT_EQ(0, container_get_info(c, &info));
	self->bus = info.dma32_window_start + MiB;
	ASSERT_EQ(0, container_register(c, BASE_PAGES, 3 * SIZE));
	ASSERT_EQ(0, container_map(c, BASE_PAGES, self->bus, 3 * SIZE,
				   READ_WRITE));
	dma_device_open(&self->dma, self->pci.device);
	ASSERT_GE(SIZE, dma_device_memory(&self->dma));
	dma_device_init(&self->dma, self->memory + 2 * SIZE,
			self->bus + 2 * SIZE);
	for (i = 0; i < VECTORS; i++) {
		self->eventfd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ASSERT_LE(0, self->eventfd[i]);
	}
}

FIXTURE_TEARDOWN(device)
{
	dma_device_close(&self->dma);
	vfio_pci_close(&self->pci);
}

static unsigned char nth_byte(unsigned int nth)
{
	return nth * 7 + nth / 256 + 1;
}

/* Is all of the destination free but for @count bytes of the source's at @to? */
static bool copied(SELF(device) self, unsigned int to, unsigned int from,
		   unsigned int count)
{
	const volatile unsigned char *destination = self->memory + SIZE;
	unsigned int i;

	for (i = 0; i < SIZE; i++) {
		const unsigned char wanted = i < to || i >= to + count ? FREE :
					     nth_byte(from + i - to);

		if (destination[i] != wanted) {
			ksft_print_msg("%u bytes from %u to %u: byte %u is %#x, not %#x\n",
				       count, from, to, i, destination[i],
				       wanted);
			return false;
		}
	}
	return true;
}

/* Copy through the device's buffer, from the source to the destination */
static bool copies(SELF(device) self, unsigned int to, unsigned int from,
		   unsigned int offset, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < SIZE; i++)
		self->memory[i] = nth_byte(i);
	memset(self->memory + SIZE, FREE, SIZE);
	return dma_load(&self->dma, self->bus + from, offset, count) &&
	       dma_store(&self->dma, self->bus + SIZE + to, offset, count) &&
	       copied(self, to, from, count);
}

TEST_F(device, sizes)
{
	static const unsigned int counts[] = {
		1, 2, 7, 8, 59, 60, 64, 255, 256, 257, 511, 512, 513, 1500,
		2047, 2048,
	};
	unsigned int i;

	ASSERT_TRUE(dma_alive(&self->dma));
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		EXPECT_TRUE(copies(self, 0, 0, 0, counts[i]));
}

/* At the ends of pages and over them, and from the middle of the buffer */
TEST_F(device, places)
{
	EXPECT_TRUE(copies(self, IOMMU_PAGE - 8, IOMMU_PAGE - 8, 0, 8));
	EXPECT_TRUE(copies(self, IOMMU_PAGE - 4, IOMMU_PAGE - 4, 0, 8));
	EXPECT_TRUE(copies(self, IOMMU_PAGE - 1, 3, 0, 2));
	EXPECT_TRUE(copies(self, 3, 2 * IOMMU_PAGE - 1, 0, 2));
	EXPECT_TRUE(copies(self, 100, IOMMU_PAGE - 100, 1000, 300));
	EXPECT_TRUE(copies(self, IOMMU_PAGE + 1, 1, 0, DMA_BUFFER_SIZE));
	EXPECT_TRUE(copies(self, SIZE - 5, SIZE - 5, DMA_BUFFER_SIZE - 5, 5));
}

/* The buffer keeps what is not written over. */
TEST_F(device, buffer)
{
	ASSERT_TRUE(copies(self, 0, 0, 0, 512));
	ASSERT_TRUE(dma_load(&self->dma, self->bus + 1024, 100, 50));
	memset(self->memory + SIZE, FREE, SIZE);
	ASSERT_TRUE(dma_store(&self->dma, self->bus + SIZE, 0, 100));
	EXPECT_TRUE(copied(self, 0, 0, 100));
	memset(self->memory + SIZE, FREE, SIZE);
	ASSERT_TRUE(dma_store(&self->dma, self->bus + SIZE, 100, 50));
	EXPECT_TRUE(copied(self, 0, 1024, 50));
	memset(self->memory + SIZE, FREE, SIZE);
	ASSERT_TRUE(dma_store(&self->dma, self->bus + SIZE, 150, 362));
	EXPECT_TRUE(copied(self, 0, 150, 362));
}

/* What is not mapped is not reached, and the device goes on. */
TEST_F(device, unmapped)
{
	const int c = self->pci.container;
	unsigned char *page = self->memory + SIZE;
	const __u64 bus = self->bus + SIZE;

	EXPECT_EQ(DMA_READS | DMA_WRITES,
		  dma_reach(&self->dma, bus, page, 0, NULL));
	ASSERT_EQ(0, container_unmap(c, bus, SIZE));
	EXPECT_EQ(0, dma_reach(&self->dma, bus, page, self->bus,
			       self->memory));
	ASSERT_EQ(0, container_map(c, (__u64)page, bus, SIZE, READ_ONLY));
	EXPECT_EQ(DMA_READS, dma_reach(&self->dma, bus, page, self->bus,
				       self->memory));
	ASSERT_EQ(0, container_map(c, (__u64)page, bus, SIZE, WRITE_ONLY));
	/* A platform may let a device read what it may write */
	EXPECT_EQ(DMA_WRITES, dma_reach(&self->dma, bus, page, self->bus,
					self->memory) & DMA_WRITES);
}

/* Without the memory of its driver a device does nothing, but not for ever. */
TEST_F(device, memory_unmapped)
{
	const int c = self->pci.container;
	const __u64 bus = self->bus + 2 * SIZE;

	if (!dma_device_memory(&self->dma))
		SKIP(return, "the device needs no memory");
	ASSERT_EQ(0, container_unmap(c, bus, SIZE));
	EXPECT_EQ(DMA_SILENT, dma_reach(&self->dma, self->bus, self->memory, 0,
					NULL));
	ASSERT_EQ(0, container_map(c, (__u64)self->memory + 2 * SIZE, bus,
				   SIZE, READ_WRITE));
	EXPECT_TRUE(copies(self, 0, 0, 0, 64));
}

static int set_eventfds(SELF(device) self, unsigned int index,
			unsigned int count)
{
	return __vfio_device_set_eventfds(self->pci.device, index, 0, count,
					  self->eventfd);
}

/* Which vectors' interrupts come, as bits, once those of @vector are asked for */
static unsigned int arrive(SELF(device) self, unsigned int vector)
{
	struct pollfd event = {
		.fd = self->eventfd[vector],
		.events = POLLIN,
	};
	unsigned int i, came = 0;
	__u64 count;

	dma_interrupt(&self->dma, vector);
	poll(&event, 1, PATIENCE);
	dma_quiet(&self->dma);
	for (i = 0; i < VECTORS; i++)
		if (read(self->eventfd[i], &count, sizeof(count)) > 0)
			came |= 1 << i;
	return came;
}

TEST_F(device, msi)
{
	int i;

	ASSERT_EQ(0, set_eventfds(self, VFIO_PCI_MSI_IRQ_INDEX, 1));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(1, arrive(self, 0));
}

TEST_F(device, msix)
{
	unsigned int i;

	if (dma_device_check(self->address, DMA_MSIX))
		SKIP(return, "the device has no vectors of MSI-X");
	ASSERT_EQ(0, set_eventfds(self, VFIO_PCI_MSIX_IRQ_INDEX, VECTORS));
	for (i = 0; i < 3 * VECTORS; i++)
		EXPECT_EQ(1 << i % VECTORS, arrive(self, i % VECTORS));
}

TEST_HARNESS_MAIN
