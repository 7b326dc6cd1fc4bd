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

const linearity = 0.05 // by how much the cost of 2N passes may miss twice that of N

// wholeness is by how much the instructions of a pass may miss a whole number, as the clock is
// converted to nanoseconds and back. If it is more the clock does not count them one by one.
const wholeness = 0.01

// cost is what a number costs in a loop, or a vCPU that a walk visits; cycles are
// 0 if they were not counted.
type cost struct{ nanos, cycles float64 }

// drawLoops draws the figures of the loops: what one lookup costs, or one vCPU
// that a walk visits.
func (b Boot) drawLoops(d *drawing) {
	own := make(map[measure.VM]cost)
	var around []float64
	for _, l := range b.Loops {
		if l.Op != measure.Nop || d.err != nil {
			continue
		}
		if own[l.VM], d.err = b.costOf(l); d.err == nil {
			for i, once := range l.Once {
				around = append(around, float64(2*once-l.Twice[i]))
			}
		}
	}

	drawEach(d, "loops", b.Loops, func(l measure.Loop) ([]value, error) {
		if l.Op == measure.Nop {
			return nil, nil
		}
		is, err := b.costOf(l)
		loop, ok := own[l.VM]
		err = cmp.Or(err, expect(ok, "%s of %v: the loop's own cost was not measured", l.Op, l.VM))
		if l.Op != measure.Walk { // which is a loop of its own
			is.nanos, is.cycles = is.nanos-loop.nanos, is.cycles-loop.cycles
		}
		key := figure.VM(figure.Op(l.Op), l.VM)
		key.Order, key.Missing = l.Order, l.Missing
		out := []value{counted(key, is.nanos)}
		if len(l.OnceCycles) > 0 {
			key.Op, key.Lookup = figure.Cycles, l.Op
			out = append(out, counted(key, is.cycles))
		}
		return out, err
	})
	slices.SortStableFunc(d.values, func(x, y value) int { return cmp.Compare(lookupRank(x.key), lookupRank(y.key)) })
	if len(around) > 0 {
		d.values = append(d.values, counted(figure.Key{Op: figure.ProbeLoop}, Median(around)))
	}
}

// lookupRank orders lookups as measure.Ops does, also where cycles are counted.
func lookupRank(k figure.Key) int {
	op := measure.Op(k.Op)
	if k.Op == figure.Cycles {
		op = k.Lookup
	}
	return slices.Index(measure.Ops, op)
}

// costOf returns what a number costs: the difference between 2N passes and N,
// over N and the numbers of a pass. What is around the loop falls out of it.
func (b Boot) costOf(l measure.Loop) (cost, error) {
	bad := func(format string, args ...any) (cost, error) {
		return cost{}, expect(false, "%s of %v: %s", l.Op, l.VM, fmt.Sprintf(format, args...))
	}
	if len(l.Once) == 0 || len(l.Once) != len(l.Twice) || len(l.OnceCycles) != len(l.TwiceCycles) || l.Passes < 1 || l.Numbers < 1 || l.VM.VCPUs < 1 {
		return bad("expected runs with N and with 2N passes, found %d and %d, and cycles of %d and %d",
			len(l.Once), len(l.Twice), len(l.OnceCycles), len(l.TwiceCycles))
	}
	each := float64(l.Numbers)
	if l.Op == measure.Walk {
		each = float64(l.VM.VCPUs)
	}

	var passes, cycles []float64
	for i, once := range l.Once {
		twice := l.Twice[i]
		ratio, pass := float64(twice)/float64(once), float64(twice-once)/float64(l.Passes)
		switch {
		case b.Method.Exact() && (once != l.Once[0] || twice != l.Twice[0]):
			return bad("expected the same count every time, found %v and %v", l.Once, l.Twice)
		case once <= 0:
			return bad("expected time to pass, found %d ns", once)
		case math.Abs(ratio/2-1) > linearity:
			return bad("2N passes cost %.3f times what N cost: expected 2 within %.0f %%", ratio, linearity*100)
		case b.Method.Exact() && math.Abs(pass-math.Round(pass)) > wholeness:
			return bad("a pass costs %.4f instructions: expected a whole number", pass)
		}
		passes = append(passes, pass)
	}
	for i, once := range l.OnceCycles {
		if once <= 0 || l.TwiceCycles[i] <= once {
			return bad("expected more cycles for 2N passes than for N, found %d and %d", l.TwiceCycles[i], once)
		}
		cycles = append(cycles, float64(l.TwiceCycles[i]-once)/float64(l.Passes)/each)
	}
	out := cost{nanos: Median(passes) / each}
	if len(cycles) > 0 {
		out.cycles = Median(cycles)
	}
	return out, nil
}

// raceValues draws the figures of lookups in a VM that grows.
func raceValues(r measure.Race) ([]value, error) {
	n := len(r.Alone)
	if err := expect(n > 0 && len(r.AloneOwn) == n && len(r.Beside) == n && len(r.BesideOwn) == n,
		"%s in %v while it grows: expected the same number of growths of each kind, found %d, %d, %d and %d",
		r.Op, r.VM, n, len(r.AloneOwn), len(r.Beside), len(r.BesideOwn)); err != nil {
		return nil, err
	}

	lookup := func(all, own []float64) float64 {
		all = slices.Clone(all)
		for i := range all {
			if r.Op != measure.Walk { // whose loop is its own
				all[i] -= own[i]
			}
		}
		return Median(all)
	}
	alone, beside := lookup(r.Alone, r.AloneOwn), lookup(r.Beside, r.BesideOwn)
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
		}, expect(alone > 0 && beside > 0 && r.Create > 0 && r.CreateBeside > 0,
			"%s in %v while it grows: expected time to pass, found %g and %g ns for a lookup, %d and %d ns for all vCPUs",
			r.Op, r.VM, alone, beside, r.Create, r.CreateBeside)
}

// completePaths returns an ErrInvalid if what the boot says about paths is not
// all that was asked for, or contradicts itself.
func (b *Boot) completePaths(p measure.Paths) error {
	var plan []measure.PathSample
	for _, vm := range p.VMs {
		for _, path := range vm.Paths() {
			plan = append(plan, measure.PathSample{VM: vm, Path: path, Function: measure.PathFunctions[path]})
		}
	}
	if err := cmp.Or(
		expect(slices.EqualFunc(b.Starts, p.VMs, func(s measure.Start, vm measure.VM) bool { return s.VM == vm && (s.Restored > 0) == p.Restore }),
			"paths: expected the starts of %v, found %v", p.VMs, b.Starts),
		expect(len(b.Paths) == len(plan), "paths: expected %d of %d VMs, found %d", len(plan), len(p.VMs), len(b.Paths))); err != nil {
		return err
	}
	for i, s := range b.Paths {
		want := plan[i]
		if err := cmp.Or(
			expect(s.VM == want.VM && s.Path == want.Path && s.Function == want.Function,
				"paths: expected %s of %v, found %s by %s of %v", want.Path, want.VM, s.Path, s.Function, s.VM),
			expect(s.Ops == p.Ops && len(s.Once) == p.Repeat, "paths: %s of %v: expected %d times %d operations, found %d times %d",
				want.Path, want.VM, p.Repeat, p.Ops, len(s.Once), s.Ops)); err != nil {
			return err
		}
	}
	return nil
}

// startValues draws the figures of the start of a VM.
func startValues(s measure.Start) ([]value, error) {
	out := []value{counted(figure.VM(figure.StartCreated, s.VM), float64(s.Created))}
	if !s.VM.Pool() { // of which not each has run
		out = append(out, counted(figure.VM(figure.StartRan, s.VM), float64(s.Ran)))
	}
	if s.Restored > 0 {
		out = append(out, counted(figure.VM(figure.StartRestored, s.VM), float64(s.Restored)))
	}
	return out, expect(s.Created > 0 && s.Ran > s.Created && s.Restored >= 0,
		"start of %v: expected time to pass, found %d, %d and %d ns", s.VM, s.Created, s.Ran, s.Restored)
}

// pathValues draws the figures of one path: what a call of its function costs,
// and how often it is called.
func (b Boot) pathValues(s measure.PathSample) ([]value, error) {
	want := s.Ops * len(s.Once)
	err := cmp.Or(
		expect(s.Ops >= 1 && want > 0 && len(s.Once) == len(s.Twice), "%s of %v: expected runs with N and with 2N operations, found %d and %d",
			s.Path, s.VM, len(s.Once), len(s.Twice)),
		expect(len(s.Calls) == want, "%s of %v: %d operations called %s %d times", s.Path, s.VM, want, s.Function, len(s.Calls)))
	for i, c := range s.Calls {
		err = cmp.Or(err, expect(s.Bracket > 0 && c > 0 && (c > s.Bracket || !b.Method.Exact()),
			"%s of %v: call %d: expected it to take more than the %d ns of an empty bracket, found %d ns", s.Path, s.VM, i, s.Bracket, c))
	}
	if err != nil {
		return nil, err
	}

	// The nth operation is the same in each run. Not all of a run are.
	var calls []float64
	for n := range s.Ops {
		var same []int64
		for i := n; i < len(s.Calls); i += s.Ops {
			same = append(same, s.Calls[i]-s.Bracket)
		}
		calls = append(calls, b.typical(same))
	}
	call := Median(calls)

	// An operation takes no less than the call in it, but a tick of the timer more in the one
	// run than in the other is in load. Times of two runs are compared less closely still.
	load := (b.typical(s.Twice) - b.typical(s.Once)) / float64(s.Ops)
	key := figure.VM(figure.PathCall, s.VM)
	key.Path = s.Path
	return []value{counted(key, call), counted(as(key, figure.PathRate), 1e9/load)},
		expect(call > 0 && load >= call/2 && (load >= call*(1-linearity) || !b.Method.Exact()),
			"%s of %v: an operation takes %.0f ns in all, and the call in it %.0f ns", s.Path, s.VM, load, call)
}

// typical is what the same run takes: where instructions are counted the least,
// because interrupts add to it and nothing takes away; else the median.
func (b Boot) typical(nanos []int64) float64 {
	if b.Method.Exact() {
		return float64(slices.Min(nanos))
	}
	return Median(floats(nanos))
}
