// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// TestBeside keeps what another measurement of the same kernels has of methods that
// were not measured again.
func TestBeside(t *testing.T) {
	get := figure.VM(figure.Get, measure.VM{VCPUs: 8, IDs: measure.Dense})
	of := func(value float64, methods ...Method) *Results {
		r := &Results{Kernels: []Kernel{{Name: "base"}, {Name: "patched"}}, Host: Host{CPU: fmt.Sprint(value)}}
		for _, m := range methods {
			r.Discarded = append(r.Discarded, Discarded{Which{Kernel: "base", Method: m}, fmt.Sprint(value)})
			r.Omitted = append(r.Omitted, Omitted{Method: m, What: "cycles", Why: fmt.Sprint(value)})
			for _, k := range r.Kernels {
				r.Figures = append(r.Figures, Figure{Place: Place{get, k.Name, m}, Value: value, Boots: []int{len(r.Boots)}, Values: []float64{value}})
				r.Boots = append(r.Boots, Boot{Which: Which{Kernel: k.Name, Method: m}})
			}
		}
		return r
	}
	for name, tt := range map[string]struct {
		new, kept             *Results
		counted, timed, boots int
	}{
		"times anew":  {of(2, Native), of(1, ICount, Native), 1, 2, 4},
		"counts anew": {of(2, ICount), of(1, ICount, Native), 2, 1, 4},
		"all anew":    {of(2, ICount, Native), of(1, ICount, Native), 2, 2, 4},
		"one only":    {of(2, ICount), of(1, ICount), 2, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tt.new.Beside(tt.kept); err != nil {
				t.Fatal(err)
			}
			if err := tt.new.check(); err != nil || len(tt.new.Boots) != tt.boots {
				t.Errorf("expected %d boots, found %d, %v", tt.boots, len(tt.new.Boots), err)
			}
			for m, want := range map[Method]int{ICount: tt.counted, Native: tt.timed} {
				f, _ := tt.new.Find(get, "patched", m)
				if f.Value != float64(want) {
					t.Errorf("%s: expected %d, found %g", m, want, f.Value)
				}
				// What goes with the figures comes from the same run.
				for _, d := range tt.new.Discarded {
					if d.Method == m && d.Why != fmt.Sprint(want) {
						t.Errorf("%s: expected boots that run %d discarded, found %+v", m, want, d)
					}
				}
				for _, o := range tt.new.Omitted {
					if o.Method == m && o.Why != fmt.Sprint(want) {
						t.Errorf("%s: expected what run %d omitted, found %+v", m, want, o)
					}
				}
				other := slices.IndexFunc(tt.new.Others, func(o Other) bool { return slices.Contains(o.Methods, m) })
				if (other >= 0) != (want == 1) || other >= 0 && tt.new.Others[other].Host.CPU != "1" {
					t.Errorf("%s: expected it to be said where run %d was, found %+v", m, want, tt.new.Others)
				}
				for _, b := range f.Boots {
					if tt.new.Boots[b].Method != m || tt.new.Boots[b].Kernel != "patched" {
						t.Errorf("%s: expected a boot of its own, found %+v", m, tt.new.Boots[b])
					}
				}
			}
		})
	}
	// Kept once more, it is still said where the times come from.
	again := of(3, ICount)
	kept := of(2, ICount)
	if err := errors.Join(kept.Beside(of(1, Native)), again.Beside(kept), again.check()); err != nil {
		t.Fatal(err)
	}
	if len(again.Others) != 1 || !slices.Equal(again.Others[0].Methods, []Method{Native}) || again.Others[0].Host.CPU != "1" {
		t.Errorf("expected the times to be of the first run, found %+v", again.Others)
	}

	other := of(1, ICount)
	other.Kernels[1].Tree = "another"
	if err := of(2, Native).Beside(other); err == nil || !strings.Contains(err.Error(), "other kernels") {
		t.Errorf("expected other kernels to be refused, found %v", err)
	}
	if err := of(2, ICount).Beside(other); err != nil {
		t.Errorf("expected nothing to be kept of what was measured anew, found %v", err)
	}
}
