/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_HOST_H
#define __KVM_HOST_H

#define KVM_MAX_VCPUS 8

struct kvm_vcpu {
	int vcpu_id;
	int vcpu_idx;
};

struct kvm {
	int online_vcpus;
	struct kvm_vcpu *vcpus[KVM_MAX_VCPUS];
};

static inline struct kvm_vcpu *kvm_get_vcpu(struct kvm *kvm, int i)
{
	if (i < 0 || i >= kvm->online_vcpus)
		return 0;
	return kvm->vcpus[i];
}

static inline struct kvm_vcpu *kvm_get_vcpu_by_id(struct kvm *kvm, int id)
{
	int i;

	for (i = 0; i < kvm->online_vcpus; i++)
		if (kvm->vcpus[i]->vcpu_id == id)
			return kvm->vcpus[i];
	return 0;
}

#endif
