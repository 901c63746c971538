// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links: which DMA windows a LIOBN's hypercalls write
 *
 * A claim says that a VFIO group wants a table's hypercalls to reach the window
 * that the group has at the table's bus address. It holds the group as an
 * external user of VFIO from before the window is looked up. So only a group
 * that is ready for DMA can be claimed for, and only windows that its container
 * has made are found, never a table of the host's. Groups of one container
 * share a window; their claims share the link, which is what walks find.
 *
 * A device that is bound to an iommufd claims in the same way, by its file. The
 * KVM-VFIO device holds that, and so the device and its group. Windows are those
 * of the nested domain that the device is attached to. The IOMMU driver revokes them
 * when it detaches the group. Below, "group" stands for such a device as well.
 *
 * A claim is dropped when the group leaves the KVM-VFIO device or the table's
 * file is closed, whichever comes first; the guest's end implies both. It dies
 * earlier when VFIO revokes the group or the engine revokes the window.
 *
 * A new link's window is given what the table has (spapr_tce_replay.c), unless only
 * the window's owner may write it: a container of type v1, or a window with mediated
 * devices.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_external_user.h>

#include <asm/spapr_trace.h>

#include "spapr_tce.h"

/**
 * struct kvmppc_spapr_tce_claim - a group's claim for a table
 * @node: in kvmppc_spapr_tce_table::claims
 * @kvm: the guest
 * @table: the table; valid while there is a @link, and for the call that makes
 *	the link, which holds the table's file
 * @link: the link, NULL before it is made and after the claim died
 * @dead: revoked, unlinked, or about to be dropped
 * @unlinked: counts in kvmppc_spapr_tce_table::nr_unlinked; only while in the list
 * @file: the group's or the device's file, as a name only
 * @iommu_id: number of the IOMMU group
 * @vfio: VFIO's functions; a reference on its module is held. NULL for a device,
 *	else what follows up to @external is of the VFIO group
 * @group: the group; a reference is held
 * @external: registers for the revocation of @group
 * @window: the window; valid while there is a @link
 * @writer: registers for the revocation of @window
 *
 * A dead claim has no link. It only keeps its reference to the VFIO group, which the
 * callbacks can't drop under their locks, until it is dropped. A device's claim has no
 * such reference. If its window is revoked, the claim is unlinked: the device may have
 * other windows, with other tables linked to them, or get another window there, and
 * only user space knows which.
 */
struct kvmppc_spapr_tce_claim {
	struct list_head node;
	struct kvm *kvm;
	struct kvmppc_spapr_tce_table *table;
	struct kvmppc_spapr_tce_link *link;
	bool dead;
	bool unlinked;
	struct file *file;
	int iommu_id;
	const struct vfio_external_user_ops *vfio;
	struct vfio_group *group;
	struct vfio_external_user external;
	struct spapr_tce_window *window;
	struct spapr_tce_writer writer;
};

/* Tell walks what they have to know about the links */
static void update_links_state(struct kvmppc_spapr_tce_table *table, u32 state)
{
	struct spapr_tce_window *window = NULL;
	struct kvmppc_spapr_tce_link *link;
	unsigned int subpage_shift = 0;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	state |= kvmppc_tce_table_state(table);
	list_for_each_entry(link, &table->links, node) {
		if (window || link->subpage_shift)
			state |= TCE_LINKS_GENERAL;
		if (!link->window->in_memory)
			state |= TCE_LINKS_HV;
		window = link->window;
		subpage_shift = max(subpage_shift, link->subpage_shift);
		/* The container pins, or asks mediated devices */
		if (spapr_tce_window_by_owner(link->window))
			state |= TCE_LINKS_BY_USER;
		if (!spapr_tce_window_can(link->window, SPAPR_TCE_EARLY))
			state |= TCE_LINKS_NO_GUEST;
	}

	state |= subpage_shift << TCE_LINKS_SUBPAGE_SHIFT;
	/* A walk that still has the old state finds a window that is still linked */
	WRITE_ONCE(table->window, window);
	/* Pairs with the acquire in tce_links_state() */
	smp_store_release(&table->links_state, state);
}

/**
 * struct tce_device - a device in the KVM-VFIO device, by its own file
 * @node: in kvm->arch.spapr_tce_devices
 * @file: the file, as a name only
 * @links: user space has linked a table to it, or is about to
 *
 * While user space has linked no table to the device, it may not know of links at
 * all. So hypercalls for all tables go to user space, those for linked ones as well:
 * the device may share a table with others. Once it has, and while the device has no
 * live claim, hypercalls for tables without a link do: one of them may be for the
 * device. User space unlinks a table before it changes the device's windows. That
 * claim dies, stays in the table's list, and all hypercalls for the table go to user
 * space until the device is linked again or leaves the KVM-VFIO device.
 */
struct tce_device {
	struct list_head node;
	struct file *file;
	bool links;
};

/*
 * The claim of a group for the table: the live one if there is one, else one that
 * was unlinked, else any, or NULL
 */
static struct kvmppc_spapr_tce_claim *
file_claim(struct kvmppc_spapr_tce_table *table, struct file *file)
{
	struct kvmppc_spapr_tce_claim *claim, *found = NULL;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	list_for_each_entry(claim, &table->claims, node) {
		if (claim->file != file)
			continue;
		if (!claim->dead)
			return claim;
		if (!found || claim->unlinked)
			found = claim;
	}

	return found;
}

/* The live claim of a group for the table, or NULL */
static struct kvmppc_spapr_tce_claim *
live_claim(struct kvmppc_spapr_tce_table *table, struct file *file)
{
	struct kvmppc_spapr_tce_claim *claim = file_claim(table, file);

	return claim && !claim->dead ? claim : NULL;
}

static bool has_claims(struct kvm *kvm, struct file *file)
{
	struct kvmppc_spapr_tce_table *table;

	list_for_each_entry(table, &kvm->arch.spapr_tce_tables, list)
		if (live_claim(table, file))
			return true;

	return false;
}

/*
 * After a change of devices or claims: which hypercalls go to user space because of
 * a device that has no link?
 */
static void update_by_user(struct kvm *kvm)
{
	enum kvmppc_tce_by_user by_user = TCE_BY_USER_NONE;
	struct kvmppc_spapr_tce_table *table;
	struct tce_device *device;

	lockdep_assert_held(&kvm->arch.spapr_tce_lock);
	list_for_each_entry(device, &kvm->arch.spapr_tce_devices, node) {
		if (!device->links)
			by_user = TCE_BY_USER_ALL;
		else if (!has_claims(kvm, device->file))
			by_user = max(by_user, TCE_BY_USER_UNLINKED);
	}
	if (by_user == kvm->arch.spapr_tce_by_user)
		return;

	kvm->arch.spapr_tce_by_user = by_user;
	list_for_each_entry(table, &kvm->arch.spapr_tce_tables, list)
		update_links_state(table, 0);
}

/* Set whether user space links tables to a device. Return what was set before */
static bool set_links(struct kvm *kvm, struct file *file, bool links)
{
	struct tce_device *device;
	bool before = true;

	guard(mutex)(&kvm->arch.spapr_tce_lock);
	list_for_each_entry(device, &kvm->arch.spapr_tce_devices, node) {
		if (device->file != file)
			continue;
		before = device->links;
		device->links = links;
		update_by_user(kvm);
	}
	return before;
}

/* Leave hypercalls for the claim's table to user space, or no longer */
static void claim_set_unlinked(struct kvmppc_spapr_tce_claim *claim,
			       bool unlinked)
{
	lockdep_assert_held(&claim->kvm->arch.spapr_tce_lock);
	if (claim->unlinked == unlinked)
		return;

	claim->unlinked = unlinked;
	claim->table->nr_unlinked += unlinked ? 1 : -1;
	update_links_state(claim->table, 0);
}

/* Take the link from a claim, and put it into @ended if that was its last claim */
static void claim_let_link(struct kvmppc_spapr_tce_claim *claim,
			   struct list_head *ended)
{
	struct kvmppc_spapr_tce_link *link = claim->link;

	lockdep_assert_held(&claim->kvm->arch.spapr_tce_lock);
	claim->dead = true;
	claim->link = NULL;
	if (link && !--link->nr_claims) {
		link->group = claim->iommu_id;
		list_add(&link->ended, ended);
	}
}

/*
 * Remove links that have ended. free_links() follows, without the lock.
 *
 * A walk that began while there was a link writes the window as well. It must not
 * find the link gone and say that it has done all.
 */
static void remove_links(struct kvm *kvm, struct list_head *ended)
{
	struct kvmppc_spapr_tce_link *link;

	update_by_user(kvm);
	if (list_empty(ended))
		return;

	list_for_each_entry(link, ended, ended)
		update_links_state(link->table, TCE_LINKS_FROZEN);
	spapr_tce_quiesce();
	list_for_each_entry(link, ended, ended)
		list_del_rcu(&link->node);
	list_for_each_entry(link, ended, ended) {
		update_links_state(link->table, 0);
		trace_spapr_tce_unlink(link->table->liobn, link->group,
				       link->window);
	}
}

static void free_links(struct list_head *ended)
{
	struct kvmppc_spapr_tce_link *link, *next;

	/* Even without a link: another thread may have ended it and still wait */
	spapr_tce_quiesce();
	list_for_each_entry_safe(link, next, ended, ended)
		kfree(link);
}

/* End a claim, wherever it is */
static void claim_kill(struct kvmppc_spapr_tce_claim *claim,
		       struct list_head *ended)
{
	claim_let_link(claim, ended);
	remove_links(claim->kvm, ended);
}

static void claim_revoke(struct kvmppc_spapr_tce_claim *claim, bool unlink)
{
	LIST_HEAD(ended);

	scoped_guard(mutex, &claim->kvm->arch.spapr_tce_lock) {
		/* A claim that is being made or dropped is in no list of a table */
		if (unlink && !claim->dead && !list_empty(&claim->node))
			claim_set_unlinked(claim, true);
		claim_kill(claim, &ended);
	}
	free_links(&ended);
}

static void claim_group_revoked(struct vfio_external_user *external)
{
	claim_revoke(container_of(external, struct kvmppc_spapr_tce_claim,
				  external), false);
}

static void claim_window_changed(struct spapr_tce_writer *writer)
{
	struct kvmppc_spapr_tce_claim *claim =
		container_of(writer, struct kvmppc_spapr_tce_claim, writer);

	guard(mutex)(&claim->kvm->arch.spapr_tce_lock);
	/* A link that is being made sees the change when it is done */
	if (claim->link)
		update_links_state(claim->table, 0);
}

static void claim_window_revoked(struct spapr_tce_writer *writer)
{
	struct kvmppc_spapr_tce_claim *claim =
		container_of(writer, struct kvmppc_spapr_tce_claim, writer);

	/* A device may have other windows, see struct kvmppc_spapr_tce_claim */
	claim_revoke(claim, !claim->vfio);
}

/*
 * Give up what a dead claim holds. It is in no list of a table, and its walks have
 * been waited for. Only the callbacks can still find it, and they end here.
 */
static void claim_release(struct kvmppc_spapr_tce_claim *claim)
{
	if (claim->window)
		spapr_tce_window_put(&claim->writer);
	if (claim->vfio) {
		claim->vfio->unregister_user(claim->group, &claim->external);
		claim->vfio->put(claim->group);
		symbol_put(vfio_external_user_ops);
	}
	kfree(claim);
}

/* End a claim that is in no list */
static void claim_drop(struct kvmppc_spapr_tce_claim *claim)
{
	claim_revoke(claim, false);
	claim_release(claim);
}

/* The IOMMU group of a file that is a device's, with a reference, or NULL */
static struct iommu_group *device_group(struct file *file)
{
	struct iommu_group *(*fn)(struct file *file);
	struct iommu_group *group;

	/* VFIO may be a module that is not loaded */
	fn = symbol_get(vfio_device_file_iommu_group);
	if (!fn)
		return NULL;

	group = fn(file);
	symbol_put(vfio_device_file_iommu_group);
	return group;
}

/* Take a reference on the VFIO group, and be told when it goes */
static int claim_hold_group(struct kvmppc_spapr_tce_claim *claim)
{
	int ret = -EINVAL;

	claim->vfio = symbol_get(vfio_external_user_ops);
	if (!claim->vfio)
		return -EINVAL;

	claim->group = claim->vfio->get(claim->file);
	if (IS_ERR(claim->group)) {
		ret = PTR_ERR(claim->group);
		goto err_vfio;
	}

	ret = claim->vfio->register_user(claim->group, &claim->external);
	if (ret)
		goto err_put;

	claim->iommu_id = claim->vfio->iommu_id(claim->group);
	return 0;

err_put:
	claim->vfio->put(claim->group);
err_vfio:
	symbol_put(vfio_external_user_ops);
	return ret;
}

/* A claim that holds what it is for */
static struct kvmppc_spapr_tce_claim *
claim_create(struct kvm *kvm, struct file *file)
{
	struct kvmppc_spapr_tce_claim *claim;
	struct iommu_group *group;
	int ret;

	claim = kzalloc(sizeof(*claim), GFP_KERNEL_ACCOUNT);
	if (!claim)
		return ERR_PTR(-ENOMEM);

	INIT_LIST_HEAD(&claim->node);
	claim->kvm = kvm;
	claim->file = file;
	claim->external.revoke = claim_group_revoked;
	claim->writer.revoke = claim_window_revoked;
	claim->writer.changed = claim_window_changed;
	group = device_group(file);
	if (group) {
		claim->iommu_id = iommu_group_id(group);
		iommu_group_put(group);
		return claim;
	}

	ret = claim_hold_group(claim);
	if (ret) {
		kfree(claim);
		return ERR_PTR(ret);
	}

	return claim;
}

/*
 * Where a table lies on the bus
 * @page_shift: log2 of the page size in bytes
 * @start: bus address
 * @size: bytes
 */
struct place {
	unsigned int page_shift;
	u64 start;
	u64 size;
};

static struct place place_of(const struct kvmppc_spapr_tce_table *table)
{
	return (struct place) {
		.page_shift = table->page_shift,
		.start = table->offset << table->page_shift,
		.size = table->size << table->page_shift,
	};
}

static int find_window(struct kvmppc_spapr_tce_claim *claim,
		       struct iommu_group *group, struct mm_struct *mm,
		       const struct place *at)
{
	struct spapr_tce_window *window;

	window = spapr_tce_window_get(group, mm, at->page_shift, at->start,
				      at->size, &claim->writer);
	if (IS_ERR(window))
		return PTR_ERR(window);

	claim->window = window;
	return 0;
}

/*
 * Find the window that the group has where a table is. The caller holds the file.
 * Of a device's group no reference is kept: once the window is revoked, the group
 * may go before the claim is dropped.
 */
static int claim_window(struct kvmppc_spapr_tce_claim *claim,
			const struct place *at)
{
	struct iommu_group *group;
	int ret;

	if (claim->vfio) {
		group = claim->vfio->iommu_group(claim->group);
		if (IS_ERR(group))
			return PTR_ERR(group);
		return find_window(claim, group, claim->kvm->mm, at);
	}

	group = device_group(claim->file);
	if (!group)
		return -EINVAL;
	ret = find_window(claim, group, NULL, at);
	iommu_group_put(group);
	return ret;
}

static struct kvmppc_spapr_tce_link *
find_link(struct kvmppc_spapr_tce_table *table, struct spapr_tce_window *window)
{
	struct kvmppc_spapr_tce_link *link;

	list_for_each_entry(link, &table->links, node)
		if (link->window == window)
			return link;

	return NULL;
}

/* Make hypercalls write the window */
static int link_create(struct kvmppc_spapr_tce_claim *claim)
{
	struct kvmppc_spapr_tce_table *table = claim->table;
	struct kvmppc_spapr_tce_link *link;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	if (!link)
		return -ENOMEM;

	link->table = table;
	link->window = claim->window;
	link->subpage_shift = table->page_shift -
			      claim->window->page_shift;
	/* The links that a walk finds don't grow on its way */
	update_links_state(table, TCE_LINKS_FROZEN);
	spapr_tce_quiesce();
	list_add_rcu(&link->node, &table->links);
	update_links_state(table, 0);
	claim->link = link;
	trace_spapr_tce_link(table->liobn, claim->iommu_id, link->window);

	return 0;
}

/* Write a slice of the table. Meanwhile no walk changes it or reads its links. */
static int replay_slice(struct kvmppc_spapr_tce_claim *claim,
			unsigned long *index, struct spapr_tce *list)
{
	struct kvmppc_spapr_tce_table *table = claim->table;
	int ret;

	guard(mutex)(&table->kvm->arch.spapr_tce_lock);
	if (claim->dead)
		return -EINVAL;

	/* spapr_tce_window_watch() waits for the lock to tell of a change */
	if (spapr_tce_window_by_owner(claim->window)) {
		*index = table->size;
		return 0;
	}

	update_links_state(table, TCE_LINKS_FROZEN);
	spapr_tce_quiesce();
	ret = kvmppc_tce_replay_slice(table, claim->link, index, list);
	update_links_state(table, 0);

	return ret;
}

/* Write the entries that the table had before it got the link */
static int replay(struct kvmppc_spapr_tce_claim *claim)
{
	struct spapr_tce *list __free(kfree) =
		kmalloc_array(SPAPR_TCE_LIST_MAX, sizeof(*list),
			      GFP_KERNEL_ACCOUNT);
	unsigned long index = 0;
	int ret = 0;

	if (!list)
		return -ENOMEM;

	while (!ret && kvmppc_tce_replay_goes_on(claim->table, claim->window,
						 &index)) {
		ret = fatal_signal_pending(current) ? -EINTR :
		      replay_slice(claim, &index, list);
		cond_resched();
	}

	return ret;
}

/* Share the table's link to the window, or make one and set *@made */
static int claim_join(struct kvmppc_spapr_tce_claim *claim, bool *made)
{
	guard(mutex)(&claim->kvm->arch.spapr_tce_lock);
	if (claim->dead)
		return -EINVAL;

	claim->link = find_link(claim->table, claim->window);
	*made = !claim->link;
	if (*made) {
		int ret = link_create(claim);

		if (ret)
			return ret;
	}

	claim->link->nr_claims++;
	return 0;
}

/*
 * The last step of a claim: put it into the table's list. @old is one that was
 * unlinked, or NULL. Hypercalls are user space's because of it until the window
 * has what the table has; they change no window meanwhile, also one that another
 * claim's link has. On success @old leaves the list.
 */
static int claim_link(struct kvmppc_spapr_tce_claim *claim,
		      struct kvmppc_spapr_tce_claim *old)
{
	struct kvmppc_spapr_tce_table *table = claim->table;
	bool made;
	int ret;

	ret = claim_join(claim, &made);
	if (!ret && (made || old))
		ret = replay(claim);
	if (ret)
		return ret;

	guard(mutex)(&claim->kvm->arch.spapr_tce_lock);
	if (claim->dead)
		return -EINVAL;
	if (old) {
		claim_set_unlinked(old, false);
		list_del_init(&old->node);
	}
	list_add_tail(&claim->node, &table->claims);
	update_by_user(claim->kvm);
	return 0;
}

static void take_claims(struct kvmppc_spapr_tce_table *table, struct file *file,
			struct list_head *taken, struct list_head *ended)
{
	struct kvmppc_spapr_tce_claim *claim, *next;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	list_for_each_entry_safe(claim, next, &table->claims, node) {
		if (file && claim->file != file)
			continue;
		claim_let_link(claim, ended);
		claim_set_unlinked(claim, false);
		list_move_tail(&claim->node, taken);
	}
}

/*
 * End and drop claims: of a group, or all if @file is NULL, for one table, or all
 * if @table is NULL
 */
static void drop_claims(struct kvm *kvm, struct kvmppc_spapr_tce_table *table,
			struct file *file)
{
	struct kvmppc_spapr_tce_claim *claim, *next;
	struct kvmppc_spapr_tce_table *each;
	LIST_HEAD(taken);
	LIST_HEAD(ended);

	scoped_guard(mutex, &kvm->arch.spapr_tce_lock) {
		if (table)
			take_claims(table, file, &taken, &ended);
		else
			list_for_each_entry(each, &kvm->arch.spapr_tce_tables,
					    list)
				take_claims(each, file, &taken, &ended);
		remove_links(kvm, &ended);
	}
	if (list_empty(&taken))
		return;

	free_links(&ended);
	list_for_each_entry_safe(claim, next, &taken, node)
		claim_release(claim);
}

/*
 * Does the group have a live claim for the table? Drop dead ones, but not one
 * that was unlinked.
 */
static bool is_claimed(struct kvmppc_spapr_tce_table *table, struct file *file)
{
	struct kvmppc_spapr_tce_claim *claim;

	scoped_guard(mutex, &table->kvm->arch.spapr_tce_lock) {
		claim = file_claim(table, file);
		if (!claim || claim->unlinked)
			return false;
		if (!claim->dead)
			return true;
	}
	drop_claims(table->kvm, table, file);

	return false;
}

/* Link a claim; it takes the place of one that was unlinked, if it can */
static int claim_relink(struct kvmppc_spapr_tce_claim *claim)
{
	struct kvmppc_spapr_tce_table *table = claim->table;
	struct kvmppc_spapr_tce_claim *old;
	int ret;

	/* is_claimed() has left no other */
	scoped_guard(mutex, &table->kvm->arch.spapr_tce_lock)
		old = file_claim(table, claim->file);
	ret = claim_link(claim, old);
	if (!ret && old)
		claim_drop(old);
	return ret;
}

/**
 * kvmppc_tce_link() - link a table to a group's window
 * @table: the table; the caller holds its file
 * @file: file of the VFIO group or of the device
 *
 * Context: process context, may sleep. See kvm_spapr_tce_link_group().
 * Return: as kvm_spapr_tce_link_group().
 */
int kvmppc_tce_link(struct kvmppc_spapr_tce_table *table, struct file *file)
{
	struct kvmppc_spapr_tce_claim *claim;
	struct place at;
	bool links;
	int ret;

	if (is_claimed(table, file))
		return 0;

	claim = claim_create(table->kvm, file);
	if (IS_ERR(claim))
		return PTR_ERR(claim);

	claim->table = table;
	at = place_of(table);
	ret = claim_window(claim, &at);
	if (ret)
		goto err_drop;

	links = set_links(table->kvm, file, true);
	ret = claim_relink(claim);
	if (!ret)
		return 0;

	set_links(table->kvm, file, links);
err_drop:
	claim_drop(claim);
	return ret;
}

/**
 * kvmppc_tce_unlink() - end the claim of a device for a table, and keep it
 * @table: the table; the caller holds its file
 * @file: file of the device
 *
 * Context: process context, may sleep. See kvm_spapr_tce_unlink_table().
 * Return: 0; -ENOENT if the table has not been linked to @file.
 */
int kvmppc_tce_unlink(struct kvmppc_spapr_tce_table *table, struct file *file)
{
	struct kvmppc_spapr_tce_claim *claim;
	LIST_HEAD(ended);
	bool first;

	scoped_guard(mutex, &table->kvm->arch.spapr_tce_lock) {
		claim = file_claim(table, file);
		if (!claim)
			return -ENOENT;
		first = !claim->unlinked;
		if (first) {
			claim_set_unlinked(claim, true);
			claim_kill(claim, &ended);
		}
	}
	/*
	 * Walks that have not seen it are over before user space goes on, also if
	 * the device's detaching has ended the claim and still waits for them.
	 */
	free_links(&ended);
	if (!first)
		return 0;

	/* The window's owner is about to close it */
	spapr_tce_window_put(&claim->writer);
	claim->window = NULL;
	return 0;
}

/*
 * The live claim of one group for a table that another has no live claim for, after
 * @skip such claims; or NULL. A device's claims are not shared.
 */
static struct kvmppc_spapr_tce_claim *
unshared_claim(struct kvm *kvm, struct file *from, struct file *to,
	       unsigned int skip)
{
	struct kvmppc_spapr_tce_table *table;

	lockdep_assert_held(&kvm->arch.spapr_tce_lock);
	list_for_each_entry(table, &kvm->arch.spapr_tce_tables, list) {
		struct kvmppc_spapr_tce_claim *claim = live_claim(table, from);

		/*
		 * A link to a device takes hypercalls from user space, so it is
		 * for the device's user to make.
		 */
		if (claim && claim->vfio && !live_claim(table, to) && !skip--)
			return claim;
	}

	return NULL;
}

/* Join the link of @from's claim for the same window, if there still is one */
static bool claim_share(struct kvmppc_spapr_tce_claim *claim, struct file *from)
{
	struct kvmppc_spapr_tce_claim *old;

	guard(mutex)(&claim->kvm->arch.spapr_tce_lock);
	for (unsigned int skip = 0;
	     (old = unshared_claim(claim->kvm, from, claim->file, skip));
	     skip++) {
		if (claim->dead)
			return false;
		if (!old->link || old->window != claim->window)
			continue;

		claim->table = old->table;
		claim->link = old->link;
		claim->link->nr_claims++;
		list_add_tail(&claim->node, &claim->table->claims);
		return true;
	}

	return false;
}

/* Claim a table at @at for @to if both groups have the same window there */
static bool share_link(struct kvm *kvm, struct file *from, struct file *to,
		       const struct place *at)
{
	struct kvmppc_spapr_tce_claim *claim = claim_create(kvm, to);

	if (IS_ERR(claim))
		return false;
	if (!claim_window(claim, at) && claim_share(claim, from))
		return true;

	claim_drop(claim);
	return false;
}

/**
 * kvm_spapr_tce_share_links() - give a group the links of another
 * @kvm: the guest
 * @from: file of a VFIO group that is about to be unlinked
 * @to: file of another VFIO group; the caller holds it until it has called
 *	kvm_spapr_tce_unlink_group()
 *
 * Where both groups have the same window, hypercalls go on reaching it after
 * @from has been unlinked, as if @to had been linked as well: user space may have
 * linked only one of the groups that share a window, or may have replaced those that
 * it linked. If @to is not ready for DMA, or memory is short, it gets no link.
 *
 * Context: process context, may sleep; one caller at a time for @kvm, which
 * makes no link meanwhile. Takes locks of VFIO and of the TCE engine.
 */
void kvm_spapr_tce_share_links(struct kvm *kvm, struct file *from,
			       struct file *to)
{
	struct kvmppc_spapr_tce_claim *claim;
	unsigned int skip = 0;
	struct place at;

	for (;;) {
		scoped_guard(mutex, &kvm->arch.spapr_tce_lock) {
			claim = unshared_claim(kvm, from, to, skip);
			if (claim)
				at = place_of(claim->table);
		}
		if (!claim)
			return;
		if (!share_link(kvm, from, to, &at))
			skip++;
	}
}

/**
 * kvm_spapr_tce_unlink_group() - end all links of a group
 * @kvm: the guest
 * @file: file of the VFIO group
 *
 * When this returns, no hypercall reaches the group's windows, except through
 * another group that shares them. The group's reference is dropped, except if
 * another thread is closing the file of a table that it was linked to and drops
 * it soon. A group that was never linked is no error.
 *
 * Context: process context, may sleep. Takes locks of VFIO and of the engine.
 */
void kvm_spapr_tce_unlink_group(struct kvm *kvm, struct file *file)
{
	drop_claims(kvm, NULL, file);
	/* For claims that release of a table's file has just taken */
	spapr_tce_quiesce();
}

/**
 * kvm_spapr_tce_add_device() - note that a device was added to the KVM-VFIO device
 * @kvm: the guest
 * @file: file of the device; the caller holds it until it has called
 *	kvm_spapr_tce_remove_device()
 *
 * Until the device has been linked, all hypercalls that change a table go to user
 * space.
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int kvm_spapr_tce_add_device(struct kvm *kvm, struct file *file)
{
	struct tce_device *device;

	device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT);
	if (!device)
		return -ENOMEM;

	device->file = file;
	scoped_guard(mutex, &kvm->arch.spapr_tce_lock) {
		list_add_tail(&device->node, &kvm->arch.spapr_tce_devices);
		update_by_user(kvm);
	}
	spapr_tce_quiesce();
	return 0;
}

/**
 * kvm_spapr_tce_remove_device() - undo kvm_spapr_tce_add_device()
 * @kvm: the guest
 * @file: file of the device, which has been unlinked; another is no error
 *
 * Context: process context, may sleep.
 */
void kvm_spapr_tce_remove_device(struct kvm *kvm, struct file *file)
{
	struct tce_device *device, *next;

	guard(mutex)(&kvm->arch.spapr_tce_lock);
	list_for_each_entry_safe(device, next, &kvm->arch.spapr_tce_devices,
				 node) {
		if (device->file != file)
			continue;
		list_del(&device->node);
		kfree(device);
	}
	update_by_user(kvm);
}

/**
 * kvmppc_tce_drop_claims() - end all links of a table
 * @table: the table, about to be freed
 *
 * Context: process context, may sleep. Takes locks of VFIO and of the engine.
 */
void kvmppc_tce_drop_claims(struct kvmppc_spapr_tce_table *table)
{
	drop_claims(table->kvm, table, NULL);
}

/**
 * kvmppc_tce_show_claims() - print the IOMMU ids that a table is linked to
 * @table: the table
 * @m: file that they go to, with commas between them; "-" for none
 *
 * Context: spapr_tce_lock held.
 */
void kvmppc_tce_show_claims(struct kvmppc_spapr_tce_table *table,
			    struct seq_file *m)
{
	struct kvmppc_spapr_tce_claim *claim;
	bool any = false;

	lockdep_assert_held(&table->kvm->arch.spapr_tce_lock);
	list_for_each_entry(claim, &table->claims, node) {
		if (claim->dead)
			continue;
		seq_printf(m, any ? ",%d" : "%d", claim->iommu_id);
		any = true;
	}
	if (!any)
		seq_putc(m, '-');
}
