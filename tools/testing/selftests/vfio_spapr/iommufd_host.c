// SPDX-License-Identifier: GPL-2.0
/*
 * A group goes back from iommufd to the host: its network card, see lib/nic.h,
 * lies in the IOMMU group of the first two devices of lib/testbed.h. On
 * powernv this wants the card behind the IOMMU (iommu=nobypass).
 */
#include <endian.h>
#include <linux/iommufd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cdev.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/nested.h"
#include "lib/nic.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES		4
#define IOVA		MiB
#define REACHES		(DMA_READS | DMA_WRITES)
#define ROUNDS		50

#define TABLE		(1ULL << 40)
#define TCE_RW		3ULL

/* What the devices are attached to */
enum domain { DEFAULT, WINDOWS, NESTED };

/* How the user's time ends */
enum ending { DETACHED, CLOSED, KILLED, UNPLUGGED };

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

static void close_all(SELF(host) self)
{
	cdev_close(&self->card);
	cdev_close(&self->device);
	vfio_close(&self->iommufd);
}

FIXTURE_TEARDOWN(host)
{
	close_all(self);
}

static void start_iommufd(SELF(host) self)
{
	self->iommufd = iommufd_open();
	VFIO_REQUIRE(self->iommufd >= 0, "iommufd");
	VFIO_REQUIRE(!iommufd_ioas_alloc(self->iommufd, &self->ioas), "IOAS");
	VFIO_REQUIRE(!iommufd_map(self->iommufd, self->ioas, self->bed.memory,
				  IOVA, self->bed.page, IOAS_READ_WRITE),
		     "map");
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

/* A guest's page table, by which devices reach what the guest has at IOVA */
static __u32 guest_table(SELF(host) self)
{
	__be64 *table = (void *)(self->bed.memory + self->bed.page);
	struct nested_windows windows = { .num_windows = 1 };
	__u32 ioas, parent, hwpt;

	/* Its table fits into a page of the kernel */
	windows.windows[0].size = 2 * IOVA;
	windows.windows[0].page_shift = 12;
	windows.windows[0].table = TABLE;
	table[IOVA >> 12] = htobe64(IOVA | TCE_RW);
	VFIO_REQUIRE(!iommufd_ioas_alloc(self->iommufd, &ioas), "IOAS");
	VFIO_REQUIRE(!iommufd_map(self->iommufd, ioas, self->bed.memory, IOVA,
				  self->bed.page, IOAS_READ_WRITE), "memory");
	VFIO_REQUIRE(!iommufd_map(self->iommufd, ioas, table, TABLE,
				  self->bed.page, IOMMU_IOAS_MAP_READABLE),
		     "table");
	VFIO_REQUIRE(!iommufd_hwpt_alloc(self->iommufd, self->device.id, ioas,
					 IOMMU_HWPT_ALLOC_NEST_PARENT, &parent),
		     "parent");
	VFIO_REQUIRE(!iommufd_hwpt_alloc_nested(self->iommufd, self->device.id,
						parent, &windows, &hwpt),
		     "nested page table");
	return hwpt;
}

static void do_dma(SELF(host) self)
{
	VFIO_REQUIRE(dma_reach(&self->device.dma, IOVA, self->bed.memory, 0,
			       NULL) == REACHES, "DMA");
}

/* Both devices are attached, or go there from where they are, and one does DMA */
static void attach_both(SELF(host) self, enum domain domain)
{
	__u32 to = self->ioas;

	if (domain == WINDOWS)
		to = small_window(self);
	if (domain == NESTED)
		to = guest_table(self);
	VFIO_REQUIRE(!cdev_attach(&self->device, to), "attach the device");
	VFIO_REQUIRE(!cdev_attach(&self->card, to), "attach the card");
	do_dma(self);
}

static void use(SELF(host) self, enum domain domain)
{
	start_iommufd(self);
	VFIO_REQUIRE(!cdev_open(&self->device, self->bed.address[0]),
		     "device");
	VFIO_REQUIRE(!cdev_bind(&self->device, self->iommufd), "bind the device");
	VFIO_REQUIRE(!cdev_open(&self->card, self->nic), "card");
	VFIO_REQUIRE(!cdev_bind(&self->card, self->iommufd), "bind the card");
	cdev_start_dma(&self->device);
	vfio_device_set_bus_master(self->card.file, true);
	attach_both(self, domain);
}

static void use_until_killed(SELF(host) self, enum domain domain)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		use(self, domain);
		kill(getpid(), SIGKILL);
	}
	VFIO_REQUIRE(waitpid(pid, &status, 0) == pid &&
		     WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		     "child");
}

/* The card is unplugged, which waits for its user, and plugged in again. */
static void unplug_card(SELF(host) self)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		close_all(self);
		_exit(__pci_remove(self->nic) ? 1 : 0);
	}
	usleep(200 * 1000);
	VFIO_REQUIRE(pci_present(self->nic), "it does not wait");
	do_dma(self);
	cdev_close(&self->card);
	VFIO_REQUIRE(waitpid(pid, &status, 0) == pid && !status, "child");
	VFIO_REQUIRE(!pci_present(self->nic), "it is not unplugged");
	do_dma(self);
	close_all(self);
	VFIO_REQUIRE(pci_comes_back(self->nic), "it does not come back");
}

/* The card works for the host. Then its group is a user's. */
static void take(struct __test_metadata *const _metadata, SELF(host) self)
{
	ASSERT_TRUE(nic_start(self->nic));
	ASSERT_TRUE(nic_alive(self->nic, ROUNDS));
	pci_bind(self->nic, "vfio-pci");
}

/* The user's time ends, and the card works for the host again */
static void give_back(struct __test_metadata *const _metadata, SELF(host) self,
		      enum ending ending)
{
	if (ending == DETACHED) {
		EXPECT_EQ(0, cdev_detach(&self->card));
		EXPECT_EQ(0, cdev_detach(&self->device));
	}
	if (ending == UNPLUGGED)
		unplug_card(self);
	close_all(self);

	EXPECT_TRUE(nic_start(self->nic));
	EXPECT_TRUE(nic_alive(self->nic, ROUNDS));
}

static void back(struct __test_metadata *const _metadata, SELF(host) self,
		 enum ending ending, enum domain domain)
{
	take(_metadata, self);
	if (ending == KILLED)
		use_until_killed(self, domain);
	else
		use(self, domain);
	give_back(_metadata, self, ending);
}

TEST_F(host, detached)
{
	back(_metadata, self, DETACHED, DEFAULT);
}

TEST_F(host, closed)
{
	back(_metadata, self, CLOSED, DEFAULT);
}

TEST_F(host, killed)
{
	back(_metadata, self, KILLED, DEFAULT);
}

TEST_F(host, unplugged)
{
	back(_metadata, self, UNPLUGGED, DEFAULT);
}

/* Also with windows of the user's choice */
TEST_F(host, windows)
{
	back(_metadata, self, CLOSED, WINDOWS);
}

/* And those of a guest */
TEST_F(host, nested_detached)
{
	back(_metadata, self, DETACHED, NESTED);
}

TEST_F(host, nested_closed)
{
	back(_metadata, self, CLOSED, NESTED);
}

TEST_F(host, nested_killed)
{
	back(_metadata, self, KILLED, NESTED);
}

TEST_F(host, nested_unplugged)
{
	back(_metadata, self, UNPLUGGED, NESTED);
}

/* A user who has had each kind of page table, one in the place of the other */
TEST_F(host, replaced)
{
	take(_metadata, self);
	use(self, DEFAULT);
	attach_both(self, WINDOWS);
	attach_both(self, NESTED);
	attach_both(self, DEFAULT);
	attach_both(self, NESTED);
	attach_both(self, WINDOWS);
	give_back(_metadata, self, CLOSED);
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
