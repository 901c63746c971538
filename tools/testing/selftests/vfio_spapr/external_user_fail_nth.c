// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation and each copy from user space fails in turn, when an
 * external user of a VFIO group comes (lib/fault.h). The module
 * external_user_test is that user.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../kselftest.h"
#include "lib/dma_device.h"
#include "lib/fault.h"
#include "lib/memory.h"
#include "lib/vfio_pci.h"
#include "modules/external_user_test.h"

static int user = -1;
static struct vfio_pci pci;

static void go(void)
{
	vfio_close(&user);
}

/* 0, or -1 with errno */
static int come(void)
{
	struct external_user_callback callback = {};
	int error;

	user = open("/dev/" EXTERNAL_USER_TEST_NAME, O_RDWR | O_CLOEXEC);
	if (user < 0)
		return -1;
	if (!ioctl(user, EXTERNAL_USER_GET, &pci.group) &&
	    ioctl(user, EXTERNAL_USER_IOMMU_ID) == pci.iommu_group &&
	    !ioctl(user, EXTERNAL_USER_REGISTER, &callback))
		return 0;
	error = errno;
	go();
	errno = error;
	return -1;
}

/* The same with a group that is held already and stays */
static int enlist(void)
{
	struct external_user_callback callback = {};

	return ioctl(user, EXTERNAL_USER_REGISTER, &callback);
}

static void delist(void)
{
	ioctl(user, EXTERNAL_USER_UNREGISTER);
}

int main(void)
{
	char address[PCI_ADDRESS_LEN];

	ksft_print_header();
	if (dma_device_find(0, 0, address))
		ksft_exit_skip("a device is needed\n");
	if (access("/dev/" EXTERNAL_USER_TEST_NAME, F_OK))
		ksft_exit_skip("external_user_test is not loaded\n");
	fault_allow();
	ksft_set_plan(4);
	pci_bind(address, "vfio-pci");
	vfio_pci_open_group(&pci, address, VFIO_SPAPR_TCE_v2_IOMMU);

	fault_test("a user comes", come, go);
	VFIO_REQUIRE(!come(), "come");
	delist();
	fault_test("a user registers", enlist, delist);
	ksft_test_result(__vfio_group_unset_container(pci.group) == -EBUSY,
			 "the group is held\n");
	go();
	ksft_test_result(!__vfio_group_unset_container(pci.group),
			 "nothing holds the group any more\n");

	vfio_pci_close(&pci);
	ksft_finished();
}
