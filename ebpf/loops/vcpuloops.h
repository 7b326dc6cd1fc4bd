/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between the measured loops and the program that runs them.
 */
#ifndef VCPULOOPS_H
#define VCPULOOPS_H

#include <linux/ioctl.h>
#include <linux/types.h>

enum vcpuloops_op {
	VCPULOOPS_NOP,		/* reads the numbers and adds them up */
	VCPULOOPS_GET,		/* kvm_get_vcpu() */
	VCPULOOPS_BY_ID,	/* kvm_get_vcpu_by_id() */
	VCPULOOPS_WALK,		/* kvm_for_each_vcpu() */
	VCPULOOPS_NR_OPS,
};

/* Most numbers that a loop can be given. */
#define VCPULOOPS_MAX_NUMBERS	16384

/**
 * struct vcpuloops_run - one run of one loop
 * @op: in: enum vcpuloops_op
 * @nr: in: how many @numbers there are
 * @passes: in: how often the loop goes through @numbers; a walk: how often it
 *	    goes through all vCPUs
 * @expect_found: in: how many vCPUs one pass must find
 * @numbers: in: pointer to @nr __s32: indices or IDs
 * @checksum: out: sum of what the lookups returned, as pointers
 * @expected: out: the same sum, made by other means
 */
struct vcpuloops_run {
	__u32 op;
	__u32 nr;
	__u32 passes;
	__u32 expect_found;
	__u64 numbers;
	__u64 checksum;
	__u64 expected;
};

/**
 * struct vcpuloops_sizes - what the kernel's structures take
 * @kvm: sizeof(struct kvm), bytes
 * @kvm_vcpu: sizeof(struct kvm_vcpu), bytes
 */
struct vcpuloops_sizes {
	__u32 kvm;
	__u32 kvm_vcpu;
};

/**
 * struct vcpuloops_memory - what a VM and its vCPUs take, by the allocators'
 *			     account, with what pads each object
 * @container: bytes of everything that holds the vCPUs of the VM, beyond struct kvm
 *	       and struct kvm_vcpu
 * @kvm: bytes of the object that has the VM's struct kvm
 * @kvm_vcpu: bytes of the object that has the struct kvm_vcpu of a vCPU
 * @objects: how many objects @container is the sum of
 * @vcpus: how many vCPUs the VM has
 */
struct vcpuloops_memory {
	__u64 container;
	__u64 kvm;
	__u64 kvm_vcpu;
	__u32 objects;
	__u32 vcpus;
};

/* Takes the descriptor of the VM that the loops run on, or -1 for none. */
#define VCPULOOPS_BIND	_IOW('v', 0, int)
#define VCPULOOPS_RUN	_IOWR('v', 1, struct vcpuloops_run)
#define VCPULOOPS_SIZES	_IOR('v', 2, struct vcpuloops_sizes)
#define VCPULOOPS_MEMORY _IOR('v', 3, struct vcpuloops_memory)

#ifdef __KERNEL__
struct kvm;

int vcpuloops_count_memory(struct kvm *kvm, struct vcpuloops_memory *m);
#endif

#endif
