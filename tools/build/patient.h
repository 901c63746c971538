/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Seconds that a case of a selftest may take, after kselftest_harness.h.
 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600
