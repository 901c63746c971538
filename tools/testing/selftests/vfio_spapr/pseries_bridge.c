// SPDX-License-Identifier: GPL-2.0
/*
 * A partition gives a PCI host bridge back while a user has a device below it.
 *
 * DLPAR takes three steps: the devices are removed, which waits until their users
 * have closed them; the bridge goes, which is refused before; its node leaves the
 * device tree, and with it the table of the default window. A user can have the
 * group and the container open all the while. The way back is the same: after it
 * the windows are as before.
 *
 * The hypervisor is not told and keeps the bridge. It must have no other device
 * than the tested one, the first that has a driver here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

#define SLOTS		"/sys/bus/pci/slots/control/"
/* Takes commands for the device tree */
#define TREE		"/proc/powerpc/ofdt"
#define ROUNDS		3
#define NODES_MAX	16
#define NODE_SIZE	(64 * KiB)
#define INDEXES_SIZE	(4 * KiB)
#define NAMES_SIZE	(8 * KiB)
#define SECOND_SIZE	GiB
#define PAGES		3

/* What may take so long until it has ended, and what is watched not to end */
#define PATIENCE	60
#define MOMENT		2

/* A node of the device tree: its path there, and what adds it again */
struct node {
	char path[NAME_MAX];
	char *command;
	size_t size;
};

static struct node nodes[NODES_MAX];
static unsigned int node_count;

/* The bridge: its node, and the name of its slot */
static char root[128], slot[64];

static size_t read_all(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t got = 0, now;

	VFIO_REQUIRE(fd >= 0, "%s", path);
	while ((now = read(fd, to + got, size - got)) > 0)
		got += now;
	close(fd);
	VFIO_REQUIRE(!now && got < size, "%s is longer", path);
	return got;
}

/* The name of the slot with the bridge's index, as the partition's root has it */
static bool find_slot(void)
{
	static char indexes[INDEXES_SIZE], names[NAMES_SIZE];
	char path[PATH_MAX], index[8];
	const char *name;
	size_t size, i;

	if (access("/proc/device-tree/ibm,drc-indexes", F_OK))
		return false;
	snprintf(path, sizeof(path), "/proc/device-tree%s/ibm,my-drc-index",
		 root);
	VFIO_REQUIRE(read_all(path, index, sizeof(index)) == 4, "%s", path);
	size = read_all("/proc/device-tree/ibm,drc-indexes", indexes,
			sizeof(indexes));
	read_all("/proc/device-tree/ibm,drc-names", names, sizeof(names));
	/* Both begin with their number. */
	name = names + 4;
	for (i = 4; i < size; i += 4) {
		if (!memcmp(indexes + i, index, 4)) {
			snprintf(slot, sizeof(slot), "%s", name);
			return true;
		}
		name += strlen(name) + 1;
	}
	return false;
}

/* The node of the bridge that has the function */
static bool find_root(const char *address)
{
	char link[64], path[PATH_MAX];
	char *end;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/of_node",
		 address);
	if (!realpath(link, path))
		return false;
	end = strstr(path, "/pci@");
	if (!end)
		return false;
	snprintf(root, sizeof(root), "%s", end);
	end = strchr(root + 1, '/');
	if (end)
		*end = '\0';
	return true;
}

static void keep_property(struct node *node, const char *folder,
			  const char *name)
{
	static char value[NODE_SIZE];
	char path[2 * PATH_MAX];
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	size = read_all(path, value, sizeof(value));
	VFIO_REQUIRE(node->size + size + 64 < NODE_SIZE, "%s", node->path);
	node->size += sprintf(node->command + node->size, " %s %zu ", name,
			      size);
	memcpy(node->command + node->size, value, size);
	node->size += size;
}

/* Keep a node and those below it, parents first. */
static void keep_nodes(const char *at)
{
	struct node *node = &nodes[node_count++];
	char folder[PATH_MAX], below[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	VFIO_REQUIRE(node_count < NODES_MAX && strlen(at) < NAME_MAX, "%s", at);
	snprintf(node->path, sizeof(node->path), "%s", at);
	node->command = realloc(node->command, NODE_SIZE);
	node->size = sprintf(node->command, "add_node %s", at);
	snprintf(folder, sizeof(folder), "/proc/device-tree%s", at);
	dir = opendir(folder);
	VFIO_REQUIRE(dir, "%s", folder);
	while ((entry = readdir(dir)))
		if (entry->d_type == DT_REG && strcmp(entry->d_name, "name"))
			keep_property(node, folder, entry->d_name);
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", at, entry->d_name);
		keep_nodes(below);
	}
	closedir(dir);
}

static int remove_nodes(void)
{
	char command[2 * NAME_MAX];
	int i, err;

	node_count = 0;
	keep_nodes(root);
	for (i = node_count; i--;) {
		snprintf(command, sizeof(command), "remove_node %s",
			 nodes[i].path);
		err = file_write(TREE, command);
		if (err)
			return err;
	}
	return 0;
}

static int add_nodes(void)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < node_count && !err; i++)
		err = file_write_bytes(TREE, nodes[i].command, nodes[i].size);
	return err;
}

static int bridge_remove(void)
{
	return file_write(SLOTS "remove_slot", slot);
}

static int bridge_add(void)
{
	return add_nodes() ?: file_write(SLOTS "add_slot", slot);
}

struct user {
	struct vfio_pci pci;
	struct dma_device dma;
	struct vfio_iommu_spapr_tce_info info;
	char *memory;
	__u64 second;		/* the window that the user has made */
};

static long user_map(struct user *user, __u64 bus, unsigned int page)
{
	return container_map(user->pci.container,
			     (__u64)user->memory + page * page_size(), bus,
			     page_size(), READ_WRITE);
}

static bool user_reaches(struct user *user, __u64 bus, unsigned int page)
{
	return dma_reach(&user->dma, bus, user->memory + page * page_size(), 0,
			 NULL) == (DMA_READS | DMA_WRITES);
}

/* Two windows with a page each, and the device open */
static void user_begin(struct user *user)
{
	char address[PCI_ADDRESS_LEN];

	VFIO_REQUIRE(!dma_device_find(0, DMA_NO_MEMORY, address), "device");
	user->memory = memory_get(BASE_PAGES, PAGES * page_size(),
				  PROT_READ | PROT_WRITE);
	vfio_pci_open(&user->pci, address, VFIO_SPAPR_TCE_v2_IOMMU);
	VFIO_REQUIRE(!container_get_info(user->pci.container, &user->info),
		     "GET_INFO");
	VFIO_REQUIRE(!container_register(user->pci.container,
					 (__u64)user->memory,
					 PAGES * page_size()), "register");
	VFIO_REQUIRE(!container_create_window(user->pci.container,
					      page_shift(), SECOND_SIZE, 1,
					      &user->second), "window");
	dma_device_start(&user->dma, user->pci.device);
	VFIO_REQUIRE(!user_map(user, user->info.dma32_window_start, 0) &&
		     !user_map(user, user->second, 1), "map");
}

static void user_close_device(struct user *user)
{
	dma_device_close(&user->dma);
	vfio_close(&user->pci.device);
}

static void user_end(struct user *user)
{
	user_close_device(user);
	vfio_pci_close(&user->pci);
	munmap(user->memory, PAGES * page_size());
}

static void *device_remove(void *address)
{
	pci_remove(address);
	return NULL;
}

/* All that a user can see of the bridge's windows is there and works. */
static int use(void)
{
	struct user user = {};
	bool well;

	user_begin(&user);
	well = user_reaches(&user, user.info.dma32_window_start, 0) &&
	       user_reaches(&user, user.second, 1);
	user_end(&user);
	return !well;
}

static int go_and_come(void)
{
	char address[PCI_ADDRESS_LEN];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		VFIO_REQUIRE(!use(), "a window does not work");
		VFIO_REQUIRE(!dma_device_find(0, 0, address), "device");
		pci_remove(address);
		VFIO_REQUIRE(!bridge_remove() && !remove_nodes() &&
			     !bridge_add(), "bridge");
	}
	return 0;
}

FIXTURE(bridge) {
	struct user user;
};

FIXTURE_SETUP(bridge)
{
	char address[PCI_ADDRESS_LEN];

	if (!testbed_is_partition() || access(SLOTS "remove_slot", W_OK))
		SKIP(return, "not a logical partition with DLPAR");
	/* Which comes back with another address */
	if (pci_are_named())
		SKIP(return, "the device must not be named by its address");
	if (dma_device_find(0, DMA_NO_MEMORY, address))
		SKIP(return, "no device");
	if (!find_root(address) || !find_slot())
		SKIP(return, "the device's bridge cannot be removed");
}

FIXTURE_TEARDOWN(bridge)
{
}

/* What a user does with the device goes on until it is closed. */
TEST_F(bridge, device_open)
{
	struct user *user = &self->user;
	struct vfio_iommu_spapr_tce_info before;
	__u64 start, second;
	pthread_t thread;

	user_begin(user);
	before = user->info;
	start = before.dma32_window_start;
	second = user->second;
	EXPECT_EQ(-EBUSY, bridge_remove());
	ASSERT_EQ(0, pthread_create(&thread, NULL, device_remove,
				    user->pci.address));
	EXPECT_FALSE(thread_ends(thread, MOMENT));
	EXPECT_EQ(-EBUSY, bridge_remove());
	EXPECT_TRUE(user_reaches(user, start, 0));
	EXPECT_TRUE(user_reaches(user, second, 1));
	EXPECT_EQ(0, user_map(user, second + page_size(), 2));
	EXPECT_TRUE(user_reaches(user, second + page_size(), 2));

	user_close_device(user);
	ASSERT_TRUE(thread_ends(thread, PATIENCE));
	EXPECT_FALSE(pci_present(user->pci.address));
	user_end(user);
	ASSERT_EQ(0, bridge_remove());
	ASSERT_EQ(0, remove_nodes());
	ASSERT_EQ(0, bridge_add());

	user_begin(user);
	EXPECT_EQ(0, memcmp(&before, &user->info, sizeof(before)));
	EXPECT_EQ(second, user->second);
	EXPECT_TRUE(user_reaches(user, start, 0));
	EXPECT_TRUE(user_reaches(user, second, 1));
	user_end(user);
}

/* A group that has lost its device does not keep the bridge, nor the tables. */
TEST_F(bridge, container_open)
{
	struct user *user = &self->user;
	struct vfio_iommu_spapr_tce_info info;

	user_begin(user);
	user_close_device(user);
	pci_remove(user->pci.address);
	ASSERT_EQ(0, bridge_remove());
	ASSERT_EQ(0, remove_nodes());
	EXPECT_GT(0, container_get_info(user->pci.container, &info));
	EXPECT_GT(0, user_map(user, user->second + page_size(), 2));
	EXPECT_GT(0, container_remove_window(user->pci.container,
					     user->second));
	ASSERT_EQ(0, bridge_add());
	user_end(user);
	EXPECT_EQ(0, use());
}

TEST_F(bridge, often)
{
	int status;

	EXPECT_EQ(0, leak_of(go_and_come, &status));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
