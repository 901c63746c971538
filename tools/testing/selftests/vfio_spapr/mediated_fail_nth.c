// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation in turn fails, in all that mediated devices add to a
 * container (lib/fault.h): they join, pin and copy, and groups with hardware
 * come to their windows.
 */
#include <errno.h>

#include "../kselftest.h"
#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/fault.h"
#include "lib/mediated.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "lib/vfio_pci.h"

#define PAGES		64
#define PINNED		8
#define BUS		(16 * MiB)

static struct {
	struct mediated device, other;
	int container;
	int hardware, group;
	unsigned int type;
	unsigned long memory;
	unsigned long page;
	__u64 window;
} bed = { .container = -1, .group = -1 };

/* Each returns 0, or -1 with errno */

static int set_iommu(void)
{
	return fault_result(container_set_iommu(bed.container, bed.type));
}

/* The container without IOMMU, with the group in it */
static void unset(void)
{
	vfio_group_unset_container(bed.device.group);
	vfio_group_set_container(bed.device.group, bed.container);
}

static int map(void)
{
	return fault_result(container_map(bed.container, bed.memory, BUS,
					  PAGES * bed.page, READ_WRITE));
}

static void unmap(void)
{
	container_unmap(bed.container, BUS, PAGES * bed.page);
}

static int create_window(void)
{
	return fault_result(container_create_window(bed.container, 16, GiB, 1,
						    &bed.window));
}

static void remove_window(void)
{
	container_remove_window(bed.container, bed.window);
}

static int prepare(void)
{
	return fault_result(bed.type == VFIO_SPAPR_TCE_IOMMU ?
			    container_enable(bed.container) :
			    container_register(bed.container, bed.memory,
					       PAGES * bed.page));
}

static int pin(void)
{
	return fault_result(mediated_pin(&bed.device, BUS, PINNED,
					 MEDIATED_BOTH));
}

static void unpin(void)
{
	mediated_unpin(&bed.device, BUS, PINNED, 0);
}

static int copy(void)
{
	char buffer[128];

	return fault_result(mediated_read(&bed.device, BUS - 64 + bed.page,
					  buffer, sizeof(buffer)));
}

static void nothing(void)
{
}

static int join(void)
{
	return fault_result(mediated_join(&bed.other, bed.container));
}

static void leave(void)
{
	vfio_group_unset_container(bed.other.group);
}

static int join_hardware(void)
{
	return fault_result(__vfio_group_set_container(bed.group,
						       bed.container));
}

static void leave_hardware(void)
{
	vfio_group_unset_container(bed.group);
}

static void close_files(void)
{
	mediated_leave(&bed.other);
	mediated_leave(&bed.device);
	vfio_close(&bed.group);
	vfio_close(&bed.container);
}

static void test(const char *version, unsigned int type)
{
	char name[64];

#define named(what) (snprintf(name, sizeof(name), "%s: " what, version), name)
	bed.type = type;
	bed.container = vfio_container_open();
	bed.group = vfio_group_open(bed.hardware);
	VFIO_REQUIRE(!fault_result(mediated_join(&bed.device, bed.container)),
		     "join");
	fault_test(named("VFIO_SET_IOMMU"), set_iommu, unset);
	VFIO_REQUIRE(!set_iommu(), "set the type");
	mediated_open(&bed.device);

	VFIO_REQUIRE(type != VFIO_SPAPR_TCE_IOMMU || !prepare(), "enable");
	/* Locked memory grows when the default window is made */
	VFIO_REQUIRE(!map(), "map");
	unmap();
	fault_test(named("VFIO_IOMMU_MAP_DMA"), map, unmap);
	if (type == VFIO_SPAPR_TCE_v2_IOMMU)
		fault_test(named("VFIO_IOMMU_SPAPR_TCE_CREATE"), create_window,
			   remove_window);
	VFIO_REQUIRE(!map(), "map");
	fault_test(named("vfio_pin_pages()"), pin, unpin);
	fault_test(named("vfio_dma_rw()"), copy, nothing);
	VFIO_REQUIRE(!pin(), "pin");
	VFIO_REQUIRE(type == VFIO_SPAPR_TCE_IOMMU || !prepare(), "register");
	VFIO_REQUIRE(!join(), "a second one joins");
	leave();
	fault_test(named("a second one joins"), join, leave);
	fault_test(named("hardware joins"), join_hardware, leave_hardware);
	VFIO_REQUIRE(!join_hardware(), "hardware joins");
	fault_test(named("a second one joins hardware"), join, leave);

	close_files();
	ksft_test_result(!memory_locked(), "%s\n",
			 named("no memory is left locked"));
}

int main(void)
{
	char address[PCI_ADDRESS_LEN];

	ksft_print_header();
	if (!mediated_available())
		ksft_exit_skip("mediated_dma is not loaded\n");
	if (dma_device_find(0, 0, address))
		ksft_exit_skip("a device is needed\n");
	fault_allow();
	/* What is written would take chances to fail, too */
	transcript_mute(1);
	ksft_set_plan(17);

	pci_bind(address, "vfio-pci");
	bed.hardware = pci_iommu_group(address);
	mediated_create(&bed.device, 0);
	mediated_create(&bed.other, 1);
	bed.page = page_size();
	bed.memory = (unsigned long)memory_get_present(PAGES * bed.page);

	test("v1", VFIO_SPAPR_TCE_IOMMU);
	test("v2", VFIO_SPAPR_TCE_v2_IOMMU);

	mediated_remove(&bed.other);
	mediated_remove(&bed.device);
	ksft_finished();
}
