// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory pinned for DMA: registration
 *
 * What registration promises is in asm/spapr_mem.h. How it is kept:
 *
 *  - Regions of a process never overlap, so a page has one word in
 *    spapr_mem::pages, and one pin and one page of locked memory stand behind
 *    that word.
 *  - A word is non-zero exactly as long as its page is pinned. Its state bits
 *    are those of its region, and clear until the region is registered as a
 *    whole: a registration that fails half-way was never visible to a walk.
 *  - A page is unpinned only after SPAPR_MEM_VALID has gone, the walks that
 *    may have seen it have ended, and no user of the memory has a TCE from its
 *    region, in this order (retire()).
 *  - A node of spapr_mem::pages exists only where regions have pages, so that a
 *    process cannot fill memory with the nodes of what it has given back.
 *  - Pages are faulted in without a lock, because user space may take its time
 *    over a fault (userfaultfd). The region keeps its range meanwhile.
 *
 * Registrations end in batches: a region that lost its last use waits in
 * spapr_mem::left, and one search of all users of the memory, reap(), serves
 * all regions there. A region that some TCE still came from stays, without a
 * use, until a later search finds none.
 */
#include <linux/bsearch.h>
#include <linux/cleanup.h>
#include <linux/interval_tree_generic.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/wait.h>
#include <asm/spapr_mem.h>
#include <asm/spapr_walk.h>

/**
 * struct spapr_mem_region - a registered range of user addresses
 * @rb: in spapr_mem::regions
 * @first: first user address
 * @last: last user address
 * @subtree_last: the interval tree's
 * @uses: registrations not yet given back
 * @left: in spapr_mem::left while @uses is 0 and not @pinning
 * @pinning: its first registration is under way, without spapr_mem::lock
 * @pinned: how many pages are pinned so far, written by that registration
 * @charged: how many pages are accounted for it
 */
struct spapr_mem_region {
	struct rb_node rb;
	unsigned long first;
	unsigned long last;
	unsigned long subtree_last;
	unsigned long uses;
	struct list_head left;
	bool pinning;
	unsigned long pinned;
	unsigned long charged;
};

#define REGION_FIRST(region)	((region)->first)
#define REGION_LAST(region)	((region)->last)
INTERVAL_TREE_DEFINE(struct spapr_mem_region, rb, unsigned long, subtree_last,
		     REGION_FIRST, REGION_LAST, static inline, regions)

static unsigned long region_size(const struct spapr_mem_region *region)
{
	return region->last - region->first + 1;
}

static unsigned long region_pages(const struct spapr_mem_region *region)
{
	return region_size(region) >> PAGE_SHIFT;
}

/* The region of exactly this range, which @size 0 never is */
static struct spapr_mem_region *
region_exact(struct spapr_mem *mem, unsigned long ua, unsigned long size)
{
	struct spapr_mem_region *region;

	region = regions_iter_first(&mem->regions, ua, ua);
	if (!region || region->first != ua || region_size(region) != size)
		return NULL;

	return region;
}

/*
 * Words of a region that share a leaf, on the way through the region
 * @index: user page number of the first
 * @slot: its word
 * @count: how many share its leaf
 * @left: words from @index to the end of the way
 */
struct stretch {
	unsigned long index;
	u64 *slot;
	unsigned long count;
	unsigned long left;
};

/* Before the first stretch of a way through the first @count pages */
static struct stretch stretch_before(struct spapr_mem_region *region,
				     unsigned long count)
{
	return (struct stretch) {
		.index = region->first >> PAGE_SHIFT,
		.left = count,
	};
}

/* Go on to the next stretch, if there is one; its leaf has been populated */
static bool stretch_next(struct spapr_mem *mem, struct stretch *at)
{
	at->index += at->count;
	at->left -= at->count;
	if (!at->left)
		return false;

	cond_resched();
	at->slot = spapr_sparse_find(&mem->pages, at->index);
	at->count = spapr_sparse_leaf_run(at->index, at->left);

	return true;
}

/* Set the state bits of all the region's words */
static void set_state(struct spapr_mem *mem, struct spapr_mem_region *region,
		      u64 state)
{
	struct stretch at = stretch_before(region, region_pages(region));

	lockdep_assert_held(&mem->lock);

	while (stretch_next(mem, &at)) {
		for (unsigned long i = 0; i < at.count; i++)
			WRITE_ONCE(at.slot[i],
				   (at.slot[i] & ~SPAPR_MEM_STATE) | state);
	}
}

/* Do all these words let TCEs of that size be made? */
static bool all_serve(const u64 *slot, unsigned long count,
		      unsigned int tce_shift)
{
	for (unsigned long i = 0; i < count; i++)
		if (!spapr_mem_word_serves(READ_ONCE(slot[i]), tce_shift))
			return false;

	return true;
}

/* Clear words as long as their pages follow each other in host memory */
static unsigned long clear_run(u64 *slot, unsigned long count)
{
	unsigned long next = spapr_mem_word_page(slot[0]), n = 0;

	while (n < count && spapr_mem_word_page(slot[n]) == next) {
		WRITE_ONCE(slot[n++], 0);
		next += PAGE_SIZE;
	}

	return n;
}

static void unpin_words(u64 *slot, unsigned long count)
{
	while (count) {
		u64 word = *slot;
		unsigned long n = clear_run(slot, count);

		unpin_user_page_range_dirty_lock(pfn_to_page(PHYS_PFN(word)), n,
						 true);
		slot += n;
		count -= n;
	}
}

/*
 * Unpin the first @count pages of the region, which no walk can see any more.
 * A device may have written to any of them, through any window.
 */
static void unpin(struct spapr_mem *mem, struct spapr_mem_region *region,
		  unsigned long count)
{
	struct stretch at = stretch_before(region, count);

	while (stretch_next(mem, &at))
		unpin_words(at.slot, at.count);
}

/* Nodes taken out of spapr_mem::pages; a walk may still be looking at them */
struct pruned {
	unsigned long n;
	u64 *nodes[32];
};

static void free_pruned(struct pruned *pruned)
{
	if (pruned->n)
		spapr_tce_quiesce();
	while (pruned->n)
		kfree(pruned->nodes[--pruned->n]);
	cond_resched();
}

/*
 * Take out the leaves between two user pages in which no region has a page, and
 * the nodes above that are empty then. The region of the range is not in
 * spapr_mem::regions. A walk may have found a leaf, but nothing in it.
 */
static void prune(struct spapr_mem *mem, unsigned long first,
		  unsigned long last, struct pruned *pruned)
{
	unsigned long end;
	u64 *node;

	lockdep_assert_held(&mem->lock);

	for (first &= ~SPAPR_SPARSE_LEAF_MASK; first <= last; first = end) {
		end = first + SPAPR_SPARSE_LEAF;
		if (regions_iter_first(&mem->regions, first << PAGE_SHIFT,
				       (end << PAGE_SHIFT) - 1))
			continue;
		while ((node = spapr_sparse_detach(&mem->pages, first))) {
			pruned->nodes[pruned->n++] = node;
			if (pruned->n == ARRAY_SIZE(pruned->nodes))
				free_pruned(pruned);
		}
	}
}

/*
 * Write the words of pages just pinned. TCE pages larger than the host's are
 * for hugetlb pages only, because only those stay whole while pinned, and for
 * as much of them as the region has, naturally aligned (@limit).
 */
static void record(u64 *slot, struct page **pages, long count,
		   unsigned int limit)
{
	struct folio *folio = NULL;
	unsigned int shift = PAGE_SHIFT;

	for (long i = 0; i < count; i++) {
		struct folio *here = page_folio(pages[i]);

		if (here != folio) {
			folio = here;
			shift = folio_test_hugetlb(folio) ?
				min(folio_shift(folio), limit) : PAGE_SHIFT;
		}
		WRITE_ONCE(slot[i], page_to_phys(pages[i]) | shift);
	}
}

/* The word of a page of a region, which keeps the leaf */
static u64 *populate(struct spapr_mem *mem, unsigned long index)
{
	guard(mutex)(&mem->lock);

	return spapr_sparse_populate(&mem->pages, index, GFP_KERNEL_ACCOUNT);
}

/*
 * Pin some of the @count pages from user page @index on
 * Return: how many, or an error. Fewer than possible is no error: the next
 * call says why there are no more.
 */
static long pin_some(struct spapr_mem *mem, unsigned long index,
		     unsigned long count, unsigned int limit,
		     struct page **pages)
{
	u64 *slot;
	long n;

	if (fatal_signal_pending(current))
		return -EINTR;

	slot = populate(mem, index);
	if (!slot)
		return -ENOMEM;

	n = pin_user_pages_fast(index << PAGE_SHIFT,
				spapr_sparse_leaf_run(index, count),
				FOLL_WRITE | FOLL_LONGTERM, pages);
	if (!n)
		return -EFAULT;
	if (n > 0)
		record(slot, pages, n, limit);

	return n;
}

/* Pin the pages of the region. After an error some may be pinned. */
static int pin(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	unsigned long first = region->first >> PAGE_SHIFT;
	unsigned long count = region_pages(region);
	unsigned int limit = __ffs(region->first | region_size(region));
	struct page **pages __free(kfree) =
		kmalloc_array(SPAPR_SPARSE_LEAF, sizeof(*pages), GFP_KERNEL);

	lockdep_assert_not_held(&mem->lock);

	if (!pages)
		return -ENOMEM;

	while (region->pinned < count) {
		long n = pin_some(mem, first + region->pinned,
				  count - region->pinned, limit, pages);

		if (n < 0)
			return n;
		region->pinned += n;
		cond_resched();
	}

	return 0;
}

/* TCEs without an explanation that are looked up at a time */
#define UNKNOWN_MAX	128

/* How often to search for TCEs that contradict their origins */
#define SEARCHES_MAX	4

/**
 * struct spapr_mem_search - a search for the regions that TCEs came from
 * @mem: the pinned memory
 * @cursor: where the last word was found
 * @ending: the regions of interest that no TCE has been found of yet
 * @wanted: the state of their words
 * @region: the last region that a TCE was found of
 * @killable: a fatal signal ends the search
 * @believe: an unexplained TCE that leads to a region has come from it
 * @again: there was one, and it was not believed
 * @nr_unknown: number of entries in @unknown
 * @unknown: host addresses of pages that unexplained TCEs lead to
 */
struct spapr_mem_search {
	struct spapr_mem *mem;
	struct spapr_mem_cursor cursor;
	struct list_head ending;
	u64 wanted;
	struct spapr_mem_region *region;
	bool killable;
	bool believe;
	bool again;
	unsigned int nr_unknown;
	unsigned long unknown[UNKNOWN_MAX];
};

static bool killed(const struct spapr_mem_search *search)
{
	return search->killable && fatal_signal_pending(current);
}

/**
 * spapr_mem_search_over() - is there nothing more to be found?
 * @search: the search
 *
 * Context: spapr_mem_user_ops::search
 * Return: true if the user can stop reporting TCEs.
 */
bool spapr_mem_search_over(const struct spapr_mem_search *search)
{
	return list_empty(&search->ending) || killed(search);
}

/* A TCE came from the region: it stays. */
static void keep(struct spapr_mem_search *search,
		 struct spapr_mem_region *region)
{
	if (!(search->wanted & SPAPR_MEM_VALID))
		set_state(search->mem, region,
			  SPAPR_MEM_VALID | SPAPR_MEM_ENDING);
	list_move_tail(&region->left, &search->mem->left);
	search->region = region;
}

/* A TCE came from @ua, where the region of interest is that has its page */
static void found(struct spapr_mem_search *search, unsigned long ua)
{
	struct spapr_mem_region *region = search->region;

	if (!region || ua < region->first || ua > region->last)
		region = regions_iter_first(&search->mem->regions, ua, ua);

	keep(search, region);
}

static int compare_pages(const void *a, const void *b)
{
	const unsigned long left = *(const unsigned long *)a;
	const unsigned long right = *(const unsigned long *)b;

	return left < right ? -1 : left > right;
}

/* Does one of the unexplained TCEs, sorted, lead to a page of the region? */
static bool leads_to(const struct spapr_mem_search *search,
		     struct spapr_mem_region *region)
{
	struct stretch at = stretch_before(region, region_pages(region));

	while (stretch_next(search->mem, &at)) {
		for (unsigned long i = 0; i < at.count; i++) {
			unsigned long page = spapr_mem_word_page(at.slot[i]);

			if (bsearch(&page, search->unknown, search->nr_unknown,
				    sizeof(page), compare_pages))
				return true;
		}
	}

	return false;
}

static void look_up_unknown(struct spapr_mem_search *search)
{
	struct spapr_mem_region *region, *next;

	sort(search->unknown, search->nr_unknown, sizeof(search->unknown[0]),
	     compare_pages, NULL);
	list_for_each_entry_safe(region, next, &search->ending, left) {
		if (!leads_to(search, region))
			continue;
		search->again = true;
		if (search->believe)
			keep(search, region);
	}
	search->nr_unknown = 0;
}

/* The word of a user address, 0 where there is none */
static u64 search_word(struct spapr_mem_search *search, unsigned long ua)
{
	u64 word;

	return spapr_mem_cursor_word(&search->cursor, ua, &word) ? word : 0;
}

/**
 * spapr_mem_search_tce() - report a TCE
 * @search: the search
 * @ua: user address that the TCE's origin names
 * @hpa: host address that the TCE leads to
 *
 * Origin and TCE may be read while they change.
 *
 * Context: spapr_mem_user_ops::search
 */
void spapr_mem_search_tce(struct spapr_mem_search *search, unsigned long ua,
			  unsigned long hpa)
{
	u64 word = search_word(search, ua), state = word & SPAPR_MEM_STATE;

	if (state && spapr_mem_word_page(word) == (hpa & PAGE_MASK)) {
		if (state == search->wanted)
			found(search, ua);
		return;
	}

	/*
	 * Either a walk is between its two stores, or two walks have raced for
	 * this TCE and the origin is of the one, the TCE of the other. While
	 * the regions are visible that need not be decided.
	 */
	if (search->wanted & SPAPR_MEM_VALID)
		return;

	search->unknown[search->nr_unknown++] = hpa & PAGE_MASK;
	if (search->nr_unknown == UNKNOWN_MAX)
		look_up_unknown(search);
}

/**
 * spapr_mem_search_origin() - report a TCE that cannot be read
 * @search: the search
 * @ua: user address that it was made from, which changes with the TCE
 *
 * Context: spapr_mem_user_ops::search
 */
void spapr_mem_search_origin(struct spapr_mem_search *search, unsigned long ua)
{
	if ((search_word(search, ua) & SPAPR_MEM_STATE) == search->wanted)
		found(search, ua);
}

/* Take the regions out of @search->ending that some user has TCEs from */
static int search_users(struct spapr_mem_search *search)
{
	struct spapr_mem_user *user;

	search->again = false;
	list_for_each_entry(user, &search->mem->users, node) {
		if (spapr_mem_search_over(search))
			break;
		user->ops->search(user, search);
	}
	if (search->nr_unknown)
		look_up_unknown(search);

	return killed(search) ? -EINTR : 0;
}

/*
 * The same for regions that walks no longer see. An unexplained TCE to one of
 * their pages may also have come from another region that shares the page, and
 * a walk may be about to write its origin: wait for walks and read again.
 */
static int search_hidden(struct spapr_mem_search *search)
{
	unsigned int tries = SEARCHES_MAX;
	int ret;

	do {
		spapr_tce_quiesce();
		search->believe = !--tries;
		ret = search_users(search);
	} while (!ret && search->again && tries);

	return ret;
}

/* Has a user lost track of what its TCEs lead to? */
static bool lost_tces(struct spapr_mem *mem)
{
	struct spapr_mem_user *user;

	list_for_each_entry(user, &mem->users, node)
		if (user->ops->lost(user))
			return true;

	return false;
}

static void set_states(struct spapr_mem_search *search, u64 state)
{
	struct spapr_mem_region *region;

	search->wanted = state;
	list_for_each_entry(region, &search->ending, left)
		set_state(search->mem, region, state);
}

/*
 * Make sure that no TCE leads to any of the regions in @search->ending, nor can
 * be made; take the others out. After an error all stay, and are visible.
 */
static int retire(struct spapr_mem_search *search)
{
	int ret;

	/* Don't disturb walks for regions that stay anyway */
	search->wanted = SPAPR_MEM_VALID | SPAPR_MEM_ENDING;
	ret = search_users(search);
	if (ret || list_empty(&search->ending))
		return ret;

	set_states(search, SPAPR_MEM_ENDING);
	ret = search_hidden(search);
	if (!ret) {
		/* A walk that cleared a TCE invalidates it before it ends */
		spapr_tce_quiesce();
		/* Or it has not been cleared, and no origin says so */
		if (lost_tces(search->mem))
			ret = -EBUSY;
	}
	if (ret)
		set_states(search, SPAPR_MEM_VALID | SPAPR_MEM_ENDING);

	return ret;
}

/* Unpin a retired region and forget it */
static void discard(struct spapr_mem *mem, struct spapr_mem_region *region,
		    struct pruned *pruned)
{
	unsigned long count = region_pages(region);

	unpin(mem, region, count);
	regions_remove(region, &mem->regions);
	prune(mem, region->first >> PAGE_SHIFT, region->last >> PAGE_SHIFT,
	      pruned);
	account_locked_vm(mem->mm, count, false);
	/* Pages of it that are held are accounted on their own from now on */
	spapr_mem_settle(mem, region->first, region->last, false);
	kfree(region);
}

/*
 * Discard the regions in spapr_mem::left that no TCE came from
 * Return: 0, or -EINTR if that was @killable and has been; then all stay.
 */
static int reap(struct spapr_mem *mem, bool killable)
{
	struct spapr_mem_region *region, *next;
	struct spapr_mem_search search __uninitialized;
	struct pruned pruned __uninitialized;
	int ret;

	lockdep_assert_held(&mem->lock);

	if (list_empty(&mem->left) || lost_tces(mem))
		return 0;

	search.mem = mem;
	search.cursor = spapr_mem_cursor(mem, 0);
	search.region = NULL;
	search.killable = killable;
	search.nr_unknown = 0;
	pruned.n = 0;
	INIT_LIST_HEAD(&search.ending);
	list_splice_init(&mem->left, &search.ending);

	ret = retire(&search);
	if (ret) {
		list_splice(&search.ending, &mem->left);
		return ret == -EINTR ? ret : 0;
	}

	list_for_each_entry_safe(region, next, &search.ending, left)
		discard(mem, region, &pruned);
	free_pruned(&pruned);

	return 0;
}

/* The region has lost its last use */
static void leave(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	set_state(mem, region, SPAPR_MEM_VALID | SPAPR_MEM_ENDING);
	list_add_tail(&region->left, &mem->left);
}

/* It gets one again */
static void take_up(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	list_del(&region->left);
	set_state(mem, region, SPAPR_MEM_VALID);
}

/* Account the region's pages but for those that are accounted as held */
static int region_charge(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	unsigned long due = region_pages(region) -
			    spapr_mem_held_accounted(mem, region->first,
						     region->last);
	unsigned long charged = region->charged;
	int ret = 0;

	if (due > charged)
		ret = account_locked_vm(mem->mm, due - charged, true);
	else if (due < charged)
		ret = account_locked_vm(mem->mm, charged - due, false);
	if (!ret)
		region->charged = due;

	return ret;
}

/* Give the region its range */
static int region_place(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	/* Not user addresses: no page, and no index in @pages */
	if (region->first >= TASK_SIZE_USER64 ||
	    region_size(region) > TASK_SIZE_USER64 - region->first)
		return -EFAULT;

	if (regions_iter_first(&mem->regions, region->first, region->last))
		return -EINVAL;

	regions_insert(region, &mem->regions);
	return 0;
}

static struct spapr_mem_region *
region_new(struct spapr_mem *mem, unsigned long ua, unsigned long size)
{
	struct spapr_mem_region *region __free(kfree) =
		kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!region)
		return ERR_PTR(-ENOMEM);

	region->first = ua;
	region->last = ua + size - 1;
	region->pinning = true;
	ret = region_charge(mem, region);
	if (ret)
		return ERR_PTR(ret);

	ret = region_place(mem, region);
	if (ret) {
		account_locked_vm(mem->mm, region->charged, false);
		return ERR_PTR(ret);
	}

	return no_free_ptr(region);
}

/* Undo a registration that has failed */
static void region_abandon(struct spapr_mem *mem,
			   struct spapr_mem_region *region)
{
	unsigned long first = region->first >> PAGE_SHIFT;
	struct pruned pruned = { .n = 0 };

	unpin(mem, region, region->pinned);
	regions_remove(region, &mem->regions);
	prune(mem, first, first + region->pinned, &pruned);
	free_pruned(&pruned);
	account_locked_vm(mem->mm, region->charged, false);
	kfree(region);
}

/* Pin and show a new region; without the lock while pages are faulted in */
static struct spapr_mem_region *
region_fill(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	int ret;

	lockdep_assert_held(&mem->lock);

	mutex_unlock(&mem->lock);
	ret = pin(mem, region);
	mutex_lock(&mem->lock);

	wake_up_all(&mem->filled);
	/* Pages of the range may be held since, or not any longer */
	if (!ret)
		ret = region_charge(mem, region);
	if (ret) {
		region_abandon(mem, region);
		return ERR_PTR(ret);
	}

	region->pinning = false;
	region->uses = 1;
	set_state(mem, region, SPAPR_MEM_VALID);
	spapr_mem_settle(mem, region->first, region->last, true);

	return region;
}

/* Wait without the lock until some region has been filled, or could not be */
static int wait_filled(struct spapr_mem *mem)
{
	DEFINE_WAIT(wait);

	lockdep_assert_held(&mem->lock);

	prepare_to_wait(&mem->filled, &wait, TASK_KILLABLE);
	mutex_unlock(&mem->lock);
	if (!fatal_signal_pending(current))
		schedule();
	finish_wait(&mem->filled, &wait);
	mutex_lock(&mem->lock);

	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* The region of a range with one more use, or a new one that is to be filled */
static struct spapr_mem_region *
region_get(struct spapr_mem *mem, unsigned long ua, unsigned long size)
{
	struct spapr_mem_region *region;
	int ret;

	lockdep_assert_held(&mem->lock);

	while ((region = region_exact(mem, ua, size)) && region->pinning) {
		ret = wait_filled(mem);
		if (ret)
			return ERR_PTR(ret);
	}

	if (region) {
		if (!region->uses++)
			take_up(mem, region);
		return region;
	}

	if (!size)
		return ERR_PTR(-ENOMEM);

	region = region_new(mem, ua, size);
	if (!IS_ERR(region) || list_empty(&mem->left))
		return region;

	/* Regions without a use may be all that was in the way */
	ret = reap(mem, true);
	if (ret)
		return ERR_PTR(ret);

	return region_new(mem, ua, size);
}

/**
 * spapr_mem_register() - register a range of user addresses
 * @mem: the calling process's pinned memory
 * @ua: first address, in bytes; a multiple of the host's page size
 * @size: in bytes; likewise, and @ua + @size does not wrap
 *
 * A range that is registered already, exactly so, gets one more use, after
 * waiting for its first registration if that is under way. Any other range is
 * pinned, and accounted as locked memory of the process.
 *
 * Context: process context of @mem's process; sleeps, faults pages in.
 * Return: the region, to be given back with spapr_mem_unregister() or
 * spapr_mem_release(); or an ERR_PTR:
 * -ENOMEM where RLIMIT_MEMLOCK, memory or @size (0) does not allow it;
 * -EINVAL where a part of the range belongs to another region;
 * -EFAULT where a page cannot be pinned for long-term writing;
 * -EINTR where the process is being killed.
 */
struct spapr_mem_region *spapr_mem_register(struct spapr_mem *mem,
					    unsigned long ua,
					    unsigned long size)
{
	struct spapr_mem_region *region;

	if (mutex_lock_killable(&mem->lock))
		return ERR_PTR(-EINTR);
	region = region_get(mem, ua, size);
	if (!IS_ERR(region) && region->pinning)
		region = region_fill(mem, region);
	mutex_unlock(&mem->lock);

	return region;
}
EXPORT_SYMBOL_GPL(spapr_mem_register);

/**
 * spapr_mem_find() - the region of exactly this range
 * @mem: a process's pinned memory
 * @ua: first address, in bytes
 * @size: in bytes
 *
 * No use is taken. The answer serves to be compared with the regions that the
 * caller has registered; unless it is one of these it may be gone already.
 *
 * Context: process context, may sleep.
 * Return: the region, or NULL.
 */
struct spapr_mem_region *spapr_mem_find(struct spapr_mem *mem,
					unsigned long ua, unsigned long size)
{
	guard(mutex)(&mem->lock);

	return region_exact(mem, ua, size);
}
EXPORT_SYMBOL_GPL(spapr_mem_find);

/**
 * spapr_mem_covers() - can this range be mapped?
 * @mem: the process's pinned memory
 * @ua: first user address, in bytes; a multiple of the TCE page's size
 * @size: in bytes; likewise
 * @tce_shift: log2 of the TCE page's size in bytes
 *
 * Regions that touch serve as one. What is true now need not be so in the walk
 * that writes the TCEs, which looks again.
 *
 * Context: process context, may sleep; not inside a walk.
 * Return: whether each TCE page of the range is registered as one.
 */
bool spapr_mem_covers(struct spapr_mem *mem, unsigned long ua,
		      unsigned long size, unsigned int tce_shift)
{
	unsigned long index = ua >> PAGE_SHIFT, count;

	if (ua >= TASK_SIZE_USER64 || size > TASK_SIZE_USER64 - ua)
		return false;

	count = DIV_ROUND_UP(ua + size, PAGE_SIZE) - index;
	while (count) {
		unsigned long here = spapr_sparse_leaf_run(index, count);
		u64 *slot;
		bool serve;

		/* The walk keeps the leaf */
		spapr_tce_walk_begin(SPAPR_TCE_VIRTUAL);
		slot = spapr_sparse_find(&mem->pages, index);
		serve = slot && all_serve(slot, here, tce_shift);
		spapr_tce_walk_end(SPAPR_TCE_VIRTUAL);
		if (!serve)
			return false;
		index += here;
		count -= here;
		cond_resched();
	}

	return true;
}

/* Give back the last use, if no TCE came from the region */
static int unregister_last(struct spapr_mem *mem,
			   struct spapr_mem_region *region)
{
	const unsigned long ua = region->first, size = region_size(region);
	int ret;

	leave(mem, region);
	ret = reap(mem, true);
	if (region_exact(mem, ua, size) != region)
		return 0;

	take_up(mem, region);
	return ret ?: -EBUSY;
}

/**
 * spapr_mem_unregister() - give back a use of a region unless it is needed
 * @mem: the pinned memory that it belongs to
 * @region: what spapr_mem_register() returned
 *
 * The last use ends with the pages unpinned, and takes time in proportion to
 * the region's pages and to what is populated in the process's windows.
 *
 * Context: process context of any process; sleeps. No walk.
 * Return: 0; -EBUSY where it was the last use and a window has TCEs from the
 * region; -EINTR where the current process is being killed. After an error the
 * region stays as it was.
 */
int spapr_mem_unregister(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	int ret = 0;

	if (mutex_lock_killable(&mem->lock))
		return -EINTR;
	if (region->uses > 1)
		region->uses--;
	else
		ret = unregister_last(mem, region);
	mutex_unlock(&mem->lock);

	return ret;
}
EXPORT_SYMBOL_GPL(spapr_mem_unregister);

/**
 * spapr_mem_release() - give back a use of a region for good
 * @mem: the pinned memory that it belongs to
 * @region: what spapr_mem_register() returned
 *
 * For an owner that goes away and cannot try again. After the last of its
 * regions it calls spapr_mem_reap(), which unpins them.
 *
 * Context: process context of any process; sleeps. No walk.
 */
void spapr_mem_release(struct spapr_mem *mem, struct spapr_mem_region *region)
{
	guard(mutex)(&mem->lock);

	if (!--region->uses)
		leave(mem, region);
}
EXPORT_SYMBOL_GPL(spapr_mem_release);

/**
 * spapr_mem_reap() - unpin the regions without a use
 * @mem: the pinned memory
 *
 * A region that a window still has TCEs from stays pinned and accounted until
 * the TCEs have gone and either a window of the process is closed, a region is
 * unregistered, or a registration needs its pages or its locked memory.
 *
 * Context: process context of any process; sleeps. No walk.
 */
void spapr_mem_reap(struct spapr_mem *mem)
{
	guard(mutex)(&mem->lock);

	reap(mem, false);
}
EXPORT_SYMBOL_GPL(spapr_mem_reap);

/**
 * spapr_mem_add_user() - add a holder of TCEs
 * @mem: the pinned memory that the TCEs will be made from
 * @user: with spapr_mem_user::ops set
 *
 * Context: process context; sleeps. Before the first such TCE.
 */
void spapr_mem_add_user(struct spapr_mem *mem, struct spapr_mem_user *user)
{
	guard(mutex)(&mem->lock);

	list_add(&user->node, &mem->users);
}

/**
 * spapr_mem_remove_user() - remove a holder of TCEs
 * @mem: as it was added to
 * @user: has no TCE any more
 *
 * Unpins the regions without a use that stayed for its sake.
 *
 * Context: process context of any process; sleeps. No walk.
 */
void spapr_mem_remove_user(struct spapr_mem *mem, struct spapr_mem_user *user)
{
	guard(mutex)(&mem->lock);

	list_del(&user->node);
	reap(mem, false);
}

/**
 * spapr_mem_of() - the pinned memory of a process, made on first use
 * @mm: the process; the caller holds a reference on it
 *
 * Context: process context, may sleep.
 * Return: the pinned memory, which lives as long as @mm; NULL for lack of
 * memory.
 */
struct spapr_mem *spapr_mem_of(struct mm_struct *mm)
{
	struct spapr_mem *mem = READ_ONCE(mm->context.spapr_mem);
	struct spapr_mem *winner;

	if (mem)
		return mem;

	mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	if (!mem)
		return NULL;

	if (!spapr_sparse_init(&mem->pages, SPAPR_MEM_INDEX_BITS,
			       GFP_KERNEL_ACCOUNT)) {
		kfree(mem);
		return NULL;
	}
	mutex_init(&mem->lock);
	mem->regions = RB_ROOT_CACHED;
	init_waitqueue_head(&mem->filled);
	xa_init(&mem->held);
	INIT_LIST_HEAD(&mem->left);
	INIT_LIST_HEAD(&mem->users);
	mem->mm = mm;

	/* Whoever sees the pointer sees what it points to */
	winner = cmpxchg(&mm->context.spapr_mem, NULL, mem);
	if (winner) {
		spapr_sparse_destroy(&mem->pages, true);
		kfree(mem);
		return winner;
	}

	return mem;
}
EXPORT_SYMBOL_GPL(spapr_mem_of);

/**
 * spapr_mem_init() - a process is made
 * @mm: the process; a child's mm starts as a copy of its parent's
 *
 * Context: process context.
 */
void spapr_mem_init(struct mm_struct *mm)
{
	mm->context.spapr_mem = NULL;
}

/**
 * spapr_mem_destroy() - the last reference on a process is gone
 * @mm: the process
 *
 * All registrations have been given back and all windows closed, because both
 * hold a reference on @mm.
 *
 * Context: any that frees an mm; may not sleep.
 */
void spapr_mem_destroy(struct mm_struct *mm)
{
	struct spapr_mem *mem = mm->context.spapr_mem;

	if (!mem)
		return;

	mm->context.spapr_mem = NULL;
	if (WARN_ON_ONCE(!RB_EMPTY_ROOT(&mem->regions.rb_root) ||
			 !list_empty(&mem->users) || !xa_empty(&mem->held)))
		return;

	spapr_sparse_destroy(&mem->pages, false);
	mutex_destroy(&mem->lock);
	kfree(mem);
}

#ifdef CONFIG_SPAPR_TCE_KUNIT_TEST
#include "memory_test.c"
#endif
