// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_DEVICE_FEATURE_EEH_PE: the user of a device file asks for the state of
 * the device's PE and operates on it, and the device comes back.
 *
 * Where the machine has no EEH for the device the feature is not there.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES		4
#define IOVA		MiB
#define REACHES		(DMA_READS | DMA_WRITES)
#define GET		VFIO_DEVICE_FEATURE_GET
#define SET		VFIO_DEVICE_FEATURE_SET
#define PROBE		VFIO_DEVICE_FEATURE_PROBE

/* From arch/powerpc/include/uapi/asm/eeh.h */
#define ERR_TYPE_32		0
#define ERR_FUNC_LD_MEM_ADDR	0
#define ERR_FUNC_DMA_WR_ADDR	16

FIXTURE(eeh) {
	struct testbed bed;
	int iommufd;
	__u32 ioas;
	struct cdev cdev[TESTBED_DEVICES];
	bool enabled;		/* this machine has EEH */
};

FIXTURE_SETUP(eeh)
{
	const char *lacking;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	lacking = cdev_start_bed(&self->bed, DMA_NO_MEMORY, self->cdev,
				 &self->iommufd);
	if (lacking)
		SKIP(return, "%s", lacking);
	self->enabled = !testbed_is_partition();
	testbed_take_memory(&self->bed, PAGES * self->bed.page);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, iommufd_map(self->iommufd, self->ioas, self->bed.memory,
				 IOVA, self->bed.page, IOAS_READ_WRITE));
}

FIXTURE_TEARDOWN(eeh)
{
	cdev_close_bed(self->cdev, &self->iommufd);
}

static long start(SELF(eeh) self, int i)
{
	struct cdev *cdev = &self->cdev[i];
	long ret = cdev_open_bound(cdev, self->bed.address[i], self->iommufd);

	if (!ret)
		ret = cdev_attach(cdev, self->ioas);
	if (!ret)
		cdev_start_dma(cdev);
	return ret;
}

static unsigned int reach(SELF(eeh) self, int i)
{
	return dma_reach(&self->cdev[i].dma, IOVA, self->bed.memory, 0, NULL);
}

/* Not before the device has a user */
TEST_F(eeh, unbound)
{
	ASSERT_EQ(0, cdev_open(&self->cdev[0], self->bed.address[0]));
	EXPECT_EQ(-EINVAL, cdev_eeh_state(&self->cdev[0]));
	EXPECT_EQ(-EINVAL, cdev_eeh(&self->cdev[0], VFIO_EEH_PE_ENABLE, NULL));
}

/* Every combination of flags */
TEST_F(eeh, flags)
{
	struct cdev *cdev = &self->cdev[0];
	const char data[FEATURE_EEH_PE_SIZE] = { VFIO_EEH_PE_ENABLE };
	const struct {
		__u32 flags;
		long ret;
	} cases[] = {
		{ 0, -EINVAL }, { PROBE, 0 }, { PROBE | GET, 0 },
		{ PROBE | SET, 0 }, { PROBE | GET | SET, 0 },
	};
	unsigned int i;

	/* The core's own answers come first */
	ASSERT_EQ(0, start(self, 0));
	EXPECT_EQ(-EINVAL, cdev_feature_eeh(cdev, GET | 1 << 19, data,
					    sizeof(data)));
	EXPECT_EQ(-EINVAL, cdev_feature_eeh(cdev, GET | SET, data,
					    sizeof(data)));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		long ret = -ENOTTY;

		if (self->enabled)
			ret = cases[i].ret;

		EXPECT_EQ(ret, cdev_feature_eeh(cdev, cases[i].flags, data,
						sizeof(data)));
		/* What is only asked for needs no argument */
		if (cases[i].flags & PROBE)
			EXPECT_EQ(ret, cdev_feature_eeh(cdev, cases[i].flags,
							data, 0));
	}
}

/* Without EEH there is nothing that could be asked or done. */
TEST_F(eeh, absent)
{
	unsigned int op;

	if (self->enabled)
		SKIP(return, "EEH");
	ASSERT_EQ(0, start(self, 0));
	EXPECT_EQ(-ENOTTY, cdev_eeh_state(&self->cdev[0]));
	for (op = 0; op < 16; op++)
		EXPECT_EQ(-ENOTTY, cdev_eeh(&self->cdev[0], op, NULL));
}

/* Wrong arguments, one by one */
TEST_F(eeh, arguments)
{
	struct cdev *cdev = &self->cdev[0];
	const __u32 state[FEATURE_EEH_PE_SIZE / 4] = { VFIO_EEH_PE_ENABLE, 1 };
	const char data[2 * FEATURE_EEH_PE_SIZE] = { VFIO_EEH_PE_ENABLE };
	struct vfio_eeh_pe_err err = {};
	struct vfio_device_feature *edge;
	size_t size;
	char *pages;
	__u32 op;

	if (!self->enabled)
		SKIP(return, "no EEH");
	ASSERT_EQ(0, start(self, 0));
	for (size = 0; size < FEATURE_EEH_PE_SIZE; size += 4) {
		EXPECT_EQ(-EINVAL, cdev_feature_eeh(cdev, GET, data, size));
		EXPECT_EQ(-EINVAL, cdev_feature_eeh(cdev, SET, data, size));
	}
	EXPECT_EQ(0, cdev_feature_eeh(cdev, GET, data, sizeof(data)));
	EXPECT_EQ(0, cdev_feature_eeh(cdev, SET, data, sizeof(data)));
	EXPECT_EQ(-EINVAL, cdev_feature_eeh(cdev, SET, state, sizeof(state)));
	EXPECT_EQ(-EINVAL, cdev_eeh(cdev, VFIO_EEH_PE_GET_STATE, NULL));
	for (op = VFIO_EEH_PE_INJECT_ERR + 1; op; op <<= 1)
		EXPECT_EQ(-EINVAL, cdev_eeh(cdev, op, NULL));
	EXPECT_EQ(-EINVAL, cdev_eeh(cdev, ~0U, NULL));

	/* Errors that there are not; the platform looks at the type */
	err.type = 2;
	EXPECT_GT(0, cdev_eeh(cdev, VFIO_EEH_PE_INJECT_ERR, &err));
	err = (struct vfio_eeh_pe_err){ .func = 20 };
	EXPECT_EQ(-EINVAL, cdev_eeh(cdev, VFIO_EEH_PE_INJECT_ERR, &err));
	err.func = ~0U;
	EXPECT_EQ(-EINVAL, cdev_eeh(cdev, VFIO_EEH_PE_INJECT_ERR, &err));

	/* An argument of which the user has but the header */
	pages = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + page_size(), page_size()));
	edge = (void *)(pages + page_size() - sizeof(*edge));
	edge->argsz = sizeof(*edge) + FEATURE_EEH_PE_SIZE;
	edge->flags = GET | FEATURE_EEH_PE;
	EXPECT_EQ(-1, ioctl(cdev->file, VFIO_DEVICE_FEATURE, edge));
	EXPECT_EQ(EFAULT, errno);
	edge->flags = SET | FEATURE_EEH_PE;
	EXPECT_EQ(-1, ioctl(cdev->file, VFIO_DEVICE_FEATURE, edge));
	EXPECT_EQ(EFAULT, errno);
	munmap(pages, page_size());
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, cdev_eeh_state(cdev));
}

/* Each operation that harms nothing, of both devices of the PE */
TEST_F(eeh, operations)
{
	static const __u32 ops[] = {
		VFIO_EEH_PE_DISABLE, VFIO_EEH_PE_ENABLE,
		VFIO_EEH_PE_UNFREEZE_IO, VFIO_EEH_PE_UNFREEZE_DMA,
		VFIO_EEH_PE_CONFIGURE,
	};
	unsigned int i, d;

	if (!self->enabled)
		SKIP(return, "no EEH");
	for (d = 0; d < 2; d++)
		ASSERT_EQ(0, start(self, d));
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		for (d = 0; d < 2; d++) {
			EXPECT_EQ(0, cdev_eeh(&self->cdev[d], ops[i], NULL));
			EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
				  cdev_eeh_state(&self->cdev[1 - d]));
		}
	EXPECT_EQ(REACHES, reach(self, 0));
	EXPECT_EQ(REACHES, reach(self, 1));
}

/* The command register is one of what a reset clears. */
static void restart(struct cdev *cdev)
{
	__u32 command = vfio_device_config_read(cdev->file, PCI_COMMAND, 2);

	vfio_device_config_write(cdev->file, PCI_COMMAND, command |
				 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

/*
 * During a reset neither DMA nor registers of the PE's devices work. Afterwards
 * the devices do their work again, and the windows have what they had. Devices
 * of another PE do not notice. What the state is meanwhile is for the transcript:
 * QEMU's bridges neither freeze a PE nor inject errors.
 */
static void recovers(struct __test_metadata *const _metadata, SELF(eeh) self,
		     __u32 how)
{
	const struct vfio_eeh_pe_err load = {
		.type = ERR_TYPE_32, .func = ERR_FUNC_LD_MEM_ADDR,
	};
	const struct vfio_eeh_pe_err write = {
		.type = ERR_TYPE_32, .func = ERR_FUNC_DMA_WR_ADDR,
	};
	struct cdev *cdev = &self->cdev[0];
	int i;

	for (i = 0; i < TESTBED_DEVICES; i++) {
		ASSERT_EQ(0, start(self, i));
		EXPECT_EQ(REACHES, reach(self, i));
	}
	EXPECT_EQ(0, cdev_eeh(cdev, VFIO_EEH_PE_ENABLE, NULL));
	cdev_eeh(cdev, VFIO_EEH_PE_INJECT_ERR, &load);
	cdev_eeh(cdev, VFIO_EEH_PE_INJECT_ERR, &write);
	transcript_see("device", "%s",
		       dma_alive(&cdev->dma) ? "answers" : "is silent");
	cdev_eeh_state(cdev);

	EXPECT_EQ(0, cdev_eeh(cdev, how, NULL));
	EXPECT_EQ(cdev_eeh_state(cdev), cdev_eeh_state(&self->cdev[1]));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, cdev_eeh_state(&self->cdev[2]));
	for (i = 0; i < 2; i++) {
		EXPECT_FALSE(dma_alive(&self->cdev[i].dma));
		EXPECT_EQ(0, reach(self, i) & REACHES);
	}
	EXPECT_EQ(REACHES, reach(self, 2));

	usleep(250 * 1000);
	EXPECT_EQ(0, cdev_eeh(cdev, VFIO_EEH_PE_RESET_DEACTIVATE, NULL));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, cdev_eeh_state(cdev));
	EXPECT_EQ(0, cdev_eeh(cdev, VFIO_EEH_PE_CONFIGURE, NULL));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, cdev_eeh_state(&self->cdev[1]));
	for (i = 0; i < 2; i++) {
		restart(&self->cdev[i]);
		EXPECT_TRUE(dma_alive(&self->cdev[i].dma));
		EXPECT_EQ(REACHES, reach(self, i));
	}
	EXPECT_EQ(0, iommufd_unmap(self->iommufd, self->ioas, IOVA,
				   self->bed.page));
	for (i = 0; i < TESTBED_DEVICES; i++)
		EXPECT_EQ(0, reach(self, i) & REACHES);
}

TEST_F(eeh, hot_reset)
{
	if (!self->enabled)
		SKIP(return, "no EEH");
	recovers(_metadata, self, VFIO_EEH_PE_RESET_HOT);
}

TEST_F(eeh, fundamental_reset)
{
	if (!self->enabled)
		SKIP(return, "no EEH");
	recovers(_metadata, self, VFIO_EEH_PE_RESET_FUNDAMENTAL);
}

/* Hot removal */

struct resets {
	pthread_t thread;
	struct cdev *cdev;
	atomic_bool end;
	atomic_uint done;
	atomic_uint again;
	atomic_uint failed;
};

static void *reset(void *arg)
{
	struct resets *resets = arg;

	while (!resets->end) {
		int ret = cdev_eeh(resets->cdev, VFIO_EEH_PE_RESET_HOT, NULL);

		if (ret == -EAGAIN)
			resets->again++;
		else if (ret)
			resets->failed++;
		if (cdev_eeh(resets->cdev, VFIO_EEH_PE_RESET_DEACTIVATE, NULL))
			resets->failed++;
		resets->done++;
	}
	return NULL;
}

static void resets_wait(const struct resets *resets, unsigned int more)
{
	const unsigned int until = resets->done + more;
	int i;

	for (i = 0; i < 300 && resets->done < until; i++)
		usleep(100 * 1000);
}

static void *unbind(void *address)
{
	__pci_unbind(address);
	return NULL;
}

/*
 * What unbinds a device has its lock while it waits for the user. A hot reset
 * needs this lock: it neither waits for it nor does without it.
 */
TEST_F(eeh, unbind_under_reset)
{
	struct resets resets = { .cdev = &self->cdev[0] };
	pthread_t thread;
	char driver[32];
	int i;

	if (!self->enabled)
		SKIP(return, "no EEH");
	transcript_mute(1);
	ASSERT_EQ(0, start(self, 0));
	VFIO_REQUIRE(!pthread_create(&resets.thread, NULL, reset, &resets),
		     "thread");
	resets_wait(&resets, 1);
	VFIO_REQUIRE(!pthread_create(&thread, NULL, unbind,
				     self->bed.address[0]), "thread");
	for (i = 0; i < 300 && !resets.again; i++)
		usleep(100 * 1000);
	EXPECT_TRUE(resets.again);
	resets.end = true;
	pthread_join(resets.thread, NULL);
	EXPECT_EQ(0, resets.failed);
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, cdev_eeh_state(&self->cdev[0]));

	cdev_close(&self->cdev[0]);
	pthread_join(thread, NULL);
	pci_driver(self->bed.address[0], driver, sizeof(driver));
	EXPECT_STREQ("", driver);
	pci_bind(self->bed.address[0], "vfio-pci");
	ASSERT_EQ(0, start(self, 0));
	EXPECT_EQ(REACHES, reach(self, 0));
	transcript_mute(0);
}

/* The other device of the PE comes and goes while the PE is reset. */
TEST_F(eeh, remove_under_reset)
{
	struct resets resets = { .cdev = &self->cdev[0] };
	int i;

	if (!self->enabled)
		SKIP(return, "no EEH");
	transcript_mute(1);
	ASSERT_EQ(0, start(self, 0));
	VFIO_REQUIRE(!pthread_create(&resets.thread, NULL, reset, &resets),
		     "thread");
	for (i = 0; i < 4; i++) {
		resets_wait(&resets, 1);
		usleep(i * 10000);
		pci_remove(self->bed.address[1]);
		resets_wait(&resets, 1);
		ASSERT_TRUE(pci_comes_back(self->bed.address[1]));
	}
	resets.end = true;
	pthread_join(resets.thread, NULL);
	EXPECT_LT(4, resets.done);
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL, cdev_eeh_state(&self->cdev[0]));
	restart(&self->cdev[0]);
	EXPECT_EQ(REACHES, reach(self, 0));
	pci_bind(self->bed.address[1], "vfio-pci");
	transcript_mute(0);
}

TEST_HARNESS_MAIN
