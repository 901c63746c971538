/* SPDX-License-Identifier: GPL-2.0 */
/* Searching the kernel log (/dev/kmsg) for messages */
#ifndef VFIO_SPAPR_MESSAGES_H
#define VFIO_SPAPR_MESSAGES_H

#include <stdbool.h>

/* Kernel messages from now on: a file, or -1 */
int messages_open(void);

/* Whether one of those that have come since the last call has @text */
bool messages_have(int fd, const char *text);

#endif
