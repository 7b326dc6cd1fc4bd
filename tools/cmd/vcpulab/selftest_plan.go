// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/pattern"
	"vcpulab/tools/selftest"
	"vcpulab/tools/series"
	"vcpulab/tools/vm"
)

// proofsFile says which tests have to fail on the base kernel.
const proofsFile = "proofs.toml"

// selftestPlan is what runs on the kernels of one architecture.
type selftestPlan struct {
	arch   arch.Arch
	params []vm.Param
	// The tests of each tree; a nil base is those of patched that it has.
	base, patched []string
	expect        selftest.Expectations
	// setting is what they run on, once that is known.
	setting selftest.Setting
}

// String names the plan among those of a run.
func (p selftestPlan) String() string {
	return strings.TrimSpace(p.arch.Name + " " + vm.JoinParams(p.params))
}

// dir is where the plan's logs go, below that of the run.
func (p selftestPlan) dir() string {
	return filepath.Join(p.arch.Name, strings.ReplaceAll(vm.JoinParams(p.params), " ", "_"))
}

// quick tells whether only the selftests that use the lookups are run. On kernels
// that look for faults all tests would take days.
func (c selftestCmd) quick() bool {
	return c.UnitTests == "" && (c.Quick || c.searching() && len(c.Only) == 0)
}

// plans decides what to run. Errors come before a kernel is built or, if possible, fetched.
func (c selftestCmd) plans(ctx context.Context, l *lab) ([]selftestPlan, error) {
	arches, err := arch.FindAmong(arch.Tested(), c.Arch)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	if c.searching() && (len(arches) > 1 || arches[0].Name != arch.X86_64().Name) {
		return nil, exit.With(exit.Usage, fmt.Errorf("--config %s is for x86_64, not for %s", c.Config, c.Arch))
	}
	if c.UnitTests != "" && (c.Quick || len(arches) > 1 || arches[0].Name != arch.X86_64().Name) {
		return nil, exit.With(exit.Usage, errors.New("--kvm-unit-tests is for x86_64 and cannot be combined with --quick: choose with --only"))
	}
	if err := pattern.Check(c.Only); err != nil {
		return nil, fmt.Errorf("select selftests: %w", err)
	}
	ser, last, err := l.series(ctx, c.seriesFlags)
	if err != nil {
		return nil, err
	}

	combined, err := c.combineParams()
	if err != nil {
		return nil, err
	}
	var known []selftest.KnownFailure
	if c.Known != "" {
		if known, err = selftest.LoadKnown(c.Known); err != nil {
			return nil, err
		}
	}

	var plans []selftestPlan
	for _, a := range arches {
		p := selftestPlan{arch: a, expect: selftest.Expectations{Known: known}}
		if c.UnitTests == "" {
			p.expect.Added = addedTests(ser, last, a)
			p.expect.Proofs, err = c.proofs(l, ser, p)
		}
		if err == nil && c.quick() {
			p.patched, err = c.quickTests(ctx, l, p)
		}
		if err != nil {
			return nil, err
		}
		for _, p.params = range combined {
			plans = append(plans, p)
		}
	}
	if c.quick() || c.UnitTests != "" {
		return plans, nil
	}
	return plans, c.list(ctx, l, plans)
}

// quickTests returns the names of the tests that use the lookups, and those of the series.
func (c selftestCmd) quickTests(ctx context.Context, l *lab, p selftestPlan) ([]string, error) {
	tests := slices.Concat(p.arch.QuickTests, p.expect.Added)
	if l.another(c.seriesFlags) { // a kernel that may have other ones
		a, err := l.apply(ctx, c.seriesFlags)
		if err != nil {
			return nil, err
		}
		tests = kbuild.FindSelftests(a.patched, p.arch, tests)
	}
	return c.selected(tests)
}

// list asks both trees for their tests.
func (c selftestCmd) list(ctx context.Context, l *lab, plans []selftestPlan) error {
	a, err := l.apply(ctx, c.seriesFlags)
	if err != nil {
		return err
	}
	for i := range plans {
		p := &plans[i]
		spec := kbuild.Spec{Arch: p.arch}
		if p.base, err = l.builder().ListSelftests(ctx, a.base, spec); err != nil {
			return err
		}
		if p.patched, err = l.builder().ListSelftests(ctx, a.patched, spec); err != nil {
			return err
		}
		// A test that the series removes has to be missed.
		names, err := c.selected(slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.base, p.patched)))))
		if err != nil {
			return err
		}
		unwanted := func(n string) bool { return !slices.Contains(names, n) }
		p.base, p.patched = slices.DeleteFunc(p.base, unwanted), slices.DeleteFunc(p.patched, unwanted)
	}
	return nil
}

func (c selftestCmd) selected(names []string) ([]string, error) {
	selected, err := pattern.Select(names, c.Only, func(name string) string { return name })
	if err != nil {
		return nil, fmt.Errorf("select selftests: %w", err)
	}
	return selected, nil
}

// addedTests returns the tests for an architecture that the series adds up to a patch.
func addedTests(s *series.Series, through int, a arch.Arch) []string {
	var names []string
	for _, p := range s.Patches {
		if p.Number > through {
			break
		}
		for _, f := range p.Files {
			name, ok := kbuild.SelftestName(f.NewPath())
			if ok && f.OldPath() == "" && a.HasTest(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// proofs returns which of the added tests have to fail on the base kernel.
func (c selftestCmd) proofs(l *lab, s *series.Series, plan selftestPlan) ([]selftest.Proof, error) {
	if c.Series != "" {
		return nil, nil
	}
	listed, err := selftest.LoadProofs(l.path("ci", proofsFile))
	if err != nil {
		return nil, err
	}
	var proofs []selftest.Proof
	for _, p := range listed {
		if !plan.arch.HasTest(p.Test) {
			continue
		}
		if !slices.Contains(plan.expect.Added, p.Test) {
			if c.Set == "" {
				fmt.Fprintf(l.stderr, "ci/%s: the series does not have %s\n", proofsFile, p.Test)
			}
			continue
		}
		if !slices.ContainsFunc(s.Patches, func(patch *series.Patch) bool { return patch.Subject == p.Patch }) {
			return nil, exit.With(exit.Usage, fmt.Errorf("ci/%s: %s is to prove %q: no patch of the series has that subject", proofsFile, p.Test, p.Patch))
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}
