// SPDX-License-Identifier: GPL-2.0
/*
 * Accelerator cards for unprivileged processes, in a partition without KVM.
 *
 * Each card is a group of its own, whose file root gives to a Unix group. The
 * clients are members of it, without capabilities, a process a card; each takes
 * a 64-bit window instead of the default one and runs with the lowest limit on
 * locked memory that this needs. They exit or are killed, with and without DMA
 * mapped, with a function in D3 or not; then vfio-pci gives up the cards and
 * takes them again. After any number of rounds the group files are there, the
 * windows are the same and no memory is lost.
 *
 * pseries_cards [ROUNDS]
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest.h"
#include "lib/container.h"
#include "lib/e1000e.h"
#include "lib/leak.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define CARDS_MAX	8
#define CARDS_MIN	2
#define ROUNDS		5

/* Whom the group files are given to; card n's client is user USER + n */
#define MEMBERS		1500
#define USER		2000
#define STRANGER	3000

#define PAGES		16
#define WINDOW_SIZE	(4 * GiB)
#define WINDOW_START	(4 * GiB)	/* the lowest that needs 64 bits */

/* Of PCI_PM_CTRL_STATE_MASK */
#define D3HOT		3

/* What a round can fail by; 1 is VFIO_REQUIRE()'s, and counts as a client's */
#define FAILED_FILES	2
#define FAILED_ACCESS	4
#define FAILED_LIMIT	8
#define FAILED_CLIENT	16
#define FAILED_WINDOW	32
#define FAILED_ELSEWHERE	\
	(FAILED_FILES | FAILED_ACCESS | FAILED_LIMIT | FAILED_WINDOW)

struct card {
	char address[PCI_ADDRESS_LEN];
	char sleeper[PCI_ADDRESS_LEN];	/* of its group, knows D3; or empty */
	int iommu_group;
	char file[32];
};

/* What a client has been given; shared with the parent */
struct seen {
	struct vfio_iommu_spapr_tce_info info;
	__u64 start;
};

static struct card cards[CARDS_MAX];
static unsigned int count, rounds = ROUNDS;

static bool in_own_group(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (cards[i].iommu_group == cards[n].iommu_group)
			return false;
	return true;
}

static void find_cards(void)
{
	char other[PCI_ADDRESS_LEN];
	unsigned int i;

	for (i = 0; count < CARDS_MAX; i++) {
		struct card *card = &cards[count];

		if (dma_device_find(i, DMA_NO_MEMORY, card->address))
			break;
		card->iommu_group = pci_iommu_group(card->address);
		snprintf(card->file, sizeof(card->file), "/dev/vfio/%d",
			 card->iommu_group);
		count += in_own_group(count);
	}
	if (__pci_find(E1000E_VENDOR, E1000E_DEVICE, 0, other))
		return;
	for (i = 0; i < count; i++)
		if (cards[i].iommu_group == pci_iommu_group(other))
			snprintf(cards[i].sleeper, PCI_ADDRESS_LEN, "%s",
				 other);
}

/* All cards to vfio-pci, and nothing more */
static void bind_cards(void)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		pci_bind(cards[i].address, "vfio-pci");
		if (cards[i].sleeper[0])
			pci_bind(cards[i].sleeper, "vfio-pci");
	}
}

static void unbind_cards(void)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		pci_unbind(cards[i].address);
		if (cards[i].sleeper[0])
			pci_unbind(cards[i].sleeper);
	}
}

static bool failed(const char *what, const struct card *card)
{
	ksft_print_msg("%s: %s\n", card->address, what);
	return false;
}

/* The files are root's when they come. */
static bool give_files(void)
{
	bool ok = true;
	struct stat st;
	unsigned int i;

	for (i = 0; i < count; i++) {
		const struct card *card = &cards[i];

		if (stat(card->file, &st))
			ok = failed("no group file", card);
		else if (st.st_uid || st.st_gid || st.st_mode & 0077)
			ok = failed("not root's alone", card);
		else if (chown(card->file, 0, MEMBERS) ||
			 chmod(card->file, 0660))
			ok = failed("cannot be given away", card);
	}
	return ok;
}

static bool files_gone(void)
{
	bool ok = true;
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!access(cards[i].file, F_OK))
			ok = failed("group file without a device", &cards[i]);
	return ok;
}

/* Give up root for good. */
static void become(uid_t user, bool member)
{
	const gid_t members = MEMBERS;

	VFIO_REQUIRE(!setgroups(member, &members), "setgroups");
	VFIO_REQUIRE(!setgid(user) && !setuid(user), "user %d", user);
	VFIO_REQUIRE(setuid(0), "root again");
}

/* Run in a child whose exit status is 0 if it is true */
static bool child_succeeds(bool (*check)(const struct card *),
			   const struct card *card)
{
	pid_t pid;
	int raw;

	fflush(NULL);
	pid = fork();
	if (!pid)
		exit(!check(card));
	waitpid(pid, &raw, 0);
	return WIFEXITED(raw) && !WEXITSTATUS(raw);
}

static bool stranger_is_refused(const struct card *card)
{
	int container;

	become(STRANGER, false);
	container = open("/dev/vfio/vfio", O_RDWR);
	if (container < 0)
		return failed("no container for a stranger", card);
	if (__vfio_group_open(card->iommu_group) != -EACCES)
		return failed("a stranger's open() is not EACCES", card);
	return true;
}

static bool strangers_are_refused(void)
{
	bool ok = true;
	unsigned int i;

	for (i = 0; i < count; i++)
		ok &= child_succeeds(stranger_is_refused, &cards[i]);
	return ok;
}

static size_t memory_size(void)
{
	return PAGES * page_size();
}

/* Locked memory of the window's table: the hypervisor's, counted all the same */
static size_t table_size(void)
{
	return WINDOW_SIZE / page_size() * 8;
}

static void open_group(struct vfio_pci *pci, const struct card *card)
{
	snprintf(pci->address, PCI_ADDRESS_LEN, "%s", card->address);
	pci->device = -1;
	pci->container = vfio_container_open();
	pci->group = vfio_group_open(card->iommu_group);
	vfio_group_set_container(pci->group, pci->container);
	vfio_container_set_iommu(pci->container, VFIO_SPAPR_TCE_v2_IOMMU);
}

/*
 * One page too few for the window, then for the memory: what is refused is not
 * counted, and what fits is still to be had.
 */
static bool limit_is_kept(const struct card *card)
{
	const long memory_kib = memory_size() / KiB;
	const long half_kib = table_size() / 2 / KiB;
	struct vfio_iommu_spapr_tce_info info;
	struct vfio_pci pci;
	__u64 start;

	memory_get_present(2 * memory_size());
	VFIO_REQUIRE(memory_limit_locked(memory_size() + table_size() -
					 page_size()), "limit");
	become(USER, true);
	open_group(&pci, card);
	VFIO_REQUIRE(!container_get_info(pci.container, &info), "GET_INFO");
	VFIO_REQUIRE(!container_remove_window(pci.container,
					      info.dma32_window_start),
		     "TCE_REMOVE");
	VFIO_REQUIRE(!container_register(pci.container, BASE_PAGES,
					 memory_size()), "REGISTER_MEMORY");
	if (container_create_window(pci.container, page_shift(), WINDOW_SIZE, 1,
				    &start) != -ENOMEM)
		return failed("a window beyond the limit", card);
	if (memory_locked() != memory_kib)
		return failed("a refused window is counted", card);
	if (container_create_window(pci.container, page_shift(),
				    WINDOW_SIZE / 2, 1, &start))
		return failed("no window within the limit", card);
	if (memory_locked() != memory_kib + half_kib)
		return failed("a window is not counted as its table", card);
	if (container_register(pci.container, BASE_PAGES + memory_size(),
			       half_kib * KiB) != -ENOMEM)
		return failed("memory beyond the limit", card);
	if (memory_locked() != memory_kib + half_kib)
		return failed("refused memory is counted", card);
	return true;
}

/* Open the function, which is awake, and leave it in D3. */
static void put_to_sleep(const struct vfio_pci *pci, const struct card *card)
{
	int device = vfio_device_open(pci->group, card->sleeper);
	unsigned int at = vfio_device_capability(device, PCI_CAP_ID_PM) +
			  PCI_PM_CTRL;
	__u32 control = vfio_device_config_read(device, at, 2);

	VFIO_REQUIRE(at > PCI_PM_CTRL, "no power management");
	VFIO_REQUIRE(!(control & PCI_PM_CTRL_STATE_MASK), "opened asleep");
	vfio_device_config_write(device, at, control | D3HOT, 2);
}

/* DMA to a page in the 64-bit window */
static void use_card(struct vfio_pci *pci, const struct card *card,
		     struct seen *seen, struct dma_device *dma)
{
	become(USER + (card - cards), true);
	open_group(pci, card);
	VFIO_REQUIRE(!container_get_info(pci->container, &seen->info),
		     "GET_INFO");
	VFIO_REQUIRE(!container_remove_window(pci->container,
					      seen->info.dma32_window_start),
		     "TCE_REMOVE");
	VFIO_REQUIRE(!container_create_window(pci->container, page_shift(),
					      WINDOW_SIZE, 1, &seen->start),
		     "TCE_CREATE");
	VFIO_REQUIRE(!container_register(pci->container, BASE_PAGES,
					 memory_size()), "REGISTER_MEMORY");
	VFIO_REQUIRE(!container_map(pci->container, BASE_PAGES, seen->start,
				    memory_size(), READ_WRITE), "MAP_DMA");

	pci->device = vfio_device_open(pci->group, card->address);
	dma_device_start(dma, pci->device);
	VFIO_REQUIRE(dma_reach(dma, seen->start, (void *)BASE_PAGES, 0, NULL) ==
		     (DMA_READS | DMA_WRITES), "DMA");
}

/* Pipes by which all clients say that they run, and are told to stop */
struct pipes {
	int ready[2], stop[2];
};

/*
 * Every second client of a round ends with everything mapped; in every second
 * round all are killed instead, in the middle of DMA.
 */
static void client(unsigned int n, unsigned int round, struct pipes *pipes,
		   struct seen *seen)
{
	const bool tidy = (n + round / 2) & 1, killed = round & 1;
	struct vfio_pci pci;
	struct dma_device dma;
	char byte = 0;

	close(pipes->ready[0]);
	close(pipes->stop[1]);
	memory_get_present(memory_size());
	VFIO_REQUIRE(memory_limit_locked(memory_size() + table_size()),
		     "limit");
	use_card(&pci, &cards[n], seen, &dma);
	if (cards[n].sleeper[0] && tidy)
		put_to_sleep(&pci, &cards[n]);

	VFIO_REQUIRE(write(pipes->ready[1], &byte, 1) == 1, "ready");
	close(pipes->ready[1]);
	while (killed)
		dma_store(&dma, seen->start, 0, DMA_BUFFER_SIZE);

	VFIO_REQUIRE(!read(pipes->stop[0], &byte, 1), "stop");
	if (!tidy)
		exit(0);
	VFIO_REQUIRE(!container_unmap(pci.container, seen->start,
				      memory_size()), "UNMAP_DMA");
	VFIO_REQUIRE(!container_unregister(pci.container, BASE_PAGES,
					   memory_size()),
		     "UNREGISTER_MEMORY");
	VFIO_REQUIRE(!container_remove_window(pci.container, seen->start),
		     "TCE_REMOVE");
	VFIO_REQUIRE(!memory_locked(), "locked memory");
	vfio_pci_close(&pci);
	exit(0);
}

static bool ended_well(int raw, bool killed)
{
	return killed ? WIFSIGNALED(raw) && WTERMSIG(raw) == SIGKILL :
			WIFEXITED(raw) && !WEXITSTATUS(raw);
}

/* Let vfio-pci give up the cards; while they are in use this has to wait. */
static pid_t unbind_meanwhile(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	unbind_cards();
	exit(0);
}

/* One client a card, until vfio-pci has no card any more */
static bool run_clients(unsigned int round, struct seen *seen)
{
	const bool killed = round & 1;
	struct pipes pipes;
	pid_t pid[CARDS_MAX], unbinder = 0;
	unsigned int i, ready = 0;
	bool ok = true;
	char byte;
	int raw;

	VFIO_REQUIRE(!pipe(pipes.ready) && !pipe(pipes.stop), "pipe");
	fflush(NULL);
	for (i = 0; i < count; i++) {
		pid[i] = fork();
		if (!pid[i])
			client(i, round, &pipes, &seen[i]);
	}
	close(pipes.ready[1]);
	close(pipes.stop[0]);
	while (read(pipes.ready[0], &byte, 1) == 1)
		ready++;
	if (killed) {
		unbinder = unbind_meanwhile();
		usleep(100 * 1000);
		ok = !waitpid(unbinder, &raw, WNOHANG);
		for (i = 0; i < count; i++)
			kill(pid[i], SIGKILL);
	}
	close(pipes.stop[1]);
	close(pipes.ready[0]);
	for (i = 0; i < count; i++) {
		waitpid(pid[i], &raw, 0);
		if (!ended_well(raw, killed))
			ok = failed("its client ended otherwise", &cards[i]);
	}
	if (killed && ok)
		waitpid(unbinder, &raw, 0);
	else if (!killed)
		unbind_cards();
	return ok && ready == count;
}

/* The place and what can be made is the same in every round. */
static bool same_windows(const struct seen *first, const struct seen *now)
{
	bool ok = true;
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (now[i].start < WINDOW_START)
			ok = failed("no 64-bit window", &cards[i]);
		if (memcmp(&first[i], &now[i], sizeof(now[i])))
			ok = failed("other windows than at first", &cards[i]);
	}
	return ok;
}

/* Returns what has failed, FAILED_... */
static int one_round(unsigned int round, struct seen *first, struct seen *now)
{
	bind_cards();
	if (!give_files())
		return FAILED_FILES;
	if (!strangers_are_refused())
		return FAILED_ACCESS;
	if (!child_succeeds(limit_is_kept, &cards[round % count]))
		return FAILED_LIMIT;
	memset(now, 0, count * sizeof(*now));
	if (!run_clients(round, now))
		return FAILED_CLIENT;
	if (!round)
		memcpy(first, now, count * sizeof(*now));
	if (!same_windows(first, now))
		return FAILED_WINDOW;
	return files_gone() ? 0 : FAILED_FILES;
}

static int all_rounds(void)
{
	struct seen *seen = mmap(NULL, 2 * CARDS_MAX * sizeof(*seen),
				 PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int round;
	int failures = 0;

	VFIO_REQUIRE(seen != MAP_FAILED, "shared memory");
	for (round = 0; round < rounds && !failures; round++)
		failures = one_round(round, seen, seen + CARDS_MAX);
	if (failures)
		ksft_print_msg("in round %u of %u\n", round, rounds);
	return failures;
}

int main(int argc, char **argv)
{
	long before, lost;
	int failures;

	ksft_print_header();
	transcript_mute(1);
	if (argc > 1)
		rounds = atoi(argv[1]);
	if (!testbed_is_partition())
		ksft_exit_skip("not a logical partition\n");
	find_cards();
	if (count < CARDS_MIN)
		ksft_exit_skip("functions in groups of their own: %u of %u\n",
			       count, CARDS_MIN);

	ksft_set_plan(7);
	before = leak_pins();
	lost = leak_of(all_rounds, &failures);
	ksft_test_result(!(failures & FAILED_FILES),
			 "%u cards' group files come and go\n", count);
	ksft_test_result(!(failures & FAILED_ACCESS),
			 "strangers are refused\n");
	ksft_test_result(!(failures & FAILED_LIMIT),
			 "what is beyond the limit is not counted\n");
	ksft_test_result(!(failures & ~FAILED_ELSEWHERE),
			 "clients do DMA for %u rounds\n", rounds);
	ksft_test_result(!(failures & FAILED_WINDOW),
			 "windows are the same in all rounds\n");
	if (lost)
		ksft_print_msg("%ld KiB did not come back\n", lost);
	ksft_test_result(!lost, "memory comes back\n");
	ksft_test_result(leak_pins() == before, "no page stays pinned\n");
	ksft_finished();
}
