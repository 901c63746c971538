/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests of the TCE engine: memory of the test's own process
 */
#ifndef SPAPR_TCE_MEMORY_TEST_H
#define SPAPR_TCE_MEMORY_TEST_H

#include <kunit/test.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <asm/spapr_mem.h>

#define TEST_PAGES	8UL

/**
 * struct own_memory - pages that a test registers
 * @mem: pinned memory of this process
 * @ua: where the pages are
 * @locked: the process's locked memory before, in pages
 */
struct own_memory {
	struct spapr_mem *mem;
	unsigned long ua;
	unsigned long locked;
};

static inline unsigned long locked_now(void)
{
	return READ_ONCE(current->mm->locked_vm);
}

static inline void map_own(struct kunit *test, struct own_memory *own)
{
	own->ua = kunit_vm_mmap(test, NULL, 0, TEST_PAGES * PAGE_SIZE,
				PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_NE(test, own->ua, 0);
	own->mem = spapr_mem_of(current->mm);
	KUNIT_ASSERT_NOT_NULL(test, own->mem);
	KUNIT_ASSERT_PTR_EQ(test, own->mem, spapr_mem_of(current->mm));
	own->locked = locked_now();
}

static inline void expect_error(struct kunit *test, struct own_memory *own,
				unsigned long ua, unsigned long size,
				long error)
{
	unsigned long locked = locked_now();
	struct spapr_mem_region *region = spapr_mem_register(own->mem, ua, size);

	KUNIT_EXPECT_EQ(test, PTR_ERR(region), error);
	KUNIT_EXPECT_EQ(test, locked_now(), locked);
}

#endif
