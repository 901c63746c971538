/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Nested translation in an iommufd: parents with the memory of a guest, and page
 * tables that follow the guest's tables of TCEs.
 *
 * The structures are those of <linux/iommufd.h>, which not all kernels have.
 * Functions are as in cdev.h.
 */
#ifndef VFIO_SPAPR_NESTED_H
#define VFIO_SPAPR_NESTED_H

#include "cdev.h"

#define HWPT_DATA_SPAPR_NESTED		5
#define HWPT_INVALIDATE_DATA_SPAPR_TCE	2

struct nested_windows {
	__u32 flags;
	__u32 num_windows;
	struct {
		struct hwpt_window;
		__u64 table;
	} windows[2];
};

struct nested_invalidate {
	__u64 start;
	__u64 size;
	__u32 flags;
	__u32 reserved;
	__u64 out_bad;
	__u64 out_first_bad;
};

/* Allocate a page table for @device over the page table @parent */
long iommufd_hwpt_alloc_nested(int iommufd, __u32 device, __u32 parent,
			       const struct nested_windows *windows,
			       __u32 *hwpt);

/**
 * iommufd_invalidate() - Say that TCEs have changed
 * @iommufd: the file
 * @hwpt: the nested page table
 * @type: HWPT_INVALIDATE_DATA_SPAPR_TCE, or what is wrong
 * @requests: the ranges; receives what the kernel says of them
 * @count: how many there are; receives how many were handled
 *
 * Return: 0 or -errno.
 */
long iommufd_invalidate(int iommufd, __u32 hwpt, __u32 type,
			struct nested_invalidate *requests, __u32 *count);

#endif
