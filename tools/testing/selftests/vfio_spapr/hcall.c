// SPDX-License-Identifier: GPL-2.0
/*
 * What each TCE hypercall answers, argument by argument, at its limits and
 * beyond them, for tables without link and linked to a window of an IOMMU
 * group. PAPR leaves much open (LoPAPR 14.5.4.2). What guests and monitors rely
 * on is what Linux answers, and expected() says what that is: every answer is
 * compared with it.
 *
 * Besides, H_GET_TCE and the mapping of the table's file show the same, a refused
 * H_PUT_TCE changes nothing, user space gets hypercalls with the arguments that
 * the guest made, and a device reaches what the table says.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/linked.h"
#include "lib/memory.h"
#include "lib/transcript.h"
#include "../kselftest.h"

#define SZ_64K		0x10000ul
#define SZ_1M		0x100000ul
#define SZ_16M		0x1000000ul

/*
 * Guest memory: slot 0 from address 0, slot 1 with an end that no 16 MiB page
 * fits to, slot 2 high up, holes between them.
 */
#define MEM0_SIZE	(2 * SZ_16M)
#define MEM1		(4 * SZ_16M)
#define MEM1_SIZE	(SZ_16M + 3 * SZ_64K)
#define MEM2		(1024 * 1024 * SZ_1M)
#define MEM2_SIZE	SZ_16M
#define HOLE		(3 * SZ_16M)

/* Lists for H_PUT_TCE_INDIRECT, a page each */
#define LISTS		(8 * SZ_1M)
#define LIST_MAX	512

#define LIOBN		0x80000001ul

/*
 * A table. With a @window, the table's place is the window's: the default one,
 * or a further one with pages as large as the host's; both have TCEs beyond
 * @size.
 */
enum window { NO_WINDOW, DEFAULT_WINDOW, FURTHER_WINDOW };

struct table {
	const char *name;
	unsigned int shift;
	__u64 offset, size;
	enum window window;
};

static struct table tables[] = {
	{ "4K", 12, 0, 2048, NO_WINDOW },
	{ "4K_at_2G", 12, 0x80000, 1000, NO_WINDOW },
	{ "64K_high", 16, 1ul << 43, 1024, NO_WINDOW },
	{ "2M", 21, 0, 64, NO_WINDOW },
	{ "16M", 24, 1, 8, NO_WINDOW },
	{ "4K_three", 12, 7, 3, NO_WINDOW },
	/* As high as a table may end */
	{ "4K_last", 12, (1ul << 52) - 1 - 600, 600, NO_WINDOW },
	{ "linked_4K", 12, 0, 2048, DEFAULT_WINDOW },
	{ "linked_64K_on_4K", 16, 0, 1024, DEFAULT_WINDOW },
	{ "linked_16M_on_4K", 24, 0, 8, DEFAULT_WINDOW },
	{ "linked_64K_further", 16, 0, 1024, FURTHER_WINDOW },
	{ "linked_2M_further", 21, 0, 64, FURTHER_WINDOW },
};

/* Size of further windows in bytes */
#define WINDOW_SIZE	(1024 * SZ_1M)

static struct linked guest;
static struct kvm_ppc_vm *const vm = &guest.vm;
static struct kvm_ppc_vcpu *vcpu;
static const struct table *table;
static volatile __u64 *view;

/* Calls not made yet */
static struct kvm_ppc_call calls[KVM_PPC_MAX_CALLS];
static unsigned int ncalls;

/* Answers of the present test that are not as expected() has them */
static unsigned int wrong;

static __u64 tce_page_size(void)
{
	return 1ul << table->shift;
}

static __u64 start(void)
{
	return table->offset << table->shift;
}

static __u64 ioba(__u64 entry)
{
	return start() + (entry << table->shift);
}

static const char *answer(__s64 ret)
{
	static char number[24];

	switch (ret) {
	case H_SUCCESS:
		return "success";
	case H_PARAMETER:
		return "parameter";
	case KVM_PPC_TO_USER:
		return "user";
	case KVM_PPC_MANGLED:
		return "user, mangled";
	}
	snprintf(number, sizeof(number), "%lld", ret);
	return number;
}

/* Are these @n TCEs in the table? */
static bool in_table(__u64 bus, __u64 n)
{
	const __u64 first = (bus >> table->shift) - table->offset;

	return !(bus & (tce_page_size() - 1)) && first <= table->size &&
	       n <= table->size - first;
}

static bool lies_in(__u64 at, __u64 size, __u64 start, __u64 length)
{
	return at - start < length && size <= length - (at - start);
}

static const struct kvm_ppc_slot *slot_of(__u64 gpa)
{
	unsigned int i;

	for (i = 0; i < KVM_PPC_MAX_SLOTS; i++)
		if (gpa - vm->slots[i].gpa < vm->slots[i].size)
			return &vm->slots[i];
	return NULL;
}

/*
 * May the device have this page? A container has memory by its user address, and
 * an iommufd by the guest's, whatever the memory slots are.
 */
static bool is_given(__u64 gpa)
{
	const __u64 size = tce_page_size();
	const struct kvm_ppc_slot *slot = slot_of(gpa), *given;
	__u64 ua = 0;

	if (!guest.nested) {
		if (!slot || !lies_in(gpa, size, slot->gpa, slot->size))
			return false;
		ua = (__u64)slot->mem + (gpa - slot->gpa);
	}
	for (given = guest.given; given < guest.given + KVM_PPC_MAX_SLOTS;
	     given++)
		if (guest.nested ?
		    lies_in(gpa, size, given->gpa, given->size) :
		    lies_in(ua, size, (__u64)given->mem, given->size))
			return true;
	return false;
}

/*
 * Can the kernel put this TCE? In a table without a link user space translates
 * it, which needs no more than the beginning of the page.
 */
static bool can_put(__u64 tce)
{
	const __u64 gpa = tce & ~TCE_RW;

	if (!(tce & TCE_RW))
		return true;
	if (gpa & (tce_page_size() - 1))
		return false;
	return table->window ? is_given(gpa) : !!slot_of(gpa);
}

static __s64 expected_of_list(__u64 bus, __u64 gpa, __u64 n)
{
	const __u64 *entry = kvm_ppc_mem(vm, gpa);
	unsigned int i;

	if (n > LIST_MAX || gpa & 0xfff || !in_table(bus, n))
		return H_PARAMETER;
	if (!entry)
		return KVM_PPC_TO_USER;
	for (i = 0; i < n; i++)
		if (!can_put(be64toh(entry[i])))
			return KVM_PPC_TO_USER;
	return H_SUCCESS;
}

/* What a call that is to be made now has to answer */
static __s64 expected(const struct kvm_ppc_call *call)
{
	const __u64 *a = call->arg;

	if (a[0] != LIOBN)
		return KVM_PPC_TO_USER;

	switch (call->nr) {
	case H_GET_TCE:
		if (vm->pr)	/* does not know it */
			return KVM_PPC_TO_USER;
		return in_table(a[1], 1) ? H_SUCCESS : H_PARAMETER;
	case H_PUT_TCE:
		if (!in_table(a[1], 1))
			return H_PARAMETER;
		return can_put(a[2]) ? H_SUCCESS : KVM_PPC_TO_USER;
	case H_STUFF_TCE:
		return in_table(a[1], a[3]) && !(a[2] & TCE_RW) ?
		       H_SUCCESS : H_PARAMETER;
	default:
		return expected_of_list(a[1], a[2], a[3]);
	}
}

static void check(const struct kvm_ppc_call *call, __s64 want)
{
	const __u64 *a = call->arg;

	if (call->ret == want)
		return;
	wrong++;
	ksft_print_msg("hcall %llx of %llx %llx %llx %llx: %s\n", call->nr,
		       a[0], a[1], a[2], a[3], answer(call->ret));
	ksft_print_msg("  and not: %s\n", answer(want));
}

/* make - make the calls that have been gathered and check their answers */
static void make(void)
{
	static __s64 want[KVM_PPC_MAX_CALLS];
	unsigned int i;

	for (i = 0; i < ncalls; i++)
		want[i] = expected(&calls[i]);
	kvm_ppc_calls(vcpu, calls, ncalls);
	for (i = 0; i < ncalls; i++)
		check(&calls[i], want[i]);
	ncalls = 0;
}

static void call(__u64 nr, __u64 liobn, __u64 a, __u64 b,
		 __u64 c)
{
	if (ncalls == KVM_PPC_MAX_CALLS)
		make();
	calls[ncalls++] = (struct kvm_ppc_call){
		.nr = nr, .arg = { liobn, a, b, c },
	};
}

/* ask - make one call at once, after those that have been gathered */
static __s64 ask(__u64 nr, __u64 a, __u64 b, __u64 c)
{
	struct kvm_ppc_call one = { .nr = nr, .arg = { LIOBN, a, b, c } };
	__s64 want;

	make();
	want = expected(&one);
	kvm_ppc_calls(vcpu, &one, 1);
	check(&one, want);
	return one.ret;
}

static void put(__u64 a, __u64 tce)
{
	call(H_PUT_TCE, LIOBN, a, tce, 0);
}

static void get(__u64 a)
{
	call(H_GET_TCE, LIOBN, a, 0, 0);
}

static void stuff(__u64 a, __u64 tce, __u64 count)
{
	call(H_STUFF_TCE, LIOBN, a, tce, count);
}

/* same_view - H_GET_TCE and the mapping agree on the whole table */
static bool same_view(void)
{
	struct kvm_ppc_call gets[256];
	__u64 i, j, n;

	if (vm->pr)	/* answers no H_GET_TCE */
		return true;

	for (i = 0; i < table->size; i += n) {
		n = table->size - i < 256 ? table->size - i : 256;
		for (j = 0; j < n; j++)
			gets[j] = (struct kvm_ppc_call){
				.nr = H_GET_TCE,
				.arg = { LIOBN, ioba(i + j) },
			};
		kvm_ppc_calls(vcpu, gets, n);
		for (j = 0; j < n; j++) {
			if (!gets[j].ret && gets[j].out == view[i + j])
				continue;
			ksft_print_msg("entry %llx: %llx, mapping shows %llx\n",
				       i + j, gets[j].out, view[i + j]);
			return false;
		}
	}
	return true;
}

/* All about addresses on the bus that can be wrong, then some that are right */
static unsigned int bus_addresses(__u64 *a)
{
	__u64 size = tce_page_size(), *p = a;

	*p++ = start() - size;
	*p++ = start() - 1;
	*p++ = start() + 1;
	*p++ = start() + 8;
	*p++ = start() + size / 2;
	*p++ = start() + size - 1;
	*p++ = ioba(table->size);
	*p++ = ioba(table->size) + 1;
	*p++ = ioba(table->size + 1);
	*p++ = ioba(table->size + 512);
	*p++ = start() + (1ul << 32) * size;
	*p++ = start() ^ (1ul << 63);
	*p++ = -size;
	*p++ = ~0ul;
	*p++ = start();
	*p++ = ioba(1);
	*p++ = ioba(table->size - 1);
	return p - a;
}

/* Guest memory as TCEs name it: right, in part outside, outside, not aligned */
static unsigned int tces(__u64 *t)
{
	static const __u64 pages[] = {
		0, SZ_16M, MEM0_SIZE - SZ_64K, MEM0_SIZE - 0x1000, MEM0_SIZE,
		HOLE, MEM1 - SZ_64K, MEM1, MEM1 + SZ_16M, MEM1 + MEM1_SIZE,
		MEM2, MEM2 + MEM2_SIZE - SZ_64K, MEM2 + MEM2_SIZE,
		1ul << 60, 1ul << 63,
	};
	__u64 *p = t;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		*p++ = pages[i] | TCE_RW;
		*p++ = pages[i];
	}
	*p++ = SZ_16M | TCE_READ;
	*p++ = SZ_16M | TCE_WRITE;
	*p++ = SZ_16M | 4;
	*p++ = SZ_16M | 4 | TCE_RW;
	*p++ = SZ_16M | 0xffc;
	*p++ = SZ_16M | 0xfff;
	*p++ = (SZ_16M + 0x1000) | TCE_RW;
	*p++ = (SZ_16M + SZ_64K) | TCE_RW;
	*p++ = (SZ_16M + tce_page_size() / 2) | TCE_RW;
	*p++ = 0xdead0000beef0004;
	*p++ = ~0ul;
	*p++ = ~3ul;
	*p++ = TCE_READ;
	*p++ = TCE_WRITE;
	*p++ = 0;
	return p - t;
}

static const __u64 wrong_liobns[] = {
	0, LIOBN - 1, LIOBN + 1, LIOBN | 1ul << 32, ~0ul,
};

/* What belongs to no table is for user space */
static bool test_liobn(void)
{
	const unsigned long before = vcpu->handed;
	__u64 list = LISTS;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong_liobns); i++) {
		call(H_PUT_TCE, wrong_liobns[i], start(), TCE_RW, 0);
		call(H_GET_TCE, wrong_liobns[i], start(), 0, 0);
		call(H_PUT_TCE_INDIRECT, wrong_liobns[i], start(), list, 1);
		call(H_STUFF_TCE, wrong_liobns[i], start(), 0, 1);
	}
	make();
	return vcpu->handed - before == 4 * ARRAY_SIZE(wrong_liobns);
}

static bool test_put(void)
{
	__u64 a[32], t[64], before;
	unsigned int i, j, na = bus_addresses(a), nt = tces(t);

	for (i = 0; i < na; i++) {
		put(a[i], SZ_16M | TCE_RW);
		get(a[i]);
	}
	make();
	for (j = 0; j < nt; j++) {
		put(start(), t[j]);
		get(start());
		put(ioba(table->size - 1), t[j]);
	}
	make();

	/* Refused: as if it had not been made */
	for (j = 0; j < nt; j++) {
		before = view[0];
		if (ask(H_PUT_TCE, start(), t[j], 0) == H_SUCCESS)
			before = t[j];
		if (view[0] != before) {
			ksft_print_msg("put %llx: entry became %llx\n", t[j],
				       view[0]);
			return false;
		}
	}
	return same_view();
}

static bool test_get(void)
{
	__u64 a[32];
	unsigned int i, na = bus_addresses(a);

	for (i = 0; i < na; i++)
		get(a[i]);
	make();
	return same_view();
}

/* stuff_is - one H_STUFF_TCE has the effect that its answer says */
static bool stuff_is(__u64 first, __u64 count, __u64 tce, __s64 want)
{
	__u64 i, before = view[0], value;
	__s64 ret = ask(H_STUFF_TCE, ioba(first), tce, count);

	if (ret != want) {
		ksft_print_msg("stuff of %llu: %s\n", count, answer(ret));
		return false;
	}
	for (i = 0; i < table->size; i++) {
		value = before;
		if (ret == H_SUCCESS && i >= first && i < first + count)
			value = tce;
		if (view[i] != value) {
			ksft_print_msg("stuff: entry %llx is %llx, not %llx\n", i,
				       view[i], value);
			return false;
		}
	}
	return ret != H_SUCCESS || !first || stuff_is(0, table->size, before, 0);
}

static bool stuff_effects(void)
{
	__u64 n = table->size;

	return stuff_is(0, n, 0x40, H_SUCCESS) &&
	       stuff_is(1, n - 1, 0x48, H_SUCCESS) &&
	       stuff_is(n - 1, 1, 0x50, H_SUCCESS) &&
	       stuff_is(1, n, 0x58, H_PARAMETER) &&
	       stuff_is(0, n, TCE_READ, H_PARAMETER) &&
	       stuff_is(0, n, TCE_WRITE, H_PARAMETER) &&
	       stuff_is(1, 0, 0x60, H_SUCCESS);
}

static bool test_stuff(void)
{
	const __u64 values[] = {
		0, TCE_READ, TCE_WRITE, TCE_RW, 4, SZ_16M, HOLE, ~3ul, ~0ul,
		0xdead0000beef0004,
	};
	const __u64 counts[] = {
		0, 1, 2, 511, 512, 513, table->size - 1, table->size,
		table->size + 1, 1ul << 32, 1ul << 52, 1ul << 63, ~0ul,
		-(table->offset + 1), -table->offset,
	};
	__u64 a[32];
	unsigned int i, na = bus_addresses(a);

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		stuff(start(), values[i], 2);
		get(ioba(1));
	}
	make();
	for (i = 0; i < na; i++)
		stuff(a[i], 8, 1);
	make();
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		stuff(start(), 0x100 + 8 * i, counts[i]);
		make();
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		stuff(ioba(1), 0x200 + 8 * i, counts[i]);
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		stuff(ioba(table->size - 1), 0x300 + 8 * i, counts[i]);
	make();
	return stuff_effects() && same_view();
}

/* fill_list - a list of pages from the guest's memory, in steps of a page */
static __u64 fill_list(unsigned int nr)
{
	__u64 gpa = LISTS + nr * 0x1000;
	__u64 *list = kvm_ppc_mem(vm, gpa);
	unsigned int i;

	for (i = 0; i < LIST_MAX; i++)
		list[i] = htobe64((((__u64)i << table->shift) &
				   (MEM0_SIZE - 1)) | TCE_RW);
	return gpa;
}

static void list(__u64 a, __u64 gpa, __u64 n)
{
	call(H_PUT_TCE_INDIRECT, LIOBN, a, gpa, n);
}

/* A list that is taken is in the table, entry by entry. */
static bool list_effects(__u64 gpa)
{
	unsigned int i, n = table->size < LIST_MAX ? table->size : LIST_MAX;
	const __u64 *entry = kvm_ppc_mem(vm, gpa);

	if (!stuff_is(0, table->size, 0, H_SUCCESS) ||
	    ask(H_PUT_TCE_INDIRECT, ioba(1), gpa, n - 1) != H_SUCCESS)
		return false;
	for (i = 0; i < n - 1; i++)
		if (view[i + 1] != be64toh(entry[i]))
			break;
	if (i < n - 1)
		ksft_print_msg("list: entry %x is %llx\n", i, view[i + 1]);
	return i == n - 1 && !view[0] && (n == table->size || !view[n]);
}

static bool test_list(void)
{
	const __u64 counts[] = {
		0, 1, 2, 8, 511, 512, 513, table->size, table->size + 1,
		1ul << 32, 1ul << 63, ~0ul,
	};
	const __u64 places[] = {
		/* not aligned to 4 KiB */
		LISTS + 8, LISTS + 1, LISTS + 0x800,
		/* at the end of a slot, after it, in a hole, nowhere */
		MEM0_SIZE - 0x1000, MEM0_SIZE, HOLE, MEM1 + MEM1_SIZE - 0x1000,
		MEM1 + MEM1_SIZE, MEM2, MEM2 + MEM2_SIZE - 0x1000,
		1ul << 60, 1ul << 63, -0x1000ul, ~0ul,
	};
	__u64 a[32], gpa = fill_list(0);
	unsigned int i, na = bus_addresses(a);

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		list(start(), gpa, counts[i]);
		make();
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		list(ioba(table->size - 1), gpa, counts[i]);
	for (i = 0; i < na; i++)
		list(a[i], gpa, 2);
	make();
	/*
	 * Lists that earlier tests have left there, or TCEs without permission.
	 * Some kernels refuse the latter to a link, see test_list_poison().
	 */
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (table->window && !(places[i] & 0xfff))
			continue;
		list(start(), places[i], 2);
		list(start(), places[i], 512);
		list(start(), places[i], 0);
	}
	make();
	return list_effects(gpa) && same_view();
}

/* One entry of a list is not like the others: early, late, at the end */
static void list_with(__u64 tce)
{
	unsigned int n = table->size < LIST_MAX ? table->size : LIST_MAX;
	const unsigned int at[] = { 0, 1, n / 2, n - 1 };
	unsigned int i;
	__u64 gpa, *entry;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		gpa = fill_list(1);
		entry = kvm_ppc_mem(vm, gpa);
		entry[at[i]] = htobe64(tce);
		stuff(start(), 0, n);
		list(start(), gpa, n);
		make();
	}
}

static bool test_list_entries(void)
{
	unsigned int i, n;
	__u64 t[64];

	n = tces(t);
	for (i = 0; i < n; i++)
		if (t[i] & TCE_RW)
			list_with(t[i]);
	return same_view();
}

/* A short list with an entry that can't be made does nothing. */
static bool test_list_few(void)
{
	const __u64 bad[] = {
		/* not aligned, in the host page of another entry or not */
		0x4 | TCE_RW, 0x800 | TCE_RW, (SZ_16M + 8) | TCE_READ,
		(SZ_16M + tce_page_size() / 2) | TCE_RW,
		/* beyond all memory, aligned and not; of no memory slot */
		~0xffffull | TCE_RW, ~0xffffull | TCE_READ, ~0ull,
		1ull << 63 | TCE_RW, HOLE | TCE_RW, HOLE | TCE_WRITE,
	};
	const __u64 gpa = fill_list(1);
	__u64 *entry = kvm_ppc_mem(vm, gpa);
	unsigned int i, at;
	bool ok = true;
	__s64 ret;

	for (i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
		at = i % 2;
		fill_list(1);
		entry[at] = htobe64(bad[i / 2]);
		ask(H_STUFF_TCE, start(), 0, 2);
		ret = ask(H_PUT_TCE_INDIRECT, start(), gpa, 2);
		if (ret != H_SUCCESS && !view[0] && !view[1])
			continue;
		ksft_print_msg("%llx at %u: %lld, %llx %llx\n", bad[i / 2], at,
			       ret, view[0], view[1]);
		ok = false;
	}
	return ok && same_view();
}

/* Values without permission bits clear, as H_PUT_TCE has it, and are kept. */
static bool test_list_poison(void)
{
	unsigned int i, n;
	bool ok = true;
	__u64 t[64];

	n = tces(t);
	for (i = 0; i < n; i++) {
		/* Fatal on some kernels: "one_call" has that */
		if (t[i] & TCE_RW || table->window)
			continue;
		list_with(t[i]);
		if (view[table->size < LIST_MAX ? table->size - 1 :
			 LIST_MAX - 1] == t[i])
			continue;
		ksft_print_msg("%llx in a list\n", t[i]);
		ok = false;
	}
	return ok && same_view();
}

/*
 * A memory slot that goes away, comes back elsewhere and returns. What the vCPU
 * remembers of it must not serve the next H_PUT_TCE.
 */
static void move_slot(unsigned int nr)
{
	const struct kvm_ppc_slot was = vm->slots[nr];
	const __u64 gpa = was.gpa, elsewhere = gpa + SZ_16M;

	*(__u64 *)was.mem = htobe64(TCE_RW);
	list(start(), gpa, 1);
	put(start(), gpa | TCE_RW);
	put(start(), gpa | TCE_RW);
	make();

	/* A container keeps what is registered */
	kvm_ppc_slot(vm, nr, gpa, 0, was.mem);
	put(start(), gpa | TCE_RW);
	list(start(), gpa, 1);
	put(start(), gpa);
	get(start());
	make();

	kvm_ppc_slot(vm, nr, elsewhere, was.size, was.mem);
	put(start(), gpa | TCE_RW);
	put(start(), elsewhere | TCE_RW);
	list(start(), gpa, 1);
	list(start(), elsewhere, 1);
	put(start(), gpa | TCE_RW);
	make();

	kvm_ppc_slot(vm, nr, gpa, 0, was.mem);
	kvm_ppc_slot(vm, nr, gpa, was.size, was.mem);
	put(start(), elsewhere | TCE_RW);
	put(start(), gpa | TCE_RW);
	make();
}

static bool test_slots(void)
{
	move_slot(1);
	move_slot(2);
	return same_view();
}

static sigjmp_buf bus_error;

static void on_bus_error(int sig)
{
	siglongjmp(bus_error, 1);
}

/* mapped_upto - how many bytes of a table's mapping can be read */
static __u64 mapped_upto(int fd, __u64 length, __u64 page)
{
	volatile __u64 at;
	char *mem = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		return ~0ul;
	for (at = 0; at < length; at += page) {
		if (sigsetjmp(bus_error, 1))
			break;
		(void)*(volatile char *)(mem + at);
	}
	munmap(mem, length);
	return at;
}

/* The mapping ends with the table and can't be written past the guest's back */
static bool test_mmap(int fd)
{
	__u64 page = sysconf(_SC_PAGESIZE), size = table->size * 8;
	__u64 end = (size + page - 1) & ~(page - 1);
	__u64 got = mapped_upto(fd, end + 2 * page, page);
	__u64 *mem;

	if (got != end)
		return false;

	mem = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return true;
	mem[0] = SZ_16M | 8;
	get(start());
	make();
	munmap(mem, page);
	return same_view();
}

static bool reach_is(__u64 bus, __u64 gpa, unsigned int expected)
{
	unsigned int got = linked_reach(&guest, bus, gpa, ioba(1), 0);

	/* PHB3 to PHB5 know no page that is written only. */
	if (got == (DMA_READS | DMA_WRITES) && expected == DMA_WRITES)
		return true;
	if (got != expected)
		ksft_print_msg("bus %llx: device can %x, not %x\n", bus, got,
			       expected);
	return got == expected;
}

/* The device sees what the guest has put there, at once and no longer. */
static bool test_device(void)
{
	const __u64 last = tce_page_size() - 0x1000, gpa = SZ_16M;
	const __u64 end = ioba(table->size - 1);
	__u64 list_at = fill_list(0);
	bool ok = true;

	stuff(start(), 0, table->size);
	put(ioba(1), TCE_RW);		/* scratch of reach_is() */
	put(start(), gpa | TCE_RW);
	put(end, gpa | TCE_RW);
	make();
	ok &= reach_is(start(), gpa, DMA_READS | DMA_WRITES);
	ok &= reach_is(start() + last, gpa + last, DMA_READS | DMA_WRITES);
	ok &= reach_is(end + last, gpa + last, DMA_READS | DMA_WRITES);
	ok &= reach_is(ioba(2), gpa, 0);

	put(start(), gpa | TCE_READ);
	make();
	ok &= reach_is(start(), gpa, DMA_READS);
	put(start(), gpa | TCE_WRITE);
	make();
	ok &= reach_is(start() + last, gpa + last, DMA_WRITES);
	put(start(), gpa);
	make();
	ok &= reach_is(start() + last, gpa + last, 0);

	list(ioba(1), list_at, 3);
	make();
	ok &= reach_is(ioba(2) + last, tce_page_size() + last,
		       DMA_READS | DMA_WRITES);
	stuff(ioba(2), 8, table->size - 2);
	make();
	ok &= reach_is(ioba(2), tce_page_size(), 0);
	ok &= reach_is(end, gpa, 0);
	make();
	return ok && same_view();
}

/* place - the table's file; a linked one has its place from the window */
static int place(struct table *t)
{
	__u64 at = guest.start32;

	if (!t->window)
		return kvm_ppc_table(vm, LIOBN, t->shift, t->offset, t->size);

	if (t->window == FURTHER_WINDOW)
		at = linked_window(&guest, page_shift(), WINDOW_SIZE);
	t->offset = at >> t->shift;
	return linked_table(&guest, LIOBN, t->shift, at, t->size);
}

static const char *kind;

/* report - run a test of a table under its name */
#define report(what, test)						\
	do {								\
		bool ok;						\
									\
		wrong = 0;						\
		ok = (test) && !wrong;					\
		ksft_test_result(ok, "%s.%s.%s\n", kind, table->name,	\
				 what);					\
	} while (0)

static void test_table(struct table *t, bool pr)
{
	int fd;

	table = t;
	if (t->window) {
		linked_open(&guest, pr, MEM0_SIZE);
		linked_slot(&guest, 2, MEM2, MEM2_SIZE);
	} else {
		kvm_ppc_vm_init(vm, pr, MEM0_SIZE);
		kvm_ppc_slot(vm, 2, MEM2, MEM2_SIZE, NULL);
	}
	/* Not registered: a linked table does not take it. */
	kvm_ppc_slot(vm, 1, MEM1, MEM1_SIZE, NULL);
	vcpu = kvm_ppc_vcpu(vm, 0);

	fd = place(t);
	view = mmap(NULL, t->size * 8, PROT_READ, MAP_SHARED, fd, 0);
	if (view == MAP_FAILED)
		ksft_exit_fail_msg("mmap of a table: %s\n", strerror(errno));

	report("get", test_get());
	report("liobn", test_liobn());
	report("put", test_put());
	report("stuff", test_stuff());
	report("list", test_list());
	report("list_entries", test_list_entries());
	report("list_few", test_list_few());
	report("list_poison", test_list_poison());
	report("slots", test_slots());
	report("mmap", test_mmap(fd));
	if (t->window)
		report("device", test_device());
	else
		ksft_test_result_skip("%s.%s.device: no window\n", kind,
				      t->name);
	/* User space got what the guest asked for */
	report("handed", !vcpu->mangled);

	munmap((void *)view, t->size * 8);
	close(fd);
	if (t->window) {
		linked_close(&guest);
		return;
	}
	kvm_ppc_vm_close(vm);
	kvm_ppc_vm_free(vm);
}

#define TESTS_A_TABLE	12

/* Closes a new table's file. Returns the errno if there is none, else 0. */
static int close_table(int fd)
{
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Is the answer to such a table an errno, or 0 for its file? */
static bool create(__u64 liobn, unsigned int shift, __u32 flags,
		   __u64 offset, __u64 size, int error)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = liobn,
		.page_shift = shift,
		.flags = flags,
		.offset = offset,
		.size = size,
	};
	const int got = close_table(ioctl(vm->fd, KVM_CREATE_SPAPR_TCE_64,
					  &args));

	if (got != error)
		ksft_print_msg("new %llx %u %x %llx %llx: %d, not %d\n", liobn,
			       shift, flags, offset, size, got, error);
	return got == error;
}

/* The same by the older call, which takes bytes in pages of 4 KiB */
static bool create_old(__u32 window_size, int error)
{
	struct kvm_create_spapr_tce args = {
		.liobn = 1,
		.window_size = window_size,
	};
	const int got = close_table(ioctl(vm->fd, KVM_CREATE_SPAPR_TCE, &args));

	if (got != error)
		ksft_print_msg("new, old way %x: %d, not %d\n", window_size,
			       got, error);
	return got == error;
}

static unsigned long locked_pages(void)
{
	char line[128];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024 / sysconf(_SC_PAGESIZE);
}

/* Tables that can and can't be; nothing stays accounted for either */
static bool test_create(void)
{
	static const unsigned int shifts[] = {
		0, 11, 12, 13, 16, 21, 24, 30, 34, 35, 63, 64, ~0u,
	};
	unsigned long before = locked_pages();
	struct rlimit saved, none = { 0, 0 };
	bool ok = true;
	unsigned int i;
	int fd, again;
	__u32 size;

	for (i = 0; i < ARRAY_SIZE(shifts); i++)
		ok &= create(1, shifts[i], 0, 0, 16,
			     shifts[i] < 12 || shifts[i] > 34 ? EINVAL : 0);
	for (i = 0; i < 64; i += 21)
		ok &= create(1, 12, 1u << (i / 2), 0, 16, EINVAL);
	ok &= create(1, 12, 0, 0, 0, EINVAL);
	ok &= create(1, 12, 0, (1ul << 52) - 17, 16, 0);
	ok &= create(1, 12, 0, (1ul << 52) - 16, 16, EINVAL);
	ok &= create(1, 12, 0, 1ul << 52, 16, EINVAL);
	ok &= create(1, 12, 0, 1ul << 63, 1ul << 62, EINVAL);
	ok &= create(1, 12, 0, 0, ~0ul, EINVAL);
	ok &= create(1, 12, 0, 0, (1ul << 52) - 1, ENOMEM);
	ok &= create(1, 34, 0, 0, 1ul << 30, EINVAL);
	ok &= create(1ul << 32 | 1, 12, 0, 0, 16, 0);
	ok &= create(~0ul, 12, 0, 0, 16, 0);

	for (i = 0; i < 36; i += 5) {
		size = 1ul << i;
		ok &= create_old(size, size < 0x1000 ? EINVAL : 0);
	}

	/* One table a LIOBN, until its file is closed */
	fd = kvm_ppc_table(vm, 1, 12, 0, 16);
	again = __kvm_ppc_table(vm, 1, 16, 0, 16);
	close(fd);
	ok &= create(1, 12, 0, 0, 16, 0);

	getrlimit(RLIMIT_MEMLOCK, &saved);
	none.rlim_max = saved.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &none);
	/* root may lock as much as it likes */
	ok &= create(1, 12, 0, 0, 16, 0);
	setrlimit(RLIMIT_MEMLOCK, &saved);

	return ok && again == -EBUSY && locked_pages() == before;
}

/* What the VM says it can do */
static bool test_capabilities(void)
{
	static const int caps[] = {
		KVM_CAP_SPAPR_TCE, KVM_CAP_SPAPR_TCE_64,
		KVM_CAP_SPAPR_TCE_VFIO, KVM_CAP_SPAPR_MULTITCE,
		KVM_CAP_PPC_ENABLE_HCALL,
	};
	unsigned int i, can = 0;

	for (i = 0; i < ARRAY_SIZE(caps); i++)
		can += ioctl(vm->fd, KVM_CHECK_EXTENSION, caps[i]) > 0;
	return can == ARRAY_SIZE(caps);
}

/* Hypercalls that the monitor keeps for itself */
static bool test_enable(void)
{
	static const __u64 nrs[] = {
		H_GET_TCE, H_PUT_TCE, H_PUT_TCE_INDIRECT, H_STUFF_TCE,
	};
	unsigned int i, on;
	bool ok = true;
	__s64 ret, want;
	int fd, error;

	table = &tables[0];
	vcpu = kvm_ppc_vcpu(vm, 0);
	fd = kvm_ppc_table(vm, LIOBN, table->shift, 0, table->size);
	fill_list(0);
	for (i = 0; i < 2 * ARRAY_SIZE(nrs); i++) {
		const __u64 nr = nrs[i / 2];
		/* KVM-PR can be told, but leaves H_GET_TCE to user space */
		const bool known = !vm->pr || nr != H_GET_TCE;

		on = i % 2;
		error = __kvm_ppc_enable_hcall(vm, nr, on);
		ret = kvm_ppc_hcall(vcpu, nr, LIOBN, 0,
				    nr == H_PUT_TCE_INDIRECT ? LISTS : 0, 1,
				    NULL);
		want = on && known ? H_SUCCESS : KVM_PPC_TO_USER;
		if (ret == want && !error)
			continue;
		ksft_print_msg("hcall %llx, enabled %u: %d, %s\n", nr, on,
			       error, answer(ret));
		ok = false;
	}
	close(fd);
	return ok && !vcpu->mangled;
}

#define TESTS_A_VM	3

static void test_vm(bool pr)
{
	static const struct table any = { .name = "any" };

	kvm_ppc_vm_init(vm, pr, MEM0_SIZE);
	table = &any;
	report("capabilities", test_capabilities());
	report("create", test_create());
	report("enable", test_enable());
	kvm_ppc_vm_close(vm);
	kvm_ppc_vm_free(vm);
}

static void skip_table(const struct table *t)
{
	unsigned int i;

	for (i = 0; i < TESTS_A_TABLE; i++)
		ksft_test_result_skip("%s.%s: no devices\n", kind, t->name);
}

/* In a variant only the tables with a window */
int main(int argc, char **argv)
{
	const bool has[] = { kvm_ppc_has_hv(), kvm_ppc_has_pr() };
	bool devices;
	unsigned int i, pr, first = 0;

	linked_variant(&guest, &argc, argv);
	transcript_mute(1);
	ksft_print_header();
	if (!has[0] && !has[1])
		ksft_exit_skip("no KVM\n");
	while (guest.nested && !tables[first].window)
		first++;
	ksft_set_plan((has[0] + has[1]) *
		      (TESTS_A_VM + (ARRAY_SIZE(tables) - first) *
				    TESTS_A_TABLE));
	signal(SIGBUS, on_bus_error);
	devices = guest.nested ? !linked_find(&guest) :
				 testbed_find(&guest.bed);

	for (pr = 0; pr < 2; pr++) {
		if (!has[pr])
			continue;
		kind = pr ? "PR" : "HV";
		test_vm(pr);
		for (i = first; i < ARRAY_SIZE(tables); i++) {
			if (tables[i].window && !devices)
				skip_table(&tables[i]);
			else
				test_table(&tables[i], pr);
		}
	}
	ksft_finished();
}
