// SPDX-License-Identifier: GPL-2.0-only
//go:build ignore
/*
 * A device for tests.  The first access to a page of it waits for a grace period:
 * page 0 of RCU, page 1 of an SRCU domain that is idle.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/srcu.h>

static struct srcu_struct idle_srcu;

static vm_fault_t waits_fault(struct vm_fault *vmf)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	if (!page)
		return VM_FAULT_OOM;

	if (vmf->pgoff)
		synchronize_srcu(&idle_srcu);
	else
		synchronize_rcu();

	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct waits_vm_ops = {
	.fault	= waits_fault,
};

static int waits_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &waits_vm_ops;
	return 0;
}

static const struct file_operations waits_fops = {
	.owner	= THIS_MODULE,
	.mmap	= waits_mmap,
};

static struct miscdevice waits_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "waits",
	.fops	= &waits_fops,
	.mode	= 0600,
};

static int __init waits_init(void)
{
	int r;

	/* At run time, as SRCU that was just initialized isn't idle. */
	r = init_srcu_struct(&idle_srcu);
	if (r)
		return r;

	r = misc_register(&waits_dev);
	if (r)
		cleanup_srcu_struct(&idle_srcu);
	return r;
}
module_init(waits_init);

static void __exit waits_exit(void)
{
	misc_deregister(&waits_dev);
	cleanup_srcu_struct(&idle_srcu);
}
module_exit(waits_exit);

MODULE_DESCRIPTION("Waits for grace periods, for tests");
MODULE_LICENSE("GPL");
