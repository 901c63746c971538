// SPDX-License-Identifier: GPL-2.0
/* Searching the kernel log for messages, see messages.h. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "messages.h"

int messages_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* One record a read */
bool messages_have(int fd, const char *text)
{
	char record[1024];
	ssize_t length;

	while ((length = read(fd, record, sizeof(record) - 1)) > 0) {
		record[length] = '\0';
		if (strstr(record, text))
			return true;
	}
	return false;
}
