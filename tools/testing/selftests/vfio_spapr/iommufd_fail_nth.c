// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each copy from user space fails in turn, in each call of
 * iommufd and device files that POWER has a share in (lib/fault.h).
 */
#include <endian.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../kselftest.h"
#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/nested.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define IOVA		MiB
/* Where a guest's table is in the parent, and its first TCE */
#define TABLE		GiB
#define TCE		(IOVA | 3)

static char address[PCI_ADDRESS_LEN];
static int iommufd = -1;
static struct cdev cdev = { .file = -1 };
static __u32 ioas[2], spare, hwpt, parent, nested;
/* The windows that tests choose, one or two of them */
static struct hwpt_windows windows;
static struct hwpt_window second_window;
static struct nested_windows guest_windows;
static __be64 *table;
static bool eeh;
static void *memory;

/*
 * What an act returns. iommufd has failures of its own on kernels with
 * CONFIG_IOMMUFD_TEST: objects that it does not find, regions that it refuses.
 */
static int injected(long ret)
{
	return fault_result(ret == -ENOENT || ret == -EINVAL ? -ENOMEM : ret);
}

static int bind(void)
{
	int ret = cdev_open_bound(&cdev, address, iommufd);

	if (ret)
		cdev_close(&cdev);
	return injected(ret);
}

static void unbind(void)
{
	cdev_close(&cdev);
}

/* The PE is the host's again, without a window if there is no memory for it */
static int release(void)
{
	cdev_close(&cdev);
	return 0;
}

static void bind_again(void)
{
	VFIO_REQUIRE(!bind(), "bind again");
}

static int make_space(void)
{
	return injected(iommufd_ioas_alloc(iommufd, &spare));
}

static void end_space(void)
{
	iommufd_destroy(iommufd, spare);
}

static int attach(void)
{
	return injected(cdev_attach(&cdev, ioas[0]));
}

static void detach(void)
{
	cdev_detach(&cdev);
}

static int detach_it(void)
{
	return injected(cdev_detach(&cdev));
}

static void attach_again(void)
{
	attach();
}

static int replace(void)
{
	return injected(cdev_attach(&cdev, ioas[1]));
}

static void replace_back(void)
{
	cdev_attach(&cdev, ioas[0]);
}

static void unmap(void)
{
	iommufd_unmap(iommufd, ioas[0], IOVA, page_size());
}

/*
 * iommufd does not take back what it has done when it cannot give the answer:
 * with EFAULT the page may be mapped, or unmapped, all the same.
 */
static int map(void)
{
	const long ret = iommufd_map(iommufd, ioas[0], memory, IOVA,
				     page_size(), IOAS_READ_WRITE);

	if (ret == -EFAULT)
		unmap();
	return injected(ret);
}

static void map_again(void)
{
	map();
}

static int unmap_it(void)
{
	const long ret = iommufd_unmap(iommufd, ioas[0], IOVA, page_size());

	if (ret == -EFAULT)
		map_again();
	return injected(ret);
}

static void uncopy(void)
{
	iommufd_unmap(iommufd, ioas[1], IOVA, page_size());
}

/* From the attached address space to the other one, which is not */
static int copy(void)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOAS_READ_WRITE | IOMMU_IOAS_MAP_FIXED_IOVA,
		.dst_ioas_id = ioas[1],
		.src_ioas_id = ioas[0],
		.length = page_size(),
		.dst_iova = IOVA,
		.src_iova = IOVA,
	};
	long ret;

	if (!ioctl(iommufd, IOMMU_IOAS_COPY, &copy))
		return 0;
	ret = -errno;
	if (ret == -EFAULT)
		uncopy();
	return injected(ret);
}

static int get_ranges(void)
{
	struct iommu_iova_range ranges[8];

	return injected(iommufd_ranges(iommufd, ioas[0], ranges, 8));
}

static int get_info(void)
{
	struct hw_info_windows info;

	return injected(iommufd_hw_info(iommufd, cdev.id, &info));
}

static int get_eeh(void)
{
	return injected(cdev_eeh_state(&cdev));
}

static void nothing(void)
{
}

static int enable_eeh(void)
{
	return injected(cdev_eeh(&cdev, VFIO_EEH_PE_ENABLE, NULL));
}

/* A call that fails leaves the PE in reset, which the next one begins again */
static int reset_pe(void)
{
	int ret = cdev_eeh(&cdev, VFIO_EEH_PE_RESET_HOT, NULL);

	if (!ret)
		ret = cdev_eeh(&cdev, VFIO_EEH_PE_RESET_DEACTIVATE, NULL);
	if (!ret)
		ret = cdev_eeh(&cdev, VFIO_EEH_PE_CONFIGURE, NULL);
	return injected(ret);
}

static void test_eeh(void)
{
	if (!eeh) {
		ksft_test_result_skip("EEH state: not here\n");
		ksft_test_result_skip("EEH enable: not here\n");
		ksft_test_result_skip("EEH reset: not here\n");
		return;
	}

	fault_test("EEH state", get_eeh, nothing);
	fault_test("EEH enable", enable_eeh, nothing);
	fault_test("EEH reset", reset_pe, nothing);
	VFIO_REQUIRE(cdev_eeh_state(&cdev) == VFIO_EEH_PE_STATE_NORMAL,
		     "the PE is back");
}

static int allocate_plain(void)
{
	return injected(iommufd_hwpt_alloc(iommufd, cdev.id, ioas[0], 0,
					   &hwpt));
}

static int allocate(void)
{
	return injected(iommufd_hwpt_alloc_windows(iommufd, cdev.id, ioas[0],
						   &windows, &hwpt));
}

static void deallocate(void)
{
	iommufd_destroy(iommufd, hwpt);
}

static int destroy(void)
{
	return injected(iommufd_destroy(iommufd, hwpt));
}

static void allocate_again(void)
{
	allocate();
}

/* From the windows of the kernel's choice to the user's */
static int change_windows(void)
{
	return injected(cdev_attach(&cdev, hwpt));
}

static int allocate_parent(void)
{
	return injected(iommufd_hwpt_alloc(iommufd, cdev.id, ioas[0],
					   IOMMU_HWPT_ALLOC_NEST_PARENT,
					   &parent));
}

static void free_parent(void)
{
	iommufd_destroy(iommufd, parent);
}

static int allocate_nested(void)
{
	return injected(iommufd_hwpt_alloc_nested(iommufd, cdev.id, parent,
						  &guest_windows, &nested));
}

static void free_nested(void)
{
	iommufd_destroy(iommufd, nested);
}

static int attach_nested(void)
{
	return injected(cdev_attach(&cdev, nested));
}

/* Say that the first TCE has changed. Return: bad ones, or -errno */
static long changed(void)
{
	struct nested_invalidate request = {
		.start = windows.windows[0].start,
		.size = 4096,
	};
	__u32 count = 1;
	long ret;

	ret = iommufd_invalidate(iommufd, nested,
				 HWPT_INVALIDATE_DATA_SPAPR_TCE, &request,
				 &count);
	return ret ? ret : (long)request.out_bad;
}

static int put_tce(void)
{
	table[0] = htobe64(TCE);
	return injected(changed());
}

static void clear_tce(void)
{
	table[0] = 0;
	VFIO_REQUIRE(!changed(), "clear a TCE");
}

static size_t table_size(const struct hwpt_window *window)
{
	return window->size >> window->page_shift << 3;
}

static void set_guest_window(int w, const struct hwpt_window *window,
			     __u64 table)
{
	guest_windows.num_windows = w + 1;
	guest_windows.windows[w].start = window->start;
	guest_windows.windows[w].size = window->size;
	guest_windows.windows[w].page_shift = window->page_shift;
	guest_windows.windows[w].table = table;
}

/* A test of what is done once for each number of windows */
static void windows_test(const char *name, unsigned int count,
			 int (*act)(void), void (*undo)(void))
{
	char full[64];

	snprintf(full, sizeof(full), "%s (windows: %u)", name, count);
	fault_test(full, act, undo);
}

static void nested_windows_tests(void)
{
	const unsigned int count = guest_windows.num_windows;

	table[0] = htobe64(TCE);
	windows_test("nested", count, allocate_nested, free_nested);
	table[0] = 0;
	VFIO_REQUIRE(!allocate_nested(), "nested");
	windows_test("attach to nested", count, attach_nested, detach);
}

/* A parent whose memory has a guest's tables and one page of the guest's */
static void nested_tests(void)
{
	size_t first = table_size(&windows.windows[0]);
	size_t size = first + table_size(&second_window);

	table = memory_get(HUGE_PAGES, size, PROT_READ | PROT_WRITE);
	set_guest_window(0, &windows.windows[0], TABLE);
	VFIO_REQUIRE(!iommufd_map(iommufd, ioas[0], table, TABLE, size,
				  IOMMU_IOAS_MAP_READABLE), "map the table");

	fault_test("parent", allocate_parent, free_parent);
	VFIO_REQUIRE(!allocate_parent(), "parent");
	unmap();
	fault_test("map for a parent", map, unmap);
	VFIO_REQUIRE(!map(), "map");
	nested_windows_tests();
	fault_test("invalidate", put_tce, clear_tce);
	free_nested();
	set_guest_window(1, &second_window, TABLE + first);
	nested_windows_tests();
	free_nested();
	free_parent();
}

/* Page tables with windows of the user's choice, and changes to them */
static void windows_tests(void)
{
	const unsigned int count = windows.num_windows;

	windows_test("page table", count, allocate, deallocate);
	VFIO_REQUIRE(!allocate(), "windows");
	windows_test("change", count, change_windows, replace_back);
	VFIO_REQUIRE(!change_windows(), "change windows");
	unmap();
	windows_test("map", count, map, unmap);
	VFIO_REQUIRE(!map(), "map");
	replace_back();
	windows_test("destroy", count, destroy, allocate_again);
	deallocate();
}

static void start(void)
{
	struct hw_info_windows info;

	memory = memory_get(BASE_PAGES, page_size(), PROT_READ | PROT_WRITE);
	iommufd = iommufd_open();
	VFIO_REQUIRE(iommufd >= 0, "/dev/iommu");
	VFIO_REQUIRE(!iommufd_ioas_alloc(iommufd, &ioas[0]), "IOAS");
	VFIO_REQUIRE(!iommufd_ioas_alloc(iommufd, &ioas[1]), "IOAS");
	VFIO_REQUIRE(!bind(), "bind");
	VFIO_REQUIRE(!iommufd_hw_info(iommufd, cdev.id, &info), "info");
	windows.num_windows = 1;
	windows.windows[0].start = info.window_start[0];
	windows.windows[0].size = info.default_window_size ?: GiB;
	windows.windows[0].page_shift = 12;
	second_window.start = info.window_start[1];
	second_window.size = GiB;
	second_window.page_shift = page_shift();
	eeh = cdev_eeh_state(&cdev) != -ENOTTY;
	unbind();
}

int main(void)
{
	long pins;

	ksft_print_header();
	if (dma_device_find(0, 0, address))
		ksft_exit_skip("a device is needed\n");
	pci_bind(address, "vfio-pci");
	if (access("/dev/vfio/devices", F_OK))
		ksft_exit_skip("no device files\n");
	fault_allow();
	ksft_set_plan(31);
	transcript_mute(1);
	pins = leak_pins();
	start();

	fault_test("address space", make_space, end_space);
	VFIO_REQUIRE(!bind(), "bind");
	fault_test("hw_info", get_info, nothing);
	test_eeh();
	fault_test("attach", attach, detach);
	VFIO_REQUIRE(!attach(), "attach");
	fault_test("ranges", get_ranges, nothing);
	fault_test("map", map, unmap);
	VFIO_REQUIRE(!map(), "map");
	fault_test("copy", copy, uncopy);
	fault_test("replace", replace, replace_back);
	fault_test("detach", detach_it, attach_again);
	fault_test("unmap", unmap_it, map_again);
	fault_test("page table", allocate_plain, deallocate);
	windows_tests();
	windows.num_windows = 2;
	windows.windows[1] = second_window;
	windows_tests();
	detach();
	nested_tests();
	cdev_close(&cdev);
	fault_test("bind", bind, unbind);
	bind_again();
	fault_test("release", release, bind_again);

	cdev_close(&cdev);
	vfio_close(&iommufd);
	ksft_test_result(leak_pins() == pins, "no page is left pinned\n");
	ksft_finished();
}
