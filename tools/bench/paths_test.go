// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// pathPlan measures paths alone, on VMs with so many vCPUs.
func pathPlan(vcpus ...int) Plan {
	a := DefaultAxes()
	a.Growth = 0
	plan := NewPlan(results.ICount, a)
	plan.Params.VMs = []measure.VM{{VCPUs: 1, IDs: measure.Dense}}
	plan.Params.LoopNanos = 100_000
	plan.Params.Paths = &measure.Paths{Ops: 32, Repeat: 5}
	for _, n := range vcpus {
		plan.Params.Paths.VMs = append(plan.Params.Paths.VMs, measure.VM{VCPUs: n, IDs: measure.Sparse})
	}
	return plan
}

// TestPathsKernel measures what lookups are worth on the unpatched kernel:
// programs, payload and guest are the real ones.
func TestPathsKernel(t *testing.T) {
	c, k := pinnedKernel(t)
	start := time.Now()
	r, err := Run(t.Context(), c, []Subject{{Name: "base", Kernel: k, Loops: buildLoops(t, c, k, nil)}}, pathPlan(8, 64, 512), Options{KeepDir: filepath.Join(t.TempDir(), "failed")})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("two boots in %v", time.Since(start).Round(time.Millisecond))
	for _, f := range r.Figures {
		if op, _, _ := strings.Cut(f.Name, "/"); op == "path" || op == "start" {
			t.Logf("%-12s %-60s %v %s", f.Column, f.Name, f.Value, f.Unit)
		}
	}
	for _, b := range r.Boots {
		for _, s := range b.Starts {
			t.Logf("%s %+v", b.Column(), s)
		}
		for _, p := range b.Paths {
			t.Logf("%s %+v", b.Column(), p)
		}
	}
}
