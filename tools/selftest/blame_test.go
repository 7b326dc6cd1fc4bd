// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/vm"
)

// TestBlame: whatever ends a guest is the result of one test, or an error.
func TestBlame(t *testing.T) {
	fault := func(kind vm.FaultKind) error {
		return fmt.Errorf("boot: %w", &vm.Fault{Kind: kind, Title: "title", Command: "qemu"})
	}
	before := []Result{result("a", Pass)}
	type outcome struct{ Name, Outcome, Reason string }
	tests := map[string]struct {
		err     error
		running string
		results []Result
		console string
		want    []outcome // nil: the error is nobody's
	}{
		"good": {nil, "", before, "", []outcome{{"a", "pass", ""}}},
		"panic while one runs": {fault(vm.KernelPanic), "b", before, "",
			[]outcome{{"a", "pass", ""}, {"b", "crash", "kernel panic: title"}}},
		"panic while the first runs": {fault(vm.KernelPanic), "b", nil, "",
			[]outcome{{"b", "crash", "kernel panic: title"}}},
		"hang while one runs": {fault(vm.Hang), "b", before, "",
			[]outcome{{"a", "pass", ""}, {"b", "crash", "hang: title"}}},
		"output cut": {fault(vm.CutOutput), "b", before, "",
			[]outcome{{"a", "pass", ""}, {"b", "crash", "output cut: title"}}},
		"oops between two": {fault(vm.KernelOops), "", before, "",
			[]outcome{{"a", "crash", "kernel oops: title, after the test had ended (pass)"}}},
		"reset before the start record": {fault(vm.SilentReset), "", before, "vcpulab: start b\n",
			[]outcome{{"a", "pass", ""}, {"b", "crash", "silent reset: title"}}},
		"time ran out": {fault(vm.Deadline), "b", before, "",
			[]outcome{{"a", "pass", ""}, {"b", "timeout", "title"}}},
		"not to be killed": {fmt.Errorf("boot: %w", errStuck), "b", before, "",
			[]outcome{{"a", "pass", ""}, {"b", "timeout", "it had not ended after 4m0s and could not be killed"}}},
		"panic before any test":   {fault(vm.KernelPanic), "", nil, "", nil},
		"QEMU killed":             {fault(vm.QEMUFailed), "b", before, "", nil},
		"accelerator failed":      {fault(vm.AccelFailed), "b", before, "", nil},
		"job failed":              {fault(vm.JobFailed), "b", before, "", nil},
		"guest program failed":    {fault(vm.GuestFailed), "", nil, "", nil},
		"disk full":               {errors.New("no space left on device"), "b", before, "", nil},
		"asked to stop":           {context.Canceled, "b", before, "", nil},
		"a mark, but no boot yet": {errors.New("no QEMU"), "", nil, "", nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := guest{
				r: &runner{opts: Options{}}, tests: named("a", "b", "c"), console: cutConsole(tc.console),
				running: tc.running, since: time.Now(), results: append([]Result(nil), tc.results...),
			}
			err := g.blame(tc.err)
			if tc.want == nil {
				if err == nil {
					t.Errorf("expected %v, found no error and %v", tc.err, g.results)
				}
				return
			}
			var got []outcome
			for _, r := range g.results {
				got = append(got, outcome{r.Name, string(r.Outcome), r.Reason})
				if (r.Outcome == Crash) != (r.Command == "qemu") && r.Outcome != Timeout {
					t.Errorf("%s: %s with the command %q", r.Name, r.Outcome, r.Command)
				}
			}
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestOverlook: what does not count is kept where it does no harm, with the
// test during which it came.
func TestOverlook(t *testing.T) {
	race, warning := vm.Splat{Kind: vm.KernelWarning, Title: "race", Line: 4}, vm.Splat{Kind: vm.KernelWarning, Title: "warning", Line: 5}
	for name, tc := range map[string]struct {
		overlook           func(vm.Splat) bool
		splats, overlooked []vm.Splat
	}{
		"all count": {nil, []vm.Splat{race, warning}, nil},
		"one does not": {
			func(s vm.Splat) bool { return s.Title == "race" }, []vm.Splat{warning}, []vm.Splat{race},
		},
		"none counts": {func(vm.Splat) bool { return true }, nil, []vm.Splat{race, warning}},
	} {
		t.Run(name, func(t *testing.T) {
			g := guest{
				r: &runner{opts: Options{Overlook: tc.overlook}}, tests: named("a", "b"),
				console: cutConsole("vcpulab: start a\nvcpulab: end a\nvcpulab: start b\nrace\nwarning\n"),
				results: []Result{result("a", Pass), result("b", Pass)},
			}
			g.attribute([]vm.Splat{race, warning})
			if diff := cmp.Diff(tc.splats, g.results[1].Splats); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tc.overlooked, g.results[1].Overlooked); diff != "" {
				t.Error(diff)
			}
			if len(g.results[0].Splats)+len(g.results[0].Overlooked) > 0 {
				t.Errorf("expected none for the test before, found %v", g.results[0])
			}
		})
	}
}
