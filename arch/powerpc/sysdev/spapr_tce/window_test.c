// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of DMA windows on a hypervisor that fails
 *
 * Part of window.c. The hypervisor's table is an array here, and its calls fail
 * when a test says so: what the caller is told, what stays mapped, and what can
 * be unpinned.
 */
#include <kunit/test.h>
#include <linux/mman.h>

#define HV_TCES		1024UL
#define HV_PAGES	4UL

/* Begins with the table: that is what is freed */
struct fake_hv {
	struct iommu_table tbl;
	u64 tce[HV_TCES];
	long put_error;
	long clear_error;
	unsigned int nr_puts;
};

static struct fake_hv *fake_of(struct iommu_table *tbl)
{
	return container_of(tbl, struct fake_hv, tbl);
}

static long fake_clear_list(struct iommu_table *tbl, unsigned long index,
			    unsigned long npages)
{
	struct fake_hv *fake = fake_of(tbl);

	if (fake->clear_error)
		return fake->clear_error;

	memset(&fake->tce[index], 0, npages * sizeof(u64));
	return 0;
}

/* Writes half of a list that it fails to put, and clears that unless -EIO */
static long fake_put_list(struct iommu_table *tbl, unsigned long index,
			  unsigned long npages, const struct spapr_tce *list)
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

static bool fake_freed;

static void fake_free(struct iommu_table *tbl)
{
	fake_freed = true;
}

static struct iommu_table_ops fake_ops = {
	.put_list = fake_put_list,
	.clear_list = fake_clear_list,
	.free = fake_free,
};

static struct fake_hv *fake_create(struct kunit *test)
{
	struct fake_hv *fake = kzalloc(sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake_freed = false;
	kref_init(&fake->tbl.it_kref);
	INIT_LIST_HEAD(&fake->tbl.it_group_list);
	fake->tbl.it_size = HV_TCES;
	fake->tbl.it_page_shift = PAGE_SHIFT;
	fake->tbl.it_ops = &fake_ops;

	return fake;
}

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

/**
 * struct fake_group - a group that may keep a window
 * @tg: its hardware
 * @group: the group
 * @unset_error: what the platform says when it takes a window away
 */
struct fake_group {
	struct iommu_table_group tg;
	struct iommu_group *group;
	long unset_error;
};

static long fake_set_window(struct iommu_table_group *tg, int num,
			    struct iommu_table *tbl)
{
	tg->tables[num] = iommu_tce_table_get(tbl);
	return 0;
}

/* Drops its reference whatever it says, so that the window has the last one */
static long fake_unset_window(struct iommu_table_group *tg, int num)
{
	iommu_tce_table_put(tg->tables[num]);
	tg->tables[num] = NULL;

	return container_of(tg, struct fake_group, tg)->unset_error;
}

static struct iommu_table_group_ops fake_group_ops = {
	.set_window = fake_set_window,
	.unset_window = fake_unset_window,
};

static void put_group(void *group)
{
	iommu_group_put(group);
}

static void fake_group_begin(struct kunit *test, struct fake_group *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->tg.ops = &fake_group_ops;
	fake->group = iommu_group_alloc();
	KUNIT_ASSERT_FALSE(test, IS_ERR(fake->group));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_group,
							   fake->group));
	iommu_group_set_iommudata(fake->group, &fake->tg, NULL);
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

	hv_begin(test, &hv);
	hv.fake->put_error = -EIO;
	KUNIT_EXPECT_EQ(test, hv_map(&hv, 0), -EIO);

	hv.fake->clear_error = -EREMOTEIO;
	close_attached(test, &hv, -EREMOTEIO);
	KUNIT_EXPECT_FALSE(test, fake_freed);
	KUNIT_ASSERT_EQ(test, spapr_mem_unregister(hv.mem, hv.region), -EBUSY);
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
	KUNIT_CASE(test_clear_fails),
	KUNIT_CASE(test_put_fails),
	KUNIT_CASE(test_lost),
	KUNIT_CASE(test_unset_fails),
	KUNIT_CASE(test_stuck),
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
