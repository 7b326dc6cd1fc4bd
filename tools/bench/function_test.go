// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/results"
)

// TestFunctionTake: the bracket is no part of a call, and a workload that fails is no
// result.
func TestFunctionTake(t *testing.T) {
	calls := &measure.Calls{Nanos: []int64{31, 30, 1030, 32}, Bracket: 20}
	for name, tc := range map[string]struct {
		test wire.Test
		want Function
	}{
		"calls":  {wire.Test{Outcome: wire.OutcomeExit, Calls: calls}, Function{Calls: 4, Least: 10, Median: 12, P99: 1010, Most: 1010, Sum: 1043, Bracket: 20}},
		"none":   {wire.Test{Name: "a", Outcome: wire.OutcomeExit, Calls: &measure.Calls{}}, Function{Refused: "f was never called while a ran, or is inlined where it was"}},
		"failed": {wire.Test{Name: "a", Outcome: wire.OutcomeExit, Code: 4, Output: "x\nno KVM\n", Calls: calls}, Function{Refused: "a did not pass: exit status 4: no KVM"}},
		"killed": {wire.Test{Name: "a", Outcome: wire.OutcomeSignal, Signal: "SIGSEGV", Calls: calls}, Function{Refused: "a did not pass: signal SIGSEGV"}},
	} {
		var got Function
		got.take(tc.test, "f")
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestFunctionInGuest measures functions of a kernel, exactly, or says why it does not.
func TestFunctionInGuest(t *testing.T) {
	c, k := pinnedKernel(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := &Guests{Cache: c, Candidates: []Candidate{{Kernel: results.Kernel{Name: "base"}, Built: k, Loops: buildLoops(t, c, k, nil)}}}
	for name, tc := range map[string]struct {
		function string
		args     []string
		refused  string // "" if there are 100 calls
	}{
		"exact":        {"__x64_sys_getpriority", []string{"getpriority", "100"}, ""},
		"recursive":    {"ep_loop_check_proc", []string{"epoll", "3"}, "the function calls itself, or interrupts call it"},
		"inlined":      {"kvm_get_vcpu", []string{"getpriority", "1"}, "kvm_get_vcpu is no function of this kernel"},
		"never called": {"kvm_vcpu_on_spin", []string{"getpriority", "1"}, "was never called while getpriority ran"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := g.Function(t.Context(), 0, results.ICount, tc.function, Workload{Name: tc.args[0], Path: self, Args: tc.args})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", f)
			if tc.refused != "" {
				if !strings.Contains(f.Refused, tc.refused) {
					t.Errorf("expected %q, found %q", tc.refused, f.Refused)
				}
				return
			}
			// A call costs some dozen instructions, and always the same.
			if f.Refused != "" || f.Calls != 100 || f.Least < 10 || f.Least > 300 || f.Median != f.Least {
				t.Errorf("expected 100 calls alike, found %+v", f)
			}
		})
	}
}
