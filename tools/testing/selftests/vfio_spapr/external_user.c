// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contract of the external user API (vfio_external_user.h): who gets a group,
 * what stays while it is held, and that revocation comes before the release.
 *
 * The module external_user_test is the external user, each open file of it is
 * one.  The module noiommu_device, loaded with VFIO's parameter
 * enable_unsafe_noiommu_mode set, is the device without IOMMU.  The PCI
 * function under test is e1000e or edu, whichever is found first, or the one
 * named by VFIO_SPAPR_DEVICES; no other function of its IOMMU group may have a
 * driver.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/vfio_pci.h"
#include "modules/external_user_test.h"

/* Long enough for what comes too early to show. */
#define DELAY_MS	300

static char address[PCI_ADDRESS_LEN];

static int __find_e1000e(unsigned int nth, char found[PCI_ADDRESS_LEN])
{
	return __pci_find(0x8086, 0x10d3, nth, found);
}

static int __find_edu(unsigned int nth, char found[PCI_ADDRESS_LEN])
{
	return __pci_find(0x1234, 0x11e8, nth, found);
}

/* The external user */

static int user_open(void)
{
	int fd = open("/dev/" EXTERNAL_USER_TEST_NAME, O_RDWR | O_CLOEXEC);

	VFIO_REQUIRE(fd >= 0, "open an external user");
	return fd;
}

static int user_ioctl(int user, unsigned long cmd, void *arg)
{
	int ret = ioctl(user, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static int __user_get(int user, int file)
{
	return user_ioctl(user, EXTERNAL_USER_GET, &file);
}

static void user_get(int user, int file)
{
	int err = __user_get(user, file);

	VFIO_REQUIRE(!err, "get: %d", err);
}

static int __user_put(int user)
{
	return user_ioctl(user, EXTERNAL_USER_PUT, NULL);
}

static void user_put(int user)
{
	int err = __user_put(user);

	VFIO_REQUIRE(!err, "put: %d", err);
}

static int user_iommu_id(int user)
{
	return user_ioctl(user, EXTERNAL_USER_IOMMU_ID, NULL);
}

static int __user_register(int user, struct external_user_callback callback)
{
	return user_ioctl(user, EXTERNAL_USER_REGISTER, &callback);
}

static void user_register(int user, struct external_user_callback callback)
{
	int err = __user_register(user, callback);

	VFIO_REQUIRE(!err, "register: %d", err);
}

/* What callbacks do */
static const struct external_user_callback nothing;
static const struct external_user_callback delay = { .delay_ms = DELAY_MS };
static const struct external_user_callback hold = { .hold = true };
static const struct external_user_callback put = { .put = true };

static void user_unregister(int user)
{
	int err = user_ioctl(user, EXTERNAL_USER_UNREGISTER, NULL);

	VFIO_REQUIRE(!err, "unregister: %d", err);
}

static struct external_user_report user_report(int user)
{
	struct external_user_report report;
	int err = user_ioctl(user, EXTERNAL_USER_REPORT, &report);

	VFIO_REQUIRE(!err, "report: %d", err);
	return report;
}

/* A user that holds and is registered, all in one. */
static int user_of_group(int group, struct external_user_callback callback)
{
	int user = user_open();

	user_get(user, group);
	user_register(user, callback);
	return user;
}

/* Returns when a callback that holds has begun. */
static void user_wait_for_callback(int user)
{
	while (!user_report(user).begin_seq)
		usleep(1000);
}

static void user_release(int user)
{
	int err = user_ioctl(user, EXTERNAL_USER_RELEASE, NULL);

	VFIO_REQUIRE(!err, "release: %d", err);
}

/* Tries one get and undoes it. */
static int __get_once(int file)
{
	int user = user_open();
	int err = __user_get(user, file);

	close(user);
	return err;
}

/* Something that goes on in another thread */

struct background {
	pthread_t thread;
	atomic_bool done;
	int err;
};

static void *background_unbind(void *arg)
{
	struct background *b = arg;

	b->err = __pci_unbind(address);
	b->done = true;
	return NULL;
}

static void *background_remove(void *arg)
{
	struct background *b = arg;

	b->err = __pci_remove(address);
	b->done = true;
	return NULL;
}

static void background_start(struct background *b, void *(*fn)(void *))
{
	b->done = false;
	VFIO_REQUIRE(!pthread_create(&b->thread, NULL, fn, b), "thread");
}

static void background_join(struct background *b)
{
	pthread_join(b->thread, NULL);
	VFIO_REQUIRE(!b->err, "in the background: %d", b->err);
}

static void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

/* What keeps the memory of the process locked: KiB, by the kernel's account. */
static unsigned long locked_kib(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");

	VFIO_REQUIRE(f, "status");
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmLck: %lu kB", &kib);
	fclose(f);
	return kib;
}

FIXTURE(external_user)
{
	struct vfio_pci pci;
	int user;
};

FIXTURE_VARIANT(external_user)
{
	unsigned int iommu;
};

FIXTURE_VARIANT_ADD(external_user, v1)
{
	.iommu = VFIO_SPAPR_TCE_IOMMU,
};

FIXTURE_VARIANT_ADD(external_user, v2)
{
	.iommu = VFIO_SPAPR_TCE_v2_IOMMU,
};

/* One 64 KiB page is locked, and the IOMMU holds it. */
static void lock_memory(struct vfio_pci *pci, unsigned int iommu)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.size = 0x10000,
	};

	if (iommu == VFIO_SPAPR_TCE_IOMMU) {
		VFIO_REQUIRE(!ioctl(pci->container, VFIO_IOMMU_ENABLE),
			     "enable");
		return;
	}

	reg.vaddr = (__u64)mmap(NULL, reg.size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	VFIO_REQUIRE(!ioctl(pci->container, VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
			    &reg), "register memory");
}

FIXTURE_SETUP(external_user)
{
	/* The group is ready, its device not open. */
	vfio_pci_open_group(&self->pci, address, variant->iommu);
	self->user = user_open();
}

FIXTURE_TEARDOWN(external_user)
{
	vfio_close(&self->user);
	vfio_pci_close(&self->pci);
}

/* Who gets a group */

TEST_F(external_user, not_a_vfio_file)
{
	int files[] = {
		open("/dev/null", O_RDWR),
		eventfd(0, 0),
		self->user,
		self->pci.container,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_LE(0, files[i]);
		EXPECT_EQ(-EINVAL, __user_get(self->user, files[i]));
	}
}

TEST_F(external_user, device_file)
{
	self->pci.device = vfio_device_open(self->pci.group, address);
	EXPECT_EQ(-EINVAL, __user_get(self->user, self->pci.device));
}

TEST_F(external_user, group_without_container)
{
	vfio_group_unset_container(self->pci.group);
	EXPECT_EQ(-EINVAL, __user_get(self->user, self->pci.group));
}

TEST_F(external_user, container_without_iommu)
{
	int other = vfio_container_open();

	vfio_group_unset_container(self->pci.group);
	vfio_group_set_container(self->pci.group, other);
	EXPECT_EQ(-EINVAL, __user_get(self->user, self->pci.group));

	vfio_container_set_iommu(other, variant->iommu);
	EXPECT_EQ(0, __user_get(self->user, self->pci.group));
	user_put(self->user);
	close(other);
}

TEST_F(external_user, ready)
{
	EXPECT_EQ(-ENOENT, user_iommu_id(self->user));
	ASSERT_EQ(0, __user_get(self->user, self->pci.group));
	EXPECT_EQ(self->pci.iommu_group, user_iommu_id(self->user));
	EXPECT_EQ(0, __user_put(self->user));
	EXPECT_EQ(0, __user_get(self->user, self->pci.group));
}

TEST_F(external_user, ready_twice)
{
	int second = user_open();

	user_get(self->user, self->pci.group);
	ASSERT_EQ(0, __user_get(second, self->pci.group));
	EXPECT_EQ(self->pci.iommu_group, user_iommu_id(second));

	/* One put is not the other's. */
	user_put(self->user);
	EXPECT_EQ(self->pci.iommu_group, user_iommu_id(second));
	EXPECT_EQ(-EBUSY, __vfio_group_unset_container(self->pci.group));
	user_put(second);
	EXPECT_EQ(0, __vfio_group_unset_container(self->pci.group));
	close(second);
}

TEST_F(external_user, iommufd)
{
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (iommufd < 0)
		SKIP(return, "no iommufd");

	vfio_group_unset_container(self->pci.group);
	vfio_group_set_container(self->pci.group, iommufd);
	EXPECT_NE(0, vfio_group_flags(self->pci.group) &
		     VFIO_GROUP_FLAGS_CONTAINER_SET);
	EXPECT_EQ(-EINVAL, __user_get(self->user, self->pci.group));
	EXPECT_EQ(0, __vfio_group_unset_container(self->pci.group));
	close(iommufd);
}

/* The file of a device is no group's, where kernels have such files. */
TEST_F(external_user, device_cdev)
{
	glob_t found = { 0 };
	int cdev;

	if (glob("/dev/vfio/devices/vfio*", 0, NULL, &found)) {
		EXPECT_NE(0, access("/dev/vfio/devices", F_OK));
		return;
	}

	cdev = open(found.gl_pathv[0], O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, cdev);
	EXPECT_EQ(-EINVAL, __user_get(self->user, cdev));
	close(cdev);
	globfree(&found);
}

/* What stays while a group is held */

TEST_F(external_user, one_opener)
{
	EXPECT_EQ(-EBUSY, __vfio_group_open(self->pci.iommu_group));
	user_get(self->user, self->pci.group);
	EXPECT_EQ(-EBUSY, __vfio_group_open(self->pci.iommu_group));

	/* Closed, but held: the opener it had is the one it has. */
	vfio_close(&self->pci.group);
	EXPECT_EQ(-EBUSY, __vfio_group_open(self->pci.iommu_group));

	user_put(self->user);
	self->pci.group = __vfio_group_open(self->pci.iommu_group);
	EXPECT_LE(0, self->pci.group);
	EXPECT_EQ(-EBUSY, __vfio_group_open(self->pci.iommu_group));
}

TEST_F(external_user, unset_container_while_held)
{
	user_get(self->user, self->pci.group);
	EXPECT_EQ(-EBUSY, __vfio_group_unset_container(self->pci.group));
	EXPECT_EQ(self->pci.iommu_group, user_iommu_id(self->user));
	user_put(self->user);
	EXPECT_EQ(0, __vfio_group_unset_container(self->pci.group));
	EXPECT_EQ(-EINVAL, __user_get(self->user, self->pci.group));
}

TEST_F(external_user, files_closed_while_held)
{
	unsigned long before = locked_kib(), during;

	lock_memory(&self->pci, variant->iommu);
	during = locked_kib();
	ASSERT_LT(before, during);

	user_get(self->user, self->pci.group);
	vfio_pci_close(&self->pci);
	EXPECT_EQ(during, locked_kib());
	EXPECT_EQ(self->pci.iommu_group, user_iommu_id(self->user));

	user_put(self->user);
	EXPECT_GT(during, locked_kib());
}

enum { PUT, GROUP, CONTAINER, DEVICE, STEPS };

static void close_in_order(struct __test_metadata *_metadata,
			   unsigned int iommu, const int *order)
{
	unsigned long before = locked_kib(), during;
	int user = user_open(), group, i;
	struct vfio_pci pci;

	vfio_pci_open(&pci, address, iommu);
	lock_memory(&pci, iommu);
	user_get(user, pci.group);
	during = locked_kib();
	EXPECT_LT(before, during);

	for (i = 0; i < STEPS; i++) {
		/* Until the last step something holds it all together. */
		EXPECT_EQ(-EBUSY, __vfio_group_open(pci.iommu_group));
		EXPECT_EQ(during, locked_kib());

		switch (order[i]) {
		case PUT:
			user_put(user);
			break;
		case GROUP:
			vfio_close(&pci.group);
			break;
		case CONTAINER:
			vfio_close(&pci.container);
			break;
		case DEVICE:
			vfio_close(&pci.device);
			break;
		}

		/* The container's own file is not what keeps the group. */
		if (!(pci.group >= 0 || pci.device >= 0 ||
		      user_iommu_id(user) >= 0))
			break;
	}

	group = __vfio_group_open(pci.iommu_group);
	EXPECT_LE(0, group);
	EXPECT_GT(during, locked_kib());
	close(group);
	vfio_pci_close(&pci);
	close(user);
}

TEST_F(external_user, put_in_every_order)
{
	int a, b, c;

	vfio_pci_close(&self->pci);
	for (a = 0; a < STEPS; a++) {
		for (b = 0; b < STEPS; b++) {
			for (c = 0; c < STEPS; c++) {
				int order[] = { a, b, c, 6 - a - b - c };

				if (a == b || b == c || a == c)
					continue;
				close_in_order(_metadata, variant->iommu,
					       order);
			}
		}
	}
}

/* Revocation */

static void expect_revoked_in_order(struct __test_metadata *_metadata, int user)
{
	struct external_user_report report = user_report(user);

	EXPECT_EQ(1, report.calls);
	EXPECT_LT(0, report.begin_seq);
	EXPECT_LT(report.begin_seq, report.end_seq);
	EXPECT_LT(report.end_seq, report.unbound_seq);
	EXPECT_EQ(1, report.owned);
	EXPECT_EQ(-ENODEV, report.id);
}

/* After revocation the group answers errors, and can still be put. */
static void expect_revoked(struct __test_metadata *_metadata,
			   const struct vfio_pci *pci, int user)
{
	if (pci->group >= 0)
		EXPECT_EQ(-EINVAL, __get_once(pci->group));
	EXPECT_EQ(-ENODEV, user_iommu_id(user));
	EXPECT_EQ(0, __user_put(user));
}

TEST_F(external_user, unbind_while_held)
{
	user_get(self->user, self->pci.group);
	user_register(self->user, delay);
	pci_unbind(address);

	expect_revoked_in_order(_metadata, self->user);
	expect_revoked(_metadata, &self->pci, self->user);
}

TEST_F(external_user, unbind_while_held_and_closed)
{
	user_get(self->user, self->pci.group);
	user_register(self->user, delay);
	vfio_pci_close(&self->pci);
	pci_unbind(address);

	expect_revoked_in_order(_metadata, self->user);
	expect_revoked(_metadata, &self->pci, self->user);
}

TEST_F(external_user, unbind_with_device_open)
{
	struct background unbind;

	self->pci.device = vfio_device_open(self->pci.group, address);
	user_get(self->user, self->pci.group);
	user_register(self->user, nothing);

	/* The driver waits for user space, and so does the revocation. */
	background_start(&unbind, background_unbind);
	sleep_ms(DELAY_MS);
	EXPECT_FALSE(unbind.done);
	EXPECT_EQ(0, user_report(self->user).calls);
	EXPECT_EQ(self->pci.iommu_group, user_iommu_id(self->user));

	vfio_close(&self->pci.device);
	background_join(&unbind);
	expect_revoked_in_order(_metadata, self->user);
	expect_revoked(_metadata, &self->pci, self->user);
}

TEST_F(external_user, unplug_while_held)
{
	user_get(self->user, self->pci.group);
	user_register(self->user, delay);
	pci_remove(address);

	EXPECT_FALSE(pci_present(address));
	expect_revoked_in_order(_metadata, self->user);
	expect_revoked(_metadata, &self->pci, self->user);
	vfio_pci_close(&self->pci);
	EXPECT_TRUE(pci_comes_back(address));
}

TEST_F(external_user, unplug_with_device_open)
{
	struct background unplug;

	self->pci.device = vfio_device_open(self->pci.group, address);
	user_get(self->user, self->pci.group);
	user_register(self->user, nothing);

	background_start(&unplug, background_remove);
	sleep_ms(DELAY_MS);
	EXPECT_FALSE(unplug.done);
	EXPECT_EQ(0, user_report(self->user).calls);

	vfio_close(&self->pci.device);
	background_join(&unplug);
	expect_revoked_in_order(_metadata, self->user);
	expect_revoked(_metadata, &self->pci, self->user);
	vfio_pci_close(&self->pci);
	EXPECT_TRUE(pci_comes_back(address));
}

TEST_F(external_user, two_users_revoked)
{
	int first = user_of_group(self->pci.group, delay);
	int second = user_of_group(self->pci.group, delay);
	struct external_user_report a, b;

	/* A third one holds, and has not asked to be told. */
	user_get(self->user, self->pci.group);
	pci_unbind(address);

	a = user_report(first);
	b = user_report(second);
	expect_revoked_in_order(_metadata, first);
	expect_revoked_in_order(_metadata, second);
	EXPECT_EQ(0, user_report(self->user).calls);
	EXPECT_TRUE(a.end_seq < b.begin_seq || b.end_seq < a.begin_seq);

	expect_revoked(_metadata, &self->pci, first);
	expect_revoked(_metadata, &self->pci, self->user);
	expect_revoked(_metadata, &self->pci, second);
	close(first);
	close(second);
}

TEST_F(external_user, put_in_callback)
{
	user_get(self->user, self->pci.group);
	user_register(self->user, put);
	vfio_pci_close(&self->pci);
	pci_unbind(address);

	expect_revoked_in_order(_metadata, self->user);
	EXPECT_EQ(-ENOENT, __user_put(self->user));
}

TEST_F(external_user, unregister_before_revocation)
{
	user_get(self->user, self->pci.group);
	user_register(self->user, nothing);
	user_unregister(self->user);
	pci_unbind(address);

	EXPECT_EQ(0, user_report(self->user).calls);
	expect_revoked(_metadata, &self->pci, self->user);
}

TEST_F(external_user, unregister_after_revocation)
{
	user_get(self->user, self->pci.group);
	user_register(self->user, nothing);
	pci_unbind(address);

	user_unregister(self->user);
	EXPECT_EQ(1, user_report(self->user).calls);
	expect_revoked(_metadata, &self->pci, self->user);
}

static void *release_later(void *arg)
{
	sleep_ms(DELAY_MS);
	user_release(*(int *)arg);
	return NULL;
}

TEST_F(external_user, unregister_waits_for_callback)
{
	struct background unbind;
	pthread_t later;

	user_get(self->user, self->pci.group);
	user_register(self->user, hold);
	background_start(&unbind, background_unbind);
	user_wait_for_callback(self->user);
	EXPECT_EQ(0, user_report(self->user).calls);

	ASSERT_EQ(0, pthread_create(&later, NULL, release_later, &self->user));
	user_unregister(self->user);
	EXPECT_EQ(1, user_report(self->user).calls);

	pthread_join(later, NULL);
	background_join(&unbind);
	expect_revoked(_metadata, &self->pci, self->user);
}

/* While the callback runs, no new user gets the group and none detaches it. */
TEST_F(external_user, calls_during_callback)
{
	struct background unbind;

	user_get(self->user, self->pci.group);
	user_register(self->user, hold);
	background_start(&unbind, background_unbind);
	user_wait_for_callback(self->user);

	EXPECT_EQ(-EINVAL, __get_once(self->pci.group));
	EXPECT_EQ(-ENODEV, user_iommu_id(self->user));
	EXPECT_EQ(-EBUSY, __vfio_group_unset_container(self->pci.group));
	EXPECT_FALSE(unbind.done);
	EXPECT_EQ(0, user_report(self->user).calls);

	user_release(self->user);
	background_join(&unbind);
	EXPECT_EQ(1, user_report(self->user).calls);
	EXPECT_EQ(-EINVAL, __vfio_group_unset_container(self->pci.group));
	expect_revoked(_metadata, &self->pci, self->user);
}

TEST_F(external_user, register_after_revocation)
{
	user_get(self->user, self->pci.group);
	pci_unbind(address);
	EXPECT_EQ(-ENODEV, __user_register(self->user, nothing));
	EXPECT_EQ(0, user_report(self->user).calls);
	expect_revoked(_metadata, &self->pci, self->user);
}

/* The group that the driver makes when it comes back is another one. */
TEST_F(external_user, bound_again_while_held)
{
	int user = user_open();
	struct vfio_pci again;

	user_get(self->user, self->pci.group);
	user_register(self->user, nothing);
	pci_unbind(address);

	vfio_pci_open(&again, address, variant->iommu);
	EXPECT_EQ(self->pci.iommu_group, again.iommu_group);
	EXPECT_EQ(0, __user_get(user, again.group));
	EXPECT_EQ(again.iommu_group, user_iommu_id(user));

	/* The end of the old one does not touch it. */
	expect_revoked(_metadata, &self->pci, self->user);
	vfio_pci_close(&self->pci);
	EXPECT_EQ(again.iommu_group, user_iommu_id(user));
	vfio_close(&again.device);
	EXPECT_EQ(-EBUSY, __vfio_group_unset_container(again.group));
	user_put(user);
	EXPECT_EQ(0, __vfio_group_unset_container(again.group));
	vfio_pci_close(&again);
	close(user);
}

/* Races */

struct changer {
	pthread_t thread;
	struct vfio_pci *pci;
	unsigned int iommu;
	atomic_bool stop;
	atomic_ulong rounds;
	unsigned long busy;
};

static void *set_and_unset(void *arg)
{
	struct changer *c = arg;
	int err;

	while (!c->stop) {
		err = __vfio_group_unset_container(c->pci->group);
		if (err == -EBUSY) {
			c->busy++;
			continue;
		}
		VFIO_REQUIRE(!err, "unset: %d", err);
		vfio_group_set_container(c->pci->group, c->pci->container);
		vfio_container_set_iommu(c->pci->container, c->iommu);
		c->rounds++;
		/* Time for some gets that succeed. */
		usleep(100);
	}
	return NULL;
}

TEST_F_TIMEOUT(external_user, get_against_set_and_unset, 600)
{
	struct changer changer = {
		.pci = &self->pci,
		.iommu = variant->iommu,
	};
	unsigned long held = 0, refused = 0;

	ASSERT_EQ(0, pthread_create(&changer.thread, NULL, set_and_unset,
				    &changer));

	/* Both must have been seen often for the race to have been one. */
	while (held < 10000 || !refused || changer.rounds < 50) {
		int err = __user_get(self->user, self->pci.group);

		if (err) {
			ASSERT_EQ(-EINVAL, err);
			refused++;
			continue;
		}
		held++;
		ASSERT_EQ(self->pci.iommu_group, user_iommu_id(self->user));
		user_put(self->user);
	}

	changer.stop = true;
	pthread_join(changer.thread, NULL);
	TH_LOG("held %lu times, refused %lu times; unset %lu times, busy %lu",
	       held, refused, changer.rounds, changer.busy);
	EXPECT_EQ(0, __vfio_group_unset_container(self->pci.group));
}

struct registrar {
	pthread_t thread;
	int group;
	atomic_bool stop;
	atomic_ulong rounds;
};

static void *register_and_unregister(void *arg)
{
	struct registrar *r = arg;
	int user = user_open();

	while (!r->stop) {
		if (__user_get(user, r->group))
			continue;
		/* Refused once the group is revoked; the put never is. */
		__user_register(user, nothing);
		user_put(user);
		r->rounds++;
	}
	close(user);
	return NULL;
}

TEST_F_TIMEOUT(external_user, register_against_unbind, 600)
{
	int i;

	for (i = 0; i < 20; i++) {
		struct registrar registrar = { .group = self->pci.group };
		struct external_user_report report;

		user_get(self->user, self->pci.group);
		user_register(self->user, nothing);
		ASSERT_EQ(0, pthread_create(&registrar.thread, NULL,
					    register_and_unregister,
					    &registrar));
		while (!registrar.rounds)
			usleep(1000);
		pci_unbind(address);
		registrar.stop = true;
		pthread_join(registrar.thread, NULL);

		report = user_report(self->user);
		EXPECT_EQ(i + 1, report.calls);
		EXPECT_EQ(1, report.owned);
		user_put(self->user);
		vfio_pci_close(&self->pci);
		vfio_pci_open_group(&self->pci, address, variant->iommu);
	}
}

/* Modules */

/* The count of users that lsmod shows, or -1 for what is built in. */
static int module_users(const char *name)
{
	char path[128];
	int users = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &users) != 1)
		users = -1;
	fclose(f);
	return users;
}

TEST_F(external_user, modules_stay_while_held)
{
	int vfio = module_users("vfio");
	int backend = module_users("vfio_iommu_spapr_tce");

	if (vfio < 0 || backend < 0)
		SKIP(return, "VFIO is built in");

	user_get(self->user, self->pci.group);
	vfio_pci_close(&self->pci);
	/* Of the two files that had vfio, the group's is left. */
	EXPECT_EQ(vfio - 1, module_users("vfio"));
	EXPECT_EQ(backend, module_users("vfio_iommu_spapr_tce"));
	EXPECT_GT(0, __module_unload("vfio"));
	EXPECT_GT(0, __module_unload("vfio_iommu_spapr_tce"));

	user_put(self->user);
	EXPECT_GT(vfio - 1, module_users("vfio"));
	EXPECT_EQ(backend - 1, module_users("vfio_iommu_spapr_tce"));
}

/* The group of a device that has no IOMMU is ready, and is refused. */
TEST(noiommu_group)
{
	int user = user_open(), container, group;
	glob_t found = { 0 };

	if (glob("/dev/vfio/noiommu-*", 0, NULL, &found))
		SKIP(return, "no device without IOMMU");

	group = open(found.gl_pathv[0], O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, group);
	container = vfio_container_open();
	EXPECT_EQ(0, __vfio_group_set_container(group, container));
	EXPECT_EQ(0, __vfio_container_set_iommu(container,
						VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EINVAL, __user_get(user, group));

	close(group);
	close(container);
	close(user);
	globfree(&found);
}

/* Two functions share a group: it goes with the second. */
TEST(last_of_two_devices)
{
	char first[PCI_ADDRESS_LEN], second[PCI_ADDRESS_LEN];
	struct vfio_pci pci;
	int user;

	if (__find_edu(0, first) || __find_edu(1, second) ||
	    pci_iommu_group(first) != pci_iommu_group(second))
		SKIP(return, "no two edu in one IOMMU group");

	pci_bind(second, "vfio-pci");
	vfio_pci_open_group(&pci, first, VFIO_SPAPR_TCE_v2_IOMMU);
	user = user_of_group(pci.group, nothing);

	pci_unbind(first);
	EXPECT_EQ(0, user_report(user).calls);
	EXPECT_EQ(pci.iommu_group, user_iommu_id(user));
	EXPECT_EQ(0, __get_once(pci.group));

	pci_unbind(second);
	expect_revoked_in_order(_metadata, user);
	expect_revoked(_metadata, &pci, user);
	vfio_pci_close(&pci);
	close(user);
}

static bool find_function(void)
{
	if (pci_are_named())
		return !__pci_named(0, address) && pci_present(address);
	/* e1000e first: the reset of edu is that of its bus, and takes 2 s. */
	return !__find_e1000e(0, address) ||
	       !__find_edu(0, address);
}

int main(int argc, char **argv)
{
	if (access("/dev/" EXTERNAL_USER_TEST_NAME, F_OK)) {
		ksft_print_header();
		ksft_exit_skip(EXTERNAL_USER_TEST_NAME " is not loaded\n");
	}
	if (!find_function()) {
		ksft_print_header();
		ksft_exit_skip("no e1000e, no edu\n");
	}
	return test_harness_run(argc, argv);
}
