// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"fmt"
	"path/filepath"
	"regexp"

	"vcpulab/tools/arch"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
	"vcpulab/tools/vm"
)

// Candidate is a kernel to measure.
type Candidate struct {
	// Name is "base", "patched" or a variant's. About and Limit are as in
	// variant.Variant.
	Name  string
	About string
	Limit bool
	// Design is nil unless it is compared with other designs.
	Design *results.Design
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
func (c Candidate) modules(accel vm.Accel) ([]vm.Module, error) {
	kvm, err := c.Kernel.ModulePath(vm.KVMModule(arch.X86_64(), accel))
	if err != nil {
		return nil, err
	}
	return []vm.Module{{Host: kvm}, {Host: c.Loops}}, nil
}

// describe says in the results what was measured.
func describe(candidates []Candidate, out *results.Results) error {
	for _, c := range candidates {
		config, err := c.Kernel.Config()
		if err != nil {
			return fmt.Errorf("%s: configuration: %w", c.Name, err)
		}
		hz, preemption, rcu := running.Scheduling(config)
		if hz == 0 {
			return fmt.Errorf("%s: configuration: CONFIG_HZ: expected a number, found %q", c.Name, config.Value("CONFIG_HZ"))
		}
		out.Kernels = append(out.Kernels, results.Kernel{
			Name:       c.Name,
			About:      c.About,
			Limit:      c.Limit,
			Design:     c.Design,
			Release:    c.Kernel.Release,
			Series:     c.Series,
			Patches:    c.Patches,
			Tree:       c.Kernel.Tree.ID,
			Config:     c.Kernel.ConfigHash,
			Compiler:   c.Kernel.Toolchain.Compiler,
			Image:      c.Kernel.SHA256[c.Kernel.Image],
			HZ:         hz,
			Preemption: preemption,
			RCU:        rcu,
		})
	}
	return nil
}

// directory is the directory of an absolute path in a command line. QEMU has the
// commas of a path doubled.
var directory = regexp.MustCompile(`(^|[ =,'])/(?:[^ =,']|,,)+/`)

// withoutDirectories leaves the names of the files in a command line: results are
// for others to read, and where files are on this machine is private.
func withoutDirectories(command string) string { return directory.ReplaceAllString(command, "$1") }

// moduleDir is where the kernel's own modules are.
func (c Candidate) moduleDir() string { return filepath.Join(c.Kernel.Dir, "modules") }
