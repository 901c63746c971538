// SPDX-License-Identifier: GPL-2.0
/* Programs of the fuzzer, see fuzz_program.h. */
#include <stdio.h>
#include <string.h>

#include "fuzz_program.h"

#define BLANKS	" \t"

void fuzz_dice_init(struct fuzz_dice *dice, __u64 seed, __u64 turn)
{
	unsigned int i;

	dice->state = (seed + 1) * 0x9e3779b97f4a7c15 ^
		      (turn + 1) * 0xd1342543de82ef95;
	for (i = 0; i < 4; i++)
		fuzz_roll(dice, 2);
}

/* Vigna's xorshift64* */
unsigned int fuzz_roll(struct fuzz_dice *dice, unsigned int sides)
{
	dice->state ^= dice->state >> 12;
	dice->state ^= dice->state << 25;
	dice->state ^= dice->state >> 27;
	return (dice->state * 0x2545f4914f6cdd1dULL >> 33) % sides;
}

static bool parse_call(struct fuzz_call *call, const char *word, size_t length)
{
	const char *colon = memchr(word, ':', length);
	const size_t name = colon ? colon - word : length;
	unsigned int i, value;

	memset(call, 0, sizeof(*call));
	for (i = 0; i < fuzz_kinds; i++)
		if (strlen(fuzz_kind_name(i)) == name &&
		    !strncmp(fuzz_kind_name(i), word, name))
			break;
	if (i == fuzz_kinds)
		return false;
	call->kind = i;
	if (!colon)
		return true;

	length -= name + 1;
	if (length % 2 || length > 2 * FUZZ_PICKS)
		return false;
	for (i = 0; i < length / 2; i++) {
		if (sscanf(colon + 1 + 2 * i, "%2x", &value) != 1)
			return false;
		call->picks[i] = value;
	}
	return true;
}

bool fuzz_parse(struct fuzz_program *program, const char *text)
{
	unsigned int bars = 0;
	size_t length;

	memset(program, 0, sizeof(*program));
	for (; *(text += strspn(text, BLANKS)); text += length) {
		length = strcspn(text, BLANKS);
		if (*text == '|' && bars < 2) {
			*(bars++ ? &program->second : &program->fork) =
				program->n;
			continue;
		}
		if (program->n == FUZZ_CALLS ||
		    !parse_call(&program->calls[program->n++], text, length))
			return false;
	}
	if (bars < 1)
		program->fork = program->n;
	if (bars < 2)
		program->second = program->n;
	return program->n;
}

static int print_call(const struct fuzz_call *call, char *text)
{
	int i, n = FUZZ_PICKS, length;

	length = sprintf(text, "%s", fuzz_kind_name(call->kind));
	while (n && !call->picks[n - 1])
		n--;
	if (n)
		length += sprintf(text + length, ":");
	for (i = 0; i < n; i++)
		length += sprintf(text + length, "%02x", call->picks[i]);
	return length;
}

void fuzz_print(const struct fuzz_program *program, char text[FUZZ_TEXT])
{
	const bool threads = program->fork < program->n;
	unsigned int i;

	for (i = 0; i < program->n; i++) {
		if (i)
			*text++ = ' ';
		if (threads && i == program->fork)
			text += sprintf(text, "| ");
		if (threads && i == program->second)
			text += sprintf(text, "| ");
		text += print_call(&program->calls[i], text);
	}
	*text = '\0';
}

void fuzz_cut(struct fuzz_program *program, unsigned int first, unsigned int n)
{
	unsigned int *const bars[] = { &program->fork, &program->second };
	unsigned int i;

	memmove(program->calls + first, program->calls + first + n,
		(program->n - first - n) * sizeof(program->calls[0]));
	program->n -= n;
	for (i = 0; i < 2; i++)
		if (*bars[i] > first)
			*bars[i] -= *bars[i] - first < n ? *bars[i] - first : n;
}

/* Room for a call at @at; it belongs to the thread of the call before it. */
static struct fuzz_call *make_room(struct fuzz_program *program,
				   unsigned int at)
{
	if (program->n == FUZZ_CALLS)
		return NULL;
	memmove(program->calls + at + 1, program->calls + at,
		(program->n - at) * sizeof(program->calls[0]));
	program->n++;
	if (program->fork >= at)
		program->fork++;
	if (program->second >= at)
		program->second++;
	return &program->calls[at];
}

static unsigned int any_kind(struct fuzz_dice *dice)
{
	unsigned int i, sum = 0;

	for (i = 0; i < fuzz_kinds; i++)
		sum += fuzz_kind_weight(i);
	sum = fuzz_roll(dice, sum);
	for (i = 0; sum >= fuzz_kind_weight(i); i++)
		sum -= fuzz_kind_weight(i);
	return i;
}

/* Most picks say what most users want */
static __u8 any_pick(struct fuzz_dice *dice)
{
	switch (fuzz_roll(dice, 4)) {
	case 0:
		return fuzz_roll(dice, 256);
	case 1:
		return fuzz_roll(dice, 8);
	}
	return 0;
}

static void any_call(struct fuzz_call *call, struct fuzz_dice *dice)
{
	unsigned int i;

	call->kind = any_kind(dice);
	for (i = 0; i < FUZZ_PICKS; i++)
		call->picks[i] = any_pick(dice);
}

static void change_pick(struct fuzz_call *call, struct fuzz_dice *dice)
{
	__u8 *pick = &call->picks[fuzz_roll(dice, FUZZ_PICKS)];

	switch (fuzz_roll(dice, 4)) {
	case 0:
		*pick = fuzz_roll(dice, 256);
		break;
	case 1:
		*pick += fuzz_roll(dice, 9) - 4;
		break;
	case 2:
		*pick ^= 1 << fuzz_roll(dice, 8);
		break;
	case 3:
		*pick = any_pick(dice);
		break;
	}
}

static void add_calls_of(struct fuzz_program *program,
			 const struct fuzz_program *other, unsigned int at,
			 struct fuzz_dice *dice)
{
	unsigned int first = fuzz_roll(dice, other->n);
	unsigned int n = 1 + fuzz_roll(dice, other->n - first);
	struct fuzz_call *call;

	for (; n--; first++) {
		call = make_room(program, at++);
		if (!call)
			return;
		*call = other->calls[first];
	}
}

static void change_threads(struct fuzz_program *program, struct fuzz_dice *dice)
{
	program->fork = program->n;
	program->second = program->n;
	if (program->n < 2 || fuzz_roll(dice, 3) == 0)
		return;
	program->fork = fuzz_roll(dice, program->n - 1);
	program->second = program->fork + 1 +
		fuzz_roll(dice, program->n - program->fork - 1);
}

static void mutate_once(struct fuzz_program *program,
			const struct fuzz_program *other,
			struct fuzz_dice *dice)
{
	unsigned int at = fuzz_roll(dice, program->n + 1);
	unsigned int last = at < program->n ? at : program->n - 1;
	struct fuzz_call *call;

	switch (program->n ? fuzz_roll(dice, 16) : 0) {
	case 0 ... 3:
		call = make_room(program, at);
		if (call)
			any_call(call, dice);
		break;
	case 4 ... 9:
		change_pick(&program->calls[last], dice);
		break;
	case 10 ... 11:
		fuzz_cut(program, last, 1);
		break;
	case 12:
		call = make_room(program, at);
		if (call)
			*call = program->calls[fuzz_roll(dice, program->n)];
		break;
	case 13 ... 14:
		if (other && other->n)
			add_calls_of(program, other, at, dice);
		break;
	case 15:
		change_threads(program, dice);
		break;
	}
}

void fuzz_mutate(struct fuzz_program *program, const struct fuzz_program *other,
		 struct fuzz_dice *dice)
{
	unsigned int times = 1 + fuzz_roll(dice, 5);

	while (times--)
		mutate_once(program, other, dice);
	/* The last call may have gone */
	if (!program->n)
		mutate_once(program, other, dice);
}
