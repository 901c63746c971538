// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices and their PEs
 *
 * Makes each bridge known to the IOMMU core, finds the PE of a device, and
 * moves PEs between the DMA API (the platform domain) and users (the blocked
 * domain).
 * spapr-iommu.h explains these terms.
 */

#define pr_fmt(fmt) "spapr-iommu: " fmt

#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include <asm/iommu.h>
#include <asm/pci-bridge.h>
#include <asm/ppc-pci.h>

#include "spapr-iommu.h"

/*
 * Attach a device to the domain in which drivers of the host use the DMA API of
 * the architecture
 */
static int tce_platform_attach_dev(struct iommu_domain *domain,
				   struct device *dev, struct iommu_domain *old)
{
	struct iommu_table_group *group = tce_group(dev);

	/* The PE has been the host's since it was found */
	if (!old || old == domain)
		return 0;

	tce_leave_domain(group, dev);
	tce_release_ownership(group, dev);
	return 0;
}

static const struct iommu_domain_ops tce_platform_domain_ops = {
	.attach_dev = tce_platform_attach_dev,
};

static struct iommu_domain tce_platform_domain = {
	.type = IOMMU_DOMAIN_PLATFORM,
	.ops = &tce_platform_domain_ops,
};

/*
 * Fails only where the PE has been the host's and the platform cannot take the
 * host's windows away, or where a device of the PE is in no group. The PE is the
 * host's then as before.
 */
static int tce_blocked_attach_dev(struct iommu_domain *domain,
				  struct device *dev, struct iommu_domain *old)
{
	struct iommu_table_group *group = tce_group(dev);
	int ret;

	ret = tce_take_ownership(group, dev, old);
	if (ret)
		return ret;

	tce_leave_domain(group, dev);
	return 0;
}

static const struct iommu_domain_ops tce_blocked_domain_ops = {
	.attach_dev = tce_blocked_attach_dev,
};

static struct iommu_domain tce_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &tce_blocked_domain_ops,
};

static bool tce_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

static struct iommu_group *tce_device_group(struct device *dev)
{
	struct pci_controller *hose = pci_bus_to_host(to_pci_dev(dev)->bus);

	if (!hose->controller_ops.device_group)
		return ERR_PTR(-ENOENT);
	return hose->controller_ops.device_group(hose, to_pci_dev(dev));
}

/**
 * tce_pe_is_whole() - Tell whether the core knows all devices of a PE
 * @group: The PE
 *
 * A device whose probe failed is in no group and keeps its driver. If a user got
 * the PE, that driver's DMA would go to the user's windows. A device that is being
 * added is taken for one. A bridge is not: it does no DMA of its own, and the
 * platform puts none into a group that it finds before the PE's first device.
 *
 * Context: process context, the group's mutex is held.
 * Return: false, after a message, if there is such a device.
 */
bool tce_pe_is_whole(const struct iommu_table_group *group)
{
	struct iommu_group *its_group;
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (pdev->dev.iommu_group || pci_is_bridge(pdev))
			continue;
		its_group = tce_device_group(&pdev->dev);
		if (IS_ERR(its_group))
			continue;
		iommu_group_put(its_group);
		if (its_group != group->group)
			continue;

		dev_warn_ratelimited(&pdev->dev,
				     "is not in IOMMU group %d, so users cannot have that group\n",
				     iommu_group_id(its_group));
		pci_dev_put(pdev);
		return false;
	}
	return true;
}

/*
 * The bridges translate every access and answer no requests for translations.
 * While the core resets a device that could make such requests it blocks it,
 * which here would take the windows from all of the PE.
 */
static void tce_forbid_ats(struct pci_dev *pdev)
{
#ifdef CONFIG_PCI_ATS
	pdev->ats_cap = 0;
#endif
}

static struct iommu_device *tce_probe_device(struct device *dev)
{
	struct iommu_device *iommu;
	struct iommu_group *group;
	struct tce_device *tdev;

	if (!dev_is_pci(dev))
		return ERR_PTR(-ENODEV);

	/* The core asks for devices of all bridges as soon as one is registered */
	iommu = &pci_bus_to_host(to_pci_dev(dev)->bus)->iommu;
	if (!iommu->dev)
		return ERR_PTR(-ENODEV);

	group = tce_device_group(dev);
	if (IS_ERR(group))
		return ERR_CAST(group);

	tdev = kzalloc_obj(*tdev);
	if (!tdev) {
		iommu_group_put(group);
		return ERR_PTR(-ENOMEM);
	}

	/* The device will hold the group for as long as it has @tdev */
	tdev->group = iommu_group_get_iommudata(group);
	iommu_group_put(group);
	dev_iommu_priv_set(dev, tdev);
	tce_forbid_ats(to_pci_dev(dev));
	return iommu;
}

/*
 * The PE keeps its domain while it has devices. The last device takes the PE
 * out of the domain, which will be freed.
 */
static void tce_release_device(struct device *dev)
{
	struct tce_device *tdev = dev_iommu_priv_get(dev);

	if (tdev->counted && !--tdev->group->domain_devices)
		tce_leave_domain(tdev->group, dev);
	kfree(tdev);
}

static void tce_get_resv_regions(struct device *dev, struct list_head *regions)
{
	struct tce_device *tdev = dev_iommu_priv_get(dev);

	if (tdev->group->ops->get_resv_regions)
		tdev->group->ops->get_resv_regions(tdev->group, regions);
}

static const struct iommu_ops tce_iommu_ops = {
	.default_domain = &tce_platform_domain,
	.blocked_domain = &tce_blocked_domain,
	.capable = tce_capable,
	.domain_alloc_nested = tce_domain_alloc_nested,
	.domain_alloc_paging_flags = tce_domain_alloc_paging_flags,
	.probe_device = tce_probe_device,
	.release_device = tce_release_device,
	.device_group = tce_device_group,
	.get_resv_regions = tce_get_resv_regions,
	.hw_info = tce_hw_info,
};

static struct attribute *tce_iommu_attrs[] = {
	NULL,
};

static const struct attribute_group tce_iommu_attr_group = {
	.name = "spapr-tce-iommu",
	.attrs = tce_iommu_attrs,
};

static const struct attribute_group *tce_iommu_attr_groups[] = {
	&tce_iommu_attr_group,
	NULL,
};

static int tce_register_bridge(struct pci_controller *phb)
{
	struct iommu_device *iommu = &phb->iommu;
	int ret;

	ret = iommu_device_sysfs_add(iommu, phb->parent, tce_iommu_attr_groups,
				     "iommu-phb%04x", phb->global_number);
	if (ret) {
		iommu->dev = NULL;
		return ret;
	}

	ret = iommu_device_register(iommu, &tce_iommu_ops, phb->parent);
	if (ret)
		iommu_device_sysfs_remove(iommu);
	return ret;
}

/**
 * ppc_iommu_register_device() - Make a bridge known as an IOMMU
 * @phb: The bridge. Its devices are not known yet
 *
 * Where that fails, its devices get no IOMMU groups: they work for the host, and
 * VFIO refuses them.
 *
 * Context: process context.
 */
void ppc_iommu_register_device(struct pci_controller *phb)
{
	int ret = tce_register_bridge(phb);

	if (ret)
		pr_err("%pOF: error %d, no IOMMU groups for its devices\n",
		       phb->dn, ret);
}

/**
 * ppc_iommu_unregister_device() - Undo ppc_iommu_register_device()
 * @phb: The bridge. Its devices are gone
 *
 * Context: process context.
 */
void ppc_iommu_unregister_device(struct pci_controller *phb)
{
	if (!phb->iommu.dev)
		return;

	iommu_device_unregister(&phb->iommu);
	iommu_device_sysfs_remove(&phb->iommu);
}

/* After iommu_init() and pci_driver_init(), before PCI devices are scanned */
static int __init tce_iommu_register_bridges(void)
{
	struct pci_controller *hose;

	list_for_each_entry(hose, &hose_list, list_node)
		ppc_iommu_register_device(hose);
	return 0;
}
postcore_initcall_sync(tce_iommu_register_bridges);
