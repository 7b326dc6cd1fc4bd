// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"path"
	"slices"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/selftest"
	"vcpulab/tools/series"
	"vcpulab/tools/vm"
)

// quickTests are the kernel's own tests that use the lookups and take seconds,
// by architecture. Those that the series adds come on top.
var quickTests = map[string][]string{
	"x86_64": {
		"kvm_create_max_vcpus", "kvm_binary_stats_test", "x86/set_boot_cpu_id", "x86/max_vcpuid_cap_test",
		"x86/recalc_apic_map_test", "x86/xapic_ipi_test",
	},
	"arm64": {
		"kvm_create_max_vcpus", "kvm_binary_stats_test", "steal_time", "arm64/no-vgic", "arm64/psci_test",
		"arm64/set_id_regs", "arm64/vgic_init", "arm64/vgic_irq", "arm64/vgic_its_save", "arm64/vgic_lpi_stress",
	},
	"riscv64": {
		"kvm_create_max_vcpus", "kvm_binary_stats_test", "steal_time", "arch_timer", "riscv/ebreak_test",
	},
}

// proofsFile says which tests have to fail on the base kernel.
const proofsFile = "proofs.toml"

// allArches stands for all architectures that can be booted.
const allArches = "all"

// selftestPlan is what is to be run on the kernels of one architecture.
type selftestPlan struct {
	name string // of the architecture, as users write it
	arch arch.Arch
	// base and patched are the tests that each tree has.
	base, patched []string
	// all says that patched and base are all tests that there are.
	all    bool
	expect selftest.Expectations
}

// arches returns the architectures whose kernels and tests are run.
func (c selftestCmd) arches() ([]vm.Arch, error) {
	chosen := vm.Archs()
	if c.Arch != allArches {
		a, err := vm.ArchByName(c.Arch)
		if err != nil {
			return nil, exit.With(exit.Usage, fmt.Errorf("%w, or %s", err, allArches))
		}
		chosen = []vm.Arch{a}
	}
	if c.searching() && (len(chosen) > 1 || chosen[0].Name != vm.X86_64().Name) {
		return nil, exit.With(exit.Usage, fmt.Errorf("--config %s is for x86_64, not for %s", c.Config, c.Arch))
	}
	return chosen, nil
}

// quick tells whether only the tests that touch the lookups are run. On
// kernels that look for faults all the others would take days.
func (c selftestCmd) quick() bool { return c.Quick || c.searching() && len(c.Only) == 0 }

// plans finds out what is to be run. What is wrong is said before a kernel is
// built for it, and where it can be before one is fetched.
func (c selftestCmd) plans(ctx context.Context, l *lab) ([]selftestPlan, error) {
	arches, err := c.arches()
	if err != nil {
		return nil, err
	}
	if err := selftest.CheckPatterns(c.Only); err != nil {
		return nil, err
	}
	ser, err := l.series()
	if err != nil {
		return nil, err
	}
	var plans []selftestPlan
	for _, a := range arches {
		p := selftestPlan{name: a.Name}
		if p.arch, err = arch.Find(a.GOARCH); err != nil {
			return nil, err
		}
		added := addedTests(ser, c.Through, p.arch)
		p.expect = selftest.Expectations{Added: added, Silent: c.Config == configDebug}
		if p.expect.Proofs, err = c.proofs(l, ser, p.arch, added); err != nil {
			return nil, err
		}
		if c.quick() {
			if p.patched, err = c.selected(slices.Concat(quickTests[p.arch.Name], added)); err != nil {
				return nil, err
			}
		}
		plans = append(plans, p)
	}
	if c.quick() {
		return plans, nil
	}
	return plans, c.listAll(ctx, l, plans)
}

// listAll asks both trees which tests they have.
func (c selftestCmd) listAll(ctx context.Context, l *lab, plans []selftestPlan) error {
	base, err := l.base(ctx, c.sourceFlags)
	if err != nil {
		return err
	}
	patched, _, err := l.patched(ctx, base, c.sourceFlags)
	if err != nil {
		return err
	}
	for i := range plans {
		p := &plans[i]
		spec := kbuild.Spec{Arch: p.arch}
		if p.base, err = l.builder().ListSelftests(ctx, base, spec); err != nil {
			return err
		}
		if p.patched, err = l.builder().ListSelftests(ctx, patched, spec); err != nil {
			return err
		}
		// A test that the series drops is there to be missed.
		names := slices.Concat(p.base, p.patched)
		slices.Sort(names)
		if names, err = c.selected(slices.Compact(names)); err != nil {
			return err
		}
		unwanted := func(n string) bool { return !slices.Contains(names, n) }
		p.base, p.patched = slices.DeleteFunc(p.base, unwanted), slices.DeleteFunc(p.patched, unwanted)
		p.all = len(c.Only) == 0
	}
	return nil
}

// selected returns the names of the tests to run.
func (c selftestCmd) selected(names []string) ([]string, error) {
	var tests []selftest.Test
	for _, name := range names {
		tests = append(tests, selftest.Test{Name: name})
	}
	tests, err := selftest.Select(tests, c.Only)
	names = nil
	for _, t := range tests {
		names = append(names, t.Name)
	}
	return names, err
}

// addedTests returns the names of the tests for an architecture that the
// series adds, up to a patch or all of it.
func addedTests(s *series.Series, through int, arch arch.Arch) []string {
	var names []string
	for _, p := range s.Patches {
		if through > 0 && p.Number > through {
			break
		}
		for _, f := range p.Files {
			name, ok := kbuild.SelftestName(f.NewPath())
			if ok && f.OldPath() == "" && isFor(name, arch) {
				names = append(names, name)
			}
		}
	}
	return names
}

// isFor tells whether a test is for all architectures or this one.
func isFor(test string, arch arch.Arch) bool {
	dir := path.Dir(test)
	return dir == "." || dir == arch.Source
}

// proofs returns which of the added tests have to fail on the base kernel.
func (c selftestCmd) proofs(l *lab, s *series.Series, arch arch.Arch, added []string) ([]selftest.Proof, error) {
	all, err := selftest.LoadProofs(l.path("ci", proofsFile))
	if err != nil {
		return nil, err
	}
	var proofs []selftest.Proof
	for _, p := range all {
		if !isFor(p.Test, arch) {
			continue
		}
		if !slices.Contains(added, p.Test) {
			fmt.Fprintf(l.stderr, "ci/%s: the series does not have %s\n", proofsFile, p.Test)
			continue
		}
		if !slices.ContainsFunc(s.Patches, func(patch *series.Patch) bool { return patch.Subject == p.Patch }) {
			return nil, exit.With(exit.Usage, fmt.Errorf("ci/%s: %s is to prove %q: no patch of the series has that subject", proofsFile, p.Test, p.Patch))
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}
