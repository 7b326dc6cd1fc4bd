// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"sort"

	"vcpulab/ebpf/measure"
)

// UnitCycles is of lookups: the processor's cycles in user space.
const UnitCycles = "cycles/op"

// cyclesOf returns the cycles of one lookup, or of one vCPU that a walk visits, with the
// loop's own: the difference between 2N passes and N, as perPass.
func cyclesOf(l measure.Loop) (float64, error) {
	if len(l.OnceCycles) != len(l.TwiceCycles) || l.Passes < 1 || l.Numbers < 1 || l.VM.VCPUs < 1 {
		return 0, fmt.Errorf("%w: %s of %v: expected the cycles of runs with N and with 2N passes, found %d and %d",
			ErrInvalid, l.Op, l.VM, len(l.OnceCycles), len(l.TwiceCycles))
	}
	n := l.Numbers
	if l.Op == measure.Walk {
		n = l.VM.VCPUs
	}
	var costs []float64
	for i, once := range l.OnceCycles {
		if once <= 0 || l.TwiceCycles[i] <= once {
			return 0, fmt.Errorf("%w: %s of %v: expected more cycles for 2N passes than for N, found %d and %d",
				ErrInvalid, l.Op, l.VM, l.TwiceCycles[i], once)
		}
		costs = append(costs, float64(l.TwiceCycles[i]-once)/float64(l.Passes)/float64(n))
	}
	sort.Float64s(costs)
	return median(costs), nil
}
