// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/mutant"
	"vcpulab/tools/pattern"
	"vcpulab/tools/progress"
	"vcpulab/tools/selftest"
	"vcpulab/tools/series"
	"vcpulab/tools/vm"
)

type mutantsCmd struct {
	Set     string   `help:"Only those of this set or rival of patches/sets.toml." placeholder:"NAME"`
	Only    []string `help:"Names of mutants; * and ? are wild. May be given again." placeholder:"PATTERN"`
	Reverts bool     `help:"Only those that lack a patch, see ci/reverts.toml."`
	Fast    bool     `help:"Only those that need no kernel but the default one and take little time."`
	List    bool     `help:"List the mutants, why a reader could miss them and which check must catch them." xor:"what"`
	Refresh bool     `help:"Rewrite the mutants whose lines have only moved in the series." xor:"what"`
	Again   bool     `help:"Run mutants again whose results are in the cache."`
	Accel   string   `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Out     string   `help:"Directory for logs, JSON and JUnit." default:"out/mutants" placeholder:"DIR"`
}

// Run prints which check catches each mutant.
func (c mutantsCmd) Run(ctx context.Context, l *lab, sets *series.Sets) error {
	all, err := c.load(l, sets)
	if err != nil {
		return err
	}
	mutants, err := pattern.Select(all, c.Only, func(m *mutant.Mutant) string { return m.Name })
	if err != nil {
		return fmt.Errorf("select mutants: %w", err)
	}
	mutants = slices.DeleteFunc(slices.Clone(mutants), func(m *mutant.Mutant) bool {
		return c.Fast && !m.Fast() || c.Reverts && !m.Revert || c.Set != "" && m.Set != c.Set
	})
	if c.List {
		return l.print(mutants, mutantsText)
	}
	if c.Refresh {
		return c.refresh(ctx, l, sets, mutants)
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	report, err := c.run(ctx, l, sets, ofRivals(sets, all, mutants), out)
	if err != nil {
		return err
	}
	err = report.Save(out)
	if !l.JSON {
		l.printf("logs: %s\n\n", out)
	}
	return errors.Join(err, l.show(report, report.WriteText), report.Err())
}

// run runs mutants of all sets, and beside them those of one rival after the other: it
// may be that of either a guest runs that keeps no processor busy.
func (c mutantsCmd) run(ctx context.Context, l *lab, sets *series.Sets, stacks []stackMutants, out string) (*mutant.Report, error) {
	parts := make([]*mutant.Report, len(stacks))
	runStack := func(ctx context.Context, i int) error {
		r, err := c.runner(ctx, l, sets, stacks[i].rival)
		if err != nil {
			return err
		}
		r.Tests, r.Out = mutant.Tests(stacks[i].tested), out
		parts[i], err = r.Run(ctx, stacks[i].mutants)
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, stack := range stacks {
		if stack.rival == "" {
			g.Go(func() error { return runStack(ctx, i) })
		}
	}
	g.Go(func() error {
		for i, stack := range stacks {
			if stack.rival == "" {
				continue
			}
			if err := runStack(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	report := new(mutant.Report)
	for _, part := range parts {
		report.Results = append(report.Results, part.Results...)
	}
	return report, nil
}

// load reads all mutants, and makes those that lack a patch.
func (c mutantsCmd) load(l *lab, sets *series.Sets) ([]*mutant.Mutant, error) {
	if c.Set != "" {
		if _, err := sets.Find(c.Set); err != nil {
			return nil, err
		}
	}
	var of []*series.Series
	for _, rival := range append([]series.Set{{}}, sets.Rivals...) { // all sets first
		s, err := sets.Load(rival.Name)
		if err != nil {
			return nil, err
		}
		of = append(of, s)
	}
	mutants, err := mutant.Load(l.path("ci", "mutants"), of...)
	if err != nil {
		return nil, err
	}
	reverts, err := mutant.LoadReverts(l.path("ci", "reverts.toml"), of[0])
	return append(mutants, reverts...), err
}

// stackMutants are mutants of all sets, or with the name of a rival of that one:
// those to run, and those whose tests are built together.
type stackMutants struct {
	rival           string
	mutants, tested []*mutant.Mutant
}

// ofRivals splits mutants into those of all sets, and those of each rival. A mutant
// of a set is of all sets, also where a rival needs the set.
func ofRivals(sets *series.Sets, all, mutants []*mutant.Mutant) []stackMutants {
	split := []stackMutants{{}}
	for _, rival := range sets.Rivals {
		split = append(split, stackMutants{rival: rival.Name})
	}
	of := func(m *mutant.Mutant) *stackMutants {
		return &split[max(0, slices.IndexFunc(split, func(s stackMutants) bool { return s.rival == m.Set }))]
	}
	for _, m := range all {
		of(m).tested = append(of(m).tested, m)
	}
	for _, m := range mutants {
		of(m).mutants = append(of(m).mutants, m)
	}
	return slices.DeleteFunc(split, func(s stackMutants) bool { return len(s.mutants) == 0 })
}

// runner returns what runs mutants of all sets, or of a rival.
func (c mutantsCmd) runner(ctx context.Context, l *lab, sets *series.Sets, rival string) (*mutant.Runner, error) {
	subject, err := l.submission(ctx, seriesFlags{})
	if err != nil {
		return nil, err
	}
	stack, err := sets.Stack(rival)
	if err != nil {
		return nil, err
	}
	for _, set := range stack {
		subject.Sets = append(subject.Sets, set.Name)
	}
	subject.Seen = new(sync.Map)
	columns, err := matrix.Load(l.path("ci", "matrix"))
	if err != nil {
		return nil, err
	}
	return &mutant.Runner{
		Root: l.root, Patches: l.path("patches"), Rival: rival, Cache: l.cache, Builder: l.builder(), Columns: columns,
		Verify: *subject, Again: c.Again, Log: l.log, LargeGuests: l.guestsAtOnce(searchMemMiB),
		Guests: func(config string) (mutant.Guests, error) { return c.guests(l, config) },
		Accel: func(ctx context.Context, k *kbuild.Kernel) (vm.Accel, error) {
			v, err := l.accel(ctx, c.Accel, k)
			return v.Accel, err
		},
	}, nil
}

// kcsanOften has KCSAN stop at one access in 50, not in 500 as it is configured
// to: a mutant has one run of one test to be caught in, of which KVM is a small
// part. All tests would take an hour that way.
const kcsanOften = "kcsan.skip_watch=50"

// guests says how the kernels of a configuration, or of another architecture, are built and run.
func (c mutantsCmd) guests(l *lab, config string) (mutant.Guests, error) {
	g := mutant.Guests{Options: selftest.Options{Parallel: 1, Source: l.root}, Machines: make(map[string]string)}
	proofs, err := selftest.LoadProofs(l.path("ci", proofsFile))
	if err != nil {
		return g, err
	}
	for _, p := range proofs {
		g.Machines[p.Test] = p.Machine
	}
	name := arch.X86_64().Name
	if !slices.Contains([]string{configDefault, configDebug, configKCSAN}, config) {
		if _, err := arch.FindAmong(arch.Tested(), config); err != nil || config == name {
			return g, exit.With(exit.Usage, fmt.Errorf("unknown configuration %q for kernels: expected %s, %s, %s or the name of another architecture",
				config, configDefault, configDebug, configKCSAN))
		}
		name, config = config, configDefault
	}
	if err := l.guestOptions(config, &g.Options); err != nil {
		return g, err
	}
	if g.Options.Overlook != nil {
		races, err := os.ReadFile(l.path("ci", racesFile))
		if err != nil {
			return g, err
		}
		g.Overlooked, g.Options.Append, g.Tries = string(races), []string{kcsanOften}, 3
	}
	g.Spec, err = l.spec(kernelFlags{Config: config}, name)
	return g, err
}

const mutantsText = `{{range .}}{{.Name}}
  {{.Fault}}
{{with .Missed}}  {{.}}
{{end}}  {{with .Unnoticed}}nothing notices it: {{.}}{{else}}must be caught by: {{.KilledBy}}{{if .Fast}} (fast){{end}}{{end}}
{{end}}{{count (len .) "mutant"}}
`

func (c mutantsCmd) refresh(ctx context.Context, l *lab, sets *series.Sets, mutants []*mutant.Mutant) error {
	mutants = slices.DeleteFunc(mutants, func(m *mutant.Mutant) bool { return m.Revert })
	var written []*mutant.Mutant
	var stale []error
	for _, some := range ofRivals(sets, nil, mutants) {
		r, err := c.runner(ctx, l, sets, some.rival)
		if err != nil {
			return err
		}
		part, err := r.Refresh(ctx, some.mutants)
		written = append(written, part...)
		stale = append(stale, err)
	}
	text := fmt.Sprintf("{{range .}}rewritten: {{.File}}\n{{end}}{{len .}} of %s rewritten\n", progress.Count(len(mutants), "mutant"))
	return errors.Join(append(stale, l.print(written, text))...)
}
