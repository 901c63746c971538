// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of pinned user memory
 *
 * Part of memory.c, whose index of regions is tested here without pages,
 * with as many regions as a monitor of large guests may have. The rest runs
 * against memory mapped into the test's own process: what is refused, counted
 * and given back. window_test.c has what needs a window.
 */
#include <kunit/test.h>
#include "memory_test.h"

#define MANY		100000UL

/* The index, in a structure of its own */

static struct spapr_mem *empty_mem(struct kunit *test)
{
	struct spapr_mem *mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_TRUE(test, spapr_sparse_init(&mem->pages,
						  SPAPR_MEM_INDEX_BITS,
						  GFP_KERNEL));
	mem->regions = RB_ROOT_CACHED;

	return mem;
}

static void add_region(struct spapr_mem *mem, struct spapr_mem_region *region,
		       unsigned long page, unsigned long pages)
{
	region->first = page << PAGE_SHIFT;
	region->last = ((page + pages) << PAGE_SHIFT) - 1;
	regions_insert(region, &mem->regions);
}

static bool overlaps(struct spapr_mem *mem, unsigned long page,
		     unsigned long pages)
{
	return regions_iter_first(&mem->regions, page << PAGE_SHIFT,
				  ((page + pages) << PAGE_SHIFT) - 1);
}

static void test_overlap(struct kunit *test)
{
	static const struct {
		unsigned long page, pages;
		bool overlap;
	} range[] = {
		{ 9, 1, false },	/* touches from below */
		{ 14, 1, false },	/* touches from above */
		{ 0, 10, false },
		{ 9, 2, true },		/* first page */
		{ 13, 2, true },	/* last page */
		{ 11, 1, true },	/* within */
		{ 8, 8, true },		/* around */
		{ 10, 4, true },	/* the same */
		{ 18, 1, false },	/* between two regions */
		{ 14, 7, true },	/* from one into the other */
	};
	struct spapr_mem_region region[2] = {};
	struct spapr_mem *mem = empty_mem(test);

	add_region(mem, &region[0], 10, 4);
	add_region(mem, &region[1], 20, 1);

	for (int i = 0; i < ARRAY_SIZE(range); i++)
		KUNIT_EXPECT_EQ_MSG(test, range[i].overlap,
				    overlaps(mem, range[i].page, range[i].pages),
				    "range %d", i);
	spapr_sparse_destroy(&mem->pages, true);
}

static void test_exact(struct kunit *test)
{
	struct spapr_mem_region region[2] = {};
	struct spapr_mem *mem = empty_mem(test);
	unsigned long ua = 10 * PAGE_SIZE;

	add_region(mem, &region[0], 10, 4);
	add_region(mem, &region[1], 14, 4);

	KUNIT_EXPECT_PTR_EQ(test, region_exact(mem, ua, 4 * PAGE_SIZE),
			    &region[0]);
	KUNIT_EXPECT_PTR_EQ(test, region_exact(mem, ua + 4 * PAGE_SIZE,
					       4 * PAGE_SIZE), &region[1]);
	KUNIT_EXPECT_NULL(test, region_exact(mem, ua, 3 * PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, region_exact(mem, ua, 8 * PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, region_exact(mem, ua, 0));
	KUNIT_EXPECT_NULL(test, region_exact(mem, ua + PAGE_SIZE,
					     3 * PAGE_SIZE));
	spapr_sparse_destroy(&mem->pages, true);
}

/* First page of one of many regions of 2 pages, with 2 free ones after each */
static unsigned long many_page(unsigned long i)
{
	return 1000 + 4 * i;
}

static void test_many(struct kunit *test)
{
	struct spapr_mem *mem = empty_mem(test);
	struct spapr_mem_region *region;
	unsigned long wrong = 0, i, hpa;

	region = kvcalloc(MANY, sizeof(*region), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, region);

	/* 7919 is prime: each once, in an order that is none */
	for (unsigned long n = 0; n < MANY; n++) {
		i = n * 7919 % MANY;
		u64 *slot = spapr_sparse_populate(&mem->pages, many_page(i),
						  GFP_KERNEL);

		if (!slot)
			break;
		WRITE_ONCE(*slot, i << PAGE_SHIFT | PAGE_SHIFT |
				  SPAPR_MEM_VALID);
		add_region(mem, &region[i], many_page(i), 2);
	}

	for (i = 0; i < MANY; i++) {
		unsigned long ua = many_page(i) << PAGE_SHIFT;

		wrong += region_exact(mem, ua, 2 * PAGE_SIZE) != &region[i];
		wrong += overlaps(mem, many_page(i) + 2, 2);
		wrong += !overlaps(mem, many_page(i) + 1, 2);
		wrong += !spapr_mem_to_phys(&mem->pages, ua + 5, PAGE_SHIFT, &hpa) ||
			 hpa != (i << PAGE_SHIFT) + 5;
		wrong += spapr_mem_to_phys(&mem->pages, ua, PAGE_SHIFT + 1, &hpa);
		wrong += spapr_mem_to_phys(&mem->pages, ua + PAGE_SIZE, PAGE_SHIFT,
					   &hpa);
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);

	for (i = 0; i < MANY; i += 2)
		regions_remove(&region[i], &mem->regions);
	for (wrong = 0, i = 0; i < MANY; i++)
		wrong += overlaps(mem, many_page(i), 2) != i % 2;
	KUNIT_EXPECT_EQ(test, wrong, 0);

	kvfree(region);
	spapr_sparse_destroy(&mem->pages, true);
}

static void test_limits(struct kunit *test)
{
	struct spapr_mem *mem = empty_mem(test);
	unsigned long hpa, top = TASK_SIZE_USER64 - PAGE_SIZE;
	u64 *slot = spapr_sparse_populate(&mem->pages, top >> PAGE_SHIFT,
					  GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, slot);
	*slot = PAGE_SIZE | PAGE_SHIFT | SPAPR_MEM_VALID;

	KUNIT_EXPECT_TRUE(test, spapr_mem_to_phys(&mem->pages, top, 12, &hpa));
	KUNIT_EXPECT_FALSE(test, spapr_mem_to_phys(&mem->pages, TASK_SIZE_USER64, 12,
						   &hpa));
	KUNIT_EXPECT_FALSE(test, spapr_mem_to_phys(&mem->pages, 1UL << 63, 12, &hpa));
	KUNIT_EXPECT_FALSE(test, spapr_mem_to_phys(&mem->pages, ~0xfffUL, 12, &hpa));

	KUNIT_EXPECT_TRUE(test, spapr_mem_covers(mem, top, PAGE_SIZE, 12));
	KUNIT_EXPECT_FALSE(test, spapr_mem_covers(mem, top, 2 * PAGE_SIZE, 12));
	KUNIT_EXPECT_FALSE(test, spapr_mem_covers(mem, top, ~0xfffUL, 12));
	KUNIT_EXPECT_FALSE(test, spapr_mem_covers(mem, 1UL << 63, PAGE_SIZE,
						  12));

	spapr_sparse_destroy(&mem->pages, true);
}

/* Walks */

/* An oops inside a walk leaves its mark; the CPU's next walk still counts */
static void test_walk_after_oops(struct kunit *test)
{
	unsigned long begun, ended;

	preempt_disable();
	WRITE_ONCE(local_paca->spapr_tce_walks,
		   local_paca->spapr_tce_walks | 1);
	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	begun = local_paca->spapr_tce_walks;
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
	ended = local_paca->spapr_tce_walks;
	preempt_enable();

	KUNIT_EXPECT_EQ(test, begun & 1, 1);
	KUNIT_EXPECT_NE(test, begun, ended);
	/* Otherwise there is no end to be waited for */
	KUNIT_ASSERT_EQ(test, ended & 1, 0);
	spapr_tce_quiesce();
}

/* Memory of this process */

static void test_register(struct kunit *test)
{
	struct spapr_mem_region *region, *again, *upper;
	const unsigned long half = TEST_PAGES / 2 * PAGE_SIZE;
	struct own_memory own;
	unsigned long hpa;

	map_own(test, &own);

	region = spapr_mem_register(own.mem, own.ua, half);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + TEST_PAGES / 2);
	KUNIT_EXPECT_TRUE(test, spapr_mem_covers(own.mem, own.ua, half, 12));
	KUNIT_EXPECT_TRUE(test, spapr_mem_to_phys(&own.mem->pages, own.ua, PAGE_SHIFT,
						  &hpa));
	KUNIT_EXPECT_FALSE(test, spapr_mem_to_phys(&own.mem->pages, own.ua,
						   PAGE_SHIFT + 1, &hpa));

	/* Once more is once more, not pinned or accounted twice */
	again = spapr_mem_register(own.mem, own.ua, half);
	KUNIT_EXPECT_PTR_EQ(test, again, region);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + TEST_PAGES / 2);

	expect_error(test, &own, own.ua, half + PAGE_SIZE, -EINVAL);
	expect_error(test, &own, own.ua + PAGE_SIZE, PAGE_SIZE, -EINVAL);
	expect_error(test, &own, own.ua, 0, -ENOMEM);
	expect_error(test, &own, TASK_SIZE_USER64, PAGE_SIZE, -EFAULT);
	/* What can be pinned of it is unpinned again */
	expect_error(test, &own, own.ua + half,
		     half + PAGE_SIZE * TEST_PAGES * 1024, -EFAULT);
	KUNIT_EXPECT_FALSE(test, spapr_mem_covers(own.mem, own.ua + half,
						  PAGE_SIZE, 12));

	upper = spapr_mem_register(own.mem, own.ua + half, half);
	KUNIT_ASSERT_FALSE(test, IS_ERR(upper));
	KUNIT_EXPECT_TRUE(test, spapr_mem_covers(own.mem, own.ua, 2 * half, 12));
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + TEST_PAGES);

	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, region), 0);
	KUNIT_EXPECT_TRUE(test, spapr_mem_covers(own.mem, own.ua, half, 12));
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, region), 0);
	KUNIT_EXPECT_FALSE(test, spapr_mem_covers(own.mem, own.ua, half, 12));
	KUNIT_EXPECT_NULL(test, spapr_mem_find(own.mem, own.ua, half));
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, upper), 0);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked);
}

static bool has_leaf(struct own_memory *own, unsigned long ua)
{
	return spapr_sparse_find(&own->mem->pages, ua >> PAGE_SHIFT);
}

/* Leaves stay as long as a region needs them, and none is left of a failure. */
static void test_leaves(struct kunit *test)
{
	struct spapr_mem_region *region, *next;
	struct spapr_sparse *pages;
	struct spapr_mem_cursor cursor;
	struct own_memory own;
	unsigned long ua, away, hpa;
	bool found[3];

	map_own(test, &own);
	/* Two pages of one leaf, and one of another that is not there */
	ua = own.ua;
	if ((~(ua >> PAGE_SHIFT) & SPAPR_SPARSE_LEAF_MASK) == 0)
		ua += PAGE_SIZE;
	away = ua - 2 * SPAPR_SPARSE_LEAF * PAGE_SIZE;

	region = spapr_mem_register(own.mem, ua, PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	next = spapr_mem_register(own.mem, ua + PAGE_SIZE, PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(next));
	expect_error(test, &own, away, PAGE_SIZE, -EFAULT);
	KUNIT_EXPECT_TRUE(test, has_leaf(&own, ua));
	KUNIT_EXPECT_FALSE(test, has_leaf(&own, away));

	/* What is not found is not remembered */
	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	cursor = spapr_mem_cursor(&own.mem->pages, PAGE_SHIFT);
	found[0] = spapr_mem_next_to_phys(&cursor, ua, &hpa);
	found[1] = spapr_mem_next_to_phys(&cursor, away, &hpa);
	found[2] = spapr_mem_next_to_phys(&cursor, ua, &hpa);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
	KUNIT_EXPECT_TRUE(test, found[0]);
	KUNIT_EXPECT_FALSE(test, found[1]);
	KUNIT_EXPECT_TRUE(test, found[2]);

	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, region), 0);
	KUNIT_EXPECT_TRUE(test, has_leaf(&own, ua));
	KUNIT_EXPECT_TRUE(test, spapr_mem_covers(own.mem, ua + PAGE_SIZE,
						 PAGE_SIZE, PAGE_SHIFT));
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, next), 0);
	KUNIT_EXPECT_FALSE(test, has_leaf(&own, ua));
	/* Nor is a node above it */
	pages = &own.mem->pages;
	KUNIT_EXPECT_NULL(test, memchr_inv(pages->root, 0,
					   sizeof(u64) << pages->root_shift));
}

static struct kunit_case spapr_mem_cases[] = {
	KUNIT_CASE(test_overlap),
	KUNIT_CASE(test_exact),
	KUNIT_CASE_SLOW(test_many),
	KUNIT_CASE(test_limits),
	KUNIT_CASE(test_walk_after_oops),
	KUNIT_CASE(test_register),
	KUNIT_CASE(test_leaves),
	{}
};

static struct kunit_suite spapr_mem_suite = {
	.name = "spapr_mem",
	.test_cases = spapr_mem_cases,
};

kunit_test_suite(spapr_mem_suite);
