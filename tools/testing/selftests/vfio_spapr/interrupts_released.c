// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of a passed-through device outlive the guest's interrupt controller,
 * and do no harm where the guest has none for them.
 *
 * The file of KVM's XICS or XIVE may be closed while KVM delivers a device's
 * interrupts to it by itself. From then on they have to arrive at the eventfd that
 * VFIO has, and nothing may look for the controller.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/dma_device.h"
#include "lib/kvm_ppc.h"
#include "lib/vfio_pci.h"
#include "lib/harness.h"

#define MEM_SIZE	(16ul * 1024 * 1024)
#define ROUNDS		3
#define LIOBN		1

/* PAPR's hypercalls for interrupts */
#define H_EOI		0x64
#define H_CPPR		0x68
#define H_IPI		0x6c
#define H_XIRR		0x74

#define NO_EVENTFD	(-1)
#define VECTORS		2
/* Milliseconds for an interrupt that must come, and for one of many to pass */
#define PATIENCE	2000
#define MOMENT		50

/* The source: its number in the guest, the vCPU that gets it, how urgent it is */
#define SOURCE		0x1000
#define NO_SOURCE	0x8000
#define SERVER		0
#define PRIORITY	5ull

FIXTURE(interrupts_released) {
	struct vfio_pci pci;
	struct dma_device dma;
	struct kvm_ppc_vm vm;
	struct kvm_ppc_vcpu *vcpu;
	int controller;
	int eventfd[VECTORS];
	bool ready;
};

FIXTURE_VARIANT(interrupts_released) {
	__u32 type;		/* of KVM's device */
	__u32 group;		/* its attributes for sources */
	__u64 state;		/* of the source */
	__u32 cap;		/* connects a vCPU */
};

FIXTURE_VARIANT_ADD(interrupts_released, xics) {
	.type = KVM_DEV_TYPE_XICS,
	.group = KVM_DEV_XICS_GRP_SOURCES,
	.state = SERVER | PRIORITY << KVM_XICS_PRIORITY_SHIFT,
	.cap = KVM_CAP_IRQ_XICS,
};

FIXTURE_VARIANT_ADD(interrupts_released, xive) {
	.type = KVM_DEV_TYPE_XIVE,
	.group = KVM_DEV_XIVE_GRP_SOURCE,
	.cap = KVM_CAP_PPC_IRQ_XIVE,
};

/* Connect the vCPU, and make the source */
static void set_up(SELF(interrupts_released) self,
		   VARIANT(interrupts_released) variant)
{
	struct kvm_device_attr source = {
		.group = variant->group,
		.attr = SOURCE,
		.addr = (unsigned long)&variant->state,
	};
	struct kvm_enable_cap connect = {
		.cap = variant->cap,
		.args = { self->controller, SERVER },
	};

	VFIO_REQUIRE(!ioctl(self->vcpu->fd, KVM_ENABLE_CAP, &connect), "vCPU");
	VFIO_REQUIRE(!ioctl(self->controller, KVM_SET_DEVICE_ATTR, &source),
		     "source");
}

/* Have source @gsi of the guest get what arrives at the eventfd, or no longer */
static int irqfd(int vm, int eventfd, __u32 gsi, __u32 flags)
{
	struct kvm_irqfd irqfd = {
		.fd = eventfd,
		.gsi = gsi,
		.flags = flags,
	};

	return ioctl(vm, KVM_IRQFD, &irqfd) ? -errno : 0;
}

static int deassign(SELF(interrupts_released) self, unsigned int vector,
		    __u32 gsi)
{
	return irqfd(self->vm.fd, self->eventfd[vector], gsi,
		     KVM_IRQFD_FLAG_DEASSIGN);
}

/* Have the device's vectors arrive at these eventfds */
static int trigger(SELF(interrupts_released) self, const int *eventfd)
{
	return __vfio_device_set_eventfds(self->pci.device,
					  VFIO_PCI_MSIX_IRQ_INDEX, 0, VECTORS,
					  eventfd);
}

/* A controller with the vCPU and the source: 0 or -errno */
static int create_controller(SELF(interrupts_released) self,
			     VARIANT(interrupts_released) variant)
{
	struct kvm_create_device controller = { .type = variant->type };

	if (ioctl(self->vm.fd, KVM_CREATE_DEVICE, &controller))
		return -errno;
	self->controller = controller.fd;
	set_up(self, variant);
	return 0;
}

FIXTURE_SETUP(interrupts_released)
{
	char address[PCI_ADDRESS_LEN];
	int i;

	if (!kvm_ppc_has_hv())
		SKIP(return, "no KVM");
	if (dma_device_find(0, DMA_MSIX, address))
		SKIP(return, "no device with vectors of MSI-X");
	vfio_pci_open(&self->pci, address, VFIO_SPAPR_TCE_v2_IOMMU);
	dma_device_open(&self->dma, self->pci.device);
	for (i = 0; i < VECTORS; i++) {
		self->eventfd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ASSERT_GE(self->eventfd[i], 0);
	}
	kvm_ppc_vm_init(&self->vm, false, MEM_SIZE);
	self->vcpu = kvm_ppc_vcpu(&self->vm, 1);
	self->ready = true;
	if (create_controller(self, variant))
		SKIP(return, "no such controller");
	ASSERT_EQ(irqfd(self->vm.fd, self->eventfd[0], SOURCE, 0), 0);
	ASSERT_EQ(trigger(self, self->eventfd), 0);
}

FIXTURE_TEARDOWN(interrupts_released)
{
	int i;

	if (!self->ready)
		return;
	kvm_ppc_vm_close(&self->vm);
	kvm_ppc_vm_free(&self->vm);
	dma_device_close(&self->dma);
	vfio_pci_close(&self->pci);
	for (i = 0; i < VECTORS; i++)
		close(self->eventfd[i]);
}

/* How many of ROUNDS interrupts arrive at the vector's eventfd */
static unsigned int arrived(SELF(interrupts_released) self, unsigned int vector)
{
	struct pollfd event = {
		.fd = self->eventfd[vector],
		.events = POLLIN,
	};
	unsigned int i, count = 0;
	__u64 events;

	for (i = 0; i < ROUNDS; i++) {
		while (read(event.fd, &events, sizeof(events)) > 0)
			;
		dma_interrupt(&self->dma, vector);
		count += poll(&event, 1, PATIENCE) == 1;
		dma_quiet(&self->dma);
	}
	return count;
}

static void run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

/*
 * Interrupts while the vCPU is in the guest. They come to one of two processors,
 * so the vCPU takes turns.
 */
static int interrupt_guest(SELF(interrupts_released) self,
			   struct kvm_ppc_vcpu *vcpu)
{
	struct kvm_ppc_spin spin;
	int cpu, i, ret = 0;

	vcpu->calls[0] = (struct kvm_ppc_call){
		.nr = H_GET_TCE,
		.arg = { LIOBN, 0 },
	};
	for (cpu = 0; cpu < 2; cpu++) {
		run_on(cpu);
		kvm_ppc_spin_start(&spin, vcpu, 1);
		run_on(!cpu);
		for (i = 0; i < ROUNDS; i++) {
			dma_interrupt(&self->dma, 0);
			usleep(MOMENT * 1000);
			dma_quiet(&self->dma);
		}
		ret = kvm_ppc_spin_stop(&spin) ?: ret;
	}
	return ret;
}

TEST_F(interrupts_released, eventfd_leaves_later)
{
	close(self->controller);
	ASSERT_EQ(deassign(self, 0, SOURCE), 0);
	EXPECT_EQ(arrived(self, 0), ROUNDS);
}

TEST_F(interrupts_released, vm_leaves_later)
{
	close(self->controller);
	kvm_ppc_vm_close(&self->vm);
	EXPECT_EQ(arrived(self, 0), ROUNDS);
}

TEST_F(interrupts_released, device_leaves_and_comes_back)
{
	static const int none[VECTORS] = { NO_EVENTFD, NO_EVENTFD };

	close(self->controller);
	ASSERT_EQ(trigger(self, none), 0);
	ASSERT_EQ(trigger(self, self->eventfd), 0);
	ASSERT_EQ(deassign(self, 0, SOURCE), 0);
	EXPECT_EQ(arrived(self, 0), ROUNDS);
}

TEST_F(interrupts_released, vcpu_runs_on)
{
	close(self->controller);
	kvm_ppc_table(&self->vm, LIOBN, 16, 0, 16);
	EXPECT_EQ(interrupt_guest(self, self->vcpu), 0);
	ASSERT_EQ(deassign(self, 0, SOURCE), 0);
	EXPECT_EQ(arrived(self, 0), ROUNDS);
}

/* Another interrupt has the source when the eventfd of the first leaves */
TEST_F(interrupts_released, next_controller)
{
	close(self->controller);
	ASSERT_EQ(create_controller(self, variant), 0);
	ASSERT_EQ(irqfd(self->vm.fd, self->eventfd[1], SOURCE, 0), 0);
	ASSERT_EQ(deassign(self, 0, SOURCE), 0);
	EXPECT_EQ(arrived(self, 0), ROUNDS);
	close(self->controller);
	ASSERT_EQ(deassign(self, 1, SOURCE), 0);
	EXPECT_EQ(arrived(self, 1), ROUNDS);
}

/* A vCPU that the controller does not know */
TEST_F(interrupts_released, vcpu_not_connected)
{
	struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&self->vm, 2);

	kvm_ppc_table(&self->vm, LIOBN, 16, 0, 16);
	EXPECT_EQ(interrupt_guest(self, vcpu), 0);
	EXPECT_EQ(kvm_ppc_hcall(vcpu, H_XIRR, 0, 0, 0, 0, NULL),
		  KVM_PPC_TO_USER);
	EXPECT_EQ(kvm_ppc_hcall(vcpu, H_CPPR, 0, 0, 0, 0, NULL),
		  KVM_PPC_TO_USER);
	EXPECT_EQ(kvm_ppc_hcall(vcpu, H_IPI, SERVER, 0xff, 0, 0, NULL),
		  KVM_PPC_TO_USER);
	EXPECT_EQ(kvm_ppc_hcall(vcpu, H_EOI, SOURCE, 0, 0, 0, NULL),
		  KVM_PPC_TO_USER);
	close(self->controller);
	ASSERT_EQ(deassign(self, 0, SOURCE), 0);
	EXPECT_EQ(arrived(self, 0), ROUNDS);
}

/* An eventfd whose interrupt has no source in the guest */
TEST_F(interrupts_released, no_source)
{
	ASSERT_EQ(deassign(self, 0, SOURCE), 0);
	ASSERT_EQ(irqfd(self->vm.fd, self->eventfd[0], NO_SOURCE, 0), 0);
	kvm_ppc_table(&self->vm, LIOBN, 16, 0, 16);
	EXPECT_EQ(interrupt_guest(self, self->vcpu), 0);
	ASSERT_EQ(deassign(self, 0, NO_SOURCE), 0);
	EXPECT_EQ(arrived(self, 0), ROUNDS);
}

TEST_HARNESS_MAIN
