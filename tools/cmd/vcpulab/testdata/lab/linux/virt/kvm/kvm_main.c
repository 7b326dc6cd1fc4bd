// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kvm_host.h>

#define EEXIST 17
#define EINVAL 22

int kvm_create_vcpu(struct kvm *kvm, struct kvm_vcpu *vcpu, int id)
{
	int idx = kvm->online_vcpus;

	if (idx == KVM_MAX_VCPUS)
		return -EINVAL;

	vcpu->vcpu_id = id;
	vcpu->vcpu_idx = idx;
	kvm->vcpus[idx] = vcpu;
	kvm->online_vcpus++;

	if (kvm_get_vcpu_by_id(kvm, id) != vcpu) {
		kvm->online_vcpus--;
		return -EEXIST;
	}
	return 0;
}

void kvm_destroy_vcpus(struct kvm *kvm)
{
	int i;

	for (i = 0; i < kvm->online_vcpus; i++)
		kvm->vcpus[i] = 0;
	kvm->online_vcpus = 0;
}
