// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the sPAPR TCE container's windows
 *
 * Part of windows.c: which window and which TCEs a range of bus addresses is,
 * for all page sizes, with windows that end at 2^63 and 2^64. The windows have
 * no table; nothing looks at it.
 */
#include <kunit/test.h>

struct fake {
	struct tce_container container;
	struct spapr_tce_window window[IOMMU_TABLE_GROUP_MAX_TABLES];
	struct iommu_table tbl[IOMMU_TABLE_GROUP_MAX_TABLES];
};

static struct fake *fake_container(struct kunit *test)
{
	struct fake *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	mutex_init(&fake->container.lock);
	spapr_tce_domain_init(&fake->container.domain, &fake->container.lock);

	return fake;
}

static void fake_window(struct fake *fake, int num, u64 start, u64 npages,
			unsigned int shift)
{
	fake->tbl[num].it_offset = start >> shift;
	fake->tbl[num].it_size = npages;
	fake->tbl[num].it_page_shift = shift;
	fake->window[num].tbl = &fake->tbl[num];
	fake->window[num].page_shift = shift;
	fake->window[num].page_mask = (1UL << shift) - 1;
	fake->window[num].offset = start >> shift;
	fake->window[num].npages = npages;
	fake->container.domain.windows[num] = &fake->window[num];
}

static const unsigned int page_shifts[] = { 12, 16, 21, 24, 28, 30, 34 };

static void shift_name(const unsigned int *shift, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "2^%u", *shift);
}

KUNIT_ARRAY_PARAM(shift, page_shifts, shift_name);

static int locked_range(struct fake *fake, u64 iova, u64 size,
			struct tce_range *range)
{
	guard(mutex)(&fake->container.lock);

	return find_range(&fake->container, iova, size, range);
}

#define EXPECT_RANGE(test, fake, iova, size, result)			\
	KUNIT_EXPECT_EQ(test, locked_range(fake, iova, size, &range), result)

static void test_range(struct kunit *test)
{
	const unsigned int shift = *(const unsigned int *)test->param_value;
	static const u64 starts[] = { 0, 1ULL << 59, 1ULL << 63 };
	const u64 page = 1ULL << shift, npages = 1000;
	struct fake *fake = fake_container(test);
	struct tce_range range;

	for (int i = 0; i < ARRAY_SIZE(starts); i++) {
		const u64 start = starts[i];

		fake_window(fake, i % 2, start, npages, shift);

		EXPECT_RANGE(test, fake, start, npages * page, 0);
		KUNIT_EXPECT_PTR_EQ(test, range.window, &fake->window[i % 2]);
		KUNIT_EXPECT_EQ(test, range.index, 0);
		KUNIT_EXPECT_EQ(test, range.npages, npages);

		EXPECT_RANGE(test, fake, start + 999 * page, page, 0);
		KUNIT_EXPECT_EQ(test, range.index, 999);
		EXPECT_RANGE(test, fake, start + 999 * page, 0, 0);
		KUNIT_EXPECT_EQ(test, range.npages, 0);

		EXPECT_RANGE(test, fake, start + 999 * page, 2 * page, -EINVAL);
		EXPECT_RANGE(test, fake, start, 1001 * page, -EINVAL);
		EXPECT_RANGE(test, fake, start + page, npages * page, -EINVAL);
		/* Sizes that wrap when they are added to anything */
		EXPECT_RANGE(test, fake, start, 0 - page, -EINVAL);
		EXPECT_RANGE(test, fake, start + page, 0 - page, -EINVAL);
		EXPECT_RANGE(test, fake, start + page, 1ULL << 63, -EINVAL);
		/* Not aligned */
		EXPECT_RANGE(test, fake, start + 1, page, -EINVAL);
		EXPECT_RANGE(test, fake, start + page / 2, page, -EINVAL);
		EXPECT_RANGE(test, fake, start, page + 1, -EINVAL);
		/* In no window */
		EXPECT_RANGE(test, fake, start + npages * page, page, -ENXIO);
		EXPECT_RANGE(test, fake, start - page, page, -ENXIO);
	}
}

static void test_last(struct kunit *test)
{
	const unsigned int shift = *(const unsigned int *)test->param_value;
	const u64 page = 1ULL << shift;
	struct fake *fake = fake_container(test);
	struct tce_range range;

	/* The last pages that there are, up to 2^64 */
	fake_window(fake, 1, 0 - 4 * page, 4, shift);
	EXPECT_RANGE(test, fake, 0 - page, page, 0);
	KUNIT_EXPECT_EQ(test, range.index, 3);
	EXPECT_RANGE(test, fake, 0 - page, 2 * page, -EINVAL);
	EXPECT_RANGE(test, fake, 0 - 4 * page, 4 * page, 0);
	EXPECT_RANGE(test, fake, 0 - 5 * page, page, -ENXIO);
	EXPECT_RANGE(test, fake, 0, page, -ENXIO);

	/* One that ends where 2^63 begins */
	fake_window(fake, 0, (1ULL << 63) - 2 * page, 2, shift);
	EXPECT_RANGE(test, fake, (1ULL << 63) - page, page, 0);
	KUNIT_EXPECT_EQ(test, range.index, 1);
	EXPECT_RANGE(test, fake, (1ULL << 63) - page, 2 * page, -EINVAL);
	EXPECT_RANGE(test, fake, 1ULL << 63, page, -ENXIO);
}

static void test_two_windows(struct kunit *test)
{
	struct fake *fake = fake_container(test);
	struct tce_range range;

	fake_window(fake, 0, 0, SZ_2G >> 12, 12);
	fake_window(fake, 1, 1ULL << 59, 1ULL << 31, 16);

	EXPECT_RANGE(test, fake, SZ_2G - SZ_4K, SZ_4K, 0);
	KUNIT_EXPECT_PTR_EQ(test, range.window, &fake->window[0]);
	EXPECT_RANGE(test, fake, SZ_2G, SZ_4K, -ENXIO);
	EXPECT_RANGE(test, fake, 1ULL << 59, SZ_64K, 0);
	KUNIT_EXPECT_PTR_EQ(test, range.window, &fake->window[1]);
	/* A multiple of the other window's page size */
	EXPECT_RANGE(test, fake, (1ULL << 59) + SZ_4K, SZ_64K, -EINVAL);
	KUNIT_EXPECT_EQ(test, spapr_tce_window_start(&fake->window[1]), 1ULL << 59);
}

static struct kunit_case tce_container_cases[] = {
	KUNIT_CASE_PARAM(test_range, shift_gen_params),
	KUNIT_CASE_PARAM(test_last, shift_gen_params),
	KUNIT_CASE(test_two_windows),
	{}
};

static struct kunit_suite tce_container_suite = {
	.name = "vfio_spapr_tce",
	.test_cases = tce_container_cases,
};

kunit_test_suite(tce_container_suite);
