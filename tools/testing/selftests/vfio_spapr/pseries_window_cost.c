// SPDX-License-Identifier: GPL-2.0-only
/*
 * A window of a partition costs what is mapped in it, not what it spans.
 *
 * The kernel cannot see the hypervisor's table, and each hypercall on it deals
 * with 512 TCEs at most. 2^47 bytes in pages of 64 KiB, or 2^43 in such of
 * 4 KiB, are 2^31 TCEs: allocating or clearing by that number takes gigabytes
 * and minutes.
 */
#include <sys/mman.h>
#include <time.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/harness.h"

#define TCES		(1ULL << 31)
#define SECONDS		20	/* on a slow emulator, on a busy machine */

FIXTURE(cost) {
	char address[PCI_ADDRESS_LEN];
	struct vfio_pci pci;
	void *memory;
};

FIXTURE_SETUP(cost)
{
	if (!testbed_is_partition())
		SKIP(return, "not a logical partition");
	if (dma_device_find(0, DMA_NO_MEMORY, self->address))
		SKIP(return, "no device");

	self->memory = memory_get(BASE_PAGES, MiB, PROT_READ | PROT_WRITE);
	pci_bind(self->address, "vfio-pci");
	vfio_pci_open_group(&self->pci, self->address,
			    VFIO_SPAPR_TCE_v2_IOMMU);
	ASSERT_EQ(container_register(self->pci.container, (__u64)self->memory,
				     MiB), 0);
}

FIXTURE_TEARDOWN(cost)
{
	vfio_pci_close(&self->pci);
	munmap(self->memory, MiB);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Both ends, the middle, and where an index has few or many bits set */
static const __u64 places[] = {
	0, 1, TCES / 4, TCES / 2 - 1, TCES / 2, TCES - 1,
};

static void map_everywhere(struct __test_metadata *_metadata,
			   SELF(cost) self, __u64 start)
{
	const unsigned long page = page_size();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		ASSERT_EQ(container_map(self->pci.container,
					(__u64)self->memory + i * page,
					start + places[i] * page, page,
					READ_WRITE), 0);
	/* One more does not fit */
	ASSERT_NE(container_map(self->pci.container, (__u64)self->memory,
				start + TCES * page, page, READ_WRITE), 0);
}

TEST_F_TIMEOUT(cost, removed, 60)
{
	double begin = now(), end;
	__u64 start = 0;

	ASSERT_EQ(container_create_window(self->pci.container, page_shift(),
					  TCES * page_size(), 1, &start), 0);
	map_everywhere(_metadata, self, start);
	ASSERT_EQ(container_remove_window(self->pci.container, start), 0);
	end = now();
	EXPECT_LT(end - begin, SECONDS)
		TH_LOG("took %.1f s", end - begin);
}

TEST_F_TIMEOUT(cost, left, 60)
{
	double begin = now(), end;
	__u64 start = 0;

	ASSERT_EQ(container_create_window(self->pci.container, page_shift(),
					  TCES * page_size(), 1, &start), 0);
	map_everywhere(_metadata, self, start);
	vfio_pci_close(&self->pci);
	end = now();
	EXPECT_LT(end - begin, SECONDS)
		TH_LOG("took %.1f s", end - begin);
}

/* What was mapped once is not there when the same window is made again. */
TEST_F_TIMEOUT(cost, emptied, 60)
{
	__u32 *word = self->memory;
	volatile __u32 *seen = word;
	__u64 start = 0, again = 0;
	struct dma_device dma;
	int device;

	device = vfio_device_open(self->pci.group, self->address);
	dma_device_start(&dma, device);

	ASSERT_EQ(container_create_window(self->pci.container, page_shift(),
					  TCES * page_size(), 1, &start), 0);
	map_everywhere(_metadata, self, start);
	*seen = 0x600d600d;
	ASSERT_TRUE(dma_load(&dma, start, 0, 4));
	*seen = 0;
	ASSERT_TRUE(dma_store(&dma, start, 0, 4));
	ASSERT_EQ(*seen, 0x600d600d);

	ASSERT_EQ(container_remove_window(self->pci.container, start), 0);
	ASSERT_EQ(container_create_window(self->pci.container, page_shift(),
					  TCES * page_size(), 1, &again), 0);
	EXPECT_EQ(start, again);
	*seen = 0;
	dma_store(&dma, start, 0, 4);
	EXPECT_EQ(*seen, 0);
	dma_device_close(&dma);
	close(device);
}

TEST_HARNESS_MAIN
