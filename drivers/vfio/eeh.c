// SPDX-License-Identifier: GPL-2.0-only
/*
 * EEH operations of VFIO users on a partitionable endpoint (PE)
 */
#include <linux/export.h>
#include <linux/nospec.h>
#include <linux/vfio.h>
#include <asm/eeh.h>

static const int eeh_option[] = {
	[VFIO_EEH_PE_DISABLE] = EEH_OPT_DISABLE,
	[VFIO_EEH_PE_ENABLE] = EEH_OPT_ENABLE,
	[VFIO_EEH_PE_UNFREEZE_IO] = EEH_OPT_THAW_MMIO,
	[VFIO_EEH_PE_UNFREEZE_DMA] = EEH_OPT_THAW_DMA,
	[VFIO_EEH_PE_RESET_DEACTIVATE] = EEH_RESET_DEACTIVATE,
	[VFIO_EEH_PE_RESET_HOT] = EEH_RESET_HOT,
	[VFIO_EEH_PE_RESET_FUNDAMENTAL] = EEH_RESET_FUNDAMENTAL,
};

/**
 * vfio_eeh_pe_op - Do what a user asks of a PE
 * @pe: the PE, which the caller holds
 * @op: VFIO_EEH_PE_DISABLE and so on
 * @err: the error of VFIO_EEH_PE_INJECT_ERR, read for that one only
 *
 * Context: may sleep for seconds. A reset only tries to take the device locks of
 * the PE and PCI's rescan-remove lock, so the caller may hold what is taken below
 * these.
 *
 * Return: 0, or VFIO_EEH_PE_STATE_* for VFIO_EEH_PE_GET_STATE; -EINVAL if there
 * is no such operation or error; -EAGAIN if a hot reset needs a lock that is
 * held; or what the platform answers.
 */
long vfio_eeh_pe_op(struct eeh_pe *pe, u32 op,
		    const struct vfio_eeh_pe_err *err)
{
	const u32 count = ARRAY_SIZE(eeh_option);
	int option = op < count ? eeh_option[array_index_nospec(op, count)] : 0;

	switch (op) {
	case VFIO_EEH_PE_DISABLE ... VFIO_EEH_PE_UNFREEZE_DMA:
		return eeh_pe_set_option(pe, option);
	case VFIO_EEH_PE_GET_STATE:
		return eeh_pe_get_state(pe);
	case VFIO_EEH_PE_RESET_DEACTIVATE ... VFIO_EEH_PE_RESET_FUNDAMENTAL:
		return eeh_pe_reset(pe, option, true);
	case VFIO_EEH_PE_CONFIGURE:
		return eeh_pe_configure(pe);
	case VFIO_EEH_PE_INJECT_ERR:
		return eeh_pe_inject_err(pe, err->type, err->func, err->addr,
					 err->mask);
	}

	return -EINVAL;
}
EXPORT_SYMBOL_GPL(vfio_eeh_pe_op);
