/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kselftest harness, with time for emulated machines on busy hosts, where
 * a minute may hold a few seconds' work. A test that hangs still ends.
 */
#ifndef VFIO_SPAPR_HARNESS_H
#define VFIO_SPAPR_HARNESS_H

#include "../../kselftest_harness.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300

/* What a test has as self and variant, for the functions that it calls */
#define SELF(fixture)		__typeof__(FIXTURE_DATA(fixture) *)
#define VARIANT(fixture)	__typeof__(const FIXTURE_VARIANT(fixture) *)

#endif
