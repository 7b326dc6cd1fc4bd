// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/vm"
)

// TestNestedWaitsKernel runs the probes' own test of nested waits in the unpatched
// kernel: synchronize_rcu() calls its expedited form if that is asked for,
// synchronize_srcu() if SRCU is idle. Each is one wait.
func TestNestedWaitsKernel(t *testing.T) {
	c, k := pinnedKernel(t)
	source, err := filepath.Abs(filepath.Join("..", "..", "ebpf", "probe"))
	if err != nil {
		t.Fatal(err)
	}
	built, err := (&kbuild.Builder{Cache: c}).BuildModule(t.Context(), k, filepath.Join(source, "testdata", "waits"))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "probe.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	s := Candidate{Built: k, Loops: built[0]}
	modules, err := s.modules(vm.TCG)
	if err != nil {
		t.Fatal(err)
	}
	// The expedited form is asked for by the second, for all that come after it.
	outers := []string{"synchronize_srcu", "synchronize_rcu"}
	job := wire.Job{Mounts: []string{"tmpfs", "tracefs", "debugfs"}, Exec: &wire.Exec{}}
	for _, outer := range outers {
		job.Exec.Programs = append(job.Exec.Programs, wire.Program{
			Name: outer, Path: "/tests/probe", Args: []string{"-test.v", "-test.run=^TestNestedWait$"},
			Env: []string{"VCPULAB_TEST_WAIT=" + outer}, Timeout: time.Minute, MaxOutput: 64 << 10,
		})
	}
	var ended []wire.Test
	_, err = vm.Boot(t.Context(), c,
		vm.Machine{Arch: arch.X86_64(), Kernel: k.ImagePath()},
		vm.Guest{
			Job: job, Modules: modules, ModuleDir: filepath.Join(s.Built.Dir, "modules"),
			Files: []vm.File{{Path: "tests/probe", Mode: 0o755, Host: program}},
		},
		vm.Options{Timeout: bootTimeout, Silence: bootSilence, KeepDir: t.TempDir(), OnRecord: func(r wire.Record) error {
			if r.Test != nil {
				ended = append(ended, *r.Test)
			}
			return nil
		}})
	if err != nil || len(ended) != len(outers) {
		t.Fatalf("expected %d tests, found %d, error %v", len(outers), len(ended), err)
	}
	for _, result := range ended {
		if result.Outcome != wire.OutcomeExit || result.Code != 0 || !strings.Contains(result.Output, "--- PASS: TestNestedWait") {
			t.Errorf("%s: expected the test to pass in the guest, found %+v", result.Name, result)
		}
	}
}
