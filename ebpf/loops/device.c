// SPDX-License-Identifier: GPL-2.0-only
//go:build ignore
/*
 * Loops around KVM's vCPU lookups, for fentry and fexit to bracket.
 *
 * The lookups are inline functions of a few instructions: no probe can attach
 * to one, and a probe costs more than one.  So each loop is a function of its
 * own that does a lookup many times, and what one lookup costs is the loop's
 * cost less that of the loop that does none.
 *
 * The loops run with interrupts off, i.e. nothing but the loop is measured.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm_host.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vcpuloops.h"

#ifdef WALK_HAS_INDEX
#define walk_vcpus(idx, vcpu, kvm)	kvm_for_each_vcpu(idx, vcpu, kvm)
#else
#define walk_vcpus(idx, vcpu, kvm)	kvm_for_each_vcpu(vcpu, kvm)
#endif

/* What a struct file of the device holds: the VM that its loops run on. */
struct vcpuloops {
	struct mutex lock;
	struct file *vm;
};

typedef u64 (*loop_fn)(struct kvm *kvm, const int *numbers, u32 nr, u32 passes);

u64 vcpuloops_nop(struct kvm *kvm, const int *numbers, u32 nr, u32 passes);
u64 vcpuloops_get(struct kvm *kvm, const int *numbers, u32 nr, u32 passes);
u64 vcpuloops_by_id(struct kvm *kvm, const int *numbers, u32 nr, u32 passes);
u64 vcpuloops_walk(struct kvm *kvm, const int *numbers, u32 nr, u32 passes);

noinline u64 vcpuloops_nop(struct kvm *kvm, const int *numbers, u32 nr, u32 passes)
{
	u64 sum = 0;
	u32 pass, i;

	for (pass = 0; pass < passes; pass++) {
		for (i = 0; i < nr; i++) {
			long number = READ_ONCE(numbers[i]);

			OPTIMIZER_HIDE_VAR(number);
			sum += number;
		}
	}

	return sum;
}

noinline u64 vcpuloops_get(struct kvm *kvm, const int *numbers, u32 nr, u32 passes)
{
	u64 sum = 0;
	u32 pass, i;

	for (pass = 0; pass < passes; pass++) {
		for (i = 0; i < nr; i++)
			sum += (unsigned long)kvm_get_vcpu(kvm, READ_ONCE(numbers[i]));
	}

	return sum;
}

noinline u64 vcpuloops_by_id(struct kvm *kvm, const int *numbers, u32 nr, u32 passes)
{
	u64 sum = 0;
	u32 pass, i;

	for (pass = 0; pass < passes; pass++) {
		for (i = 0; i < nr; i++)
			sum += (unsigned long)kvm_get_vcpu_by_id(kvm, READ_ONCE(numbers[i]));
	}

	return sum;
}

noinline u64 vcpuloops_walk(struct kvm *kvm, const int *numbers, u32 nr, u32 passes)
{
	struct kvm_vcpu *vcpu;
	unsigned long i __maybe_unused;
	u64 sum = 0;
	u32 pass;

	for (pass = 0; pass < passes; pass++) {
		walk_vcpus(i, vcpu, kvm) {
			OPTIMIZER_HIDE_VAR(vcpu);
			sum += (unsigned long)vcpu;
		}
	}

	return sum;
}

static const loop_fn loops[VCPULOOPS_NR_OPS] = {
	[VCPULOOPS_NOP]		= vcpuloops_nop,
	[VCPULOOPS_GET]		= vcpuloops_get,
	[VCPULOOPS_BY_ID]	= vcpuloops_by_id,
	[VCPULOOPS_WALK]	= vcpuloops_walk,
};

/*
 * What one pass has to add up to, by a lookup other than the one that is
 * measured.  Quadratic, which is why it runs once and not in the loop.
 */
static u64 expected_of_pass(struct kvm *kvm, const struct vcpuloops_run *run,
			    const int *numbers, u32 *found)
{
	struct kvm_vcpu *vcpu;
	unsigned long j __maybe_unused;
	u64 sum = 0;
	u32 i;

	*found = 0;
	switch (run->op) {
	case VCPULOOPS_NOP:
		for (i = 0; i < run->nr; i++)
			sum += (long)numbers[i];
		break;
	case VCPULOOPS_WALK:
		for (i = 0; i < atomic_read(&kvm->online_vcpus); i++, (*found)++)
			sum += (unsigned long)kvm_get_vcpu(kvm, i);
		break;
	default:
		for (i = 0; i < run->nr; i++) {
			walk_vcpus(j, vcpu, kvm) {
				int number = run->op == VCPULOOPS_GET ?
					     vcpu->vcpu_idx : vcpu->vcpu_id;

				if (number == numbers[i]) {
					sum += (unsigned long)vcpu;
					(*found)++;
				}
			}
			cond_resched();
		}
		break;
	}

	return sum;
}

static int run_loop(struct kvm *kvm, struct vcpuloops_run *run, const int *numbers)
{
	unsigned long flags;
	u32 found;

	run->expected = expected_of_pass(kvm, run, numbers, &found) * run->passes;
	if (found != run->expect_found)
		return -ENODATA;

	local_irq_save(flags);
	run->checksum = loops[run->op](kvm, numbers, run->nr, run->passes);
	local_irq_restore(flags);

	return run->checksum == run->expected ? 0 : -EBADMSG;
}

static long vcpuloops_run(struct vcpuloops *v, struct vcpuloops_run __user *arg)
{
	struct vcpuloops_run run;
	int *numbers;
	int r;

	if (!v->vm)
		return -EBADFD;

	if (copy_from_user(&run, arg, sizeof(run)))
		return -EFAULT;

	if (run.op >= VCPULOOPS_NR_OPS || !run.nr || !run.passes ||
	    run.nr > VCPULOOPS_MAX_NUMBERS)
		return -EINVAL;

	numbers = memdup_array_user(u64_to_user_ptr(run.numbers), run.nr, sizeof(*numbers));
	if (IS_ERR(numbers))
		return PTR_ERR(numbers);

	r = run_loop(v->vm->private_data, &run, numbers);
	kfree(numbers);

	/* Also if the run failed: the sums tell what is wrong. */
	if (copy_to_user(arg, &run, sizeof(run)))
		return -EFAULT;

	return r;
}

static long vcpuloops_bind(struct vcpuloops *v, int __user *arg)
{
	struct file *vm = NULL;
	int fd;

	if (get_user(fd, arg))
		return -EFAULT;

	if (fd < 0)
		goto swap;

	vm = fget(fd);
	if (!vm)
		return -EBADF;

	/* KVM keeps its own test, file_is_kvm(), to its own modules. */
	if (strcmp(vm->f_path.dentry->d_name.name, "kvm-vm") &&
	    strcmp(vm->f_path.dentry->d_name.name, "anon_inode:kvm-vm")) {
		fput(vm);
		return -EINVAL;
	}
swap:
	if (v->vm)
		fput(v->vm);
	v->vm = vm;
	return 0;
}

static long vcpuloops_sizes(struct vcpuloops_sizes __user *arg)
{
	struct vcpuloops_sizes sizes = {
		.kvm = sizeof(struct kvm),
		.kvm_vcpu = sizeof(struct kvm_vcpu),
	};

	return copy_to_user(arg, &sizes, sizeof(sizes)) ? -EFAULT : 0;
}

static long vcpuloops_memory(struct vcpuloops *v, struct vcpuloops_memory __user *arg)
{
	struct vcpuloops_memory memory;
	int r;

	if (!v->vm)
		return -EBADFD;

	r = vcpuloops_count_memory(v->vm->private_data, &memory);
	if (r)
		return r;

	return copy_to_user(arg, &memory, sizeof(memory)) ? -EFAULT : 0;
}

static long vcpuloops_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vcpuloops *v = file->private_data;

	guard(mutex)(&v->lock);

	switch (cmd) {
	case VCPULOOPS_BIND:
		return vcpuloops_bind(v, (void __user *)arg);
	case VCPULOOPS_RUN:
		return vcpuloops_run(v, (void __user *)arg);
	case VCPULOOPS_SIZES:
		return vcpuloops_sizes((void __user *)arg);
	case VCPULOOPS_MEMORY:
		return vcpuloops_memory(v, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static int vcpuloops_open(struct inode *inode, struct file *file)
{
	struct vcpuloops *v = kzalloc(sizeof(*v), GFP_KERNEL);

	if (!v)
		return -ENOMEM;

	mutex_init(&v->lock);
	file->private_data = v;
	return 0;
}

static int vcpuloops_release(struct inode *inode, struct file *file)
{
	struct vcpuloops *v = file->private_data;

	if (v->vm)
		fput(v->vm);
	kfree(v);
	return 0;
}

static const struct file_operations vcpuloops_fops = {
	.owner		= THIS_MODULE,
	.open		= vcpuloops_open,
	.release	= vcpuloops_release,
	.unlocked_ioctl	= vcpuloops_ioctl,
};

static struct miscdevice vcpuloops_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "vcpuloops",
	.fops	= &vcpuloops_fops,
	.mode	= 0600,
};

module_misc_device(vcpuloops_dev);

MODULE_DESCRIPTION("Loops around KVM's vCPU lookups, to be measured");
MODULE_LICENSE("GPL");
