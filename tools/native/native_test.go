// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
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

// variants are the trees that can be measured, by name. They are made of links to the
// pinned tree where no patch changes it: a tree of 96000 files for each would take
// minutes when patches have changed, and be kept.
func variants(t *testing.T, base tree.Tree) map[string]tree.Tree {
	t.Helper()
	sets, err := series.LoadSets("../../patches")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sets.Load("")
	if err != nil {
		t.Fatal(err)
	}
	all, err := variant.Load("../../ci/variants.toml")
	if err != nil {
		t.Fatal(err)
	}
	if all, err = variant.WithRivals(all, sets); err != nil {
		t.Fatal(err)
	}

	paths := s.Paths()
	for _, rival := range sets.Rivals {
		own, err := sets.Load(rival.Name)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, own.Paths()...)
	}
	for _, v := range all {
		if v.Patches == "" {
			continue
		}
		own, err := series.Load(filepath.Join(s.Dir, v.Patches))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, own.Paths()...)
	}

	small := linked(t, base, paths)
	own, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	trees := map[string]tree.Tree{variant.Base: base, variant.Patched: patched(t, own, small)}
	for _, v := range all {
		made, err := v.Apply(t.Context(), small, s, series.Options{Cache: own})
		if err != nil {
			t.Fatal(err)
		}
		trees[v.Name] = made.Tree
	}
	return trees
}

// linked returns a tree of links to what is in base, with files and directories of its
// own for these paths.
func linked(t *testing.T, base tree.Tree, paths []string) tree.Tree {
	t.Helper()
	out := tree.Tree{Dir: filepath.Join(t.TempDir(), "linux"), ID: tree.BlobID([]byte("linked " + base.ID)), Version: base.Version}
	files, dirs := make(map[string]bool), make(map[string]bool)
	for _, name := range paths {
		files[name] = true
		for dir := path.Dir(name); !dirs[dir]; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	for dir := range dirs {
		if err := os.MkdirAll(filepath.Join(out.Dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(filepath.Join(base.Dir, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			from, to := filepath.Join(base.Dir, name), filepath.Join(out.Dir, name)
			switch {
			case dirs[name]:
				continue
			case files[name]:
				var data []byte
				if data, err = os.ReadFile(from); err == nil {
					err = os.WriteFile(to, data, 0o644)
				}
			default:
				err = os.Symlink(from, to)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tree.Save(out); err != nil {
		t.Fatal(err)
	}
	return out
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
	_, base := pinned(t)
	for name, tr := range variants(t, base) {
		t.Run(name, func(t *testing.T) {
			program, err := build(t, tr)
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

// TestWrongLookup breaks a kernel on purpose: what it does is no result, if it
// can be built at all.
func TestWrongLookup(t *testing.T) {
	_, base := pinned(t)
	const load = "return xa_load(&kvm->vcpu_array, i);"
	for name, tt := range map[string]struct {
		old, new, says string
		built          bool
	}{
		"another vCPU is returned": {load, "return xa_load(&kvm->vcpu_array, i / 2);", "wrong checksum", true},
		"a walk begins too late":   {"idx, vcpup, 0,\t", "idx, vcpup, 1,\t", "the VM does not have the vCPUs", true},
		"no lookup":                {"*kvm_get_vcpu(", "*kvm_vcpu_at(", "expected a definition of kvm_get_vcpu, found none", false},
		"does not compile":         {load, "return xa_lode(&kvm->vcpu_array, i);", "xa_lode", false},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := build(t, withFiles(t, base, map[string][2]string{hostHeader: {tt.old, tt.new}}))
			right := exit.Code(err) == exit.BuildFailed
			if tt.built {
				if err != nil {
					t.Fatal(err)
				}
				_, err = Measure(t.Context(), program, short)
				right = errors.Is(err, ErrWrong)
			}
			if err == nil || !right || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
		})
	}
}
