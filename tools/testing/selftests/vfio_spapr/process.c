// SPDX-License-Identifier: GPL-2.0
/*
 * A container serves one process: the first that enabled it, registered memory, or
 * made or removed a window. Others that have its file may ask but not map.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/container.h"
#include "lib/memory.h"
#include "lib/testbed.h"
#include "lib/transcript.h"

#define PAGES	16

FIXTURE(process) {
	struct testbed bed;
};

FIXTURE_VARIANT(process) {
	const char *name;
	unsigned int type;
};

FIXTURE_VARIANT_ADD(process, v1) {
	.name = "v1",
	.type = VFIO_SPAPR_TCE_IOMMU,
};

FIXTURE_VARIANT_ADD(process, v2) {
	.name = "v2",
	.type = VFIO_SPAPR_TCE_v2_IOMMU,
};

FIXTURE_SETUP(process)
{
	TRANSCRIPT_BEGIN(_metadata, variant->name);
	if (!testbed_find(&self->bed))
		SKIP(return, "no devices");
	ASSERT_EQ(0, testbed_start(&self->bed, variant->type,
				   PAGES * self->bed.page));
}

FIXTURE_TEARDOWN(process)
{
	testbed_close(&self->bed);
}

/* What makes the container this process's own */
static long claim(const struct testbed *bed, unsigned int type, size_t size)
{
	return type == VFIO_SPAPR_TCE_IOMMU ?
	       container_enable(bed->container) :
	       container_register(bed->container, BASE_PAGES, size);
}

/* Make it so, and let the device reach the memory there */
static void claim_and_map(const struct testbed *bed, unsigned int type,
			  size_t size)
{
	claim(bed, type, size);
	container_map(bed->container, BASE_PAGES, bed->start, size, READ_WRITE);
}

/* Every call of a process that has the file but not the container */
static void try_everything(int c, __u64 start, size_t page)
{
	struct vfio_iommu_spapr_tce_info info = { 0 };

	container_check_extension(c, VFIO_SPAPR_TCE_v2_IOMMU);
	container_get_info(c, &info);
	container_enable(c);
	container_register(c, BASE_PAGES, page);
	container_map(c, BASE_PAGES, start, page, READ_WRITE);
	container_unmap(c, start, page);
	container_create_window(c, 16, GiB, 1, NULL);
	container_remove_window(c, start);
	container_unregister(c, BASE_PAGES, page);
	container_eeh(c, VFIO_EEH_PE_GET_STATE);
	container_disable(c);
	memory_see_locked("of the other process");
}

/* Run the rest in a child; the parent waits and goes on. */
static pid_t in_child(void)
{
	pid_t child = fork();

	if (child > 0)
		waitpid(child, NULL, 0);
	return child;
}

TEST_F(process, fork)
{
	struct testbed *bed = &self->bed;
	const __u64 start = bed->start;

	EXPECT_EQ(0, claim(bed, variant->type, bed->page));
	EXPECT_EQ(0, container_map(bed->container, BASE_PAGES, start,
				   bed->page, READ_WRITE));
	memory_see_locked("before the fork");
	if (!in_child()) {
		try_everything(bed->container, start, bed->page);
		_exit(0);
	}
	memory_see_locked("after the child");
	testbed_open_device(bed, 0);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], start, bed->memory, 0, NULL));
	EXPECT_EQ(0, container_unmap(bed->container, start, bed->page));
}

/* Pages that the device reaches stay the parent's. */
TEST_F(process, fork_copies_for_the_child)
{
	struct testbed *bed = &self->bed;
	const __u64 start = bed->start;
	volatile __u64 *word = (void *)bed->memory;
	int go[2];
	pid_t child;
	int status;
	char c;

	*word = 1;
	EXPECT_EQ(0, claim(bed, variant->type, bed->page));
	EXPECT_EQ(0, container_map(bed->container, BASE_PAGES, start,
				   bed->page, READ_WRITE));
	ASSERT_EQ(0, pipe(go));
	child = fork();
	if (!child) {
		*word = 2;
		close(go[1]);
		if (read(go[0], &c, 1) < 0)
			_exit(1);
		_exit(*word == 2 ? 0 : 1);
	}
	*word = 3;
	testbed_open_device(bed, 0);
	EXPECT_EQ(3, dma_reach(&bed->dma[0], start, bed->memory, 0, NULL));
	EXPECT_EQ(3, *word);
	close(go[0]);
	close(go[1]);
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* Before anything is claimed any process may; then it alone. */
TEST_F(process, child_claims)
{
	struct testbed *bed = &self->bed;
	const __u64 start = bed->start;

	if (!in_child()) {
		claim_and_map(bed, variant->type, bed->page);
		_exit(0);
	}
	try_everything(bed->container, start, bed->page);
	/* What the child had mapped is still reached: not this process's */
	testbed_open_device(bed, 0);
	EXPECT_EQ(0, dma_reach(&bed->dma[0], start, bed->memory, 0, NULL) & 1);
	testbed_close(bed);
	memory_see_locked("closed");
}

static int send_file(int socket, int file)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(cmsg) = file;
	return sendmsg(socket, &message, 0) == 1 ? 0 : -errno;
}

static int receive_file(int socket)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	return *(int *)CMSG_DATA(CMSG_FIRSTHDR(&message));
}

/* A process that gets the file over a socket is another one all the same. */
TEST_F(process, file_passed)
{
	struct testbed *bed = &self->bed;
	const __u64 start = bed->start;
	int sockets[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = fork();
	if (!child) {
		int file = receive_file(sockets[1]);

		close(bed->container);
		try_everything(file, start, bed->page);
		_exit(0);
	}
	EXPECT_EQ(0, claim(bed, variant->type, bed->page));
	EXPECT_EQ(0, send_file(sockets[0], bed->container));
	EXPECT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_EQ(0, container_map(bed->container, BASE_PAGES, start,
				   bed->page, READ_WRITE));
	memory_see_locked("after the child");
}

/* A process that is killed leaves nothing behind: the group can be used. */
TEST_F(process, killed)
{
	struct testbed *bed = &self->bed;
	const __u64 start = bed->start;
	pid_t child;
	int status;

	testbed_close(bed);
	child = fork();
	if (!child) {
		testbed_open(bed, variant->type);
		claim_and_map(bed, variant->type, PAGES * bed->page);
		testbed_open_device(bed, 0);
		dma_reach(&bed->dma[0], start, bed->memory, 0, NULL);
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));

	testbed_open(bed, variant->type);
	testbed_open_device(bed, 0);
	EXPECT_EQ(0, dma_reach(&bed->dma[0], start, bed->memory, 0, NULL) & 3);
	EXPECT_EQ(0, claim(bed, variant->type, bed->page));
	EXPECT_EQ(0, container_map(bed->container, BASE_PAGES, start,
				   bed->page, READ_WRITE));
	EXPECT_EQ(3, dma_reach(&bed->dma[0], start, bed->memory, 0, NULL));
}

/* The process may die before the container, whose file another one has. */
TEST_F(process, dies_before_the_container)
{
	struct testbed *bed = &self->bed;
	const __u64 start = bed->start;

	if (!in_child()) {
		claim_and_map(bed, variant->type, PAGES * bed->page);
		_exit(0);
	}
	EXPECT_EQ(-EPERM, container_unmap(bed->container, start, bed->page));
	testbed_close(bed);
	testbed_open(bed, variant->type);
	EXPECT_EQ(0, claim(bed, variant->type, bed->page));
	memory_see_locked("claimed again");
}

/* exec() ends the container when its files close with it. */
TEST_F(process, exec)
{
	struct testbed *bed = &self->bed;
	pid_t child;
	int status;

	testbed_close(bed);
	child = fork();
	if (!child) {
		testbed_open(bed, variant->type);
		claim_and_map(bed, variant->type, PAGES * bed->page);
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	testbed_open(bed, variant->type);
	EXPECT_EQ(0, claim(bed, variant->type, bed->page));
}

TEST_HARNESS_MAIN
