// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
	"vcpulab/tools/vm"
)

// scriptedRunner is a Runner of two kernels whose boots end with the errors of a
// script, in this order.
type scriptedRunner struct {
	script []error
	booted []string // columns
	cancel func()   // called in the last boot
}

func (r *scriptedRunner) Prepare(_ context.Context, _ *Plan, out *results.Results, _ *progress.Log) error {
	out.Kernels = []results.Kernel{{Name: "base"}, {Name: "patched"}}
	return nil
}

func (r *scriptedRunner) Boot(_ context.Context, kernel int, _ Plan, b *results.Boot, _ *progress.Step) error {
	if want := []string{"base", "patched"}[kernel]; b.Kernel != want {
		return fmt.Errorf("expected kernel %s, found %s", want, b.Kernel)
	}
	r.booted = append(r.booted, b.Column())
	var err error
	if n := len(r.booted) - 1; n < len(r.script) {
		err = r.script[n]
	}
	if len(r.booted) == len(r.script) && r.cancel != nil {
		r.cancel()
	}
	b.Sizes = measure.Sizes{KVM: 9000, VCPU: 7000}
	return err
}

// TestMeasure: which boots are tried again, and what is kept of a run that stops.
func TestMeasure(t *testing.T) {
	missed := &vm.Fault{Kind: vm.JobFailed, Title: "stalls: probe missed calls", Err: wire.ErrProbeMissed}
	invalid := fmt.Errorf("loop: %w", results.ErrInvalid)
	other := errors.New("the vCPU does not run")
	stays := fmt.Errorf("rmmod: %w", running.ErrStays)

	for name, tt := range map[string]struct {
		script    []error
		interrupt bool
		boots     int
		discarded []string // why
		stopped   bool
		err       error
	}{
		"good":               {nil, false, 3, nil, false, nil},
		"missed once":        {[]error{missed}, false, 3, []string{missed.Title}, false, nil},
		"invalid once":       {[]error{nil, invalid}, false, 3, []string{invalid.Error()}, false, nil},
		"missed twice":       {[]error{missed, missed}, false, 0, nil, false, wire.ErrProbeMissed},
		"invalid of designs": {[]error{nil, invalid, invalid}, false, 2, []string{invalid.Error(), invalid.Error()}, false, nil},
		"missed of designs":  {[]error{missed, missed}, false, 2, []string{missed.Title, missed.Title}, false, nil},
		"failed of designs":  {[]error{nil, other}, false, 0, nil, false, other},
		"failed otherwise":   {[]error{nil, other}, false, 0, nil, false, other},
		"failed after it":    {[]error{missed, other}, false, 0, nil, false, other},
		"interrupted":        {[]error{nil, context.Canceled}, true, 1, nil, true, context.Canceled},
		"the module stays":   {[]error{nil, stays}, false, 1, nil, true, running.ErrStays},
		"interrupted at end": {[]error{nil, nil, nil}, true, 3, nil, true, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := &scriptedRunner{script: tt.script}
			if tt.interrupt {
				r.cancel = cancel
			}
			plan := NewPlan(results.ICount, QuickAxes)
			plan.Parallel, plan.Attempts, plan.Optional = 1, 2, strings.Contains(name, "of designs")

			got, err := Measure(ctx, r, plan, nil)
			if !errors.Is(err, tt.err) {
				t.Errorf("expected error %v, found %v", tt.err, err)
			}
			if (got == nil) != (tt.boots == 0) {
				t.Fatalf("expected %d boots, found %+v", tt.boots, got)
			}
			if got == nil {
				return
			}
			var why []string
			for _, d := range got.Discarded {
				why = append(why, d.Why)
			}
			if diff := cmp.Diff(tt.discarded, why); diff != "" {
				t.Errorf("discarded (-expected +found):\n%s", diff)
			}
			if len(got.Boots) != tt.boots || got.Interrupted != tt.stopped {
				t.Errorf("expected %d boots, interrupted %v, found %d, %v", tt.boots, tt.stopped, len(got.Boots), got.Interrupted)
			}
		})
	}
}

// TestMeasureOrder: samples come in the order of the plan, however many boots run at
// a time, and each boot knows what it is of.
func TestMeasureOrder(t *testing.T) {
	plan := NewPlan(results.ICount, QuickAxes)
	plan.Rounds, plan.Parallel = 5, 1
	r := &scriptedRunner{}
	got, err := Measure(t.Context(), r, plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, b := range got.Boots {
		columns = append(columns, b.Column())
	}
	if diff := cmp.Diff(r.booted, columns); diff != "" {
		t.Errorf("boots (-run +kept):\n%s", diff)
	}
	for _, name := range []string{"base", "base-again", "patched"} {
		if n := strings.Count(strings.Join(columns, " ")+" ", name+" "); n != 5 {
			t.Errorf("expected 5 boots of %s, found %d in %q", name, n, columns)
		}
	}
}

// contradictory is a Runner whose loops cost less for 2N passes than for N.
type contradictory struct{ scriptedRunner }

func (r *contradictory) Boot(ctx context.Context, kernel int, plan Plan, b *results.Boot, step *progress.Step) error {
	b.Loops = []measure.Loop{{
		VM: measure.VM{VCPUs: 1, IDs: measure.Dense}, Shape: measure.Shape{Op: measure.Nop},
		Numbers: 1, Passes: 10, Once: []int64{200}, Twice: []int64{100},
	}}
	return r.scriptedRunner.Boot(ctx, kernel, plan, b, step)
}

// TestTrial: a trial draws no figures, and so does not mind what none can be drawn from.
func TestTrial(t *testing.T) {
	plan := NewPlan(results.ICount, QuickAxes)
	plan.Parallel = 1
	if _, err := Measure(t.Context(), &contradictory{}, plan, nil); !errors.Is(err, results.ErrInvalid) {
		t.Fatalf("expected the samples to be refused, found %v", err)
	}
	plan.Trial = true
	got, err := Measure(t.Context(), &contradictory{}, plan, nil)
	if err != nil || len(got.Boots) != 3 || len(got.Figures) != 0 {
		t.Errorf("expected three boots and no figures, found %+v (%v)", got, err)
	}
}
