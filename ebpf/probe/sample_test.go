// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
)

// bucket4000 is the bucket of that value.
const bucket4000 = 143

func TestNewCall(t *testing.T) {
	symbols := Symbols(nil)
	s := Span{
		Nanos: 1000, ArchNanos: 300, Preempted: 1, PreemptedNanos: 100, Blocked: 2, BlockedNanos: 250, LongestNanos: 200,
		Contended: 1, ContendedNanos: 60, Kicks: 4, Frames: 1, Stack: [24]uint64{0x20},
	}
	s.Waits[bpfWaitWAIT_SRCU], s.WaitNanos[bpfWaitWAIT_SRCU] = 2, 240
	s.Waits[bpfWaitWAIT_RCU], s.WaitNanos[bpfWaitWAIT_RCU] = 1, 10
	s.Deferred[bpfDeferralDEFER_RCU] = 3
	got := NewCall(s, symbols)
	want := measure.Call{
		Nanos: 1000, ArchNanos: 300, Contended: 1, ContendedNanos: 60, Kicks: 4,
		Preempted: 1, PreemptedNanos: 100, Blocked: 2, BlockedNanos: 250, LongestNanos: 200, Stack: []string{"0x20"},
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
	g.Count[bpfGapClassGAP_HALTED], g.Count[bpfGapClassGAP_RAN] = 5, 3
	g.Nanos[bpfGapClassGAP_HALTED], g.Largest[bpfGapClassGAP_HALTED] = 900, 500
	g.Ran[bucket4000], g.Ran[10] = 2, 1
	got := NewGaps(g, nil)
	if got.All != 8 {
		t.Errorf("expected 8 gaps in all, found %d", got.All)
	}
	if got.Longest != nil || got.Blocked.Count != 0 {
		t.Errorf("a halt was taken for a stall: %+v", got)
	}
	if want := (measure.GapSum{Count: 5, Nanos: 900, Largest: 500}); got.Halted != want {
		t.Errorf("expected %+v, found %+v", want, got.Halted)
	}
	if want := []measure.BucketCount{{Bucket: 10, Count: 1}, {Bucket: bucket4000, Count: 2}}; !slices.Equal(got.Ran, want) {
		t.Errorf("expected buckets %v, found %v", want, got.Ran)
	}
	g.Count[bpfGapClassGAP_BLOCKED] = 1
	g.Longest = Span{Nanos: 77, Blocked: 1, BlockedNanos: 70, Frames: 1, Stack: [24]uint64{0x30}}
	got = NewGaps(g, nil)
	if got.Longest == nil || got.Longest.BlockedNanos != 70 || !slices.Equal(got.Longest.Stack, []string{"0x30"}) {
		t.Errorf("expected the longest gap with its stack, found %+v", got.Longest)
	}
	ticks := measure.GuestGaps{KHz: 2_000_000}
	if n := ticks.Nanos(3000); n != 1500 {
		t.Errorf("expected 3000 ticks of 2 GHz to be 1500 ns, found %d", n)
	}
}

// TestAddCreation adds what a probe saw, and sends it as a guest does.
func TestAddCreation(t *testing.T) {
	first := Span{Nanos: 40_000, ArchNanos: 20_000}
	second := Span{Nanos: 1_000_000, ArchNanos: 21_000}
	second.Waits[bpfWaitWAIT_SRCU], second.WaitNanos[bpfWaitWAIT_SRCU] = 2, 900_000
	third := second
	third.Waits[bpfWaitWAIT_RCU_EXPEDITED], third.WaitNanos[bpfWaitWAIT_RCU_EXPEDITED] = 1, 1_000

	c := measure.Create{VM: measure.VM{VCPUs: 3, IDs: measure.Dense}}
	AddCreation(&c, first)
	if c.Waits != nil || c.WaitNanos != nil {
		t.Errorf("expected no waits where nothing was waited for, found %v", c.Waits)
	}
	AddCreation(&c, second)
	AddCreation(&c, third)
	want := measure.Create{
		VM:        measure.VM{VCPUs: 3, IDs: measure.Dense},
		Nanos:     []int64{40_000, 1_000_000, 1_000_000},
		ArchNanos: []int64{20_000, 21_000, 21_000},
		Waits:     map[string]uint64{"synchronize_srcu": 4, "synchronize_rcu_expedited": 1},
		WaitNanos: map[string]int64{"synchronize_srcu": 1_800_000, "synchronize_rcu_expedited": 1_000},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("creations (-expected +found):\n%s", diff)
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back measure.Create
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back); diff != "" {
		t.Errorf("after JSON (-expected +found):\n%s", diff)
	}
}
