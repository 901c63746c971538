// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VFIO device without IOMMU, for as long as the module is loaded.
 *
 * Every PCI function of a POWER host has an IOMMU, so tests of no-IOMMU groups
 * have to bring a device of their own.  It has no resources and does no DMA.
 * VFIO must have been told to accept such devices (its module parameter
 * enable_unsafe_noiommu_mode) or loading fails with -ENODEV.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/vfio.h>

static struct platform_device *noiommu_pdev;

static const struct vfio_device_ops noiommu_ops = {
	.name = "vfio-noiommu-test",
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
};

static int noiommu_probe(struct platform_device *pdev)
{
	struct vfio_device *device;
	int ret;

	device = _vfio_alloc_device(sizeof(*device), &pdev->dev, &noiommu_ops);
	if (IS_ERR(device))
		return PTR_ERR(device);

	platform_set_drvdata(pdev, device);
	ret = vfio_register_group_dev(device);
	if (ret)
		vfio_put_device(device);
	return ret;
}

static void noiommu_remove(struct platform_device *pdev)
{
	struct vfio_device *device = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(device);
	vfio_put_device(device);
}

static struct platform_driver noiommu_driver = {
	.remove = noiommu_remove,
	.driver = {
		.name = "vfio-noiommu-test",
	},
};

static int __init noiommu_device_init(void)
{
	noiommu_pdev = platform_create_bundle(&noiommu_driver, noiommu_probe,
					      NULL, 0, NULL, 0);
	return PTR_ERR_OR_ZERO(noiommu_pdev);
}
module_init(noiommu_device_init);

static void __exit noiommu_device_exit(void)
{
	platform_device_unregister(noiommu_pdev);
	platform_driver_unregister(&noiommu_driver);
}
module_exit(noiommu_device_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO device without IOMMU, for tests");
