// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI functions under VFIO, for test programs: see vfio_pci.h.
 *
 * Everything goes through the interfaces that any VFIO user has: sysfs for
 * the choice of the driver, the container, group and device files for the
 * rest.  No state is kept between calls.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vfio_pci.h"

#define SYSFS_PCI	"/sys/bus/pci"

void vfio_require_failed(const char *file, int line, const char *cond,
			 const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	fprintf(stderr, "# %s:%d: not true: %s: ", file, line, cond);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (errno %d, %s)\n", err, strerror(err));
	exit(1);
}

static void pci_path(char *path, size_t len, const char *address,
		     const char *attr)
{
	snprintf(path, len, SYSFS_PCI "/devices/%s/%s", address, attr);
}

int file_write_bytes(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY);
	ssize_t done;
	int err;

	if (fd < 0)
		return -errno;
	done = write(fd, bytes, size);
	err = done < 0 ? -errno : 0;
	close(fd);
	return err;
}

int file_write(const char *path, const char *text)
{
	return file_write_bytes(path, text, strlen(text));
}

int __module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static int __pci_write(const char *address, const char *attr, const char *text)
{
	char path[128];

	pci_path(path, sizeof(path), address, attr);
	return file_write(path, text);
}

static unsigned long pci_read_id(const char *address, const char *attr)
{
	char path[128], text[32] = "";
	int fd;

	pci_path(path, sizeof(path), address, attr);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strtoul(text, NULL, 16);
}

/* Last component of what a link in the function's directory points to. */
static int __pci_link(const char *address, const char *attr, char *name,
		      size_t len)
{
	char path[128], target[256];
	ssize_t n;

	pci_path(path, sizeof(path), address, attr);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	snprintf(name, len, "%s", strrchr(target, '/') + 1);
	return 0;
}

int __pci_find(__u16 vendor, __u16 device, unsigned int nth,
	       char address[PCI_ADDRESS_LEN])
{
	struct dirent **entries;
	int i, n, err = -ENODEV;

	n = scandir(SYSFS_PCI "/devices", &entries, NULL, alphasort);
	if (n < 0)
		return -errno;

	for (i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (err && strlen(name) < PCI_ADDRESS_LEN &&
		    pci_read_id(name, "vendor") == vendor &&
		    pci_read_id(name, "device") == device && !nth--) {
			snprintf(address, PCI_ADDRESS_LEN, "%.15s", name);
			err = 0;
		}
		free(entries[i]);
	}
	free(entries);
	return err;
}

bool pci_present(const char *address)
{
	char path[128];

	pci_path(path, sizeof(path), address, "");
	return !access(path, F_OK);
}

int __pci_ids(const char *address, __u16 *vendor, __u16 *device)
{
	*vendor = pci_read_id(address, "vendor");
	*device = pci_read_id(address, "device");
	return *vendor ? 0 : -ENODEV;
}

static const char *names(void)
{
	return getenv("VFIO_SPAPR_DEVICES");
}

bool pci_are_named(void)
{
	return names();
}

int __pci_named(unsigned int nth, char address[PCI_ADDRESS_LEN])
{
	const char *at = names();
	size_t length;

	while (at) {
		at += strspn(at, " ");
		length = strcspn(at, " ");
		if (!length || length >= PCI_ADDRESS_LEN)
			break;
		snprintf(address, PCI_ADDRESS_LEN, "%.*s", (int)length, at);
		if (!nth--)
			return 0;
		at += length;
	}
	return -ENODEV;
}

void pci_driver(const char *address, char *name, size_t len)
{
	if (__pci_link(address, "driver", name, len))
		name[0] = '\0';
}

int __pci_unbind(const char *address)
{
	char driver[64];

	pci_driver(address, driver, sizeof(driver));
	if (!driver[0])
		return 0;
	return __pci_write(address, "driver/unbind", address);
}

void pci_unbind(const char *address)
{
	int err = __pci_unbind(address);

	VFIO_REQUIRE(!err, "unbind %s: %d", address, err);
}

int __pci_bind(const char *address, const char *driver)
{
	char now[64];
	int err;

	if (!pci_present(address))
		return -ENODEV;

	pci_driver(address, now, sizeof(now));
	if (driver && !strcmp(driver, now))
		return 0;

	err = __pci_unbind(address);
	if (err)
		return err;

	/* A line feed alone ends the override. */
	err = __pci_write(address, "driver_override", driver ?: "\n");
	if (err || !driver)
		return err;

	err = file_write(SYSFS_PCI "/drivers_probe", address);
	if (err)
		return err;

	/* A probe that fails is no error to drivers_probe. */
	pci_driver(address, now, sizeof(now));
	return strcmp(driver, now) ? -ENXIO : 0;
}

void pci_bind(const char *address, const char *driver)
{
	int err = __pci_bind(address, driver);

	VFIO_REQUIRE(!err, "bind %s to %s: %d", address, driver ?: "nothing",
		     err);
}

void pci_bind_default(const char *address)
{
	pci_bind(address, NULL);
	file_write(SYSFS_PCI "/drivers_probe", address);
}

int __pci_remove(const char *address)
{
	return __pci_write(address, "remove", "1");
}

void pci_remove(const char *address)
{
	int err = __pci_remove(address);

	VFIO_REQUIRE(!err, "remove %s: %d", address, err);
}

void pci_rescan(void)
{
	int err = file_write(SYSFS_PCI "/rescan", "1");

	VFIO_REQUIRE(!err, "rescan: %d", err);
}

bool pci_comes_back(const char *address)
{
	int tries = 50;

	pci_rescan();
	while (!pci_present(address) && --tries)
		usleep(100 * 1000);
	return tries;
}

static int __pci_iommu_group(const char *address)
{
	char name[32];
	int err = __pci_link(address, "iommu_group", name, sizeof(name));

	return err ?: atoi(name);
}

int pci_iommu_group(const char *address)
{
	int id = __pci_iommu_group(address);

	VFIO_REQUIRE(id >= 0, "%s has no IOMMU group: %d", address, id);
	return id;
}

__u16 pci_vendor(const char *address)
{
	char path[64];
	__u16 id = 0;
	int file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", address);
	file = open(path, O_RDONLY | O_CLOEXEC);
	VFIO_REQUIRE(file >= 0 && pread(file, &id, 2, PCI_VENDOR_ID) == 2,
		     "configuration space of %s", address);
	close(file);
	return le16toh(id);
}

int vfio_container_open(void)
{
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	VFIO_REQUIRE(fd >= 0, "open a container");
	return fd;
}

int __vfio_container_set_iommu(int container, unsigned int type)
{
	return ioctl(container, VFIO_SET_IOMMU, type) ? -errno : 0;
}

void vfio_container_set_iommu(int container, unsigned int type)
{
	int err = __vfio_container_set_iommu(container, type);

	VFIO_REQUIRE(!err, "VFIO_SET_IOMMU %u: %d", type, err);
}

int __vfio_group_open(int iommu_group)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%d", iommu_group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int vfio_group_open(int iommu_group)
{
	int fd = __vfio_group_open(iommu_group);

	VFIO_REQUIRE(fd >= 0, "open group %d: %d", iommu_group, fd);
	return fd;
}

int __vfio_group_set_container(int group, int container)
{
	return ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ? -errno : 0;
}

void vfio_group_set_container(int group, int container)
{
	int err = __vfio_group_set_container(group, container);

	VFIO_REQUIRE(!err, "VFIO_GROUP_SET_CONTAINER: %d", err);
}

int __vfio_group_unset_container(int group)
{
	return ioctl(group, VFIO_GROUP_UNSET_CONTAINER) ? -errno : 0;
}

void vfio_group_unset_container(int group)
{
	int err = __vfio_group_unset_container(group);

	VFIO_REQUIRE(!err, "VFIO_GROUP_UNSET_CONTAINER: %d", err);
}

__u32 vfio_group_flags(int group)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int err = ioctl(group, VFIO_GROUP_GET_STATUS, &status);

	VFIO_REQUIRE(!err, "VFIO_GROUP_GET_STATUS");
	return status.flags;
}

int __vfio_device_open(int group, const char *address)
{
	int fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);

	return fd < 0 ? -errno : fd;
}

int vfio_device_open(int group, const char *address)
{
	int fd = __vfio_device_open(group, address);

	VFIO_REQUIRE(fd >= 0, "open device %s: %d", address, fd);
	return fd;
}

static struct vfio_region_info vfio_device_region(int device,
						  unsigned int index)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = index,
	};
	int err = ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info);

	VFIO_REQUIRE(!err, "region %u", index);
	return info;
}

/* Configuration space is little-endian whatever the processor is. */
__u32 vfio_device_config_read(int device, unsigned int offset,
			      unsigned int len)
{
	struct vfio_region_info info =
		vfio_device_region(device, VFIO_PCI_CONFIG_REGION_INDEX);
	__u8 bytes[4] = { 0 };
	ssize_t n = pread(device, bytes, len, info.offset + offset);

	VFIO_REQUIRE(n == len, "read %u bytes of configuration at %#x", len,
		     offset);
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 |
	       (__u32)bytes[3] << 24;
}

void vfio_device_config_write(int device, unsigned int offset,
			      __u32 value, unsigned int len)
{
	struct vfio_region_info info =
		vfio_device_region(device, VFIO_PCI_CONFIG_REGION_INDEX);
	__u8 bytes[4] = { value, value >> 8, value >> 16, value >> 24 };
	ssize_t n = pwrite(device, bytes, len, info.offset + offset);

	VFIO_REQUIRE(n == len, "write %u bytes of configuration at %#x", len,
		     offset);
}

unsigned int vfio_device_capability(int device, unsigned int capability)
{
	unsigned int at = PCI_CAPABILITY_LIST, tries = 48;

	while (tries--) {
		at = vfio_device_config_read(device, at, 1);
		if (!at || vfio_device_config_read(device, at, 1) ==
			   capability)
			return at;
		at += PCI_CAP_LIST_NEXT;
	}
	return 0;
}

void vfio_device_set_bus_master(int device, bool on)
{
	__u32 command = vfio_device_config_read(device, PCI_COMMAND, 2);

	if (on)
		command |= PCI_COMMAND_MASTER;
	else
		command &= ~PCI_COMMAND_MASTER;
	vfio_device_config_write(device, PCI_COMMAND, command, 2);
}

int __vfio_device_set_eventfds(int device, unsigned int index,
			       unsigned int start, unsigned int count,
			       const int *eventfds)
{
	char buffer[sizeof(struct vfio_irq_set) +
		    VFIO_MAX_EVENTFDS * sizeof(__s32)];
	struct vfio_irq_set *irqs = (void *)buffer;

	VFIO_REQUIRE(count <= VFIO_MAX_EVENTFDS, "%u eventfds", count);
	*irqs = (struct vfio_irq_set){
		.argsz = sizeof(*irqs) + count * sizeof(__s32),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD |
			 VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.start = start,
		.count = count,
	};
	memcpy(irqs->data, eventfds, count * sizeof(__s32));
	return ioctl(device, VFIO_DEVICE_SET_IRQS, irqs) ? -errno : 0;
}

void *vfio_device_map_bar(int device, unsigned int bar, size_t *size)
{
	struct vfio_region_info info = vfio_device_region(device, bar);
	void *map;

	VFIO_REQUIRE(info.flags & VFIO_REGION_INFO_FLAG_MMAP,
		     "BAR %u cannot be mapped", bar);
	map = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		   info.offset);
	VFIO_REQUIRE(map != MAP_FAILED, "map BAR %u", bar);
	if (size)
		*size = info.size;
	return map;
}

void vfio_pci_open_group(struct vfio_pci *pci, const char *address,
			 unsigned int iommu_type)
{
	snprintf(pci->address, sizeof(pci->address), "%s", address);
	pci_bind(address, "vfio-pci");
	pci->iommu_group = pci_iommu_group(address);
	pci->container = vfio_container_open();
	pci->group = vfio_group_open(pci->iommu_group);
	pci->device = -1;
	vfio_group_set_container(pci->group, pci->container);
	vfio_container_set_iommu(pci->container, iommu_type);
}

void vfio_pci_open(struct vfio_pci *pci, const char *address,
		   unsigned int iommu_type)
{
	vfio_pci_open_group(pci, address, iommu_type);
	pci->device = vfio_device_open(pci->group, address);
}

void vfio_pci_close(struct vfio_pci *pci)
{
	vfio_close(&pci->device);
	vfio_close(&pci->group);
	vfio_close(&pci->container);
}

void vfio_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
