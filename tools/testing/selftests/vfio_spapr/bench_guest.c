// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest pays to move data through a passed-through device: 8 MiB
 * received over TCP or read from an NVMe drive past the page cache, everything
 * counted that guest, monitor and host execute meanwhile.
 *
 * Runs in the guest. The other end of the connection sends SIZE bytes and
 * closes it.
 *
 * bench_guest OPERATION nic ADDRESS PORT
 * bench_guest OPERATION drive FILE
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/memory.h"

#define SIZE	(8 * MiB)
#define PART	(64 * KiB)

static const char *operation;
static alignas(PART) char buffer[PART];

static size_t read_to_end(int fd, size_t most)
{
	size_t done = 0;
	ssize_t got;

	while (done < most) {
		got = read(fd, buffer, sizeof(buffer));
		bench_require(got >= 0, operation, "read", errno);
		if (!got)
			break;
		done += got;
	}
	return done;
}

static int connected(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	bench_require(fd >= 0, operation, "socket", errno);
	bench_require(!connect(fd, (const struct sockaddr *)to, sizeof(*to)),
		      operation, "connect", errno);
	return fd;
}

/* The connection, made before the count begins, is a packet each way. */
static void bench_nic(const char *address, const char *port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(port)),
	};
	size_t done;
	int fd;

	bench_require(inet_pton(AF_INET, address, &to.sin_addr) == 1, operation,
		      "address", 0);
	bench_rounds(operation) {
		fd = connected(&to);
		bench_begin();
		done = read_to_end(fd, SIZE);
		bench_end(operation, "MiB", SIZE / MiB);
		bench_require(done == SIZE, operation, "received", done);
		close(fd);
	}
}

static void bench_drive(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT);
	size_t done;

	bench_require(fd >= 0, operation, path, errno);
	bench_rounds(operation) {
		bench_require(!lseek(fd, 0, SEEK_SET), operation, "lseek",
			      errno);
		bench_begin();
		done = read_to_end(fd, SIZE);
		bench_end(operation, "MiB", SIZE / MiB);
		bench_require(done == SIZE, operation, "read in all", done);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	bench_choose(NULL);
	if (argc == 5 && !strcmp(argv[2], "nic")) {
		operation = argv[1];
		bench_nic(argv[3], argv[4]);
		return 0;
	}
	if (argc == 4 && !strcmp(argv[2], "drive")) {
		operation = argv[1];
		bench_drive(argv[3]);
		return 0;
	}
	fprintf(stderr, "usage: bench_guest OPERATION nic ADDRESS PORT | drive FILE\n");
	return 2;
}
