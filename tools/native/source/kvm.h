/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of KVM as the lookups need.  What is the kernel's own is taken from
 * the tree that is measured: lookups.h has the definitions of kvm_host.h,
 * writers.h the functions of kvm_main.c that put vCPUs where they are held.  vcpu.h
 * and vm.h have the structures as they are laid out in the kernel that was built.
 */
#ifndef NATIVE_KVM_H
#define NATIVE_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "shared.h"
#include <linux/slab.h>
#include <linux/xarray.h>
#include <linux/atomic.h>
#include <linux/overflow.h>
#include <linux/refcount.h>

/* Those of x86. */
#define const_ilog2(n)		(63 - __builtin_clzll(n))
#undef __fls
#define __fls(word)		(63UL - __builtin_clzl(word))
#ifndef MAX
#define MAX(a, b)		((a) > (b) ? (a) : (b))
#endif
#define MIN(a, b)		((a) < (b) ? (a) : (b))
#define kvm_lockdep_assert_vcpus_not_destroyed(kvm)	do { } while (0)
#define KVM_MAX_VCPUS		4096
#define KVM_MAX_VCPU_IDS	(KVM_MAX_VCPUS * 4)

#ifndef GFP_KERNEL_ACCOUNT
#define GFP_KERNEL_ACCOUNT	GFP_KERNEL
#endif
#ifndef U16_MAX
#define U16_MAX			((u16)~0U)
#endif

/* See memory.c. */
void *vm_alloc(size_t size);
void vm_free(void *p);
void vm_free_all(void);
void vm_each(void (*tell)(void *begin, size_t size, void *arg), void *arg);
void rcu_reap(void);
extern unsigned int rcu_quiescent;
extern bool rcu_other_reader;

#undef synchronize_rcu
void synchronize_rcu(void);

#define kmalloc_obj(var, gfp)		((typeof(var) *)vm_alloc(sizeof(var)))
#define kzalloc_obj(var, gfp)		((typeof(var) *)vm_alloc(sizeof(var)))
#define kzalloc_objs(var, n, gfp)	((typeof(var) *)vm_alloc((n) * sizeof(var)))
#define kzalloc_flex(var, member, n, gfp)				\
	((typeof(var) *)vm_alloc(sizeof(var) + (n) * sizeof((var).member[0])))
#define kvzalloc_obj(var, gfp)		kzalloc_obj(var, gfp)
#define kvzalloc_objs(var, n, gfp)	kzalloc_objs(var, n, gfp)
#define kfree(p)			vm_free((void *)(p))
#define kvfree(p)			kfree(p)
#define kfree_rcu(p, head)						\
({									\
	void __free(struct rcu_head *h)					\
	{								\
		kfree((char *)h - offsetof(typeof(*(p)), head));	\
	}								\
									\
	call_rcu(&(p)->head, __free);					\
})
#define lockdep_assert_held(lock)	do { } while (0)
#define lockdep_is_held(lock)		true
#define atomic_read_acquire(v)		smp_load_acquire(&(v)->counter)
#define atomic_set_release(v, i)	smp_store_release(&(v)->counter, i)
#define OPTIMIZER_HIDE_VAR(var)		__asm__ ("" : "=r" (var) : "0" (var))
#define noinline			__attribute__((noinline))

/* As x86 does it. */
static inline unsigned long array_index_nospec_mask(unsigned long index, unsigned long size)
{
	unsigned long mask;

	__asm__ volatile ("cmp %1,%2; sbb %0,%0" : "=r" (mask) : "g" (size), "r" (index) : "cc");
	return mask;
}

#define array_index_nospec(index, size)					\
	((typeof(index))((index) & array_index_nospec_mask(index, size)))

/* No vCPU runs: who creates one can lock all others. */
#define mutex_trylock(lock)		true
#define mutex_unlock(lock)		do { } while (0)
#define kvm_arch_request_vcpu_move(vcpu)	do { } while (0)
#define rcu_access_pointer(p)		READ_ONCE(p)
#ifndef __counted_by
#define __counted_by(member)
#endif

struct kvm;
struct kvm_vcpu;
static void __attribute__((unused)) __kvm_vcpu_move(struct kvm_vcpu *vcpu);

/* The structures, with each member where it stands in the kernel's. */
#include "vcpu.h"
#include "lookups_types.h"
#include "vm.h"

#include "lookups.h"
#include "writers.h"

#endif
