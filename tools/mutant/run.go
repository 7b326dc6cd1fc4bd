// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
	"vcpulab/tools/verify"
	"vcpulab/tools/vm"
)

// Runner runs mutants.
type Runner struct {
	// Root is the repository, Patches the folder of the series.
	Root    string
	Patches string
	// Base is the tree that the series applies to.
	Base    tree.Tree
	Cache   *cache.Cache
	Builder *kbuild.Builder
	// Columns are those of the build matrix.
	Columns []kbuild.ObjectSpec
	// Tests are the names of selftests that are built at a time.
	Tests []string
	// Guests says how kernels of a configuration are built and run.
	Guests func(config string) (Guests, error)
	// Accel chooses how guests are run.
	Accel func(ctx context.Context, k *kbuild.Kernel) (vm.Accel, error)
	// Verify is what package verify looks at; its series is replaced.
	Verify verify.Subject
	// Out is the folder for logs.
	Out string
	// Again has everything looked at again that is known from before.
	Again bool
	// Log shows progress; nil is silent.
	Log *progress.Log

	mu   sync.Mutex
	seen map[string]bool // keys of what was looked at in this run
}

// Run runs mutants, those whose checks take least first, and reports them in
// the order of their names. The report is complete also where mutants survive;
// Err says so. Errors are for what keeps it from being run to the end: a
// *StaleError, ctx, a machine that lacks something.
func (r *Runner) Run(ctx context.Context, mutants []*Mutant) (*Report, error) {
	r.seen = make(map[string]bool)
	original, err := newSubject(r.Patches, r.Base, r.Cache)
	if err != nil {
		return nil, err
	}
	patched, err := original.Tree(ctx, 0)
	if err != nil {
		return nil, err
	}
	// What is wrong with the mutants themselves is said before anything is run.
	if err := stale(mutants, r.Patches, patched); err != nil {
		return nil, err
	}
	checks := make(map[string]check)
	for _, m := range mutants {
		c, err := r.check(m.KilledBy)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.File, err)
		}
		checks[m.KilledBy.String()] = c
	}
	mutants = slices.SortedStableFunc(slices.Values(mutants), func(a, b *Mutant) int {
		return cmp.Or(cmp.Compare(a.KilledBy.cost(), b.KilledBy.cost()),
			cmp.Compare(a.KilledBy.String(), b.KilledBy.String()), cmp.Compare(a.Name, b.Name))
	})
	report := &Report{Results: make([]Result, len(mutants))}
	g, gctx := errgroup.WithContext(ctx)
	for i, m := range mutants {
		// One kernel is compiled while another one runs. Other checks use all
		// processors by themselves, and larger guests all memory.
		overlap := m.KilledBy.cost() == costGuest
		if i == 0 || !overlap || mutants[i-1].KilledBy.cost() != costGuest {
			if err := g.Wait(); err != nil {
				return nil, err
			}
			g, gctx = errgroup.WithContext(ctx)
			g.SetLimit(1)
			if overlap {
				g.SetLimit(atOnce)
			}
		}
		g.Go(func() error {
			if err := gctx.Err(); err != nil {
				return err
			}
			step := r.Log.Step(fmt.Sprintf("mutant %d of %d, %s", i+1, len(mutants), m.Name))
			res, err := r.one(gctx, m, checks[m.KilledBy.String()], original)
			if err != nil {
				step.Fail(err)
				return fmt.Errorf("%s, %s: %w", m.Name, m.KilledBy, err)
			}
			step.Done("%s", res.short())
			report.Results[i] = *res
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(report.Results, func(a, b Result) int { return cmp.Compare(a.Name, b.Name) })
	return report, nil
}

// atOnce is how many mutants are under way at a time whose checks are guests.
const atOnce = 2

// check returns the check that a killer names.
func (r *Runner) check(k Killer) (check, error) {
	switch k.Kind {
	case Apply:
		return applyCheck{}, nil
	case Matrix:
		return r.newMatrixCheck(k)
	case Selftest:
		return r.newSelftestCheck(k)
	}
	return r.newVerifyCheck(k)
}

// one runs one mutant.
func (r *Runner) one(ctx context.Context, m *Mutant, c check, original *Subject) (_ *Result, err error) {
	res := &Result{Name: m.Name, File: m.File, Fault: m.Fault, Missed: m.Missed, KilledBy: m.KilledBy.String(), Finds: m.Finds.String()}
	mutated, remove, err := original.with(m)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mutated.forget(ctx), remove()) }()
	p := pair{series: original, mutant: mutated}
	var clean, found *looked
	if clean, err = r.run(ctx, m.KilledBy, c, original, p); err == nil {
		if len(clean.Findings) > 0 {
			res.Verdict, res.Findings = Unfounded, clean.Findings
			return res, r.keep(m, clean.Details, res)
		}
		found, err = r.run(ctx, m.KilledBy, c, mutated, p)
	}
	if barred, ok := errors.AsType[*barredError](err); ok {
		res.Verdict, res.Findings = Otherwise, []Finding{{barred.stage, strings.ReplaceAll(barred.err.Error(), mutated.Dir, PatchesDir)}}
		return res, r.keep(m, barred.Error(), res)
	}
	if err != nil {
		return nil, err
	}
	res.Seconds, res.Cached, res.Findings = found.Seconds, found.cached, found.Findings
	i := slices.IndexFunc(found.Findings, func(f Finding) bool { return m.Finds.MatchString(f.String()) })
	switch {
	case i >= 0:
		res.Verdict, res.Found = Killed, &found.Findings[i]
	case len(found.Findings) > 0:
		res.Verdict = Otherwise
	default:
		res.Verdict = Survived
		if res.Findings, err = r.others(ctx, p); err != nil {
			return nil, err
		}
		if len(res.Findings) > 0 {
			res.Verdict = Otherwise
		}
	}
	return res, r.keep(m, found.Details, res)
}

// keep writes what there is to read of a mutant.
func (r *Runner) keep(m *Mutant, details string, res *Result) error {
	res.Log = r.logName(m)
	text := fmt.Sprintf("%s\n%s\n%s: %s\n", m.Name, m.Fault, m.KilledBy, res.Verdict)
	for _, f := range res.Findings {
		text += f.String() + "\n"
	}
	if details != "" {
		text += "\n" + details
	}
	if err := os.MkdirAll(filepath.Dir(res.Log), 0o755); err != nil {
		return exit.With(exit.Usage, fmt.Errorf("keep the logs of mutants: %w", err))
	}
	return os.WriteFile(res.Log, []byte(text), 0o644)
}
