// SPDX-License-Identifier: GPL-2.0-only
//go:build ignore
/*
 * What a VM takes to hold its vCPUs, by the account of the allocators: each
 * object counts with all bytes that the allocator set aside for it, which is what
 * the tracepoints of kmem call bytes_alloc.
 *
 * Tables and nodes that were replaced, and wait for a grace period to be freed,
 * aren't the VM's any more and don't count.  Those that are kept for as long as
 * the VM lives do, and so do those that a vCPU has not moved away from.
 */
#include <linux/kvm_host.h>
#include <linux/module.h>

#ifdef HAS_SLAB_H
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include "slab.h"
#endif
#include "vcpuloops.h"

#ifdef HAS_SLAB_H

#if !defined(VM_HAS_XARRAY) && !defined(VM_HAS_TABLE) && !defined(VM_HAS_ARRAY) && \
	!defined(VM_HAS_SEGMENTS) && !defined(VM_HAS_CHUNKS) && !defined(VM_COUNTS_USERS)
#error struct kvm has none of vcpu_array, vcpus, vcpu_segs and vcpu_chunks, which this file counts
#endif

/* Bytes that the allocator set aside for the object that begins at @p. */
static size_t allocated(const void *p)
{
	struct slab *slab;
	size_t bytes = 0;

	if (is_vmalloc_addr(p)) {
		/* A page that isn't mapped guards the end of an area. */
		while (vmalloc_to_page(p + bytes))
			bytes += PAGE_SIZE;
		return bytes;
	}

	slab = virt_to_slab(p);
	/* ksize() leaves out what padding of an object is used for. */
	return slab ? slab->slab_cache->size : ksize(p);
}

static void count(struct vcpuloops_memory *m, const void *p)
{
	m->container += allocated(p);
	m->objects++;
}

#ifdef VM_HAS_XARRAY
/* Counts the node with all nodes below it, returns how many vCPUs it has. */
static u32 count_node(struct vcpuloops_memory *m, const struct xa_node *node)
{
	u32 vcpus = 0;
	int i;

	count(m, node);
	for (i = 0; i < XA_CHUNK_SIZE; i++) {
		void *entry = rcu_dereference(node->slots[i]);

		if (xa_is_node(entry))
			vcpus += count_node(m, xa_to_node(entry));
		else if (entry)
			vcpus++;
	}

	return vcpus;
}

static int count_array(struct vcpuloops_memory *m, struct kvm *kvm)
{
	void *entry = rcu_dereference(kvm->vcpu_array.xa_head);
	u32 vcpus = entry ? 1 : 0;

	/* An array of one entry at index 0 has no node. */
	if (xa_is_node(entry))
		vcpus = count_node(m, xa_to_node(entry));

	return vcpus == m->vcpus ? 0 : -ENODATA;
}
#else
static int count_array(struct vcpuloops_memory *m, struct kvm *kvm) { return 0; }
#endif

#ifdef VM_HAS_TABLE
static int count_table(struct vcpuloops_memory *m, struct kvm *kvm)
{
	struct kvm_vcpu **vcpus = rcu_dereference(kvm->vcpus);
	unsigned long offset = (unsigned long)vcpus - (unsigned long)kvm;
	u32 i;

	if (!vcpus)
		return -ENODATA;

	/* The first table may be a part of struct kvm. */
	if (offset >= sizeof(*kvm))
		count(m, vcpus);

	for (i = 0; i < m->vcpus; i++) {
		if (vcpus[i]->vcpu_idx != i)
			return -ENODATA;
	}

	return 0;
}
#else
static int count_table(struct vcpuloops_memory *m, struct kvm *kvm) { return 0; }
#endif

#ifdef VM_COUNTS_USERS
/* Whether an earlier vCPU, or the VM, uses the table of the vCPU with index @i. */
static bool counted_before(struct kvm_vcpu_table *current_table, u32 i)
{
	struct kvm_vcpu_table *table = current_table->vcpu[i]->vcpus;
	u32 j;

	if (table == current_table)
		return true;

	for (j = 0; j < i; j++) {
		if (current_table->vcpu[j]->vcpus == table)
			return true;
	}

	return false;
}

static int count_used_tables(struct vcpuloops_memory *m, struct kvm *kvm)
{
	struct kvm_vcpu_table *table = rcu_dereference(kvm->vcpus);
	u32 i;

	if (!table || table->nr < m->vcpus)
		return -ENODATA;

	count(m, table);

	for (i = 0; i < m->vcpus; i++) {
		if (table->vcpu[i]->vcpu_idx != i)
			return -ENODATA;
		if (!counted_before(table, i))
			count(m, table->vcpu[i]->vcpus);
	}

	return 0;
}
#else
static int count_used_tables(struct vcpuloops_memory *m, struct kvm *kvm) { return 0; }
#endif

#ifdef VM_KEEPS_TABLES
static void count_old_tables(struct vcpuloops_memory *m, struct kvm *kvm)
{
	unsigned int i;

	for (i = 0; i < kvm->nr_vcpu_tables; i++) {
		if (kvm->vcpu_tables[i] != kvm->vcpus)
			count(m, kvm->vcpu_tables[i]);
	}
}
#else
static void count_old_tables(struct vcpuloops_memory *m, struct kvm *kvm) { }
#endif

#if defined(VM_HAS_SEGMENTS) || defined(VM_HAS_CHUNKS)
static int count_segments(struct vcpuloops_memory *m, struct kvm *kvm)
{
#ifdef VM_HAS_SEGMENTS
	struct kvm_vcpu ***segments = kvm->vcpu_segs;
	/* The first one is a part of struct kvm. */
	u32 first = 1, end = ARRAY_SIZE(kvm->vcpu_segs), i;
#else
	struct kvm_vcpu ***segments = kvm->vcpu_chunks;
	u32 first = 0, end = ARRAY_SIZE(kvm->vcpu_chunks), i;
#endif

	for (i = first; i < end; i++) {
		if (segments[i])
			count(m, segments[i]);
	}

	for (i = 0; i < m->vcpus; i++) {
		if ((*kvm_vcpu_slot(kvm, i))->vcpu_idx != i)
			return -ENODATA;
	}

	return 0;
}
#else
static int count_segments(struct vcpuloops_memory *m, struct kvm *kvm) { return 0; }
#endif

#ifdef VM_HAS_ARRAY
/* The array is a part of struct kvm, and counts as what it is. */
static int count_fixed_array(struct vcpuloops_memory *m, struct kvm *kvm)
{
	u32 i;

	m->kvm -= sizeof(kvm->vcpus);
	m->container += sizeof(kvm->vcpus);
	m->objects++;

	for (i = 0; i < m->vcpus; i++) {
		if (kvm->vcpus[i]->vcpu_idx != i)
			return -ENODATA;
	}

	return 0;
}
#else
static int count_fixed_array(struct vcpuloops_memory *m, struct kvm *kvm) { return 0; }
#endif

#ifdef VM_HAS_ID_MAP
static int count_id_map(struct vcpuloops_memory *m, struct kvm *kvm)
{
	struct kvm_vcpu_id_map *map = READ_ONCE(kvm->vcpu_id_map);
	struct kvm_vcpu_id_chunk *chunk;
	int i;

	if (!map)
		return 0;

	count(m, map);
	for (i = 0; i < ARRAY_SIZE(map->chunks); i++) {
		chunk = READ_ONCE(map->chunks[i]);
		if (chunk)
			count(m, chunk);
	}

	for (i = 0; i < m->vcpus; i++) {
		int id = kvm_get_vcpu(kvm, i)->vcpu_id;

		chunk = READ_ONCE(map->chunks[id / KVM_VCPU_IDS_PER_CHUNK]);
		if (!chunk || chunk->idx[id % KVM_VCPU_IDS_PER_CHUNK] != i)
			return -ENODATA;
	}

	return 0;
}
#else
static int count_id_map(struct vcpuloops_memory *m, struct kvm *kvm) { return 0; }
#endif

/*
 * Fills in @m.  Fails if not all vCPUs that are online are in what was counted,
 * i.e. if something of it was missed.  There is one vCPU at least, and none is
 * created meanwhile.
 */
int vcpuloops_count_memory(struct kvm *kvm, struct vcpuloops_memory *m)
{
	int r;

	*m = (struct vcpuloops_memory) { .vcpus = atomic_read(&kvm->online_vcpus) };
	if (!m->vcpus)
		return -ENODATA;

	m->kvm = allocated(kvm);
	m->kvm_vcpu = allocated(kvm_get_vcpu(kvm, 0));

	rcu_read_lock();
	r = count_array(m, kvm) ?: count_table(m, kvm) ?: count_fixed_array(m, kvm) ?:
	    count_segments(m, kvm) ?: count_used_tables(m, kvm) ?: count_id_map(m, kvm);
	count_old_tables(m, kvm);
	rcu_read_unlock();

	return r;
}

/* Tells user space that the module can count memory. */
MODULE_INFO(memory, "counted");
#else
int vcpuloops_count_memory(struct kvm *kvm, struct vcpuloops_memory *m)
{
	return -EOPNOTSUPP;
}
#endif
