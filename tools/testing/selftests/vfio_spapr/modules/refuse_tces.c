// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypervisor that does not clear TCEs: while the parameter "refuse" is the
 * address of a PCI device, clearing TCEs of the windows that it has at the time of
 * writing fails and does nothing. "refused" counts these failures.
 */
#include <linux/iommu.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>

#include <asm/iommu.h>

static unsigned int refused;
module_param(refused, uint, 0444);

static bool refusing;
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

static int set_refuse(const char *address, const struct kernel_param *kp)
{
	struct pci_dev *pdev = find_device(address);
	struct iommu_group *group;

	WRITE_ONCE(refusing, pdev);
	if (!pdev)
		return 0;

	group = iommu_group_get(&pdev->dev);
	if (group) {
		change_tables(iommu_group_get_iommudata(group));
		iommu_group_put(group);
	}
	pci_dev_put(pdev);
	return group ? 0 : -ENODEV;
}

static const struct kernel_param_ops refuse_ops = { .set = set_refuse };
module_param_cb(refuse, &refuse_ops, NULL, 0200);

static int __init refuse_tces_init(void)
{
	return 0;
}
module_init(refuse_tces_init);

MODULE_DESCRIPTION("Test: a hypervisor that does not clear TCEs");
MODULE_LICENSE("GPL");
