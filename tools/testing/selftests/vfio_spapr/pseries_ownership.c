// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every function of a group gets the host's window back.
 *
 * An IOMMU group of a logical partition has all functions of a bus. When VFIO
 * gives it back, the host's drivers for whichever of them, in any order, do
 * DMA again: two network cards in one group both reach a peer afterwards, and
 * neither through a table that has been freed.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/container.h"
#include "lib/e1000e.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/harness.h"

#define NICS	2
#define PEER	"10.0.2.2"	/* answers on each card's network */

FIXTURE(ownership) {
	char address[NICS][PCI_ADDRESS_LEN];
};

FIXTURE_VARIANT(ownership) {
	unsigned int iommu_type;
	unsigned int first_back;	/* to its driver */
	bool window;			/* one is made */
	bool left;			/* one is left at the end */
};

FIXTURE_VARIANT_ADD(ownership, v1) {
	.iommu_type = VFIO_SPAPR_TCE_IOMMU,
};

FIXTURE_VARIANT_ADD(ownership, v2_default) {
	.iommu_type = VFIO_SPAPR_TCE_v2_IOMMU,
	.first_back = 1,
};

FIXTURE_VARIANT_ADD(ownership, v2_window) {
	.iommu_type = VFIO_SPAPR_TCE_v2_IOMMU,
	.window = true,
};

FIXTURE_VARIANT_ADD(ownership, v2_window_left) {
	.iommu_type = VFIO_SPAPR_TCE_v2_IOMMU,
	.first_back = 1,
	.window = true,
	.left = true,
};

/* Name of the function's network interface; false if it has none. */
static bool interface(const char *address, char name[IFNAMSIZ])
{
	char path[128];
	struct dirent *d;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/net", address);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(name, IFNAMSIZ, "%.15s", d->d_name);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

static void bring(const char *name, bool up)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in *sin;
	struct ifreq ifr = {};

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	sin = (struct sockaddr_in *)&ifr.ifr_addr;
	sin->sin_family = AF_INET;
	inet_pton(AF_INET, "10.0.2.15", &sin->sin_addr);
	if (up)
		VFIO_REQUIRE(!ioctl(fd, SIOCSIFADDR, &ifr), "%s", name);
	VFIO_REQUIRE(!ioctl(fd, SIOCGIFFLAGS, &ifr), "%s", name);
	ifr.ifr_flags = up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP;
	VFIO_REQUIRE(!ioctl(fd, SIOCSIFFLAGS, &ifr), "%s", name);
	close(fd);
}

static __u16 checksum(const void *data, size_t len)
{
	const __u16 *p = data;
	__u32 sum = 0;

	for (; len > 1; len -= 2)
		sum += *p++;
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

/* Packets out of memory and into it, by the function at this address. */
static bool reaches_peer(const char *address)
{
	struct timeval wait = { .tv_sec = 1 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct icmphdr echo = { .type = ICMP_ECHO };
	char name[IFNAMSIZ], answer[256];
	bool reached = false;
	int fd, i;

	for (i = 0; i < 50 && !interface(address, name); i++)
		usleep(100000);
	if (i == 50)
		return false;
	bring(name, true);

	fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	inet_pton(AF_INET, PEER, &to.sin_addr);
	echo.un.echo.id = htons(getpid());
	echo.checksum = checksum(&echo, sizeof(echo));
	VFIO_REQUIRE(!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name,
				 strlen(name)), "%s", name);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	for (i = 0; i < 15 && !reached; i++) {
		if (sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&to,
			   sizeof(to)) < 0)
			usleep(200000);
		else if (recv(fd, answer, sizeof(answer), 0) > 0)
			reached = true;
	}
	close(fd);
	bring(name, false);
	return reached;
}

FIXTURE_SETUP(ownership)
{
	int i;

	if (!testbed_is_partition())
		SKIP(return, "not a logical partition");
	for (i = 0; i < NICS; i++)
		if (__pci_find(E1000E_VENDOR, E1000E_DEVICE, i,
			       self->address[i]))
			SKIP(return, "needs %d e1000e", NICS);
	if (pci_iommu_group(self->address[0]) !=
	    pci_iommu_group(self->address[1]))
		SKIP(return, "cards in groups of their own");
	/* Before anything */
	for (i = 0; i < NICS; i++)
		ASSERT_TRUE(reaches_peer(self->address[i]));
}

FIXTURE_TEARDOWN(ownership)
{
	int i;

	for (i = 0; i < NICS; i++)
		pci_bind_default(self->address[i]);
}

static void use_and_give_back(struct __test_metadata *_metadata,
			      SELF(ownership) self,
			      VARIANT(ownership) variant)
{
	struct vfio_iommu_spapr_tce_info info;
	struct vfio_pci pci;
	__u64 start;
	void *memory;
	bool window;
	int i;

	memory = memory_get(BASE_PAGES, MiB, PROT_READ | PROT_WRITE);
	for (i = 0; i < NICS; i++)
		pci_bind(self->address[i], "vfio-pci");
	vfio_pci_open(&pci, self->address[0], variant->iommu_type);
	ASSERT_EQ(container_get_info(pci.container, &info), 0);
	start = info.dma32_window_start;
	window = variant->window && info.ddw.pgsizes & page_size();

	if (variant->iommu_type == VFIO_SPAPR_TCE_IOMMU) {
		ASSERT_EQ(container_enable(pci.container), 0);
	} else {
		ASSERT_EQ(container_register(pci.container, (__u64)memory,
					     MiB), 0);
	}
	/* Where the platform has dynamic windows; else the default one again */
	if (window) {
		ASSERT_EQ(container_create_window(pci.container, page_shift(),
						  4 * GiB, 1, &start), 0);
	}
	ASSERT_EQ(container_map(pci.container, (__u64)memory, start, 64 * KiB,
				READ_WRITE), 0);
	if (window && !variant->left) {
		ASSERT_EQ(container_remove_window(pci.container, start), 0);
		ASSERT_EQ(container_remove_window(pci.container,
						  info.dma32_window_start), 0);
	}
	vfio_pci_close(&pci);
	munmap(memory, MiB);
}

/* The variants follow each other, so each also sees what one has left behind */
TEST_F(ownership, all_come_back)
{
	unsigned int i, n;

	use_and_give_back(_metadata, self, variant);
	for (i = 0; i < NICS; i++) {
		n = (variant->first_back + i) % NICS;
		pci_bind_default(self->address[n]);
		EXPECT_TRUE(reaches_peer(self->address[n]));
	}
}

TEST_HARNESS_MAIN
