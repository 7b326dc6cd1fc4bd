/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a call of a function of KVM costs, from entry to return, and how often
 * one thread calls it.  What the bracket itself costs is measured around a loop
 * of vcpuloops.ko that does little.
 */

/* How many calls are kept.  A run with more has no result. */
#define MAX_CALLS	256

/* The thread whose calls count; 0 is none. */
u32 caller;
u32 calls;
u64 call_nanos[MAX_CALLS];

/* The function doesn't call itself, and one thread's calls count. */
static u64 call_start;

static __always_inline int call_begin(void)
{
	if ((u32)bpf_get_current_pid_tgid() == caller)
		call_start = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int call_end(u64 now)
{
	u32 n;

	if ((u32)bpf_get_current_pid_tgid() != caller)
		return 0;

	n = calls++;
	if (n < MAX_CALLS)
		call_nanos[n] = now - call_start;
	return 0;
}

#define BRACKET_IF(fn, condition)			\
SEC("fentry/" #fn)					\
int fn##_entry(u64 *ctx)				\
{							\
	return (condition) ? call_begin() : 0;		\
}							\
							\
SEC("fexit/" #fn)					\
int fn##_exit(u64 *ctx)					\
{							\
	u64 now = bpf_ktime_get_ns();			\
							\
	return (condition) ? call_end(now) : 0;		\
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
