// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// checkStalls: nothing waits on the pinned kernel, but for one grace period in
// each change of memory slots.
func checkStalls(t *testing.T, r *results.Results) {
	seen := 0
	for _, f := range r.Figures {
		op, _, _ := strings.Cut(f.Name(), "/")
		switch {
		case op != "grow" && op != "gaps":
			continue
		case strings.HasSuffix(f.Name(), "/create-waits") && f.Value != 0,
			strings.HasSuffix(f.Name(), "/create-blocked") && f.Value != 0,
			strings.HasSuffix(f.Name(), "/slot-waits") && f.Value != 1,
			strings.HasPrefix(f.Name(), "gaps/") && strings.HasSuffix(f.Name(), "/blocked") && f.Value != 0:
			t.Errorf("%s of %s: found %v", f.Name(), f.Column, f.Value)
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

// TestStallsBroken looks for who waits with programs that are broken on purpose:
// nothing of it is a result, and why is said.
func TestStallsBroken(t *testing.T) {
	c, k := pinnedKernel(t)
	good := buildLoops(t, c, k, nil)
	without := func(programs ...string) measure.Break {
		return measure.Break{Without: programs}
	}
	for name, tt := range map[string]struct {
		broken measure.Break
		says   string
	}{
		"no room for events":       {measure.Break{Ring: 4096}, "probe missed calls"},
		"creations are missed":     {without("vm_ioctl_entry"), "probe missed calls"},
		"entries are missed":       {without("vcpu_entry"), "the vCPU was entered 0 times and left"},
		"exits are missed":         {without("vcpu_exit"), "times and left 0 times"},
		"switches are missed":      {without("sched_switch"), "task switches were not seen"},
		"waits are missed":         {without("synchronize_srcu_expedited_entry"), "a grace period to be waited for"},
		"the vCPU does not run":    {measure.Break{Idle: true}, "the vCPU does not run"},
		"there is no such program": {without("vcpu_sleep"), "no program vcpu_sleep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := smallPlan(measure.VM{VCPUs: 1, IDs: measure.Dense})
			plan.Params.Stalls = &measure.Stalls{VCPUs: 18, QuietNanos: 1_000_000, Break: tt.broken}
			bootBroken(t, guests(c, k, good), plan, tt.says)
		})
	}
}
