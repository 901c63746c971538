// SPDX-License-Identifier: GPL-2.0
/*
 * A device can be unbound while the PE is being reset by VFIO_EEH_PE_OP.
 *
 * Unbinding holds the device's lock while the group leaves the container, and a
 * reset takes this lock: if the container kept what the group needs to leave,
 * both would wait for ever.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/dma_device.h"
#include "lib/harness.h"
#include "lib/vfio_pci.h"

#define ROUNDS	3

struct resets {
	pthread_t thread;
	int container;
	atomic_bool end;
	atomic_uint done;
};

static long eeh_op(int container, __u32 op)
{
	struct vfio_eeh_pe_op arg = { .argsz = sizeof(arg), .op = op };
	long ret = ioctl(container, VFIO_EEH_PE_OP, &arg);

	return ret < 0 ? -errno : ret;
}

static void *reset(void *arg)
{
	struct resets *resets = arg;

	while (!resets->end) {
		if (!eeh_op(resets->container, VFIO_EEH_PE_RESET_HOT))
			resets->done++;
		eeh_op(resets->container, VFIO_EEH_PE_RESET_DEACTIVATE);
	}
	return NULL;
}

FIXTURE(eeh_unbind) {
	char address[PCI_ADDRESS_LEN];
	struct vfio_pci pci;
};

FIXTURE_SETUP(eeh_unbind)
{
	if (dma_device_find(0, 0, self->address))
		SKIP(return, "no device");
	self->pci = (struct vfio_pci){ .container = -1, .group = -1,
				       .device = -1 };
	pci_bind(self->address, "vfio-pci");
}

FIXTURE_TEARDOWN(eeh_unbind)
{
	vfio_pci_close(&self->pci);
}

TEST_F_TIMEOUT(eeh_unbind, while_reset, 100)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct resets resets = { .end = false };

		vfio_pci_open_group(&self->pci, self->address,
				    VFIO_SPAPR_TCE_v2_IOMMU);
		if (ioctl(self->pci.container, VFIO_CHECK_EXTENSION,
			  VFIO_EEH) <= 0)
			SKIP(return, "no EEH");
		resets.container = self->pci.container;
		VFIO_REQUIRE(!pthread_create(&resets.thread, NULL, reset,
					     &resets), "thread");
		while (!resets.done)
			usleep(1000);
		pci_unbind(self->address);
		/* The group has left */
		EXPECT_EQ(-EINVAL, eeh_op(self->pci.container,
					  VFIO_EEH_PE_GET_STATE));
		resets.end = true;
		pthread_join(resets.thread, NULL);

		vfio_pci_close(&self->pci);
		pci_bind(self->address, "vfio-pci");
	}
}

TEST_HARNESS_MAIN
