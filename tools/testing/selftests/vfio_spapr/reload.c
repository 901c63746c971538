// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO's modules can be unloaded and loaded again between users, and not while a
 * user holds them: the next user finds the same windows, and no memory is lost.
 *
 * The environment variable VFIO_SPAPR_MODULES has their files, in the order in
 * which they are to be loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/container.h"
#include "lib/harness.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/testbed.h"

#define MODULES_MAX	8
#define ROUNDS		5
#define PAGES		2
#define SECOND_SIZE	GiB

static char paths[512], names[MODULES_MAX][64];
static const char *files[MODULES_MAX];
static unsigned int count;

/* What the first user has seen, which the next ones have to see, too */
static struct vfio_iommu_spapr_tce_info windows;
static __u64 second;

static bool find_modules(void)
{
	static const char blanks[] = " \t\n";
	const char *all = getenv("VFIO_SPAPR_MODULES");
	char *file, *c;

	if (!all)
		return false;
	count = 0;
	snprintf(paths, sizeof(paths), "%s", all);
	for (file = strtok(paths, blanks); file; file = strtok(NULL, blanks)) {
		VFIO_REQUIRE(count < MODULES_MAX, "too many modules");
		c = strrchr(file, '/');
		snprintf(names[count], sizeof(names[count]), "%s",
			 c ? c + 1 : file);
		c = strchr(names[count], '.');
		if (c)
			*c = '\0';
		for (c = names[count]; *c; c++)
			if (*c == '-')
				*c = '_';
		files[count++] = file;
	}
	return count;
}

static int load(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0))
		err = -errno;
	close(fd);
	return err;
}

/* Whatever is loaded of them */
static int unload_all(void)
{
	unsigned int i;
	int err;

	for (i = count; i--;) {
		err = __module_unload(names[i]);
		if (err && err != -ENOENT)
			return err;
	}
	return 0;
}

static int load_all(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < count; i++) {
		err = load(files[i]);
		if (err && err != -EEXIST)
			return err;
	}
	return 0;
}

/* How many of them can be unloaded now; these are loaded again. */
static unsigned int unloadable(void)
{
	unsigned int i, unloaded = 0;
	int err;

	for (i = count; i--;) {
		err = __module_unload(names[i]);
		VFIO_REQUIRE(!err || err == -EAGAIN, "%s: %d", names[i], err);
		unloaded += !err;
	}
	VFIO_REQUIRE(!load_all(), "load");
	return unloaded;
}

static long map(struct testbed *bed, __u64 bus, unsigned int page)
{
	return container_map(bed->container, BASE_PAGES + page * bed->page, bus,
			     bed->page, READ_WRITE);
}

static bool reaches(struct testbed *bed, __u64 bus, unsigned int page)
{
	return dma_reach(&bed->dma[0], bus, bed->memory + page * bed->page, 0,
			 NULL) == (DMA_READS | DMA_WRITES);
}

/* A user with two windows, a page mapped in each */
static void begin(struct testbed *bed)
{
	VFIO_REQUIRE(testbed_find(bed), "devices");
	VFIO_REQUIRE(!testbed_start(bed, VFIO_SPAPR_TCE_v2_IOMMU,
				    PAGES * page_size()), "start");
	VFIO_REQUIRE(!container_register(bed->container, BASE_PAGES,
					 PAGES * bed->page), "memory");
	VFIO_REQUIRE(!container_create_window(bed->container, page_shift(),
					      SECOND_SIZE, 1, &second),
		     "window");
	VFIO_REQUIRE(!map(bed, bed->start, 0) && !map(bed, second, 1), "map");
}

/* One user after the other */
static int rounds(void)
{
	static struct testbed bed;
	__u64 first;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		begin(&bed);
		if (!i) {
			windows = bed.info;
			first = second;
		}
		VFIO_REQUIRE(!memcmp(&windows, &bed.info, sizeof(windows)) &&
			     second == first, "other windows in round %d", i);
		testbed_open_device(&bed, 0);
		VFIO_REQUIRE(reaches(&bed, bed.start, 0) &&
			     reaches(&bed, second, 1), "DMA in round %d", i);
		testbed_close(&bed);
		munmap(bed.memory, PAGES * page_size());
		VFIO_REQUIRE(!unload_all(), "unload");
		VFIO_REQUIRE(access("/dev/vfio/vfio", F_OK), "VFIO is there");
		VFIO_REQUIRE(!load_all(), "load");
	}
	return 0;
}

FIXTURE(reload) {
	struct testbed bed;
};

FIXTURE_SETUP(reload)
{
	if (!find_modules())
		SKIP(return, "VFIO_SPAPR_MODULES names no modules");
	VFIO_REQUIRE(!load_all(), "load");
	if (!testbed_find(&self->bed))
		SKIP(return, "no devices");
}

FIXTURE_TEARDOWN(reload)
{
	testbed_close(&self->bed);
}

TEST_F(reload, between_users)
{
	int status;

	EXPECT_EQ(0, leak_of(rounds, &status));
	EXPECT_EQ(0, status);
}

TEST_F(reload, device_open)
{
	struct testbed *bed = &self->bed;

	begin(bed);
	testbed_open_device(bed, 0);
	EXPECT_EQ(0, unloadable());
	EXPECT_TRUE(reaches(bed, bed->start, 0));
	EXPECT_TRUE(reaches(bed, second, 1));
	testbed_close(bed);
	EXPECT_EQ(0, unload_all());
	EXPECT_EQ(0, load_all());
}

/*
 * Open groups and containers keep but the module whose files they are: the others
 * take the devices from the group, and with its last one the container loses the
 * group, its windows and its back end.
 */
TEST_F(reload, group_open)
{
	struct testbed *bed = &self->bed;
	struct vfio_iommu_spapr_tce_info info;

	begin(bed);
	EXPECT_EQ(count - 1, unloadable());
	EXPECT_EQ(-EINVAL, container_get_info(bed->container, &info));
	testbed_close(bed);
	munmap(bed->memory, PAGES * page_size());
	EXPECT_EQ(0, unload_all());
	EXPECT_EQ(0, load_all());
	begin(bed);
	testbed_open_device(bed, 0);
	EXPECT_TRUE(reaches(bed, bed->start, 0));
}

TEST_HARNESS_MAIN
