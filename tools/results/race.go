// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"slices"

	"vcpulab/ebpf/measure"
)

// UnitSlowdown is of a cost beside somebody else to that alone.
const UnitSlowdown = "slowdown"

// ReadUnit is what a lookup costs in a VM that grows, and InsertUnit what it takes
// to put a vCPU into the containers of one. Neither is exact.
func (a Method) ReadUnit() string   { return a.quantity() + "/read" }
func (a Method) InsertUnit() string { return a.quantity() + "/insert" }

// raceValues draws the figures of lookups in a VM that grows.
func raceValues(r measure.Race, arm Method) ([]value, error) {
	n := len(r.Alone)
	if n == 0 || len(r.AloneOwn) != n || len(r.Beside) != n || len(r.BesideOwn) != n {
		return nil, fmt.Errorf("%w: %s in %v while it grows: expected the same number of growths of each kind, found %d, %d, %d and %d",
			ErrInvalid, r.Op, r.VM, n, len(r.AloneOwn), len(r.Beside), len(r.BesideOwn))
	}
	cost := func(all, own []float64) float64 {
		var out []float64
		for i, v := range all {
			if r.Op != measure.Walk { // whose loop is its own
				v -= own[i]
			}
			out = append(out, v)
		}
		slices.Sort(out)
		return median(out)
	}
	alone, beside := cost(r.Alone, r.AloneOwn), cost(r.Beside, r.BesideOwn)
	if alone <= 0 || beside <= 0 || r.Create <= 0 || r.CreateBeside <= 0 {
		return nil, fmt.Errorf("%w: %s in %v while it grows: expected time to pass, found %g and %g ns for a lookup, %d and %d ns for all vCPUs",
			ErrInvalid, r.Op, r.VM, alone, beside, r.Create, r.CreateBeside)
	}
	name := fmt.Sprintf("race/%v/of=%s/", r.VM, r.Op)
	inserts := float64(r.VM.VCPUs - 1)
	return []value{
		counted(name+"alone", arm.ReadUnit(), alone),
		counted(name+"beside", arm.ReadUnit(), beside),
		counted(name+"slower", UnitSlowdown, beside/alone),
		counted(name+"insert", arm.InsertUnit(), float64(r.Create)/inserts),
		counted(name+"insert-beside", arm.InsertUnit(), float64(r.CreateBeside)/inserts),
		counted(name+"insert-slower", UnitSlowdown, float64(r.CreateBeside)/float64(r.Create)),
	}, nil
}
