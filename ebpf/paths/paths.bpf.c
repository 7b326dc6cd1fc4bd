// SPDX-License-Identifier: GPL-2.0-only

//go:build ignore

/*
 * What a call of a function of KVM costs, from entry to return, and how often
 * one thread calls it.
 *
 * A call's clock starts with the last thing that its fentry program does and
 * stops with the first thing that its fexit program does.  What is between the
 * two even of a function that does nothing is measured with a loop of
 * vcpuloops.ko that does little.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef __u32 u32;
typedef __u64 u64;

#define KVM_RESET_DIRTY_RINGS	0xaec7

/* The calls that are kept. More are counted, and make the run no result. */
#define MAX_CALLS	256

/* The thread that is watched; 0 is none. */
u32 watched;
u32 calls;
u64 nanos[MAX_CALLS];

/* The function does not call itself, and one thread is watched. */
static u64 start;

static __always_inline int enter(void)
{
	if ((u32)bpf_get_current_pid_tgid() == watched)
		start = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int leave(u64 now)
{
	u32 n;

	if ((u32)bpf_get_current_pid_tgid() != watched)
		return 0;

	n = calls++;
	if (n < MAX_CALLS)
		nanos[n] = now - start;
	return 0;
}

#define BRACKET_IF(fn, condition)			\
SEC("fentry/" #fn)					\
int fn##_entry(u64 *ctx)				\
{							\
	return (condition) ? enter() : 0;		\
}							\
							\
SEC("fexit/" #fn)					\
int fn##_exit(u64 *ctx)					\
{							\
	u64 now = bpf_ktime_get_ns();			\
							\
	return (condition) ? leave(now) : 0;		\
}

#define BRACKET(fn)	BRACKET_IF(fn, 1)

BRACKET(vcpuloops_nop)
BRACKET(__kvm_irq_delivery_to_apic)
BRACKET(kvm_hv_hypercall)
BRACKET(kvm_hv_synic_set_irq)
BRACKET(kvm_make_all_cpus_request)
BRACKET(kvm_vcpu_on_spin)
BRACKET(kvm_xen_set_evtchn_fast)
/* Arguments: file, ioctl, arg.  The reset itself is inlined. */
BRACKET_IF(kvm_vm_ioctl, (u32)ctx[1] == KVM_RESET_DIRTY_RINGS)

char _license[] SEC("license") = "GPL";
