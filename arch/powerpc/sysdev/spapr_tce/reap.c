// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory pinned for DMA: the end of registrations
 *
 * This file unpins the pages of a region once no TCE points to them. First
 * SPAPR_MEM_VALID is cleared, then the walks that may have seen it end, then the
 * users of the memory are searched for TCEs from the region (retire()).
 *
 * Registrations end in batches: a region that has lost its last use is put on
 * spapr_mem::left, and one search of all users of the memory serves all regions
 * there. A region that a TCE came from stays there, without a use, until a later
 * search finds no such TCE.
 */
#include <linux/bsearch.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <asm/spapr_walk.h>
#include "mem_user.h"
#include "memory.h"

/* Unexplained TCEs that are looked up together */
#define UNKNOWN_MAX	128

/* Searches for TCEs that contradict their origins before they are believed */
#define SEARCHES_MAX	4

/**
 * struct spapr_mem_search - a search for the regions that TCEs came from
 * @mem: the pinned memory
 * @cursor: where the last word was found
 * @ending: the regions that are to end and of which no TCE has been found
 * @wanted: the state of their words
 * @region: the region of the TCE that was found last
 * @killable: a fatal signal ends the search
 * @believe: take an unexplained TCE that leads to a region for one from it
 * @again: an unexplained TCE leads to a region
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
 * spapr_mem_search_over() - check whether a search can end
 * @search: the search
 *
 * Context: spapr_mem_user_ops::search
 * Return: true if the user can stop reporting TCEs.
 */
bool spapr_mem_search_over(const struct spapr_mem_search *search)
{
	return list_empty(&search->ending) || killed(search);
}

/* Keep a region, because a TCE came from it */
static void keep(struct spapr_mem_search *search,
		 struct spapr_mem_region *region)
{
	if (!(search->wanted & SPAPR_MEM_VALID))
		spapr_mem_set_state(search->mem, region,
				    SPAPR_MEM_VALID | SPAPR_MEM_ENDING);
	list_move_tail(&region->left, &search->mem->left);
	search->region = region;
}

/* A TCE came from @ua: keep the region that has this address */
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
	struct stretch at = first_stretch(region, region_pages(region));

	while (next_stretch(search->mem, &at)) {
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

/* Keep the regions in @search->ending that a user of the memory has TCEs from */
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
 * their pages may have come from another region that shares the page, and a walk
 * may be about to write its origin. So wait for walks and search again.
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
		spapr_mem_set_state(search->mem, region, state);
}

/*
 * Hide the regions in @search->ending from walks, after which no TCE can be made
 * from them, and keep those that TCEs came from. After an error all stay, and are
 * visible.
 */
static int retire(struct spapr_mem_search *search)
{
	int ret;

	/* Do not hide regions that stay: walks would have to do without */
	search->wanted = SPAPR_MEM_VALID | SPAPR_MEM_ENDING;
	ret = search_users(search);
	if (ret || list_empty(&search->ending))
		return ret;

	set_states(search, SPAPR_MEM_ENDING);
	ret = search_hidden(search);
	if (!ret) {
		/* A walk that cleared a TCE invalidates it before it ends */
		spapr_tce_quiesce();
		/* A TCE that could not be cleared may have no origin */
		if (lost_tces(search->mem))
			ret = -EBUSY;
	}
	if (ret)
		set_states(search, SPAPR_MEM_VALID | SPAPR_MEM_ENDING);

	return ret;
}

/* Unpin and free a retired region */
static void discard(struct spapr_mem *mem, struct spapr_mem_region *region,
		    struct spapr_mem_pruned *pruned)
{
	unsigned long count = region_pages(region);

	spapr_mem_unpin(mem, region, count);
	regions_remove(region, &mem->regions);
	spapr_mem_prune(mem, region->first >> PAGE_SHIFT,
			region->last >> PAGE_SHIFT, pruned);
	account_locked_vm(mem->mm, count, false);
	/* From now on pages of it that are held are accounted one by one */
	spapr_mem_settle(mem, region->first, region->last, false);
	kfree(region);
}

/*
 * Discard the regions on spapr_mem::left that no TCE came from
 * Return: 0, or -EINTR if @killable and the process is being killed; then all
 * stay.
 */
int spapr_mem_reap_left(struct spapr_mem *mem, bool killable)
{
	struct spapr_mem_region *region, *next;
	struct spapr_mem_search search __uninitialized;
	struct spapr_mem_pruned pruned __uninitialized;
	int ret;

	lockdep_assert_held(&mem->lock);

	if (list_empty(&mem->left) || lost_tces(mem))
		return 0;

	search.mem = mem;
	search.cursor = spapr_mem_cursor(&mem->pages, 0);
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
	spapr_mem_free_pruned(&pruned);

	return 0;
}
