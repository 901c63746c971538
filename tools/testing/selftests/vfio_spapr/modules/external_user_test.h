/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * User interface of external_user_test: an external user of VFIO groups that
 * does what a test program tells it.
 *
 * Each open file of the device is one external user, which holds at most one
 * group.  Closing the file unregisters it and puts what it holds.
 */
#ifndef EXTERNAL_USER_TEST_H
#define EXTERNAL_USER_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define EXTERNAL_USER_TEST_NAME	"external_user_test"

/* Takes the group of this file descriptor; -EBUSY when one is held. */
#define EXTERNAL_USER_GET		_IOW('X', 0, __s32)
/* Puts the group; as the other ones below -ENOENT when none is held. */
#define EXTERNAL_USER_PUT		_IO('X', 1)
/* Answers the id. */
#define EXTERNAL_USER_IOMMU_ID		_IO('X', 2)
#define EXTERNAL_USER_REGISTER		_IOW('X', 3, struct external_user_callback)
#define EXTERNAL_USER_UNREGISTER	_IO('X', 4)
#define EXTERNAL_USER_REPORT		_IOR('X', 5, struct external_user_report)
/* Ends the wait of a callback that was asked to hold; once for each. */
#define EXTERNAL_USER_RELEASE		_IO('X', 6)

/* What the callback does, in this order. */
struct external_user_callback {
	__u32 delay_ms;		/* sleeps so long */
	__u32 hold;		/* waits for EXTERNAL_USER_RELEASE */
	__u32 put;		/* puts the group */
};

/*
 * What the callback saw.  Sequence numbers come from one counter for all
 * users, above zero; zero means that it has not happened.
 */
struct external_user_report {
	__u32 calls;
	__u32 begin_seq;	/* callback entered */
	__u32 end_seq;		/* callback about to return */
	__u32 unbound_seq;	/* a PCI function has left its driver (latest) */
	__s32 id;		/* what the id was answered with in the callback */
	__u32 owned;		/* at the end the group's DMA was not the host's */
};

#endif
