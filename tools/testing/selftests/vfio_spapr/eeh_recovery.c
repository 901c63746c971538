// SPDX-License-Identifier: GPL-2.0
/*
 * The host recovers a PE, as after an error of the bus, while a user has its
 * card open.
 *
 * The host resets the card without a word to vfio-pci. It leaves the PE frozen,
 * so that the user does not go on with a card that has lost its settings. The
 * user brings the PE back by VFIO_EEH_PE_OP, or the kernel does when the card is
 * closed. The host's own driver can use the card afterwards.
 *
 * debugfs asks for the recovery, since QEMU's bridges freeze nothing.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/container.h"
#include "lib/dma_device.h"
#include "lib/e1000e.h"
#include "lib/harness.h"
#include "lib/memory.h"
#include "lib/messages.h"
#include "lib/nic.h"
#include "lib/vfio_pci.h"

#define DEBUGFS		"/sys/kernel/debug/powerpc"
#define BUS		MiB
#define REACHES		(DMA_READS | DMA_WRITES)

/* More than all tests together; the kernel gives a card up after as many */
#define FREEZES		"1000"

FIXTURE(eeh_recovery) {
	char address[PCI_ADDRESS_LEN];
	char pe[24];		/* as debugfs wants it */
	struct vfio_pci pci;
	struct dma_device dma;
	char *memory;
	size_t size;
	int messages;
};

/* The PE's number, which a PE has only where the platform has EEH for it */
static bool find_pe(const char *address, char *pe, size_t size)
{
	char path[80];
	unsigned int number;
	int found;
	FILE *f;

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/eeh_pe_config_addr", address);
	f = fopen(path, "re");
	if (!f)
		return false;
	found = fscanf(f, "%x", &number);
	fclose(f);
	snprintf(pe, size, "%lx:%x", strtoul(address, NULL, 16), number);
	return found == 1;
}

FIXTURE_SETUP(eeh_recovery)
{
	if (__pci_find(E1000E_VENDOR, E1000E_DEVICE, 0, self->address))
		SKIP(return, "no e1000e, which the host has a driver for");
	if (!find_pe(self->address, self->pe, sizeof(self->pe)))
		SKIP(return, "no EEH");
	if (file_write(DEBUGFS "/eeh_max_freezes", FREEZES))
		SKIP(return, "no debugfs of EEH");
	self->pci = (struct vfio_pci){ .container = -1, .group = -1,
				       .device = -1 };
	self->messages = messages_open();
	pci_bind(self->address, "vfio-pci");
}

static void card_close(SELF(eeh_recovery) self)
{
	dma_device_close(&self->dma);
	vfio_pci_close(&self->pci);
	if (self->memory)
		munmap(self->memory, self->size);
	self->memory = NULL;
}

FIXTURE_TEARDOWN(eeh_recovery)
{
	card_close(self);
	pci_bind_default(self->address);
	close(self->messages);
}

/* A page for the test, and behind it what the card's driver needs */
static void card_open(SELF(eeh_recovery) self)
{
	vfio_pci_open(&self->pci, self->address, VFIO_SPAPR_TCE_v2_IOMMU);
	dma_device_open(&self->dma, self->pci.device);
	self->size = page_size() + dma_device_memory(&self->dma);
	self->memory = memory_get(BASE_PAGES, self->size,
				  PROT_READ | PROT_WRITE);
	VFIO_REQUIRE(!container_register(self->pci.container,
					 (__u64)self->memory, self->size),
		     "memory");
	VFIO_REQUIRE(!container_map(self->pci.container, (__u64)self->memory,
				    BUS, self->size, READ_WRITE), "mapping");
	dma_device_init(&self->dma, self->memory + page_size(),
			BUS + page_size());
}

static unsigned int reach(SELF(eeh_recovery) self)
{
	return dma_reach(&self->dma, BUS, self->memory, 0, NULL);
}

static int recovery_start(SELF(eeh_recovery) self)
{
	return file_write(DEBUGFS "/eeh_force_recover", self->pe);
}

/* What the kernel says of it, within a minute */
static bool kernel_says(SELF(eeh_recovery) self, const char *text)
{
	int i;

	for (i = 0; i < 600; i++) {
		if (messages_have(self->messages, text))
			return true;
		usleep(100 * 1000);
	}
	return false;
}

static bool recovery_ends(SELF(eeh_recovery) self)
{
	return kernel_says(self, "EEH: Recovery successful");
}

static void expect_left_frozen(struct __test_metadata *_metadata,
			       SELF(eeh_recovery) self)
{
	char text[80];

	snprintf(text, sizeof(text),
		 "EEH: Note: Leaving passthrough PHB#%lx-PE#%s frozen.",
		 strtoul(self->address, NULL, 16), strchr(self->pe, ':') + 1);
	ASSERT_EQ(0, recovery_start(self));
	EXPECT_TRUE(kernel_says(self, text));
	ASSERT_TRUE(recovery_ends(self));
}

static void expect_host_works(struct __test_metadata *_metadata,
			      SELF(eeh_recovery) self)
{
	ASSERT_TRUE(nic_start(self->address));
	EXPECT_TRUE(nic_alive(self->address, 3));
}

/* What Documentation/arch/powerpc/spapr-tce.rst tells the user of a frozen PE */
static void user_recovers(struct __test_metadata *_metadata,
			  SELF(eeh_recovery) self)
{
	const int c = self->pci.container;

	EXPECT_EQ(0, container_eeh(c, VFIO_EEH_PE_UNFREEZE_IO));
	EXPECT_EQ(0, container_eeh(c, VFIO_EEH_PE_RESET_HOT));
	usleep(250 * 1000);
	EXPECT_EQ(0, container_eeh(c, VFIO_EEH_PE_RESET_DEACTIVATE));
	EXPECT_EQ(0, container_eeh(c, VFIO_EEH_PE_CONFIGURE));
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
		  container_eeh(c, VFIO_EEH_PE_GET_STATE));
	vfio_device_config_write(self->pci.device, PCI_COMMAND,
				 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	dma_device_init(&self->dma, self->memory + page_size(),
			BUS + page_size());
}

TEST_F(eeh_recovery, user_recovers)
{
	long state;

	card_open(self);
	expect_left_frozen(_metadata, self);
	/* QEMU's bridges keep no state of a PE */
	state = container_eeh(self->pci.container, VFIO_EEH_PE_GET_STATE);
	EXPECT_TRUE(state == VFIO_EEH_PE_STATE_STOPPED ||
		    state == VFIO_EEH_PE_STATE_NORMAL);
	EXPECT_EQ(0, reach(self) & REACHES);

	user_recovers(_metadata, self);
	/* The windows and their TCEs outlive both resets */
	EXPECT_EQ(REACHES, reach(self));
	card_close(self);
	expect_host_works(_metadata, self);
}

/* The card is closed as the host has left it: the next user finds it working. */
TEST_F(eeh_recovery, left_frozen)
{
	card_open(self);
	expect_left_frozen(_metadata, self);
	card_close(self);

	card_open(self);
	EXPECT_EQ(VFIO_EEH_PE_STATE_NORMAL,
		  container_eeh(self->pci.container, VFIO_EEH_PE_GET_STATE));
	EXPECT_EQ(REACHES, reach(self));
	card_close(self);
	expect_host_works(_metadata, self);
}

static void open_and_wait(SELF(eeh_recovery) self, int ready)
{
	card_open(self);
	if (write(ready, "r", 1) == 1)
		pause();
	_exit(1);
}

/* The user is killed some time after the recovery has begun. */
static void kill_user(struct __test_metadata *_metadata,
		      SELF(eeh_recovery) self, unsigned int ms)
{
	int ready[2];
	char result;
	pid_t user;

	ASSERT_EQ(0, pipe(ready));
	user = fork();
	if (!user)
		open_and_wait(self, ready[1]);
	close(ready[1]);
	VFIO_REQUIRE(read(ready[0], &result, 1) == 1, "the user has ended");
	close(ready[0]);
	ASSERT_EQ(0, recovery_start(self));
	usleep(ms * 1000);
	kill(user, SIGKILL);
	waitpid(user, NULL, 0);
}

TEST_F(eeh_recovery, killed_meanwhile)
{
	static const unsigned int ms[] = { 0, 500, 3000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ms); i++) {
		kill_user(_metadata, self, ms[i]);
		ASSERT_TRUE(recovery_ends(self));
		expect_host_works(_metadata, self);
		pci_bind(self->address, "vfio-pci");
	}
}

TEST_HARNESS_MAIN
