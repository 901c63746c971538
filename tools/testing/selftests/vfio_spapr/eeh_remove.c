// SPDX-License-Identifier: GPL-2.0
/*
 * The last device of a PE can be removed while VFIO_EEH_PE_OP runs.
 *
 * The operation holds the PE that it has found. Its result does not matter for
 * a PE without devices, but the kernel must survive.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/dma_device.h"
#include "lib/memory.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

#define ROUNDS	8

FIXTURE(eeh_remove) {
	char address[PCI_ADDRESS_LEN];
	struct vfio_pci pci;
};

static void open_group(SELF(eeh_remove) self)
{
	pci_bind(self->address, "vfio-pci");
	vfio_pci_open_group(&self->pci, self->address,
			    VFIO_SPAPR_TCE_v2_IOMMU);
}

FIXTURE_SETUP(eeh_remove)
{
	if (dma_device_find(0, 0, self->address))
		SKIP(return, "no device");
	open_group(self);
	if (ioctl(self->pci.container, VFIO_CHECK_EXTENSION, VFIO_EEH) <= 0) {
		vfio_pci_close(&self->pci);
		SKIP(return, "no EEH");
	}
}

FIXTURE_TEARDOWN(eeh_remove)
{
	vfio_pci_close(&self->pci);
	if (!pci_present(self->address))
		ASSERT_TRUE(pci_comes_back(self->address));
}

static long eeh_op(int container, struct vfio_eeh_pe_op *op)
{
	long ret = ioctl(container, VFIO_EEH_PE_OP, op);

	return ret < 0 ? -errno : ret;
}

/* An argument that the kernel waits for when it reads it */

struct late_op {
	struct vfio_eeh_pe_op *op;
	int container;
	int faults;
	pthread_t thread;
	long ret;
};

static void late_op_create(struct late_op *late)
{
	late->op = memory_get(BASE_PAGES, page_size(), PROT_READ | PROT_WRITE);
	late->faults = pages_withhold((unsigned long)late->op, page_size());
}

static void *late_op_run(void *arg)
{
	struct late_op *late = arg;

	late->ret = eeh_op(late->container, late->op);
	return NULL;
}

/* Returns when the kernel waits for the argument */
static void late_op_start(struct late_op *late, int container)
{
	late->container = container;
	VFIO_REQUIRE(!pthread_create(&late->thread, NULL, late_op_run, late),
		     "thread");
	VFIO_REQUIRE(page_wanted(late->faults), "fault");
}

static long late_op_finish(struct late_op *late, __u32 op)
{
	struct vfio_eeh_pe_op *content = memory_get(HUGE_PAGES, page_size(),
						    PROT_READ | PROT_WRITE);
	struct uffdio_copy copy = {
		.dst = (unsigned long)late->op,
		.src = (unsigned long)content,
		.len = page_size(),
	};

	*content = (struct vfio_eeh_pe_op){
		.argsz = sizeof(*content),
		.op = op,
	};
	VFIO_REQUIRE(!ioctl(late->faults, UFFDIO_COPY, &copy), "argument");
	pthread_join(late->thread, NULL);
	close(late->faults);
	munmap(content, page_size());
	munmap(late->op, page_size());
	return late->ret;
}

TEST_F(eeh_remove, before_the_argument)
{
	struct late_op late;

	late_op_create(&late);
	late_op_start(&late, self->pci.container);
	pci_remove(self->address);
	/* The group has left its container */
	EXPECT_LT(late_op_finish(&late, VFIO_EEH_PE_GET_STATE), 0);
}

/*
 * Against resets of the device, which take long, and what follows them. They
 * are fundamental ones: for a hot reset the PCI core locks the devices of the
 * bus one by one, without a reference, and does not survive their removal.
 */

struct resets {
	pthread_t thread;
	int container;
	atomic_bool end;
	atomic_uint done;
};

static void *reset(void *arg)
{
	static const __u32 ops[] = {
		VFIO_EEH_PE_ENABLE, VFIO_EEH_PE_RESET_FUNDAMENTAL,
		VFIO_EEH_PE_RESET_DEACTIVATE, VFIO_EEH_PE_CONFIGURE,
		VFIO_EEH_PE_RESET_DEACTIVATE, VFIO_EEH_PE_GET_STATE,
	};
	struct resets *resets = arg;
	unsigned int i;

	for (i = 0; !resets->end; i = (i + 1) % 6) {
		struct vfio_eeh_pe_op op = { .argsz = sizeof(op),
					     .op = ops[i] };

		if (!eeh_op(resets->container, &op))
			resets->done++;
	}
	return NULL;
}

TEST_F(eeh_remove, while_reset)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct resets resets = { .container = self->pci.container };

		VFIO_REQUIRE(!pthread_create(&resets.thread, NULL, reset,
					     &resets), "thread");
		while (!resets.done)
			usleep(1000);
		usleep(i * 10000);
		pci_remove(self->address);
		usleep(10000);
		resets.end = true;
		pthread_join(resets.thread, NULL);

		vfio_pci_close(&self->pci);
		ASSERT_TRUE(pci_comes_back(self->address));
		open_group(self);
	}
}

TEST_HARNESS_MAIN
