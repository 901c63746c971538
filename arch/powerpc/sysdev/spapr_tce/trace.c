// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints of the TCE engine (asm/spapr_trace.h)
 */
#define CREATE_TRACE_POINTS
#include <asm/spapr_trace.h>

/* KVM may be a module */
EXPORT_TRACEPOINT_SYMBOL_GPL(spapr_tce_link);
EXPORT_TRACEPOINT_SYMBOL_GPL(spapr_tce_unlink);
