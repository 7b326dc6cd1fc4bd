/* SPDX-License-Identifier: GPL-2.0-only */
/* How long a vCPU is out of the guest, and why: spans from exit to entry. */

#define NR_PHASES	8

/* Why a gap took as long as it did: the first that applies. */
enum gap_class {
	GAP_USER,	/* the vCPU went to user space */
	GAP_HALTED,	/* it had nothing to do */
	GAP_BLOCKED,	/* its thread waited for something: a stall */
	GAP_PREEMPTED,	/* the scheduler ran another thread */
	GAP_RAN,	/* none of these */
	NR_CLASSES,
};

/**
 * struct gaps - the gaps of a phase
 * @count: number of gaps, by enum gap_class
 * @nanos: sum of their lengths
 * @largest: the longest
 * @longest: the gap that was blocked longest
 * @ran: gaps of GAP_RAN by length, see buckets.h
 */
struct gaps {
	u64 count[NR_CLASSES];
	u64 nanos[NR_CLASSES];
	u64 largest[NR_CLASSES];
	struct span longest;
	u64 ran[NR_BUCKETS];
};

const enum gap_class *unused_gap_class;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NR_PHASES);
	__type(key, u32);
	__type(value, struct gaps);
} phases SEC(".maps");

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

static __always_inline u32 class_of(const struct thread *t)
{
	if (t->user)
		return GAP_USER;
	if (t->halted)
		return GAP_HALTED;
	if (t->span.blocked)
		return GAP_BLOCKED;
	if (t->span.preempted)
		return GAP_PREEMPTED;
	return GAP_RAN;
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

	class = class_of(t);
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
