// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vcpulab/ebpf/loops"
	"vcpulab/ebpf/measure"
	"vcpulab/tools/cache"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
)

// What make test sets.
const (
	envTree   = "VCPULAB_TEST_TREE"   // the pinned kernel's tree
	envKernel = "VCPULAB_TEST_KERNEL" // the unpatched kernel's image
)

// pinnedKernel returns the unpatched kernel and the cache that it is in.
func pinnedKernel(t *testing.T) (*cache.Cache, *kbuild.Kernel) {
	t.Helper()
	tree, image := os.Getenv(envTree), os.Getenv(envKernel)
	if tree == "" || image == "" {
		t.Skipf("NOT RUN: %s and %s are not set: there is no kernel to measure; make test sets them", envTree, envKernel)
	}
	// <cache>/pin/<key>/linux
	c, err := cache.Open(filepath.Dir(filepath.Dir(filepath.Dir(tree))))
	if err != nil {
		t.Fatal(err)
	}
	k := &kbuild.Kernel{Dir: filepath.Dir(image)}
	data, err := os.ReadFile(filepath.Join(k.Dir, "kernel.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, k); err != nil {
		t.Fatal(err)
	}
	return c, k
}

// buildLoops builds the module, with what edit makes of its device.c.
func buildLoops(t *testing.T, c *cache.Cache, k *kbuild.Kernel, edit func(string) string) string {
	t.Helper()
	src := t.TempDir()
	if err := os.CopyFS(src, loops.Source); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		name := filepath.Join(src, "device.c")
		old, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		edited := edit(string(old))
		if edited == string(old) {
			t.Fatal("expected device.c to be edited, found it as it was")
		}
		if err := os.WriteFile(name, []byte(edited), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	built, err := (&kbuild.Builder{Cache: c}).BuildModule(t.Context(), k, src)
	if err != nil {
		t.Fatal(err)
	}
	return built[0]
}

// guests measures a kernel in guests, as base.
func guests(c *cache.Cache, k *kbuild.Kernel, loops string) *Guests {
	return &Guests{Cache: c, Candidates: []Candidate{{Kernel: results.Kernel{Name: "base"}, Built: k, Loops: loops}}}
}

// smallPlan measures no more than a few loops over one VM.
func smallPlan(vms ...measure.VM) Plan {
	plan := NewPlan(results.ICount, DefaultAxes)
	plan.Params.VMs = vms
	plan.Params.LoopNanos = 100_000
	plan.Params.Stalls, plan.Params.Paths = nil, nil
	return plan
}

// TestKernel measures the pinned kernel, twice, and looks at what came out: guests
// are booted once for all of that.
func TestKernel(t *testing.T) {
	c, k := pinnedKernel(t)
	plan := smallPlan(measure.VM{VCPUs: 1, IDs: measure.Dense}, measure.VM{VCPUs: 65, IDs: measure.Dense}, measure.VM{VCPUs: 65, IDs: measure.Sparse})
	plan.Count(2)
	axes := DefaultAxes
	axes.Growth, axes.Paths = 66, []int{8, 64}
	all := NewPlan(results.ICount, axes)
	plan.Params.Stalls, plan.Params.Paths = all.Params.Stalls, all.Params.Paths
	plan.Params.Stalls.QuietNanos = 5_000_000

	g := guests(c, k, buildLoops(t, c, k, nil))
	g.KeepDir = filepath.Join(t.TempDir(), "failed")
	start := time.Now()
	r, err := Measure(t.Context(), g, plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("two boots in %v", time.Since(start).Round(time.Millisecond))

	if left, err := os.ReadDir(g.KeepDir); err != nil || len(left) > 0 {
		t.Errorf("expected nothing to be kept of good boots, found %v, error %v", left, err)
	}
	if len(r.Boots) != 2 || r.Boots[0].Again == r.Boots[1].Again {
		t.Fatalf("expected two boots, found %d", len(r.Boots))
	}
	t.Run("lookups", func(t *testing.T) { checkLookups(t, r) })
	t.Run("memory", func(t *testing.T) { checkMemory(t, r) })
	t.Run("stalls", func(t *testing.T) { checkStalls(t, r) })
	t.Run("paths", func(t *testing.T) { checkPaths(t, r) })
}

// figure returns a figure that has to be there.
func figure(t *testing.T, r *results.Results, name, column string) results.Figure {
	t.Helper()
	f, ok := findNamed(r, name, column, results.ICount)
	if !ok {
		var names []string
		for _, f := range r.Figures {
			names = append(names, f.Column+" "+f.Name())
		}
		t.Fatalf("expected a figure %s of %s, found only %q", name, column, names)
	}
	return f
}

func checkLookups(t *testing.T, r *results.Results) {
	// A lookup costs the same in every boot, to the instruction.
	for _, f := range r.Figures {
		if f.Column == "base" && f.Unit() == "insns/op" {
			if again := figure(t, r, f.Name(), "base-again"); !slices.Equal(f.Values, again.Values) {
				t.Errorf("%s: expected the same in both boots, found %v and %v", f.Name(), f.Values, again.Values)
			}
		}
	}

	// The xarray of the vCPUs is two levels deeper with 65 of them, and an ID
	// that is not an index takes a walk.
	one, many := figure(t, r, "get/vcpus=1/ids=dense", "base").Value, figure(t, r, "get/vcpus=65/ids=dense", "base").Value
	if one < 10 || many <= one {
		t.Errorf("kvm_get_vcpu(): expected some instructions, and more with 65 vCPUs, found %v and %v", one, many)
	}
	dense, sparse := figure(t, r, "by_id/vcpus=65/ids=dense", "base").Value, figure(t, r, "by_id/vcpus=65/ids=sparse", "base").Value
	if sparse < 10*dense {
		t.Errorf("kvm_get_vcpu_by_id(): expected a walk where IDs aren't indices, found %v instructions, and %v where they are", sparse, dense)
	}
}

func checkMemory(t *testing.T, r *results.Results) {
	// An xarray of one entry has no node; 65 take two and one above them. IDs
	// are in no container of their own.
	for _, b := range r.Boots {
		for _, m := range b.Memory {
			if want := map[int]uint32{1: 0, 2: 1, 65: 3}[m.VM.VCPUs]; m.Objects != want {
				t.Errorf("%v: expected %d nodes, found %d", m.VM, want, m.Objects)
			}
		}
	}

	// A node has 64 pointers, and little else.
	node := figure(t, r, "memory/vcpus=2/ids=dense", "base").Value
	if all := figure(t, r, "memory/vcpus=65/ids=sparse", "base").Value; node < 64*8 || node > 100*8 || all != 3*node {
		t.Errorf("memory: expected a node to take some more than its 64 pointers, and 65 vCPUs 3 of them, found %v and %v bytes", node, all)
	}

	// What is allocated for a structure has room for it.
	for _, name := range []string{"struct=kvm", "struct=kvm_vcpu"} {
		size, object := figure(t, r, "sizeof/"+name, "base").Value, figure(t, r, "memory/"+name, "base").Value
		if object < size || object > 2*size {
			t.Errorf("%s: expected an object with little more than its %v bytes, found %v", name, size, object)
		}
	}
}

// findNamed returns the figure of this name, as benchstat has it.
func findNamed(r *results.Results, name, column string, m results.Method) (results.Figure, bool) {
	for _, f := range r.Figures {
		if f.Name() == name && f.Column == column && f.Method == m {
			return f, true
		}
	}
	return results.Figure{}, false
}
