// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/results"
	"vcpulab/tools/vm"
)

// TestProbesMissed says which boots are done again.
func TestProbesMissed(t *testing.T) {
	missed := "stalls: probe missed calls: call_rcu_entry skipped 1 calls"
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"no error":               {nil, false},
		"calls missed":           {fmt.Errorf("measure base: %w", &vm.Fault{Kind: vm.JobFailed, Title: missed}), true},
		"another failure":        {&vm.Fault{Kind: vm.JobFailed, Title: "stalls: the vCPU does not run"}, false},
		"said by the kernel":     {&vm.Fault{Kind: vm.KernelPanic, Title: missed}, false},
		"said by something else": {errors.New(missed), false},
		"interrupted":            {context.Canceled, false},
	} {
		t.Run(name, func(t *testing.T) {
			if why, got := probesMissed(tt.err); got != tt.want || got != (why == missed) {
				t.Errorf("%v: expected %v, found %v, %q", tt.err, tt.want, got, why)
			}
		})
	}
}

// TestMeasureAgain has boots fail: what is thrown away is said, and once only is
// done again.
func TestMeasureAgain(t *testing.T) {
	const why = "probe: probe missed calls: no event"
	missed := fmt.Errorf("measure base: %w", &vm.Fault{Kind: vm.JobFailed, Title: why})
	thrown := &results.Discarded{Kernel: "base", Again: true, Round: 2, Method: results.ICount, Why: why}
	for name, tt := range map[string]struct {
		attempts  []error
		discarded *results.Discarded
		err       error
	}{
		"good":             {[]error{nil}, nil, nil},
		"missed once":      {[]error{missed, nil}, thrown, nil},
		"missed twice":     {[]error{missed, missed}, thrown, missed},
		"failed otherwise": {[]error{context.Canceled}, nil, context.Canceled},
		"failed after it":  {[]error{missed, context.Canceled}, thrown, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			r := &runner{subjects: []Subject{{Name: "base"}}, plan: Plan{Method: results.ICount}}
			r.attempt = func(_ context.Context, b boot) (*results.Boot, error) {
				err := tt.attempts[n]
				n++
				return r.blank(b), err
			}
			got, discarded, err := r.measure(t.Context(), boot{again: true, round: 2})
			if !errors.Is(err, tt.err) || (err == nil) != (got != nil) {
				t.Errorf("expected error %v, found %v, %v", tt.err, err, got)
			}
			if n != len(tt.attempts) {
				t.Errorf("expected %d attempts, found %d", len(tt.attempts), n)
			}
			if diff := cmp.Diff(tt.discarded, discarded); diff != "" {
				t.Errorf("thrown away (-want +got): %s", diff)
			}
		})
	}
}
