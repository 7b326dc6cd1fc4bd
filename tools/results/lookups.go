// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// linearity is by how much the cost of 2N passes may miss twice that of N.
const linearity = 0.05

// wholeness is by how much the instructions of a pass may miss a whole number:
// the clock that counts them is converted to nanoseconds and back. If it is
// more the clock does not count instructions one by one.
const wholeness = 0.01

// ownCost is what one number costs in a loop that looks nothing up.
type ownCost struct{ cost, cycles float64 }

// loopValues draws the figures of the loops.
func (b Boot) loopValues() ([]value, error) {
	own := make(map[measure.VM]ownCost)
	var around []float64
	for _, l := range b.Loops {
		if l.Op != measure.Nop {
			continue
		}
		cost, err := b.perPass(l)
		if err != nil {
			return nil, err
		}
		cycles, err := cyclesOf(l)
		if err != nil {
			return nil, err
		}
		own[l.VM] = ownCost{cost / float64(l.Numbers), cycles}
		for i, once := range l.Once {
			around = append(around, float64(2*once-l.Twice[i]))
		}
	}

	out, err := drawEach(nil, "loops", b.Loops, func(l measure.Loop) ([]value, error) { return b.lookupValues(l, own) })
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(x, y value) int { return cmp.Compare(lookupRank(x.key), lookupRank(y.key)) })
	if len(around) > 0 {
		out = append(out, counted(figure.Key{Op: figure.ProbeLoop}, Median(around)))
	}
	return out, nil
}

// lookupRank orders lookups as measure.Ops does, also where cycles are counted.
func lookupRank(k figure.Key) int {
	op := measure.Op(k.Op)
	if k.Op == figure.Cycles {
		op = k.Lookup
	}
	return slices.Index(measure.Ops, op)
}

// lookupValues draws the figures of a loop with lookups in it: what one lookup
// costs, or one vCPU that a walk visits.
func (b Boot) lookupValues(l measure.Loop, own map[measure.VM]ownCost) ([]value, error) {
	if l.Op == measure.Nop {
		return nil, nil
	}
	cost, err := b.perPass(l)
	if err != nil {
		return nil, err
	}
	cycles, err := cyclesOf(l)
	if err != nil {
		return nil, err
	}
	loop, ok := own[l.VM]
	if !ok {
		return nil, fmt.Errorf("%w: %s of %v: the loop's own cost was not measured", ErrInvalid, l.Op, l.VM)
	}

	// A walk is a loop of its own.
	each := cost / float64(l.VM.VCPUs)
	if l.Op != measure.Walk {
		each = cost/float64(l.Numbers) - loop.cost
		cycles -= loop.cycles
	}
	key := figure.VM(figure.Op(l.Op), l.VM)
	key.Order, key.Missing = l.Order, l.Missing
	out := []value{counted(key, each)}
	if len(l.OnceCycles) > 0 {
		key.Op, key.Lookup = figure.Cycles, l.Op
		out = append(out, counted(key, cycles))
	}
	return out, nil
}

// perPass returns what one pass costs: the difference between 2N passes and
// N, over N. What is around the loop falls out of it.
func (b Boot) perPass(l measure.Loop) (float64, error) {
	bad := func(format string, args ...any) (float64, error) {
		return 0, fmt.Errorf("%w: %s of %v: %s", ErrInvalid, l.Op, l.VM, fmt.Sprintf(format, args...))
	}
	if len(l.Once) == 0 || len(l.Once) != len(l.Twice) || l.Passes < 1 || l.Numbers < 1 || l.VM.VCPUs < 1 {
		return bad("expected runs with N and with 2N passes, found %d and %d", len(l.Once), len(l.Twice))
	}

	var costs []float64
	for i, once := range l.Once {
		twice := l.Twice[i]
		if b.Method.Exact() && (once != l.Once[0] || twice != l.Twice[0]) {
			return bad("expected the same count every time, found %v and %v", l.Once, l.Twice)
		}
		if once <= 0 {
			return bad("expected time to pass, found %d ns", once)
		}
		if ratio := float64(twice) / float64(once); math.Abs(ratio/2-1) > linearity {
			return bad("2N passes cost %.3f times what N cost: expected 2 within %.0f %%", ratio, linearity*100)
		}
		cost := float64(twice-once) / float64(l.Passes)
		if b.Method.Exact() && math.Abs(cost-math.Round(cost)) > wholeness {
			return bad("a pass costs %.4f instructions: expected a whole number", cost)
		}
		costs = append(costs, cost)
	}
	return Median(costs), nil
}

// cyclesOf returns the cycles of one lookup, or of one vCPU that a walk visits,
// with the loop's own, as perPass does; 0 if none were counted.
func cyclesOf(l measure.Loop) (float64, error) {
	if len(l.OnceCycles) == 0 {
		return 0, nil
	}
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
	return Median(costs), nil
}

// raceValues draws the figures of lookups in a VM that grows.
func raceValues(r measure.Race) ([]value, error) {
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
		return Median(out)
	}
	alone, beside := cost(r.Alone, r.AloneOwn), cost(r.Beside, r.BesideOwn)
	if alone <= 0 || beside <= 0 || r.Create <= 0 || r.CreateBeside <= 0 {
		return nil, fmt.Errorf("%w: %s in %v while it grows: expected time to pass, found %g and %g ns for a lookup, %d and %d ns for all vCPUs",
			ErrInvalid, r.Op, r.VM, alone, beside, r.Create, r.CreateBeside)
	}

	key := figure.VM("", r.VM)
	key.Lookup = r.Op
	inserts := float64(r.VM.VCPUs - 1)
	return []value{
		counted(as(key, figure.RaceAlone), alone),
		counted(as(key, figure.RaceBeside), beside),
		counted(as(key, figure.RaceSlower), beside/alone),
		counted(as(key, figure.RaceInsert), float64(r.Create)/inserts),
		counted(as(key, figure.RaceInsertBeside), float64(r.CreateBeside)/inserts),
		counted(as(key, figure.RaceInsertSlower), float64(r.CreateBeside)/float64(r.Create)),
	}, nil
}
