/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the TCE engine and of KVM's links to its windows
 *
 * All of them are in process context. Walks have none: they may run in real
 * mode or in a guest's context, where nothing can be traced. What a guest's
 * hypercalls write is counted instead (the file spapr_tce in the VM's debugfs
 * directory) and, in virtual mode, traced as hypercalls.
 *
 * A window is named by a pointer, which is hashed. Bus addresses, user addresses
 * and sizes are in bytes.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM spapr_tce

#if !defined(_ASM_POWERPC_SPAPR_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _ASM_POWERPC_SPAPR_TRACE_H

#include <linux/tracepoint.h>
#include <asm/spapr_tce.h>

TRACE_EVENT(spapr_tce_map,
	TP_PROTO(const struct spapr_tce_window *window, unsigned long index,
		 unsigned long ua, unsigned long npages, unsigned long perm,
		 long ret),
	TP_ARGS(window, index, ua, npages, perm, ret),

	TP_STRUCT__entry(
		__field(const void *, window)
		__field(u64, bus)
		__field(u64, ua)
		__field(u64, size)
		__field(u8, perm)
		__field(long, ret)
	),
	TP_fast_assign(
		__entry->window = window;
		__entry->bus = (u64)(window->offset + index) <<
			       window->page_shift;
		__entry->ua = ua;
		__entry->size = (u64)npages << window->page_shift;
		__entry->perm = perm;
		__entry->ret = ret;
	),
	TP_printk("window=%p bus=0x%llx ua=0x%llx size=0x%llx perm=%s%s ret=%ld",
		  __entry->window, __entry->bus, __entry->ua, __entry->size,
		  __entry->perm & TCE_PCI_READ ? "r" : "-",
		  __entry->perm & TCE_PCI_WRITE ? "w" : "-", __entry->ret)
);

TRACE_EVENT(spapr_tce_unmap,
	TP_PROTO(const struct spapr_tce_window *window, unsigned long index,
		 unsigned long npages, long ret),
	TP_ARGS(window, index, npages, ret),

	TP_STRUCT__entry(
		__field(const void *, window)
		__field(u64, bus)
		__field(u64, size)
		__field(long, ret)
	),
	TP_fast_assign(
		__entry->window = window;
		__entry->bus = (u64)(window->offset + index) <<
			       window->page_shift;
		__entry->size = (u64)npages << window->page_shift;
		__entry->ret = ret;
	),
	TP_printk("window=%p bus=0x%llx size=0x%llx ret=%ld", __entry->window,
		  __entry->bus, __entry->size, __entry->ret)
);

DECLARE_EVENT_CLASS(spapr_tce_window,
	TP_PROTO(const struct spapr_tce_window *window),
	TP_ARGS(window),

	TP_STRUCT__entry(
		__field(const void *, window)
		__field(u64, bus)
		__field(u64, size)
		__field(unsigned int, page_shift)
	),
	TP_fast_assign(
		__entry->window = window;
		__entry->bus = (u64)window->offset << window->page_shift;
		__entry->size = (u64)window->npages << window->page_shift;
		__entry->page_shift = window->page_shift;
	),
	TP_printk("window=%p bus=0x%llx size=0x%llx page=0x%llx",
		  __entry->window, __entry->bus, __entry->size,
		  1ULL << __entry->page_shift)
);

DEFINE_EVENT(spapr_tce_window, spapr_tce_window_create,
	TP_PROTO(const struct spapr_tce_window *window),
	TP_ARGS(window)
);

DEFINE_EVENT(spapr_tce_window, spapr_tce_window_close,
	TP_PROTO(const struct spapr_tce_window *window),
	TP_ARGS(window)
);

/* @ns: how long walks were waited for */
TRACE_EVENT(spapr_tce_quiesce,
	TP_PROTO(u64 ns),
	TP_ARGS(ns),

	TP_STRUCT__entry(
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->ns = ns;
	),
	TP_printk("ns=%llu", __entry->ns)
);

/* @liobn: whose hypercalls reach the window; @group: number of the IOMMU group */
DECLARE_EVENT_CLASS(spapr_tce_link,
	TP_PROTO(u64 liobn, int group, const struct spapr_tce_window *window),
	TP_ARGS(liobn, group, window),

	TP_STRUCT__entry(
		__field(u64, liobn)
		__field(int, group)
		__field(const void *, window)
	),
	TP_fast_assign(
		__entry->liobn = liobn;
		__entry->group = group;
		__entry->window = window;
	),
	TP_printk("liobn=0x%llx group=%d window=%p", __entry->liobn,
		  __entry->group, __entry->window)
);

DEFINE_EVENT(spapr_tce_link, spapr_tce_link,
	TP_PROTO(u64 liobn, int group, const struct spapr_tce_window *window),
	TP_ARGS(liobn, group, window)
);

DEFINE_EVENT(spapr_tce_link, spapr_tce_unlink,
	TP_PROTO(u64 liobn, int group, const struct spapr_tce_window *window),
	TP_ARGS(liobn, group, window)
);

#endif /* _ASM_POWERPC_SPAPR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH asm
#define TRACE_INCLUDE_FILE spapr_trace

#include <trace/define_trace.h>
