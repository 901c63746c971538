// SPDX-License-Identifier: GPL-2.0
/* User memory for DMA and its accounting, see memory.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "transcript.h"
#include "vfio_pci.h"
#include "../../kselftest.h"

/* What an entry of /proc/PID/pagemap has the page's number in */
#define PAGEMAP_PFN	((1ULL << 55) - 1)

#define CGROUPS		"/tmp/cgroup"
#define CGROUP		CGROUPS "/vfio_spapr"

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT	26
#endif

unsigned long page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

unsigned int page_shift(void)
{
	return __builtin_ctzl(page_size());
}

void *memory_get(unsigned long address, size_t size, int protection)
{
	void *memory = mmap((void *)address, size, protection,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			    -1, 0);

	if (memory != (void *)address) {
		printf("# no %zu bytes at %#lx\n", size, address);
		exit(1);
	}
	return memory;
}

void *memory_get_present(size_t size)
{
	void *memory = memory_get(BASE_PAGES, size, PROT_READ | PROT_WRITE);

	return memset(memory, 1, size);
}

/*
 * Set the number of huge pages to @pages if there are fewer, or whatever there
 * are if @exactly; a shortage shows in mmap(). Returns how many there were.
 */
static unsigned long set_pool(unsigned long pages, unsigned long huge_page,
			      bool exactly)
{
	unsigned long have = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages",
		 huge_page / KiB);
	f = fopen(path, "r+");
	if (!f)
		return 0;
	if (fscanf(f, "%lu", &have) == 1 && (exactly || have < pages)) {
		rewind(f);
		fprintf(f, "%lu", pages);
	}
	fclose(f);
	return have;
}

void *memory_get_huge(unsigned long address, size_t size,
		      unsigned long huge_page)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
		    MAP_HUGETLB |
		    __builtin_ctzl(huge_page) << MAP_HUGE_SHIFT;
	unsigned long had, at;
	char *memory;

	had = set_pool(size / huge_page, huge_page, false);
	memory = mmap((void *)address, size, PROT_READ | PROT_WRITE, flags,
		      -1, 0);
	if (memory == (char *)address) {
		for (at = 0; at < size; at += huge_page)
			memory[at] = 0;
		return memory;
	}

	/* Others need what is not enough here */
	set_pool(had, huge_page, true);
	return NULL;
}

unsigned long memory_physical(const void *at)
{
	const unsigned long address = (unsigned long)at;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	unsigned long long entry = 0;
	ssize_t got;

	got = pread(fd, &entry, sizeof(entry),
		    address / page_size() * sizeof(entry));
	entry &= PAGEMAP_PFN;
	if (got != sizeof(entry) || !entry)
		ksft_exit_fail_msg("no page is known at %#lx\n", address);
	close(fd);
	return entry * page_size() + address % page_size();
}

static long status_field(const char *name)
{
	char line[128];
	long value = -1;
	FILE *f = fopen("/proc/self/status", "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), ": %ld kB", &value);
	fclose(f);
	return value;
}

long memory_locked(void)
{
	return status_field("VmLck");
}

long memory_pinned(void)
{
	return status_field("VmPin");
}

long memory_see_locked(const char *when)
{
	char question[128];
	long locked = memory_locked();

	snprintf(question, sizeof(question), "locked %s", when);
	transcript_see(question, "VmLck=%ld VmPin=%ld", locked,
		       memory_pinned());
	return locked;
}

bool memory_limit_locked(unsigned long bytes)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	struct rlimit limit = { bytes, bytes };

	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return false;
	if (syscall(SYS_capget, &header, data))
		return false;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	data[0].permitted &= ~(1U << CAP_IPC_LOCK);
	return !syscall(SYS_capset, &header, data);
}

/* Open from the beginning: at its limit the process may be unable to open files */
static int charged_file = -1, limit_file = -1;

/* Each processor charges up to 64 pages in advance */
static bool stay_on_one_cpu(void)
{
	cpu_set_t cpus;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return false;
	while (!CPU_ISSET(cpu, &cpus))
		cpu++;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return !sched_setaffinity(0, sizeof(cpus), &cpus);
}

bool memory_enter_cgroup(void)
{
	mkdir(CGROUPS, 0755);
	if (mount("none", CGROUPS, "cgroup2", 0, NULL) && errno != EBUSY)
		return false;
	file_write(CGROUPS "/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	charged_file = open(CGROUP "/memory.current", O_RDONLY | O_CLOEXEC);
	limit_file = open(CGROUP "/memory.max", O_WRONLY | O_CLOEXEC);
	if (charged_file < 0 || limit_file < 0)
		return false;
	memory_unlimit_charged();
	return stay_on_one_cpu() &&
	       !file_write("/proc/self/oom_score_adj", "-1000") &&
	       !file_write(CGROUP "/cgroup.procs", "0");
}

long memory_charged(void)
{
	char text[32] = "";
	ssize_t len = pread(charged_file, text, sizeof(text) - 1, 0);

	VFIO_REQUIRE(len > 0, "memory.current: %d", errno);
	return strtol(text, NULL, 10);
}

static void set_limit(const char *limit)
{
	const ssize_t len = strlen(limit);

	VFIO_REQUIRE(pwrite(limit_file, limit, len, 0) == len, "memory.max: %d",
		     errno);
}

void memory_limit_charged(long bytes)
{
	char limit[32];

	snprintf(limit, sizeof(limit), "%ld", memory_charged() + bytes);
	set_limit(limit);
}

void memory_unlimit_charged(void)
{
	set_limit("max");
}

int pages_withhold(unsigned long address, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = address, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	/* Without O_NONBLOCK poll() answers at once */
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &range))
		ksft_exit_fail_msg("userfaultfd: %s\n", strerror(errno));
	return fd;
}

bool page_wanted(int fd)
{
	struct pollfd fault = { .fd = fd, .events = POLLIN };

	return poll(&fault, 1, 30 * 1000) == 1;
}

void page_supply(int fd, unsigned long address)
{
	struct uffdio_zeropage zero = {
		.range = { .start = address, .len = page_size() },
	};

	if (ioctl(fd, UFFDIO_ZEROPAGE, &zero))
		ksft_exit_fail_msg("UFFDIO_ZEROPAGE: %s\n", strerror(errno));
	close(fd);
}

bool thread_ends(pthread_t thread, unsigned int seconds)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += seconds;
	return !pthread_timedjoin_np(thread, NULL, &end);
}
