// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_EEH_PE_OP: the ten operations, and a device that comes back.
 *
 * Where the machine has no EEH for the device every operation says so; what
 * exactly is for the transcript.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define OP_SIZE		(offsetof(struct vfio_eeh_pe_op, op) + sizeof(__u32))

/* From arch/powerpc/include/uapi/asm/eeh.h */
#define ERR_TYPE_32		0
#define ERR_FUNC_LD_MEM_ADDR	0
#define ERR_FUNC_DMA_WR_ADDR	16

FIXTURE(eeh) {
	struct testbed bed;
	bool enabled;		/* this machine has EEH */
};

FIXTURE_SETUP(eeh)
{
	TRANSCRIPT_BEGIN(_metadata, NULL);
	if (!testbed_find(&self->bed))
		SKIP(return, "no devices");
	testbed_take_memory(&self->bed, 4 * self->bed.page);
	testbed_open(&self->bed, VFIO_SPAPR_TCE_v2_IOMMU);
	self->enabled =
		container_check_extension(self->bed.container, VFIO_EEH);
	ASSERT_EQ(0, testbed_get_info(&self->bed));
}

FIXTURE_TEARDOWN(eeh)
{
	testbed_close(&self->bed);
}

static long inject(int container, __u32 type, __u32 func, __u64 addr,
		   __u64 mask)
{
	struct vfio_eeh_pe_op op = {
		.argsz = sizeof(op),
		.op = VFIO_EEH_PE_INJECT_ERR,
		.err = { type, func, addr, mask },
	};

	return __container_eeh(container, &op);
}

/* Wrong arguments, one by one */
TEST_F(eeh, arguments)
{
	const int c = self->bed.container;
	const __u32 sizes[] = {
		0, OP_SIZE - 1, OP_SIZE, OP_SIZE + 1, ~0U,
	};
	struct vfio_eeh_pe_op op;
	unsigned int i;
	long ret;

	container_ioctl(c, VFIO_EEH_PE_OP, NULL, "null");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		op = (struct vfio_eeh_pe_op) {
			.argsz = sizes[i],
			.op = VFIO_EEH_PE_GET_STATE,
		};
		ret = __container_eeh(c, &op);
		if (self->enabled)
			EXPECT_EQ(sizes[i] < OP_SIZE ? -EINVAL : 0, ret);
	}
	for (i = 1; i; i <<= 1) {
		op = (struct vfio_eeh_pe_op) {
			.argsz = sizeof(op),
			.flags = i,
			.op = VFIO_EEH_PE_GET_STATE,
		};
		EXPECT_GT(0, __container_eeh(c, &op));
	}
	for (i = VFIO_EEH_PE_INJECT_ERR + 1; i < 16; i++)
		EXPECT_GT(0, container_eeh(c, i));
	EXPECT_GT(0, container_eeh(c, ~0U));
	/* The error to inject needs the whole structure */
	EXPECT_GT(0, container_eeh(c, VFIO_EEH_PE_INJECT_ERR));
	op = (struct vfio_eeh_pe_op) {
		.argsz = sizeof(op) - 1,
		.op = VFIO_EEH_PE_INJECT_ERR,
	};
	EXPECT_GT(0, __container_eeh(c, &op));
	EXPECT_GT(0, inject(c, 2, ERR_FUNC_LD_MEM_ADDR, 0, 0));
	EXPECT_GT(0, inject(c, ERR_TYPE_32, 20, 0, 0));
	EXPECT_GT(0, inject(c, ERR_TYPE_32, ~0U, 0, 0));
}

/* Each operation that harms nothing, in and out of turn */
TEST_F(eeh, operations)
{
	const int c = self->bed.container;
	const __u32 ops[] = {
		VFIO_EEH_PE_GET_STATE, VFIO_EEH_PE_DISABLE,
		VFIO_EEH_PE_GET_STATE, VFIO_EEH_PE_ENABLE,
		VFIO_EEH_PE_UNFREEZE_IO, VFIO_EEH_PE_UNFREEZE_DMA,
		VFIO_EEH_PE_GET_STATE, VFIO_EEH_PE_CONFIGURE,
		VFIO_EEH_PE_GET_STATE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		long ret = container_eeh(c, ops[i]);

		if (self->enabled && ops[i] != VFIO_EEH_PE_CONFIGURE)
			EXPECT_EQ(0, ret);
	}
}

/* v1 has them, too; a container without group has none. */
TEST_F(eeh, v1)
{
	testbed_close(&self->bed);
	testbed_open(&self->bed, VFIO_SPAPR_TCE_IOMMU);
	container_eeh(self->bed.container, VFIO_EEH_PE_ENABLE);
	container_eeh(self->bed.container, VFIO_EEH_PE_GET_STATE);
	vfio_group_unset_container(self->bed.group[0]);
	EXPECT_EQ(-EINVAL, container_eeh(self->bed.container,
					 VFIO_EEH_PE_GET_STATE));
}

/* With two groups every one of them is asked. */
TEST_F(eeh, two_groups)
{
	testbed_join(&self->bed);
	container_eeh(self->bed.container, VFIO_EEH_PE_ENABLE);
	container_eeh(self->bed.container, VFIO_EEH_PE_GET_STATE);
	container_eeh(self->bed.container, VFIO_EEH_PE_UNFREEZE_DMA);
}

/* A device can do its work again after a reset of its PE. */
static void reset(struct __test_metadata *const _metadata, int c, __u32 how)
{
	container_eeh(c, how);
	container_eeh(c, VFIO_EEH_PE_GET_STATE);
	usleep(250 * 1000);
	container_eeh(c, VFIO_EEH_PE_RESET_DEACTIVATE);
	container_eeh(c, VFIO_EEH_PE_GET_STATE);
	container_eeh(c, VFIO_EEH_PE_CONFIGURE);
	EXPECT_EQ(0, container_eeh(c, VFIO_EEH_PE_GET_STATE));
}

static void recovers(struct __test_metadata *const _metadata,
		     struct testbed *bed, int c, __u64 start, char *memory,
		     size_t page, __u32 how)
{
	EXPECT_EQ(0, container_register(c, (__u64)memory, 4 * page));
	EXPECT_EQ(0, container_map(c, (__u64)memory, start, page, READ_WRITE));
	testbed_open_device(bed, 0);
	container_eeh(c, VFIO_EEH_PE_ENABLE);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], start, memory, 0, NULL));

	/* Something the window has not: what does the state say? */
	dma_reach(&bed->dma[0], start + page, memory, start, memory);
	container_eeh(c, VFIO_EEH_PE_GET_STATE);
	inject(c, ERR_TYPE_32, ERR_FUNC_LD_MEM_ADDR, 0, 0);
	inject(c, ERR_TYPE_32, ERR_FUNC_DMA_WR_ADDR, 0, 0);
	transcript_see("device", "%s",
		       dma_alive(&bed->dma[0]) ? "answers" : "is silent");
	container_eeh(c, VFIO_EEH_PE_GET_STATE);

	reset(_metadata, c, how);
	vfio_device_config_write(bed->device[0], 4, 6, 2);
	EXPECT_TRUE(dma_alive(&bed->dma[0]));
	/* The windows and their TCEs outlive the reset */
	EXPECT_EQ(3, dma_reach(&bed->dma[0], start, memory, 0, NULL));
	EXPECT_EQ(0, container_unmap(c, start, page));
	EXPECT_EQ(0, dma_reach(&bed->dma[0], start, memory, 0, NULL) & 3);
}

TEST_F(eeh, hot_reset)
{
	if (!self->enabled)
		SKIP(return, "no EEH");
	recovers(_metadata, &self->bed, self->bed.container, self->bed.start,
		 self->bed.memory, self->bed.page, VFIO_EEH_PE_RESET_HOT);
}

TEST_F(eeh, fundamental_reset)
{
	if (!self->enabled)
		SKIP(return, "no EEH");
	recovers(_metadata, &self->bed, self->bed.container, self->bed.start,
		 self->bed.memory, self->bed.page,
		 VFIO_EEH_PE_RESET_FUNDAMENTAL);
}

TEST_HARNESS_MAIN
