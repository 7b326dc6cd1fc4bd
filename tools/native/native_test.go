// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
	"vcpulab/tools/variant"
)

// envTree is where make test says the pinned kernel's tree is.
const envTree = "VCPULAB_TEST_TREE"

// pinned returns the pinned tree, and the cache that it is in.
func pinned(t *testing.T) (*cache.Cache, tree.Tree) {
	t.Helper()
	dir := os.Getenv(envTree)
	if dir == "" {
		t.Skipf("NOT RUN: %s is not set: there is no kernel to take lookups out of; make test sets it", envTree)
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("NOT RUN: there is no gcc")
	}
	c, err := cache.Open(filepath.Dir(filepath.Dir(filepath.Dir(dir)))) // <cache>/pin/<key>/linux
	if err != nil {
		t.Fatal(err)
	}
	base, err := tree.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c, base
}

// short is a measurement of a moment, with VMs of all kinds.
var short = measure.Params{
	VMs: []measure.VM{
		{VCPUs: 1, IDs: measure.Dense}, {VCPUs: 65, IDs: measure.Dense},
		{VCPUs: 65, IDs: measure.Shuffled}, {VCPUs: 65, IDs: measure.Sparse},
	},
	LoopNanos: 20_000, Repeat: 1, MaxNumbers: 32, Orders: measure.AllOrders,
}

// TestVariants takes the lookups out of every tree that can be measured,
// compiles them and lets them find all vCPUs.
func TestVariants(t *testing.T) {
	c, base := pinned(t)
	s, err := series.LoadAll("../../patches")
	if err != nil {
		t.Fatal(err)
	}
	all, err := variant.Load("../../ci/variants.toml")
	if err != nil {
		t.Fatal(err)
	}
	trees := map[string]tree.Tree{variant.Base: base}
	if trees[variant.Patched], _, err = s.Apply(t.Context(), base, series.Options{Cache: c}); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		made, err := v.Apply(t.Context(), base, s, series.Options{Cache: c})
		if err != nil {
			t.Fatal(err)
		}
		trees[v.Name] = made.Tree
	}
	for name, tr := range trees {
		t.Run(name, func(t *testing.T) {
			program, err := Build(t.Context(), c, tr)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Measure(t.Context(), program, short)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			for _, vm := range short.VMs {
				want += len(short.LoopsOf(vm))
			}
			if len(got.Loops) != want {
				t.Errorf("expected %d loops, found %d", want, len(got.Loops))
			}
			for _, l := range got.Loops {
				if l.Passes < 1 || len(l.Once) != 1 || l.Once[0] <= 0 || l.Twice[0] <= 0 {
					t.Errorf("expected times of runs, found %+v", l)
				}
			}
		})
	}
}

// TestMeasureRefuses speaks to programs that answer otherwise than they should.
func TestMeasureRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		script, says string
		wrong        bool
	}{
		"wrong vCPU":     {"read a; echo ok; read a; echo '!wrong checksum'", "wrong checksum", true},
		"no VM":          {"read a; echo '!no VM'", "no VM", true},
		"says something": {"read a; echo hello", `expected ok, found "hello"`, false},
		"no time":        {"read a; echo ok; read a; echo soon", `expected nanoseconds, found "soon"`, false},
		"ends":           {"read a; echo ok; exit 0", "the program ended", false},
		"cut off":        {"read a; printf o", "the program ended", false},
	} {
		t.Run(name, func(t *testing.T) {
			program := script(t, tt.script)
			_, err := Measure(t.Context(), program, short)
			if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ErrWrong) != tt.wrong {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
		})
	}
}

// TestWrongLookup breaks a kernel on purpose: what it does is no result.
func TestWrongLookup(t *testing.T) {
	c, base := pinned(t)
	for name, tt := range map[string]struct{ old, new, says string }{
		"another vCPU is returned": {"return xa_load(&kvm->vcpu_array, i);", "return xa_load(&kvm->vcpu_array, i / 2);", "wrong checksum"},
		"a walk begins too late":   {"idx, vcpup, 0,\t", "idx, vcpup, 1,\t", "the VM does not have the vCPUs"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := withHeader(t, base, func(h string) string { return strings.Replace(h, tt.old, tt.new, 1) })
			program, err := Build(t.Context(), c, broken)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Measure(t.Context(), program, short); !errors.Is(err, ErrWrong) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("expected a wrong result that says %q, found %v", tt.says, err)
			}
		})
	}
	t.Run("no lookup", func(t *testing.T) {
		broken := withHeader(t, base, func(h string) string { return strings.ReplaceAll(h, "*kvm_get_vcpu(", "*kvm_vcpu_at(") })
		_, err := Build(t.Context(), c, broken)
		if err == nil || exit.Code(err) != exit.BuildFailed || !strings.Contains(err.Error(), "expected a definition of kvm_get_vcpu, found none") {
			t.Errorf("expected an error that says what is not there, found %v", err)
		}
	})
	t.Run("does not compile", func(t *testing.T) {
		broken := withHeader(t, base, func(h string) string { return strings.Replace(h, "return xa_load(", "return xa_lode(", 1) })
		_, err := Build(t.Context(), c, broken)
		if err == nil || exit.Code(err) != exit.BuildFailed || !strings.Contains(err.Error(), "xa_lode") {
			t.Errorf("expected an error of the compiler, found %v", err)
		}
	})
}

// withHeader returns a tree that has what Build reads, with another header.
func withHeader(t *testing.T, base tree.Tree, edit func(string) string) tree.Tree {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"virt", "lib", "tools"} {
		if err := os.Symlink(filepath.Join(base.Dir, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	linux := filepath.Join(dir, "include", "linux")
	if err := os.MkdirAll(linux, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(base.Dir, hostHeader))
	if err != nil {
		t.Fatal(err)
	}
	edited := edit(string(data))
	if edited == string(data) {
		t.Fatal("expected the header to be edited, found it as it was")
	}
	if err := os.WriteFile(filepath.Join(dir, hostHeader), []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	return tree.Tree{Dir: dir, ID: tree.BlobID([]byte(edited)), Version: base.Version}
}
