// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/vm"
)

// Kernels that look for faults of their own; vcpulab test names those that are built.
const (
	envDebugKernel = "VCPULAB_TEST_DEBUG_KERNEL"
	envKCSANKernel = "VCPULAB_TEST_KCSAN_KERNEL"
)

func TestCheckerResults(t *testing.T) {
	on := []wire.Checker{{Name: wire.Lockdep}, {Name: wire.KASAN}}
	off := []wire.Checker{{Name: wire.Lockdep, Wrong: "debug_locks: 0"}, {Name: wire.KASAN}}
	after := func(test string) []wire.Checker {
		return []wire.Checker{{Name: wire.Lockdep, Wrong: "debug_locks: 0", After: test}, {Name: wire.KASAN}}
	}
	for name, tc := range map[string]struct {
		guests [][]wire.Checker // nil is one that died
		want   string           // of lockdep
	}{
		"on":                     {[][]wire.Checker{on, on}, "pass: "},
		"off in the first guest": {[][]wire.Checker{off, on}, "fail: it was never on in guest 1: debug_locks: 0"},
		"off in the second":      {[][]wire.Checker{on, off}, "fail: it was never on in guest 2: debug_locks: 0"},
		"turned off":             {[][]wire.Checker{on, after("silent")}, "fail: silent turned it off in guest 2 without a report of the kernel: debug_locks: 0"},
		"by a report":            {[][]wire.Checker{on, after("loud")}, "pass: a report of the kernel during loud turned it off; the tests after it had a new guest"},
		"by two, then by none": {[][]wire.Checker{after("loud"), after("loud"), off},
			"fail: it was never on in guest 3: debug_locks: 0"},
		"one guest died":  {[][]wire.Checker{nil, on}, "pass: "},
		"all guests died": {[][]wire.Checker{nil}, "fail: no guest came to its end, where it had to prove that it is on"},
	} {
		t.Run(name, func(t *testing.T) {
			reported := map[string]bool{}
			r := &runner{results: map[string]Result{}, checkers: map[string]Result{}, running: map[int]string{}, opts: Options{
				Checkers: []string{wire.Lockdep, wire.KASAN}, OnResult: func(res Result) { reported[res.Name] = true }}}
			for i, all := range tc.guests {
				g := &guest{r: r, number: i + 1, tests: named("silent", "loud"), results: []Result{
					{Name: "silent", Outcome: Pass}, {Name: "loud", Outcome: Pass, Splats: []vm.Splat{{Kind: vm.KernelWarning, Title: "WARNING: x"}}}}}
				if all != nil {
					if err := g.follow(wire.Record{Checkers: all}); err != nil {
						t.Fatal(err)
					}
				}
				r.finish(g)
			}
			r.endCheckers()
			got := r.results["checker: lockdep"]
			if text := string(got.Outcome) + ": " + got.Reason; text != tc.want || len(reported) != 4 || len(r.results) != 4 {
				t.Errorf("expected %q and four results, found %q and %v", tc.want, text, r.results)
			}
		})
	}

	g := guest{r: &runner{opts: Options{Checkers: []string{wire.Lockdep}}}}
	for name, all := range map[string][]wire.Checker{"another": {{Name: wire.KCSAN}}, "one more": on, "none": {}, "of another test": {{Name: wire.Lockdep, Wrong: "debug_locks: 0", After: "a"}}} {
		if err := g.follow(wire.Record{Checkers: all}); err == nil {
			t.Errorf("%s: expected an error", name)
		}
	}
	if err := g.follow(wire.Record{Checkers: on[:1]}); err != nil {
		t.Error(err)
	}
	if err := g.follow(wire.Record{Checkers: on[:1]}); err == nil {
		t.Error("twice: expected an error")
	}
}

// TestLastingCheckers: no report is to blame for a checker that none turns off.
func TestLastingCheckers(t *testing.T) {
	for name, want := range map[string]Outcome{wire.KCSAN: Fail, wire.FaultInjection: Fail, wire.DebugObjects: Pass} {
		r := &runner{checkers: map[string]Result{}}
		r.finishCheckers(&guest{r: r, number: 1, checkers: []wire.Checker{{Name: name, Wrong: "enabled: 0", After: "loud"}},
			results: []Result{{Name: "loud", Outcome: Pass, Splats: []vm.Splat{{Kind: vm.KernelWarning, Title: "BUG: KCSAN: x"}}}}})
		if got := r.checkers[name]; got.Outcome != want || !strings.Contains(got.Reason, "loud turned it off in guest 1, which no report of the kernel does") != (want == Pass) {
			t.Errorf("%s: expected %s, found %+v", name, want, got)
		}
	}
}

// TestCompareCheckers: a checker that is off fails the comparison whatever it did on
// the base kernel.
func TestCompareCheckers(t *testing.T) {
	const name = "checker: lockdep"
	for _, tc := range []struct {
		base, patched Outcome
		want          Change
		failed        int
	}{
		{Pass, Pass, Same, 0}, {Fail, Pass, Fixed, 0}, {Pass, Fail, Unchecked, 1}, {Fail, Fail, Unchecked, 1},
	} {
		c := Compare([]Result{result(name, tc.base)}, []Result{result(name, tc.patched)}, Expectations{})
		if got := c.Tests[0]; got.Change != tc.want || c.Failed != tc.failed {
			t.Errorf("%s, %s: expected %s, %d failed, found %s, %d failed", tc.base, tc.patched, tc.want, tc.failed, got.Change, c.Failed)
		}
	}
}

// TestCheckersOff switches each checker off in a guest, or has it in no kernel, and
// nowhere else. After a report that turns one off, a guest has all on for the rest.
func TestCheckersOff(t *testing.T) {
	debug := []string{wire.Lockdep, wire.DebugObjects, wire.Kmemleak, wire.KASAN, wire.FaultInjection}
	for name, tc := range map[string]struct {
		kernel   string
		checkers []string
		hows     string
		append   []string
		off      []string
		guests   int
	}{
		"none in the kernel":  {envKernel, append(debug, wire.KCSAN), "pass", nil, append(debug, wire.KCSAN), 1},
		"debug, a report":     {envDebugKernel, debug, "report pass", []string{wire.KASANMultiShot}, nil, 2},
		"debug, switched off": {envDebugKernel, debug, "blind", []string{"no_debug_objects"}, []string{wire.Lockdep, wire.DebugObjects, wire.Kmemleak, wire.KASAN}, 1},
		"KCSAN, on":           {envKCSANKernel, []string{wire.KCSAN}, "pass", nil, nil, 1},
		"KCSAN, switched off": {envKCSANKernel, []string{wire.KCSAN}, "blind", nil, []string{wire.KCSAN}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.kernel != envKernel && os.Getenv(tc.kernel) == "" {
				t.Skip("NOT TESTED: no such kernel is built; make test-kernel-debug and test-kernel-kcsan build them")
			}
			s := Kernel{Name: "base", Arch: arch.X86_64(), Image: need(t, tc.kernel), Tests: faulty(t, strings.Fields(tc.hows)...)}
			keep := t.TempDir()
			got, err := Run(t.Context(), testCache(t), s, Options{
				MemMiB: 2048, Checkers: tc.checkers, Append: tc.append, Leaks: tc.kernel == envDebugKernel, KeepDir: keep, Parallel: 1,
				Elsewhere: took(map[string]float64{"report": 2, "pass": 1}), // the order
			})
			if err != nil {
				t.Fatal(err)
			}
			var off []string
			for _, r := range got {
				t.Logf("%s: %s: %s", r.Name, r.Outcome, r.Reason)
				if IsChecker(r.Name) && r.Outcome != Pass {
					off = append(off, strings.TrimPrefix(r.Name, checkerPrefix))
				}
			}
			guests, err := os.ReadDir(filepath.Join(keep, guestsDir))
			if err != nil || len(guests) != tc.guests {
				t.Errorf("expected %d guests, found %v, %v", tc.guests, guests, err)
			}
			if len(got) != len(tc.checkers)+len(s.Tests) || !sameElements(off, tc.off) {
				t.Errorf("expected %d checkers of which %q are off, found %q", len(tc.checkers), tc.off, off)
			}
		})
	}
}

func sameElements(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}
