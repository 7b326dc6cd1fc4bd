// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/mutant"
	"vcpulab/tools/selftest"
	"vcpulab/tools/vm"
)

// mutantsCmd tests the checks.
type mutantsCmd struct {
	Only    []string `help:"Names of mutants; * and ? are wild. May be given again." placeholder:"PATTERN"`
	Fast    bool     `help:"Only those that need no kernel but the default one and take little time."`
	List    bool     `help:"Say what mutants there are, why they could be missed and what must catch them." xor:"what"`
	Refresh bool     `help:"Write those mutants anew whose lines have but moved in the series." xor:"what"`
	Again   bool     `help:"Run the checks again whose results are known from before."`
	Accel   string   `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Out     string   `help:"Folder for logs, JSON and JUnit." default:"out/mutants" placeholder:"DIR"`
}

// Run prints which check has caught each mutant.
func (c mutantsCmd) Run(ctx context.Context, l *lab) error {
	all, err := mutant.Load(l.path("ci", "mutants"))
	if err != nil {
		return err
	}
	mutants, err := mutant.Select(all, c.Only)
	if err != nil {
		return err
	}
	if c.Fast {
		mutants = slices.DeleteFunc(slices.Clone(mutants), func(m *mutant.Mutant) bool { return !m.Fast() })
	}
	if c.List {
		return c.list(l, mutants)
	}
	r, err := c.runner(ctx, l)
	if err != nil {
		return err
	}
	if c.Refresh {
		return c.refresh(ctx, l, r, mutants)
	}
	r.Tests = mutant.Tests(all)
	if r.Out, err = outDir(c.Out); err != nil {
		return err
	}
	report, err := r.Run(ctx, mutants)
	if err != nil {
		return err
	}
	return c.show(l, r.Out, report)
}

// runner says what mutants are made of and how they are run.
func (c mutantsCmd) runner(ctx context.Context, l *lab) (*mutant.Runner, error) {
	subject, err := l.subject(ctx)
	if err != nil {
		return nil, err
	}
	columns, err := matrix.Load(l.path("ci", "matrix"))
	if err != nil {
		return nil, err
	}
	return &mutant.Runner{
		Root: l.root, Patches: l.path("patches"), Base: subject.Base, Cache: l.cache, Builder: l.builder(), Columns: columns,
		Verify: *subject, Again: c.Again, Log: l.log,
		Guests: func(config string) (mutant.Guests, error) { return c.guests(l, config) },
		Accel: func(ctx context.Context, k *kbuild.Kernel) (vm.Accel, error) {
			v, err := l.accel(ctx, c.Accel, k)
			return v.Accel, err
		},
	}, nil
}

// kcsanOften has KCSAN stop at one access in so many, not in 500 as it is
// configured to: a mutant has one run of one test to be caught in, and KVM's part
// of what a test does is small. All tests would take an hour that way.
const kcsanOften = "kcsan.skip_watch=50"

// guests says how the kernels of a configuration are built and run.
func (c mutantsCmd) guests(l *lab, config string) (mutant.Guests, error) {
	g := mutant.Guests{Options: selftest.Options{Parallel: 1, Source: l.root}}
	if !slices.Contains([]string{configDefault, configDebug, configKCSAN}, config) {
		return g, exit.With(exit.Usage, fmt.Errorf("there is no configuration %q for kernels; there are %s, %s and %s",
			config, configDefault, configDebug, configKCSAN))
	}
	err := l.guestOptions(config, &g.Options)
	if err != nil {
		return g, err
	}
	if g.Options.Overlook != nil {
		races, err := os.ReadFile(l.path("ci", racesFile))
		if err != nil {
			return g, err
		}
		g.Overlooked = string(races)
		g.Options.Append = []string{kcsanOften}
	}
	g.Spec, err = l.spec(kernelFlags{Config: config}, arch.X86_64().Name)
	return g, err
}

// list prints the mutants.
func (c mutantsCmd) list(l *lab, mutants []*mutant.Mutant) error {
	if l.JSON {
		return l.printJSON(mutants)
	}
	for _, m := range mutants {
		fast := ""
		if m.Fast() {
			fast = " (fast)"
		}
		l.printf("%s\n  %s\n  %s\n  must be caught by: %s%s\n", m.Name, m.Fault, m.Missed, m.KilledBy, fast)
	}
	l.printf("%d mutants\n", len(mutants))
	return nil
}

// refresh writes mutants anew.
func (c mutantsCmd) refresh(ctx context.Context, l *lab, r *mutant.Runner, mutants []*mutant.Mutant) error {
	written, err := r.Refresh(ctx, mutants)
	if l.JSON {
		return errors.Join(l.printJSON(written), err)
	}
	for _, m := range written {
		l.printf("written anew: %s\n", m.File)
	}
	l.printf("%d of %d mutants written anew\n", len(written), len(mutants))
	return err
}

// show prints the report and writes it for programs.
func (c mutantsCmd) show(l *lab, out string, r *mutant.Report) error {
	for name, write := range map[string]func(*os.File) error{
		"mutants.json": func(f *os.File) error { return r.WriteJSON(f) },
		"mutants.xml":  func(f *os.File) error { return r.WriteJUnit(f) },
	} {
		if err := writeFile(filepath.Join(out, name), write); err != nil {
			return err
		}
	}
	if l.JSON {
		return errors.Join(r.WriteJSON(l.stdout), r.Err())
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		return err
	}
	l.printf("logs: %s\n\n%s", out, b.String())
	return r.Err()
}
