// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/cache"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
)

// TestAddSample collects what a guest sends.
func TestAddSample(t *testing.T) {
	vm := measure.VM{VCPUs: 8, IDs: measure.Sparse}
	loop := measure.Loop{VM: vm, Shape: measure.Shape{Op: measure.ByID, Missing: true}, Numbers: 8, Passes: 100, Once: []int64{700}, Twice: []int64{1400}}
	create := measure.Create{VM: vm, Nanos: []int64{40000}, ArchNanos: []int64{20000}, Waits: map[string]uint64{"synchronize_srcu": 1}}
	memory := measure.Memory{VM: vm, Container: 584, Objects: 1, KVM: 8192, VCPU: 7400}
	clock := measure.Clock{Before: "tsc", After: "tsc"}
	b := results.Boot{Which: results.Which{Kernel: "base"}}
	for _, rec := range []wire.Record{
		{},
		{Log: "hello"},
		{Sample: &measure.Sample{Sizes: &measure.Sizes{KVM: 1, VCPU: 2}}},
		{Sample: &measure.Sample{Create: &create}},
		{Sample: &measure.Sample{Memory: &memory}},
		{Sample: &measure.Sample{Loop: &loop}},
		{Sample: &measure.Sample{Loop: &loop}},
		{Sample: &measure.Sample{Clock: &clock}},
	} {
		addSample(&b, nil, rec)
	}
	want := results.Boot{
		Which: b.Which, Clock: clock, Sizes: measure.Sizes{KVM: 1, VCPU: 2},
		Loops: []measure.Loop{loop, loop}, Creates: []measure.Create{create},
		Memory: []measure.Memory{memory},
	}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("boot (-expected +found):\n%s", diff)
	}
}

// TestRunRefuses is about measurements that are refused before a guest is
// started.
func TestRunRefuses(t *testing.T) {
	kernel := func(config string) Candidate {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		return Candidate{Kernel: results.Kernel{Name: "base"}, Built: &kbuild.Kernel{Dir: dir}}
	}
	good := "CONFIG_HZ=1000\n"
	for name, tt := range map[string]struct {
		candidates []Candidate
		plan       Plan
		says       string
	}{
		"no kernel":         {nil, NewPlan(results.ICount, DefaultAxes), "no kernel to measure"},
		"no configuration":  {[]Candidate{{Kernel: results.Kernel{Name: "base"}, Built: &kbuild.Kernel{Dir: t.TempDir()}}}, NewPlan(results.ICount, DefaultAxes), "base: configuration: "},
		"no timer":          {[]Candidate{kernel("CONFIG_KVM=m\n")}, NewPlan(results.ICount, DefaultAxes), `base: configuration: CONFIG_HZ: expected a number, found "n"`},
		"kernel has no KVM": {[]Candidate{kernel(good)}, NewPlan(results.ICount, DefaultAxes), "has no module kvm-amd"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cache.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			r, err := Measure(t.Context(), &Guests{Cache: c, Candidates: tt.candidates}, tt.plan, nil)
			if r != nil || err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("expected no results and an error that says %q, found %v, %v", tt.says, r, err)
			}
		})
	}
}

// TestRunInterrupted ends a measurement before its first boot: what there is,
// which is nothing, is marked as interrupted.
func TestRunInterrupted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("CONFIG_HZ=1000\nCONFIG_PREEMPT_LAZY=y\nCONFIG_PREEMPT_DYNAMIC=y\nCONFIG_PREEMPT_RCU=y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Measure(ctx, &Guests{Cache: c, Candidates: []Candidate{{Kernel: results.Kernel{Name: "base"}, Built: &kbuild.Kernel{Dir: dir, Release: "7.9.1"}}}}, NewPlan(results.ICount, DefaultAxes), nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("expected the context's error, found %v", err)
	}
	if r == nil || !r.Interrupted || len(r.Boots) > 0 {
		t.Fatalf("expected results without a boot, marked as interrupted, found %+v", r)
	}
	want := results.Kernel{Name: "base", Release: "7.9.1", HZ: 1000, Preemption: "lazy (dynamic)", RCU: "preemptible"}
	if diff := cmp.Diff(want, r.Kernels[0]); diff != "" {
		t.Errorf("kernel (-expected +found):\n%s", diff)
	}
}

func TestWithoutDirectories(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"program":      {"/usr/bin/qemu -nodefaults", "qemu -nodefaults"},
		"file":         {"qemu -kernel /home/me/k/vmlinux -m 1", "qemu -kernel vmlinux -m 1"},
		"property":     {"-chardev file,id=r,path=/tmp/x/records.jsonl", "-chardev file,id=r,path=records.jsonl"},
		"comma":        {"-chardev file,id=r,path=/tmp/a,,b/records.jsonl,append=on", "-chardev file,id=r,path=records.jsonl,append=on"},
		"quoted":       {"-append 'rdinit=/init console=ttyS0'", "-append 'rdinit=/init console=ttyS0'"},
		"no directory": {"qemu -cpu max,+svm", "qemu -cpu max,+svm"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := withoutDirectories(tt.in); got != tt.want {
				t.Errorf("expected %q, found %q", tt.want, got)
			}
		})
	}
}
