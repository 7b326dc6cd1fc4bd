// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"

	"vcpulab/tools/arch"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
	"vcpulab/tools/vm"
)

// Subject is a kernel to measure.
type Subject struct {
	// Name is "base", "patched" or a variant's. About and Limit are as in
	// variant.Variant.
	Name   string
	About  string
	Limit  bool
	Kernel *kbuild.Kernel
	// Loops is the path of vcpuloops.ko, built against Kernel.
	Loops string
	// Series identifies the patches in Kernel's tree, and Patches are their
	// subjects; empty for the baseline.
	Series  string
	Patches []string
}

// modules are the modules that a measurement loads, in addition to those
// that they depend on.
func (s Subject) modules(accel vm.Accel) ([]vm.Module, error) {
	kvm, err := s.Kernel.ModulePath(vm.KVMModule(arch.X86_64(), accel))
	if err != nil {
		return nil, err
	}
	return []vm.Module{{Host: kvm}, {Host: s.Loops}}, nil
}

// describe says in the results what was measured.
func (s Subject) describe() (results.Kernel, error) {
	config, err := s.Kernel.Config()
	if err != nil {
		return results.Kernel{}, fmt.Errorf("%s: configuration: %w", s.Name, err)
	}
	hz, err := strconv.Atoi(config.Value("CONFIG_HZ"))
	if err != nil {
		return results.Kernel{}, fmt.Errorf("%s: configuration: CONFIG_HZ: expected a number, found %q", s.Name, config.Value("CONFIG_HZ"))
	}
	_, preemption, rcu := running.Scheduling(config)
	return results.Kernel{
		Name:       s.Name,
		About:      s.About,
		Limit:      s.Limit,
		Release:    s.Kernel.Release,
		Series:     s.Series,
		Patches:    s.Patches,
		Tree:       s.Kernel.Tree.ID,
		Config:     s.Kernel.ConfigHash,
		Compiler:   s.Kernel.Toolchain.Compiler,
		Image:      s.Kernel.SHA256[s.Kernel.Image],
		HZ:         hz,
		Preemption: preemption,
		RCU:        rcu,
	}, nil
}

// folder is the folder of an absolute path in a command line. QEMU has the
// commas of a path doubled.
var folder = regexp.MustCompile(`(^|[ =,'])/(?:[^ =,']|,,)+/`)

// withoutFolders leaves the names of the files in a command line: where they
// lie on the machine that measured is nobody's business.
func withoutFolders(command string) string { return folder.ReplaceAllString(command, "$1") }

// moduleDir is where the kernel's own modules are.
func (s Subject) moduleDir() string { return filepath.Join(s.Kernel.Dir, "modules") }
