// SPDX-License-Identifier: GPL-2.0
/*
 * A device's interrupts arrive however often their vectors are set up.
 *
 * An MSI is a write to an address that the platform chose. A device whose
 * vector has lost this address writes elsewhere: at bus address 0 lies the
 * user's memory. So each test looks for its interrupts and at that page.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/nic.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

#define VECTORS		3
#define ROUNDS		5
/* An event queue of a processor is one page of 4-byte events. */
#define QUEUE_LENGTH	(page_size() / 4)
#define PATTERN		0xa5
#define NO_EVENTFD	(-1)

/* Milliseconds for an interrupt that must come, and for one that must not */
#define PATIENCE	5000
#define MOMENT		1000

FIXTURE(interrupts) {
	struct vfio_pci pci;
	struct dma_device dma;
	unsigned char *page;	/* at bus address 0 */
	int eventfd[VECTORS];
};

FIXTURE_VARIANT(interrupts) {
	unsigned int index;	/* VFIO_PCI_..._IRQ_INDEX */
	unsigned int vectors;
};

FIXTURE_VARIANT_ADD(interrupts, intx) {
	.index = VFIO_PCI_INTX_IRQ_INDEX,
	.vectors = 1,
};

FIXTURE_VARIANT_ADD(interrupts, msi) {
	.index = VFIO_PCI_MSI_IRQ_INDEX,
	.vectors = 1,
};

FIXTURE_VARIANT_ADD(interrupts, msix_one) {
	.index = VFIO_PCI_MSIX_IRQ_INDEX,
	.vectors = 1,
};

FIXTURE_VARIANT_ADD(interrupts, msix_several) {
	.index = VFIO_PCI_MSIX_IRQ_INDEX,
	.vectors = VECTORS,
};

static void map_page(SELF(interrupts) self)
{
	struct vfio_iommu_spapr_tce_info info;

	VFIO_REQUIRE(!container_get_info(self->pci.container, &info), "info");
	VFIO_REQUIRE(!info.dma32_window_start, "window at bus address 0");
	VFIO_REQUIRE(!container_register(self->pci.container,
					 (__u64)self->page, page_size()),
		     "register");
	VFIO_REQUIRE(!container_map(self->pci.container, (__u64)self->page, 0,
				    page_size(), READ_WRITE), "map");
}

FIXTURE_SETUP(interrupts)
{
	char address[PCI_ADDRESS_LEN];
	int i;

	if (dma_device_find(0, DMA_MSIX, address))
		SKIP(return, "no device with vectors of MSI-X");
	self->page = memory_get(BASE_PAGES, page_size(),
				PROT_READ | PROT_WRITE);
	memset(self->page, PATTERN, page_size());
	vfio_pci_open(&self->pci, address, VFIO_SPAPR_TCE_v2_IOMMU);
	map_page(self);
	dma_device_open(&self->dma, self->pci.device);
	for (i = 0; i < VECTORS; i++) {
		self->eventfd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		VFIO_REQUIRE(self->eventfd[i] >= 0, "eventfd");
	}
}

FIXTURE_TEARDOWN(interrupts)
{
	int i;

	for (i = 0; i < VECTORS; i++)
		close(self->eventfd[i]);
	dma_device_close(&self->dma);
	vfio_pci_close(&self->pci);
	munmap(self->page, page_size());
}

/* Give @count vectors from @start on these eventfds: 0 or -errno */
static int set(SELF(interrupts) self, VARIANT(interrupts) variant,
	       unsigned int start, unsigned int count, const int *eventfd)
{
	return __vfio_device_set_eventfds(self->pci.device, variant->index,
					  start, count, eventfd);
}

static int set_all(SELF(interrupts) self, VARIANT(interrupts) variant)
{
	return set(self, variant, 0, variant->vectors, self->eventfd);
}

static int clear_all(SELF(interrupts) self, VARIANT(interrupts) variant)
{
	static const int none[VECTORS] = {
		NO_EVENTFD, NO_EVENTFD, NO_EVENTFD
	};

	return set(self, variant, 0, variant->vectors, none);
}

static int disable(SELF(interrupts) self, VARIANT(interrupts) variant)
{
	struct vfio_irq_set irqs = {
		.argsz = sizeof(irqs),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = variant->index,
	};

	return ioctl(self->pci.device, VFIO_DEVICE_SET_IRQS, &irqs) ? -errno :
								      0;
}

/* VFIO masks an INTx when it arrives. There is no mask where there is none. */
static void unmask(SELF(interrupts) self)
{
	struct vfio_irq_set irqs = {
		.argsz = sizeof(irqs),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		.index = VFIO_PCI_INTX_IRQ_INDEX,
		.count = 1,
	};

	ioctl(self->pci.device, VFIO_DEVICE_SET_IRQS, &irqs);
}

static bool arrives(SELF(interrupts) self, unsigned int vector, int patience)
{
	struct pollfd event = {
		.fd = self->eventfd[vector],
		.events = POLLIN,
	};
	__u64 count;
	bool came;

	/* Only what comes from now on */
	while (read(event.fd, &count, sizeof(count)) > 0)
		;
	unmask(self);
	dma_interrupt(&self->dma, vector);
	came = poll(&event, 1, patience) == 1;
	dma_quiet(&self->dma);
	return came;
}

/* How many arrive one after the other, up to ROUNDS */
static unsigned int arrived(SELF(interrupts) self, unsigned int vector)
{
	unsigned int count = 0;

	while (count < ROUNDS && arrives(self, vector, PATIENCE))
		count++;
	return count;
}

static bool page_unchanged(SELF(interrupts) self)
{
	unsigned int i;

	for (i = 0; i < page_size(); i++)
		if (((volatile unsigned char *)self->page)[i] != PATTERN)
			return false;
	return true;
}

static void expect_interrupts(struct __test_metadata *_metadata,
			      SELF(interrupts) self,
			      VARIANT(interrupts) variant)
{
	unsigned int i;

	for (i = 0; i < variant->vectors; i++) {
		EXPECT_EQ(arrived(self, i), ROUNDS)
			TH_LOG("vector %u", i);
	}
	EXPECT_TRUE(page_unchanged(self));
}

TEST_F(interrupts, set)
{
	ASSERT_EQ(set_all(self, variant), 0);
	expect_interrupts(_metadata, self, variant);
}

TEST_F(interrupts, set_twice)
{
	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_EQ(set_all(self, variant), 0);
	expect_interrupts(_metadata, self, variant);
}

TEST_F(interrupts, set_between_interrupts)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(set_all(self, variant), 0);
		expect_interrupts(_metadata, self, variant);
	}
}

/* One of the vectors, which must not change the others */
TEST_F(interrupts, last_set_twice)
{
	const unsigned int last = variant->vectors - 1;

	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_EQ(set(self, variant, last, 1, &self->eventfd[last]), 0);
	expect_interrupts(_metadata, self, variant);
}

TEST_F(interrupts, cleared_and_set)
{
	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_EQ(clear_all(self, variant), 0);
	EXPECT_FALSE(arrives(self, 0, MOMENT));
	EXPECT_TRUE(page_unchanged(self));
	ASSERT_EQ(set_all(self, variant), 0);
	expect_interrupts(_metadata, self, variant);
}

TEST_F(interrupts, disabled_and_set)
{
	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_EQ(disable(self, variant), 0);
	ASSERT_EQ(set_all(self, variant), 0);
	expect_interrupts(_metadata, self, variant);
}

/*
 * A vector that is set up reserves a place in the event queue of a processor,
 * which it has to give back also when no interrupt has arrived in between. There
 * is one queue, if the host has one processor.
 */
TEST_F_TIMEOUT(interrupts, set_often_without_interrupts, 600)
{
	const bool intx = variant->index == VFIO_PCI_INTX_IRQ_INDEX;
	unsigned int i;

	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_TRUE(arrives(self, 0, PATIENCE));
	for (i = 0; i <= QUEUE_LENGTH / variant->vectors; i++) {
		ASSERT_EQ(set_all(self, variant), 0);
		/* INTx without an eventfd stays set up */
		ASSERT_EQ(intx ? disable(self, variant) :
				 clear_all(self, variant), 0);
	}
	ASSERT_EQ(set_all(self, variant), 0);
	expect_interrupts(_metadata, self, variant);
}

static int reset(SELF(interrupts) self)
{
	if (ioctl(self->pci.device, VFIO_DEVICE_RESET))
		return -errno;
	vfio_device_set_bus_master(self->pci.device, true);
	return 0;
}

TEST_F(interrupts, reset)
{
	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_EQ(reset(self), 0);
	expect_interrupts(_metadata, self, variant);
}

/* A reset restores the message also of a vector that has no user. */
TEST_F(interrupts, reset_while_cleared)
{
	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_EQ(clear_all(self, variant), 0);
	ASSERT_EQ(reset(self), 0);
	EXPECT_FALSE(arrives(self, 0, MOMENT));
	EXPECT_TRUE(page_unchanged(self));
	ASSERT_EQ(set_all(self, variant), 0);
	expect_interrupts(_metadata, self, variant);
}

/* What the user has written into the table does not outlast the next set. */
TEST_F(interrupts, table_overwritten)
{
	unsigned int i, at;
	size_t size;
	void *bar, *table;

	if (variant->index != VFIO_PCI_MSIX_IRQ_INDEX)
		SKIP(return, "MSI has no table");
	ASSERT_EQ(set_all(self, variant), 0);
	ASSERT_EQ(clear_all(self, variant), 0);
	at = vfio_device_config_read(self->pci.device, PCI_MSIX_TABLE +
				     vfio_device_capability(self->pci.device,
							    PCI_CAP_ID_MSIX),
				     4);
	bar = vfio_device_map_bar(self->pci.device, at & PCI_MSIX_TABLE_BIR,
				  &size);
	table = bar + (at & PCI_MSIX_TABLE_OFFSET);
	for (i = 0; i < variant->vectors * PCI_MSIX_ENTRY_SIZE; i += 4)
		*(volatile __u32 *)(table + i) = 0;
	munmap(bar, size);
	ASSERT_EQ(set_all(self, variant), 0);
	expect_interrupts(_metadata, self, variant);
}

/* The host's driver requests and frees the same vectors again and again. */
FIXTURE(host) {
	char address[PCI_ADDRESS_LEN];
};

FIXTURE_SETUP(host)
{
	if (dma_device_find(0, DMA_MSIX, self->address))
		SKIP(return, "no device with vectors of MSI-X");
	ASSERT_TRUE(nic_start(self->address));
}

FIXTURE_TEARDOWN(host)
{
	pci_bind_default(self->address);
}

TEST_F(host, down_and_up)
{
	nic_down(self->address);
	ASSERT_TRUE(nic_up(self->address));
	EXPECT_TRUE(nic_alive(self->address, ROUNDS));
}

TEST_F(host, reset_while_down)
{
	char path[64];
	int fd;

	nic_down(self->address);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset",
		 self->address);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "no reset of this function");
	ASSERT_EQ(write(fd, "1", 1), 1);
	close(fd);
	ASSERT_TRUE(nic_up(self->address));
	EXPECT_TRUE(nic_alive(self->address, ROUNDS));
}

TEST_HARNESS_MAIN
