// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"fmt"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// pathPlan measures paths alone, on VMs with so many vCPUs.
func pathPlan(vcpus ...int) Plan {
	a := DefaultAxes
	a.Growth, a.Paths = 0, vcpus
	plan := NewPlan(results.ICount, a)
	plan.Params.VMs = []measure.VM{{VCPUs: 1, IDs: measure.Dense}}
	plan.Params.LoopNanos = 100_000
	return plan
}

// checkPaths looks at what functions cost that look vCPUs up.
func checkPaths(t *testing.T, r *results.Results) {
	for _, p := range measure.AllPaths {
		name := func(vcpus int, what string) string {
			return fmt.Sprintf("path/vcpus=%d/ids=sparse/do=%s/%s", vcpus, p, what)
		}
		// A call is the same in both boots, to the instruction.
		for _, n := range []int{8, 64} {
			once, again := figure(t, r, name(n, "call"), "base"), figure(t, r, name(n, "call"), "base-again")
			if once.Value != again.Value {
				t.Errorf("%s: expected the same in both boots, found %v and %v", once.Name(), once.Value, again.Value)
			}
			t.Logf("%s: %v instructions, %.0f in 10^9", once.Name(), once.Value, figure(t, r, name(n, "rate"), "base").Value)
		}
		// Without the series all but one of them walk all vCPUs, or those up
		// to the one that is looked for.
		if few, many := figure(t, r, name(8, "call"), "base").Value, figure(t, r, name(64, "call"), "base").Value; many < 3*few && p != measure.PathXenSend {
			t.Errorf("%s: expected a walk, found %v instructions with 8 vCPUs and %v with 64", p, few, many)
		}
	}
	for _, what := range []string{"created", "ran"} {
		few, many := figure(t, r, "start/vcpus=8/ids=sparse/"+what, "base").Value, figure(t, r, "start/vcpus=64/ids=sparse/"+what, "base").Value
		if few <= 0 || many < 6*few {
			t.Errorf("start until %s: expected it to take about eight times as much with 64 vCPUs, found %v and %v", what, few, many)
		}
	}
}

// TestPathsBroken measures with something that is broken on purpose: nothing of
// it is a result, and why is said.
func TestPathsBroken(t *testing.T) {
	c, k := pinnedKernel(t)
	good := buildLoops(t, c, k, nil)
	for name, tt := range map[string]struct {
		broken measure.Break
		says   string
	}{
		"entries are missed":          {measure.Break{Without: []string{"_entry"}}, "and the call in it"},
		"exits are missed":            {measure.Break{Without: []string{"_exit"}}, "probe missed calls: 80 operations called kvm_make_all_cpus_request 0 times"},
		"operations are left out":     {measure.Break{Lazy: true}, "80 operations called kvm_make_all_cpus_request 75 times"},
		"a vCPU does not get its IPI": {measure.Break{Deaf: 3}, "ipi-broadcast: the VM's payload failed: vCPU 3: expected interrupts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := pathPlan(8)
			plan.Params.Paths.Break = tt.broken
			bootBroken(t, guests(c, k, good), plan, tt.says)
		})
	}
}
