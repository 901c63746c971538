// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles system resets that the kernel does not expect, so that the host survives.
 *
 * The read-only parameter "taken" counts them.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>

#include <asm/machdep.h>

static unsigned int taken;
module_param(taken, uint, 0444);

static int (*old_exception)(struct pt_regs *regs);

static int take(struct pt_regs *regs)
{
	taken++;
	return 1;
}

static int __init system_reset_init(void)
{
	old_exception = ppc_md.system_reset_exception;
	ppc_md.system_reset_exception = take;
	return 0;
}
module_init(system_reset_init);

static void __exit system_reset_exit(void)
{
	ppc_md.system_reset_exception = old_exception;
}
module_exit(system_reset_exit);

MODULE_DESCRIPTION("Test: take and count system resets");
MODULE_LICENSE("GPL");
