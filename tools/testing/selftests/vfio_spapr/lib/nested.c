// SPDX-License-Identifier: GPL-2.0
/* Nested translation in an iommufd, see nested.h. */
#include <linux/iommufd.h>
#include <sys/ioctl.h>

#include "cdev.h"
#include "nested.h"
#include "transcript.h"

long iommufd_hwpt_alloc_nested(int iommufd, __u32 device, __u32 parent,
			       const struct nested_windows *windows,
			       __u32 *hwpt)
{
	return transcript_call(iommufd_hwpt_alloc_data(iommufd, device, parent,
						       HWPT_DATA_SPAPR_NESTED,
						       windows,
						       sizeof(*windows), hwpt),
			       "HWPT_ALLOC nested flags=%#x %u windows, %#llx+%#llx %u %u at %#llx, %#llx+%#llx %u %u at %#llx",
			       windows->flags, windows->num_windows,
			       windows->windows[0].start,
			       windows->windows[0].size,
			       windows->windows[0].page_shift,
			       windows->windows[0].levels,
			       windows->windows[0].table,
			       windows->windows[1].start,
			       windows->windows[1].size,
			       windows->windows[1].page_shift,
			       windows->windows[1].levels,
			       windows->windows[1].table);
}

long iommufd_invalidate(int iommufd, __u32 hwpt, __u32 type,
			struct nested_invalidate *requests, __u32 *count)
{
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate),
		.hwpt_id = hwpt,
		.data_uptr = (unsigned long)requests,
		.data_type = type,
		.entry_len = sizeof(*requests),
		.entry_num = *count,
	};
	long ret;

	ret = transcript_call(ioctl(iommufd, IOMMU_HWPT_INVALIDATE,
				    &invalidate),
			      "HWPT_INVALIDATE type=%u %u entries, %#llx+%#llx",
			      type, *count, *count ? requests->start : 0,
			      *count ? requests->size : 0);
	*count = invalidate.entry_num;
	transcript_answer("handled=%u", *count);
	return ret;
}
