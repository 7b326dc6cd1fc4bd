// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"errors"
	"testing"

	"vcpulab/ebpf/measure"
)

// countedBoot is a process that counted cycles: 3 a number for the loop, 10 for a lookup with
// it, and 8 for each vCPU of a walk.
func countedBoot() Boot {
	vm := measure.VM{VCPUs: 4, IDs: measure.Dense}
	loop := func(op measure.Op, cycles int64) measure.Loop {
		const passes, around = 100, 500
		return measure.Loop{VM: vm, Op: op, Numbers: 4, Passes: passes, Once: []int64{1000}, Twice: []int64{2000},
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
