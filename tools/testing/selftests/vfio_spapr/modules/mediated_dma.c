// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mediated device that does what a test program tells it: see mediated_dma.h.
 *
 * It pins, unpins, reads and writes the memory that its container has mapped,
 * by the calls that VFIO has for such devices and in no other way, and unpins it
 * promptly, late or never, as it was told to.
 */
#include <linux/cleanup.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mdev.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

#include "mediated_dma.h"

#define COPY_MAX	SZ_1M

/* Pages that have been pinned by one call, or one of them */
struct pinned {
	struct list_head node;
	u64 bus;
	int npages;
	struct page *pages[] __counted_by(npages);
};

struct engine {
	struct vfio_device vdev;
	/* Held when VFIO is called, and taken when VFIO calls */
	struct mutex lock;
	struct list_head ranges;
	struct mediated_dma_manners manners;
	struct mediated_dma_report report;
	struct delayed_work drop;
	/* What the delayed work unpins: all that it was asked for */
	u64 first, last;
};

static struct engine *to_engine(struct vfio_device *vdev)
{
	return container_of(vdev, struct engine, vdev);
}

static u64 last_of(const struct pinned *range)
{
	return range->bus + range->npages * PAGE_SIZE - 1;
}

static void drop(struct engine *engine, struct pinned *range)
{
	vfio_unpin_pages(&engine->vdev, range->bus, range->npages);
	list_del(&range->node);
	kvfree(range);
}

static void drop_all(struct engine *engine, u64 first, u64 last)
{
	struct pinned *range, *next;

	list_for_each_entry_safe(range, next, &engine->ranges, node)
		if (range->bus <= last && last_of(range) >= first)
			drop(engine, range);
}

static void forget_all(struct engine *engine)
{
	struct pinned *range, *next;

	list_for_each_entry_safe(range, next, &engine->ranges, node) {
		list_del(&range->node);
		kvfree(range);
	}
}

static void engine_drop(struct work_struct *work)
{
	struct engine *engine = container_of(to_delayed_work(work),
					     struct engine, drop);

	guard(mutex)(&engine->lock);
	drop_all(engine, engine->first, engine->last);
}

static void engine_dma_unmap(struct vfio_device *vdev, u64 bus, u64 size)
{
	struct engine *engine = to_engine(vdev);
	unsigned long delay;

	guard(mutex)(&engine->lock);
	delay = msecs_to_jiffies(engine->manners.delay_ms);
	engine->report.asked++;
	engine->report.bus = bus;
	engine->report.size = size;

	/* Also asked while it is being closed, when it has nothing any more */
	if (engine->manners.stubborn || list_empty(&engine->ranges))
		return;
	engine->first = bus;
	engine->last = bus + size - 1;
	if (delay)
		schedule_delayed_work(&engine->drop, delay);
	else
		drop_all(engine, engine->first, engine->last);
}

static struct pinned *range_alloc(u64 bus, int npages)
{
	struct pinned *range = kvzalloc(struct_size(range, pages, npages),
				       GFP_KERNEL);

	if (range) {
		range->bus = bus & PAGE_MASK;
		range->npages = npages;
	}
	return range;
}

/* Keep pages as ranges of one page each; if there is memory for all of them */
static int keep_singly(struct engine *engine, struct pinned *range)
{
	LIST_HEAD(singles);

	for (int i = 0; i < range->npages; i++) {
		struct pinned *single = range_alloc(range->bus + i * PAGE_SIZE,
						   1);

		if (!single) {
			struct pinned *next;

			list_for_each_entry_safe(single, next, &singles, node)
				kvfree(single);
			return -ENOMEM;
		}
		single->pages[0] = range->pages[i];
		list_add_tail(&single->node, &singles);
	}

	list_splice(&singles, &engine->ranges);
	kvfree(range);
	return 0;
}

static int engine_pin(struct engine *engine, struct mediated_dma_range *arg)
{
	struct pinned *range = range_alloc(arg->bus, max(arg->npages, 1));
	int prot = 0, ret;

	if (!range)
		return -ENOMEM;
	if (arg->flags & MEDIATED_DMA_READ)
		prot |= IOMMU_READ;
	if (arg->flags & MEDIATED_DMA_WRITE)
		prot |= IOMMU_WRITE;

	ret = vfio_pin_pages(&engine->vdev, arg->bus, arg->npages, prot,
			     range->pages);
	if (ret <= 0) {
		kvfree(range);
		return ret;
	}
	if (!(arg->flags & MEDIATED_DMA_SINGLY)) {
		list_add(&range->node, &engine->ranges);
	} else if (keep_singly(engine, range)) {
		vfio_unpin_pages(&engine->vdev, range->bus, range->npages);
		kvfree(range);
		return -ENOMEM;
	}
	return ret;
}

static struct pinned *find_range(struct engine *engine, u64 bus, int npages)
{
	struct pinned *range;

	list_for_each_entry(range, &engine->ranges, node)
		if (range->bus == (bus & PAGE_MASK) && range->npages == npages)
			return range;
	return NULL;
}

static int engine_unpin(struct engine *engine, struct mediated_dma_range *arg)
{
	struct pinned *range;

	if (!(arg->flags & MEDIATED_DMA_SINGLY)) {
		range = find_range(engine, arg->bus, arg->npages);
		if (!range)
			return -ENOENT;
		drop(engine, range);
		return 0;
	}

	for (int i = 0; i < arg->npages; i++)
		if (!find_range(engine, arg->bus + i * PAGE_SIZE, 1))
			return -ENOENT;
	for (int i = 0; i < arg->npages; i++) {
		range = find_range(engine, arg->bus + i * PAGE_SIZE, 1);
		list_del(&range->node);
		kvfree(range);
	}
	vfio_unpin_pages(&engine->vdev, arg->bus, arg->npages);
	return 0;
}

static int on_range(struct engine *engine, void __user *uarg,
		    int (*act)(struct engine *engine,
			       struct mediated_dma_range *range))
{
	struct mediated_dma_range range;

	if (copy_from_user(&range, uarg, sizeof(range)))
		return -EFAULT;
	guard(mutex)(&engine->lock);
	return act(engine, &range);
}

/* The page that is pinned at a bus address */
static struct page *find_page(struct engine *engine, u64 bus)
{
	struct pinned *range;

	list_for_each_entry(range, &engine->ranges, node)
		if (bus >= range->bus && bus <= last_of(range))
			return range->pages[(bus - range->bus) >> PAGE_SHIFT];
	return NULL;
}

static int run_pinned(struct engine *engine, u64 bus, void *buffer,
		      size_t size, bool write)
{
	for (size_t done = 0, chunk; done < size; done += chunk) {
		unsigned int offset = offset_in_page(bus + done);
		struct page *page = find_page(engine, bus + done);

		if (!page)
			return -ENOENT;
		chunk = min(size - done, PAGE_SIZE - offset);
		if (write)
			memcpy_to_page(page, offset, buffer + done, chunk);
		else
			memcpy_from_page(buffer + done, page, offset, chunk);
	}
	return 0;
}

/* vfio_dma_rw() in a thread of the kernel, which has no memory of its own */
struct threaded_copy {
	struct work_struct work;
	struct engine *engine;
	struct mediated_dma_copy *arg;
	void *buffer;
	int ret;
};

static void threaded_copy(struct work_struct *work)
{
	struct threaded_copy *copy = container_of(work, struct threaded_copy,
						  work);

	copy->ret = vfio_dma_rw(&copy->engine->vdev, copy->arg->bus,
				copy->buffer, copy->arg->size,
				copy->arg->write);
}

static int do_copy(struct engine *engine, struct mediated_dma_copy *arg,
		   void *buffer, bool pinned)
{
	struct threaded_copy copy = {
		.engine = engine,
		.arg = arg,
		.buffer = buffer,
	};

	if (pinned)
		return run_pinned(engine, arg->bus, buffer, arg->size,
				  arg->write);
	if (!arg->thread)
		return vfio_dma_rw(&engine->vdev, arg->bus, buffer, arg->size,
				   arg->write);

	INIT_WORK_ONSTACK(&copy.work, threaded_copy);
	schedule_work(&copy.work);
	flush_work(&copy.work);
	destroy_work_on_stack(&copy.work);
	return copy.ret;
}

static int engine_copy(struct engine *engine, void __user *uarg, bool pinned)
{
	void *buffer __free(kvfree) = NULL;
	struct mediated_dma_copy arg;
	int ret;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.size > COPY_MAX)
		return -E2BIG;
	buffer = kvzalloc(arg.size, GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;

	if (arg.write && copy_from_user(buffer, u64_to_user_ptr(arg.buffer),
					arg.size))
		return -EFAULT;
	scoped_guard(mutex, &engine->lock)
		ret = do_copy(engine, &arg, buffer, pinned);
	if (!ret && !arg.write && copy_to_user(u64_to_user_ptr(arg.buffer),
					       buffer, arg.size))
		return -EFAULT;
	return ret;
}

static int engine_report(struct engine *engine, void __user *uarg)
{
	struct mediated_dma_report report;

	scoped_guard(mutex, &engine->lock) {
		report = engine->report;
		report.ranges = list_count_nodes(&engine->ranges);
	}
	return copy_to_user(uarg, &report, sizeof(report)) ? -EFAULT : 0;
}

static int engine_behave(struct engine *engine, void __user *uarg)
{
	struct mediated_dma_manners manners;

	if (copy_from_user(&manners, uarg, sizeof(manners)))
		return -EFAULT;
	guard(mutex)(&engine->lock);
	engine->manners = manners;
	return 0;
}

static int pins_of(u64 __user *uarg)
{
	struct page *page;
	u64 address;
	int pins;

	if (get_user(address, uarg))
		return -EFAULT;
	if (get_user_pages_fast(address, 1, 0, &page) != 1)
		return -EFAULT;
	if (folio_test_large(page_folio(page)))
		pins = atomic_read(&page_folio(page)->_pincount);
	else
		pins = page_ref_count(page) / GUP_PIN_COUNTING_BIAS;
	put_page(page);
	return pins;
}

static long engine_ioctl(struct vfio_device *vdev, unsigned int cmd,
			 unsigned long arg)
{
	struct engine *engine = to_engine(vdev);
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case MEDIATED_DMA_PIN:
		return on_range(engine, uarg, engine_pin);
	case MEDIATED_DMA_UNPIN:
		return on_range(engine, uarg, engine_unpin);
	case MEDIATED_DMA_COPY:
		return engine_copy(engine, uarg, false);
	case MEDIATED_DMA_RUN:
		return engine_copy(engine, uarg, true);
	case MEDIATED_DMA_BEHAVE:
		return engine_behave(engine, uarg);
	case MEDIATED_DMA_REPORT:
		return engine_report(engine, uarg);
	case MEDIATED_DMA_PINS_OF:
		return pins_of(uarg);
	default:
		return -ENOTTY;
	}
}

static int engine_open(struct vfio_device *vdev)
{
	struct engine *engine = to_engine(vdev);

	memset(&engine->manners, 0, sizeof(engine->manners));
	memset(&engine->report, 0, sizeof(engine->report));
	return 0;
}

static void engine_close(struct vfio_device *vdev)
{
	struct engine *engine = to_engine(vdev);

	cancel_delayed_work_sync(&engine->drop);
	guard(mutex)(&engine->lock);
	if (engine->manners.litters)
		forget_all(engine);
	else
		drop_all(engine, 0, U64_MAX);
}

static int engine_init(struct vfio_device *vdev)
{
	struct engine *engine = to_engine(vdev);

	mutex_init(&engine->lock);
	INIT_LIST_HEAD(&engine->ranges);
	INIT_DELAYED_WORK(&engine->drop, engine_drop);
	return 0;
}

static const struct vfio_device_ops engine_ops = {
	.name = MEDIATED_DMA_NAME,
	.init = engine_init,
	.open_device = engine_open,
	.close_device = engine_close,
	.ioctl = engine_ioctl,
	.dma_unmap = engine_dma_unmap,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
};

static int engine_probe(struct mdev_device *mdev)
{
	struct engine *engine = vfio_alloc_device(engine, vdev, &mdev->dev,
						  &engine_ops);
	int ret;

	if (IS_ERR(engine))
		return PTR_ERR(engine);

	dev_set_drvdata(&mdev->dev, engine);
	ret = vfio_register_emulated_iommu_dev(&engine->vdev);
	if (ret)
		vfio_put_device(&engine->vdev);
	return ret;
}

static void engine_remove(struct mdev_device *mdev)
{
	struct engine *engine = dev_get_drvdata(&mdev->dev);

	vfio_unregister_group_dev(&engine->vdev);
	vfio_put_device(&engine->vdev);
}

static struct mdev_driver engine_driver = {
	.device_api = VFIO_DEVICE_API_PLATFORM_STRING,
	.max_instances = 16,
	.driver = {
		.name = MEDIATED_DMA_NAME,
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
	},
	.probe = engine_probe,
	.remove = engine_remove,
};

static struct mdev_type engine_type = {
	.sysfs_name = "engine",
	.pretty_name = "DMA engine in software",
};

static struct mdev_type *engine_types[] = { &engine_type };

static struct platform_device *parent_device;
static struct mdev_parent parent;

static int __init mediated_dma_init(void)
{
	int ret;

	parent_device = platform_device_register_simple(MEDIATED_DMA_NAME,
							PLATFORM_DEVID_NONE,
							NULL, 0);
	if (IS_ERR(parent_device))
		return PTR_ERR(parent_device);

	ret = mdev_register_driver(&engine_driver);
	if (ret)
		goto err_device;

	ret = mdev_register_parent(&parent, &parent_device->dev,
				   &engine_driver, engine_types,
				   ARRAY_SIZE(engine_types));
	if (ret)
		goto err_driver;
	return 0;

err_driver:
	mdev_unregister_driver(&engine_driver);
err_device:
	platform_device_unregister(parent_device);
	return ret;
}
module_init(mediated_dma_init);

static void __exit mediated_dma_exit(void)
{
	mdev_unregister_parent(&parent);
	mdev_unregister_driver(&engine_driver);
	platform_device_unregister(parent_device);
}
module_exit(mediated_dma_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("DMA engine in software, for tests");
