/* SPDX-License-Identifier: GPL-2.0-only */
/* What the loops of vcpuloops.ko cost. */

/**
 * struct loop_event - a loop of vcpuloops.ko, from entry to return
 * @op: enum vcpuloops_op
 * @nr: how many numbers a pass has
 * @passes: how many passes there were
 * @nanos: how long it took
 * @checksum: what the loop returned
 */
struct loop_event {
	u64 op;
	u64 nr;
	u64 passes;
	u64 nanos;
	u64 checksum;
};

const struct loop_event *unused_loop_event;

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
