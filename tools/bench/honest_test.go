// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
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

// TestRunKernelBroken measures with loops that are broken on purpose, on a real
// kernel with the real probes: nothing of it is a result, and why is said.
func TestRunKernelBroken(t *testing.T) {
	c, k := pinnedKernel(t)
	inGet := func(old, new string) func(string) string {
		return func(source string) string {
			return getLoop.ReplaceAllStringFunc(source, func(f string) string { return strings.Replace(f, old, new, 1) })
		}
	}
	const begin = "u32 pass, i;\n"
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
		t.Run(name, func(t *testing.T) {
			plan := NewPlan(results.ICount, DefaultAxes())
			plan.Params.VMs = []measure.VM{{VCPUs: 8, IDs: measure.Dense}}
			plan.Params.LoopNanos = 100_000
			plan.Params.Stalls, plan.Params.Paths = nil, nil
			r, err := Run(t.Context(), c, []Subject{{Name: "base", Kernel: k, Loops: buildLoops(t, c, k, tt.edit)}}, plan, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
			if r != nil {
				t.Errorf("expected no results, found %d boots", len(r.Boots))
			}
		})
	}
}

// TestRunKernelAgain has a probe miss the loop in the first boot, and not in the
// next: what counts is the next, and that there was another is said.
func TestRunKernelAgain(t *testing.T) {
	c, k := pinnedKernel(t)
	plan := NewPlan(results.ICount, DefaultAxes())
	plan.Params.VMs = []measure.VM{{VCPUs: 8, IDs: measure.Dense}}
	plan.Params.LoopNanos = 100_000
	plan.Params.Stalls = nil
	r, err := newRunner(c, []Subject{{Name: "base", Kernel: k, Loops: buildLoops(t, c, k, unseen)}}, plan, Options{})
	if err != nil {
		t.Fatal(err)
	}
	good, attempts := buildLoops(t, c, k, nil), 0
	r.attempt = func(ctx context.Context, b boot) (*results.Boot, error) {
		if attempts++; attempts == 2 {
			r.subjects[0].Loops = good
		}
		return r.boot(ctx, b)
	}
	got, discarded, err := r.measure(t.Context(), boot{})
	if err != nil {
		t.Fatal(err)
	}
	if attempts != 2 || len(got.Loops) == 0 {
		t.Errorf("expected the loops of a second boot, found %d loops after %d", len(got.Loops), attempts)
	}
	if discarded == nil || !strings.Contains(discarded.Why, "probe missed calls: no event") {
		t.Errorf("expected the first boot to be thrown away for what its probe missed, found %+v", discarded)
	}
}
