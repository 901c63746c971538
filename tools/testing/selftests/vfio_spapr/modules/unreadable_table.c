// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of TCEs in memory that cannot be read: while the parameter "unreadable" is
 * set, the kernel's loads from the table of a nested page table fault. A handler
 * of the exception table gets them, as it gets those that a memory error stops.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/vmalloc.h>

static bool unreadable, probed;

/* A page, with one that is not mapped behind it */
static void *area;

static int find_memory(struct kretprobe_instance *instance,
		       struct pt_regs *regs)
{
	if (READ_ONCE(unreadable) && regs_return_value(regs))
		regs_set_return_value(regs, (unsigned long)area + PAGE_SIZE);
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "tce_parent_memory",
	.handler = find_memory,
	.maxactive = 64,
};

static int set_unreadable(const char *value, const struct kernel_param *kp)
{
	return probed ? param_set_bool(value, kp) : -EOPNOTSUPP;
}

static const struct kernel_param_ops unreadable_ops = { .set = set_unreadable };
module_param_cb(unreadable, &unreadable_ops, &unreadable, 0200);

/* Not all kernels have probes */
static int __init unreadable_table_init(void)
{
	area = vmalloc(PAGE_SIZE);
	if (!area)
		return -ENOMEM;
	probed = !register_kretprobe(&probe);
	return 0;
}
module_init(unreadable_table_init);

MODULE_DESCRIPTION("Test: tables of TCEs that cannot be read");
MODULE_LICENSE("GPL");
