// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
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
			t.Parallel()
			plan := smallPlan(measure.VM{VCPUs: 8, IDs: measure.Dense})
			bootBroken(t, guests(c, k, buildLoops(t, c, k, tt.edit)), plan, tt.says)
		})
	}
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
