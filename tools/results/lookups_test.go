// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
)

// countedBoot is a process that counted cycles: 3 a number for the loop, 10 for a lookup with
// it, and 8 for each vCPU of a walk.
func countedBoot() Boot {
	vm := measure.VM{VCPUs: 4, IDs: measure.Dense}
	loop := func(op measure.Op, cycles int64) measure.Loop {
		const passes, around = 100, 500
		return measure.Loop{VM: vm, Shape: measure.Shape{Op: op}, Numbers: 4, Passes: passes, Once: []int64{1000}, Twice: []int64{2000},
			OnceCycles: []int64{around + passes*4*cycles}, TwiceCycles: []int64{around + 2*passes*4*cycles}}
	}
	return Boot{Which: Which{Method: Native}, Loops: []measure.Loop{loop(measure.Nop, 3), loop(measure.Get, 10), loop(measure.Walk, 8)}}
}

// TestCycles draws them beside the nanoseconds.
func TestCycles(t *testing.T) {
	values, err := countedBoot().values()
	if err != nil {
		t.Fatal(err)
	}
	got := named(t, values)
	for name, want := range map[string]float64{"get/vcpus=4/ids=dense/cycles": 7, "walk/vcpus=4/ids=dense/cycles": 8} {
		if v := got[name]; v.value != want || v.key.Operation().Unit.On(Native) != "cycles/op" {
			t.Errorf("%s: expected %v, found %+v", name, want, v)
		}
	}
	for name, spoil := range map[string]func(*measure.Loop){
		"a count is missing": func(l *measure.Loop) { l.TwiceCycles = nil },
		"no more for 2N":     func(l *measure.Loop) { l.TwiceCycles = l.OnceCycles },
		"none":               func(l *measure.Loop) { l.OnceCycles = []int64{0} },
	} {
		for i := range 3 {
			b := countedBoot()
			spoil(&b.Loops[i])
			if err := b.Check(); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: expected ErrInvalid, found %v", name, err)
			}
		}
	}
}

// race is lookups in a VM of five vCPUs, in three growths.
func race(op measure.Op) measure.Race {
	return measure.Race{
		VM: measure.VM{VCPUs: 5, IDs: measure.Dense}, Op: op, Creator: 1,
		Alone: []float64{10, 3, 4}, AloneOwn: []float64{1, 1, 1},
		Beside: []float64{7, 5, 90}, BesideOwn: []float64{1, 1, 2},
		Create: 400, CreateBeside: 1000,
	}
}

// TestRaceValues draws figures: medians of the growths, less the loop's own cost.
func TestRaceValues(t *testing.T) {
	for name, tt := range map[string]struct {
		op   measure.Op
		want map[string]float64
	}{
		"a lookup": {measure.Get, map[string]float64{
			"alone ns/read": 3, "beside ns/read": 6, "slower slowdown": 2,
			"insert ns/insert": 100, "insert-beside ns/insert": 250, "insert-slower slowdown": 2.5}},
		"a walk": {measure.Walk, map[string]float64{
			"alone ns/read": 4, "beside ns/read": 7, "slower slowdown": 1.75,
			"insert ns/insert": 100, "insert-beside ns/insert": 250, "insert-slower slowdown": 2.5}},
	} {
		t.Run(name, func(t *testing.T) {
			values, err := Boot{Which: Which{Method: Native}, Races: []measure.Race{race(tt.op)}}.values()
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]float64)
			for _, v := range values {
				part, ok := strings.CutPrefix(v.key.Name(), "race/vcpus=5/ids=dense/of="+string(tt.op)+"/")
				if !ok || v.from != "/races/0" {
					t.Errorf("expected a figure of the race, found %+v", v)
				}
				got[part+" "+v.key.Operation().Unit.On(Native)] = v.value
			}
			if !maps.Equal(got, tt.want) {
				t.Error(cmp.Diff(tt.want, got))
			}
		})
	}
}

func TestRaceValuesRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*measure.Race){
		"no growth":              func(r *measure.Race) { r.Alone = nil },
		"a growth is missing":    func(r *measure.Race) { r.Beside = r.Beside[1:] },
		"the loop is missing":    func(r *measure.Race) { r.BesideOwn = nil },
		"the loop costs more":    func(r *measure.Race) { r.AloneOwn = []float64{99, 99, 99} },
		"creations cost nothing": func(r *measure.Race) { r.Create = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			r := race(measure.ByID)
			spoil(&r)
			checkInvalid(t, Boot{Which: Which{Method: Native}, Races: []measure.Race{r}}.Check(), "by_id in vcpus=5/ids=dense while it grows")
		})
	}
}
