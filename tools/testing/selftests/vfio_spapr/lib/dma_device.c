// SPDX-License-Identifier: GPL-2.0
/* Devices that do DMA for test programs, see dma_device.h. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma_device.h"
#include "e1000e.h"
#include "edu.h"
#include "memory.h"
#include "transcript.h"
#include "../../kselftest.h"

static const struct dma_device_ops *const drivers[] = {
	&edu_ops,
	&e1000e_ops,
};

static bool drives(const struct dma_device_ops *ops, __u16 vendor,
		   __u16 device)
{
	const struct dma_device_id *id;

	for (id = ops->ids; id->vendor; id++)
		if (id->vendor == vendor && id->device == device)
			return true;
	return false;
}

static const struct dma_device_ops *driver_of(__u16 vendor, __u16 device)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++)
		if (drives(drivers[i], vendor, device))
			return drivers[i];
	return NULL;
}

int dma_device_check(const char *address, unsigned int abilities)
{
	const struct dma_device_ops *ops;
	__u16 vendor, device;

	if (__pci_ids(address, &vendor, &device)) {
		printf("# there is no function %s\n", address);
		return -ENODEV;
	}
	ops = driver_of(vendor, device);
	if (!ops) {
		printf("# no driver for %s (%04x:%04x), see lib/dma_device.h\n",
		       address, vendor, device);
		return -ENODEV;
	}
	abilities &= ~ops->abilities;
	if (abilities)
		printf("# %s, %s:%s%s%s\n", address, ops->name,
		       abilities & DMA_NO_MEMORY ?
		       " it needs memory of the program" : "",
		       abilities & DMA_TAKES_TIME ? " its copies take no time" :
		       "",
		       abilities & DMA_MSIX ? " it has no vectors of MSI-X" :
		       "");
	return abilities ? -EOPNOTSUPP : 0;
}

int dma_device_find(unsigned int nth, unsigned int abilities,
		    char address[PCI_ADDRESS_LEN])
{
	const struct dma_device_id *id;
	unsigned int i = 0;

	if (pci_are_named()) {
		if (!__pci_named(nth, address))
			return dma_device_check(address, abilities);
		printf("# VFIO_SPAPR_DEVICES names less than %u functions\n",
		       nth + 1);
		return -ENODEV;
	}
	while (abilities & ~drivers[i]->abilities)
		if (++i == ARRAY_SIZE(drivers))
			return -EOPNOTSUPP;
	for (id = drivers[i]->ids; id->vendor; id++)
		if (!__pci_find(id->vendor, id->device, nth, address))
			return 0;
	printf("# less than %u functions of %s\n", nth + 1, drivers[i]->name);
	return -ENODEV;
}

void dma_device_open(struct dma_device *dma, int file)
{
	__u32 command = vfio_device_config_read(file, PCI_COMMAND, 2);
	__u32 ids = vfio_device_config_read(file, PCI_VENDOR_ID, 4);

	memset(dma, 0, sizeof(*dma));
	dma->ops = driver_of(ids, ids >> 16);
	VFIO_REQUIRE(dma->ops, "driver for %04x:%04x", ids & 0xffff, ids >> 16);
	vfio_device_config_write(file, PCI_COMMAND,
				 command | PCI_COMMAND_MEMORY |
				 PCI_COMMAND_MASTER, 2);
	dma->bar = vfio_device_map_bar(file, dma->ops->bar, &dma->bar_size);
}

size_t dma_device_memory(const struct dma_device *dma)
{
	return (dma->ops->memory + page_size() - 1) & -page_size();
}

void dma_device_init(struct dma_device *dma, void *memory, __u64 bus)
{
	VFIO_REQUIRE(memory || !dma->ops->memory, "memory for %s",
		     dma->ops->name);
	dma->memory = memory;
	dma->bus = bus;
	if (dma->ops->init)
		dma->ops->init(dma);
}

void dma_device_start(struct dma_device *dma, int file)
{
	dma_device_open(dma, file);
	dma_device_init(dma, NULL, 0);
}

void dma_device_close(struct dma_device *dma)
{
	if (dma->bar)
		munmap((void *)dma->bar, dma->bar_size);
	dma->bar = NULL;
}

bool dma_alive(const struct dma_device *dma)
{
	return dma->ops->alive(dma);
}

static void check_buffer(unsigned int offset, unsigned int count)
{
	VFIO_REQUIRE(offset <= DMA_BUFFER_SIZE &&
		     count <= DMA_BUFFER_SIZE - offset, "%u bytes at %u",
		     count, offset);
}

bool dma_load(const struct dma_device *dma, __u64 bus, unsigned int offset,
	      unsigned int count)
{
	check_buffer(offset, count);
	return dma->ops->load(dma, bus, offset, count);
}

bool dma_store(const struct dma_device *dma, __u64 bus, unsigned int offset,
	       unsigned int count)
{
	check_buffer(offset, count);
	VFIO_REQUIRE(bus >= dma->ops->first_bus, "%s does not write to %#llx",
		     dma->ops->name, (unsigned long long)bus);
	return dma->ops->store(dma, bus, offset, count);
}

void dma_interrupt(const struct dma_device *dma, unsigned int vector)
{
	dma->ops->interrupt(dma, vector);
}

void dma_quiet(const struct dma_device *dma)
{
	dma->ops->quiet(dma);
}

static unsigned int reach(const struct dma_device *dma, __u64 bus,
			  volatile __u64 *memory, __u64 scratch_bus,
			  volatile __u64 *scratch)
{
	static __u64 serial = 0x5341505200000000;
	const __u64 sent = ++serial, left = ++serial;
	unsigned int found = 0;

	*memory = sent;
	if (!dma_load(dma, bus, 0, sizeof(sent)))
		return DMA_SILENT;
	*memory = left;
	if (!dma_store(dma, bus, 0, sizeof(sent)))
		return DMA_SILENT;
	if (*memory == sent)
		return DMA_READS | DMA_WRITES;
	if (*memory != left)
		found |= DMA_WRITES;
	if (!scratch)
		return found;

	*scratch = left;
	if (!dma_store(dma, scratch_bus, 0, sizeof(sent)))
		return found | DMA_SILENT;
	if (*scratch == sent)
		found |= DMA_READS;
	return found;
}

/* Bytes from @bus to where the device can write */
static size_t skipped(const struct dma_device *dma, __u64 bus)
{
	return bus < dma->ops->first_bus ? sizeof(__u64) : 0;
}

unsigned int dma_reach(const struct dma_device *dma, __u64 bus,
		       volatile void *memory, __u64 scratch_bus,
		       volatile void *scratch)
{
	static const char *const reaches[] = {
		"nothing", "reads", "writes", "reads and writes",
	};
	const size_t skip = skipped(dma, bus);
	const size_t skip_scratch = skipped(dma, scratch_bus);
	volatile __u64 *at = memory + skip;
	const __u64 before = *at;
	unsigned int found;
	char question[96];

	found = reach(dma, bus + skip, at, scratch_bus + skip_scratch,
		      scratch ? scratch + skip_scratch : NULL);
	*at = before;

	snprintf(question, sizeof(question), "device at %#llx to %p",
		 (unsigned long long)bus, (void *)memory);
	transcript_see(question, "%s%s", reaches[found & 3],
		       found & DMA_SILENT ? ", hangs" : "");
	return found;
}

bool dma_strays(const struct dma_device *dma, __u64 bus, void *memory,
		size_t size)
{
	const char *const bytes = memory;
	char question[48];
	bool strays;

	memset(memory, 0xa5, size);
	dma_store(dma, bus, 0, sizeof(__u64));
	strays = memcmp(bytes, bytes + 1, size - 1);

	snprintf(question, sizeof(question), "device astray at %#llx",
		 (unsigned long long)bus);
	transcript_see(question, "%s", strays ? "writes" : "nothing");
	return strays;
}

static void *write_without_end(void *arg)
{
	struct dma_writer *w = arg;

	while (!w->end) {
		dma_store(w->dma, w->bus, 0, sizeof(__u64));
		w->copies++;
	}
	return NULL;
}

void dma_writer_start(struct dma_writer *w, const struct dma_device *dma,
		      __u64 bus)
{
	*w = (struct dma_writer) { .dma = dma, .bus = bus };
	VFIO_REQUIRE(!pthread_create(&w->thread, NULL, write_without_end, w),
		     "thread");
}

void dma_writer_stop(struct dma_writer *w)
{
	w->end = true;
	pthread_join(w->thread, NULL);
}

bool dma_writer_reaches(const struct dma_writer *w, void *memory, size_t size,
			unsigned int copies)
{
	const unsigned int before = w->copies;
	const char *const bytes = memory;
	bool reached, over;

	memset(memory, 0xa5, size);
	do {
		usleep(1000);
		over = w->copies - before >= copies;
		reached = memcmp(bytes, bytes + 1, size - 1);
	} while (!reached && !over);
	return reached;
}
