// SPDX-License-Identifier: GPL-2.0-only

//go:build ignore

/*
 * The programs that measure.  User space attaches those of one group at a time:
 *
 * - loops.bpf.h brackets the loops of vcpuloops.ko.
 * - spans.bpf.h brackets the ioctls of a VM and says what the thread waited for
 *   meanwhile.
 * - gaps.bpf.h does the same from the exit of a vCPU to its next entry.
 * - paths.bpf.h brackets functions of KVM that look vCPUs up.
 * - function.bpf.h brackets one function, which user space names.
 *
 * A clock starts with the last thing that the program at the beginning does and
 * stops with the first thing that the program at the end does.  The rest of the
 * two programs isn't measured.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define KVM_CREATE_VCPU			0xae41
#define KVM_RESET_DIRTY_RINGS		0xaec7
#define KVM_SET_USER_MEMORY_REGION	0x4020ae46

/* bpf2go finds the types of maps and variables only: hence unused_*. */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Events that didn't fit.  A run with any has no result. */
u64 lost_events;

#include "loops.bpf.h"
#include "spans.bpf.h"
#include "gaps.bpf.h"
#include "paths.bpf.h"
#include "function.bpf.h"

char _license[] SEC("license") = "GPL";
