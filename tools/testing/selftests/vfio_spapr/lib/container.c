// SPDX-License-Identifier: GPL-2.0
/* The ioctls of a VFIO container on sPAPR, see container.h. */
#include <stddef.h>
#include <sys/ioctl.h>

#include "container.h"
#include "transcript.h"
#include "../../kselftest.h"

/* As they stand in transcripts */
#define GET_INFO_ANSWER	\
	"argsz=%u flags=%#x start=%#x size=%#x pgsizes=%#llx windows=%u levels=%u"
#define TCE_CREATE_CALL	\
	"TCE_CREATE argsz=%u flags=%#x page_shift=%u size=%#llx levels=%u"

#define end_of(type, member) \
	(offsetof(type, member) + sizeof(((type *)0)->member))

static const struct {
	unsigned long request;
	const char *name;
} requests[] = {
	{ VFIO_GET_API_VERSION, "GET_API_VERSION" },
	{ VFIO_CHECK_EXTENSION, "CHECK_EXTENSION" },
	{ VFIO_SET_IOMMU, "SET_IOMMU" },
	{ VFIO_IOMMU_SPAPR_TCE_GET_INFO, "GET_INFO" },
	{ VFIO_IOMMU_MAP_DMA, "MAP_DMA" },
	{ VFIO_IOMMU_UNMAP_DMA, "UNMAP_DMA" },
	{ VFIO_IOMMU_ENABLE, "ENABLE" },
	{ VFIO_IOMMU_DISABLE, "DISABLE" },
	{ VFIO_IOMMU_SPAPR_REGISTER_MEMORY, "REGISTER_MEMORY" },
	{ VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, "UNREGISTER_MEMORY" },
	{ VFIO_IOMMU_SPAPR_TCE_CREATE, "TCE_CREATE" },
	{ VFIO_IOMMU_SPAPR_TCE_REMOVE, "TCE_REMOVE" },
	{ VFIO_EEH_PE_OP, "EEH_PE_OP" },
};

const char *container_ioctl_name(unsigned long request)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].request == request)
			return requests[i].name;
	return "unknown";
}

long container_check_extension(int container, unsigned long extension)
{
	return transcript_call(ioctl(container, VFIO_CHECK_EXTENSION, extension),
			       "CHECK_EXTENSION %lu", extension);
}

long container_set_iommu(int container, unsigned long type)
{
	return transcript_call(ioctl(container, VFIO_SET_IOMMU, type),
			       "SET_IOMMU %lu", type);
}

long container_enable(int container)
{
	return transcript_call(ioctl(container, VFIO_IOMMU_ENABLE), "ENABLE");
}

long container_disable(int container)
{
	return transcript_call(ioctl(container, VFIO_IOMMU_DISABLE), "DISABLE");
}

long __container_get_info(int container, struct vfio_iommu_spapr_tce_info *info)
{
	__u32 argsz = info->argsz;
	long ret = ioctl(container, VFIO_IOMMU_SPAPR_TCE_GET_INFO, info);

	ret = transcript_call(ret, "GET_INFO argsz=%u", argsz);
	transcript_answer(GET_INFO_ANSWER, info->argsz, info->flags,
			  info->dma32_window_start, info->dma32_window_size,
			  info->ddw.pgsizes,
			  info->ddw.max_dynamic_windows_supported,
			  info->ddw.levels);
	return ret;
}

long container_get_info(int container, struct vfio_iommu_spapr_tce_info *info)
{
	info->argsz = sizeof(*info);
	return __container_get_info(container, info);
}

long __container_map(int container, struct vfio_iommu_type1_dma_map *map)
{
	return transcript_call(ioctl(container, VFIO_IOMMU_MAP_DMA, map),
			       "MAP_DMA argsz=%u flags=%#x vaddr=%#llx iova=%#llx size=%#llx",
			       map->argsz, map->flags, map->vaddr, map->iova,
			       map->size);
}

long container_map(int container, __u64 vaddr, __u64 iova, __u64 size,
		   __u32 flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = vaddr,
		.iova = iova,
		.size = size,
	};

	return __container_map(container, &map);
}

long __container_unmap(int container, struct vfio_iommu_type1_dma_unmap *unmap)
{
	return transcript_call(ioctl(container, VFIO_IOMMU_UNMAP_DMA, unmap),
			       "UNMAP_DMA argsz=%u flags=%#x iova=%#llx size=%#llx",
			       unmap->argsz, unmap->flags, unmap->iova,
			       unmap->size);
}

long container_unmap(int container, __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	return __container_unmap(container, &unmap);
}

long __container_register(int container,
			  struct vfio_iommu_spapr_register_memory *memory)
{
	return transcript_call(ioctl(container,
				     VFIO_IOMMU_SPAPR_REGISTER_MEMORY, memory),
			       "REGISTER_MEMORY argsz=%u flags=%#x vaddr=%#llx size=%#llx",
			       memory->argsz, memory->flags, memory->vaddr,
			       memory->size);
}

long container_register(int container, __u64 vaddr, __u64 size)
{
	struct vfio_iommu_spapr_register_memory memory = {
		.argsz = sizeof(memory),
		.vaddr = vaddr,
		.size = size,
	};

	return __container_register(container, &memory);
}

long __container_unregister(int container,
			    struct vfio_iommu_spapr_register_memory *memory)
{
	return transcript_call(ioctl(container,
				     VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, memory),
			       "UNREGISTER_MEMORY argsz=%u flags=%#x vaddr=%#llx size=%#llx",
			       memory->argsz, memory->flags, memory->vaddr,
			       memory->size);
}

long container_unregister(int container, __u64 vaddr, __u64 size)
{
	struct vfio_iommu_spapr_register_memory memory = {
		.argsz = sizeof(memory),
		.vaddr = vaddr,
		.size = size,
	};

	return __container_unregister(container, &memory);
}

long __container_create_window(int container,
			       struct vfio_iommu_spapr_tce_create *create)
{
	struct vfio_iommu_spapr_tce_create in = *create;
	long ret = ioctl(container, VFIO_IOMMU_SPAPR_TCE_CREATE, create);

	ret = transcript_call(ret, TCE_CREATE_CALL, in.argsz, in.flags,
			      in.page_shift, in.window_size, in.levels);
	transcript_answer("page_shift=%u size=%#llx levels=%u start=%#llx",
			  create->page_shift, create->window_size,
			  create->levels, create->start_addr);
	return ret;
}

long container_create_window(int container, __u32 page_shift, __u64 size,
			     __u32 levels, __u64 *start)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.page_shift = page_shift,
		.window_size = size,
		.levels = levels,
	};
	long ret = __container_create_window(container, &create);

	if (!ret && start)
		*start = create.start_addr;
	return ret;
}

long __container_remove_window(int container,
			       struct vfio_iommu_spapr_tce_remove *remove)
{
	return transcript_call(ioctl(container, VFIO_IOMMU_SPAPR_TCE_REMOVE,
				     remove),
			       "TCE_REMOVE argsz=%u flags=%#x start=%#llx",
			       remove->argsz, remove->flags,
			       remove->start_addr);
}

long container_remove_window(int container, __u64 start)
{
	struct vfio_iommu_spapr_tce_remove remove = {
		.argsz = sizeof(remove),
		.start_addr = start,
	};

	return __container_remove_window(container, &remove);
}

long __container_eeh(int container, struct vfio_eeh_pe_op *op)
{
	return transcript_call(ioctl(container, VFIO_EEH_PE_OP, op),
			       "EEH_PE_OP argsz=%u flags=%#x op=%u type=%u func=%u addr=%#llx mask=%#llx",
			       op->argsz, op->flags, op->op, op->err.type,
			       op->err.func, op->err.addr, op->err.mask);
}

long container_eeh(int container, __u32 op)
{
	struct vfio_eeh_pe_op arg = {
		.argsz = end_of(struct vfio_eeh_pe_op, op),
		.op = op,
	};

	return __container_eeh(container, &arg);
}

long container_ioctl(int container, unsigned long request, void *address,
		     const char *what)
{
	return transcript_call(ioctl(container, request, address),
			       "%s at %s", container_ioctl_name(request), what);
}
