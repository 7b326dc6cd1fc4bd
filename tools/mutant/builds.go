// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/selftest"
	"vcpulab/tools/tree"
	"vcpulab/tools/vm"
)

type matrixCheck struct {
	*Runner
	column kbuild.ObjectSpec
	each   bool
}

func (c matrixCheck) parts(s *Specimen, p pair) ([]string, error) {
	cfg, err := kbuild.ReadFragments(c.column.Fragments...)
	if err != nil {
		return nil, err
	}
	text, err := sources(c.Root, "tools/matrix", "tools/kbuild")
	// Sets and mutant are compared with different trees, even if all patches make the
	// same tree of both.
	parts := []string{s.Name, cfg.String(), c.column.Defconfig, c.column.Compiler, c.column.WithoutSparse, text}
	if c.each {
		// The mutant decides which patches are compiled, and what they make.
		parts = append(parts, p.series.id, string(p.mutant.Mutant.diff))
	}
	return parts, err
}

// inspect compiles the last tree, or each that is changed. The sets themselves are
// compared with the kernel without them, a mutant with the sets.
func (c matrixCheck) inspect(ctx context.Context, s *Specimen, p pair) (*observation, error) {
	rows, err := c.rows(ctx, s, p)
	if err != nil {
		return nil, err
	}
	report, err := matrix.Run(ctx, c.Builder, []kbuild.ObjectSpec{c.column}, rows, 1)
	if err != nil {
		return nil, err
	}
	o := &observation{}
	var details bytes.Buffer
	err = report.WriteText(&details)
	o.Details = details.String()
	for _, cell := range report.Cells {
		where := c.column.Name
		if c.each {
			where += fmt.Sprintf(", patch %d", cell.Patch)
		}
		if cell.State == matrix.Failed {
			o.Findings = append(o.Findings, Complaint{where, cell.Error})
		}
		for _, w := range cell.New {
			o.Findings = append(o.Findings, Complaint{where, w.String()})
		}
	}
	return o, err
}

// rows returns what to compile, after what to compare it with.
func (c matrixCheck) rows(ctx context.Context, s *Specimen, p pair) ([]matrix.Row, error) {
	row := func(n int, t func(ctx context.Context) (tree.Tree, error)) matrix.Row {
		return matrix.Row{Patch: n, Subject: s.Name, Tree: t}
	}
	base := row(0, func(context.Context) (tree.Tree, error) { return c.Verify.Base, nil })
	if !c.each {
		if s.Mutant != nil {
			base = row(0, p.series.Tree)
		}
		return []matrix.Row{base, row(0, s.Tree)}, nil
	}

	// The patches whose files the mutant changes, and those between them.
	set := p.mutant.Mutant.Set
	own, on, err := s.set(ctx, set)
	if err != nil {
		return nil, err
	}
	changed := p.mutant.Mutant.change.Paths()
	from, to := 0, 0
	for _, patch := range own.Patches {
		if slices.Contains(changed, path.Join(PatchesDir, set, patch.Name)) {
			from, to = cmp.Or(from, patch.Number), patch.Number
		}
	}
	if from == 0 {
		return nil, fmt.Errorf("%s: the mutant changes no patch, there is nothing to compile", p.mutant.Name)
	}
	var rows []matrix.Row
	for n := from - 1; n <= to; n++ {
		rows = append(rows, row(n, func(ctx context.Context) (tree.Tree, error) {
			if n == 0 {
				return on, nil
			}
			return s.apply(ctx, own, on, n)
		}))
	}
	return rows, nil
}

// Guests say how to run guests for a configuration.
type Guests struct {
	Spec     kbuild.Spec
	Options  selftest.Options  // how to run tests, and which splats do not count
	Machines map[string]string // what tests need of the machine, by their names
	// Tries is how often a test runs at most until it finds a mutant's fault, 0 for
	// once: where the kernel finds it by looking at a sample.
	Tries int
	// Overlooked describes Options.Overlook: results in the cache are of no use
	// when it changes.
	Overlooked string
}

type selftestCheck struct {
	*Runner
	k      Killer
	guests Guests
}

func (c selftestCheck) parts(s *Specimen, p pair) ([]string, error) {
	cfg, err := kbuild.ReadFragments(c.guests.Spec.Fragments...)
	if err != nil {
		return nil, err
	}
	text, err := sources(c.Root, "tools/selftest", "tools/vm", "ebpf/guest", "ebpf/wire")
	parts := append([]string{cfg.String(), text, c.guests.Overlooked, c.guests.Machines[c.k.Test]}, c.guests.Options.Append...)
	if s.base {
		parts = append(parts, p.series.id) // whose tests it runs
	}
	return parts, err
}

// inspect builds the kernel and the tests, and runs the test. A mutant has to
// fail at the first try, but for Tries, while the test may run again on the series.
func (c selftestCheck) inspect(ctx context.Context, s *Specimen, p pair) (_ *observation, err error) {
	t, err := s.Tree(ctx)
	if err != nil {
		return nil, err
	}
	k, err := c.Builder.Build(ctx, s.Name, t, c.guests.Spec)
	if err != nil {
		return nil, s.barred(exit.BuildFailed, "the kernel does not build", err)
	}
	if s.Mutant != nil {
		defer func() { err = errors.Join(err, c.Builder.Forget(context.WithoutCancel(ctx), k)) }()
	}
	if s.base {
		// The tests of the series run on the base kernel, too.
		if t, err = p.series.Tree(ctx); err != nil {
			return nil, err
		}
	}
	built, err := c.Builder.BuildSelftests(ctx, t, c.guests.Spec, c.tests())
	if err != nil {
		return nil, s.barred(exit.BuildFailed, "the selftests do not build", err)
	}
	accel, err := c.Accel(ctx, k)
	if err != nil {
		return nil, err
	}
	kernel, err := selftest.NewKernel(s.Name, k, built, accel)
	if err != nil {
		return nil, err
	}

	kernel.Tests = slices.DeleteFunc(kernel.Tests, func(t selftest.Test) bool { return t.Name != c.k.Test })
	for i := range kernel.Tests {
		kernel.Tests[i].Args, kernel.Tests[i].Machine = c.k.Args, c.guests.Machines[c.k.Test]
	}
	o := c.guests.Options
	o.Accel, o.Log = accel, c.Log
	if s.Mutant != nil {
		o.Retries = -1
		// How long the test takes without the fault is known.
		if clean, err := c.Runner.run(ctx, c.k, c, p.series, p); err == nil {
			o.Elsewhere = []selftest.Result{{Name: c.k.Test, Outcome: selftest.Pass, Seconds: clean.Took}}
		}
	}

	if o.KeepDir, err = os.MkdirTemp(c.Out, ".guests-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(o.KeepDir)
	run := func() (*observation, error) {
		results, err := selftest.Run(ctx, c.Cache, kernel, o)
		if fault, ok := errors.AsType[*vm.Fault](err); ok && !fault.Infrastructure() {
			return &observation{Findings: []Complaint{{"boot", fault.Error()}}, Details: fault.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		return c.found(results)
	}
	if s.Mutant == nil {
		return run()
	}
	return c.runUntil(s, run)
}

// runUntil runs a test until it finds a mutant's fault, as often as the guests allow, and
// returns what the last run found.
func (c selftestCheck) runUntil(s *Specimen, run func() (*observation, error)) (*observation, error) {
	for try := 1; ; try++ {
		found, err := run()
		if err != nil || s.Mutant.finds(found.beyond(nil, c.k.Test)) >= 0 || try >= c.guests.Tries {
			return found, err
		}
		c.Log.Printf("%s: %s did not find the fault, it runs again (%d of %d)", s.Name, c.k, try+1, c.guests.Tries)
	}
}

// tests returns the names of the tests to build: those of all mutants that the
// architecture has, so that they are built once.
func (c selftestCheck) tests() []string {
	names := append(slices.Clone(c.Tests), c.k.Test)
	names = slices.DeleteFunc(names, func(name string) bool { return !c.guests.Spec.Arch.HasTest(name) })
	slices.Sort(names)
	return slices.Compact(names)
}

// Tests returns the names of the selftests that mutants are to fail.
func Tests(all []*Mutant) []string {
	var tests []string
	for _, m := range all {
		if m.KilledBy.Kind == Selftest && !slices.Contains(tests, m.KilledBy.Test) {
			tests = append(tests, m.KilledBy.Test)
		}
	}
	return tests
}

func (c selftestCheck) found(results []selftest.Result) (*observation, error) {
	i := slices.IndexFunc(results, func(r selftest.Result) bool { return !selftest.IsChecker(r.Name) })
	if i < 0 {
		return nil, fmt.Errorf("selftest %s: there is no result", c.k.Test)
	}
	r := results[i]
	o := &observation{Took: r.Seconds}
	for _, checker := range results {
		// A guest that did not come to its end proves nothing of its checkers.
		if selftest.IsChecker(checker.Name) && checker.Outcome != selftest.Pass && r.Outcome != selftest.Crash && r.Outcome != selftest.Timeout {
			o.Findings = append(o.Findings, Complaint{checker.Name, checker.Reason})
		}
	}
	if r.Outcome != selftest.Pass {
		o.Findings = append(o.Findings, Complaint{r.Name, fmt.Sprintf("%s: %s", r.Outcome, r.Reason)})
	}
	for _, s := range r.Splats {
		if !strings.Contains(r.Reason, s.Title) {
			o.Splats = append(o.Splats, s)
		}
	}
	// The file itself is removed with its guest's directory.
	if data, err := os.ReadFile(r.Log); err == nil {
		o.Details = string(data)
	}
	return o, nil
}
