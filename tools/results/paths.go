// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// completePaths returns an ErrInvalid if what the boot says about paths is not
// all that was asked for, or contradicts itself.
func (b *Boot) completePaths(p measure.Paths) error {
	if len(b.Starts) != len(p.VMs) || len(b.Paths) != len(p.VMs)*len(measure.AllPaths) {
		return fmt.Errorf("%w: paths: expected %d VMs and %d paths on each, found %d and %d in all",
			ErrInvalid, len(p.VMs), len(measure.AllPaths), len(b.Starts), len(b.Paths))
	}
	for i, vm := range p.VMs {
		if s := b.Starts[i]; s.VM != vm {
			return fmt.Errorf("%w: paths: expected the start of %v, found that of %v", ErrInvalid, vm, s.VM)
		}
		for j, path := range measure.AllPaths {
			s := b.Paths[i*len(measure.AllPaths)+j]
			if s.VM != vm || s.Path != path || s.Function != path.Function() {
				return fmt.Errorf("%w: paths: expected %s of %v, found %s by %s of %v", ErrInvalid, path, vm, s.Path, s.Function, s.VM)
			}
			if s.Ops != p.Ops || len(s.Once) != p.Repeat {
				return fmt.Errorf("%w: paths: %s of %v: expected %d times %d operations, found %d times %d",
					ErrInvalid, path, vm, p.Repeat, p.Ops, len(s.Once), s.Ops)
			}
		}
	}
	return nil
}

// startValues draws the figures of the start of a VM.
func startValues(s measure.Start) ([]value, error) {
	if s.Created <= 0 || s.Ran <= s.Created {
		return nil, fmt.Errorf("%w: start of %v: expected time to pass, found %d ns and %d ns", ErrInvalid, s.VM, s.Created, s.Ran)
	}
	return []value{
		counted(figure.VM(figure.StartCreated, s.VM), float64(s.Created)),
		counted(figure.VM(figure.StartRan, s.VM), float64(s.Ran)),
	}, nil
}

// pathValues draws the figures of one path: what a call of its function costs,
// and how often it is called.
func (b Boot) pathValues(s measure.PathSample) ([]value, error) {
	bad := func(format string, args ...any) ([]value, error) {
		return nil, fmt.Errorf("%w: %s of %v: %s", ErrInvalid, s.Path, s.VM, fmt.Sprintf(format, args...))
	}
	if s.Ops < 1 || len(s.Once) == 0 || len(s.Once) != len(s.Twice) {
		return bad("expected runs with N and with 2N operations, found %d and %d", len(s.Once), len(s.Twice))
	}
	if want := s.Ops * len(s.Once); len(s.Calls) != want {
		return bad("%d operations called %s %d times", want, s.Function, len(s.Calls))
	}
	for i, c := range s.Calls {
		if s.Bracket <= 0 || c <= 0 || b.Method.Exact() && c <= s.Bracket {
			return bad("call %d: expected it to take more than the %d ns of an empty bracket, found %d ns", i, s.Bracket, c)
		}
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
	if call <= 0 || load < call/2 || b.Method.Exact() && load < call*(1-linearity) {
		return bad("an operation takes %.0f ns in all, and the call in it %.0f ns", load, call)
	}

	key := figure.VM(figure.PathCall, s.VM)
	key.Path = s.Path
	return []value{counted(key, call), counted(as(key, figure.PathRate), 1e9/load)}, nil
}

// typical is what the same run takes: where instructions are counted the least,
// because interrupts add to it and nothing takes away; else the median.
func (b Boot) typical(nanos []int64) float64 {
	if b.Method.Exact() {
		return float64(slices.Min(nanos))
	}
	return Median(floats(nanos))
}
