// SPDX-License-Identifier: GPL-2.0-only

package stalls

import "vcpulab/ebpf/measure"

// NewCall returns a measure.Call of what the probe saw.
func NewCall(s Span, symbols Symbols) measure.Call {
	c := measure.Call{
		Nanos: int64(s.Nanos), ArchNanos: int64(s.ArchNanos),
		Off: measure.Off{
			Preempted: s.Preempted, PreemptedNanos: int64(s.PreemptedNanos),
			Blocked: s.Blocked, BlockedNanos: int64(s.BlockedNanos), LongestNanos: int64(s.Longest),
		},
		Contended: s.Contended, ContendedNanos: int64(s.ContendedNanos),
	}
	if s.Blocked > 0 {
		c.Stack = symbols.Names(s.Stack)
	}
	for w, n := range s.Waits {
		if n == 0 {
			continue
		}
		if c.Waits == nil {
			c.Waits, c.WaitNanos = make(map[string]uint64), make(map[string]int64)
		}
		name := measure.Waits[w]
		c.Waits[name], c.WaitNanos[name] = n, int64(s.WaitNanos[w])
	}
	for d, n := range s.Deferred {
		if n == 0 {
			continue
		}
		if c.Deferred == nil {
			c.Deferred = make(map[string]uint64)
		}
		c.Deferred[measure.Deferrals[d]] = n
	}
	return c
}

// NewGaps returns what the probe and the payload saw of a phase. The rest is
// the caller's.
func NewGaps(g Gaps, r Record, symbols Symbols) measure.Gaps {
	sum := func(c Class) measure.GapSum {
		return measure.GapSum{Count: g.Count[c], Nanos: int64(g.Nanos[c]), Largest: int64(g.Largest[c])}
	}
	out := measure.Gaps{
		RanSum: sum(ClassRan), Preempted: sum(ClassPreempted), Blocked: sum(ClassBlocked),
		Halted: sum(ClassHalted), User: sum(ClassUser),
		Ran:   counts(g.Ran[:]),
		Guest: measure.GuestGaps{Count: r.Count, Largest: r.Largest, Buckets: counts(r.Buckets[:])},
	}
	if out.Blocked.Count > 0 {
		c := NewCall(g.Longest, symbols)
		out.Longest = &c
	}
	return out
}

func counts(all []uint64) []measure.BucketCount {
	out := []measure.BucketCount{}
	for b, n := range all {
		if n > 0 {
			out = append(out, measure.BucketCount{Bucket: b, Count: n})
		}
	}
	return out
}
