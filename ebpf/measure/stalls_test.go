// SPDX-License-Identifier: GPL-2.0-only

package measure

import (
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/probe"
	"vcpulab/ebpf/stalls"
)

// TestSlotsChange: slots change where the container grows, and where it does
// not to compare with.
func TestSlotsChange(t *testing.T) {
	var grows, changes []int
	for n := 1; n <= 600; n++ {
		if TableFull(n - 1) {
			grows = append(grows, n)
		}
		if SlotsChange(n) {
			changes = append(changes, n)
		}
	}
	if want := []int{2, 9, 17, 33, 65, 129, 257, 513}; !slices.Equal(grows, want) {
		t.Errorf("expected growth at %v, found %v", want, grows)
	}
	if want := []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 33, 34, 65, 66, 129, 130, 257, 258, 513, 514}; !slices.Equal(changes, want) {
		t.Errorf("expected changes at %v, found %v", want, changes)
	}
}

func TestNewCall(t *testing.T) {
	symbols := stalls.Symbols(nil)
	s := stalls.Span{
		Nanos: 1000, ArchNanos: 300, Preempted: 1, PreemptedNanos: 100, Blocked: 2, BlockedNanos: 250, Longest: 200,
		Contended: 1, ContendedNanos: 60, Stack: []uint64{0x20},
	}
	s.Waits[probe.WaitSRCU], s.WaitNanos[probe.WaitSRCU] = 2, 240
	s.Waits[probe.WaitRCU], s.WaitNanos[probe.WaitRCU] = 1, 10
	s.Deferred[stalls.DeferRCU] = 3
	got := NewCall(s, symbols)
	want := Call{
		Nanos: 1000, ArchNanos: 300, Contended: 1, ContendedNanos: 60,
		Off:       Off{Preempted: 1, PreemptedNanos: 100, Blocked: 2, BlockedNanos: 250, LongestNanos: 200, Stack: []string{"0x20"}},
		Waits:     map[string]uint64{"synchronize_srcu": 2, "synchronize_rcu": 1},
		WaitNanos: map[string]int64{"synchronize_srcu": 240, "synchronize_rcu": 10},
		Deferred:  map[string]uint64{"call_rcu": 3},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("call (-expected +found):\n%s", diff)
	}
	if got.On() != 650 || got.GracePeriods() != 3 {
		t.Errorf("expected 650 ns on a processor and 3 grace periods, found %d and %d", got.On(), got.GracePeriods())
	}
}

// TestNewGaps: a gap that was blocked keeps its stack, a halt is no stall.
func TestNewGaps(t *testing.T) {
	var g stalls.Gaps
	g.Count = [stalls.NumClasses]uint64{stalls.ClassHalted: 5, stalls.ClassRan: 3}
	g.Nanos[stalls.ClassHalted], g.Largest[stalls.ClassHalted] = 900, 500
	g.Ran[stalls.Bucket(4000)], g.Ran[stalls.Bucket(10)] = 2, 1
	got := NewGaps(g, stalls.Record{Count: 3, Largest: 9}, nil)
	if got.Longest != nil || got.Blocked.Count != 0 {
		t.Errorf("a halt was taken for a stall: %+v", got)
	}
	if want := (GapSum{Count: 5, Nanos: 900, Largest: 500}); got.Halted != want {
		t.Errorf("expected %+v, found %+v", want, got.Halted)
	}
	if want := []BucketCount{{10, 1}, {stalls.Bucket(4000), 2}}; !slices.Equal(got.Ran, want) {
		t.Errorf("expected buckets %v, found %v", want, got.Ran)
	}
	g.Count[stalls.ClassBlocked] = 1
	g.Longest = stalls.Span{Nanos: 77, Blocked: 1, BlockedNanos: 70, Stack: []uint64{0x30}}
	got = NewGaps(g, stalls.Record{}, nil)
	if got.Longest == nil || got.Longest.BlockedNanos != 70 || !slices.Equal(got.Longest.Stack, []string{"0x30"}) {
		t.Errorf("expected the longest gap with its stack, found %+v", got.Longest)
	}
	ticks := GuestGaps{KHz: 2_000_000}
	if n := ticks.Nanos(3000); n != 1500 {
		t.Errorf("expected 3000 ticks of 2 GHz to be 1500 ns, found %d", n)
	}
}
