// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

// getLoop is the measured loop of kvm_get_vcpu() in device.c.
var getLoop = regexp.MustCompile(`(?s)noinline u64 vcpuloops_get\(.*?\n}\n`)

// unseen hides the loop from the probes.
func unseen(source string) string {
	hidden := strings.Replace(getLoop.FindString(source), "noinline u64 vcpuloops_get(", "static noinline u64 unseen_get(", 1)
	source = strings.Replace(source, "static const loop_fn loops[", hidden+"\nstatic const loop_fn loops[", 1)
	return strings.Replace(source, "= vcpuloops_get,", "= unseen_get,", 1)
}

// TestKernelBroken measures with loops that are broken on purpose, on a real
// kernel with the real probes: nothing of it is a result, and why is said.
func TestKernelBroken(t *testing.T) {
	t.Parallel()
	c, k := pinnedKernel(t)
	inGet := func(old, new string) func(string) string {
		return func(source string) string {
			return getLoop.ReplaceAllStringFunc(source, func(f string) string { return strings.Replace(f, old, new, 1) })
		}
	}
	const begin = "u32 pass, i;\n"
	var all []broken
	for name, tt := range map[string]struct {
		edit func(string) string
		says string
	}{
		"a lookup returns the wrong vCPU": {inGet("numbers[i]", "numbers[0]"), "wrong checksum: a lookup returned the wrong vCPU"},
		"a vCPU is not found": {func(s string) string {
			return strings.Replace(s, "if (number == numbers[i])", "if (number && number == numbers[i])", 1)
		}, "the VM does not have the vCPUs that it should have"},
		"a probe misses the loop": {unseen, "probe missed calls: no event"},
		// As if the guest had been paused once in each run.
		"2N passes do not cost twice what N cost": {inGet(begin, begin+`
	for (i = 0; i < 1000000; i++)
		OPTIMIZER_HIDE_VAR(sum);
`), "2N passes cost 1.0"},
		// As if something else had run meanwhile, more of it each time.
		"runs are disturbed": {inGet(begin, begin+`	static u32 calls;

	calls++;
	for (i = 0; i < calls; i++)
		OPTIMIZER_HIDE_VAR(sum);
`), "expected a whole number"},
		"a count is another every time": {inGet(begin, begin+`	static u32 calls;
	u32 more = (calls++ + 1) / 2; /* the same for N and for 2N passes */

	for (i = 0; i < more; i++)
		OPTIMIZER_HIDE_VAR(sum);
`), "expected the same count every time"},
	} {
		plan := smallPlan(measure.VM{VCPUs: 8, IDs: measure.Dense})
		all = append(all, broken{name, buildLoops(t, c, k, tt.edit), plan.Params, tt.says})
	}
	measureBroken(t, c, k, all)
}

// healing is a Runner whose first boot is with loops that no probe sees.
type healing struct {
	*Guests
	good   string
	booted int
}

func (h *healing) Boot(ctx context.Context, kernel int, plan Plan, b *results.Boot, step *progress.Step) error {
	if h.booted++; h.booted == 2 {
		h.Candidates[0].Loops = h.good
	}
	return h.Guests.Boot(ctx, kernel, plan, b, step)
}

// TestKernelAgain: a boot in which a probe missed calls is discarded and done
// again.
func TestKernelAgain(t *testing.T) {
	c, k := pinnedKernel(t)
	r := &healing{Guests: guests(c, k, buildLoops(t, c, k, unseen)), good: buildLoops(t, c, k, nil)}
	plan := smallPlan(measure.VM{VCPUs: 8, IDs: measure.Dense})
	plan.Parallel = 1
	got, err := Measure(t.Context(), r, plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.booted != 3 || len(got.Boots) != 2 || len(got.Boots[0].Loops) == 0 {
		t.Errorf("expected two boots of three, found %d of %d", len(got.Boots), r.booted)
	}
	if len(got.Discarded) != 1 || !strings.Contains(got.Discarded[0].Why, "probe missed calls: no event") {
		t.Errorf("expected the first boot to be discarded for what its probe missed, found %+v", got.Discarded)
	}
}

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
	t.Parallel()
	c, k := pinnedKernel(t)
	good := buildLoops(t, c, k, nil)
	var all []broken
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
		"the vCPU does not wait":   {measure.Break{Awake: true}, "a vCPU that is halted: the VM's payload failed: expected a thread that sleeps in KVM_RUN"},
		"there is no such program": {without("vcpu_sleep"), "no program vcpu_sleep"},
	} {
		plan := smallPlan()
		plan.Params.Stalls = &measure.Stalls{VCPUs: 18, QuietNanos: 1_000_000, Break: tt.broken}
		all = append(all, broken{name, good, plan.Params, tt.says})
	}
	measureBroken(t, c, k, all)
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
	t.Parallel()
	c, k := pinnedKernel(t)
	good := buildLoops(t, c, k, nil)
	axes := DefaultAxes
	axes.Growth, axes.Paths = 0, []int{8}
	var all []broken
	for name, tt := range map[string]struct {
		broken measure.Break
		says   string
	}{
		"entries are missed":          {measure.Break{Without: []string{"_entry"}}, "and the call in it"},
		"exits are missed":            {measure.Break{Without: []string{"_exit"}}, "probe missed calls: 80 operations called kvm_make_all_cpus_request 0 times"},
		"operations are left out":     {measure.Break{Lazy: true}, "80 operations called kvm_make_all_cpus_request 75 times"},
		"a vCPU does not get its IPI": {measure.Break{Deaf: 3}, "ipi-broadcast: the VM's payload failed: vCPU 3: expected interrupts"},
	} {
		plan := smallPlan()
		plan.Params.Paths = NewPlan(results.ICount, axes).Params.Paths
		plan.Params.Paths.Break = tt.broken
		all = append(all, broken{name, good, plan.Params, tt.says})
	}
	measureBroken(t, c, k, all)
}
