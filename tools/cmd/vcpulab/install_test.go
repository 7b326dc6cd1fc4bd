// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/arch"
	"vcpulab/tools/vm"
)

// labWith returns one with this cache.
func labWith(t *testing.T, dir string) *lab {
	t.Helper()
	root, err := vm.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLab(globals{Root: root, Cache: dir, Quiet: true}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestProbeKVM tries KVM with what there is. Where there is none that is said in
// words, and nothing is fetched or built for it.
func TestProbeKVM(t *testing.T) {
	if _, err := exec.LookPath(arch.X86_64().QEMU.Program); err != nil {
		t.Skip("NOT RUN: no QEMU")
	}
	dir := t.TempDir()
	works, why := labWith(t, dir).probeKVM(t.Context())
	if _, err := os.Stat("/dev/kvm"); err != nil {
		if works || !strings.Contains(why, "a guest of a few instructions does not run") {
			t.Errorf("expected no KVM to work, found %v, %q", works, why)
		}
	} else if why == "" {
		t.Error("expected a reason")
	}
	if made, _ := filepath.Glob(filepath.Join(dir, "[a-z]*")); len(made) > 0 {
		t.Errorf("expected an empty cache, found %v", made)
	}
}

// TestBuilt finds the kernel that make test has built.
func TestBuilt(t *testing.T) {
	image, tree := os.Getenv(envKernel), os.Getenv(envTree)
	if image == "" || tree == "" {
		t.Skipf("NOT RUN: %s and %s are not set: no kernel was built; make test sets them", envKernel, envTree)
	}
	l := labWith(t, filepath.Dir(filepath.Dir(filepath.Dir(tree))))
	k, err := l.built(t.Context(), "x86_64")
	if err != nil || k == nil || k.ImagePath() != image {
		t.Errorf("expected %s, found %+v, %v", image, k, err)
	}
	l = labWith(t, t.TempDir())
	if k, err := l.built(t.Context(), "x86_64"); k != nil || err != nil {
		t.Errorf("expected none, found %+v, %v", k, err)
	}
}
