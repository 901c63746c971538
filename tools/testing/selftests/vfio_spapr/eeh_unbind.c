// SPDX-License-Identifier: GPL-2.0
/*
 * A device can be unbound while VFIO_EEH_PE_OP resets its PE. Another user can use
 * the device after a user was killed during a reset.
 *
 * Unbinding holds the device's lock while it waits for its user and then while
 * the group leaves the container. If a reset waited for this lock, or if the
 * container kept what the group needs to leave, both would wait for ever.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/dma_device.h"
#include "lib/harness.h"
#include "lib/vfio_pci.h"

#define ROUNDS	3

struct resets {
	pthread_t thread;
	int container;
	atomic_bool end;
	atomic_uint done;
	atomic_uint again;
	atomic_uint failed;
};

static void resets_wait(const struct resets *resets, unsigned int more)
{
	const unsigned int until = resets->done + more;
	int i;

	for (i = 0; i < 300 && resets->done < until; i++)
		usleep(100 * 1000);
}

static long eeh_op(int container, __u32 op)
{
	struct vfio_eeh_pe_op arg = { .argsz = sizeof(arg), .op = op };
	long ret = ioctl(container, VFIO_EEH_PE_OP, &arg);

	return ret < 0 ? -errno : ret;
}

static void *reset(void *arg)
{
	struct resets *resets = arg;

	while (!resets->end) {
		switch (eeh_op(resets->container, VFIO_EEH_PE_RESET_HOT)) {
		case 0:
			resets->done++;
			break;
		case -EAGAIN:
			resets->again++;
			break;
		default:
			resets->failed++;
		}
		eeh_op(resets->container, VFIO_EEH_PE_RESET_DEACTIVATE);
	}
	return NULL;
}

static void *unbind(void *address)
{
	__pci_unbind(address);
	return NULL;
}

FIXTURE(eeh_unbind) {
	char address[PCI_ADDRESS_LEN];
	struct vfio_pci pci;
};

FIXTURE_SETUP(eeh_unbind)
{
	if (dma_device_find(0, 0, self->address))
		SKIP(return, "no device");
	self->pci = (struct vfio_pci){ .container = -1, .group = -1,
				       .device = -1 };
	pci_bind(self->address, "vfio-pci");
}

FIXTURE_TEARDOWN(eeh_unbind)
{
	vfio_pci_close(&self->pci);
}

TEST_F_TIMEOUT(eeh_unbind, while_reset, 100)
{
	const __u16 id = pci_vendor(self->address);

	for (int i = 0; i < ROUNDS; i++) {
		struct resets resets = { .end = false };

		vfio_pci_open_group(&self->pci, self->address,
				    VFIO_SPAPR_TCE_v2_IOMMU);
		if (ioctl(self->pci.container, VFIO_CHECK_EXTENSION,
			  VFIO_EEH) <= 0)
			SKIP(return, "no EEH");
		resets.container = self->pci.container;
		VFIO_REQUIRE(!pthread_create(&resets.thread, NULL, reset,
					     &resets), "thread");
		while (!resets.done)
			usleep(1000);
		pci_unbind(self->address);
		/* The group has left */
		EXPECT_EQ(-EINVAL, eeh_op(self->pci.container,
					  VFIO_EEH_PE_GET_STATE));
		resets.end = true;
		pthread_join(resets.thread, NULL);
		EXPECT_EQ(id, pci_vendor(self->address));

		vfio_pci_close(&self->pci);
		pci_bind(self->address, "vfio-pci");
	}

	/* The next user can do the same */
	vfio_pci_open_group(&self->pci, self->address,
			    VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_EQ(0, eeh_op(self->pci.container, VFIO_EEH_PE_RESET_DEACTIVATE));
	EXPECT_EQ(0, eeh_op(self->pci.container, VFIO_EEH_PE_CONFIGURE));
}

/*
 * With the device open, unbinding holds its lock until the user closes it: a hot
 * reset neither waits for the lock nor does without it. What the user has begun
 * does not stay when the device is closed.
 */
TEST_F_TIMEOUT(eeh_unbind, while_open, 100)
{
	const __u16 id = pci_vendor(self->address);
	struct resets resets = { .end = false };
	pthread_t thread;
	int i;

	vfio_pci_open(&self->pci, self->address, VFIO_SPAPR_TCE_v2_IOMMU);
	if (ioctl(self->pci.container, VFIO_CHECK_EXTENSION, VFIO_EEH) <= 0)
		SKIP(return, "no EEH");
	resets.container = self->pci.container;
	VFIO_REQUIRE(!pthread_create(&resets.thread, NULL, reset, &resets),
		     "thread");
	resets_wait(&resets, 1);
	VFIO_REQUIRE(!pthread_create(&thread, NULL, unbind, self->address),
		     "thread");
	for (i = 0; i < 300 && !resets.again; i++)
		usleep(100 * 1000);
	EXPECT_TRUE(resets.again);
	resets.end = true;
	pthread_join(resets.thread, NULL);
	EXPECT_FALSE(resets.failed);

	EXPECT_EQ(-EAGAIN, eeh_op(self->pci.container, VFIO_EEH_PE_RESET_HOT));
	vfio_pci_close(&self->pci);
	pthread_join(thread, NULL);
	EXPECT_EQ(id, pci_vendor(self->address));
	pci_bind(self->address, "vfio-pci");
}

struct device_resets {
	pthread_t thread;
	int device;
	atomic_bool end;
	atomic_uint done;
};

static void *reset_device(void *arg)
{
	struct device_resets *resets = arg;

	while (!resets->end) {
		if (!ioctl(resets->device, VFIO_DEVICE_RESET))
			resets->done++;
		/* Longer than between the kernel's tries for the lock */
		usleep(300 * 1000);
	}
	return NULL;
}

/* Both resets lock the device: one of them waits or fails, and none is lost. */
TEST_F_TIMEOUT(eeh_unbind, while_device_reset, 100)
{
	const __u16 id = pci_vendor(self->address);
	struct device_resets device = { .end = false };
	struct resets resets = { .end = false };

	vfio_pci_open(&self->pci, self->address, VFIO_SPAPR_TCE_v2_IOMMU);
	if (ioctl(self->pci.container, VFIO_CHECK_EXTENSION, VFIO_EEH) <= 0)
		SKIP(return, "no EEH");
	if (ioctl(self->pci.device, VFIO_DEVICE_RESET))
		SKIP(return, "the device cannot be reset");
	resets.container = self->pci.container;
	device.device = self->pci.device;
	VFIO_REQUIRE(!pthread_create(&device.thread, NULL, reset_device,
				     &device), "thread");
	VFIO_REQUIRE(!pthread_create(&resets.thread, NULL, reset, &resets),
		     "thread");
	resets_wait(&resets, 2);
	resets.end = true;
	pthread_join(resets.thread, NULL);
	/* Its turn may come only when the other has ended */
	for (int i = 0; i < 300 && !device.done; i++)
		usleep(100000);
	device.end = true;
	pthread_join(device.thread, NULL);

	EXPECT_LT(0, resets.done);
	EXPECT_EQ(0, resets.failed);
	EXPECT_LT(0, device.done);
	EXPECT_EQ(id, pci_vendor(self->address));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
		  eeh_op(self->pci.container, VFIO_EEH_PE_GET_STATE));
}

static void reset_and_wait(struct vfio_pci *pci, const char *address, bool open,
			   int ready)
{
	char result;

	if (open)
		vfio_pci_open(pci, address, VFIO_SPAPR_TCE_v2_IOMMU);
	else
		vfio_pci_open_group(pci, address, VFIO_SPAPR_TCE_v2_IOMMU);
	if (ioctl(pci->container, VFIO_CHECK_EXTENSION, VFIO_EEH) <= 0)
		result = 's';
	else
		result = eeh_op(pci->container, VFIO_EEH_PE_RESET_HOT) ?
			 'f' : 'r';
	if (write(ready, &result, 1) == 1)
		pause();
	_exit(1);
}

/* A user is killed between the two calls of a reset. */
static void kill_in_reset(struct __test_metadata *_metadata, SELF(eeh_unbind) self,
			  bool open)
{
	const __u16 id = pci_vendor(self->address);
	char result = 0;
	int ready[2];
	pid_t user;

	ASSERT_EQ(0, pipe(ready));
	user = fork();
	if (!user)
		reset_and_wait(&self->pci, self->address, open, ready[1]);
	close(ready[1]);
	VFIO_REQUIRE(read(ready[0], &result, 1) == 1, "the user has ended");
	close(ready[0]);
	if (result == 'r')
		EXPECT_NE(id, pci_vendor(self->address));
	kill(user, SIGKILL);
	waitpid(user, NULL, 0);
	if (result == 's')
		SKIP(return, "no EEH");

	ASSERT_EQ('r', result);
	EXPECT_EQ(id, pci_vendor(self->address));
	vfio_pci_open(&self->pci, self->address, VFIO_SPAPR_TCE_v2_IOMMU);
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
		  eeh_op(self->pci.container, VFIO_EEH_PE_GET_STATE));
}

TEST_F_TIMEOUT(eeh_unbind, killed_in_reset, 100)
{
	kill_in_reset(_metadata, self, true);
}

TEST_F_TIMEOUT(eeh_unbind, killed_in_reset_of_group, 100)
{
	kill_in_reset(_metadata, self, false);
}

static void *reset_once(void *arg)
{
	struct resets *resets = arg;

	if (!eeh_op(resets->container, VFIO_EEH_PE_RESET_FUNDAMENTAL))
		resets->done++;
	resets->end = true;
	return NULL;
}

/* Begin a reset, and wait until it is held or, before that was seen, over. */
static bool reset_begin(struct resets *resets, const char *address)
{
	const __u16 id = pci_vendor(address);

	resets->end = false;
	resets->done = 0;
	VFIO_REQUIRE(!pthread_create(&resets->thread, NULL, reset_once, resets),
		     "thread");
	/* The configuration space is blocked first, then the reset is held */
	while (pci_vendor(address) == id && !resets->end)
		usleep(1000);
	if (!resets->end)
		return true;

	pthread_join(resets->thread, NULL);
	VFIO_REQUIRE(resets->done, "reset");
	eeh_op(resets->container, VFIO_EEH_PE_RESET_DEACTIVATE);
	return false;
}

/* The next user of a PE must not see a reset that the former one asked for. */
TEST_F_TIMEOUT(eeh_unbind, leaves_after_reset, 100)
{
	const __u16 id = pci_vendor(self->address);
	struct resets resets = { .end = false };

	vfio_pci_open_group(&self->pci, self->address,
			    VFIO_SPAPR_TCE_v2_IOMMU);
	if (ioctl(self->pci.container, VFIO_CHECK_EXTENSION, VFIO_EEH) <= 0)
		SKIP(return, "no EEH");
	resets.container = self->pci.container;
	do {
		ASSERT_EQ(id, pci_vendor(self->address));
	} while (!reset_begin(&resets, self->address));

	EXPECT_EQ(0, ioctl(self->pci.group, VFIO_GROUP_UNSET_CONTAINER));
	/* Its thread is on the way back to user space, which takes no time */
	usleep(500 * 1000);
	EXPECT_TRUE(resets.end);
	EXPECT_EQ(id, pci_vendor(self->address));

	pthread_join(resets.thread, NULL);
	EXPECT_EQ(1, resets.done);
}

TEST_HARNESS_MAIN
