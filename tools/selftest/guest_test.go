// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/pattern"
	"vcpulab/tools/vm"
)

// The environment that tests which boot a kernel find it by.
const (
	envKernel    = "VCPULAB_TEST_KERNEL"    // a kernel's image
	envModules   = "VCPULAB_TEST_MODULES"   // the directory of its modules
	envSelftests = "VCPULAB_TEST_SELFTESTS" // a directory of KVM selftests, built statically
)

// need returns the value of a variable, or skips the test.
func need(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Skipf("NOT TESTED: %s is not set; run vcpulab test, which sets it", name)
	}
	return v
}

// testCache is the user's own where it is set, so that the guest program is
// built once.
func testCache(t *testing.T) *cache.Cache {
	t.Helper()
	dir := os.Getenv(cache.EnvDir)
	if dir == "" {
		dir = t.TempDir()
	}
	c, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// faulty builds the program that ends in all the ways in which a test can.
func faulty(t *testing.T, hows ...string) []Test {
	t.Helper()
	program := filepath.Join(t.TempDir(), "faulty")
	cmd := exec.Command("go", "build", "-o", program, "./testdata/faulty")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch.X86_64().GoArch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build testdata/faulty: %v\n%s", err, out)
	}
	var tests []Test
	for _, how := range hows {
		tests = append(tests, Test{Name: how, Path: program, Args: []string{how}})
	}
	return tests
}

// TestRunFaulty runs tests that end in every way, three of which take the guest
// with them. None may be lost, and none that failed may pass.
func TestRunFaulty(t *testing.T) {
	kernel := need(t, envKernel)
	tests := faulty(t, "endless", "fail", "init", "killed", "lost", "nonsense", "panic", "pass", "reset", "skip")
	s := Kernel{Name: "base", Arch: arch.X86_64(), Image: kernel, Tests: append(tests, Test{
		Name: "no program", Path: filepath.Join("testdata", "faulty", "main.go"),
	})}
	keep := t.TempDir()
	got, err := Run(context.Background(), testCache(t), s, Options{
		MemMiB: 256, KeepDir: keep,
		// The order: the worst in the middle of a guest's tests.
		Elsewhere: took(map[string]float64{"pass": 12, "panic": 11, "reset": 10, "skip": 9, "endless": 1e-3}),
		Limit:     5 * time.Second,
		Retries:   1,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"endless":    "timeout: it had not ended after ",
		"fail":       "fail: exit status 1: 1 of 2 subtests failed: two",
		"init":       "crash: init died: Kernel panic - not syncing: Attempted to kill init! exitcode=0x",
		"killed":     "fail: ended by SIGKILL",
		"lost":       "fail: exit status 0, but planned 2 tests, found 1",
		"no program": "fail: it could not be started: fork/exec /tests/no program: exec format error",
		"nonsense":   "fail: exit status 2: faulty: it does not know how to nonsense",
		"panic":      "crash: kernel panic: Kernel panic - not syncing: Out of memory: ",
		"pass":       "pass: ",
		"reset":      "crash: silent reset: ",
		"skip":       "skip: Requirement not met: has_a_reason()",
	}
	if len(got) != len(want) {
		t.Errorf("expected %d results, found %d", len(want), len(got))
	}
	for _, r := range got {
		t.Logf("%s: %s, %.1f s, %s", r.Name, r.Outcome, r.Seconds, r.Reason)
		if said := string(r.Outcome) + ": " + r.Reason; !strings.HasPrefix(said, want[r.Name]) {
			t.Errorf("%s: expected %q, found %q", r.Name, want[r.Name], said)
		}
		earlier := 0
		if r.Outcome == Fail && r.Name != "no program" {
			earlier = 1
		}
		if len(r.Earlier) != earlier {
			t.Errorf("%s: expected %d tries before, found %v", r.Name, earlier, r.Earlier)
		}
		if log, err := os.ReadFile(r.Log); err != nil || !strings.Contains(string(log), r.Reason) {
			t.Errorf("%s: log %s: expected the reason in it, found %q, error %v", r.Name, r.Log, log, err)
		}
		if r.Outcome == Crash && (r.Command == "" || !strings.Contains(r.Console, "vcpulab: start "+r.Name)) {
			t.Errorf("%s: expected the command and the console of its guest, found %q and %q", r.Name, r.Command, r.Console)
		}
		if r.Name == "panic" && len(r.Splats) == 0 {
			t.Error("panic: expected a splat, found none")
		}
	}
}

// TestRunInOrder: tests run as they stand, each at its time, and those that are killed
// are not for that worse than others.
func TestRunInOrder(t *testing.T) {
	tests := faulty(t, "pass", "endless", "clock", "fail")
	tests[1].Kill, tests[2].Clock, tests[3].Kill = 300*time.Millisecond, 1_700_000_000, time.Minute
	s := Kernel{Name: "base", Arch: arch.X86_64(), Image: need(t, envKernel), Tests: tests}
	var order []string
	results := make(map[string]Result)
	_, err := Run(t.Context(), testCache(t), s, Options{
		MemMiB: 256, CPUs: 3, InOrder: true, Retries: -1,
		Elsewhere: took(map[string]float64{"fail": 100, "clock": 50}),
		OnResult: func(r Result) {
			order = append(order, r.Name)
			results[r.Name] = r
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(tests), strings.Join(order, " ")); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"pass": "pass: ", "endless": "interrupted: killed after 0.", "clock": "pass: ", "fail": "fail: exit status 1",
	} {
		if said := string(results[name].Outcome) + ": " + results[name].Reason; !strings.HasPrefix(said, want) {
			t.Errorf("%s: expected %q, found %q", name, want, said)
		}
	}
	if got := results["clock"].Output; got != "Random seed: 1700000000\n" {
		t.Errorf("expected the time that was set, found %q", got)
	}
}

// TestRunFailing: allocations fail of the test of which they are to, and of no other.
func TestRunFailing(t *testing.T) {
	if os.Getenv(envDebugKernel) == "" {
		t.Skip("NOT TESTED: no such kernel is built; make test-kernel-debug builds it")
	}
	tests := faulty(t, "open", "open again")
	// A prime number, so that it is not always the same allocation of each round, such as
	// one of kmemleak's, that fails.
	tests[0].FailEvery, tests[0].Kill = 47, 5*time.Minute
	s := Kernel{Name: "base", Arch: arch.X86_64(), Image: need(t, envDebugKernel), Tests: tests}
	got, err := Run(t.Context(), testCache(t), s, Options{MemMiB: 2048, InOrder: true, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if r := got[0]; r.Outcome != Interrupted || !strings.Contains(r.Reason, "its allocations were to fail: ") {
		t.Errorf("expected that it fails for lack of memory, found %s: %s", r.Outcome, r.Reason)
	}
	if r := got[1]; r.Outcome != Pass {
		t.Errorf("without such failures: found %s: %s", r.Outcome, r.Reason)
	}
}

// TestRunNoKernel checks that a kernel that does not boot is not a result.
func TestRunNoKernel(t *testing.T) {
	need(t, envKernel)
	file := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(file, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	s := Kernel{Name: "base", Arch: arch.X86_64(), Image: file, Tests: faulty(t, "pass")}
	got, err := Run(context.Background(), testCache(t), s, Options{MemMiB: 256})
	if fault, ok := errors.AsType[*vm.Fault](err); !ok || len(got) > 0 {
		t.Errorf("expected a fault and no results, found %v (%T) and %v", err, fault, got)
	}
}

// TestRunCancelled: what ended until then is returned, with the reason.
func TestRunCancelled(t *testing.T) {
	kernel := need(t, envKernel)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := Kernel{Name: "base", Arch: arch.X86_64(), Image: kernel, Tests: faulty(t, "pass", "endless")}
	time.AfterFunc(4*time.Second, cancel)
	got, err := Run(ctx, testCache(t), s, Options{MemMiB: 256, Parallel: 1})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("expected %v, found %v", context.Canceled, err)
	}
	for _, r := range got {
		if r.Name != "pass" {
			t.Errorf("expected no result of %s, found %v", r.Name, r)
		}
	}
}

// TestRunSelftests runs KVM's own tests.
func TestRunSelftests(t *testing.T) {
	s := Kernel{Name: "base", Arch: arch.X86_64(), Image: need(t, envKernel), ModuleDir: need(t, envModules)}
	s.Modules = []vm.Module{{Host: filepath.Join(s.ModuleDir, "kvm-amd.ko")}}
	dir := need(t, envSelftests)
	var all []Test
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, p)
		all = append(all, Test{Name: name, Path: p})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Tests, err = pattern.Select(all, []string{"set_boot_cpu_id", "max_vcpuid_cap_test", "kvm_binary_stats_test"}, testName); err != nil {
		t.Fatal(err)
	}
	if more := os.Getenv("VCPULAB_TEST_SELFTESTS_ONLY"); more != "" {
		if s.Tests, err = pattern.Select(all, strings.Fields(more), testName); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	got, err := Run(context.Background(), testCache(t), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		t.Logf("%s: %s, %.1f s, %d subtests, %v %s", r.Name, r.Outcome, r.Seconds, len(r.Sub), r.Splats, r.Reason)
		if r.Outcome != Pass {
			t.Errorf("%s: expected %s, found %s: %s", r.Name, Pass, r.Outcome, r.Output)
		}
	}
	t.Logf("%.1f s in all", time.Since(start).Seconds())
	if diff := cmp.Diff(len(s.Tests), len(got)); diff != "" {
		t.Error(diff)
	}
}

func testName(t Test) string { return t.Name }
