// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/vm"
)

// Kernel is a kernel and the tests to run on it.
type Kernel struct {
	// Name is shown for it: base, patched.
	Name string
	Arch arch.Arch
	// Image is the path of the image to boot.
	Image string
	// Modules are loaded before the tests, with what they depend on from
	// ModuleDir.
	Modules   []vm.Module
	ModuleDir string
	Tests     []Test
	// Unbuilt are tests that the compiler cannot build, and why: they are
	// skipped.
	Unbuilt map[string]string
	// Decode, unless nil, adds source lines to what this kernel prints on the
	// console.
	Decode func(ctx context.Context, console string) (string, error)
}

// Test is a test that was built.
type Test struct {
	// Name is its name in the kernel's Makefile, such as x86/xapic_ipi_test.
	Name string
	// Path is the path of the program, linked statically.
	Path string
	// Args are its arguments.
	Args []string
}

// NewKernel returns a kernel with tests that were built from its tree.
func NewKernel(name string, built *kbuild.Kernel, tests *kbuild.Selftests, accel vm.Accel) (Kernel, error) {
	k := Kernel{Name: name, Arch: built.Arch, Image: built.ImagePath(), Unbuilt: tests.Unbuilt, Decode: decoder(built)}
	if mod := vm.KVMModule(built.Arch, accel); mod != "" {
		file, err := built.ModulePath(mod)
		if err != nil {
			return Kernel{}, fmt.Errorf("selftests on %s: %w", name, err)
		}
		// A kernel without modules has no such directory.
		k.Modules, k.ModuleDir = []vm.Module{{Host: file}}, filepath.Join(built.Dir, "modules")
	}

	for _, n := range tests.Names {
		k.Tests = append(k.Tests, Test{Name: n, Path: tests.Path(n)})
	}
	return k, nil
}

// check refuses what would lose results.
func (k Kernel) check() error {
	seen := make(map[string]bool, len(k.Tests))
	for _, t := range k.Tests {
		switch {
		case t.Name == "" || strings.ContainsAny(t.Name, "\r\n"):
			return fmt.Errorf("selftests on %s: invalid name of a test: %q", k.Name, t.Name)
		case seen[t.Name]:
			return fmt.Errorf("selftests on %s: duplicate test %s", k.Name, t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

// decoder returns the Decode of a kernel.
func decoder(k *kbuild.Kernel) func(context.Context, string) (string, error) {
	return func(ctx context.Context, console string) (string, error) {
		has, err := k.HasLines()
		if err != nil {
			return "", err
		}
		if !has {
			return "", errors.New("this kernel has no debug information: only functions and offsets are known")
		}
		return k.Decode(ctx, console)
	}
}
