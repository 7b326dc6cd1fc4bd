// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"

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
			if got := probesMissed(tt.err); got != tt.want {
				t.Errorf("%v: expected %v, found %v", tt.err, tt.want, got)
			}
		})
	}
}
