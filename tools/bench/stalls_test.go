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

// TestStallsKernel looks for who waits while a VM of the unpatched kernel grows,
// which is nobody: programs, payload and guest are the real ones.
func TestStallsKernel(t *testing.T) {
	c, k := pinnedKernel(t)
	plan := NewPlan(results.ICount, DefaultAxes())
	plan.Params.VMs = []measure.VM{{VCPUs: 1, IDs: measure.Dense}}
	plan.Params.LoopNanos = 100_000
	plan.Params.Stalls = &measure.Stalls{VCPUs: 66, QuietNanos: 5_000_000}
	start := time.Now()
	r, err := Run(t.Context(), c, []Subject{{Name: "base", Kernel: k, Loops: buildLoops(t, c, k, nil)}}, plan, Options{KeepDir: filepath.Join(t.TempDir(), "failed")})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("two boots in %v", time.Since(start).Round(time.Millisecond))
	seen := 0
	for _, f := range r.Figures {
		op, _, _ := strings.Cut(f.Name, "/")
		switch {
		case op != "grow" && op != "gaps":
			continue
		case strings.HasSuffix(f.Name, "/create-waits") && f.Value != 0,
			strings.HasSuffix(f.Name, "/create-blocked") && f.Value != 0,
			strings.HasSuffix(f.Name, "/slot-waits") && f.Value != 1,
			strings.HasPrefix(f.Name, "gaps/") && strings.HasSuffix(f.Name, "/blocked") && f.Value != 0:
			t.Errorf("%s of %s: found %v", f.Name, f.Column, f.Value)
		}
		seen++
	}
	if seen == 0 {
		t.Error("expected figures about who waits, found none")
	}
	for _, b := range r.Boots {
		for _, g := range b.Gaps {
			t.Logf("%s %s: %d ran, longest %d; %d preempted; the vCPU saw %d, longest %d",
				b.Column(), g.Phase, g.RanSum.Count, g.RanSum.Largest, g.Preempted.Count, g.Guest.Count, g.Guest.Largest)
		}
	}
}
