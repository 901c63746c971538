// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of domains of DMA windows
 *
 * Part of domain.c: a table that a group may still have, because the platform
 * has failed to take it away, is not freed, nor is what its TCEs point to unpinned.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include "window_test.h"

static DEFINE_MUTEX(owner_lock);

static void idle_unpin(const u64 *tces, unsigned long npages)
{
}

/* Of windows in which nothing is mapped */
static const struct spapr_tce_owner idle_owner = {
	.unpin = idle_unpin,
};

static int open_idle(struct spapr_tce_domain *domain)
{
	const struct spapr_tce_window_spec spec = {
		.page_shift = PAGE_SHIFT,
		.size = HV_TCES << PAGE_SHIFT,
		.levels = 1,
		.owner = &idle_owner,
	};

	return spapr_tce_domain_open(domain, 0, &spec);
}

/* The table was freed unless the group may still have it; leave none behind */
static void expect_freed(struct kunit *test, struct fake_group *fake)
{
	KUNIT_EXPECT_EQ(test, fake_freed, !fake->unset_error);
	if (!fake_freed)
		iommu_tce_table_put(&fake->made->tbl);
}

/* A window that the group does not take, and its table */
static void test_open_fails(struct kunit *test)
{
	struct spapr_tce_domain domain;
	struct fake_group fake;

	fake_group_begin(test, &fake);
	guard(mutex)(&owner_lock);
	spapr_tce_domain_init(&domain, &owner_lock);
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_domain_join(&domain, fake.group,
						       &fake.tg, NULL));

	fake.set_error = -EPERM;
	KUNIT_EXPECT_EQ(test, open_idle(&domain), -EPERM);
	expect_freed(test, &fake);

	fake.unset_error = -EREMOTEIO;
	KUNIT_EXPECT_EQ(test, open_idle(&domain), -EPERM);
	expect_freed(test, &fake);

	KUNIT_EXPECT_NULL(test, domain.windows[0]);
	spapr_tce_domain_leave(&domain, fake.group);
}

/* Tables that are made for windows in software and not used */
static void test_make_fails(struct kunit *test)
{
	struct spapr_tce_tables tables = { .levels = { 1, 1 } };
	struct spapr_tce_domain domain;
	struct fake_group soft, fake;

	fake_group_begin(test, &soft);
	fake_group_begin(test, &fake);
	iommu_group_set_iommudata(soft.group, NULL, NULL);
	guard(mutex)(&owner_lock);
	spapr_tce_domain_init(&domain, &owner_lock);
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_domain_join(&domain, soft.group,
						       NULL, NULL));
	KUNIT_ASSERT_EQ(test, 0, open_idle(&domain));

	for (int fails = 0; fails < 2; fails++) {
		fake.unset_error = fails ? -EREMOTEIO : 0;

		/* Of another size than the window */
		fake.npages = HV_TCES / 2;
		KUNIT_EXPECT_EQ(test, -EINVAL,
				spapr_tce_domain_make_tables(&domain, &fake.tg,
							     &tables));
		KUNIT_EXPECT_NULL(test, tables.tbl[0]);
		expect_freed(test, &fake);

		fake.npages = HV_TCES;
		KUNIT_ASSERT_EQ(test, 0,
				spapr_tce_domain_make_tables(&domain, &fake.tg,
							     &tables));
		KUNIT_EXPECT_FALSE(test, fake_freed);
		spapr_tce_domain_drop_tables(&domain, &fake.tg, &tables);
		KUNIT_EXPECT_NULL(test, tables.tbl[0]);
		expect_freed(test, &fake);
	}

	spapr_tce_domain_close(&domain, 0);
	spapr_tce_domain_leave(&domain, soft.group);
}

/* An owner that pins: here it counts */

#define MAPPED_UA	0x10000000UL
#define MAPPED_INDEX	7UL
#define MAPPED		2UL

static unsigned long nr_pinned;

static long pinning_map(struct spapr_tce_window *window, unsigned long index,
			unsigned long ua, unsigned long npages,
			unsigned long perm)
{
	struct spapr_tce list[MAPPED] = {};
	long ret;

	npages = min(npages, MAPPED);
	for (unsigned long i = 0; i < npages; i++) {
		list[i].origin = (ua + i * PAGE_SIZE) | perm;
		list[i].tce = list[i].origin;
	}
	nr_pinned += npages;
	ret = spapr_tce_exchange(window, index, list, npages);
	if (ret && ret != -EIO)
		nr_pinned -= npages;

	return ret ?: npages;
}

static long pinning_unmap(struct spapr_tce_window *window, unsigned long index,
			  unsigned long npages, bool keep)
{
	u64 *origin = spapr_sparse_find(&window->origins, index);
	long ret = 0;

	for (; npages; npages--, index++, origin++) {
		struct spapr_tce list = { .origin = keep ? *origin : 0 };

		ret = spapr_tce_exchange(window, index, &list, 1) ?: ret;
		nr_pinned -= !!list.tce;
	}

	return ret;
}

static void pinning_unpin(const u64 *tces, unsigned long npages)
{
	for (unsigned long i = 0; i < npages; i++)
		nr_pinned -= !!tces[i];
}

static const struct spapr_tce_owner pinning_owner = {
	.map = pinning_map,
	.unmap = pinning_unmap,
	.unpin = pinning_unpin,
};

/*
 * A window that cannot move to a table, and leaves TCEs there. What they point to
 * is kept until the table is gone, and for good if the group may still have it.
 */
static void move_fails(struct kunit *test, struct spapr_tce_domain *domain,
		       struct fake_group *fake)
{
	struct spapr_tce_window *window = domain->windows[0];
	struct spapr_tce_tables tables = { .levels = { 1, 1 } };

	nr_pinned = 0;
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_domain_make_tables(domain, &fake->tg,
							      &tables));
	fake->made->put_error = -EIO;
	fake->made->clear_error = -EREMOTEIO;
	KUNIT_EXPECT_EQ(test, -EIO, spapr_tce_domain_join(domain, fake->group,
							  &fake->tg, &tables));
	KUNIT_EXPECT_TRUE(test, window->lost);
	KUNIT_EXPECT_EQ(test, nr_pinned, MAPPED);
	KUNIT_EXPECT_FALSE(test, fake_freed);

	spapr_tce_domain_drop_tables(domain, &fake->tg, &tables);
	KUNIT_EXPECT_NULL(test, tables.tbl[0]);
	KUNIT_EXPECT_EQ(test, window->stuck, !!fake->unset_error);
	KUNIT_EXPECT_EQ(test, window->lost, window->stuck);
	KUNIT_EXPECT_EQ(test, nr_pinned, window->stuck ? MAPPED : 0);
	KUNIT_EXPECT_EQ(test, fake_freed, !window->stuck);
	if (!window->stuck)
		return;

	/* A hypervisor that relents, so that the test leaves nothing behind */
	window->stuck = false;
	spapr_tce_window_put_table(window, &fake->made->tbl);
	KUNIT_EXPECT_EQ(test, nr_pinned, 0);
	KUNIT_EXPECT_TRUE(test, fake_freed);
}

static void test_move_fails(struct kunit *test)
{
	const struct spapr_tce_window_spec spec = {
		.page_shift = PAGE_SHIFT,
		.size = HV_TCES << PAGE_SHIFT,
		.levels = 1,
		.owner = &pinning_owner,
	};
	struct spapr_tce_domain domain;
	struct fake_group soft, fake;

	fake_group_begin(test, &soft);
	fake_group_begin(test, &fake);
	iommu_group_set_iommudata(soft.group, NULL, NULL);
	guard(mutex)(&owner_lock);
	spapr_tce_domain_init(&domain, &owner_lock);
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_domain_join(&domain, soft.group,
						       NULL, NULL));
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_domain_open(&domain, 0, &spec));
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_map(domain.windows[0], MAPPED_INDEX,
					       MAPPED_UA, MAPPED,
					       SPAPR_TCE_PERM));

	move_fails(test, &domain, &fake);
	fake.unset_error = -EREMOTEIO;
	move_fails(test, &domain, &fake);

	spapr_tce_domain_close(&domain, 0);
	spapr_tce_domain_leave(&domain, soft.group);
}

static struct kunit_case domain_cases[] = {
	KUNIT_CASE(test_open_fails),
	KUNIT_CASE(test_make_fails),
	KUNIT_CASE(test_move_fails),
	{}
};

static struct kunit_suite domain_suite = {
	.name = "spapr_tce_domain",
	.test_cases = domain_cases,
};

kunit_test_suite(domain_suite);
