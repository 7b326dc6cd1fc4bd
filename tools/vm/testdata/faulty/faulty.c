// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that does what its parameter says when it is loaded, for testing
 * that each way in which a kernel can fail is noticed and told apart.
 */
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/reboot.h>
#include <linux/spinlock.h>
#include <linux/delay.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "null, bug, warn, gp, panic, hang, atomic or reset");

static DEFINE_SPINLOCK(faulty_lock);

static noinline void faulty_null(void)
{
	*(volatile int *)NULL = 1;
}

static noinline void faulty_bug(void)
{
	BUG();
}

static noinline void faulty_warn(void)
{
	WARN(1, "faulty: a warning that was asked for\n");
}

static noinline void faulty_gp(void)
{
	/* Not canonical on any 64-bit processor. */
	*(volatile int *)0x4141414141414141ull = 1;
}

static noinline void faulty_hang(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static noinline void faulty_atomic(void)
{
	spin_lock(&faulty_lock);
	msleep(1);
	spin_unlock(&faulty_lock);
}

static int __init faulty_init(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} faults[] = {
		{ "null", faulty_null },
		{ "bug", faulty_bug },
		{ "warn", faulty_warn },
		{ "gp", faulty_gp },
		{ "hang", faulty_hang },
		{ "atomic", faulty_atomic },
		{ "reset", emergency_restart },
	};
	int i;

	if (!strcmp(fault, "none"))
		return 0;
	if (!strcmp(fault, "panic"))
		panic("faulty: a panic that was asked for");
	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(fault, faults[i].name)) {
			faults[i].run();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit faulty_exit(void)
{
}

module_init(faulty_init);
module_exit(faulty_exit);

MODULE_DESCRIPTION("Fails as it is told to");
MODULE_LICENSE("GPL");
