// SPDX-License-Identifier: GPL-2.0
/* A network card of the host's own, see nic.h. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "nic.h"

#define ETHERNET_CLASS	0x020000

/* Milliseconds for an answer: while the card comes up, and later */
#define UP_PATIENCE	500
#define PATIENCE	5000

static const unsigned char our_ip[4] = { 10, 0, 2, 15 };
static const unsigned char their_ip[4] = { 10, 0, 2, 2 };

/* A virtio card's interface is one level below its PCI function. */
static bool interface_of(const char *address, char name[IFNAMSIZ])
{
	static const char *const places[] = { "net", "virtio%u/net" };
	char path[128], below[64];
	struct dirent *entry;
	unsigned int i;
	DIR *dir;

	for (i = 0; i < 17; i++) {
		snprintf(below, sizeof(below), places[i > 0], i - 1);
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s",
			 address, below);
		dir = opendir(path);
		if (!dir)
			continue;
		while ((entry = readdir(dir)) && entry->d_name[0] == '.')
			;
		if (entry)
			snprintf(name, IFNAMSIZ, "%.15s", entry->d_name);
		closedir(dir);
		return entry;
	}
	return false;
}

int nic_find(int iommu_group, char address[PCI_ADDRESS_LEN])
{
	char path[128];
	struct dirent *entry;
	unsigned int class;
	int found = -ENODEV;
	DIR *dir;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices",
		 iommu_group);
	dir = opendir(path);
	while (found && dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/class",
			 entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%x", &class) == 1 && class == ETHERNET_CLASS) {
			snprintf(address, PCI_ADDRESS_LEN, "%.15s",
				 entry->d_name);
			found = 0;
		}
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int arp_socket(const char *name, struct sockaddr_ll *link,
		      unsigned char mac[ETH_ALEN], unsigned int ms)
{
	struct timeval patience = {
		.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000,
	};
	struct ifreq ifr;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ARP));

	if (fd < 0)
		return fd;
	memset(&ifr, 0, sizeof(ifr));
	snprintf(ifr.ifr_name, IFNAMSIZ, "%.15s", name);
	ioctl(fd, SIOCGIFHWADDR, &ifr);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	*link = (struct sockaddr_ll){
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ARP),
		.sll_ifindex = if_nametoindex(name),
	};
	if (bind(fd, (struct sockaddr *)link, sizeof(*link))) {
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* ask - one request, and the answer to it */
static bool ask(int fd, const unsigned char mac[ETH_ALEN])
{
	struct {
		struct ether_header eth;
		struct ether_arp arp;
		char pad[18];
	} __attribute__((packed)) frame = {
		.eth.ether_type = htons(ETH_P_ARP),
		.arp.ea_hdr = {
			.ar_hrd = htons(ARPHRD_ETHER),
			.ar_pro = htons(ETH_P_IP),
			.ar_hln = ETH_ALEN,
			.ar_pln = 4,
			.ar_op = htons(ARPOP_REQUEST),
		},
	};
	int i;

	memset(frame.eth.ether_dhost, 0xff, ETH_ALEN);
	memcpy(frame.eth.ether_shost, mac, ETH_ALEN);
	memcpy(frame.arp.arp_sha, mac, ETH_ALEN);
	memcpy(frame.arp.arp_spa, our_ip, 4);
	memcpy(frame.arp.arp_tpa, their_ip, 4);
	if (send(fd, &frame, sizeof(frame), 0) != sizeof(frame))
		return false;

	for (i = 0; i < 16; i++) {
		if (recv(fd, &frame, sizeof(frame), 0) < 42)
			return false;
		if (frame.arp.ea_hdr.ar_op == htons(ARPOP_REPLY) &&
		    !memcmp(frame.arp.arp_spa, their_ip, 4))
			return true;
	}
	return false;
}

/* Whether each of @rounds requests is answered within @ms, or the next one is */
static bool answered(const char *address, unsigned int rounds, unsigned int ms)
{
	unsigned char mac[ETH_ALEN];
	struct sockaddr_ll link;
	char name[IFNAMSIZ];
	bool alive = true;
	int fd;

	if (!interface_of(address, name))
		return false;
	fd = arp_socket(name, &link, mac, ms);
	if (fd < 0)
		return false;
	while (alive && rounds--)
		alive = ask(fd, mac) || ask(fd, mac);
	close(fd);
	return alive;
}

bool nic_alive(const char *address, unsigned int rounds)
{
	return answered(address, rounds, PATIENCE);
}

static void interface_set(const char *name, short flags)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, IFNAMSIZ, "%.15s", name);
	ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
}

bool nic_up(const char *address)
{
	char name[IFNAMSIZ];
	int tries;

	for (tries = 0; tries < 20; tries++) {
		if (interface_of(address, name)) {
			interface_set(name, IFF_UP);
			if (answered(address, 1, UP_PATIENCE))
				return true;
		}
		usleep(100 * 1000);
	}
	return false;
}

bool nic_start(const char *address)
{
	pci_bind_default(address);
	return nic_up(address);
}

void nic_down(const char *address)
{
	char name[IFNAMSIZ];

	VFIO_REQUIRE(interface_of(address, name), "interface of %s", address);
	interface_set(name, 0);
}
