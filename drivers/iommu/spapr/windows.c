// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows that a user chooses
 *
 * Reports which windows a PE can have. Checks those of a user's choice before a domain
 * is made of them, and those of each domain when a PE is to get them.
 */

#include <linux/slab.h>
#include <linux/string.h>
#include <uapi/linux/iommufd.h>

#include "spapr-iommu.h"

/*
 * A partition has its default window without asking: it can be used in part, but
 * not be made larger or have other pages. Others are made on request, if at all.
 */
static bool tce_hypervisor_has(const struct iommu_table_group *group,
			       const struct iommu_spapr_tce_window *w,
			       bool second)
{
	if (second)
		return (int)group->max_dynamic_windows_supported > 0;
	return w->size <= group->tce32_size &&
	       w->page_shift == IOMMU_PAGE_SHIFT_4K;
}

/* The platform reports no levels where a hypervisor makes no windows */
static u32 tce_max_levels(const struct iommu_table_group *group)
{
	return max(group->max_levels, 1);
}

static int tce_check_window(const struct iommu_table_group *group,
			    const struct iommu_spapr_tce_window *w,
			    unsigned int max_page_shift)
{
	const bool second = tce_window_number(w->start);

	if (!is_power_of_2(w->size) || w->page_shift > max_page_shift ||
	    !(group->pgsizes & BIT_ULL(w->page_shift)))
		return -EINVAL;
	/* The page table code takes half of the table for a page that is too large */
	if (ilog2(w->size) <= w->page_shift + 1 ||
	    ilog2(w->size) > TCE_APERTURE_MAX_LG2)
		return -EINVAL;
	if (w->start != (second ? SPAPR_TCE_SECOND_START : group->tce32_start))
		return -EINVAL;
	if (!group->ops->attach_table &&
	    !tce_hypervisor_has(group, w, second))
		return -EINVAL;
	if (w->levels > tce_max_levels(group))
		return -EINVAL;
	/* The levels of a hypervisor's table are its own */
	if (group->ops->attach_table && w->levels &&
	    w->levels < tce_levels(ilog2(w->size), w->page_shift))
		return -EINVAL;
	return 0;
}

/* Return how many windows the PE can have at a time */
static unsigned int tce_windows_max(const struct iommu_table_group *group)
{
	return clamp_t(int, group->max_dynamic_windows_supported, 1,
		       TCE_WINDOWS);
}

/**
 * tce_check_windows() - Check that a PE can have windows
 * @group: The PE
 * @data: The windows as a user wants them
 * @max_page_shift: Log2 of the largest page in bytes that the caller can map
 *
 * Context: any.
 * Return: 0 if it can; or -EOPNOTSUPP for flags and for windows beyond those that
 *	are counted, -EINVAL.
 */
int tce_check_windows(const struct iommu_table_group *group,
		      const struct iommu_hwpt_spapr_tce *data,
		      unsigned int max_page_shift)
{
	unsigned int w;
	int ret;

	if (data->flags)
		return -EOPNOTSUPP;
	if (!data->num_windows || data->num_windows > tce_windows_max(group))
		return -EINVAL;
	for (w = data->num_windows; w < TCE_WINDOWS; w++)
		if (memchr_inv(&data->windows[w], 0, sizeof(data->windows[w])))
			return -EOPNOTSUPP;

	for (w = 0; w < data->num_windows; w++) {
		ret = tce_check_window(group, &data->windows[w],
				       max_page_shift);
		if (ret)
			return ret;
	}
	if (data->num_windows == TCE_WINDOWS &&
	    data->windows[0].start >= data->windows[1].start)
		return -EINVAL;
	return 0;
}

/**
 * tce_user_windows() - Copy the windows that a user wants
 * @group: The PE that shall have them
 * @user_data: struct iommu_hwpt_spapr_tce of the user's
 * @data: Receives the windows
 *
 * Context: process context.
 * Return: 0; or -EFAULT, or the error of tce_check_windows().
 */
int tce_user_windows(const struct iommu_table_group *group,
		     const struct iommu_user_data *user_data,
		     struct iommu_hwpt_spapr_tce *data)
{
	int ret;

	ret = iommu_copy_struct_from_user(data, user_data,
					  IOMMU_HWPT_DATA_SPAPR_TCE,
					  windows);
	if (ret)
		return ret;
	return tce_check_windows(group, data, PAGE_SHIFT);
}

/**
 * tce_hw_info() - Say which windows a device can have
 * @dev: The device
 * @length: Receives the size of what is returned, in bytes
 * @type: What is asked for, and receives what is returned
 *
 * Context: process context.
 * Return: struct iommu_hw_info_spapr_tce, to be freed with kfree(); or ERR_PTR
 *	of -EOPNOTSUPP for another @type, -ENOMEM.
 */
void *tce_hw_info(struct device *dev, u32 *length,
		  enum iommu_hw_info_type *type)
{
	struct tce_device *tdev = dev_iommu_priv_get(dev);
	struct iommu_table_group *group = tdev->group;
	struct iommu_hw_info_spapr_tce *info;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    *type != IOMMU_HW_INFO_TYPE_SPAPR_TCE)
		return ERR_PTR(-EOPNOTSUPP);

	info = kzalloc_obj(*info);
	if (!info)
		return ERR_PTR(-ENOMEM);

	info->num_windows = tce_windows_max(group);
	info->max_levels = tce_max_levels(group);
	info->page_sizes = tce_host_page_sizes(group);
	info->nested_page_sizes =
		group->pgsizes & GENMASK_ULL(TCE_NESTED_PAGE_SHIFT, 0);
	info->window_start[0] = group->tce32_start;
	info->window_start[1] = SPAPR_TCE_SECOND_START;
	info->max_size = group->ops->attach_table ?
				 BIT_ULL(TCE_APERTURE_MAX_LG2) : 0;
	info->default_window_size = group->ops->attach_table ?
					    0 : group->tce32_size;
	*length = sizeof(*info);
	*type = IOMMU_HW_INFO_TYPE_SPAPR_TCE;
	return info;
}
