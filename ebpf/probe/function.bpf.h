/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each call of a function costs, from entry to return, whichever task makes
 * it.  User space names the function before it loads the two programs.
 */

/* How many tasks may call it.  A run with more has no result. */
#define MAX_FUNCTION_TASKS	4096

/* When the call began that a task is in, 0 if it is in none. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_FUNCTION_TASKS);
	__type(key, u32);
	__type(value, u64);
} function_starts SEC(".maps");

u32 function_entries;
u32 function_returns;
/* Entries of a task that was in the function already. */
u32 function_nested;

static __always_inline u64 *function_start(void)
{
	u32 task = bpf_get_current_pid_tgid();

	/* The idle tasks of all processors have the same number. */
	if (!task)
		task = ~bpf_get_smp_processor_id();
	if (!bpf_map_lookup_elem(&function_starts, &task)) {
		u64 none = 0;

		bpf_map_update_elem(&function_starts, &task, &none, BPF_NOEXIST);
	}
	return bpf_map_lookup_elem(&function_starts, &task);
}

SEC("fentry/vcpuloops_nop")
int function_entry(u64 *ctx)
{
	u64 *start = function_start();

	if (!start) {
		__sync_fetch_and_add(&lost_events, 1);
		return 0;
	}
	__sync_fetch_and_add(&function_entries, 1);
	if (*start)
		__sync_fetch_and_add(&function_nested, 1);
	*start = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/vcpuloops_nop")
int function_exit(u64 *ctx)
{
	u64 now = bpf_ktime_get_ns();
	u64 *start = function_start();

	/* The call began before the programs were attached. */
	if (!start || !*start)
		return 0;

	__sync_fetch_and_add(&function_returns, 1);
	now -= *start;
	*start = 0;
	/* Nobody waits for it: an interrupt at each call would disturb others. */
	if (bpf_ringbuf_output(&events, &now, sizeof(now), BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&lost_events, 1);
	return 0;
}
