// SPDX-License-Identifier: GPL-2.0-only
/* Mediated devices of the module mediated_dma, see mediated.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mediated.h"
#include "vfio_pci.h"

#define CREATE	"/sys/devices/platform/" MEDIATED_DMA_NAME \
		"/mdev_supported_types/" MEDIATED_DMA_TYPE "/create"
#define DEVICES	"/sys/bus/mdev/devices"

static void write_file(const char *path, const char *text)
{
	VFIO_REQUIRE(!file_write(path, text), "write %s to %s", text, path);
}

bool mediated_available(void)
{
	return !access(CREATE, F_OK);
}

void mediated_create(struct mediated *mediated, unsigned int nth)
{
	char path[128], target[256];
	ssize_t n;

	snprintf(mediated->uuid, sizeof(mediated->uuid),
		 "6d656469-6174-4564-8000-%012u", nth);
	mediated->group = -1;
	mediated->device = -1;

	snprintf(path, sizeof(path), DEVICES "/%s", mediated->uuid);
	if (access(path, F_OK))
		write_file(CREATE, mediated->uuid);

	snprintf(path, sizeof(path), DEVICES "/%s/iommu_group",
		 mediated->uuid);
	n = readlink(path, target, sizeof(target) - 1);
	VFIO_REQUIRE(n > 0, "%s", path);
	target[n] = '\0';
	mediated->iommu_group = atoi(strrchr(target, '/') + 1);
}

void mediated_remove(struct mediated *mediated)
{
	char path[128];

	mediated_leave(mediated);
	snprintf(path, sizeof(path), DEVICES "/%s/remove", mediated->uuid);
	write_file(path, "1");
}

int mediated_join(struct mediated *mediated, int container)
{
	if (mediated->group < 0)
		mediated->group = vfio_group_open(mediated->iommu_group);
	return __vfio_group_set_container(mediated->group, container);
}

void mediated_leave(struct mediated *mediated)
{
	vfio_close(&mediated->device);
	vfio_close(&mediated->group);
}

void mediated_open(struct mediated *mediated)
{
	mediated->device = vfio_device_open(mediated->group, mediated->uuid);
}

static int call(const struct mediated *mediated, unsigned long request,
		void *arg)
{
	int ret = ioctl(mediated->device, request, arg);

	return ret < 0 ? -errno : ret;
}

static int range_call(const struct mediated *mediated, unsigned long request,
		      __u64 bus, int npages, unsigned int flags)
{
	struct mediated_dma_range range = {
		.bus = bus,
		.npages = npages,
		.flags = flags,
	};

	return call(mediated, request, &range);
}

int mediated_pin(const struct mediated *mediated, __u64 bus, int npages,
		 unsigned int flags)
{
	return range_call(mediated, MEDIATED_DMA_PIN, bus, npages, flags);
}

int mediated_unpin(const struct mediated *mediated, __u64 bus, int npages,
		   unsigned int flags)
{
	return range_call(mediated, MEDIATED_DMA_UNPIN, bus, npages, flags);
}

static int copy(const struct mediated *mediated, unsigned long request,
		__u64 bus, const void *buffer, size_t size, bool write,
		bool thread)
{
	struct mediated_dma_copy arg = {
		.bus = bus,
		.buffer = (unsigned long)buffer,
		.size = size,
		.write = write,
		.thread = thread,
	};

	return call(mediated, request, &arg);
}

int mediated_read(const struct mediated *mediated, __u64 bus, void *buffer,
		  size_t size)
{
	return copy(mediated, MEDIATED_DMA_COPY, bus, buffer, size, false,
		    false);
}

int mediated_write(const struct mediated *mediated, __u64 bus,
		   const void *buffer, size_t size)
{
	return copy(mediated, MEDIATED_DMA_COPY, bus, buffer, size, true,
		    false);
}

int mediated_run_read(const struct mediated *mediated, __u64 bus,
		      void *buffer, size_t size)
{
	return copy(mediated, MEDIATED_DMA_RUN, bus, buffer, size, false,
		    false);
}

int mediated_run_write(const struct mediated *mediated, __u64 bus,
		       const void *buffer, size_t size)
{
	return copy(mediated, MEDIATED_DMA_RUN, bus, buffer, size, true,
		    false);
}

int mediated_thread_read(const struct mediated *mediated, __u64 bus,
			 void *buffer, size_t size)
{
	return copy(mediated, MEDIATED_DMA_COPY, bus, buffer, size, false,
		    true);
}

int mediated_thread_write(const struct mediated *mediated, __u64 bus,
			  const void *buffer, size_t size)
{
	return copy(mediated, MEDIATED_DMA_COPY, bus, buffer, size, true,
		    true);
}

void mediated_behave(const struct mediated *mediated,
		     const struct mediated_dma_manners *manners)
{
	int ret = call(mediated, MEDIATED_DMA_BEHAVE, (void *)manners);

	VFIO_REQUIRE(!ret, "manners: %d", ret);
}

struct mediated_dma_report mediated_report(const struct mediated *mediated)
{
	struct mediated_dma_report report;
	int ret = call(mediated, MEDIATED_DMA_REPORT, &report);

	VFIO_REQUIRE(!ret, "report: %d", ret);
	return report;
}

int mediated_pins_of(const struct mediated *mediated, const void *address)
{
	__u64 arg = (unsigned long)address;
	int ret = call(mediated, MEDIATED_DMA_PINS_OF, &arg);

	VFIO_REQUIRE(ret >= 0, "pins of %p: %d", address, ret);
	return ret;
}
