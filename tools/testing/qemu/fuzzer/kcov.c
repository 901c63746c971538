// SPDX-License-Identifier: GPL-2.0
/* Traces of kernel code, see kcov.h and Documentation/dev-tools/kcov.rst. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kcov.h>

#include "kcov.h"
#include "lib/vfio_pci.h"

#define KCOV		"/sys/kernel/debug/kcov"
/* Blocks that a trace has room for; what comes after them is lost */
#define BLOCKS		(128 << 10)

bool kcov_available(void)
{
	return !access(KCOV, R_OK | W_OK);
}

void kcov_open(struct kcov *kcov)
{
	kcov->fd = open(KCOV, O_RDWR);
	VFIO_REQUIRE(kcov->fd >= 0, "open %s", KCOV);
	VFIO_REQUIRE(!ioctl(kcov->fd, KCOV_INIT_TRACE, BLOCKS), "KCOV");
	kcov->area = mmap(NULL, BLOCKS * sizeof(*kcov->area),
			  PROT_READ | PROT_WRITE, MAP_SHARED, kcov->fd, 0);
	VFIO_REQUIRE(kcov->area != MAP_FAILED, "map the trace");
}

bool kcov_follow(struct kcov *kcov)
{
	return !ioctl(kcov->fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

void kcov_forget(struct kcov *kcov)
{
	__atomic_store_n(&kcov->area[0], 0, __ATOMIC_RELAXED);
}

void kcov_each(struct kcov *kcov, void (*see)(__u64 before, __u64 block))
{
	const __u64 n = __atomic_load_n(&kcov->area[0], __ATOMIC_RELAXED);
	__u64 i, before = 0;

	for (i = 1; i <= n; i++) {
		see(before, kcov->area[i]);
		before = kcov->area[i];
	}
	kcov_forget(kcov);
}
