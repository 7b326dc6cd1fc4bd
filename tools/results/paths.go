// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// completePaths returns an ErrInvalid if what the boot says about paths is not
// all that was asked for, or contradicts itself.
func (b *Boot) completePaths(p measure.Paths) error {
	if err := expect(len(b.Starts) == len(p.VMs) && len(b.Paths) == len(p.VMs)*len(measure.AllPaths),
		"paths: expected %d VMs and %d paths on each, found %d and %d in all",
		len(p.VMs), len(measure.AllPaths), len(b.Starts), len(b.Paths)); err != nil {
		return err
	}
	for i, s := range b.Paths {
		vm, path := p.VMs[i/len(measure.AllPaths)], measure.AllPaths[i%len(measure.AllPaths)]
		start := b.Starts[i/len(measure.AllPaths)]
		if err := cmp.Or(
			expect(start.VM == vm, "paths: expected the start of %v, found that of %v", vm, start.VM),
			expect(s.VM == vm && s.Path == path && s.Function == measure.PathFunctions[path],
				"paths: expected %s of %v, found %s by %s of %v", path, vm, s.Path, s.Function, s.VM),
			expect(s.Ops == p.Ops && len(s.Once) == p.Repeat, "paths: %s of %v: expected %d times %d operations, found %d times %d",
				path, vm, p.Repeat, p.Ops, len(s.Once), s.Ops)); err != nil {
			return err
		}
	}
	return nil
}

// startValues draws the figures of the start of a VM.
func startValues(s measure.Start) ([]value, error) {
	return []value{
		counted(figure.VM(figure.StartCreated, s.VM), float64(s.Created)),
		counted(figure.VM(figure.StartRan, s.VM), float64(s.Ran)),
	}, expect(s.Created > 0 && s.Ran > s.Created, "start of %v: expected time to pass, found %d ns and %d ns", s.VM, s.Created, s.Ran)
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

	// An operation takes no less than the call in it, but a tick of the timer
	// more in the one run than in the other is in load. Times of two runs
	// are to be compared less closely still.
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
