// SPDX-License-Identifier: GPL-2.0-only

package stalls

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
)

func TestNewCall(t *testing.T) {
	symbols := Symbols(nil)
	s := Span{
		Nanos: 1000, ArchNanos: 300, Preempted: 1, PreemptedNanos: 100, Blocked: 2, BlockedNanos: 250, Longest: 200,
		Contended: 1, ContendedNanos: 60, Stack: []uint64{0x20},
	}
	s.Waits[2], s.WaitNanos[2] = 2, 240
	s.Waits[0], s.WaitNanos[0] = 1, 10
	s.Deferred[0] = 3
	got := NewCall(s, symbols)
	want := measure.Call{
		Nanos: 1000, ArchNanos: 300, Contended: 1, ContendedNanos: 60,
		Off:       measure.Off{Preempted: 1, PreemptedNanos: 100, Blocked: 2, BlockedNanos: 250, LongestNanos: 200, Stack: []string{"0x20"}},
		Waits:     map[string]uint64{"synchronize_srcu": 2, "synchronize_rcu": 1},
		WaitNanos: map[string]int64{"synchronize_srcu": 240, "synchronize_rcu": 10},
		Deferred:  map[string]uint64{"call_rcu": 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("call (-expected +found):\n%s", diff)
	}
	if got.On() != 650 || got.GracePeriods() != 3 {
		t.Errorf("expected 650 ns on a processor and 3 grace periods, found %d and %d", got.On(), got.GracePeriods())
	}
}

// TestNewGaps: a gap that was blocked keeps its stack, a halt is no stall.
func TestNewGaps(t *testing.T) {
	var g Gaps
	g.Count = [NumClasses]uint64{ClassHalted: 5, ClassRan: 3}
	g.Nanos[ClassHalted], g.Largest[ClassHalted] = 900, 500
	g.Ran[measure.Bucket(4000)], g.Ran[measure.Bucket(10)] = 2, 1
	got := NewGaps(g, Record{Count: 3, Largest: 9}, nil)
	if got.Longest != nil || got.Blocked.Count != 0 {
		t.Errorf("a halt was taken for a stall: %+v", got)
	}
	if want := (measure.GapSum{Count: 5, Nanos: 900, Largest: 500}); got.Halted != want {
		t.Errorf("expected %+v, found %+v", want, got.Halted)
	}
	if want := []measure.BucketCount{{Bucket: 10, Count: 1}, {Bucket: measure.Bucket(4000), Count: 2}}; !slices.Equal(got.Ran, want) {
		t.Errorf("expected buckets %v, found %v", want, got.Ran)
	}
	g.Count[ClassBlocked] = 1
	g.Longest = Span{Nanos: 77, Blocked: 1, BlockedNanos: 70, Stack: []uint64{0x30}}
	got = NewGaps(g, Record{}, nil)
	if got.Longest == nil || got.Longest.BlockedNanos != 70 || !slices.Equal(got.Longest.Stack, []string{"0x30"}) {
		t.Errorf("expected the longest gap with its stack, found %+v", got.Longest)
	}
	ticks := measure.GuestGaps{KHz: 2_000_000}
	if n := ticks.Nanos(3000); n != 1500 {
		t.Errorf("expected 3000 ticks of 2 GHz to be 1500 ns, found %d", n)
	}
}
