// SPDX-License-Identifier: GPL-2.0
/*
 * Drivers that set wide DMA masks cost no memory, and do not get a bypass where
 * the administrator wants none.
 *
 * A host (not a partition) lets devices bypass the translation of addresses.
 * With iommu=nobypass on the kernel's command line the bus addresses of its
 * drivers lie in a window below 4 GiB, while a bypass has them above.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/e1000e.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/nic.h"
#include "lib/testbed.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

#define REGISTERS_SIZE	(128 * KiB)
#define ROUNDS		32

/* Its driver sets a mask of 44 bits. */
#define VIRTIO_VENDOR	0x1af4
#define VIRTIO_LEGACY	0x1000

static char address[PCI_ADDRESS_LEN];

static bool asked_for_no_bypass(void)
{
	char line[4096] = "";
	FILE *f = fopen("/proc/cmdline", "r");
	bool asked = f && fgets(line, sizeof(line), f) &&
		     strstr(line, "iommu=nobypass");

	if (f)
		fclose(f);
	return asked;
}

static __u64 receive_ring(void)
{
	char path[64];
	void *bar;
	__u64 ring;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%u",
		 address, E1000E_REGISTERS);
	fd = open(path, O_RDWR | O_CLOEXEC);
	VFIO_REQUIRE(fd >= 0, "%s", path);
	bar = mmap(NULL, REGISTERS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	VFIO_REQUIRE(bar != MAP_FAILED, "%s", path);
	close(fd);
	ring = e1000e_receive_ring(bar);
	munmap(bar, REGISTERS_SIZE);
	return ring;
}

TEST(translated)
{
	if (testbed_is_partition() || !asked_for_no_bypass())
		SKIP(return, "not a host booted with iommu=nobypass");
	if (__pci_find(E1000E_VENDOR, E1000E_DEVICE, 0, address))
		SKIP(return, "no e1000e");

	ASSERT_TRUE(nic_start(address));
	EXPECT_LT(receive_ring(), 4 * GiB);
	EXPECT_TRUE(nic_alive(address, 3));
}

static int bind_again_and_again(void)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pci_unbind(address);
		pci_bind_default(address);
	}
	return 0;
}

TEST(no_memory_lost)
{
	int status;

	if (__pci_find(E1000E_VENDOR, E1000E_DEVICE, 0, address) &&
	    __pci_find(VIRTIO_VENDOR, VIRTIO_LEGACY, 0, address))
		SKIP(return, "no card");

	pci_bind_default(address);
	EXPECT_EQ(leak_of(bind_again_and_again, &status), 0);
	EXPECT_EQ(status, 0);
}

TEST_HARNESS_MAIN
