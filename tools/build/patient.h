/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Timeout in seconds of each test case of a selftest. It is included after
 * kselftest_harness.h.
 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600
