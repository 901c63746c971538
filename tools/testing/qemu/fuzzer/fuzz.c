// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of containers, groups, KVM's links, TCE tables and hypercalls:
 *
 *	fuzz [-t SECONDS] [-s SEED] [-p PROGRAM] [FOLDER]
 *
 * Runs the programs of the corpus, a line each in the files of the FOLDER,
 * which is corpus here if there is one, and then, until the SECONDS are
 * over, changed ones. On a kernel with KCOV a program that reaches something
 * new is added to the corpus. On others the corpus stays as it is and gets half
 * of the time at most.
 *
 * With -p only this PROGRAM runs, a hundred times.
 *
 * Whether the kernel has reported something, the caller sees in the kernel's log. This
 * program tests after each of its programs that nothing is left locked or pinned, and
 * at the end that memory has come back and the devices work as before.
 *
 * The one defect that it has found so far has a test of its own: user_registers.
 *
 * A line says for each kind of call how many had no error, of how many that were
 * made. A kind of which none succeeds has never got to what it is for.
 *
 * Lines that begin with "new" and "keep" give programs: found now, and those
 * that suffice for all that was reached. "block" gives code that was reached.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/container.h"
#include "fuzz_calls.h"
#include "fuzz_program.h"
#include "kcov.h"
#include "lib/kvm_ppc.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "kselftest.h"

#define CORPUS		"corpus"
#define CORPUS_MAX	8192U
#define STEPS		(128U << 10)
#define BLOCKS_MAX	(64U << 10)
/* Two threads repeat their calls, for more than one chance to meet */
#define ROUNDS		4
/* Milliseconds from one line of progress to the next */
#define TELL_EVERY	60000U
/* Seconds for one program; the emulated machine may stand still for a while */
#define PATIENCE	240
#define AGAIN		100
#define REMEMBERED	16

struct reached {
	__u64 steps[STEPS / 64];
};

struct entry {
	struct fuzz_program program;
	struct reached *reached;
	unsigned int ms;
};

static struct testbed bed;
static struct {
	const char *folder;
	const char *only;
	unsigned int seconds;
	__u64 seed;
} options = { .seconds = 10, .seed = 1 };

static struct {
	struct entry entries[CORPUS_MAX];
	unsigned int n;
	unsigned long total_ms;
} corpus;

/* The stored corpus */
static struct fuzz_program stores[CORPUS_MAX];
static unsigned int stored;

/* What the program that runs, and all of them, have reached */
static struct reached now, ever;
static __u64 blocks[BLOCKS_MAX];
static unsigned int nblocks;
static volatile unsigned long programs;
static pthread_mutex_t reaching = PTHREAD_MUTEX_INITIALIZER;

/* Traces: of the two threads, and of a child */
static struct kcov traces[3];
static __thread struct kcov *trace;
static bool guided;

/* By kind, not those of children */
static struct {
	unsigned long made, succeeded;
} *calls;

/* Reaching */

static bool set_bit(struct reached *r, __u64 hash)
{
	__u64 *word = &r->steps[hash % STEPS / 64];
	const __u64 bit = 1UL << hash % 64;
	const bool fresh = !(*word & bit);

	*word |= bit;
	return fresh;
}

static __u64 hash_of(__u64 a, __u64 b)
{
	a = (a * 0x9e3779b97f4a7c15 + b) * 0xd1342543de82ef95;
	return a ^ a >> 29;
}

static void add_block(__u64 block)
{
	unsigned int i = hash_of(block, 0) % BLOCKS_MAX;

	while (blocks[i] && blocks[i] != block)
		i = (i + 1) % BLOCKS_MAX;
	if (blocks[i] || nblocks == BLOCKS_MAX / 2)
		return;
	blocks[i] = block;
	nblocks++;
}

static void see(__u64 before, __u64 block)
{
	if (set_bit(&now, hash_of(before, block)))
		add_block(block);
}

static void collect(struct kcov *kcov)
{
	pthread_mutex_lock(&reaching);
	kcov_each(kcov, see);
	pthread_mutex_unlock(&reaching);
}

static void before_call(void)
{
	if (trace)
		kcov_forget(trace);
}

static void after_call(unsigned int kind, int error)
{
	__atomic_fetch_add(&calls[kind].made, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&calls[kind].succeeded, !error, __ATOMIC_RELAXED);
	if (trace)
		collect(trace);
}

static void in_child(void)
{
	trace = NULL;
	if (guided && kcov_follow(&traces[2]))
		kcov_forget(&traces[2]);
}

static void after_child(void)
{
	if (guided)
		collect(&traces[2]);
}

static const struct fuzz_watch watch = {
	.before = before_call,
	.after = after_call,
	.child = in_child,
	.parent = after_child,
};

/* Running */

static struct {
	pthread_barrier_t barrier;
	const struct fuzz_program *program;
} second;

static void follow(struct kcov *kcov)
{
	if (guided && kcov_follow(kcov))
		trace = kcov;
}

static void *second_thread(void *arg)
{
	int round;

	follow(&traces[1]);
	for (;;) {
		pthread_barrier_wait(&second.barrier);
		for (round = 0; round < ROUNDS; round++)
			fuzz_calls_run(second.program, second.program->second,
				       second.program->n, false);
		pthread_barrier_wait(&second.barrier);
	}
	return NULL;
}

static void run_both(const struct fuzz_program *program)
{
	int round;

	second.program = program;
	pthread_barrier_wait(&second.barrier);
	for (round = 0; round < ROUNDS; round++)
		fuzz_calls_run(program, program->fork, program->second, false);
	pthread_barrier_wait(&second.barrier);
}

/*
 * For the case that nothing can be said afterwards: who looks into the machine's
 * memory from outside finds the last programs by the word in front of them.
 */
static void announce(const char *text)
{
	static char last[REMEMBERED][FUZZ_TEXT + 64];
	char name[16];

	snprintf(name, sizeof(name), "fuzz %lu", programs);
	prctl(PR_SET_NAME, name);
	snprintf(last[programs % REMEMBERED], sizeof(last[0]), "%s %lu: %s",
		 "fuzzer's program", programs, text);
}

static unsigned int order_of(const struct fuzz_program *program)
{
	unsigned int i, j, sum = 0;

	for (i = 0; i < program->n; i++)
		for (j = 0; j < FUZZ_PICKS; j++)
			sum += program->calls[i].picks[j];
	return sum % 8;
}

/* Locked and pinned memory is given back, if not at once: KVM takes its time */
static bool left_nothing(void)
{
	int ms;

	for (ms = 0; ms < 10000; ms += 10) {
		if (!memory_locked() && !memory_pinned())
			return true;
		usleep(10 * 1000);
	}
	return false;
}

/* Whether the program has left nothing */
static bool run(const struct fuzz_program *program)
{
	char text[FUZZ_TEXT];

	programs++;
	fuzz_print(program, text);
	announce(text);
	memset(&now, 0, sizeof(now));
	fuzz_calls_run(program, 0, program->fork, true);
	if (program->fork < program->n)
		run_both(program);
	before_call();
	fuzz_calls_end(order_of(program));
	if (trace)
		collect(trace);
	if (left_nothing())
		return true;
	ksft_print_msg("%ld KiB locked, %ld KiB pinned after: %s\n",
		       memory_locked(), memory_pinned(), text);
	return false;
}

static unsigned long ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* To the kernel's log: where its tasks wait, and what its processors do */
static void show_tasks(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY);

	if (write(fd, "t", 1) != 1 || write(fd, "l", 1) != 1)
		ksft_print_msg("no list of tasks\n");
	close(fd);
}

/* What hangs is told, and the process ends */
static void *guard(void *arg)
{
	unsigned long last = 0, since = ms_now();

	for (;;) {
		sleep(1);
		if (programs != last)
			since = ms_now();
		last = programs;
		if (ms_now() - since <= PATIENCE * 1000)
			continue;
		show_tasks();
		ksft_exit_fail_msg("program %lu hangs\n", last);
	}
	return NULL;
}

/* Corpus */

static unsigned int count_new(const struct reached *r, const struct reached *old)
{
	unsigned int i, n = 0;

	for (i = 0; i < STEPS / 64; i++)
		n += __builtin_popcountl(r->steps[i] & ~old->steps[i]);
	return n;
}

static void add_reached(struct reached *r, const struct reached *more)
{
	unsigned int i;

	for (i = 0; i < STEPS / 64; i++)
		r->steps[i] |= more->steps[i];
}

static void keep(const struct fuzz_program *program, unsigned int ms)
{
	struct entry *entry = &corpus.entries[corpus.n];

	if (corpus.n == CORPUS_MAX)
		return;
	entry->program = *program;
	entry->ms = ms;
	if (guided) {
		entry->reached = malloc(sizeof(now));
		VFIO_REQUIRE(entry->reached, "memory");
		*entry->reached = now;
		add_reached(&ever, &now);
	}
	corpus.total_ms += ms;
	corpus.n++;
}

/* Whether @program still reaches all that @fresh says */
static bool still(const struct fuzz_program *program,
		  const struct reached *fresh)
{
	return run(program) && !count_new(fresh, &now);
}

/* Leaves calls out that are not needed for what is new */
static void trim(struct fuzz_program *program)
{
	struct reached fresh = now;
	struct fuzz_program shorter;
	unsigned int i;

	for (i = 0; i < STEPS / 64; i++)
		fresh.steps[i] &= ~ever.steps[i];
	/* Not all that happens does so each time */
	if (!still(program, &fresh))
		return;
	for (i = program->n; i--; ) {
		if (program->n < 2)
			break;
		shorter = *program;
		fuzz_cut(&shorter, i, 1);
		if (still(&shorter, &fresh))
			*program = shorter;
	}
}

static bool try(struct fuzz_program *program, bool found)
{
	unsigned long begin = ms_now();
	char text[FUZZ_TEXT];

	if (!run(program))
		return false;
	if (!guided) {
		if (!found)
			keep(program, ms_now() - begin);
		return true;
	}
	if (!count_new(&now, &ever))
		return true;
	if (found) {
		trim(program);
		begin = ms_now();
		if (!run(program))
			return false;
		if (!count_new(&now, &ever))
			return true;
		fuzz_print(program, text);
		printf("new %s\n", text);
	}
	keep(program, ms_now() - begin);
	return true;
}

static void read_file(const char *folder, const char *name)
{
	char path[512], line[FUZZ_TEXT];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "r");
	if (!f)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	while (fgets(line, sizeof(line), f) && stored < CORPUS_MAX) {
		if (*line == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (!fuzz_parse(&stores[stored++], line))
			ksft_exit_fail_msg("%s: what is \"%s\"?\n", path, line);
	}
	fclose(f);
}

/* All files of the folder, in an order that each seed has of its own */
static void read_stored(const char *folder)
{
	struct fuzz_program swap;
	struct fuzz_dice dice;
	struct dirent **names;
	int i, n = scandir(folder, &names, NULL, alphasort);
	unsigned int other;

	if (n < 0)
		ksft_exit_fail_msg("%s: %s\n", folder, strerror(errno));
	for (i = 0; i < n; i++)
		if (*names[i]->d_name != '.')
			read_file(folder, names[i]->d_name);

	fuzz_dice_init(&dice, options.seed, stored);
	for (i = stored; i-- > 1; ) {
		other = fuzz_roll(&dice, i + 1);
		swap = stores[i];
		stores[i] = stores[other];
		stores[other] = swap;
	}
}

/* Without guidance they are as good as any others: some of the time is theirs */
static bool run_stored(unsigned long begin)
{
	bool good = true;
	unsigned int i;

	for (i = 0; i < stored; i++) {
		if (!guided && ms_now() - begin > options.seconds * 500UL)
			break;
		good &= try(&stores[i], false);
	}
	ksft_print_msg("%u of %u stored programs have run\n", i, stored);
	return good;
}

/* One of the corpus, rather one that does not take long */
static const struct entry *any_entry(struct fuzz_dice *dice)
{
	const struct entry *entry;
	int tries = 8;

	do
		entry = &corpus.entries[fuzz_roll(dice, corpus.n)];
	while (guided && --tries &&
	       entry->ms * corpus.n > 2 * corpus.total_ms);
	return entry;
}

static void tell(unsigned long begin)
{
	printf("# %lu s: %lu programs, corpus %u, steps %u, blocks %u\n",
	       (ms_now() - begin) / 1000, programs, corpus.n,
	       count_new(&ever, &(struct reached){ 0 }), nblocks);
	fflush(stdout);
}

static bool fuzz(unsigned long begin)
{
	struct fuzz_program program;
	struct fuzz_dice dice;
	unsigned long turn, told = 0;
	bool good = true;

	for (turn = 0; ms_now() - begin < options.seconds * 1000UL; turn++) {
		fuzz_dice_init(&dice, options.seed, turn);
		memset(&program, 0, sizeof(program));
		if (corpus.n && fuzz_roll(&dice, 32))
			program = any_entry(&dice)->program;
		fuzz_mutate(&program, corpus.n ? &any_entry(&dice)->program :
			    NULL, &dice);
		good &= try(&program, true);
		if (ms_now() - told >= TELL_EVERY) {
			tell(begin);
			told = ms_now();
		}
	}
	tell(begin);
	return good;
}

/* Those that suffice, the one that reaches most of what is missing first */
static void print_corpus(void)
{
	struct reached had = { 0 };
	unsigned int i, best, most, n;
	char text[FUZZ_TEXT];

	for (;;) {
		for (i = most = best = 0; i < corpus.n; i++) {
			n = count_new(corpus.entries[i].reached, &had);
			if (n > most) {
				most = n;
				best = i;
			}
		}
		if (!most)
			return;
		add_reached(&had, corpus.entries[best].reached);
		fuzz_print(&corpus.entries[best].program, text);
		printf("keep %s\n", text);
	}
}

static void print_blocks(void)
{
	unsigned int i;

	for (i = 0; i < BLOCKS_MAX; i++)
		if (blocks[i])
			printf("block %llx\n", blocks[i]);
}

static void tell_calls(void)
{
	unsigned int i;

	printf("# succeeded:");
	for (i = 0; i < fuzz_kinds; i++)
		if (calls[i].made)
			printf(" %s %lu/%lu", fuzz_kind_name(i),
			       calls[i].succeeded, calls[i].made);
	printf("\n");
}

static bool only(const char *text)
{
	struct fuzz_program program;
	bool good = true;
	int i;

	if (!fuzz_parse(&program, text))
		ksft_exit_fail_msg("what is \"%s\"?\n", text);
	for (i = 0; i < AGAIN; i++)
		good &= run(&program);
	tell_calls();
	fflush(stdout);
	return good;
}

/* All of it, in a process of its own: 0 if nothing was left at any time */
static int session(void)
{
	unsigned long begin;
	pthread_t thread;
	unsigned int i;
	bool good = true;

	calls = calloc(fuzz_kinds, sizeof(*calls));
	VFIO_REQUIRE(calls, "memory");
	guided = kcov_available();
	for (i = 0; guided && i < ARRAY_SIZE(traces); i++)
		kcov_open(&traces[i]);
	fuzz_calls_init(&bed, &watch);
	follow(&traces[0]);
	pthread_barrier_init(&second.barrier, NULL, 2);
	if (pthread_create(&thread, NULL, second_thread, NULL) ||
	    pthread_create(&thread, NULL, guard, NULL))
		ksft_exit_fail_msg("no threads\n");

	if (options.only)
		return !only(options.only);
	if (options.folder)
		read_stored(options.folder);
	begin = ms_now();
	good &= run_stored(begin);
	good &= fuzz(begin);
	tell_calls();
	if (guided) {
		print_corpus();
		print_blocks();
	}
	fflush(stdout);
	return !good;
}

/* Afterwards */

#define PAGE		0x10000UL
#define BUS		0x20000UL

/* Both groups in a new container, memory that the devices reach */
static bool devices_work(void)
{
	struct vfio_iommu_spapr_tce_info info;
	volatile __u64 *memory;
	unsigned int i;
	bool good = true;

	memory = memory_get(BASE_PAGES, PAGE, PROT_READ | PROT_WRITE);
	testbed_open(&bed, VFIO_SPAPR_TCE_v2_IOMMU);
	container_get_info(bed.container, &info);
	container_register(bed.container, BASE_PAGES, PAGE);
	container_map(bed.container, BASE_PAGES, info.dma32_window_start + BUS,
		      PAGE, READ_WRITE);
	for (i = 0; i < 2; i++) {
		testbed_open_device(&bed, i);
		good &= dma_reach(&bed.dma[i], info.dma32_window_start + BUS,
				  memory, 0, NULL) == (DMA_READS | DMA_WRITES);
	}
	testbed_close(&bed);
	munmap((void *)memory, PAGE);
	return good;
}

static bool groups_open(void)
{
	bool good;

	testbed_open(&bed, VFIO_SPAPR_TCE_v2_IOMMU);
	good = !testbed_join(&bed) || testbed_is_partition();
	testbed_close(&bed);
	return good;
}

int main(int argc, char **argv)
{
	int option, status;
	long lost;

	while ((option = getopt(argc, argv, "t:s:p:")) != -1) {
		if (option == 't')
			options.seconds = atoi(optarg);
		else if (option == 's')
			options.seed = strtoull(optarg, NULL, 0);
		else if (option == 'p')
			options.only = optarg;
		else
			return KSFT_FAIL;
	}
	options.folder = argv[optind];
	if (!options.folder && !access(CORPUS, F_OK))
		options.folder = CORPUS;

	ksft_print_header();
	if (!kvm_ppc_has_hv())
		ksft_exit_skip("no KVM\n");
	if (!testbed_find(&bed))
		ksft_exit_skip("no devices\n");
	ksft_set_plan(4);
	transcript_mute(1);

	lost = leak_of(session, &status);
	ksft_test_result(!status, "no program leaves memory locked\n");
	ksft_print_msg("%ld KiB lost\n", lost);
	ksft_test_result(!lost, "memory comes back\n");
	ksft_test_result(groups_open(), "the groups can be had again\n");
	ksft_test_result(devices_work(), "the devices reach memory\n");
	ksft_finished();
}
