// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/exit"
	"vcpulab/tools/results"
)

// TestDefaultPlan says what a measurement consists of.
func TestDefaultPlan(t *testing.T) {
	var want []measure.VM
	for _, ids := range []measure.IDs{measure.Dense, measure.Sparse} {
		for _, n := range []int{1, 8, 64, 65, 512, 1024} {
			want = append(want, measure.VM{VCPUs: n, IDs: ids})
		}
	}
	for _, arm := range results.Methods {
		p := NewPlan(arm, DefaultAxes)
		if diff := cmp.Diff(want, p.Params.VMs); diff != "" {
			t.Errorf("%s: VMs (-expected +found):\n%s", arm, diff)
		}
		if len(p.Params.Counted) > 0 {
			t.Errorf("%s: expected no VMs to be counted besides, found %v", arm, p.Params.Counted)
		}
		if one := p.Rounds == 1; one != arm.Exact() {
			t.Errorf("%s: %d rounds: exact figures take one, others several", arm, p.Rounds)
		}
		if arm.Exact() && p.Parallel < 2 {
			t.Errorf("%s: expected guests side by side, found %d", arm, p.Parallel)
		}
	}
}

// TestAxes: a quick run measures less of what a full one does, in the same
// way, and no VM twice.
func TestAxes(t *testing.T) {
	full := FullAxes.VMs()
	for name, a := range map[string]Axes{"quick": QuickAxes, "default": DefaultAxes} {
		p := NewPlan(results.ICount, a)
		for _, vm := range p.Params.VMs {
			if !slices.Contains(full, vm) {
				t.Errorf("%s: %v is in no full run", name, vm)
			}
		}
	}
	for growth, want := range map[int]*measure.Stalls{0: nil, 66: {VCPUs: 66, QuietNanos: 50_000_000, Devices: ioeventfds}} {
		a := DefaultAxes
		a.Growth = growth
		if diff := cmp.Diff(want, NewPlan(results.ICount, a).Params.Stalls); diff != "" {
			t.Errorf("growth to %d (-expected +found):\n%s", growth, diff)
		}
	}
	if slices.Contains(full, measure.VM{VCPUs: 1, IDs: measure.Shuffled}) || len(full) != 9*3-1 {
		t.Errorf("expected all sizes with all IDs, but for a single vCPU shuffled, found %v", full)
	}
}

// TestDesignPlan: what the table of designs has is measured, and nothing else that
// takes long.
func TestDesignPlan(t *testing.T) {
	for name, a := range map[string]Axes{"quick": QuickDesignAxes, "default": DesignAxes} {
		counted, timed := NewPlan(results.ICount, a), NewPlan(results.Native, a)
		for _, p := range []Plan{counted, timed} {
			if !p.Optional {
				t.Errorf("%s: expected a plan of which kernels can be left out, found %+v", name, p)
			}
		}
		for _, n := range []int{1, 64, 1024, 4096} {
			vms := slices.Concat(counted.Params.VMs, counted.Params.Counted)
			if vm := (measure.VM{VCPUs: n, IDs: measure.Dense}); !slices.Contains(vms, vm) {
				t.Errorf("%s: expected the memory of %v, found %v", name, vm, vms)
			}
		}
		if counted.Params.Paths != nil || counted.Params.Stalls == nil {
			t.Errorf("%s: expected a VM that grows, and no guests that have KVM look vCPUs up, found %+v", name, counted.Params)
		}
		want := []measure.VM{{VCPUs: 1024, IDs: measure.Dense}}
		if c := timed.Params.Caches; len(timed.Params.VMs) > 0 || timed.Params.Readers != nil || !slices.Equal(c.VMs, want) || len(c.States) != 3 {
			t.Errorf("%s: expected walks in three states of the caches alone, found %+v", name, timed.Params)
		}
	}
}

// TestLeaveOut: a design that cannot be built is not measured, and the others are.
func TestLeaveOut(t *testing.T) {
	broken := exit.With(exit.BuildFailed, errors.New("compile the lookups of /a/b/linux: gcc: /a/b/lookups.h:1: no"))
	for name, tt := range map[string]struct {
		optional bool
		kernel   string
		err      error
		left     bool
	}{
		"a design":       {true, "two", broken, true},
		"the baseline":   {true, "base", broken, false},
		"not of designs": {false, "two", broken, false},
		"no compiler":    {true, "two", exit.With(exit.MachineLacks, errors.New("no gcc")), false},
	} {
		t.Run(name, func(t *testing.T) {
			p, out := Plan{Method: results.Native, Rounds: 3, Optional: tt.optional}, &results.Results{}
			if err := p.leaveOut(tt.kernel, tt.err, out); (err == nil) != tt.left {
				t.Fatalf("expected it to be left out: %v, found %v", tt.left, err)
			}
			if !tt.left {
				return
			}
			want := []results.Omitted{{Method: results.Native, Kernel: "two", What: "times of two", Why: "compile the lookups of linux: gcc: lookups.h:1: no"}}
			if diff := cmp.Diff(want, out.Omitted); diff != "" {
				t.Errorf("omitted (-expected +found):\n%s", diff)
			}
			for _, b := range p.boots([]results.Kernel{{Name: "base"}, {Name: "two"}, {Name: "three"}}) {
				if b.Kernel == "two" {
					t.Errorf("expected no process of it, found %+v", b)
				}
			}
		})
	}
}

func TestCount(t *testing.T) {
	var p Plan
	p.Count(2)
	p.Count(4096)
	want := []measure.VM{{VCPUs: 2, IDs: measure.Dense}, {VCPUs: 2, IDs: measure.Sparse},
		{VCPUs: 4096, IDs: measure.Dense}, {VCPUs: 4096, IDs: measure.Sparse}}
	if diff := cmp.Diff(measure.Params{Counted: want}, p.Params); diff != "" {
		t.Errorf("parameters (-expected +found):\n%s", diff)
	}
}

// TestBoots looks at what is booted: every round each kernel once and the
// baseline twice, in an order that depends on the seed alone.
func TestBoots(t *testing.T) {
	all := []results.Kernel{{Name: "base"}, {Name: "one"}, {Name: "two"}, {Name: "three"}}
	for _, n := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p, kernels := Plan{Rounds: 20, Seed: 7}, all[:n]
			got := p.boots(kernels)
			if want := p.Rounds * (n + 1); len(got) != want {
				t.Fatalf("expected %d boots, found %d", want, len(got))
			}
			first := make(map[int]bool) // kernels that a round began with
			for round := range p.Rounds {
				one := got[round*(n+1) : (round+1)*(n+1)]
				first[one[0].kernel] = true
				want := map[boot]bool{{0, results.Which{Kernel: "base", Again: true, Round: round}}: true}
				for k := range n {
					want[boot{k, results.Which{Kernel: all[k].Name, Round: round}}] = true
				}
				found := make(map[boot]bool)
				for _, b := range one {
					found[b] = true
				}
				if !maps.Equal(found, want) {
					t.Errorf("round %d: expected %v, found %v", round, want, one)
				}
			}
			if len(first) != n {
				t.Errorf("expected each kernel to be first in a round, found %v", first)
			}
			if !slices.Equal(got, p.boots(kernels)) {
				t.Error("expected the same order again, found another")
			}
			p.Seed++
			if slices.Equal(got, p.boots(kernels)) {
				t.Error("expected another order with another seed, found the same")
			}
		})
	}
}
