// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the platform behave like a hypervisor that fails, or that is slow.
 *
 * Write the address of a PCI device to "refuse". Clearing TCEs of the windows that
 * the device has at that moment then fails. "refused" counts the failures.
 *
 * Write the address of a PCI device to "refuse_put". TCEs are then refused in these
 * windows, once "puts" is 0. Each call that puts some lowers it.
 *
 * Write the address of a PCI device to "hold". Removing its windows then waits. With
 * "hold_late" set, the hypervisor removes the window, but the call waits before it
 * returns. "held" counts the calls that wait.
 *
 * Write anything else to one of these parameters to end it.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>

#include <asm/iommu.h>

static unsigned int refused;
module_param(refused, uint, 0444);

static bool hold_late;
module_param(hold_late, bool, 0644);

static atomic_t waiting = ATOMIC_INIT(0);
static bool holding;
static struct iommu_table_group_ops *group_platform;
static struct iommu_table_group_ops holding_ops;

static unsigned int puts;
module_param(puts, uint, 0644);

static bool refusing, refusing_put;
static const struct iommu_table_ops *platform;
static struct iommu_table_ops refusing_ops;

static long clear_list(struct iommu_table *tbl, unsigned long index,
		       unsigned long npages)
{
	if (!READ_ONCE(refusing))
		return platform->clear_list(tbl, index, npages);
	refused++;
	return -EIO;
}

/* The engine and the driver call it with the window's lock held */
static long put_list(struct iommu_table *tbl, unsigned long index,
		     unsigned long npages, const struct spapr_tce *list)
{
	if (READ_ONCE(refusing_put) && !puts) {
		refused++;
		platform->clear_list(tbl, index, npages);
		return -ENOSPC;
	}
	if (puts)
		puts--;
	return platform->put_list(tbl, index, npages, list);
}

static void change_tables(struct iommu_table_group *table_group)
{
	struct iommu_table *tbl;

	for (int i = 0; i < IOMMU_TABLE_GROUP_MAX_TABLES; i++) {
		tbl = table_group->tables[i];
		if (!tbl || tbl->it_ops == &refusing_ops)
			continue;
		platform = tbl->it_ops;
		refusing_ops = *platform;
		refusing_ops.clear_list = clear_list;
		refusing_ops.put_list = put_list;
		tbl->it_ops = &refusing_ops;
	}
}

static struct pci_dev *find_device(const char *address)
{
	unsigned int domain, bus, slot, function;

	if (sscanf(address, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return NULL;
	return pci_get_domain_bus_and_slot(domain, bus,
					   PCI_DEVFN(slot, function));
}

static void wait(void)
{
	atomic_inc(&waiting);
	while (READ_ONCE(holding))
		msleep(20);
	atomic_dec(&waiting);
}

static long close_window(struct iommu_table_group *table_group,
			 struct pci_dev *pdev, int num)
{
	long ret;

	if (!hold_late)
		wait();
	ret = group_platform->close_window(table_group, pdev, num);
	if (hold_late)
		wait();
	return ret;
}

static void change_group(struct iommu_table_group *table_group)
{
	if (table_group->ops == &holding_ops)
		return;
	group_platform = table_group->ops;
	holding_ops = *group_platform;
	holding_ops.close_window = close_window;
	table_group->ops = &holding_ops;
}

/* Set *@on if @address is that of a device, whose PE @change is called for then */
static int set(const char *address, bool *on,
	       void (*change)(struct iommu_table_group *table_group))
{
	struct pci_dev *pdev = find_device(address);
	struct iommu_group *group;

	WRITE_ONCE(*on, pdev);
	if (!pdev)
		return 0;

	group = iommu_group_get(&pdev->dev);
	if (group) {
		change(iommu_group_get_iommudata(group));
		iommu_group_put(group);
	}
	pci_dev_put(pdev);
	return group ? 0 : -ENODEV;
}

static int set_refuse(const char *address, const struct kernel_param *kp)
{
	return set(address, &refusing, change_tables);
}

static int set_refuse_put(const char *address, const struct kernel_param *kp)
{
	return set(address, &refusing_put, change_tables);
}

static int set_hold(const char *address, const struct kernel_param *kp)
{
	return set(address, &holding, change_group);
}

static int get_held(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&waiting));
}

static const struct kernel_param_ops refuse_ops = { .set = set_refuse };
module_param_cb(refuse, &refuse_ops, NULL, 0200);

static const struct kernel_param_ops refuse_put_ops = { .set = set_refuse_put };
module_param_cb(refuse_put, &refuse_put_ops, NULL, 0200);

static const struct kernel_param_ops hold_ops = { .set = set_hold };
module_param_cb(hold, &hold_ops, NULL, 0200);

static const struct kernel_param_ops held_ops = { .get = get_held };
module_param_cb(held, &held_ops, NULL, 0444);

static int __init refuse_tces_init(void)
{
	return 0;
}
module_init(refuse_tces_init);

MODULE_DESCRIPTION("Test: a hypervisor that refuses to change TCEs");
MODULE_LICENSE("GPL");
