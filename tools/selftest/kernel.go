// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"context"
	"fmt"
	"path/filepath"

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
	// Machine is what the machine has to be like, as in vm.Machine.Options.
	Machine string
}

// NewKernel returns a kernel with tests that were built from its tree.
func NewKernel(name string, built *kbuild.Kernel, tests *kbuild.Selftests, accel vm.Accel) (Kernel, error) {
	k := Kernel{Name: name, Arch: built.Arch, Image: built.ImagePath(), Unbuilt: tests.Unbuilt, Decode: built.Decode}
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
