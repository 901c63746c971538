/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that stays in use after the process that used it has gone: pages
 * pinned for ever, tables that are never freed.
 */
#ifndef SELFTEST_VFIO_SPAPR_LEAK_H
#define SELFTEST_VFIO_SPAPR_LEAK_H

/**
 * leak_of() - Run a function in a process of its own
 * @run: the function; what it returns, 0 for all well, is the exit status
 * @status: receives the exit status, 256 if a signal ended the process
 *
 * Waits for memory that comes back late. What does not may be what the kernel
 * keeps for the next time: then the function runs again, up to three times,
 * and only what is lost each time counts.
 *
 * Return: KiB of free memory that did not come back, 0 if there is more.
 */
long leak_of(int (*run)(void), int *status);

/* Pages of the whole system that are pinned for long and not yet unpinned */
long leak_pins(void);

#endif
