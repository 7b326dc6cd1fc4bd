// SPDX-License-Identifier: GPL-2.0-only

package measure

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIDs looks at what each way of numbering promises.
func TestIDs(t *testing.T) {
	for _, ids := range AllIDs {
		t.Run(string(ids), func(t *testing.T) {
			for _, vcpus := range []int{1, 2, 8, 65, 1024} {
				used := make(map[int]bool)
				for i, id := range ids.Of(vcpus) {
					if used[id] {
						t.Errorf("%d vCPUs: expected an ID of its own for vCPU %d, found %d again", vcpus, i, id)
					}
					if index := id == i; index != (ids == Dense) && (ids == Sparse || vcpus > 1) {
						t.Errorf("%d vCPUs: vCPU %d has ID %d", vcpus, i, id)
					}
					if ids == Shuffled && id >= vcpus {
						t.Errorf("%d vCPUs: expected an ID below that, found %d", vcpus, id)
					}
					used[id] = true
				}
				if len(used) != vcpus || !slices.Equal(ids.Of(vcpus), ids.Of(vcpus)) {
					t.Errorf("%d vCPUs: expected as many IDs, and the same again, found %d", vcpus, len(used))
				}
				missing := make(map[int]bool)
				for n := range vcpus {
					id := ids.Missing(n, vcpus)
					if used[id] || missing[id] {
						t.Errorf("%d vCPUs: expected ID %d to be no vCPU's, and to come once", vcpus, id)
					}
					// KVM takes IDs up to four times the number of vCPUs.
					if id < 0 || id >= 4*vcpus {
						t.Errorf("%d vCPUs: expected an ID below %d, found %d", vcpus, 4*vcpus, id)
					}
					missing[id] = true
				}
			}
		})
	}
}

// TestShuffled is the order that was measured, on whichever machine.
func TestShuffled(t *testing.T) {
	if diff := cmp.Diff([]int{4, 3, 5, 7, 6, 1, 2, 0}, Shuffled.Of(8)); diff != "" {
		t.Errorf("IDs (-expected +found):\n%s", diff)
	}
}

// TestArrange: every order is over the same vCPUs, or over the one in the
// middle, so that a linear scan costs the same in each.
func TestArrange(t *testing.T) {
	for _, tt := range []struct{ n, vcpus int }{{1, 1}, {2, 2}, {8, 8}, {32, 65}, {32, 1024}} {
		sequential := Sequential.Arrange(tt.n, tt.vcpus)
		if !slices.IsSorted(sequential) || len(slices.Compact(slices.Clone(sequential))) != tt.n ||
			sequential[0] < 0 || sequential[tt.n-1] >= tt.vcpus {
			t.Errorf("%v: expected indices from the first to the last, found %v", tt, sequential)
		}
		if got := Order("").Arrange(tt.n, tt.vcpus); !slices.Equal(got, sequential) {
			t.Errorf("%v: expected no order to be the sequential one, found %v", tt, got)
		}
		random := Random.Arrange(tt.n, tt.vcpus)
		if !slices.Equal(random, Random.Arrange(tt.n, tt.vcpus)) {
			t.Errorf("%v: expected the same random order again", tt)
		}
		if tt.n > 2 && slices.IsSorted(random) {
			t.Errorf("%v: expected a random order, found %v", tt, random)
		}
		slices.Sort(random)
		if !slices.Equal(random, sequential) {
			t.Errorf("%v: expected the same indices in another order, found %v", tt, random)
		}
		if same := Same.Arrange(tt.n, tt.vcpus); len(same) != tt.n || slices.Min(same) != tt.vcpus/2 || slices.Max(same) != tt.vcpus/2 {
			t.Errorf("%v: expected index %d each time, found %v", tt, tt.vcpus/2, same)
		}
	}
}

// TestRunsOf looks at the numbers of each loop, and at what it is to find.
func TestRunsOf(t *testing.T) {
	p := Params{MaxNumbers: 4, Orders: []Order{Sequential, Same}}
	vm := VM{8, Sparse}
	loop := func(s Shape) Loop { return Loop{VM: vm, Shape: s, Numbers: 4} }
	want := []Run{
		{loop(Shape{Op: Nop}), []int32{1, 3, 5, 7}, 0},
		{loop(Shape{Op: ByID}), []int32{7, 15, 23, 31}, 4},
		{loop(Shape{Op: ByID, Order: Same}), []int32{19, 19, 19, 19}, 4},
		{loop(Shape{Op: ByID, Missing: true}), []int32{5, 13, 21, 29}, 0},
	}
	if diff := cmp.Diff(want, p.RunsOf(vm)); diff != "" {
		t.Errorf("runs (-expected +found):\n%s", diff)
	}
	runs := p.RunsOf(VM{8, Dense})
	if last := runs[len(runs)-1]; last.Loop.Op != Walk || last.Found != 8 {
		t.Errorf("expected a walk that finds all 8 vCPUs, found %+v", last)
	}
	p.LoopNanos = 1000
	if a, b, c := p.Passes(10), p.Passes(0), p.Passes(5000); a != 100 || b != 1000 || c != 1 {
		t.Errorf("expected 100, 1000 and 1 passes, found %d, %d and %d", a, b, c)
	}
}

// TestLoopsOf says which loops are run where: the empty one first, as the
// others' costs are taken without its.
func TestLoopsOf(t *testing.T) {
	nop, missing := Shape{Op: Nop}, Shape{Op: ByID, Missing: true}
	for name, tt := range map[string]struct {
		vm     VM
		orders []Order
		want   []Shape
	}{
		"dense":  {VM{8, Dense}, nil, []Shape{nop, {Op: ByID}, missing, {Op: Get}, {Op: Walk}}},
		"sparse": {VM{8, Sparse}, []Order{Sequential}, []Shape{nop, {Op: ByID}, missing}},
		"dense in all orders": {VM{8, Dense}, AllOrders, []Shape{
			nop, {Op: ByID}, {Op: ByID, Order: Same}, {Op: ByID, Order: Random}, missing,
			{Op: Get}, {Op: Get, Order: Same}, {Op: Get, Order: Random}, {Op: Walk}}},
		"shuffled at random": {VM{8, Shuffled}, []Order{Random}, []Shape{nop, {Op: ByID, Order: Random}, missing}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Params{Orders: tt.orders}.LoopsOf(tt.vm)); diff != "" {
				t.Errorf("loops (-expected +found):\n%s", diff)
			}
		})
	}
}
