// SPDX-License-Identifier: GPL-2.0-only
/*
 * EEH of the groups in an sPAPR TCE container: VFIO_EEH_PE_OP
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/limits.h>
#include <linux/vfio.h>
#include <asm/eeh.h>
#include "container.h"

/* How often and how long VFIO_EEH_PE_OP waits for a device lock: for a second */
#define EEH_TRIES	20
#define EEH_TRY_MS	50

static int read_eeh_op(struct vfio_eeh_pe_op *op, void __user *arg)
{
	int ret = tce_read_args(op, arg, offsetofend(typeof(*op), op));

	if (ret)
		return ret;
	if (op->flags)
		return -EINVAL;

	return op->op == VFIO_EEH_PE_INJECT_ERR ?
	       tce_read_args(op, arg, offsetofend(typeof(*op), err.mask)) : 0;
}

/*
 * The PE of the group with hardware whose number comes next after *@number, and
 * that number; an error pointer, or NULL for a group without PE. The caller
 * drops the reference to the PE.
 */
static struct eeh_pe *next_pe(struct tce_container *container, int *number)
{
	struct spapr_tce_domain_group *dg, *next = NULL;
	int id, best = INT_MAX;

	lockdep_assert_held(&container->eeh_lock);

	guard(mutex)(&container->lock);

	if (tce_serves_another(container))
		return ERR_PTR(-EPERM);

	list_for_each_entry(dg, &container->domain.groups, node) {
		id = iommu_group_id(dg->group);
		if (!dg->table_group || id <= *number || id > best)
			continue;
		next = dg;
		best = id;
	}
	if (!next)
		return ERR_PTR(-ENODEV);

	*number = best;
	return eeh_iommu_group_to_pe(next->group);
}

/*
 * VFIO_EEH_PE_OP: works on each group that has hardware, up to the first that
 * answers an error or a state other than normal.
 *
 * tce_container::eeh_lock keeps a group in the container until the operation on
 * its PE has ended: the next user of the PE must not see it. No lock is held
 * while the arguments are read.
 *
 * A reset fails if somebody holds the lock of a device. QEMU would report that to
 * the guest as an error of the hardware, and most hold such a lock for a moment
 * only. So try for a while, without a lock that they could wait for.
 */
long tce_eeh_op(struct tce_container *container, void __user *arg)
{
	struct vfio_eeh_pe_op op;
	int number = -1, wrong = read_eeh_op(&op, arg), tries = EEH_TRIES;

	while (true) {
		int next = number;
		long ret = 0;

		scoped_guard(mutex, &container->eeh_lock) {
			struct eeh_pe *pe __free(eeh_pe_put) =
				next_pe(container, &next);

			if (pe == ERR_PTR(-ENODEV) && number >= 0)
				return 0;
			if (IS_ERR(pe))
				return PTR_ERR(pe);
			if (!pe)
				return -ENODEV;

			ret = wrong ?: vfio_eeh_pe_op(pe, op.op, &op.err);
		}
		if (ret == -EAGAIN && --tries > 0 &&
		    !msleep_interruptible(EEH_TRY_MS))
			continue;
		if (ret)
			return ret;
		number = next;
	}
}

/* End the reset that the user of a group leaves behind, if there is one */
void tce_eeh_leave(struct tce_container *container, struct iommu_group *group)
{
	lockdep_assert_held(&container->eeh_lock);

	/* Only mediated devices */
	if (!iommu_group_get_iommudata(group))
		return;

	struct eeh_pe *pe __free(eeh_pe_put) = eeh_iommu_group_to_pe(group);
	if (pe)
		eeh_pe_user_left(pe);
}
