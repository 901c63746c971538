// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parents: the memory of guests
 *
 * A parent is a paging domain whose addresses are those of a guest's memory.
 * Bridges do not walk it. Nested domains (nested.c) look up in it which host
 * page a guest page is. Its user maps guest memory as in any IOAS, so iommufd
 * pins and accounts what a parent has.
 *
 * The parent is an array with a word for each page of the kernel's size: real
 * address, size of the page and permissions. A word that is 0 maps nothing.
 * It is an array that walks of the TCE engine read, in any mode, as they read
 * that of registered memory: see spapr_mem::pages. Its nodes stay until the
 * parent is freed. They are charged to the user who maps. KVM's walks map only
 * memory that may be both read and written. They leave other TCEs to user space,
 * which has them read by IOMMU_HWPT_INVALIDATE.
 *
 * A page is larger than the kernel's if address and real address are aligned to
 * its size and all of it was mapped at once. Unmapping a part of a larger page
 * leaves pages of the kernel's size.
 *
 * What leaves a parent must be gone from the nested domains before it is
 * unpinned. Unmapping clears the words. Then tce_parent_sync() waits for the walks
 * that have found them and clears the TCEs that came from the range. What a lookup
 * has found may only be used in the same walk.
 */

#include <linux/bitfield.h>
#include <linux/io.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <asm/spapr_mem.h>
#include <asm/spapr_walk.h>

#include "spapr-iommu.h"

/* Fields of a word besides those of spapr_mem::pages */
#define WORD_READ	BIT_ULL(8)
#define WORD_WRITE	BIT_ULL(9)
#define WORD_MMIO	BIT_ULL(10)
#define WORD_PAGE_SHIFT	((u64)SPAPR_MEM_TCE_SHIFT)

static struct tce_parent *to_tce_parent(struct iommu_domain *domain)
{
	return container_of(domain, struct tce_parent, domain);
}

static unsigned int tce_word_page_shift(u64 word)
{
	return FIELD_GET(WORD_PAGE_SHIFT, word);
}

/* The word of @gpa, or 0 */
static u64 tce_parent_word(struct tce_parent *parent, u64 gpa)
{
	u64 *word;

	if (gpa >> TCE_PARENT_LG2)
		return 0;
	if (!spapr_sparse_lookup(&parent->pages, gpa >> PAGE_SHIFT, &word))
		return 0;
	return READ_ONCE(*word);
}

/**
 * tce_parent_lookup() - Find the host page of a guest page
 * @parent: The parent
 * @gpa: Address of the guest page, a multiple of its size
 * @page_shift: Log2 of the size of the guest page in bytes
 * @prot: What has to be allowed, IOMMU_READ and IOMMU_WRITE
 * @phys: Receives the real address
 *
 * Context: any, inside the walk that puts @phys into the shadow table.
 * Return: true if all of the guest page is mapped with these permissions, in one
 *	piece.
 */
bool tce_parent_lookup(struct tce_parent *parent, u64 gpa,
		       unsigned int page_shift, int prot, phys_addr_t *phys)
{
	u64 word = tce_parent_word(parent, gpa);

	if (!word || page_shift > tce_word_page_shift(word))
		return false;
	if ((prot & IOMMU_READ && !(word & WORD_READ)) ||
	    (prot & IOMMU_WRITE && !(word & WORD_WRITE)))
		return false;

	*phys = spapr_mem_word_page(word) + offset_in_page(gpa);
	return true;
}

/**
 * tce_parent_memory() - Find memory of a parent that the kernel is to read
 * @parent: The parent
 * @gpa: Where it is in the parent
 *
 * Context: any, inside the walk that reads it.
 * Return: the memory, up to the end of the page of @gpa; or NULL where nothing
 *	that may be read is mapped, or what is mapped are registers.
 */
const void *tce_parent_memory(struct tce_parent *parent, u64 gpa)
{
	u64 word = tce_parent_word(parent, gpa);

	if (!(word & WORD_READ) || word & WORD_MMIO)
		return NULL;
	return phys_to_virt(spapr_mem_word_page(word) + offset_in_page(gpa));
}

static int tce_parent_attach_dev(struct iommu_domain *domain,
				 struct device *dev, struct iommu_domain *old)
{
	return -EINVAL;
}

/* Allocate the leaves for the words of a range */
static int tce_parent_populate(struct tce_parent *parent, unsigned long index,
			       unsigned long count, gfp_t gfp)
{
	unsigned long end = index + count;

	for (; index < end; index = spapr_sparse_leaf_end(index, end))
		if (!spapr_sparse_populate(&parent->pages, index, gfp))
			return -ENOMEM;
	return 0;
}

/* The caller has populated the range */
static void tce_parent_set(struct tce_parent *parent, unsigned long index,
			   unsigned long count, u64 word)
{
	unsigned long end = index + count, leaf_end;
	u64 *words;

	while (index < end) {
		words = spapr_sparse_find(&parent->pages, index);
		leaf_end = spapr_sparse_leaf_end(index, end);
		for (; index < leaf_end; index++, word += PAGE_SIZE)
			WRITE_ONCE(*words++, word);
	}
}

static int tce_parent_map_pages(struct iommu_domain *domain, unsigned long iova,
				phys_addr_t paddr, size_t pgsize,
				size_t pgcount, int prot, gfp_t gfp,
				size_t *mapped)
{
	struct tce_parent *parent = to_tce_parent(domain);
	unsigned long count = (pgsize * pgcount) >> PAGE_SHIFT;
	u64 word = paddr | FIELD_PREP(WORD_PAGE_SHIFT, ilog2(pgsize));
	int ret;

	if (prot & IOMMU_READ)
		word |= WORD_READ;
	if (prot & IOMMU_WRITE)
		word |= WORD_WRITE;
	if (prot & IOMMU_MMIO)
		word |= WORD_MMIO;
	if ((word & (WORD_READ | WORD_WRITE | WORD_MMIO)) ==
	    (WORD_READ | WORD_WRITE))
		word |= SPAPR_MEM_VALID;

	ret = tce_parent_populate(parent, iova >> PAGE_SHIFT, count, gfp);
	if (ret)
		return ret;

	tce_parent_set(parent, iova >> PAGE_SHIFT, count, word);
	*mapped += pgsize * pgcount;
	return 0;
}

/*
 * Nothing may be a part of a larger page across @gpa. The words of such a page
 * on both sides say that it is of the kernel's size. Those on one side are outside of
 * the range that is unmapped. They may be overwritten all the same: a large page was
 * mapped at once, so both sides are of one iopt_pages, and iommufd unmaps with the
 * mutex of that held.
 */
static void tce_parent_split(struct tce_parent *parent, u64 gpa)
{
	u64 word = tce_parent_word(parent, gpa);
	unsigned int page_shift = tce_word_page_shift(word);
	u64 offset;

	if (!word || IS_ALIGNED(gpa, BIT_ULL(page_shift)))
		return;

	offset = gpa & (BIT_ULL(page_shift) - 1);
	word &= ~WORD_PAGE_SHIFT;
	word |= FIELD_PREP(WORD_PAGE_SHIFT, PAGE_SHIFT);
	tce_parent_set(parent, (gpa - offset) >> PAGE_SHIFT,
		       BIT(page_shift - PAGE_SHIFT), word - offset);
}

static size_t tce_parent_unmap_pages(struct iommu_domain *domain,
				     unsigned long iova, size_t pgsize,
				     size_t pgcount,
				     struct iommu_iotlb_gather *gather)
{
	struct tce_parent *parent = to_tce_parent(domain);
	unsigned long index = iova >> PAGE_SHIFT;
	unsigned long end = index + ((pgsize * pgcount) >> PAGE_SHIFT);
	unsigned long leaf_end;
	u64 *words;

	tce_parent_split(parent, iova);
	tce_parent_split(parent, iova + pgsize * pgcount);
	while (index < end) {
		leaf_end = spapr_sparse_leaf_end(index, end);
		words = spapr_sparse_find(&parent->pages, index);
		for (; words && index < leaf_end; index++)
			WRITE_ONCE(*words++, 0);
		index = leaf_end;
	}

	iommu_iotlb_gather_add_range(gather, iova, pgsize * pgcount);
	return pgsize * pgcount;
}

/*
 * Clear the TCEs of nested domains that came from memory which the parent no longer
 * maps. Walks that might have found the memory are over.
 *
 * A hypervisor may fail to clear a TCE. The device still reaches the page then, and
 * the shadow keeps the page from being freed. iommufd unmaps all the same.
 */
static void tce_parent_forget(struct tce_parent *parent, u64 start, u64 last)
{
	struct tce_nested *nested;
	struct tce_domain *shadow;
	unsigned int w;

	lockdep_assert_held(&parent->lock);
	list_for_each_entry(nested, &parent->nested, node) {
		shadow = nested->shadow;
		for (w = 0; w < shadow->windows; w++)
			spapr_tce_window_forget(shadow->walks[w]->window, start,
						last);
		tce_retry_kept(shadow);
	}
}

/* iommufd, the only one to have parents, unmaps in process context */
static void tce_parent_sync(struct iommu_domain *domain,
			    struct iommu_iotlb_gather *gather)
{
	struct tce_parent *parent = to_tce_parent(domain);

	if (gather->start > gather->end)
		return;

	spapr_tce_quiesce();
	mutex_lock(&parent->lock);
	tce_parent_forget(parent, gather->start, gather->end);
	mutex_unlock(&parent->lock);
}

static phys_addr_t tce_parent_iova_to_phys(struct iommu_domain *domain,
					   dma_addr_t iova)
{
	u64 word = tce_parent_word(to_tce_parent(domain), iova);

	return word ? spapr_mem_word_page(word) + offset_in_page(iova) : 0;
}

static void tce_parent_free(struct iommu_domain *domain)
{
	struct tce_parent *parent = to_tce_parent(domain);

	WARN_ON(!list_empty(&parent->nested));
	spapr_sparse_destroy(&parent->pages, true);
	mutex_destroy(&parent->lock);
	kfree(parent);
}

static const struct iommu_domain_ops tce_parent_domain_ops = {
	.attach_dev = tce_parent_attach_dev,
	.map_pages = tce_parent_map_pages,
	.unmap_pages = tce_parent_unmap_pages,
	.iotlb_sync = tce_parent_sync,
	.iova_to_phys = tce_parent_iova_to_phys,
	.free = tce_parent_free,
};

/**
 * tce_parent_alloc() - Allocate a parent
 *
 * Context: process context.
 * Return: the parent as a domain, or ERR_PTR of -ENOMEM.
 */
struct iommu_domain *tce_parent_alloc(void)
{
	struct tce_parent *parent = kzalloc_obj(*parent, GFP_KERNEL_ACCOUNT);
	struct iommu_domain *domain;

	if (!parent)
		return ERR_PTR(-ENOMEM);
	BUILD_BUG_ON(SPAPR_MEM_INDEX_BITS + PAGE_SHIFT < TCE_PARENT_LG2);
	if (!spapr_sparse_init(&parent->pages, SPAPR_MEM_INDEX_BITS,
			       GFP_KERNEL_ACCOUNT)) {
		kfree(parent);
		return ERR_PTR(-ENOMEM);
	}

	mutex_init(&parent->lock);
	INIT_LIST_HEAD(&parent->nested);
	domain = &parent->domain;
	domain->type = IOMMU_DOMAIN_UNMANAGED;
	domain->ops = &tce_parent_domain_ops;
	domain->software_parent = true;
	domain->pgsize_bitmap = PAGE_SIZE | SZ_2M | SZ_16M |
				BIT(TCE_NESTED_PAGE_SHIFT);
	domain->geometry.aperture_end = BIT_ULL(TCE_PARENT_LG2) - 1;
	domain->geometry.force_aperture = true;
	return domain;
}
