/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RCU for lookups that are compiled for user space, with what its readers cost
 * in a kernel with preemptible RCU: a call each for rcu_read_lock() and
 * rcu_read_unlock(), and a counter of the thread's for the sched flavor, as the
 * kernel's counts per CPU.  What is freed is freed after a grace period, see
 * memory.c.
 */
#ifndef _LINUX_RCUPDATE_H
#define _LINUX_RCUPDATE_H

#include <linux/compiler.h>
#include <asm/barrier.h>

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

extern __thread int preempt_disabled;

void rcu_read_lock(void);
void rcu_read_unlock(void);
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));

static inline void rcu_read_lock_sched(void)
{
	preempt_disabled++;
	barrier();
}

static inline void rcu_read_unlock_sched(void)
{
	barrier();
	/* The kernel looks here whether to be preempted. */
	if (!--preempt_disabled)
		barrier();
}

#define rcu_dereference_raw(p)			READ_ONCE(p)
#define rcu_dereference(p)			READ_ONCE(p)
#define rcu_dereference_sched(p)		READ_ONCE(p)
#define rcu_dereference_check(p, cond)		READ_ONCE(p)
#define rcu_dereference_protected(p, cond)	(p)
#define rcu_assign_pointer(p, v)		smp_store_release(&(p), (v))
#define RCU_INIT_POINTER(p, v)			do { (p) = (v); } while (0)

#endif
