// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel does not have now, but could.
 */

static void initialised(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i = 0, n = 0;

	kvm_for_each_vcpu(i, vcpu, kvm)
		n++;
	pr_debug("%lu vCPUs\n", n);
}

static void initialised_alone(struct kvm *kvm)
{
	int i = 0;
	struct kvm_vcpu *vcpu;

	kvm_for_each_vcpu(i, vcpu, kvm)
		kvm_vcpu_kick(vcpu);
}

static void two_counters(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu, *other;
	unsigned long i, j;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		kvm_for_each_vcpu(j, other, kvm)
			kvm_vcpu_yield_to(other);
	}
}

static void one_of_two(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i, j;
	int irqs;

	kvm_for_each_vcpu(j, vcpu, kvm)
		kvm_vcpu_kick(vcpu);
	for (i = 0; i < KVM_NR_IRQS; i++)
		irqs += i;
	kvm_for_each_vcpu(i, vcpu, kvm)
		kvm_vcpu_kick(vcpu);
}

static void over_lines(struct kvm_device_with_a_long_name *device)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu,
			  device->something_with_a_long_name->kvm)
		kvm_vcpu_kick(vcpu);
}

static void of_a_call(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu *tmp;
	unsigned long i;

	/* kvm_for_each_vcpu(i, vcpu, kvm) in a comment is none. */
	kvm_for_each_vcpu(i, tmp, to_kvm(vcpu, 0))
		kvm_vcpu_kick(tmp);
}

#ifdef CONFIG_SOMETHING
static int same_name(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		if (vcpu->ready)
			return i;
	return -1;
}
#else
static int same_name(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		if (vcpu->ready)
			return 1;
	return -1;
}
#endif

static void continued(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i, first;

	kvm_for_each_vcpu(i, vcpu, kvm)
		if (vcpu->ready)
			break;
	first = i;
	kvm_get_vcpu(kvm, first);
}

static void address(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i, *where = &i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		pr_debug("%lu\n", *where);
}
