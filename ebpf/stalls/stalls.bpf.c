// SPDX-License-Identifier: GPL-2.0-only

//go:build ignore

/*
 * Who waits while a VM grows: the thread that creates vCPUs and changes
 * memslots, and the threads that run vCPUs.
 *
 * Both are in a span that is measured: an ioctl from entry to return, or a gap
 * between the exit of a vCPU and its next entry.  A thread that is watched has
 * one span at a time.  What happens to it in the span is added to it: when it
 * left the processor and why, grace periods it waited for, contended locks,
 * memory that it had freed later.
 *
 * A span's clock starts with the last thing that the program at its beginning
 * does and stops with the first thing that the one at its end does.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "buckets.h"

typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

#define KVM_CREATE_VCPU			0xae41
#define KVM_SET_USER_MEMORY_REGION	0x4020ae46

/* An ioctl that KVM does not know: asks for the bucket of its argument. */
#define ASK_BUCKET			0x7600

#define NR_THREADS	16
#define NR_PHASES	8
#define NR_WAITS	4	/* enum wait in Go's package probe */
#define NR_FRAMES	24

enum span_kind {
	SPAN_NONE,
	SPAN_CREATE,
	SPAN_MEMSLOT,
	SPAN_GAP,
};

/* How a span ended up as long as it is; the first that holds. */
enum gap_class {
	GAP_USER,	/* the vCPU went to user space */
	GAP_HALTED,	/* it had nothing to do */
	GAP_BLOCKED,	/* its thread waited for something */
	GAP_PREEMPTED,	/* the scheduler ran something else */
	GAP_RAN,	/* none of these */
	NR_CLASSES,
};

enum deferral {
	DEFER_RCU,
	DEFER_SRCU,
	DEFER_KVFREE,
	NR_DEFERRALS,
};

struct span {
	u64 kind;
	u64 arg;		/* of the ioctl */
	s64 ret;
	u64 phase;		/* at its beginning */
	u64 nanos;
	u64 preempted;		/* how often */
	u64 preempted_nanos;
	u64 blocked;
	u64 blocked_nanos;
	u64 contended;
	u64 contended_nanos;
	u64 arch_nanos;
	u64 waits[NR_WAITS];
	u64 wait_nanos[NR_WAITS];
	u64 deferred[NR_DEFERRALS];
	u64 longest_nanos;	/* of the times that it was blocked */
	u64 frames;		/* of the stack when it began to be blocked longest */
	u64 stack[NR_FRAMES];
};

/* A thread that is watched. */
struct thread {
	u64 exits;
	u64 entries;
	u64 start;		/* 0 until the span's clock runs */
	u64 arch_start;
	u64 early;		/* it was off before, and that's not accounted for */
	u64 ended;		/* the span, but its program is still running */
	u64 off_start;		/* 0 while it is on the processor */
	u64 off_nanos;		/* how long it was off the last time */
	u64 left;		/* when it was off the last time */
	u64 off_blocked;
	u64 off_frames;
	u64 off_stack[NR_FRAMES];
	u64 wait_depth;
	u64 wait_start;
	u64 lock;		/* that it waits for */
	u64 lock_start;
	u64 user;
	u64 halted;
	struct span span;
};

/* The gaps of a phase. */
struct gaps {
	u64 count[NR_CLASSES];
	u64 nanos[NR_CLASSES];
	u64 largest[NR_CLASSES];
	struct span longest;	/* of those that were blocked */
	u64 ran[NR_BUCKETS];
};

/* For bpf2go, which finds the types that a map or a variable has. */
const struct span *unused_span __attribute__((unused));

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* User space puts those in that are to be watched. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NR_THREADS);
	__type(key, u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NR_PHASES);
	__type(key, u32);
	__type(value, struct gaps);
} phases SEC(".maps");

/* What is going on, as user space says. */
u32 phase;

/* The answer to ASK_BUCKET. */
u64 asked_bucket;

/* Events that found no room, switches that don't fit: no result. */
u64 lost_events;

static __always_inline struct thread *watched(u32 pid)
{
	return bpf_map_lookup_elem(&threads, &pid);
}

static __always_inline struct thread *current_thread(void)
{
	return watched((u32)bpf_get_current_pid_tgid());
}

/* The thread, if it is in a span. */
static __always_inline struct thread *current_span(void)
{
	struct thread *t = current_thread();

	return t && t->span.kind ? t : 0;
}

static __always_inline void begin(struct thread *t, u64 kind, u64 arg)
{
	t->start = 0;
	__builtin_memset(&t->span, 0, sizeof(t->span));
	t->span.kind = kind;
	t->span.arg = arg;
	t->span.phase = phase;
	t->early = 0;
	t->ended = 0;
	t->off_start = 0;
	t->left = 0;
	t->wait_depth = 0;
	t->lock = 0;
	t->user = 0;
	t->halted = 0;
	t->start = bpf_ktime_get_ns();
}

/* The time that the thread was off the processor the last time. */
static __always_inline void account(struct thread *t, u64 off, u64 times)
{
	if (t->off_blocked) {
		t->span.blocked += times;
		t->span.blocked_nanos += off;
	} else {
		t->span.preempted += times;
		t->span.preempted_nanos += off;
	}
}

/*
 * An ioctl's programs can be interrupted and preempted, those between exit and
 * entry of a vCPU can't.  What happens after the clock was read here, and before
 * it was read in begin(), is not in the span.
 */
static __always_inline void end(struct thread *t, u64 now)
{
	t->ended = 1;
	t->span.nanos = now - t->start;
	if (t->left >= now)
		account(t, -t->off_nanos, -1);
}

/* Arguments: file, ioctl, arg. */
SEC("fentry/kvm_vm_ioctl")
int vm_ioctl_entry(u64 *ctx)
{
	u32 request = (u32)ctx[1];
	struct thread *t;

	if (request == ASK_BUCKET)
		asked_bucket = bucket_of(ctx[2]);
	if (request != KVM_CREATE_VCPU && request != KVM_SET_USER_MEMORY_REGION)
		return 0;

	t = current_thread();
	if (!t)
		return 0;

	begin(t, request == KVM_CREATE_VCPU ? SPAN_CREATE : SPAN_MEMSLOT, ctx[2]);
	/* Off after the clock was read, but before that was seen. */
	if (t->early && t->left >= t->start)
		account(t, t->off_nanos, 1);
	return 0;
}

SEC("fexit/kvm_vm_ioctl")
int vm_ioctl_exit(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct thread *t = current_span();

	if (!t)
		return 0;

	end(t, now);
	t->span.ret = (s64)ctx[3];
	if (bpf_ringbuf_output(&events, &t->span, sizeof(t->span), 0))
		__sync_fetch_and_add(&lost_events, 1);
	t->span.kind = SPAN_NONE;
	return 0;
}

SEC("fentry/kvm_arch_vcpu_create")
int arch_create_entry(u64 *ctx)
{
	struct thread *t = current_span();

	if (t)
		t->arch_start = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/kvm_arch_vcpu_create")
int arch_create_exit(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct thread *t = current_span();

	if (t)
		t->span.arch_nanos = now - t->arch_start;
	return 0;
}

/* One may call another: the outermost is the one that is counted. */
#define WAIT(fn, wait)							\
SEC("fentry/" #fn)							\
int fn##_entry(u64 *ctx)						\
{									\
	struct thread *t = current_span();				\
									\
	if (t && !t->wait_depth++)					\
		t->wait_start = bpf_ktime_get_ns();			\
	return 0;							\
}									\
									\
SEC("fexit/" #fn)							\
int fn##_exit(u64 *ctx)							\
{									\
	u64 now = bpf_ktime_get_ns();					\
	struct thread *t = current_span();				\
									\
	if (t && t->wait_depth && !--t->wait_depth) {			\
		t->span.waits[wait]++;					\
		t->span.wait_nanos[wait] += now - t->wait_start;	\
	}								\
	return 0;							\
}

WAIT(synchronize_rcu, 0)
WAIT(synchronize_rcu_expedited, 1)
WAIT(synchronize_srcu, 2)
WAIT(synchronize_srcu_expedited, 3)

/* That an interrupt on top of the span calls is counted, too. */
#define DEFER(fn, deferral)						\
SEC("fentry/" #fn)							\
int fn##_entry(u64 *ctx)						\
{									\
	struct thread *t = current_span();				\
									\
	if (t)								\
		t->span.deferred[deferral]++;				\
	return 0;							\
}

DEFER(call_rcu, DEFER_RCU)
DEFER(call_srcu, DEFER_SRCU)
DEFER(kvfree_call_rcu, DEFER_KVFREE)

/* Arguments: lock, flags. */
SEC("raw_tp/contention_begin")
int contention_begin(u64 *ctx)
{
	struct thread *t = current_span();

	if (t && !t->lock) {
		t->lock = ctx[0];
		t->lock_start = bpf_ktime_get_ns();
	}
	return 0;
}

SEC("raw_tp/contention_end")
int contention_end(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct thread *t = current_span();

	if (t && t->lock && t->lock == ctx[0]) {
		t->span.contended++;
		t->span.contended_nanos += now - t->lock_start;
		t->lock = 0;
	}
	return 0;
}

static __always_inline void leave(void *ctx, struct thread *t, int blocked)
{
	long size = 0;

	if (blocked) {
		size = bpf_get_stack(ctx, t->off_stack, sizeof(t->off_stack), 0);
		if (size < 0)
			size = 0;
	}
	t->off_blocked = blocked;
	t->off_frames = size / sizeof(u64);
	t->off_start = bpf_ktime_get_ns();
}

static __always_inline void come_back(struct thread *t, u64 now)
{
	u64 off = now - t->off_start;

	t->left = t->off_start;
	t->off_nanos = off;
	t->off_start = 0;
	if (!t->start) {
		t->early = 1;
		return;
	}
	account(t, off, 1);
	if (t->off_blocked && off >= t->span.longest_nanos) {
		t->span.longest_nanos = off;
		t->span.frames = t->off_frames;
		__builtin_memcpy(t->span.stack, t->off_stack, sizeof(t->span.stack));
	}
}

/* Arguments: preempt, prev, next, prev_state. */
SEC("tp_btf/sched_switch")
int sched_switch(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct task_struct *next = (void *)ctx[2];
	struct thread *t;

	t = watched(next->pid);
	if (t && t->span.kind && t->off_start)
		come_back(t, now);

	/* A thread that wants to run on is preempted, however it got here. */
	t = current_span();
	if (t && !t->ended)
		leave(ctx, t, !ctx[0] && ctx[3]);
	return 0;
}

SEC("raw_tp/kvm_exit")
int vcpu_exit(u64 *ctx)
{
	struct thread *t = current_thread();

	if (!t)
		return 0;

	t->exits++;
	begin(t, SPAN_GAP, 0);
	return 0;
}

SEC("raw_tp/kvm_userspace_exit")
int userspace_exit(u64 *ctx)
{
	struct thread *t = current_span();

	if (t)
		t->user = 1;
	return 0;
}

SEC("fentry/kvm_vcpu_halt")
int vcpu_halt_entry(u64 *ctx)
{
	struct thread *t = current_span();

	if (t)
		t->halted = 1;
	return 0;
}

SEC("raw_tp/kvm_entry")
int vcpu_entry(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct thread *t = current_thread();
	struct gaps *gaps;
	u32 class, key = phase;
	u64 at;

	if (!t)
		return 0;

	t->entries++;
	if (t->span.kind != SPAN_GAP)
		return 0;

	t->span.kind = SPAN_NONE;
	t->span.nanos = now - t->start;

	gaps = bpf_map_lookup_elem(&phases, &key);
	if (!gaps) {
		__sync_fetch_and_add(&lost_events, 1);
		return 0;
	}

	if (t->user)
		class = GAP_USER;
	else if (t->halted)
		class = GAP_HALTED;
	else if (t->span.blocked)
		class = GAP_BLOCKED;
	else if (t->span.preempted)
		class = GAP_PREEMPTED;
	else
		class = GAP_RAN;

	__sync_fetch_and_add(&gaps->count[class], 1);
	__sync_fetch_and_add(&gaps->nanos[class], t->span.nanos);
	if (t->span.nanos > gaps->largest[class])
		gaps->largest[class] = t->span.nanos;

	if (class == GAP_BLOCKED && t->span.blocked_nanos > gaps->longest.blocked_nanos)
		__builtin_memcpy(&gaps->longest, &t->span, sizeof(gaps->longest));

	if (class != GAP_RAN)
		return 0;

	at = bucket_of(t->span.nanos);
	/* The verifier has to see that what is compared is what is used. */
	barrier_var(at);
	if (at < NR_BUCKETS)
		__sync_fetch_and_add(&gaps->ran[at], 1);
	return 0;
}

char _license[] SEC("license") = "GPL";
