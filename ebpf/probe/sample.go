// SPDX-License-Identifier: GPL-2.0-only

package probe

import "vcpulab/ebpf/measure"

// AddCreation appends a span of KVM_CREATE_VCPU to a sample.
func AddCreation(c *measure.Create, s Span) {
	c.Nanos = append(c.Nanos, int64(s.Nanos))
	c.ArchNanos = append(c.ArchNanos, int64(s.ArchNanos))
	addWaits(&c.Waits, &c.WaitNanos, s)
}

// addWaits adds the waits of a span, by the names of samples. Functions that were
// not called stay absent.
func addWaits(counts *map[string]uint64, nanos *map[string]int64, s Span) {
	for w, n := range s.Waits {
		if n == 0 {
			continue
		}
		if *counts == nil {
			*counts, *nanos = make(map[string]uint64), make(map[string]int64)
		}
		(*counts)[measure.Waits[w]] += n
		(*nanos)[measure.Waits[w]] += int64(s.WaitNanos[w])
	}
}

// NewCall returns the sample of a span.
func NewCall(s Span, symbols Symbols) measure.Call {
	c := measure.Call{
		Nanos: int64(s.Nanos), ArchNanos: int64(s.ArchNanos),
		Preempted: s.Preempted, PreemptedNanos: int64(s.PreemptedNanos),
		Blocked: s.Blocked, BlockedNanos: int64(s.BlockedNanos), LongestNanos: int64(s.LongestNanos),
		Contended: s.Contended, ContendedNanos: int64(s.ContendedNanos),
	}
	if s.Blocked > 0 {
		c.Stack = symbols.Names(s.Stack[:min(int(s.Frames), len(s.Stack))])
	}
	addWaits(&c.Waits, &c.WaitNanos, s)
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

// NewGaps returns the sample of the gaps of a phase, without what the vCPU saw.
func NewGaps(g Gaps, symbols Symbols) measure.Gaps {
	sum := func(class bpfGapClass) measure.GapSum {
		return measure.GapSum{Count: g.Count[class], Nanos: int64(g.Nanos[class]), Largest: int64(g.Largest[class])}
	}
	out := measure.Gaps{
		User:      sum(bpfGapClassGAP_USER),
		Halted:    sum(bpfGapClassGAP_HALTED),
		Blocked:   sum(bpfGapClassGAP_BLOCKED),
		Preempted: sum(bpfGapClassGAP_PREEMPTED),
		RanSum:    sum(bpfGapClassGAP_RAN),
		Ran:       measure.CountBuckets(g.Ran[:]),
	}
	for _, n := range g.Count {
		out.All += n
	}
	if out.Blocked.Count > 0 {
		c := NewCall(g.Longest, symbols)
		out.Longest = &c
	}
	return out
}
