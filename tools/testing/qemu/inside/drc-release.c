// SPDX-License-Identifier: GPL-2.0
/*
 * drc-release FILE...
 *
 * Gives the PCI slots back whose DRC index the FILEs (ibm,my-drc-index in the
 * device tree) hold: what a partition owes the hypervisor after it was asked to
 * let a device go and has taken it from its driver. PAPR: isolate the connector,
 * which for a PCI slot is all.
 */
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Indicator, and the value of it that takes the slot away */
#define ISOLATION_STATE	9001
#define ISOLATE		0

#define TOKEN_FILE	"/proc/device-tree/rtas/set-indicator"

/* As the rtas system call takes it; all of it big-endian */
struct rtas_args {
	uint32_t token;
	uint32_t nargs;
	uint32_t nret;
	uint32_t args[16];
	uint64_t rets;
};

/* A big-endian cell; 0, which neither a token nor an index is, if there is none */
static uint32_t read_cell(const char *path)
{
	FILE *file = fopen(path, "r");
	uint32_t cell;

	if (!file)
		return 0;
	if (fread(&cell, sizeof(cell), 1, file) != 1)
		cell = 0;
	fclose(file);
	return be32toh(cell);
}

/* The status that RTAS answers, or -1 */
static int set_indicator(uint32_t token, uint32_t indicator, uint32_t index,
			 uint32_t value)
{
	struct rtas_args call = {
		.token = htobe32(token),
		.nargs = htobe32(3),
		.nret = htobe32(1),
		.args = { htobe32(indicator), htobe32(index), htobe32(value) },
	};

	if (syscall(SYS_rtas, &call))
		return -1;
	return (int32_t)be32toh(call.args[3]);
}

int main(int argc, char **argv)
{
	uint32_t token = read_cell(TOKEN_FILE);

	if (!token) {
		perror(TOKEN_FILE);
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		uint32_t index = read_cell(argv[i]);

		if (!index) {
			perror(argv[i]);
			return 1;
		}
		if (set_indicator(token, ISOLATION_STATE, index, ISOLATE)) {
			fprintf(stderr, "%s: slot %#x stays\n", argv[i], index);
			return 1;
		}
	}
	return 0;
}
