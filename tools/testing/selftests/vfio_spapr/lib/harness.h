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

#endif
