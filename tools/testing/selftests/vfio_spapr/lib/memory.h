/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User memory for DMA, at addresses that are the same in every run.
 *
 * Also reads and limits what the kernel charges to the process (locked memory) and
 * to its memory cgroup, and provides pages whose faults wait until a test supplies
 * the page (userfaultfd).
 */
#ifndef VFIO_SPAPR_MEMORY_H
#define VFIO_SPAPR_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define KiB	1024UL
#define MiB	(1024 * KiB)
#define GiB	(1024 * MiB)

/*
 * Memory of base pages starts here, memory of huge pages there: with the hash
 * MMU a segment of 1 TiB has pages of one size.
 */
#define BASE_PAGES	0x100000000000UL
#define HUGE_PAGES	0x200000000000UL

/* Size of the kernel's pages in bytes, and its log2 */
unsigned long page_size(void);
unsigned int page_shift(void);

/**
 * memory_get() - Map anonymous memory
 * @address: where, page aligned; nothing may be there
 * @size: in bytes
 * @protection: PROT_...
 *
 * Return: @address; the process ends when there is no such memory.
 */
void *memory_get(unsigned long address, size_t size, int protection);

/*
 * The same at BASE_PAGES, to read and to write, with a 1 in each byte: all of
 * its pages are there
 */
void *memory_get_present(size_t size);

/**
 * memory_get_huge() - Map memory of huge pages
 * @address: where, aligned to the huge page
 * @size: in bytes, a multiple of the huge page's size
 * @huge_page: size of the pages in bytes
 *
 * Raises the pool when needed. The pages are there when it returns: some of the
 * pool may lie where memory is not pinned for long, and only a page that is
 * there already moves from there.
 *
 * Return: @address, NULL when the machine has no such pages.
 */
void *memory_get_huge(unsigned long address, size_t size,
		      unsigned long huge_page);

/*
 * Pages that are not there until they are supplied: whatever touches one waits.
 * Return: a file for the next two.
 */
int pages_withhold(unsigned long address, size_t size);
/* Whether something comes to wait for a page within 30 seconds */
bool page_wanted(int fd);
/* Fill the page with zeroes; closes the file */
void page_supply(int fd, unsigned long address);
/* Whether a thread that may wait for a page ends in so many seconds */
bool thread_ends(pthread_t thread, unsigned int seconds);

/* Where in the machine's memory @at is, whose page has to be there */
unsigned long memory_physical(const void *at);

/* Locked and pinned memory of this process in KiB; -1 when unknown */
long memory_locked(void);
long memory_pinned(void);

/* The same, also into the transcript, as what follows @when */
long memory_see_locked(const char *when);

/* Limit locked memory to @bytes and give up the right to exceed it */
bool memory_limit_locked(unsigned long bytes);

/*
 * Move this process into a memory cgroup of the tests, which has no limit, and to one
 * processor. What goes over a limit fails, and the process is not killed for it.
 * Return: false where there are no such cgroups.
 */
bool memory_enter_cgroup(void);
/* Bytes charged to the cgroup */
long memory_charged(void);
/* Limit these to @bytes more than there are, or end the limit */
void memory_limit_charged(long bytes);
void memory_unlimit_charged(void);

#endif
