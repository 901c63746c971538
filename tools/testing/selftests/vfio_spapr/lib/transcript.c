// SPDX-License-Identifier: GPL-2.0
/*
 * Transcript of a test, see transcript.h.
 *
 * A line is written with one write(), after what stdio still holds: the
 * harness's own lines, and those of a forked child, keep their places.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "transcript.h"

static char test_name[128];
static unsigned int line_number;
static int muted;

void transcript_begin(const char *test, const char *variant)
{
	snprintf(test_name, sizeof(test_name), "%s%s%s.%s",
		 program_invocation_short_name,
		 variant && *variant ? "." : "",
		 variant ? variant : "", test);
	line_number = 0;
}

/* Whether a line is not to be written; it is counted all the same */
static int only_counted(void)
{
	if (muted)
		line_number++;
	return muted;
}

static void put_line(const char *question, const char *answer)
{
	char line[768];
	int length;

	line_number++;
	length = snprintf(line, sizeof(line), "# T %s %u %s => %s\n",
			  test_name, line_number, question, answer);
	if (length >= (int)sizeof(line)) {
		length = sizeof(line) - 1;
		line[length - 1] = '\n';
	}
	fflush(stdout);
	if (write(STDOUT_FILENO, line, length) != length)
		_exit(1);
}

static void put_call(long ret, const char *format, va_list args)
{
	char question[512], answer[64];

	if (only_counted())
		return;
	vsnprintf(question, sizeof(question), format, args);
	if (ret < 0)
		snprintf(answer, sizeof(answer), "-1 %s", strerrorname_np(-ret));
	else
		snprintf(answer, sizeof(answer), "%ld", ret);
	put_line(question, answer);
}

long transcript_call(long ret, const char *format, ...)
{
	va_list args;

	if (ret < 0)
		ret = -errno;
	va_start(args, format);
	put_call(ret, format, args);
	va_end(args);
	return ret;
}

long transcript_errno(long ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_call(ret, format, args);
	va_end(args);
	return ret;
}

static void put_seen(const char *question, const char *format, va_list args)
{
	char answer[512];

	if (only_counted())
		return;
	vsnprintf(answer, sizeof(answer), format, args);
	put_line(question, answer);
}

void transcript_answer(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_seen("  gives", format, args);
	va_end(args);
}

void transcript_see(const char *question, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_seen(question, format, args);
	va_end(args);
}

void transcript_mute(int mute)
{
	muted = mute;
}
