// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process that an sPAPR TCE container serves
 *
 * A container serves the first process that enables it, registers memory, or makes or
 * removes a window; with mediated devices alone also one that maps or unmaps.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include "container.h"

/* Serve the current process, and no other from now on */
int tce_bind_mm(struct tce_container *container)
{
	int ret;

	lockdep_assert_held(&container->lock);

	if (container->mm)
		return container->mm == current->mm ? 0 : -EPERM;

	ret = tce_mediated_serve(&container->mediated);
	if (ret)
		return ret;

	mmgrab(current->mm);
	container->mm = current->mm;
	return 0;
}

/* Does the container serve a process other than the current one? */
bool tce_serves_another(const struct tce_container *container)
{
	lockdep_assert_held(&container->lock);

	return container->mm && container->mm != current->mm;
}
