// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// envTree names an unpacked tree of the pinned kernel, with its description
// beside it, for the tests that build a whole kernel. Each takes ten minutes
// or more and 3 GB below the cache directory: they also need envReproduce to be
// set. To run them:
//
//	VCPULAB_TEST_REPRODUCE=1 VCPULAB_TEST_TREE=$(bin/vcpulab fetch) go test -run Real -timeout 2h -v ./tools/kbuild
const (
	envTree      = "VCPULAB_TEST_TREE"
	envReproduce = "VCPULAB_TEST_REPRODUCE"
)

func realBuilder(t *testing.T) (*Builder, tree.Tree, Spec) {
	t.Helper()
	dir := os.Getenv(envTree)
	if dir == "" || os.Getenv(envReproduce) == "" {
		t.Skipf("NOT TESTED: %s and %s are not both set: building a kernel from nothing, twice, takes too long for every run",
			envTree, envReproduce)
	}
	tr, err := tree.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	arch, err := arch.Host()
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Arch: arch, Fragments: arch.Fragments("../../ci/config")}
	return &Builder{Cache: c, Progress: progress.New(os.Stderr)}, tr, spec
}

// TestRealReproduce builds the same kernel in two cache directories.
func TestRealReproduce(t *testing.T) {
	b, tr, spec := realBuilder(t)
	checkReproducible(t, b, "base", tr, spec)
}

// TestRealIncremental builds a changed tree on top of its base, then from
// nothing elsewhere: the kernel must be the same, and the base's kernel must
// not have changed.
func TestRealIncremental(t *testing.T) {
	b, base, spec := realBuilder(t)
	if _, err := b.Build(t.Context(), "base", base, spec); err != nil {
		t.Fatal(err)
	}
	const changed = "include/linux/kvm_host.h"
	dir := filepath.Join(t.TempDir(), "changed")
	if err := tree.Clone(t.Context(), base.Dir, dir); err != nil {
		t.Fatal(err)
	}
	root := openRoot(t, dir)
	data, err := root.ReadFile(changed)
	if err != nil {
		t.Fatal(err)
	}
	old := []byte("static inline struct kvm_vcpu *kvm_get_vcpu(struct kvm *kvm, int i)\n{")
	edited := bytes.Replace(data, old, append(bytes.Clone(old), "\n\tif (i < 0)\n\t\treturn NULL;\n"...), 1)
	if bytes.Equal(data, edited) {
		t.Fatalf("%s has no kvm_get_vcpu() as expected", changed)
	}
	if err := tree.Put(root, changed, tree.ModeFile, edited); err != nil {
		t.Fatal(err)
	}
	tr := tree.Tree{Dir: dir, ID: tree.BlobID(edited), Version: base.Version, Base: base.Dir, Changed: []string{changed}}
	if err := tree.Save(tr); err != nil {
		t.Fatal(err)
	}
	checkReproducible(t, b, "changed", tr, spec)
}

// checkReproducible builds a kernel, which may come from the cache, and once
// more from nothing in another directory, without ccache, and compares the image,
// the debug information and the modules byte for byte. The second build takes as
// long as a first one, and 2 GB.
func checkReproducible(t *testing.T, b *Builder, name string, tr tree.Tree, spec Spec) {
	t.Helper()
	first, err := b.Build(t.Context(), name, tr, spec)
	if err != nil {
		t.Fatal(err)
	}
	// On the disk of the cache: temporary directories may be in memory.
	dir, err := os.MkdirTemp(b.Cache.Dir(), "reproduce-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	other, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	again := &Builder{Cache: other, Progress: b.Progress}
	second, err := again.Build(t.Context(), "second "+name, tr, spec)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first.SHA256, second.SHA256); d != "" {
		t.Errorf("the kernels differ: %s", d)
	}
	t.Logf("the second build took %.0f s", second.Seconds)
}
