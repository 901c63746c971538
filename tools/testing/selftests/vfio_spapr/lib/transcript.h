/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Transcript of a test: every call with its arguments and its answer, one
 * line each, so that two kernels can be compared call by call.
 *
 *	# T container_v1.map_flags 12 MAP_DMA argsz=32 ... => -1 EINVAL
 *
 * The part before "=>" depends on the test alone, the part after it on the
 * kernel. Nothing that varies from one run to the next may be in a line; user
 * memory therefore lies at fixed addresses, see memory.h. The lines are
 * diagnostics to TAP.
 */
#ifndef VFIO_SPAPR_TRANSCRIPT_H
#define VFIO_SPAPR_TRANSCRIPT_H

#include <stdarg.h>

/**
 * transcript_begin() - Start the transcript of a test, its lines at 1
 * @test: test's name, unique in the program
 * @variant: of the test's fixture, NULL or "" when there is none
 */
void transcript_begin(const char *test, const char *variant);

/* Name the test that the harness is running; for FIXTURE_SETUP only */
#define TRANSCRIPT_BEGIN(metadata, variant_name) \
	transcript_begin((metadata)->name, variant_name)

/**
 * transcript_call() - Add a system call that has just returned
 * @ret: what it returned; errno is read when it is negative
 * @format: the call and its arguments
 *
 * Return: @ret, or -errno.
 */
long transcript_call(long ret, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for a call that gives -errno back; returns @ret */
long transcript_errno(long ret, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * transcript_answer() - Add what the last call gave back in memory
 * @format: names and values
 */
void transcript_answer(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* What a line says of an observation: the question, then its answer. */
void transcript_see(const char *question, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Stop or go on writing; calls are still made. For long loops. */
void transcript_mute(int mute);

#endif
