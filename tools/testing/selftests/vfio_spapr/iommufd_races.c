// SPDX-License-Identifier: GPL-2.0
/*
 * Races between the calls that move devices between address spaces (lib/actors.h).
 *
 * Threads replace, attach, detach, map, unmap, unplug a sibling, and open and close
 * other devices and iommufds. The first device does DMA all the while.
 *
 * The kernel must survive. Each error must be one that some state explains. After
 * memory is unmapped from both address spaces, no device writes it. At the end,
 * devices reach what is mapped and nothing else, and no page is left pinned.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "../kselftest.h"
#include "lib/actors.h"
#include "lib/cdev.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define SECONDS		30
#define SPACES		2
#define TABLES		4
#define SLOTS		6
#define IOVA		MiB
#define REACHES		(DMA_READS | DMA_WRITES)
/* A copy of the slowest device */
#define COPY_US		(150 * 1000)

static struct {
	struct testbed bed;
	int iommufd;
	struct cdev cdev[TESTBED_DEVICES];
	__u32 ioas[SPACES];
	/* What a device can be attached to: two of each address space */
	__u32 table[TABLES];
	bool mapped[SPACES][SLOTS];
} shared;

/* No state of other threads explains an error of the call */
static int must(long ret)
{
	return ret ? -EPROTO : 0;
}

/* Each slot of an address space has a page of its own, the last one excepted. */
static void *page_of(int space, int slot)
{
	return shared.bed.memory +
	       (space * SLOTS + slot) * shared.bed.page;
}

static __u64 iova_of(int slot)
{
	return IOVA + slot * shared.bed.page;
}

static void *lost_page(void)
{
	return page_of(SPACES, 0);
}

static __u64 lost_iova(void)
{
	return iova_of(SLOTS);
}

static long map(int space, void *page, __u64 iova)
{
	return iommufd_map(shared.iommufd, shared.ioas[space], page, iova,
			   shared.bed.page, IOAS_READ_WRITE);
}

static long unmap(int space, __u64 iova)
{
	return iommufd_unmap(shared.iommufd, shared.ioas[space], iova,
			     shared.bed.page);
}

/* Each space has one thread that does this, and knows what is mapped. */
static int toggle(unsigned int *seed, int space)
{
	const int slot = dice(seed, SLOTS);
	bool *mapped = &shared.mapped[space][slot];
	long ret = *mapped ? unmap(space, iova_of(slot)) :
			     map(space, page_of(space, slot), iova_of(slot));

	*mapped = !*mapped;
	/* The others' calls are longer, and there may be few processors */
	usleep(dice(seed, 2000));
	return must(ret);
}

static int toggle_first(unsigned int *seed)
{
	return toggle(seed, 0);
}

static int toggle_second(unsigned int *seed)
{
	return toggle(seed, 1);
}

/* Once a page is unmapped, the first device writes to it no longer. */
static int lose(unsigned int *seed)
{
	const size_t size = shared.bed.page;
	char *page = lost_page();
	long ret = 0;
	int i;

	for (i = 0; i < SPACES; i++)
		ret |= map(i, page, lost_iova());
	usleep(dice(seed, COPY_US));
	for (i = 0; i < SPACES; i++)
		ret |= unmap(i, lost_iova());
	memset(page, 0xa5, size);
	usleep(COPY_US);
	return must(ret || memcmp(page, page + 1, size - 1));
}

static int write_somewhere(unsigned int *seed)
{
	const __u64 bus = dice(seed, 2) ? lost_iova() :
					  iova_of(dice(seed, SLOTS));

	return must(!dma_store(&shared.cdev[0].dma, bus, 0, sizeof(__u64)));
}

static __u32 some_table(unsigned int *seed)
{
	return shared.table[dice(seed, TABLES)];
}

/*
 * An attached device can be brought to any page table, with its group. One that
 * is not can only be attached to where its sibling is.
 */
static int replace(unsigned int *seed)
{
	static bool attached = true;
	long ret;

	if (!dice(seed, 8)) {
		attached = false;
		return must(cdev_detach(&shared.cdev[0]));
	}
	ret = cdev_attach(&shared.cdev[0], some_table(seed));
	if (attached)
		return must(ret);
	attached = !ret;
	return ret;
}

/* Waits for the sibling to be closed. */
static int replug(unsigned int *seed)
{
	const char *address = shared.bed.address[1];
	int ret = __pci_remove(address);

	if (!ret && !pci_comes_back(address))
		ret = -ENODEV;
	return must(ret ? ret : __pci_bind(address, "vfio-pci"));
}

/* The sibling is there for a moment, and goes with its group. */
static int visit(unsigned int *seed)
{
	struct cdev *cdev = &shared.cdev[1];
	long ret = cdev_open_bound(cdev, shared.bed.address[1],
				   shared.iommufd);
	int i;

	if (!ret) {
		for (i = 0; i < TABLES; i++) {
			ret = cdev_attach(cdev, shared.table[i]);
			if (!ret)
				break;
		}
		usleep(dice(seed, 10000));
	}
	cdev_close(cdev);
	return ret;
}

/* The device of another group shares page tables with the first one. */
static int share(unsigned int *seed)
{
	struct cdev *cdev = &shared.cdev[2];
	long ret = cdev_open_bound(cdev, shared.bed.address[2],
				   shared.iommufd);
	int i;

	for (i = 0; !ret && i < 4; i++)
		ret = cdev_attach(cdev, some_table(seed));
	cdev_close(cdev);
	return must(ret);
}

/* An iommufd of its own, closed before the device or after it */
static int own(unsigned int *seed)
{
	struct cdev *cdev = &shared.cdev[2];
	int iommufd = iommufd_open();
	__u32 ioas;
	long ret;

	ret = cdev_open_bound(cdev, shared.bed.address[2], iommufd);
	if (!ret)
		ret = iommufd_ioas_alloc(iommufd, &ioas);
	if (!ret)
		ret = cdev_attach(cdev, ioas);
	if (!ret)
		ret = iommufd_map(iommufd, ioas, page_of(0, 0), iova_of(0),
				  shared.bed.page, IOAS_READ_WRITE);
	if (dice(seed, 2))
		vfio_close(&iommufd);
	cdev_close(cdev);
	vfio_close(&iommufd);
	return must(ret);
}

static int share_or_own(unsigned int *seed)
{
	return dice(seed, 2) ? share(seed) : own(seed);
}

/* A page table for the first device, which no device is attached to */
static int allocate(unsigned int *seed)
{
	__u32 hwpt;
	long ret = iommufd_hwpt_alloc(shared.iommufd, shared.cdev[0].id,
				      shared.ioas[dice(seed, SPACES)], 0,
				      &hwpt);

	return must(ret ? ret : iommufd_destroy(shared.iommufd, hwpt));
}

/* Also that the sibling is unplugged */
static bool explained(int error)
{
	return actors_explained(error) || error == -ENODEV;
}

/* Page tables of the kernel's choice, and with one and two windows of ours */
static void make_tables(void)
{
	const __u32 device = shared.cdev[0].id;
	struct hw_info_windows info;
	struct hwpt_windows windows = { .num_windows = 1 };
	long ret;

	VFIO_REQUIRE(!iommufd_hw_info(shared.iommufd, device, &info), "info");
	windows.windows[0] = (struct hwpt_window) {
		info.window_start[0], info.default_window_size ?: GiB, 12, 0,
	};
	shared.table[0] = shared.ioas[0];
	ret = iommufd_hwpt_alloc(shared.iommufd, device, shared.ioas[0], 0,
				 &shared.table[1]);
	ret |= iommufd_hwpt_alloc_windows(shared.iommufd, device,
					  shared.ioas[1], &windows,
					  &shared.table[2]);
	windows.num_windows = 2;
	windows.windows[1] = (struct hwpt_window) {
		info.window_start[1], GiB, page_shift(), 0,
	};
	ret |= iommufd_hwpt_alloc_windows(shared.iommufd, device,
					  shared.ioas[1], &windows,
					  &shared.table[3]);
	VFIO_REQUIRE(!ret, "page tables");
}

static void start_device(int i)
{
	struct cdev *cdev = &shared.cdev[i];
	const long ret = cdev_open_bound(cdev, shared.bed.address[i],
					 shared.iommufd);

	VFIO_REQUIRE(!ret, "device %d: %ld", i, ret);
	cdev_start_dma(cdev);
}

/* Whether a device that is attached to a space is where its slot says */
static bool finds(int i, int space, int slot)
{
	const struct dma_device *dma = &shared.cdev[i].dma;
	const bool mapped = shared.mapped[space][slot];
	const bool good = mapped ?
		dma_reach(dma, iova_of(slot), page_of(space, slot), 0, NULL) ==
			REACHES :
		!dma_strays(dma, iova_of(slot), shared.bed.memory,
			    (SPACES * SLOTS + 1) * shared.bed.page);

	if (!good)
		ksft_print_msg("device %d, space %d, slot %d: %s\n", i, space,
			       slot, mapped ? "nothing" : "strays");
	return good;
}

/* All devices, in one space after the other */
static bool all_find(void)
{
	bool good = true;
	int i, space, slot;

	for (i = 1; i < TESTBED_DEVICES; i++) {
		start_device(i);
		VFIO_REQUIRE(!cdev_detach(&shared.cdev[0]), "detach");
	}
	for (i = 0; i < TESTBED_DEVICES; i++) {
		for (space = 0; space < SPACES; space++) {
			VFIO_REQUIRE(!cdev_attach(&shared.cdev[i],
						  shared.table[3 * space]),
				     "attach");
			for (slot = 0; slot < SLOTS; slot++)
				good &= finds(i, space, slot);
		}
		VFIO_REQUIRE(!cdev_detach(&shared.cdev[i]), "detach");
	}
	return good;
}

int main(void)
{
	static const actor_t acts[] = {
		toggle_first, toggle_second, lose, write_somewhere, replace,
		replug, visit, share_or_own, allocate,
	};
	struct actors_done done;
	const char *lacking;
	long pins;
	int i;

	ksft_print_header();
	lacking = cdev_start_bed(&shared.bed, DMA_NO_MEMORY | DMA_TAKES_TIME,
				 shared.cdev, &shared.iommufd);
	if (lacking)
		ksft_exit_skip("%s\n", lacking);
	transcript_mute(1);
	ksft_set_plan(4);
	testbed_take_memory(&shared.bed,
			    (SPACES * SLOTS + 1) * shared.bed.page);

	pins = leak_pins();
	for (i = 0; i < SPACES; i++)
		VFIO_REQUIRE(!iommufd_ioas_alloc(shared.iommufd,
						 &shared.ioas[i]), "IOAS");
	start_device(0);
	make_tables();
	VFIO_REQUIRE(!cdev_attach(&shared.cdev[0], shared.table[0]), "attach");
	done = actors_run(acts, ARRAY_SIZE(acts), SECONDS, explained);
	actors_test("iommufd", ARRAY_SIZE(acts), &done);
	ksft_test_result(all_find(), "devices reach what is mapped alone\n");

	cdev_close_bed(shared.cdev, &shared.iommufd);
	ksft_test_result(leak_pins() == pins, "no page is left pinned\n");
	ksft_finished();
}
