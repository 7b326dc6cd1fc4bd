// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"slices"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/selftest"
	"vcpulab/tools/series"
)

// proofsFile says which tests have to fail on the base kernel.
const proofsFile = "proofs.toml"

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
func (c selftestCmd) arches() ([]arch.Arch, error) {
	chosen, err := arch.FindBootable(c.Arch)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	if c.searching() && (len(chosen) > 1 || chosen[0].Name != arch.X86_64().Name) {
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
		p := selftestPlan{name: a.Name, arch: a}
		added := addedTests(ser, c.lastPatch(ser), p.arch)
		p.expect = selftest.Expectations{Added: added, Silent: c.Config == configDebug}
		if p.expect.Proofs, err = c.proofs(l, ser, p.arch, added); err != nil {
			return nil, err
		}
		if c.quick() {
			if p.patched, err = c.selected(slices.Concat(a.QuickTests, added)); err != nil {
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
// series adds up to a patch.
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
func (c selftestCmd) proofs(l *lab, s *series.Series, a arch.Arch, added []string) ([]selftest.Proof, error) {
	all, err := selftest.LoadProofs(l.path("ci", proofsFile))
	if err != nil {
		return nil, err
	}
	var proofs []selftest.Proof
	for _, p := range all {
		if !a.HasTest(p.Test) {
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
