// SPDX-License-Identifier: GPL-2.0
/*
 * A group goes back from iommufd to the host: its network card, see lib/nic.h,
 * lies in the IOMMU group of the first two devices of lib/testbed.h. On
 * powernv this wants the card behind the IOMMU (iommu=nobypass).
 */
#include <linux/iommufd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/nic.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES		4
#define IOVA		MiB
#define READ_WRITE	(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define REACHES		(DMA_READS | DMA_WRITES)
#define ROUNDS		50

/* How the user's time ends */
enum ending { DETACHED, CLOSED, KILLED };

FIXTURE(host) {
	struct testbed bed;
	char nic[PCI_ADDRESS_LEN];
	int iommufd;
	__u32 ioas;
	struct cdev device;
	struct cdev card;
};

FIXTURE_SETUP(host)
{
	const char *lacking;

	TRANSCRIPT_BEGIN(_metadata, NULL);
	self->iommufd = -1;
	self->device.file = -1;
	self->card.file = -1;
	lacking = cdev_find_bed(&self->bed, DMA_NO_MEMORY);
	if (lacking)
		SKIP(return, "%s", lacking);
	if (nic_find(self->bed.iommu_group[0], self->nic))
		SKIP(return, "no network card in the group");
	testbed_take_memory(&self->bed, PAGES * self->bed.page);
}

FIXTURE_TEARDOWN(host)
{
	cdev_close(&self->card);
	cdev_close(&self->device);
	vfio_close(&self->iommufd);
}

static void start_iommufd(SELF(host) self)
{
	self->iommufd = iommufd_open();
	VFIO_REQUIRE(self->iommufd >= 0, "iommufd");
	VFIO_REQUIRE(!iommufd_ioas_alloc(self->iommufd, &self->ioas), "IOAS");
	VFIO_REQUIRE(!iommufd_map(self->iommufd, self->ioas, self->bed.memory,
				  IOVA, self->bed.page, READ_WRITE), "map");
}

/* A page table with a window of half the default size */
static __u32 small_window(SELF(host) self)
{
	struct hwpt_windows windows = { .num_windows = 1 };
	struct hw_info_windows info;
	__u32 hwpt;

	VFIO_REQUIRE(!iommufd_hw_info(self->iommufd, self->device.id, &info),
		     "info");
	windows.windows[0].start = info.window_start[0];
	windows.windows[0].size = info.default_window_size ?: GiB / 2;
	windows.windows[0].page_shift = 12;
	VFIO_REQUIRE(!iommufd_hwpt_alloc_windows(self->iommufd, self->device.id,
						 self->ioas, &windows, &hwpt),
		     "page table");
	return hwpt;
}

/* Both devices are attached, and one does DMA */
static void use(SELF(host) self, bool windows)
{
	__u32 to;

	start_iommufd(self);
	VFIO_REQUIRE(!cdev_open(&self->device, self->bed.address[0]),
		     "device");
	VFIO_REQUIRE(!cdev_bind(&self->device, self->iommufd), "bind the device");
	VFIO_REQUIRE(!cdev_open(&self->card, self->nic), "card");
	VFIO_REQUIRE(!cdev_bind(&self->card, self->iommufd), "bind the card");
	to = windows ? small_window(self) : self->ioas;
	VFIO_REQUIRE(!cdev_attach(&self->device, to), "attach the device");
	VFIO_REQUIRE(!cdev_attach(&self->card, to), "attach the card");
	cdev_start_dma(&self->device);
	vfio_device_set_bus_master(self->card.file, true);
	VFIO_REQUIRE(dma_reach(&self->device.dma, IOVA, self->bed.memory, 0,
			       NULL) == REACHES, "DMA");
}

static void use_until_killed(SELF(host) self, bool windows)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		use(self, windows);
		kill(getpid(), SIGKILL);
	}
	VFIO_REQUIRE(waitpid(pid, &status, 0) == pid &&
		     WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		     "child");
}

/* The card works for the host, then in the group of a user, then for the host */
static void back(struct __test_metadata *const _metadata, SELF(host) self,
		 enum ending ending, bool windows)
{
	ASSERT_TRUE(nic_start(self->nic));
	ASSERT_TRUE(nic_alive(self->nic, ROUNDS));
	pci_bind(self->nic, "vfio-pci");
	if (ending == KILLED)
		use_until_killed(self, windows);
	else
		use(self, windows);
	if (ending == DETACHED) {
		EXPECT_EQ(0, cdev_detach(&self->card));
		EXPECT_EQ(0, cdev_detach(&self->device));
	}
	cdev_close(&self->card);
	cdev_close(&self->device);
	vfio_close(&self->iommufd);

	EXPECT_TRUE(nic_start(self->nic));
	EXPECT_TRUE(nic_alive(self->nic, ROUNDS));
}

TEST_F(host, detached)
{
	back(_metadata, self, DETACHED, false);
}

TEST_F(host, closed)
{
	back(_metadata, self, CLOSED, false);
}

TEST_F(host, killed)
{
	back(_metadata, self, KILLED, false);
}

/* Also with windows of the user's choice */
TEST_F(host, windows)
{
	back(_metadata, self, CLOSED, true);
}

/* A group whose card the host uses is not for users, and the card goes on. */
TEST_F(host, not_owned)
{
	ASSERT_TRUE(nic_start(self->nic));
	start_iommufd(self);
	ASSERT_EQ(0, cdev_open(&self->device, self->bed.address[0]));
	EXPECT_GT(0, cdev_bind(&self->device, self->iommufd));
	EXPECT_TRUE(nic_alive(self->nic, ROUNDS));
	cdev_close(&self->device);
	EXPECT_TRUE(nic_alive(self->nic, ROUNDS));
}

TEST_HARNESS_MAIN
