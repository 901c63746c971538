/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * User interface of mediated_dma: a DMA engine in software, as a mediated
 * device of which there can be several.
 *
 * The ioctls are the device file's, beside those of VFIO. Numbers of pages are
 * pages of the system's size.
 */
#ifndef MEDIATED_DMA_H
#define MEDIATED_DMA_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Device in /sys/devices/platform, and the type of which instances are made */
#define MEDIATED_DMA_NAME	"mediated_dma"
#define MEDIATED_DMA_TYPE	"platform-engine"

/*
 * Pins; returns what the kernel answers. With MEDIATED_DMA_SINGLY the pages can
 * be unpinned one by one, otherwise only together.
 */
#define MEDIATED_DMA_PIN	_IOW('Y', 0, struct mediated_dma_range)
/* Unpins what was pinned in one go, or singly; -ENOENT: not so pinned. */
#define MEDIATED_DMA_UNPIN	_IOW('Y', 1, struct mediated_dma_range)
/* Copies without pinning. */
#define MEDIATED_DMA_COPY	_IOW('Y', 2, struct mediated_dma_copy)
/* Copies by the pages that are pinned; -ENOENT: not all are. */
#define MEDIATED_DMA_RUN	_IOW('Y', 3, struct mediated_dma_copy)
#define MEDIATED_DMA_BEHAVE	_IOW('Y', 4, struct mediated_dma_manners)
#define MEDIATED_DMA_REPORT	_IOR('Y', 5, struct mediated_dma_report)
/* How many pins the page at this address of the calling process has. */
#define MEDIATED_DMA_PINS_OF	_IOW('Y', 6, __u64)

#define MEDIATED_DMA_READ	1
#define MEDIATED_DMA_WRITE	2
#define MEDIATED_DMA_SINGLY	4

struct mediated_dma_range {
	__u64 bus;
	__s32 npages;
	__u32 flags;
};

struct mediated_dma_copy {
	__u64 bus;
	__u64 buffer;
	__u32 size;
	__u32 write;		/* from the buffer to the bus */
	__u32 thread;		/* a thread of the kernel does it */
	__u32 reserved;
};

/* What the device does when it is asked to unpin pages, or closed. */
struct mediated_dma_manners {
	__u32 stubborn;		/* keeps them */
	__u32 delay_ms;		/* unpins so long after it has been asked */
	__u32 litters;		/* leaves them pinned when it is closed */
	__u32 reserved;
};

struct mediated_dma_report {
	__u32 asked;		/* times that it has been asked to unpin */
	__u32 ranges;		/* what it has pinned now */
	__u64 bus;		/* of the last request */
	__u64 size;
};

#endif
