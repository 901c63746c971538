// SPDX-License-Identifier: GPL-2.0
/*
 * Registrations of a process's memory beside each other:
 *
 *  - UNREGISTER_MEMORY refuses memory that TCEs came from and no other, while
 *    other regions are mapped and unmapped by ioctl and by hypercall;
 *  - many registrations end in a time that does not grow with their number
 *    times that of the TCEs;
 *  - a registration whose pages user space does not supply (userfaultfd) keeps
 *    only the same range waiting;
 *  - an ioctl whose memory or arguments user space does not supply keeps no other
 *    ioctl of its container waiting, nor an administrator who unbinds a device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define SECONDS		4
#define ENDS_MIN	100
#define MEM_SIZE	(16 * MiB)
#define LIOBN		1
#define PAGES		(4 * MiB)	/* guest pages that vCPUs map */
#define GUEST_TCES	64
#define MAP_SIZE	(2 * MiB)	/* of each of two regions */
#define THIRD		(BASE_PAGES + 64 * MiB)

/* Registrations that end at once while another container has TCEs */
#define REGIONS		1024
#define REGION(i)	(BASE_PAGES + 128 * MiB + 2 * (i) * page_size())
#define REGION_MAPS	64
#define REGION_MAP_SIZE	(4 * MiB)
/* Takes 10 s and more where each region is searched for by itself */
#define SECONDS_MAX	3

/* For what does not take long, unless the machine is busy */
#define PATIENCE	30

static struct linked guest;
static struct testbed *const bed = &guest.bed;
/* Owns the third region, in the same process */
static struct vfio_pci other;

static struct {
	volatile bool stop;
	volatile long error;
	volatile unsigned long maps;
} mapper;

/* Map two regions in turn over the same TCEs */
static void *map_in_turn(void *arg)
{
	long ret;

	for (unsigned long n = 0; !mapper.stop; n++) {
		ret = container_map(bed->container,
				    BASE_PAGES + n % 2 * MAP_SIZE, bed->start,
				    MAP_SIZE, READ_WRITE);
		if (ret)
			mapper.error = ret;
		mapper.maps++;
	}
	return NULL;
}

/* Register and unregister the third region, which is never mapped */
static void end_third(const char *name)
{
	const time_t begin = time(NULL);
	unsigned long ends = 0, busy = 0;
	long ret = 0;

	/* A machine may be slow, but not stuck */
	while ((time(NULL) < begin + SECONDS ||
		(ends <= ENDS_MIN && time(NULL) < begin + PATIENCE)) &&
	       (!ret || ret == -EBUSY)) {
		if (!ret)
			ret = container_register(other.container, THIRD,
						 page_size());
		if (!ret || ret == -EBUSY)
			ret = container_unregister(other.container, THIRD,
						   page_size());
		ends += !ret;
		busy += ret == -EBUSY;
	}
	if (ret == -EBUSY)
		ret = container_unregister(other.container, THIRD, page_size());

	ksft_print_msg("%s: ended %lu times, refused %lu times\n", name, ends,
		       busy);
	ksft_test_result(!ret && ends > ENDS_MIN, "%s: registrations end\n", name);
	ksft_test_result(!busy, "%s: none is refused\n", name);
}

static void open_both(void)
{
	testbed_open(bed, VFIO_SPAPR_TCE_v2_IOMMU);
	vfio_pci_open_group(&other, bed->address[2], VFIO_SPAPR_TCE_v2_IOMMU);
	VFIO_REQUIRE(!testbed_get_info(bed), "GET_INFO");
}

static void close_both(void)
{
	vfio_pci_close(&other);
	testbed_close(bed);
}

static void test_ioctls(void)
{
	pthread_t thread;
	long ret;

	open_both();
	for (unsigned int i = 0; i < 2; i++) {
		ret = container_register(bed->container,
					 BASE_PAGES + i * MAP_SIZE, MAP_SIZE);
		VFIO_REQUIRE(!ret, "REGISTER_MEMORY: %ld", ret);
	}

	memset(&mapper, 0, sizeof(mapper));
	pthread_create(&thread, NULL, map_in_turn, NULL);
	end_third("ioctls");
	mapper.stop = true;
	pthread_join(thread, NULL);
	ksft_test_result(mapper.maps > 100 && !mapper.error,
			 "ioctls: the other regions are mapped\n");
	ksft_test_result(container_unregister(bed->container, BASE_PAGES,
					      MAP_SIZE) == -EBUSY ||
			 container_unregister(bed->container,
					      BASE_PAGES + MAP_SIZE,
					      MAP_SIZE) == -EBUSY,
			 "ioctls: a region that is mapped is refused\n");
	close_both();
}

/* Two vCPUs put TCEs to pages of their own at the same bus addresses */
static void spin(struct kvm_ppc_spin *spins)
{
	for (unsigned int i = 0; i < 2; i++)
		kvm_ppc_vcpu(&guest.vm, i + 1);
	for (unsigned int i = 0; i < 2; i++) {
		struct kvm_ppc_vcpu *vcpu = kvm_ppc_vcpu(&guest.vm, i + 1);

		for (unsigned int j = 0; j < GUEST_TCES; j++)
			vcpu->calls[j] = (struct kvm_ppc_call){
				.nr = H_PUT_TCE,
				.arg = { LIOBN, guest.start32 + j * 4096ul,
					 (PAGES + (2 * j + i) * 65536ul) |
					 TCE_RW },
			};
		kvm_ppc_spin_start(&spins[i], vcpu, GUEST_TCES);
	}
}

static void test_hypercalls(void)
{
	struct kvm_ppc_spin spins[2];
	int table, ret;

	linked_open(&guest, false, MEM_SIZE);
	vfio_pci_open_group(&other, bed->address[2], VFIO_SPAPR_TCE_v2_IOMMU);
	table = linked_table(&guest, LIOBN, 12, guest.start32, GUEST_TCES);

	spin(spins);
	end_third("hypercalls");
	ret = kvm_ppc_spin_stop(&spins[0]) | kvm_ppc_spin_stop(&spins[1]);
	ksft_test_result(!ret, "hypercalls: the vCPUs run\n");
	ksft_test_result(container_unregister(bed->container,
					      (__u64)guest.vm.slots[0].mem,
					      MEM_SIZE) == -EBUSY,
			 "hypercalls: memory that is mapped is refused\n");

	close(table);
	vfio_pci_close(&other);
	linked_close(&guest);
}

/* Fill a window, register many regions elsewhere, wait to be killed */
static void fill(int ready)
{
	long ret;

	/* The last files that close are released first: while TCEs are there */
	open_both();
	ret = container_register(bed->container, BASE_PAGES, REGION_MAP_SIZE);
	VFIO_REQUIRE(!ret, "REGISTER_MEMORY: %ld", ret);
	for (unsigned long i = 0; i < REGION_MAPS; i++) {
		ret = container_map(bed->container, BASE_PAGES,
				    bed->start + i * REGION_MAP_SIZE,
				    REGION_MAP_SIZE, READ_WRITE);
		VFIO_REQUIRE(!ret, "MAP_DMA: %ld", ret);
	}
	for (unsigned long i = 0; i < REGIONS; i++) {
		ret = container_register(other.container, REGION(i),
					 page_size());
		VFIO_REQUIRE(!ret, "REGISTER_MEMORY: %ld", ret);
	}
	if (write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

static void test_many(void)
{
	struct timespec begin, end;
	double seconds;
	int ready[2], status;
	char byte;
	pid_t child;

	fflush(stdout);
	if (pipe(ready))
		ksft_exit_fail_msg("no pipe\n");
	child = fork();
	if (!child) {
		close(ready[0]);
		fill(ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		ksft_exit_fail_msg("no window filled\n");

	clock_gettime(CLOCK_MONOTONIC, &begin);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	close(ready[0]);

	seconds = end.tv_sec - begin.tv_sec +
		  (end.tv_nsec - begin.tv_nsec) / 1e9;
	ksft_print_msg("many: gone after %.2f s\n", seconds);
	ksft_test_result(WIFSIGNALED(status) && seconds < SECONDS_MAX,
			 "many: a killed process is gone in time\n");
}

/* A registration that may wait, in a thread of its own */
struct registration {
	int container;
	__u64 vaddr;
	long ret;
	pthread_t thread;
};

static void *register_memory(void *arg)
{
	struct registration *reg = arg;

	reg->ret = container_register(reg->container, reg->vaddr, page_size());
	return NULL;
}

static void start(struct registration *reg)
{
	pthread_create(&reg->thread, NULL, register_memory, reg);
}

static void test_faults(void)
{
	const unsigned long address = (unsigned long)
		mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct registration waits = { .vaddr = address };
	struct registration same = { .vaddr = address };
	struct registration third = { .vaddr = THIRD };
	bool quick;
	long before;
	int fd;

	open_both();
	before = memory_locked();
	fd = pages_withhold(address, page_size());
	waits.container = bed->container;
	start(&waits);
	ksft_test_result(page_wanted(fd), "faults: a registration waits\n");

	third.container = other.container;
	start(&third);
	quick = thread_ends(third.thread, PATIENCE);
	ksft_test_result(quick && !third.ret,
			 "faults: that of another range does not\n");
	if (quick) {
		same.container = other.container;
		start(&same);
		quick = !thread_ends(same.thread, 1);
	}
	page_supply(fd, address);
	pthread_join(waits.thread, NULL);
	if (quick)
		pthread_join(same.thread, NULL);
	else
		pthread_join(third.thread, NULL);
	ksft_test_result(quick && !waits.ret && !same.ret,
			 "faults: that of the same range does\n");
	ksft_test_result(memory_locked() - before == 2 * page_size() / KiB,
			 "faults: each page is accounted once\n");

	close_both();
	ksft_test_result(memory_locked() <= before,
			 "faults: none is accounted any more\n");
	munmap((void *)address, page_size());
}

/* What must not wait for an ioctl of the same container */
static void *get_info(void *arg)
{
	struct vfio_iommu_spapr_tce_info info;

	container_get_info(*(int *)arg, &info);
	return NULL;
}

static void *unbind(void *arg)
{
	pci_unbind(arg);
	return NULL;
}

/* An ioctl that waits for a page */
struct waiting {
	unsigned long request;
	void *argument;
};

static void *wait_in_ioctl(void *arg)
{
	const struct waiting *waiting = arg;

	ioctl(other.container, waiting->request, waiting->argument);
	return NULL;
}

/* Report whether @run ends in time; it is waited for later */
static bool runs_meanwhile(pthread_t *thread, void *(*run)(void *), void *arg,
			   const char *name, const char *what)
{
	bool quick;

	pthread_create(thread, NULL, run, arg);
	quick = thread_ends(*thread, PATIENCE);
	ksft_test_result(quick, "waits: %s: %s\n", name, what);
	return quick;
}

/*
 * One ioctl waits for the page at @address. Meanwhile the container answers, and
 * its only group leaves.
 */
static void test_waiting(const char *name, struct waiting *waiting,
			 unsigned long address)
{
	pthread_t waiter, info, leave;
	bool answered, left;
	int fd;

	vfio_pci_open_group(&other, bed->address[2], VFIO_SPAPR_TCE_v2_IOMMU);
	fd = pages_withhold(address, page_size());
	pthread_create(&waiter, NULL, wait_in_ioctl, waiting);
	if (!page_wanted(fd))
		ksft_exit_fail_msg("%s does not wait\n", name);

	answered = runs_meanwhile(&info, get_info, &other.container, name,
				  "another ioctl is answered");
	left = runs_meanwhile(&leave, unbind, bed->address[2], name,
			      "the device is unbound");

	page_supply(fd, address);
	pthread_join(waiter, NULL);
	if (!answered)
		pthread_join(info, NULL);
	if (!left)
		pthread_join(leave, NULL);
	vfio_pci_close(&other);
	pci_bind(bed->address[2], "vfio-pci");
}

static const unsigned long requests[] = {
	VFIO_IOMMU_SPAPR_TCE_GET_INFO,
	VFIO_IOMMU_MAP_DMA,
	VFIO_IOMMU_UNMAP_DMA,
	VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
	VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
	VFIO_IOMMU_SPAPR_TCE_CREATE,
	VFIO_IOMMU_SPAPR_TCE_REMOVE,
	VFIO_EEH_PE_OP,
};

#define NR_WAITING	(ARRAY_SIZE(requests) + 1)

static void *fresh_page(void)
{
	void *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	VFIO_REQUIRE(page != MAP_FAILED, "mmap: %s", strerror(errno));
	return page;
}

static void test_waits(void)
{
	const long before = memory_locked();
	void *page = fresh_page();
	struct vfio_iommu_spapr_register_memory memory = {
		.argsz = sizeof(memory),
		.vaddr = (__u64)page,
		.size = page_size(),
	};
	struct waiting waiting = {
		.request = VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
		.argument = &memory,
	};

	test_waiting("memory", &waiting, (unsigned long)page);
	ksft_test_result(memory_locked() <= before,
			 "waits: no memory is accounted any more\n");
	munmap(page, page_size());

	for (unsigned int i = 0; i < NR_WAITING - 1; i++) {
		page = fresh_page();
		waiting.request = requests[i];
		waiting.argument = page;
		test_waiting(container_ioctl_name(requests[i]), &waiting,
			     (unsigned long)page);
		munmap(page, page_size());
	}
}

int main(void)
{
	ksft_print_header();
	transcript_mute(1);
	if (!testbed_find(bed))
		ksft_exit_skip("no devices\n");
	ksft_set_plan(15 + 2 * NR_WAITING);

	testbed_take_memory(bed, 256 * MiB);
	test_many();
	test_ioctls();
	test_faults();
	test_waits();
	if (kvm_ppc_has_hv())
		test_hypercalls();
	else
		for (unsigned int i = 0; i < 4; i++)
			ksft_test_result_skip("hypercalls: no KVM\n");

	ksft_finished();
}
