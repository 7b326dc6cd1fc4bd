// SPDX-License-Identifier: GPL-2.0-only
//go:build ignore
/* What the xarray and the lookups call, out of line as it is in the kernel. */
#include <stdlib.h>
#include <string.h>

#include "shared.h"
#include <linux/slab.h>

struct kmem_cache *radix_tree_node_cachep;

__thread int preempt_disabled;
static __thread int rcu_nesting;
static __thread int rcu_special;

void rcu_read_lock(void)
{
	rcu_nesting++;
	barrier();
}

void rcu_read_unlock(void)
{
	barrier();
	if (!--rcu_nesting) {
		barrier();
		if (READ_ONCE(rcu_special))
			abort();
	}
}

void *vm_alloc(size_t size);

/* Nodes of the xarray, at an alignment that slab gives them. */
void *kmem_cache_alloc_lru(struct kmem_cache *cachep, struct list_lru *lru, int flags)
{
	return vm_alloc(640);
}

void radix_tree_node_rcu_free(struct rcu_head *head)
{
	abort(); /* nothing is erased */
}

void __bitmap_clear(unsigned long *map, unsigned int start, int len)
{
	abort(); /* no marks are used */
}

unsigned long _find_next_bit(const unsigned long *addr, unsigned long nbits, unsigned long start)
{
	abort();
}
