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

// Runner runs mutants. All fields are needed but Again and Log.
type Runner struct {
	// Root is the repository, Patches the directory of the series.
	Root    string
	Patches string
	// Base is the tree that the series applies to.
	Base    tree.Tree
	Cache   *cache.Cache
	Builder *kbuild.Builder
	// Columns are those of the build matrix.
	Columns []kbuild.ObjectSpec
	// Tests are the names of the selftests that are built together.
	Tests []string
	// Guests says how kernels of a configuration are built and run.
	Guests func(config string) (Guests, error)
	// Accel chooses how guests are run.
	Accel func(ctx context.Context, k *kbuild.Kernel) (vm.Accel, error)
	// Verify is what package verify inspects; its series is replaced.
	Verify verify.Submission
	// Out is the directory for logs.
	Out string
	// Again ignores the results in the cache.
	Again bool
	// Log shows progress; nil is silent.
	Log *progress.Log

	mu   sync.Mutex
	seen map[string]bool // keys of results in this run
}

// Run runs mutants, those with the fastest checks first, and reports them in the
// order of their names. A mutant that survives is no error of Run but of
// Report.Err. The error is a *StaleError if some do not apply, or another one
// that ended the run early.
func (r *Runner) Run(ctx context.Context, mutants []*Mutant) (*Report, error) {
	r.seen = make(map[string]bool)
	original, patched, err := r.loadSeries(ctx)
	if err != nil {
		return nil, err
	}
	// Errors in the mutants themselves come before anything is run.
	if err := checkStale(mutants, r.Patches, patched); err != nil {
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
		// processors, and larger guests all memory.
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
			res, err := r.runMutant(gctx, m, checks[m.KilledBy.String()], original)
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

// atOnce is how many mutants run at a time whose checks are guests.
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

// runMutant runs the check of a mutant.
func (r *Runner) runMutant(ctx context.Context, m *Mutant, c check, original *Specimen) (_ *Result, err error) {
	mutated, remove, err := original.with(m)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove(ctx)) }()

	res := &Result{Name: m.Name, File: m.File, Fault: m.Fault, Missed: m.Missed, KilledBy: m.KilledBy.String(), Finds: m.Finds.String()}
	p := pair{series: original, mutant: mutated}
	clean, err := r.run(ctx, m.KilledBy, c, original, p)
	if err == nil && len(clean.Findings) > 0 {
		res.Fate, res.Findings = Unfounded, clean.Findings
		return res, r.keep(m, clean.Details, res)
	}
	var found *observation
	if err == nil {
		found, err = r.run(ctx, m.KilledBy, c, mutated, p)
	}
	if barred, ok := errors.AsType[*barredError](err); ok {
		res.Fate, res.Findings = Otherwise, []Complaint{{barred.stage, strings.ReplaceAll(barred.err.Error(), mutated.Dir, PatchesDir)}}
		return res, r.keep(m, barred.Error(), res)
	}
	if err != nil {
		return nil, err
	}

	res.Seconds, res.Cached, res.Findings = found.Seconds, found.cached, found.Findings
	i := slices.IndexFunc(found.Findings, func(c Complaint) bool { return m.Finds.MatchString(c.String()) })
	switch {
	case i >= 0:
		res.Fate, res.Found = Killed, &found.Findings[i]
	case len(found.Findings) > 0:
		res.Fate = Otherwise
	default:
		res.Fate = Survived
		if res.Findings, err = r.runOthers(ctx, p); err != nil {
			return nil, err
		}
		if len(res.Findings) > 0 {
			res.Fate = Otherwise
		}
	}
	return res, r.keep(m, found.Details, res)
}

// keep writes the log of a mutant.
func (r *Runner) keep(m *Mutant, details string, res *Result) error {
	res.Log = filepath.Join(r.Out, m.Name+".log")
	text := fmt.Sprintf("%s\n%s\n%s: %s\n", m.Name, m.Fault, m.KilledBy, res.Fate)
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
