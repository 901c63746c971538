// SPDX-License-Identifier: GPL-2.0
/*
 * What a container says of itself: CHECK_EXTENSION, SET_IOMMU, GET_INFO, and
 * which ioctls it knows in which state.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

/* Bytes of the structure without the description of dynamic windows */
#define INFO_V1_SIZE	offsetof(struct vfio_iommu_spapr_tce_info, ddw)

FIXTURE(info) {
	struct testbed bed;
};

FIXTURE_VARIANT(info) {
	const char *name;
	unsigned int type;
};

FIXTURE_VARIANT_ADD(info, v1) {
	.name = "v1",
	.type = VFIO_SPAPR_TCE_IOMMU,
};

FIXTURE_VARIANT_ADD(info, v2) {
	.name = "v2",
	.type = VFIO_SPAPR_TCE_v2_IOMMU,
};

FIXTURE_SETUP(info)
{
	TRANSCRIPT_BEGIN(_metadata, variant->name);
	if (!testbed_find(&self->bed))
		SKIP(return, "no devices");
}

FIXTURE_TEARDOWN(info)
{
	testbed_close(&self->bed);
}

static const unsigned long all_requests[] = {
	VFIO_GET_API_VERSION,
	VFIO_IOMMU_SPAPR_TCE_GET_INFO, VFIO_IOMMU_MAP_DMA,
	VFIO_IOMMU_UNMAP_DMA, VFIO_IOMMU_ENABLE, VFIO_IOMMU_DISABLE,
	VFIO_IOMMU_SPAPR_REGISTER_MEMORY, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
	VFIO_IOMMU_SPAPR_TCE_CREATE, VFIO_IOMMU_SPAPR_TCE_REMOVE,
	VFIO_EEH_PE_OP,
};

static void ask_everything(int container)
{
	unsigned long extension;
	size_t i;

	for (extension = 0; extension < 14; extension++)
		container_check_extension(container, extension);
	container_check_extension(container, 1UL << 31);
	container_check_extension(container, 1UL << 32 | VFIO_SPAPR_TCE_IOMMU);
	container_check_extension(container, -1UL);

	for (i = 0; i < ARRAY_SIZE(all_requests); i++)
		container_ioctl(container, all_requests[i], NULL, "null");
}

/* A container without group knows the extensions and no more. */
TEST_F(info, container_alone)
{
	self->bed.container = vfio_container_open();
	ask_everything(self->bed.container);
	EXPECT_EQ(-EINVAL, container_set_iommu(self->bed.container,
					       variant->type));
	EXPECT_EQ(1, container_check_extension(self->bed.container,
					       variant->type));
	EXPECT_EQ(0, container_check_extension(self->bed.container,
					       VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, container_check_extension(self->bed.container,
					       VFIO_TYPE1v2_IOMMU));
}

/* With a group in it but no IOMMU type chosen */
TEST_F(info, type_not_set)
{
	testbed_open(&self->bed, 0);
	ask_everything(self->bed.container);
}

/* type1 is refused and can be followed by what there is, chosen once. */
TEST_F(info, set_iommu)
{
	const unsigned long types[] = {
		0, VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_EEH,
		VFIO_NOIOMMU_IOMMU, 99, -1UL,
		1UL << 32 | VFIO_SPAPR_TCE_IOMMU,
	};
	size_t i;

	testbed_open(&self->bed, 0);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		EXPECT_GT(0, container_set_iommu(self->bed.container,
						 types[i]));
	EXPECT_EQ(0, container_set_iommu(self->bed.container, variant->type));
	EXPECT_EQ(-EINVAL, container_set_iommu(self->bed.container,
					       VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(-EINVAL, container_set_iommu(self->bed.container,
					       VFIO_SPAPR_TCE_v2_IOMMU));
}

/* The calls of the other version are unknown to this one. */
TEST_F(info, type_set)
{
	int container, v2 = variant->type == VFIO_SPAPR_TCE_v2_IOMMU;

	testbed_open(&self->bed, variant->type);
	container = self->bed.container;
	ask_everything(container);
	/* QEMU's partitions have no EEH for emulated devices */
	if (!testbed_is_partition())
		EXPECT_EQ(1, container_check_extension(container, VFIO_EEH));

	if (v2) {
		EXPECT_EQ(-ENOTTY, container_enable(container));
		EXPECT_EQ(-ENOTTY, container_disable(container));
	} else {
		EXPECT_EQ(-ENOTTY, container_register(container, 0, 0));
		EXPECT_EQ(-ENOTTY, container_unregister(container, 0, 0));
		EXPECT_EQ(-ENOTTY, container_create_window(container, 12,
							   GiB, 1, NULL));
		EXPECT_EQ(-ENOTTY, container_remove_window(container, 0));
	}
	EXPECT_EQ(-ENOTTY, container_ioctl(container, VFIO_IOMMU_GET_INFO + 100,
					   NULL, "null"));
}

/*
 * argsz says how much of the structure the caller has: too little is refused,
 * the description of dynamic windows comes only when it fits as a whole.
 */
TEST_F(info, get_info_argsz)
{
	const __u32 sizes[] = {
		0, 1, INFO_V1_SIZE - 1, INFO_V1_SIZE, INFO_V1_SIZE + 1,
		INFO_V1_SIZE + 8, sizeof(struct vfio_iommu_spapr_tce_info) - 1,
		sizeof(struct vfio_iommu_spapr_tce_info),
		sizeof(struct vfio_iommu_spapr_tce_info) + 1, 4096, ~0U,
	};
	struct vfio_iommu_spapr_tce_info info;
	size_t i;

	testbed_open(&self->bed, variant->type);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(&info, 0xa5, sizeof(info));
		info.argsz = sizes[i];
		EXPECT_EQ(sizes[i] < INFO_V1_SIZE ? -EINVAL : 0,
			  __container_get_info(self->bed.container, &info));
		if (sizes[i] < sizeof(info))
			EXPECT_EQ(0xa5a5a5a5, info.ddw.levels);
	}

	EXPECT_EQ(variant->type == VFIO_SPAPR_TCE_v2_IOMMU,
		  info.flags & VFIO_IOMMU_SPAPR_INFO_DDW);
	EXPECT_NE(0, info.dma32_window_size);
}

/* The kernel touches no byte that argsz does not give it. */
TEST_F(info, get_info_memory)
{
	const size_t page = page_size();
	char *pages = memory_get(BASE_PAGES, 2 * page, PROT_READ | PROT_WRITE);
	struct vfio_iommu_spapr_tce_info *info;

	testbed_open(&self->bed, variant->type);
	ASSERT_EQ(0, mprotect(pages + page, page, PROT_NONE));

	info = (void *)(pages + page - INFO_V1_SIZE);
	info->argsz = INFO_V1_SIZE;
	EXPECT_EQ(0, container_ioctl(self->bed.container,
				     VFIO_IOMMU_SPAPR_TCE_GET_INFO, info,
				     "the end of a page, short"));
	info->argsz = sizeof(*info);
	EXPECT_EQ(-EFAULT, container_ioctl(self->bed.container,
					   VFIO_IOMMU_SPAPR_TCE_GET_INFO, info,
					   "the end of a page, long"));
	info = (void *)(pages + page - 4);
	info->argsz = INFO_V1_SIZE;
	EXPECT_EQ(-EFAULT, container_ioctl(self->bed.container,
					   VFIO_IOMMU_SPAPR_TCE_GET_INFO, info,
					   "the last word of a page"));

	info = (void *)pages;
	info->argsz = sizeof(*info);
	ASSERT_EQ(0, mprotect(pages, page, PROT_READ));
	EXPECT_EQ(-EFAULT, container_ioctl(self->bed.container,
					   VFIO_IOMMU_SPAPR_TCE_GET_INFO, info,
					   "memory for reading only"));
}

/* Without its last group the container is as new and can be used again. */
TEST_F(info, group_leaves)
{
	struct vfio_iommu_spapr_tce_info info = { 0 };

	testbed_open(&self->bed, variant->type);
	container_get_info(self->bed.container, &info);
	EXPECT_EQ(0, __vfio_group_unset_container(self->bed.group[0]));
	ask_everything(self->bed.container);

	EXPECT_EQ(0, __vfio_group_set_container(self->bed.group[0],
						self->bed.container));
	EXPECT_EQ(0, container_set_iommu(self->bed.container, variant->type));
	EXPECT_EQ(0, container_get_info(self->bed.container, &info));
}

TEST_HARNESS_MAIN
