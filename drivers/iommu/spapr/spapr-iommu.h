/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IOMMU driver for POWER's PCI host bridges
 *
 * A partitionable endpoint (PE) is what a bridge translates, freezes and resets
 * as one: a device, or all devices below a bridge. It is an IOMMU group, and
 * its struct iommu_table_group is what the platform knows of it. Translation
 * belongs to the PE, while the IOMMU core attaches domains a device at a time.
 * So the first device of a group that is attached changes the PE and the others
 * find it changed.
 *
 * The DMA API of the architecture owns a PE in the platform domain. In any
 * other domain the PE is user_owned: the host's windows are gone. A PE in the
 * blocked domain has no windows, or those that VFIO's sPAPR container makes.
 * A PE in a paging domain has the domain's.
 *
 * This is not the domain of asm/spapr_domain.h, which VFIO's container uses. There
 * the owner opens and closes windows one at a time and maps by the TCE engine; here
 * the core attaches devices one by one and maps by generic_pt.
 *
 * A window is a range of bus addresses with pages of one size. A domain has one
 * or two, fixed when it is allocated, and a table in memory for each. On bare
 * metal the bridge walks the table: see bridge.c. In a partition the window is
 * the hypervisor's, and the table says what it must hold: see hypervisor.c.
 *
 * Locking: the core holds the group's mutex in all calls that attach or release a
 * device. It guards iommu_table_group::attachment and domain_devices. Below it,
 * tce_domain::lock guards the list of the PEs that a domain serves.
 */
#ifndef __SPAPR_IOMMU_H
#define __SPAPR_IOMMU_H

#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/mutex.h>

#include <asm/iommu.h>
#include <asm/spapr_sparse.h>
#include <asm/spapr_tce.h>

#define TCE_WINDOWS	IOMMU_TABLE_GROUP_MAX_TABLES
/* Bridges implement no higher bits of an address, bit 59 excepted */
#define TCE_APERTURE_MAX_LG2	54
/* Guests have their memory below; it is more than hosts have */
#define TCE_PARENT_LG2	(ilog2(TASK_SIZE_USER64) < 47 ? \
			 ilog2(TASK_SIZE_USER64) : 47)
/* Log2 of the largest page that a parent knows as one */
#define TCE_NESTED_PAGE_SHIFT	30

struct iommu_hwpt_spapr_tce;
struct tce_attachment;
struct tce_domain;
struct tce_walks;

/**
 * struct tce_kind - How the PEs of a platform get a domain's windows
 * @ops: Of its domains. The core maps into tce_domain::only by itself
 * @init: Prepare a domain whose tables are there. Returns 0 or -errno. May be NULL
 * @destroy: Undo @init, which may have failed or not have been called. May be NULL
 * @maps_single: The core may map into the table of a single window without @ops
 * @default_windows: Which windows a domain has whose user chooses none. Returns
 *	-errno where the PE cannot have them
 * @join: Give the PE the windows of the domain. On error it has those of @old,
 *	or none if those cannot be restored. @old is the PE's attachment to
 *	another domain, or NULL
 * @leave: Close the windows. Once this returns the PE reaches no memory, other than
 *	pages that are kept for good where a hypervisor has neither removed a
 *	window nor cleared its TCEs
 *
 * @join and @leave are called with the group's mutex held, for a device of the
 * group that the core attaches or releases.
 */
struct tce_kind {
	const struct iommu_domain_ops *ops;
	int (*init)(struct tce_domain *td);
	void (*destroy)(struct tce_domain *td);
	bool maps_single;
	int (*default_windows)(const struct iommu_table_group *group,
			       struct iommu_hwpt_spapr_tce *data);
	int (*join)(struct tce_attachment *attachment,
		    struct tce_attachment *old, struct device *dev);
	void (*leave)(struct tce_attachment *attachment, struct device *dev);
};

/**
 * struct tce_domain - Paging domain
 * @domain: What the IOMMU core knows of it
 * @only: The table of a domain with one window of a bridge. Same memory as
 *	@domain, as the core calls it directly
 * @window: The tables of other domains, by the number of the window
 * @table: The table of each window, by address
 * @aperture: The addresses of each window
 * @windows: How many there are
 * @outlives: A bridge may still have a table, so that they are never freed
 * @kind: How PEs get the windows
 * @walks: For each window of a nested domain's shadow what walks write it by,
 *	else NULL
 * @list: For TCEs on their way to a hypervisor, SPAPR_TCE_LIST_MAX of them, or
 *	NULL. Guarded by @lock
 * @kept: For each window of a hypervisor, by index from its start on, TCEs that it
 *	may still have although they were cleared, see kept.c. Guarded by @lock
 * @nr_kept: How many there are. Guarded by @lock
 * @joins: How often the tables of a PE that joins were written. Guarded by @lock
 * @lock: Guards @attachments. Taken with interrupts off, as DMA is unmapped
 *	with them off too. Each map and unmap takes it: a PE may leave meanwhile,
 *	one that joins must miss nothing, and a TCE leaves the record of a
 *	hypervisor's tables only when all of them have lost it. It is held while
 *	a bridge forgets TCEs, for one list of TCEs in the tables of all PEs, or
 *	while at most a table of the last level is removed from the record. Taking
 *	it costs little compared with these
 * @attachments: PEs that may have TCEs of the domain
 */
struct tce_domain {
	union {
		struct iommu_domain domain;
		struct pt_iommu_tce only;
	};
	struct pt_iommu_tce window[TCE_WINDOWS];
	struct pt_iommu_tce *table[TCE_WINDOWS];
	struct iommu_aperture aperture[TCE_WINDOWS];
	unsigned int windows;
	bool outlives;
	const struct tce_kind *kind;
	struct tce_walks *walks[TCE_WINDOWS];
	struct spapr_tce *list;
	struct spapr_sparse kept[TCE_WINDOWS];
	unsigned long nr_kept;
	unsigned long joins;
	raw_spinlock_t lock;
	struct list_head attachments;
};

PT_IOMMU_CHECK_DOMAIN(struct tce_domain, only.iommu, domain);

static inline struct tce_domain *to_tce_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct tce_domain, domain);
}

/**
 * struct tce_attachment - A PE that a paging domain serves
 * @node: In the domain's attachments
 * @domain: The domain
 * @group: The PE
 * @table: For each window of the domain, the one of the hypervisor, or NULL.
 *	Guarded by the domain's lock
 * @number: Which of the PE's windows that is
 * @link: For each window that walks write, the PE in their list
 * @leaving: The windows are being cleared, so TCEs are cleared in them and none are
 *	put. Guarded by the domain's lock
 * @closing: For each window, whether it has been cleared and is being removed, so
 *	that its table is not written. Guarded by the domain's lock
 *
 * While a PE changes from one domain to another it has one with both.
 */
struct tce_attachment {
	struct list_head node;
	struct tce_domain *domain;
	struct iommu_table_group *group;
	struct iommu_table *table[TCE_WINDOWS];
	u8 number[TCE_WINDOWS];
	struct iommu_table_group_link *link[TCE_WINDOWS];
	bool leaving;
	bool closing[TCE_WINDOWS];
};

/**
 * struct tce_parent - Memory of a guest, see parent.c
 * @domain: What the IOMMU core knows of it
 * @pages: The array, by guest page. The caller of the core serialises calls for
 *	an address
 * @lock: Guards @nested, and lets one at a time clear TCEs of what was unmapped.
 *	tce_nested::lock is not held with it
 * @nested: Nested domains that look up in it
 */
struct tce_parent {
	struct iommu_domain domain;
	struct spapr_sparse pages;
	struct mutex lock;	/* see above */
	struct list_head nested;
};

/**
 * struct tce_nested - Nested domain, see nested.c
 * @domain: What the IOMMU core knows of it
 * @shadow: What PEs are attached to
 * @parent: Where guest memory is looked up. NULL until the domain is in the parent's
 *	list
 * @node: In the parent's list, guarded by the parent's lock
 * @guest_table: For each window, where in the parent the guest's table is
 * @cpu_order: The tables are in the processor's byte order
 * @lock: One reads the guest's tables at a time. Guards @guest and @list
 * @guest: Copied from a guest's table, in its byte order
 * @list: TCEs that have been made of them
 */
struct tce_nested {
	struct iommu_domain domain;
	struct tce_domain *shadow;
	struct tce_parent *parent;
	struct list_head node;
	u64 guest_table[TCE_WINDOWS];
	bool cpu_order;
	struct mutex lock;	/* see above */
	u64 guest[SPAPR_TCE_LIST_MAX];
	struct spapr_tce list[SPAPR_TCE_LIST_MAX];
};

/**
 * struct tce_walks - How walks write a window of a nested domain's shadow
 * @tbl: The window's table as the TCE engine knows tables. First, as the engine
 *	frees it
 * @ops: Of @tbl
 * @domain: The shadow
 * @w: Which of its windows it is
 * @window: The engine's window. It knows what of the guest each TCE is from
 */
struct tce_walks {
	struct iommu_table tbl;
	struct iommu_table_ops ops;
	struct tce_domain *domain;
	unsigned int w;
	struct spapr_tce_window *window;
};

/**
 * struct tce_device - What the driver knows of a device
 * @group: The PE of the device
 * @counted: @group counts this device in domain_devices
 */
struct tce_device {
	struct iommu_table_group *group;
	bool counted;
};

/* Return the PE of a device, whose group's mutex is held */
static inline struct iommu_table_group *tce_group(struct device *dev)
{
	struct tce_device *tdev = dev_iommu_priv_get(dev);

	iommu_group_mutex_assert(dev);
	return tdev->group;
}

extern const struct tce_kind tce_kind_bridge;
extern const struct tce_kind tce_kind_hypervisor;

static inline const struct tce_kind *
tce_kind_of(const struct iommu_table_group *group)
{
	return group->ops->attach_table ? &tce_kind_bridge :
					  &tce_kind_hypervisor;
}

/* Return true if @domain, which may be NULL, is that of the DMA API */
static inline bool tce_is_platform_domain(const struct iommu_domain *domain)
{
	return domain && domain->type == IOMMU_DOMAIN_PLATFORM;
}

/* Return the number of the window at bus address @start */
static inline int tce_window_number(u64 start)
{
	return start & SPAPR_TCE_SECOND_START ? 1 : 0;
}

/* Sizes of pages that the host's memory can be mapped with, whatever it is */
static inline u64 tce_host_page_sizes(const struct iommu_table_group *group)
{
	return group->pgsizes & GENMASK_ULL(PAGE_SHIFT, 0);
}

/* Fewest levels that a table for @size_lg2 bytes needs; each is a page */
static inline unsigned int tce_levels(unsigned int size_lg2,
				      unsigned int page_shift)
{
	return DIV_ROUND_UP(size_lg2 - page_shift,
			    PAGE_SHIFT - ilog2(sizeof(u64)));
}

static inline unsigned int tce_page_shift(const struct tce_domain *td,
					  unsigned int w)
{
	return td->table[w]->tce_pt.page_shift;
}

/* Return how many of @size bytes, not 0, from @iova on are in its window @w */
static inline size_t tce_size_in_window(const struct tce_domain *td,
					unsigned int w, u64 iova, size_t size)
{
	return min(size - 1, td->aperture[w].last - iova) + 1;
}

struct iommu_domain *
tce_domain_alloc_paging_flags(struct device *dev, u32 flags,
			      const struct iommu_user_data *user_data);
int tce_user_windows(const struct iommu_table_group *group,
		     const struct iommu_user_data *user_data,
		     struct iommu_hwpt_spapr_tce *data);
int tce_check_windows(const struct iommu_table_group *group,
		      const struct iommu_hwpt_spapr_tce *data,
		      unsigned int max_page_shift);
void *tce_hw_info(struct device *dev, u32 *length,
		  enum iommu_hw_info_type *type);
struct tce_domain *tce_make_domain(const struct iommu_table_group *group,
				   const struct iommu_hwpt_spapr_tce *data,
				   int nid);
int tce_domain_attach_dev(struct iommu_domain *domain, struct device *dev,
			  struct iommu_domain *old);
int tce_window_of(const struct tce_domain *td, u64 iova);
int tce_window_of_range(const struct tce_domain *td, u64 iova, size_t size);
phys_addr_t tce_domain_iova_to_phys(struct iommu_domain *domain,
				    dma_addr_t iova);
const struct iommu_aperture *
tce_domain_apertures(struct iommu_domain *domain, unsigned int *count);
void tce_domain_free(struct iommu_domain *domain);
int tce_join_domain(struct iommu_table_group *group, struct tce_domain *td,
		    struct device *dev);
void tce_leave_domain(struct iommu_table_group *group, struct device *dev);
int tce_kept_init(struct tce_domain *td);
void tce_kept_destroy(struct tce_domain *td);
int tce_kept_populate(struct tce_domain *td, unsigned int w, u64 iova,
		      u64 size, gfp_t gfp);
void tce_keep(struct tce_domain *td, unsigned int w, u64 iova,
	      const struct spapr_tce *list, unsigned int count);
void tce_keep_recorded(struct tce_domain *td, unsigned int w, u64 iova,
		       unsigned long npages);
void tce_keep_for_good(struct tce_attachment *attachment, unsigned int w);
void tce_retry_kept(struct tce_domain *td);
long tce_hypervisor_clear(struct tce_attachment *attachment, unsigned int w,
			  u64 iova, unsigned long npages);
int tce_take_ownership(struct iommu_table_group *group, struct device *dev,
		       struct iommu_domain *old);
void tce_release_ownership(struct iommu_table_group *group, struct device *dev);
bool tce_pe_is_whole(const struct iommu_table_group *group);

int tce_walks_init(struct tce_domain *td, struct iommu_table_group *group,
		   const struct spapr_sparse *pages);
void tce_walks_destroy(struct tce_domain *td);
bool tce_walks_fit(const struct tce_domain *td,
		   struct iommu_table_group *group);
int tce_walks_add(struct tce_attachment *attachment);
void tce_walks_remove(struct tce_attachment *attachment, unsigned int windows);

struct iommu_domain *tce_parent_alloc(void);
bool tce_parent_lookup(struct tce_parent *parent, u64 gpa,
		       unsigned int page_shift, int prot, phys_addr_t *phys);
const void *tce_parent_memory(struct tce_parent *parent, u64 gpa);

struct iommu_domain *
tce_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
			u32 flags, const struct iommu_user_data *user_data);

#endif
