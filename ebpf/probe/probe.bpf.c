// SPDX-License-Identifier: GPL-2.0-only

//go:build ignore

/*
 * What the loops of vcpuloops.ko cost, and what KVM_CREATE_VCPU does.
 *
 * A function's clock starts with the last thing that its fentry program does
 * and stops with the first thing that its fexit program does. The rest of the
 * two programs isn't measured.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;

#define KVM_CREATE_VCPU	0xae41

/* The ways to wait for a grace period, as probe.Wait in Go. */
enum wait {
	WAIT_RCU,
	WAIT_RCU_EXPEDITED,
	WAIT_SRCU,
	WAIT_SRCU_EXPEDITED,
	NR_WAITS,
};

enum event_kind {
	EVENT_LOOP = 1,
	EVENT_CREATE = 2,
};

/* A loop of vcpuloops.ko, from entry to return. */
struct loop_event {
	u64 kind;
	u64 op;
	u64 nr;
	u64 passes;
	u64 nanos;
	u64 checksum;
};

/* A KVM_CREATE_VCPU, from the entry of the ioctl to its return. */
struct create_event {
	u64 kind;
	u64 id;
	s32 ret;
	u32 pad;
	u64 start;
	u64 nanos;
	u64 arch_start;
	u64 arch_nanos;
	u64 wait_start;
	u64 waits[NR_WAITS];
	u64 wait_nanos[NR_WAITS];
};

/* For bpf2go, which finds the types that a map or a variable has. */
const struct loop_event *unused_loop_event __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* KVM_CREATE_VCPU in flight, by thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct create_event);
} creating SEC(".maps");

/* Events that found no room. A run with any is no result. */
u64 lost_events;

/* Loops run one at a time, with interrupts off. */
static u64 loop_start;

static __always_inline void loop_exit(u64 op, u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct loop_event *e;

	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&lost_events, 1);
		return;
	}

	e->kind = EVENT_LOOP;
	e->op = op;
	e->nr = (u32)ctx[2];
	e->passes = (u32)ctx[3];
	e->nanos = now - loop_start;
	e->checksum = ctx[4];
	bpf_ringbuf_submit(e, 0);
}

#define LOOP(name, op)						\
SEC("fentry/vcpuloops_" #name)					\
int name##_entry(u64 *ctx)					\
{								\
	loop_start = bpf_ktime_get_ns();			\
	return 0;						\
}								\
								\
SEC("fexit/vcpuloops_" #name)					\
int name##_exit(u64 *ctx)					\
{								\
	loop_exit(op, ctx);					\
	return 0;						\
}

LOOP(nop, 0)
LOOP(get, 1)
LOOP(by_id, 2)
LOOP(walk, 3)

/* Arguments: file, ioctl, arg. */
SEC("fentry/kvm_vm_ioctl")
int vm_ioctl_entry(u64 *ctx)
{
	u64 task = bpf_get_current_pid_tgid();
	struct create_event zero = {}, *e;

	if ((u32)ctx[1] != KVM_CREATE_VCPU)
		return 0;

	zero.kind = EVENT_CREATE;
	zero.id = ctx[2];
	if (bpf_map_update_elem(&creating, &task, &zero, BPF_ANY)) {
		__sync_fetch_and_add(&lost_events, 1);
		return 0;
	}

	e = bpf_map_lookup_elem(&creating, &task);
	if (e)
		e->start = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/kvm_vm_ioctl")
int vm_ioctl_exit(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	u64 task = bpf_get_current_pid_tgid();
	struct create_event *e;

	e = bpf_map_lookup_elem(&creating, &task);
	if (!e)
		return 0;

	e->nanos = now - e->start;
	e->ret = (s32)ctx[3];
	if (bpf_ringbuf_output(&events, e, sizeof(*e), 0))
		__sync_fetch_and_add(&lost_events, 1);
	bpf_map_delete_elem(&creating, &task);
	return 0;
}

static __always_inline struct create_event *current_create(void)
{
	u64 task = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&creating, &task);
}

SEC("fentry/kvm_arch_vcpu_create")
int arch_create_entry(u64 *ctx)
{
	struct create_event *e = current_create();

	if (e)
		e->arch_start = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/kvm_arch_vcpu_create")
int arch_create_exit(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct create_event *e = current_create();

	if (e)
		e->arch_nanos = now - e->arch_start;
	return 0;
}

#define WAIT(fn, wait)						\
SEC("fentry/" #fn)						\
int fn##_entry(u64 *ctx)					\
{								\
	struct create_event *e = current_create();		\
								\
	if (e)							\
		e->wait_start = bpf_ktime_get_ns();		\
	return 0;						\
}								\
								\
SEC("fexit/" #fn)						\
int fn##_exit(u64 *ctx)						\
{								\
	u64 now = bpf_ktime_get_ns();				\
	struct create_event *e = current_create();		\
								\
	if (e) {						\
		e->waits[wait]++;				\
		e->wait_nanos[wait] += now - e->wait_start;	\
	}							\
	return 0;						\
}

WAIT(synchronize_rcu, WAIT_RCU)
WAIT(synchronize_rcu_expedited, WAIT_RCU_EXPEDITED)
WAIT(synchronize_srcu, WAIT_SRCU)
WAIT(synchronize_srcu_expedited, WAIT_SRCU_EXPEDITED)

char _license[] SEC("license") = "GPL";
