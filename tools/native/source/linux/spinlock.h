/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks that are as large as the kernel's, for one thread that takes them: lookups
 * take none, and only one thread creates vCPUs.
 */
#ifndef __LINUX_SPINLOCK_H_
#define __LINUX_SPINLOCK_H_

#include <stdbool.h>

typedef struct {
	int taken;
} spinlock_t;

#define DEFINE_SPINLOCK(x)		spinlock_t x = { 0 }
#define __SPIN_LOCK_UNLOCKED(x)		((spinlock_t){ 0 })
#define spin_lock_init(x)		((void)((x)->taken = 0))

#define spin_lock(x)			((void)((x)->taken = 1))
#define spin_lock_nested(x, subclass)	spin_lock(x)
#define spin_unlock(x)			((void)((x)->taken = 0))
#define spin_lock_bh(x)			spin_lock(x)
#define spin_unlock_bh(x)		spin_unlock(x)
#define spin_lock_irq(x)		spin_lock(x)
#define spin_unlock_irq(x)		spin_unlock(x)
#define spin_lock_irqsave(x, f)		((void)(f), spin_lock(x))
#define spin_unlock_irqrestore(x, f)	((void)(f), spin_unlock(x))

#endif
