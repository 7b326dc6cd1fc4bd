// SPDX-License-Identifier: GPL-2.0-only
/*
 * A macro around the iterator: Coccinelle does not look into macros.
 */

#define kvm_for_each_vncr_tlb(idx, vcpup, tlbp, kvm)	\
	kvm_for_each_vcpu(idx, vcpup, kvm)		\
		if (((tlbp) = vcpup->arch.vncr_tlb) &&	\
		    (tlbp)->valid)
