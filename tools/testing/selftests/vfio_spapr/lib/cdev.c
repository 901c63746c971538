// SPDX-License-Identifier: GPL-2.0
/* VFIO device files and iommufd, see cdev.h. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cdev.h"
#include "transcript.h"
#include "vfio_pci.h"

int iommufd_open(void)
{
	int file = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return file < 0 ? -errno : file;
}

long iommufd_ioas_alloc(int iommufd, __u32 *ioas)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	long ret;

	ret = transcript_call(ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc),
			      "IOAS_ALLOC");
	*ioas = alloc.out_ioas_id;
	return ret;
}

long iommufd_destroy(int iommufd, __u32 id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	return transcript_call(ioctl(iommufd, IOMMU_DESTROY, &destroy),
			       "DESTROY");
}

long iommufd_map(int iommufd, __u32 ioas, const void *memory, __u64 iova,
		 size_t size, __u32 flags)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = flags | IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas,
		.user_va = (unsigned long)memory,
		.length = size,
		.iova = iova,
	};

	return transcript_call(ioctl(iommufd, IOMMU_IOAS_MAP, &map),
			       "IOAS_MAP va=%p iova=%#llx size=%#zx flags=%#x",
			       memory, iova, size, flags);
}

long iommufd_unmap(int iommufd, __u32 ioas, __u64 iova, size_t size)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.iova = iova,
		.length = size,
	};
	long ret;

	ret = transcript_call(ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap),
			      "IOAS_UNMAP iova=%#llx size=%#zx", iova, size);
	return ret || unmap.length == size ? ret : -EIO;
}

long iommufd_ranges(int iommufd, __u32 ioas, struct iommu_iova_range *ranges,
		    unsigned int count)
{
	struct iommu_ioas_iova_ranges query = {
		.size = sizeof(query),
		.ioas_id = ioas,
		.num_iovas = count,
		.allowed_iovas = (unsigned long)ranges,
	};
	unsigned int i;
	long ret;

	ret = transcript_call(ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &query),
			      "IOAS_IOVA_RANGES count=%u", count);
	if (ret)
		return ret;
	for (i = 0; i < query.num_iovas && i < count; i++)
		transcript_answer("range %u: %#llx to %#llx", i,
				  ranges[i].start, ranges[i].last);
	return query.num_iovas;
}

long iommufd_hwpt_alloc(int iommufd, __u32 device, __u32 of, __u32 flags,
			__u32 *hwpt)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = flags,
		.dev_id = device,
		.pt_id = of,
	};
	long ret;

	ret = transcript_call(ioctl(iommufd, IOMMU_HWPT_ALLOC, &alloc),
			      "HWPT_ALLOC flags=%#x", flags);
	*hwpt = alloc.out_hwpt_id;
	return ret;
}

int iommufd_hwpt_alloc_data(int iommufd, __u32 device, __u32 of, __u32 type,
			    const void *data, __u32 size, __u32 *hwpt)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = device,
		.pt_id = of,
		.data_type = type,
		.data_len = size,
		.data_uptr = (unsigned long)data,
	};
	int ret = ioctl(iommufd, IOMMU_HWPT_ALLOC, &alloc);

	*hwpt = alloc.out_hwpt_id;
	return ret;
}

long iommufd_hwpt_alloc_windows(int iommufd, __u32 device, __u32 of,
				const struct hwpt_windows *windows,
				__u32 *hwpt)
{
	return transcript_call(iommufd_hwpt_alloc_data(iommufd, device, of,
						       HWPT_DATA_SPAPR_TCE,
						       windows,
						       sizeof(*windows), hwpt),
			       "HWPT_ALLOC flags=%#x %u windows, %#llx+%#llx %u %u, %#llx+%#llx %u %u",
			       windows->flags, windows->num_windows,
			       windows->windows[0].start,
			       windows->windows[0].size,
			       windows->windows[0].page_shift,
			       windows->windows[0].levels,
			       windows->windows[1].start,
			       windows->windows[1].size,
			       windows->windows[1].page_shift,
			       windows->windows[1].levels);
}

long iommufd_hw_info(int iommufd, __u32 device, struct hw_info_windows *info)
{
	struct iommu_hw_info query = {
		.size = sizeof(query),
		.dev_id = device,
		.data_len = sizeof(*info),
		.data_uptr = (unsigned long)info,
	};
	long ret;

	ret = transcript_call(ioctl(iommufd, IOMMU_GET_HW_INFO, &query),
			      "GET_HW_INFO");
	if (!ret && query.out_data_type != HW_INFO_SPAPR_TCE)
		return -EPROTO;
	return ret;
}

long cdev_path(const char *address, char *path, size_t size)
{
	char folder[128];
	struct dirent *entry;
	long ret = -ENOENT;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%s/vfio-dev",
		 address);
	dir = opendir(folder);
	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, size, "/dev/vfio/devices/%.20s", entry->d_name);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

long cdev_open(struct cdev *cdev, const char *address)
{
	char path[64];
	long ret;

	memset(cdev, 0, sizeof(*cdev));
	cdev->file = -1;
	ret = cdev_path(address, path, sizeof(path));
	if (ret)
		return ret;
	cdev->file = open(path, O_RDWR | O_CLOEXEC);
	return transcript_errno(cdev->file < 0 ? -errno : 0,
				"open a device file");
}

long cdev_bind(struct cdev *cdev, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	long ret;

	ret = transcript_call(ioctl(cdev->file, VFIO_DEVICE_BIND_IOMMUFD,
				    &bind), "BIND_IOMMUFD");
	cdev->id = bind.out_devid;
	return ret;
}

long cdev_open_bound(struct cdev *cdev, const char *address, int iommufd)
{
	const long ret = cdev_open(cdev, address);

	return ret ? ret : cdev_bind(cdev, iommufd);
}

long cdev_open_for_dma(struct cdev *cdev, const char *address, int iommufd)
{
	const long ret = cdev_open_bound(cdev, address, iommufd);

	if (!ret)
		cdev_start_dma(cdev);
	return ret;
}

static int attach(struct cdev *cdev, __u32 to)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = to,
	};

	return ioctl(cdev->file, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

long cdev_attach(struct cdev *cdev, __u32 to)
{
	return transcript_call(attach(cdev, to), "ATTACH_IOMMUFD_PT");
}

long cdev_detach(struct cdev *cdev)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	return transcript_call(ioctl(cdev->file, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				     &detach), "DETACH_IOMMUFD_PT");
}

struct changes {
	struct cdev *cdev;
	const __u32 *to;
	atomic_bool end;
	atomic_uint done;
	atomic_int error;
};

static void *change(void *arg)
{
	struct changes *changes = arg;
	unsigned int i;

	for (i = 0; !changes->end; i++) {
		if (attach(changes->cdev, changes->to[i % 2]))
			changes->error = -errno;
		changes->done++;
	}
	return NULL;
}

long cdev_change_under_dma(struct cdev *cdev, const __u32 to[2], __u64 bus,
			   void *memory, unsigned int *lost)
{
	const unsigned int all = DMA_READS | DMA_WRITES;
	struct changes changes = { .cdev = cdev, .to = to };
	pthread_t thread;
	int i;

	*lost = 0;
	VFIO_REQUIRE(!pthread_create(&thread, NULL, change, &changes),
		     "thread");
	/* Both must have been seen often for the race to have been one */
	for (i = 0; i < 20 || changes.done <= 20; i++)
		if (dma_reach(&cdev->dma, bus, memory, 0, NULL) != all)
			++*lost;
	changes.end = true;
	pthread_join(thread, NULL);
	return changes.error;
}

void cdev_start_dma(struct cdev *cdev)
{
	dma_device_start(&cdev->dma, cdev->file);
}

struct feature_eeh_pe {
	__u32 op;
	__u32 state;
	struct vfio_eeh_pe_err err;
};

static_assert(sizeof(struct feature_eeh_pe) == FEATURE_EEH_PE_SIZE,
	      "as in <linux/vfio.h>");

/* A feature with room for the largest argument that a test has */
struct feature {
	__u32 argsz;
	__u32 flags;
	union {
		struct feature_eeh_pe eeh;
		char bytes[2 * FEATURE_EEH_PE_SIZE];
	};
};

static long eeh_call(struct cdev *cdev, struct feature *feature)
{
	return transcript_call(ioctl(cdev->file, VFIO_DEVICE_FEATURE, feature),
			       "FEATURE_EEH_PE argsz=%u flags=%#x op=%u",
			       feature->argsz, feature->flags,
			       feature->eeh.op);
}

long cdev_feature_eeh(struct cdev *cdev, __u32 flags, const void *data,
		      size_t size)
{
	struct feature feature = {
		.argsz = offsetof(struct feature, bytes) + size,
		.flags = flags | FEATURE_EEH_PE,
	};

	if (size > sizeof(feature.bytes))
		return -E2BIG;
	memcpy(feature.bytes, data, size);
	return eeh_call(cdev, &feature);
}

long cdev_eeh_state(struct cdev *cdev)
{
	struct feature feature = {
		.argsz = offsetof(struct feature, eeh) + sizeof(feature.eeh),
		.flags = VFIO_DEVICE_FEATURE_GET | FEATURE_EEH_PE,
		.eeh.state = ~0U,
	};
	long ret = eeh_call(cdev, &feature);

	if (ret)
		return ret;
	transcript_answer("state %u", feature.eeh.state);
	return feature.eeh.state;
}

long cdev_eeh(struct cdev *cdev, __u32 op, const struct vfio_eeh_pe_err *err)
{
	struct feature feature = {
		.argsz = offsetof(struct feature, eeh) + sizeof(feature.eeh),
		.flags = VFIO_DEVICE_FEATURE_SET | FEATURE_EEH_PE,
		.eeh.op = op,
	};

	if (err)
		feature.eeh.err = *err;
	return eeh_call(cdev, &feature);
}

void cdev_close(struct cdev *cdev)
{
	dma_device_close(&cdev->dma);
	vfio_close(&cdev->file);
}

const char *cdev_find_bed(struct testbed *bed, unsigned int abilities)
{
	if (!testbed_find_with(bed, abilities))
		return "no devices";
	return access("/dev/vfio/devices", F_OK) ? "no device files" : NULL;
}

const char *cdev_start_bed(struct testbed *bed, unsigned int abilities,
			   struct cdev cdev[TESTBED_DEVICES], int *iommufd)
{
	const char *lacking;
	int i;

	for (i = 0; i < TESTBED_DEVICES; i++)
		cdev[i].file = -1;
	*iommufd = -1;
	lacking = cdev_find_bed(bed, abilities);
	if (lacking)
		return lacking;
	*iommufd = iommufd_open();
	VFIO_REQUIRE(*iommufd >= 0, "iommufd: %d", *iommufd);
	return NULL;
}

void cdev_close_bed(struct cdev cdev[TESTBED_DEVICES], int *iommufd)
{
	int i;

	for (i = 0; i < TESTBED_DEVICES; i++)
		cdev_close(&cdev[i]);
	vfio_close(iommufd);
}
