/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of the TCE engine: tables and groups that no device uses
 */
#ifndef SPAPR_TCE_WINDOW_TEST_H
#define SPAPR_TCE_WINDOW_TEST_H

#include <kunit/test.h>
#include <linux/container_of.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "window.h"

#define HV_TCES		1024UL

/**
 * struct fake_hv - a hypervisor's table, which is an array here
 * @tbl: the table; first, because that is what is freed
 * @tce: what it has
 * @put_error: what the hypervisor answers when TCEs are put
 * @clear_error: or cleared
 * @nr_puts: how often TCEs have been put
 */
struct fake_hv {
	struct iommu_table tbl;
	u64 tce[HV_TCES];
	long put_error;
	long clear_error;
	unsigned int nr_puts;
};

static inline struct fake_hv *fake_of(struct iommu_table *tbl)
{
	return container_of(tbl, struct fake_hv, tbl);
}

static inline long fake_clear_list(struct iommu_table *tbl, unsigned long index,
				   unsigned long npages)
{
	struct fake_hv *fake = fake_of(tbl);

	if (fake->clear_error)
		return fake->clear_error;

	memset(&fake->tce[index], 0, npages * sizeof(u64));
	return 0;
}

/* Writes half of a list that it fails to put, and clears that unless -EIO */
static inline long fake_put_list(struct iommu_table *tbl, unsigned long index,
				 unsigned long npages,
				 const struct spapr_tce *list)
{
	struct fake_hv *fake = fake_of(tbl);

	fake->nr_puts++;
	for (unsigned long i = 0; i < npages; i++)
		if (!fake->put_error || i < npages / 2)
			fake->tce[index + i] = list[i].tce;
	if (fake->put_error && fake->put_error != -EIO)
		memset(&fake->tce[index], 0, npages * sizeof(u64));

	return fake->put_error;
}

/* A table has been freed */
static bool fake_freed;

static inline void fake_free(struct iommu_table *tbl)
{
	fake_freed = true;
}

static struct iommu_table_ops fake_ops = {
	.put_list = fake_put_list,
	.clear_list = fake_clear_list,
	.free = fake_free,
};

static inline struct fake_hv *fake_alloc(unsigned long npages)
{
	struct fake_hv *fake = kzalloc(sizeof(*fake), GFP_KERNEL);

	if (!fake)
		return NULL;

	fake_freed = false;
	kref_init(&fake->tbl.it_kref);
	INIT_LIST_HEAD(&fake->tbl.it_group_list);
	fake->tbl.it_size = npages;
	fake->tbl.it_page_shift = PAGE_SHIFT;
	fake->tbl.it_ops = &fake_ops;

	return fake;
}

/**
 * struct fake_group - a group that may keep a window
 * @tg: its hardware
 * @group: the group
 * @npages: TCEs of the tables that are made for it
 * @made: the latest of them
 * @set_error: what the platform answers when it gives the group a window
 * @unset_error: and when it takes a window away
 */
struct fake_group {
	struct iommu_table_group tg;
	struct iommu_group *group;
	unsigned long npages;
	struct fake_hv *made;
	long set_error;
	long unset_error;
};

static inline struct fake_group *fake_group_of(struct iommu_table_group *tg)
{
	return container_of(tg, struct fake_group, tg);
}

static inline long fake_create_table(struct iommu_table_group *tg, int num,
				     u32 page_shift, u64 size, u32 levels,
				     struct iommu_table **tbl)
{
	struct fake_group *fake = fake_group_of(tg);

	fake->made = fake_alloc(fake->npages);
	if (!fake->made)
		return -ENOMEM;

	*tbl = &fake->made->tbl;
	return 0;
}

static inline long fake_set_window(struct iommu_table_group *tg, int num,
				   struct iommu_table *tbl)
{
	if (fake_group_of(tg)->set_error)
		return fake_group_of(tg)->set_error;

	tg->tables[num] = iommu_tce_table_get(tbl);
	return 0;
}

/* Drops its reference whatever it says, so that the window has the last one */
static inline long fake_unset_window(struct iommu_table_group *tg, int num)
{
	if (tg->tables[num])
		iommu_tce_table_put(tg->tables[num]);
	tg->tables[num] = NULL;

	return fake_group_of(tg)->unset_error;
}

static struct iommu_table_group_ops fake_group_ops = {
	.create_table = fake_create_table,
	.set_window = fake_set_window,
	.unset_window = fake_unset_window,
};

static inline void put_group(void *group)
{
	iommu_group_put(group);
}

static inline void fake_group_begin(struct kunit *test, struct fake_group *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->tg.ops = &fake_group_ops;
	fake->tg.pgsizes = PAGE_SIZE;
	fake->tg.max_levels = 1;
	fake->npages = HV_TCES;
	fake->group = iommu_group_alloc();
	KUNIT_ASSERT_FALSE(test, IS_ERR(fake->group));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_group,
							   fake->group));
	fake->tg.group = fake->group;
	iommu_group_set_iommudata(fake->group, &fake->tg, NULL);
}

#endif
