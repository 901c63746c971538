// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of DMA windows
 *
 * Part of window.c. A table in memory that no device reads: which registered
 * memory its TCEs keep pinned. A hypervisor's table, which is an array here, and
 * whose calls fail when a test says so: what the caller is told, what stays
 * mapped, and what can be unpinned.
 */
#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mman.h>
#include "memory_test.h"
#include "window_test.h"

#define TEST_TCES	1024UL
#define HV_PAGES	4UL

static struct fake_hv *fake_create(struct kunit *test)
{
	struct fake_hv *fake = fake_alloc(HV_TCES);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	return fake;
}

/* A table in memory */

static void free_table(struct iommu_table *tbl)
{
	kfree((void *)tbl->it_base);
}

static struct iommu_table_ops table_ops = {
	.free = free_table,
};

static struct iommu_table *alloc_table(struct kunit *test)
{
	struct iommu_table *tbl = kzalloc(sizeof(*tbl), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tbl);
	kref_init(&tbl->it_kref);
	INIT_LIST_HEAD(&tbl->it_group_list);
	tbl->it_base = (unsigned long)kcalloc(TEST_TCES, sizeof(__be64),
					      GFP_KERNEL);
	KUNIT_ASSERT_NE(test, tbl->it_base, 0);
	tbl->it_size = TEST_TCES;
	tbl->it_page_shift = PAGE_SHIFT;
	tbl->it_ops = &table_ops;

	return tbl;
}

static struct spapr_tce_window *open_test_window(struct kunit *test)
{
	struct spapr_tce_window *window;

	window = spapr_tce_window_create(alloc_table(test), current->mm, NULL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(window));

	return window;
}

static void close_test_window(struct spapr_tce_window *window)
{
	spapr_tce_window_drain(window);
	spapr_tce_window_close(window);
}

static void test_busy(struct kunit *test)
{
	struct spapr_tce_window *window;
	struct spapr_mem_region *region;
	struct own_memory own;
	unsigned long hpa;
	__be64 *tce;

	map_own(test, &own);
	window = open_test_window(test);
	tce = (__be64 *)window->tbl->it_base;

	KUNIT_EXPECT_EQ(test, spapr_tce_map(window, 600, own.ua, 1,
					    SPAPR_TCE_PERM), -EINVAL);
	region = spapr_mem_register(own.mem, own.ua, TEST_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	KUNIT_EXPECT_EQ(test, spapr_tce_map(window, 600, own.ua, TEST_PAGES,
					    SPAPR_TCE_PERM), 0);
	KUNIT_EXPECT_TRUE(test, spapr_mem_to_phys(&own.mem->pages, own.ua + PAGE_SIZE,
						  PAGE_SHIFT, &hpa));
	KUNIT_EXPECT_EQ(test, be64_to_cpu(tce[601]), hpa | SPAPR_TCE_PERM);

	/* One TCE is enough, and what was refused has changed nothing */
	spapr_tce_unmap(window, 600, TEST_PAGES - 1);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, region), -EBUSY);
	KUNIT_EXPECT_TRUE(test, spapr_mem_covers(own.mem, own.ua,
						 TEST_PAGES * PAGE_SIZE, 12));

	spapr_tce_unmap(window, 600 + TEST_PAGES - 1, 1);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, region), 0);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked);
	close_test_window(window);
}

static void test_left_behind(struct kunit *test)
{
	struct spapr_tce_window *window;
	struct spapr_mem_region *region;
	struct own_memory own;

	map_own(test, &own);
	window = open_test_window(test);
	region = spapr_mem_register(own.mem, own.ua, PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	KUNIT_ASSERT_EQ(test, spapr_tce_map(window, 0, own.ua, 1,
					    SPAPR_TCE_PERM), 0);

	/* Pinned for the window's sake, and accounted */
	spapr_mem_release(own.mem, region);
	spapr_mem_reap(own.mem);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + 1);

	/* Somebody else takes it up and leaves it, twice */
	KUNIT_EXPECT_PTR_EQ(test, region,
			    spapr_mem_register(own.mem, own.ua, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, region), -EBUSY);
	spapr_mem_release(own.mem, region);
	spapr_mem_reap(own.mem);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + 1);

	close_test_window(window);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked);
	KUNIT_EXPECT_NULL(test, spapr_mem_find(own.mem, own.ua, PAGE_SIZE));
}

/* One region a page, in the order of the pages */
static void register_pages(struct kunit *test, struct own_memory *own,
			   struct spapr_mem_region **regions)
{
	for (unsigned long i = 0; i < TEST_PAGES; i++) {
		regions[i] = spapr_mem_register(own->mem,
						own->ua + i * PAGE_SIZE,
						PAGE_SIZE);
		KUNIT_ASSERT_FALSE(test, IS_ERR(regions[i]));
	}
}

/* Of regions that end together, those stay that a TCE came from. */
static void test_batch(struct kunit *test)
{
	struct spapr_mem_region *regions[TEST_PAGES];
	struct spapr_tce_window *window;
	struct own_memory own;
	unsigned long i;

	map_own(test, &own);
	window = open_test_window(test);
	register_pages(test, &own, regions);
	for (i = 0; i < TEST_PAGES; i += 2)
		KUNIT_ASSERT_EQ(test, spapr_tce_map(window, 100 * i, own.ua +
						    i * PAGE_SIZE, 1,
						    SPAPR_TCE_PERM), 0);
	for (i = 0; i < TEST_PAGES; i++)
		spapr_mem_release(own.mem, regions[i]);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + TEST_PAGES);
	spapr_mem_reap(own.mem);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + TEST_PAGES / 2);
	for (i = 0; i < TEST_PAGES; i++)
		KUNIT_EXPECT_EQ(test, !(i % 2),
				spapr_mem_covers(own.mem, own.ua +
						 i * PAGE_SIZE, PAGE_SIZE, 12));

	/* A region without a use makes room once its TCEs have gone */
	expect_error(test, &own, own.ua, 2 * PAGE_SIZE, -EINVAL);
	spapr_tce_unmap(window, 0, 1);
	regions[0] = spapr_mem_register(own.mem, own.ua, 2 * PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(regions[0]));
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + TEST_PAGES / 2 + 1);

	close_test_window(window);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked + 2);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, regions[0]), 0);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked);
}

/*
 * Two walks that race for a TCE may leave the origin of the one and the TCE of
 * the other: the memory that the TCE leads to is in use, and no other.
 */
static void test_contradiction(struct kunit *test)
{
	struct spapr_mem_region *regions[TEST_PAGES];
	struct spapr_tce_window *window;
	struct own_memory own;
	__be64 *tce;

	map_own(test, &own);
	window = open_test_window(test);
	tce = (__be64 *)window->tbl->it_base;
	register_pages(test, &own, regions);
	KUNIT_ASSERT_EQ(test, spapr_tce_map(window, 7, own.ua, 2,
					    SPAPR_TCE_PERM), 0);
	/* The origin of page 0, the TCE of page 1; page 1 has none else */
	tce[7] = tce[8];
	spapr_tce_unmap(window, 8, 1);

	KUNIT_ASSERT_EQ(test, spapr_mem_unregister(own.mem, regions[1]),
			-EBUSY);
	KUNIT_EXPECT_TRUE(test, spapr_mem_covers(own.mem, own.ua + PAGE_SIZE,
						 PAGE_SIZE, 12));
	for (unsigned long i = 0; i < TEST_PAGES; i++)
		if (i != 1)
			KUNIT_EXPECT_EQ(test, 0,
					spapr_mem_unregister(own.mem,
							     regions[i]));

	/* Still so when nothing is registered where the origin points */
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, regions[1]),
			-EBUSY);
	spapr_tce_unmap(window, 7, 1);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(own.mem, regions[1]), 0);
	KUNIT_EXPECT_EQ(test, locked_now(), own.locked);
	close_test_window(window);
}

/* A table of a hypervisor that fails */

/**
 * struct hv_test - a window of the fake hypervisor's, and memory to map
 * @fake: the hypervisor
 * @window: on its table
 * @mem: pinned memory of this process
 * @region: HV_PAGES registered pages
 * @ua: where they are
 */
struct hv_test {
	struct fake_hv *fake;
	struct spapr_tce_window *window;
	struct spapr_mem *mem;
	struct spapr_mem_region *region;
	unsigned long ua;
};

static void hv_begin(struct kunit *test, struct hv_test *hv)
{
	hv->ua = kunit_vm_mmap(test, NULL, 0, HV_PAGES * PAGE_SIZE,
			       PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_NE(test, hv->ua, 0);
	hv->fake = fake_create(test);
	hv->window = spapr_tce_window_create(&hv->fake->tbl, current->mm, NULL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(hv->window));
	hv->mem = spapr_mem_of(current->mm);
	hv->region = spapr_mem_register(hv->mem, hv->ua, HV_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(hv->region));
}

static long hv_map(struct hv_test *hv, unsigned long index)
{
	return spapr_tce_map(hv->window, index, hv->ua, HV_PAGES,
			     SPAPR_TCE_PERM);
}

static void hv_close(struct hv_test *hv)
{
	spapr_tce_window_drain(hv->window);
	spapr_tce_window_close(hv->window);
}

/* A TCE that cannot be cleared is told, stays mapped, and can be tried again */
static void test_clear_fails(struct kunit *test)
{
	struct hv_test hv;

	hv_begin(test, &hv);
	KUNIT_ASSERT_EQ(test, hv_map(&hv, 510), 0);

	hv.fake->clear_error = -EREMOTEIO;
	KUNIT_EXPECT_EQ(test, spapr_tce_unmap(hv.window, 0, HV_TCES),
			-EREMOTEIO);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), -EBUSY);

	hv.fake->clear_error = 0;
	KUNIT_EXPECT_EQ(test, spapr_tce_unmap(hv.window, 0, HV_TCES), 0);
	KUNIT_EXPECT_EQ(test, hv.fake->tce[510] | hv.fake->tce[513], 0);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), 0);
	hv_close(&hv);
}

/* What was put before a failure is cleared, and nothing is lost */
static void test_put_fails(struct kunit *test)
{
	struct hv_test hv;

	hv_begin(test, &hv);

	hv.fake->put_error = -EPERM;
	KUNIT_EXPECT_EQ(test, hv_map(&hv, 510), -EPERM);
	KUNIT_EXPECT_EQ(test, hv.fake->tce[510] | hv.fake->tce[513], 0);

	hv.fake->put_error = 0;
	KUNIT_EXPECT_EQ(test, hv_map(&hv, 510), 0);
	KUNIT_EXPECT_EQ(test, spapr_tce_unmap(hv.window, 510, HV_PAGES), 0);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), 0);
	hv_close(&hv);
}

/* A window that has lost track of its TCEs maps no more until it is closed */
static void test_lost(struct kunit *test)
{
	struct hv_test hv;
	unsigned int puts;

	hv_begin(test, &hv);

	hv.fake->put_error = -EIO;
	KUNIT_EXPECT_EQ(test, hv_map(&hv, 0), -EIO);
	hv.fake->put_error = 0;
	puts = hv.fake->nr_puts;
	KUNIT_EXPECT_EQ(test, hv_map(&hv, 100), -EIO);
	KUNIT_EXPECT_EQ(test, hv.fake->nr_puts, puts);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), -EBUSY);

	hv_close(&hv);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), 0);
}

/* Close a window that a group has, which loses it or not */
static void close_attached(struct kunit *test, struct hv_test *hv,
			   long unset_error)
{
	struct fake_group fake;

	fake_group_begin(test, &fake);
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_window_attach(hv->window,
							 fake.group, 1));
	KUNIT_EXPECT_PTR_EQ(test, fake.tg.tables[1], &hv->fake->tbl);

	fake.unset_error = unset_error;
	spapr_tce_window_drain(hv->window);
	KUNIT_EXPECT_EQ(test, unset_error,
			spapr_tce_window_detach(hv->window, fake.group, 1));
	spapr_tce_window_close(hv->window);
}

/* A table that a group may still have is not freed; its pages are unpinned */
static void test_unset_fails(struct kunit *test)
{
	struct hv_test hv;

	hv_begin(test, &hv);
	KUNIT_ASSERT_EQ(test, hv_map(&hv, 510), 0);
	close_attached(test, &hv, 0);
	KUNIT_EXPECT_TRUE(test, fake_freed);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), 0);

	hv_begin(test, &hv);
	KUNIT_ASSERT_EQ(test, hv_map(&hv, 510), 0);
	close_attached(test, &hv, -EREMOTEIO);
	KUNIT_EXPECT_FALSE(test, fake_freed);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), 0);

	/* So that the test leaves nothing behind */
	if (!fake_freed)
		iommu_tce_table_put(&hv.fake->tbl);
}

/* As long as a group may have the table of a lost window, all stays pinned */
static void test_stuck(struct kunit *test)
{
	struct hv_test hv;
	int held;

	hv_begin(test, &hv);
	held = atomic_read(&hv.mem->mm->mm_count);
	hv.fake->put_error = -EIO;
	KUNIT_EXPECT_EQ(test, hv_map(&hv, 0), -EIO);

	hv.fake->clear_error = -EREMOTEIO;
	close_attached(test, &hv, -EREMOTEIO);
	KUNIT_EXPECT_FALSE(test, fake_freed);
	KUNIT_ASSERT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), -EBUSY);
	/* The window outlives its owner's reference on the process */
	KUNIT_ASSERT_EQ(test, atomic_read(&hv.mem->mm->mm_count), held + 1);
	mmdrop(hv.mem->mm);
	spapr_mem_release(hv.mem, hv.region);
	spapr_mem_reap(hv.mem);
	KUNIT_EXPECT_PTR_EQ(test, spapr_mem_find(hv.mem, hv.ua,
						 HV_PAGES * PAGE_SIZE),
			    hv.region);

	/* A hypervisor that relents, so that the test leaves nothing behind */
	hv.window->stuck = false;
	spapr_tce_window_close(hv.window);
	KUNIT_EXPECT_TRUE(test, fake_freed);
	KUNIT_EXPECT_NULL(test, spapr_mem_find(hv.mem, hv.ua,
					       HV_PAGES * PAGE_SIZE));
}

/* A window without TCEs whose table stays gets another, which goes again */
static void test_stuck_table(struct kunit *test)
{
	struct hv_test hv;

	hv_begin(test, &hv);
	hv.window->stuck = true;
	spapr_tce_window_put_table(hv.window, hv.window->tbl);
	KUNIT_EXPECT_FALSE(test, fake_freed);
	close_attached(test, &hv, 0);
	KUNIT_EXPECT_TRUE(test, fake_freed);
	KUNIT_EXPECT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), 0);
}

/* A window on a guest's memory, of one page */

#define GUEST_PAGE	3UL
#define GUEST_TCE	600UL
#define GUEST_HPA	0x50000UL

struct guest_test {
	struct fake_hv *fake;
	struct spapr_tce_window *window;
	struct spapr_sparse pages;
};

static long guest_put(struct guest_test *guest)
{
	const struct spapr_tce tce = {
		.origin = GUEST_PAGE << PAGE_SHIFT | SPAPR_TCE_PERM,
		.tce = GUEST_HPA | SPAPR_TCE_PERM,
	};
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	ret = spapr_tce_put(guest->window, GUEST_TCE, &tce, 1,
			    SPAPR_TCE_VIRTUAL);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

static void guest_begin(struct kunit *test, struct guest_test *guest)
{
	u64 *word;

	KUNIT_ASSERT_TRUE(test, spapr_sparse_init(&guest->pages,
						  SPAPR_MEM_INDEX_BITS,
						  GFP_KERNEL));
	word = spapr_sparse_populate(&guest->pages, GUEST_PAGE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, word);
	*word = GUEST_HPA | PAGE_SHIFT | SPAPR_MEM_VALID;
	guest->fake = fake_create(test);
	guest->window = spapr_tce_window_create_by_gpa(&guest->fake->tbl,
						       &guest->pages);
	KUNIT_ASSERT_FALSE(test, IS_ERR(guest->window));
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_window_populate(guest->window,
							   GUEST_TCE, 1));
	KUNIT_ASSERT_EQ(test, 0, guest_put(guest));

	/* The guest loses the page */
	*word = 0;
	spapr_tce_quiesce();
}

static long guest_forget(struct guest_test *guest)
{
	return spapr_tce_window_forget(guest->window, GUEST_PAGE << PAGE_SHIFT,
				       ((GUEST_PAGE + 1) << PAGE_SHIFT) - 1);
}

/* A TCE that is not cleared is told, and the window puts none any more */
static void test_forget_fails(struct kunit *test)
{
	struct guest_test guest;

	guest_begin(test, &guest);
	KUNIT_EXPECT_EQ(test, guest.fake->tce[GUEST_TCE],
			GUEST_HPA | SPAPR_TCE_PERM);

	guest.fake->clear_error = -EREMOTEIO;
	KUNIT_EXPECT_EQ(test, guest_forget(&guest), -EREMOTEIO);
	KUNIT_EXPECT_TRUE(test, guest.window->lost);
	KUNIT_EXPECT_EQ(test, guest_put(&guest), -EIO);

	/* What is left is cleared when the hypervisor works again */
	guest.fake->clear_error = 0;
	KUNIT_EXPECT_EQ(test, guest_forget(&guest), 0);
	KUNIT_EXPECT_EQ(test, guest.fake->tce[GUEST_TCE], 0);

	spapr_tce_window_drain(guest.window);
	spapr_tce_window_close(guest.window);
	KUNIT_EXPECT_TRUE(test, fake_freed);
	spapr_sparse_destroy(&guest.pages, true);
}

/* One page of the host's at two addresses of a guest, which loses the first */

#define TWIN_PAGE	(GUEST_PAGE + 1)
#define TWIN_TCES	32UL
#define TWIN_ROUNDS	4000

/**
 * struct twin_test - a CPU that puts TCEs while another one clears them
 * @window: a table in memory
 * @pages: the guest's memory
 * @lost: its word for the page that it loses
 * @list: TCEs to either address
 * @round: which round has begun
 * @done: which one the putting CPU has done
 * @delay: how many ns the putting CPU waits in it
 */
struct twin_test {
	struct spapr_tce_window *window;
	struct spapr_sparse pages;
	u64 *lost;
	struct spapr_tce list[2][TWIN_TCES];
	unsigned int round;
	unsigned int done;
	u64 delay;
};

static long twin_put(struct twin_test *twin, const struct spapr_tce *list)
{
	long ret;

	spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
	ret = spapr_tce_put(twin->window, 0, list, TWIN_TCES,
			    SPAPR_TCE_VIRTUAL);
	spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);

	return ret;
}

/* Puts each TCE once a round */
static int twin_thread(void *arg)
{
	struct twin_test *twin = arg;
	unsigned int round;
	u64 end;

	while (!kthread_should_stop()) {
		/* Pairs with the release in twin_round() */
		round = smp_load_acquire(&twin->round);
		if (round == twin->done) {
			cond_resched();
			continue;
		}
		end = ktime_get_ns() + twin->delay;
		while (ktime_get_ns() < end)
			cpu_relax();
		twin_put(twin, twin->list[1]);
		/* Pairs with the acquire in twin_round() */
		smp_store_release(&twin->done, round);
	}

	return 0;
}

static void twin_begin(struct kunit *test, struct twin_test *twin)
{
	const u64 word = GUEST_HPA | PAGE_SHIFT | SPAPR_MEM_VALID;
	u64 *other;

	KUNIT_ASSERT_TRUE(test, spapr_sparse_init(&twin->pages,
						  SPAPR_MEM_INDEX_BITS,
						  GFP_KERNEL));
	twin->lost = spapr_sparse_populate(&twin->pages, GUEST_PAGE,
					   GFP_KERNEL);
	other = spapr_sparse_populate(&twin->pages, TWIN_PAGE, GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, twin->lost && other);
	*other = word;
	for (unsigned long i = 0; i < 2 * TWIN_TCES; i++)
		twin->list[i / TWIN_TCES][i % TWIN_TCES] = (struct spapr_tce) {
			.origin = (i < TWIN_TCES ? GUEST_PAGE : TWIN_PAGE)
				  << PAGE_SHIFT | SPAPR_TCE_PERM,
			.tce = GUEST_HPA | SPAPR_TCE_PERM,
		};
	twin->window = spapr_tce_window_create_by_gpa(alloc_table(test),
						      &twin->pages);
	KUNIT_ASSERT_FALSE(test, IS_ERR(twin->window));
	KUNIT_ASSERT_EQ(test, 0, spapr_tce_window_populate(twin->window, 0,
							   TWIN_TCES));
}

/* Return how many of the TCEs that the other CPU has put are gone */
static unsigned int twin_round(struct twin_test *twin, u64 *took)
{
	const __be64 *tce = (__be64 *)twin->window->tbl->it_base;
	unsigned int gone = 0;
	u64 begin;

	*twin->lost = GUEST_HPA | PAGE_SHIFT | SPAPR_MEM_VALID;
	twin_put(twin, twin->list[0]);
	*twin->lost = 0;
	spapr_tce_quiesce();

	/* Pairs with the acquire in twin_thread() */
	smp_store_release(&twin->round, twin->round + 1);
	begin = ktime_get_ns();
	spapr_tce_window_forget(twin->window, GUEST_PAGE << PAGE_SHIFT,
				(TWIN_PAGE << PAGE_SHIFT) - 1);
	*took = ktime_get_ns() - begin;
	/* Pairs with the release in twin_thread() */
	while (smp_load_acquire(&twin->done) != twin->round)
		cond_resched();

	for (unsigned long i = 0; i < TWIN_TCES; i++)
		gone += be64_to_cpu(tce[i]) != twin->list[1][i].tce;
	return gone;
}

/* A TCE that is put again while the one before it is cleared stays */
static void test_put_again(struct kunit *test)
{
	struct twin_test *twin = kunit_kzalloc(test, sizeof(*twin), GFP_KERNEL);
	struct task_struct *thread;
	unsigned int gone = 0;
	u64 took;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	KUNIT_ASSERT_NOT_NULL(test, twin);
	twin_begin(test, twin);
	thread = kthread_run(twin_thread, twin, "twin_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));

	for (unsigned int i = 0; i < TWIN_ROUNDS; i++) {
		gone += twin_round(twin, &took);
		/* Sweep over the time that it takes to clear them */
		twin->delay = min(took, NSEC_PER_MSEC) * (i % 256) / 256;
		cond_resched();
	}
	kthread_stop(thread);
	KUNIT_EXPECT_EQ(test, gone, 0);

	spapr_tce_window_drain(twin->window);
	spapr_tce_window_close(twin->window);
	spapr_sparse_destroy(&twin->pages, true);
}

/* An owner that pins: here it counts */

static unsigned long nr_former;

static long counting_unmap(struct spapr_tce_window *window, unsigned long index,
			   unsigned long npages, bool keep)
{
	struct spapr_tce list = {};
	long ret = 0;

	for (; npages; npages--, index++) {
		list = (struct spapr_tce) {};
		ret = spapr_tce_exchange(window, index, &list, 1) ?: ret;
		nr_former += !!list.tce;
	}

	return ret;
}

static void counting_unpin(const u64 *tces, unsigned long npages)
{
	for (unsigned long i = 0; i < npages; i++)
		nr_former += !!tces[i];
}

static const struct spapr_tce_owner counting_owner = {
	.unmap = counting_unmap,
	.unpin = counting_unpin,
};

static void exchange_begin(struct kunit *test, struct hv_test *hv)
{
	struct spapr_tce list[2] = { { 1, 0x11003 }, { 1, 0x22003 } };

	nr_former = 0;
	hv->fake = fake_create(test);
	hv->window = spapr_tce_window_create(&hv->fake->tbl, NULL,
					     &counting_owner);
	KUNIT_ASSERT_FALSE(test, IS_ERR(hv->window));
	KUNIT_ASSERT_EQ(test, spapr_tce_window_populate(hv->window, 7, 2), 0);
	KUNIT_ASSERT_EQ(test, spapr_tce_exchange(hv->window, 7, list, 2), 0);
	KUNIT_EXPECT_EQ(test, list[0].tce | list[1].tce, 0);
	KUNIT_EXPECT_EQ(test, hv->fake->tce[8], 0x22003);
}

/* The former TCE comes back once the device does not reach its page */
static void test_exchange(struct kunit *test)
{
	struct spapr_tce list[2] = { { 1, 0x33003 }, {} };
	struct hv_test hv;

	exchange_begin(test, &hv);
	KUNIT_EXPECT_EQ(test, spapr_tce_exchange(hv.window, 7, list, 2), 0);
	KUNIT_EXPECT_EQ(test, list[0].tce, 0x11003);
	KUNIT_EXPECT_EQ(test, list[1].tce, 0x22003);
	KUNIT_EXPECT_EQ(test, hv.fake->tce[7], 0x33003);

	/* Refused and undone: neither is reached */
	list[0].tce = 0x44003;
	hv.fake->put_error = -EPERM;
	KUNIT_EXPECT_EQ(test, spapr_tce_exchange(hv.window, 7, list, 1),
			-EPERM);
	KUNIT_EXPECT_EQ(test, list[0].tce, 0x33003);
	hv_close(&hv);
	KUNIT_EXPECT_EQ(test, nr_former, 0);
}

/* What could not be cleared comes back with the table's end */
static void test_exchange_closed(struct kunit *test)
{
	struct spapr_tce list = {};
	struct hv_test hv;

	exchange_begin(test, &hv);
	hv.fake->clear_error = -EREMOTEIO;
	KUNIT_EXPECT_EQ(test, spapr_tce_exchange(hv.window, 7, &list, 1),
			-EREMOTEIO);
	KUNIT_EXPECT_EQ(test, list.tce, 0);
	KUNIT_EXPECT_EQ(test, spapr_tce_unmap(hv.window, 0, HV_TCES),
			-EREMOTEIO);
	KUNIT_EXPECT_EQ(test, nr_former, 0);
	hv_close(&hv);
	KUNIT_EXPECT_EQ(test, nr_former, 2);
}

/* After -EIO, the new pages and the former ones come back with the table's end */
static void test_exchange_lost(struct kunit *test)
{
	struct spapr_tce list[2] = { { 1, 0x33003 }, { 1, 0x44003 } };
	struct hv_test hv;

	exchange_begin(test, &hv);
	hv.fake->put_error = -EIO;
	KUNIT_EXPECT_EQ(test, spapr_tce_exchange(hv.window, 7, list, 2), -EIO);
	KUNIT_EXPECT_EQ(test, list[0].tce | list[1].tce, 0);

	hv.fake->clear_error = -EREMOTEIO;
	spapr_tce_window_drain(hv.window);
	KUNIT_EXPECT_EQ(test, nr_former, 0);
	spapr_tce_window_close(hv.window);
	KUNIT_EXPECT_EQ(test, nr_former, 4);
}

static struct kunit_case window_cases[] = {
	KUNIT_CASE(test_busy),
	KUNIT_CASE(test_left_behind),
	KUNIT_CASE(test_batch),
	KUNIT_CASE(test_contradiction),
	KUNIT_CASE(test_clear_fails),
	KUNIT_CASE(test_put_fails),
	KUNIT_CASE(test_lost),
	KUNIT_CASE(test_unset_fails),
	KUNIT_CASE(test_stuck),
	KUNIT_CASE(test_stuck_table),
	KUNIT_CASE(test_forget_fails),
	KUNIT_CASE(test_put_again),
	KUNIT_CASE(test_exchange),
	KUNIT_CASE(test_exchange_closed),
	KUNIT_CASE(test_exchange_lost),
	{}
};

static struct kunit_suite window_suite = {
	.name = "spapr_tce_window",
	.test_cases = window_cases,
};

kunit_test_suite(window_suite);
