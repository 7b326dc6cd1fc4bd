// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/vm"
)

// Subject is a kernel and the tests to run on it.
type Subject struct {
	// Name is what the kernel is called in what is shown: base, patched.
	Name string
	Arch arch.Arch
	// Kernel is the path of the image to boot.
	Kernel string
	// Modules are loaded before the tests; what they depend on is looked for
	// in ModuleDir.
	Modules   []vm.Module
	ModuleDir string
	Tests     []Test
	// Unbuilt are tests that the compiler cannot build, and why: they are
	// skipped.
	Unbuilt map[string]string
	// Decode, unless nil, turns what this kernel says on the console into the
	// same with source lines.
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

// NewSubject returns the subject that a kernel and tests built from its tree
// are.
func NewSubject(name string, k *kbuild.Kernel, tests *kbuild.Selftests, accel vm.Accel) (Subject, error) {
	s := Subject{Name: name, Arch: k.Arch, Kernel: k.ImagePath(), Decode: decoder(k)}
	if mod := vm.KVMModule(k.Arch, accel); mod != "" {
		file, err := k.ModulePath(mod)
		if err != nil {
			return Subject{}, fmt.Errorf("selftests on %s: %w", name, err)
		}
		// A kernel with all built in has no such folder.
		s.Modules, s.ModuleDir = []vm.Module{{Host: file}}, filepath.Join(k.Dir, "modules")
	}
	for _, n := range tests.Names {
		s.Tests = append(s.Tests, Test{Name: n, Path: tests.Path(n)})
	}
	s.Unbuilt = tests.Unbuilt
	return s, nil
}

// decoder finds the source lines of what a kernel says.
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

// CheckPatterns says which pattern could fit nothing: it stands for
// exit.Usage.
func CheckPatterns(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return exit.With(exit.Usage, fmt.Errorf("select selftests: pattern %q: %w", p, err))
		}
	}
	return nil
}

// Select returns the tests that a pattern of path.Match fits, with or without
// the folder in the test's name. No patterns select all. A pattern that fits
// no test is an error that stands for exit.Usage.
func Select(tests []Test, patterns []string) ([]Test, error) {
	if len(patterns) == 0 {
		return tests, nil
	}
	if err := CheckPatterns(patterns); err != nil {
		return nil, err
	}
	used := make([]bool, len(patterns))
	var selected []Test
	for _, t := range tests {
		fits := false
		for i, p := range patterns {
			full, _ := path.Match(p, t.Name)
			short, _ := path.Match(p, path.Base(t.Name))
			if full || short {
				fits, used[i] = true, true
			}
		}
		if fits {
			selected = append(selected, t)
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		names := make([]string, len(tests))
		for k, t := range tests {
			names[k] = t.Name
		}
		return nil, exit.With(exit.Usage, fmt.Errorf("select selftests: no test fits %q; there are %s",
			patterns[i], strings.Join(names, " ")))
	}
	return selected, nil
}
