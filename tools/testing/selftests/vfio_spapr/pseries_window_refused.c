// SPDX-License-Identifier: GPL-2.0-only
/*
 * A window that the hypervisor refuses says nothing about the next one.
 *
 * A partition's kernel asks its hypervisor for a DMA window. After a refused request
 * the VFIO user still gets every window that it may have, and so does the next user
 * of the function.
 */
#include <errno.h>
#include <sys/mman.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/harness.h"

FIXTURE(refused) {
	char address[PCI_ADDRESS_LEN];
	struct vfio_pci pci;
	void *memory;
};

/* In a container of its own, with the memory registered if that is needed */
static void open_first(SELF(refused) self, unsigned int iommu_type)
{
	vfio_pci_open_group(&self->pci, self->address, iommu_type);
	if (iommu_type == VFIO_SPAPR_TCE_v2_IOMMU)
		VFIO_REQUIRE(!container_register(self->pci.container,
						 (__u64)self->memory, MiB),
			     "memory");
	else
		VFIO_REQUIRE(!container_enable(self->pci.container), "v1");
}

FIXTURE_SETUP(refused)
{
	if (!testbed_is_partition())
		SKIP(return, "not a logical partition");
	if (dma_device_find(0, 0, self->address))
		SKIP(return, "no device");

	self->memory = memory_get(BASE_PAGES, MiB, PROT_READ | PROT_WRITE);
	pci_bind(self->address, "vfio-pci");
	open_first(self, VFIO_SPAPR_TCE_v2_IOMMU);
}

FIXTURE_TEARDOWN(refused)
{
	vfio_pci_close(&self->pci);
	munmap(self->memory, MiB);
}

static long create(SELF(refused) self, unsigned int page_shift,
		   __u64 size, __u64 *start)
{
	return container_create_window(self->pci.container, page_shift, size,
				       1, start);
}

static long map(SELF(refused) self, __u64 start)
{
	return container_map(self->pci.container, (__u64)self->memory, start,
			     64 * KiB, READ_WRITE);
}

static long map_default(SELF(refused) self)
{
	struct vfio_iommu_spapr_tce_info info;

	VFIO_REQUIRE(!container_get_info(self->pci.container, &info), "info");
	return map(self, info.dma32_window_start);
}

/*
 * More TCEs than this hypervisor makes, although not more than it says that it
 * has: those the kernel refuses with -EINVAL.
 */
static long refuse(SELF(refused) self)
{
	return create(self, 12, 1ULL << 44, NULL);
}

TEST_F(refused, answer)
{
	int i;

	/* As often as one likes, the same answer */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(refuse(self), -ENODEV);
}

TEST_F(refused, then_a_good_window)
{
	__u64 start = 0;

	ASSERT_EQ(refuse(self), -ENODEV);
	ASSERT_EQ(create(self, 16, GiB, &start), 0);
	EXPECT_EQ(map(self, start), 0);
	EXPECT_EQ(container_remove_window(self->pci.container, start), 0);
}

TEST_F(refused, then_the_default_window)
{
	__u64 start = 0;

	ASSERT_EQ(refuse(self), -ENODEV);
	EXPECT_EQ(map_default(self), 0);
	EXPECT_EQ(container_remove_window(self->pci.container, 0), 0);

	/* Now there is no window at all */
	ASSERT_LT(refuse(self), 0);
	ASSERT_EQ(create(self, 12, GiB, &start), 0);
	EXPECT_EQ(map(self, start), 0);
}

TEST_F(refused, then_another_container)
{
	ASSERT_EQ(refuse(self), -ENODEV);
	vfio_pci_close(&self->pci);
	open_first(self, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_EQ(map_default(self), 0);
}

TEST_F(refused, then_container_v1)
{
	ASSERT_EQ(refuse(self), -ENODEV);
	vfio_pci_close(&self->pci);
	open_first(self, VFIO_SPAPR_TCE_IOMMU);
	EXPECT_EQ(map_default(self), 0);
}

/*
 * Besides the default window a PE has one at most. The hypervisor refuses the
 * next, or the kernel when it has got it.
 */
TEST_F(refused, second_window)
{
	__u64 first = 0, start = 0;
	long ret;
	int i;

	/* Instead of the default window */
	ASSERT_EQ(container_remove_window(self->pci.container, 0), 0);
	ASSERT_EQ(create(self, 16, GiB, &first), 0);
	for (i = 0; i < 3; i++) {
		ret = create(self, 16, 2 * GiB, NULL);
		EXPECT_TRUE(ret == -ENODEV || ret == -EEXIST);
	}
	EXPECT_EQ(map(self, first), 0);

	EXPECT_EQ(container_remove_window(self->pci.container, first), 0);
	ASSERT_EQ(create(self, 16, 2 * GiB, &start), 0);
	EXPECT_EQ(map(self, start), 0);
}

/* How a driver finds the largest window, which GET_INFO does not tell */
TEST_F(refused, halved_until_made)
{
	__u64 size = 1ULL << 44, start = 0;
	const long before = memory_locked();
	long ret;

	ASSERT_EQ(refuse(self), -ENODEV);
	do {
		size /= 2;
		ret = create(self, 12, size, &start);
		if (ret) {
			ASSERT_EQ(ret, -ENODEV);
			ASSERT_EQ(memory_locked(), before);
		}
	} while (ret && size > GiB);
	ASSERT_EQ(ret, 0);
	EXPECT_EQ(map(self, start), 0);
}

/* Sizes that cannot be had for other reasons cost no window either. */
TEST_F(refused, sizes)
{
	static const struct {
		unsigned int page_shift;
		__u64 size;
	} bad[] = {
		{ 16, 0 },
		{ 16, 1 },
		{ 16, 3 * MiB },
		{ 16, 4 * KiB },
		{ 24, 8 * MiB },
		{ 12, 2 * KiB },
		{ 16, 1ULL << 62 },
		{ 16, 1ULL << 63 },
		{ 12, 1ULL << 63 },
		{ 12, 1ULL << 44 },
	};
	__u64 start = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_LT(create(self, bad[i].page_shift, bad[i].size, NULL), 0)
			TH_LOG("page shift %u, size %#llx", bad[i].page_shift,
			       (unsigned long long)bad[i].size);
		ASSERT_EQ(create(self, 16, GiB, &start), 0);
		ASSERT_EQ(container_remove_window(self->pci.container, start),
			  0);
	}
}

TEST_HARNESS_MAIN
