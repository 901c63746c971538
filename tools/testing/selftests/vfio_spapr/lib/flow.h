/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that flow.c and flow_iommufd.c share.
 *
 * They are static inline, because each program keeps its own count of test results.
 */
#ifndef VFIO_SPAPR_FLOW_H
#define VFIO_SPAPR_FLOW_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kselftest.h"
#include "dma_device.h"

#define DMA_SIZE	(1UL << 20)

/* A result, which ends the program unless it is @ok */
static inline void check(bool ok, const char *what)
{
	if (!ok)
		ksft_print_msg("%s\n", strerror(errno));
	ksft_test_result(ok, "%s\n", what);
	if (!ok)
		exit(KSFT_FAIL);
}

/*
 * The device copies a part of @memory, which has DMA_SIZE bytes, to another. It
 * reads it from bus address @from on and writes it from @to on.
 */
static inline void device_copies(int device, char *memory, __u64 from, __u64 to)
{
	struct dma_device dma;

	dma_device_open(&dma, device);
	dma_device_init(&dma, memory + DMA_SIZE / 2, to + DMA_SIZE / 2);
	snprintf(memory, 64, "from memory to the device and back");
	check(dma_load(&dma, from, 0, 64), "the device reads");
	check(dma_store(&dma, to + 4096, 0, 64), "the device writes");
	check(!strcmp(memory, memory + 4096), "what the device read");
	dma_device_close(&dma);
}

#endif
