/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a thread does in a span: an ioctl from entry to return, or the time from
 * the exit of a vCPU to its next entry (gaps.bpf.h).  A thread is in one span at
 * a time.  Events are added to the span: when the thread left the processor and
 * why, which grace periods and locks it waited for, what it had freed later.
 */
#include "buckets.h"

/* An ioctl that KVM doesn't know.  Asks for the bucket of its argument. */
#define ASK_BUCKET	0x7600

#define NR_THREADS	16
#define NR_FRAMES	24

enum span_kind {
	SPAN_NONE,
	SPAN_CREATE,
	SPAN_MEMSLOT,
	SPAN_GAP,
};

/* Functions that wait for a grace period, as measure.Waits in Go. */
enum wait {
	WAIT_RCU,
	WAIT_RCU_EXPEDITED,
	WAIT_SRCU,
	WAIT_SRCU_EXPEDITED,
	NR_WAITS,
};

/* Functions that free memory after a grace period, as measure.Deferrals in Go. */
enum deferral {
	DEFER_RCU,
	DEFER_SRCU,
	DEFER_KVFREE,
	NR_DEFERRALS,
};

/**
 * struct span - what happened in a span
 * @kind: enum span_kind
 * @arg: argument of the ioctl
 * @ret: return value of the ioctl
 * @phase: the phase in which the span began
 * @nanos: length of the span
 * @preempted: how often the scheduler ran another thread
 * @preempted_nanos: how long
 * @blocked: how often the thread waited for something
 * @blocked_nanos: how long
 * @contended: how many locks were held by another thread
 * @contended_nanos: how long the thread waited for them
 * @arch_nanos: time in kvm_arch_vcpu_create()
 * @waits: number of waits for a grace period, by enum wait
 * @wait_nanos: time of these waits
 * @deferred: number of deferred frees, by enum deferral
 * @kicks: how often a vCPU was kicked, i.e. woken up or made to leave the guest
 * @longest_nanos: the longest time that the thread was blocked
 * @frames: number of entries in @stack
 * @stack: where the thread was when it began to be blocked longest
 */
struct span {
	u64 kind;
	u64 arg;
	s64 ret;
	u64 phase;
	u64 nanos;
	u64 preempted;
	u64 preempted_nanos;
	u64 blocked;
	u64 blocked_nanos;
	u64 contended;
	u64 contended_nanos;
	u64 arch_nanos;
	u64 waits[NR_WAITS];
	u64 wait_nanos[NR_WAITS];
	u64 deferred[NR_DEFERRALS];
	u64 kicks;
	u64 longest_nanos;
	u64 frames;
	u64 stack[NR_FRAMES];
};

/* A thread that user space watches. */
struct thread {
	u64 exits;
	u64 entries;
	u64 start;		/* 0 until the span's clock runs */
	u64 arch_start;
	u64 ended;		/* the clock was stopped, the program runs on */
	u64 off_start;		/* 0 while the thread is on the processor */
	u64 off_nanos;		/* how long it was off the last time */
	u64 left;		/* when it was off the last time */
	u64 off_blocked;
	u64 off_frames;
	u64 off_stack[NR_FRAMES];
	u64 early;		/* it was off before @start was set: see end() */
	u64 early_left;
	u64 early_nanos;
	u64 early_blocked;
	u64 wait_depth;
	u64 wait_start;
	u64 lock;		/* that it waits for */
	u64 lock_start;
	u64 user;
	u64 halted;
	struct span span;
};

const struct span *unused_span;
const enum span_kind *unused_span_kind;
const enum wait *unused_wait;
const enum deferral *unused_deferral;

/* What is read of the kernel's structure. */
struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));

/* By bpf_get_current_pid_tgid().  User space adds and removes threads. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NR_THREADS);
	__type(key, u64);
	__type(value, struct thread);
} threads SEC(".maps");

/* The current phase, set by user space. */
u32 phase;

/* The answer to ASK_BUCKET. */
u64 asked_bucket;

static __always_inline struct thread *watched(u64 id)
{
	return bpf_map_lookup_elem(&threads, &id);
}

static __always_inline struct thread *current_thread(void)
{
	return watched(bpf_get_current_pid_tgid());
}

/* The current thread, if it is in a span. */
static __always_inline struct thread *current_span(void)
{
	struct thread *t = current_thread();

	return t && t->span.kind ? t : NULL;
}

static __always_inline void begin(struct thread *t, u64 kind, u64 arg)
{
	t->start = 0;
	__builtin_memset(&t->span, 0, sizeof(t->span));
	t->span.kind = kind;
	t->span.arg = arg;
	t->span.phase = phase;
	t->ended = 0;
	t->off_start = 0;
	t->left = 0;
	t->early = 0;
	t->wait_depth = 0;
	t->lock = 0;
	t->user = 0;
	t->halted = 0;
	t->start = bpf_ktime_get_ns();
}

/* Adds the time that the thread was off the processor. */
static __always_inline void account(struct thread *t, u64 blocked, u64 off, u64 times)
{
	if (blocked) {
		t->span.blocked += times;
		t->span.blocked_nanos += off;
	} else {
		t->span.preempted += times;
		t->span.preempted_nanos += off;
	}
}

/*
 * The programs of an ioctl can be interrupted and preempted, those of a gap
 * can't.  The thread may have left the processor after begin() read the clock
 * but before it stored that, which is part of the span, or after the clock was
 * read for end(), which is not.
 */
static __always_inline void end(struct thread *t, u64 now)
{
	t->ended = 1;
	t->span.nanos = now - t->start;
	if (t->early && t->early_left >= t->start)
		account(t, t->early_blocked, t->early_nanos, 1);
	if (t->left >= now)
		account(t, t->off_blocked, -t->off_nanos, -1);
}

/*
 * Arguments: file, ioctl, arg.  kvm_vm_ioctl_create_vcpu() is inlined.
 *
 * What is after begin() is in the span: as few instructions as possible.
 */
SEC("fentry/kvm_vm_ioctl")
int vm_ioctl_entry(u64 *ctx)
{
	struct thread *t;

	if ((u32)ctx[1] == ASK_BUCKET)
		asked_bucket = bucket_of(ctx[2]);

	t = current_thread();
	if (!t)
		return 0;

	if ((u32)ctx[1] == KVM_CREATE_VCPU)
		begin(t, SPAN_CREATE, ctx[2]);
	else if ((u32)ctx[1] == KVM_SET_USER_MEMORY_REGION)
		begin(t, SPAN_MEMSLOT, ctx[2]);
	return 0;
}

SEC("fexit/kvm_vm_ioctl")
int vm_ioctl_exit(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct thread *t = current_span();

	if (!t)
		return 0;

	t->span.ret = (s64)ctx[3];
	end(t, now);
	if (bpf_ringbuf_output(&events, &t->span, sizeof(t->span), 0))
		__sync_fetch_and_add(&lost_events, 1);
	t->span.kind = SPAN_NONE;
	return 0;
}

/* Only called in a span. */
SEC("fentry/kvm_arch_vcpu_create")
int arch_create_entry(u64 *ctx)
{
	struct thread *t = current_thread();

	if (t)
		t->arch_start = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/kvm_arch_vcpu_create")
int arch_create_exit(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	struct thread *t = current_thread();

	if (t)
		t->span.arch_nanos = now - t->arch_start;
	return 0;
}

/*
 * One may call another: synchronize_srcu() calls its expedited form if SRCU is
 * idle, and synchronize_rcu() does with rcupdate.rcu_expedited=1.  The outermost
 * call counts, with all of its time.
 */
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

WAIT(synchronize_rcu, WAIT_RCU)
WAIT(synchronize_rcu_expedited, WAIT_RCU_EXPEDITED)
WAIT(synchronize_srcu, WAIT_SRCU)
WAIT(synchronize_srcu_expedited, WAIT_SRCU_EXPEDITED)

/* Calls of an interrupt on top of the span count, too. */
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

SEC("fentry/__kvm_vcpu_kick")
int __kvm_vcpu_kick_entry(u64 *ctx)
{
	struct thread *t = current_span();

	if (t)
		t->span.kicks++;
	return 0;
}

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
		t->early_left = t->left;
		t->early_nanos = off;
		t->early_blocked = t->off_blocked;
		return;
	}

	account(t, t->off_blocked, off, 1);
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

	t = watched((u64)next->tgid << 32 | (u32)next->pid);
	if (t && t->span.kind && t->off_start)
		come_back(t, now);

	/* A thread that wants to run on is preempted, however it got here. */
	t = current_span();
	if (t && !t->ended)
		leave(ctx, t, !ctx[0] && ctx[3]);
	return 0;
}
