// SPDX-License-Identifier: GPL-2.0
/*
 * Calls at random, valid and invalid, the same ones on every kernel: what a
 * test written by hand does not think of shows as a difference between two
 * transcripts.
 *
 * A model of what the kernel has said so far steers the choice. It leaves out
 * what the plain kernel does not survive or gets wrong in a way that changes
 * everything after it: a MAP_DMA beyond the window's end, ranges of no bytes
 * and failing maps at bus address 0, UNREGISTER_MEMORY of mapped memory,
 * DISABLE while anything is mapped, windows that a hypervisor refuses,
 * registrations that fail after their first page. Those are for container_defects.c.
 *
 * The seed is in the environment, SEED=1 unless told otherwise.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define ARENA_PAGES	64U
#define REGIONS		12U
#define SLOTS		128U	/* TCEs in use at either end of a window */
#define WINDOWS		2U
#define LOOK_EVERY	128U

#define V2_CALLS	6500U
#define V1_CALLS	3500U

struct region {
	unsigned int first, pages;	/* in the arena; no pages: unused */
	unsigned int mapped;		/* TCEs that point into it */
};

struct window {
	bool there;
	unsigned int shift;
	__u64 start, size;
	/* Page of the arena, in the window's pages, plus 1; 0: not mapped */
	unsigned int low[SLOTS], high[SLOTS];
	unsigned char low_flags[SLOTS], high_flags[SLOTS];
};

struct run {
	struct testbed bed;
	struct vfio_iommu_spapr_tce_info info;
	struct region regions[REGIONS];
	struct window windows[WINDOWS];
	__u64 state;
	int container;
	bool v2, enabled, pending, partition;
	size_t page;
	char *arena;
};

FIXTURE(random) {
	struct run run;
};

FIXTURE_VARIANT(random) {
	const char *name;
	unsigned int type;
	unsigned int calls;
};

FIXTURE_VARIANT_ADD(random, v1) {
	.name = "v1",
	.type = VFIO_SPAPR_TCE_IOMMU,
	.calls = V1_CALLS,
};

FIXTURE_VARIANT_ADD(random, v2) {
	.name = "v2",
	.type = VFIO_SPAPR_TCE_v2_IOMMU,
	.calls = V2_CALLS,
};

FIXTURE_SETUP(random)
{
	struct run *run = &self->run;
	const char *seed = getenv("SEED");

	TRANSCRIPT_BEGIN(_metadata, variant->name);
	if (!testbed_find(&run->bed))
		SKIP(return, "no devices");
	run->page = page_size();
	run->arena = memory_get(BASE_PAGES, ARENA_PAGES * run->page,
				PROT_READ | PROT_WRITE);
	run->state = 0x9e3779b97f4a7c15 * (seed ? strtoul(seed, NULL, 0) : 1);
	run->v2 = variant->type == VFIO_SPAPR_TCE_v2_IOMMU;
	run->partition = testbed_is_partition();
	testbed_open(&run->bed, variant->type);
	run->container = run->bed.container;
	ASSERT_EQ(0, container_get_info(run->container, &run->info));
	testbed_open_device(&run->bed, 0);

	run->pending = true;
	run->windows[0].shift = 12;
	run->windows[0].start = run->info.dma32_window_start;
	run->windows[0].size = run->info.dma32_window_size;
}

FIXTURE_TEARDOWN(random)
{
	testbed_close(&self->run.bed);
}

/* Vigna's xorshift64*: good enough to spread calls, and always the same */
static unsigned int roll(struct run *run, unsigned int sides)
{
	run->state ^= run->state >> 12;
	run->state ^= run->state << 25;
	run->state ^= run->state >> 27;
	return (run->state * 0x2545f4914f6cdd1dULL >> 33) % sides;
}

static bool one_in(struct run *run, unsigned int n)
{
	return roll(run, n) == 0;
}

static __u64 arena_address(struct run *run, unsigned int page)
{
	return BASE_PAGES + (__u64)page * run->page;
}

/* The region that holds [address, address + size) of user memory, or none */
static struct region *region_of(struct run *run, __u64 address, __u64 size)
{
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		struct region *r = &run->regions[i];
		__u64 start = arena_address(run, r->first);

		if (r->pages && address >= start &&
		    address + size <= start + r->pages * run->page)
			return r;
	}
	return NULL;
}

static void window_appears(struct run *run)
{
	if (run->pending)
		run->windows[0].there = true;
	run->pending = false;
}

/* The model's note of one TCE; null pages: cleared */
static void note(struct run *run, struct window *w, bool high, unsigned int slot,
		 unsigned int page, unsigned int flags)
{
	unsigned int *entry = high ? &w->high[slot] : &w->low[slot];
	const __u64 size = 1ULL << w->shift;
	struct region *r;

	if (*entry) {
		r = region_of(run, BASE_PAGES + (*entry - 1) * size, size);
		if (r)
			r->mapped--;
	}
	*entry = page;
	(high ? w->high_flags : w->low_flags)[slot] = flags;
	if (page) {
		r = region_of(run, BASE_PAGES + (page - 1) * size, size);
		if (r)
			r->mapped++;
	}
}

/* The rest of the window from this slot on has been cleared */
static void note_cleared_from(struct run *run, struct window *w, bool high,
			      unsigned int slot)
{
	if (!high) {
		for (; slot < SLOTS; slot++)
			note(run, w, false, slot, 0, 0);
		slot = 0;
	}
	for (; slot < SLOTS; slot++)
		note(run, w, true, slot, 0, 0);
}

static void note_all_cleared(struct run *run, struct window *w)
{
	note_cleared_from(run, w, false, 0);
}

static __u64 slot_address(const struct window *w, bool high, unsigned int slot)
{
	const __u64 first = high ? w->size - ((__u64)SLOTS << w->shift) : 0;

	return w->start + first + ((__u64)slot << w->shift);
}

static struct window *some_window(struct run *run)
{
	/* v1 has the default window alone */
	struct window *w = &run->windows[roll(run, run->v2 ? WINDOWS : 1)];

	if (!run->v2 && one_in(run, 8))
		return NULL;
	if (w->there || (w == &run->windows[0] && run->pending))
		return w;
	return NULL;
}

static void call_map(struct run *run)
{
	struct window *w = some_window(run);
	const bool high = one_in(run, 3);
	const unsigned int flags = one_in(run, 20) ? roll(run, 8) :
				   1 + roll(run, 3);
	unsigned int slot = roll(run, SLOTS), count, page, i;
	__u64 size, iova, vaddr;
	long ret;

	if (!w) {
		container_map(run->container, BASE_PAGES, 1ULL << 58,
			      run->page, flags);
		return;
	}
	/* Not bus address 0: a map that fails there is for container_defects.c */
	if (!high && !slot)
		slot = 1;
	count = 1 + roll(run, one_in(run, 4) ? SLOTS - slot : 4);
	if (count > SLOTS - slot)
		count = SLOTS - slot;

	size = 1ULL << w->shift;
	iova = slot_address(w, high, slot);
	/* Sometimes runs out of the arena */
	page = roll(run, (ARENA_PAGES + 1) * run->page / size);
	vaddr = BASE_PAGES + page * size;

	switch (roll(run, 40)) {
	case 0:
		container_map(run->container, vaddr + 8, iova, size, flags);
		return;
	case 1:
		container_map(run->container, vaddr, iova, size / 2, flags);
		return;
	case 2:
		iova += w->start + w->size;
		/* Taken where the table is larger than was asked for */
		if (!container_map(run->container, vaddr, iova, size, flags))
			container_unmap(run->container, iova, size);
		return;
	case 3:
		container_map(run->container, vaddr, iova, 0, flags);
		return;
	}

	ret = container_map(run->container, vaddr, iova, count * size, flags);
	if (run->enabled && flags <= READ_WRITE)
		window_appears(run);
	if (ret) {
		/* How much a failed map leaves is not for this test */
		if (!container_unmap(run->container, iova, count * size))
			for (i = 0; i < count; i++)
				note(run, w, high, slot + i, 0, 0);
		return;
	}
	for (i = 0; i < count; i++)
		note(run, w, high, slot + i, page + i + 1, flags);
}

static void call_unmap(struct run *run)
{
	struct window *w = some_window(run);
	const bool high = one_in(run, 3);
	unsigned int slot = roll(run, SLOTS), count, i;
	__u64 size, iova;

	if (!w) {
		container_unmap(run->container, 1ULL << 58, run->page);
		return;
	}
	count = 1 + roll(run, SLOTS - slot);
	size = 1ULL << w->shift;
	iova = slot_address(w, high, slot);

	switch (roll(run, 30)) {
	case 0:
		container_unmap(run->container, iova, size / 2);
		return;
	case 1:
		container_unmap(run->container, w->start + w->size, size);
		return;
	case 2:
		/* Taken where the table is larger than was asked for */
		if (!container_unmap(run->container, iova, w->size))
			note_cleared_from(run, w, high, slot);
		return;
	case 3:
		container_unmap(run->container, iova + 8, size);
		return;
	}
	if (container_unmap(run->container, iova, count * size))
		return;
	for (i = 0; i < count; i++)
		note(run, w, high, slot + i, 0, 0);
}

static void call_register(struct run *run)
{
	struct region *r = &run->regions[roll(run, REGIONS)];
	unsigned int first = roll(run, ARENA_PAGES);
	unsigned int pages = 1 + roll(run, 12);

	switch (roll(run, 20)) {
	case 0:
		container_register(run->container,
				   arena_address(run, first) + 4096, run->page);
		return;
	case 1:
		/* All of it outside the arena */
		container_register(run->container,
				   arena_address(run, ARENA_PAGES), run->page);
		return;
	case 2:
		container_register(run->container, -run->page, 2 * run->page);
		return;
	}
	if (r->pages && one_in(run, 4)) {
		first = r->first;
		pages = r->pages;
	}
	if (first + pages > ARENA_PAGES)
		pages = ARENA_PAGES - first;
	if (r->pages && !region_of(run, arena_address(run, first), run->page))
		return;
	if (container_register(run->container, arena_address(run, first),
			       pages * run->page))
		return;
	r->first = first;
	r->pages = pages;
	r->mapped = 0;
	run->enabled = true;
}

static void call_unregister(struct run *run)
{
	struct region *r = &run->regions[roll(run, REGIONS)];
	unsigned int first = r->first, pages = r->pages;

	if (!pages || one_in(run, 8)) {
		first = roll(run, ARENA_PAGES);
		pages = 1 + roll(run, 3);
		/* Another region by chance */
		for (r = run->regions; r < run->regions + REGIONS; r++)
			if (r->pages == pages && r->first == first)
				break;
	}
	if (r < run->regions + REGIONS && r->mapped)
		return;
	if (container_unregister(run->container, arena_address(run, first),
				 pages * run->page))
		return;
	if (r < run->regions + REGIONS)
		r->pages = 0;
}

static void call_create(struct run *run)
{
	const bool default_there = run->windows[0].there || run->pending;
	struct window *w = &run->windows[default_there ? 1 : 0];
	const unsigned int shift = one_in(run, 2) ? 12 : 16;
	const __u64 size = GiB >> roll(run, 3);
	unsigned int bad;
	__u64 start;
	long ret;

	/* A hypervisor gives one window in addition to the default one */
	if (w->there && run->partition)
		return;
	if (one_in(run, 4)) {
		do
			bad = roll(run, 64);
		while (run->info.ddw.pgsizes & 1ULL << bad);
		container_create_window(run->container, bad, size, 1, NULL);
		window_appears(run);
		return;
	}
	ret = container_create_window(run->container, shift, size, 1, &start);
	window_appears(run);
	if (ret)
		return;
	memset(w, 0, sizeof(*w));
	w->there = true;
	w->shift = shift;
	w->start = start;
	w->size = size;
}

static void call_remove(struct run *run)
{
	/* A partition's default window is not made again by every order */
	const unsigned int i = one_in(run, 6) && !run->partition ? 0 : 1;
	struct window *w = &run->windows[i];
	__u64 start = w->start;

	if (one_in(run, 4)) {
		container_remove_window(run->container, 1ULL << 58);
		return;
	}
	if (!w->there && !(i == 0 && run->pending))
		start = 1ULL << 57;
	if (container_remove_window(run->container, start))
		return;
	if (i == 0)
		run->pending = false;
	note_all_cleared(run, w);
	w->there = false;
}

static void call_switch(struct run *run)
{
	if (!run->enabled) {
		run->enabled = !container_enable(run->container);
		return;
	}
	if (!one_in(run, 8)) {
		container_enable(run->container);
		return;
	}
	/* Nothing stays mapped over a DISABLE */
	if (!container_unmap(run->container, run->windows[0].start,
			     run->windows[0].size)) {
		window_appears(run);
		note_all_cleared(run, &run->windows[0]);
	}
	container_disable(run->container);
	run->enabled = false;
}

/* Anything of what needs no model, with the structure's head at random */
static void call_other(struct run *run)
{
	static const unsigned int requests[] = {
		VFIO_IOMMU_SPAPR_TCE_GET_INFO, VFIO_IOMMU_MAP_DMA,
		VFIO_IOMMU_UNMAP_DMA, VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
		VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
		VFIO_IOMMU_SPAPR_TCE_CREATE, VFIO_IOMMU_SPAPR_TCE_REMOVE,
		VFIO_EEH_PE_OP,
	};
	struct vfio_iommu_spapr_tce_info info;
	__u32 wrong[16];
	char what[64];

	switch (roll(run, 4)) {
	case 0:
		memset(&info, 0x5a, sizeof(info));
		info.argsz = roll(run, 40);
		__container_get_info(run->container, &info);
		return;
	case 1:
		container_check_extension(run->container, roll(run, 12));
		return;
	case 2:
		container_eeh(run->container, VFIO_EEH_PE_GET_STATE);
		return;
	}
	/* argsz too small, or unknown flags */
	memset(wrong, 0, sizeof(wrong));
	wrong[0] = roll(run, 12);
	if (one_in(run, 2)) {
		wrong[0] = sizeof(wrong);
		wrong[1] = 1U << (2 + roll(run, 30));
	}
	snprintf(what, sizeof(what), "argsz=%u flags=%#x", wrong[0], wrong[1]);
	container_ioctl(run->container,
			requests[1 + roll(run, ARRAY_SIZE(requests) - 1)],
			wrong, what);
}

/* Does the device see what the model says? */
static void look(struct __test_metadata *const _metadata, struct run *run)
{
	struct window *w = some_window(run);
	const bool high = one_in(run, 3);
	unsigned int slot = roll(run, SLOTS), tries, page, flags, found;
	volatile char *memory;

	if (!w || !w->there)
		return;
	/* Rather something mapped */
	for (tries = 0; tries < SLOTS; tries++) {
		if ((high ? w->high : w->low)[slot])
			break;
		slot = (slot + 1) % SLOTS;
	}
	page = (high ? w->high : w->low)[slot];
	flags = (high ? w->high_flags : w->low_flags)[slot];
	memory = run->arena;
	if (page)
		memory += (__u64)(page - 1) << w->shift;
	found = dma_reach(&run->bed.dma[0], slot_address(w, high, slot),
			  memory, 0, NULL);
	EXPECT_EQ(page && flags == READ_WRITE ? 3 : 0,
		  flags == WRITE_ONLY ? 0 : found & 3);
}

static void one_call(struct run *run)
{
	const unsigned int kind = roll(run, 100);

	if (kind < 45)
		return call_map(run);
	if (kind < 65)
		return call_unmap(run);
	if (kind < 75)
		return run->v2 ? call_register(run) : call_switch(run);
	if (kind < 83 && run->v2)
		return call_unregister(run);
	if (kind < 88 && run->v2)
		return call_create(run);
	if (kind < 91 && run->v2)
		return call_remove(run);
	call_other(run);
}

TEST_F_TIMEOUT(random, calls, 900)
{
	unsigned int i;

	for (i = 0; i < variant->calls; i++) {
		one_call(&self->run);
		if (i % LOOK_EVERY == 0) {
			look(_metadata, &self->run);
			memory_see_locked("now");
		}
	}
}

TEST_HARNESS_MAIN
