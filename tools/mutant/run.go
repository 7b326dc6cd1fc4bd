// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/progress"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
	"vcpulab/tools/verify"
	"vcpulab/tools/vm"
)

// Runner runs mutants. All fields are needed but Rival, Again, LargeGuests and Log.
type Runner struct {
	Root    string // the repository
	Patches string // directory of the sets
	// Rival says that the mutants are of this rival and of what it needs, in place
	// of all sets.
	Rival   string
	Cache   *cache.Cache
	Builder *kbuild.Builder
	Columns []kbuild.ObjectSpec                 // of the build matrix
	Tests   []string                            // names of the selftests that are built together
	Guests  func(config string) (Guests, error) // how kernels of a configuration are built and run
	Accel   func(ctx context.Context, k *kbuild.Kernel) (vm.Accel, error)
	// Verify is what package verify inspects, without a series. Its base is the
	// tree that the sets apply to, its Sets are those that are mutated.
	Verify verify.Submission
	Out    string // directory for logs, which exists
	Again  bool   // ignores the mutants' results in the cache, not those of the sets as they are
	// LargeGuests is how many mutants run at a time whose kernels look for faults
	// of their own: their guests have much memory. 0 is 1.
	LargeGuests int
	Log         *progress.Log // nil is silent

	mu      sync.Mutex
	clean   map[string]func() (*observation, error) // of the sets as they are, by check
	sets    *series.Series                          // as they are
	patched tree.Tree                               // that they make
}

// original reads the sets as they are, and makes their tree.
func (r *Runner) original(ctx context.Context) (*Specimen, error) {
	r.clean = make(map[string]func() (*observation, error))
	s, err := r.specimen(nil)
	if err == nil {
		r.sets = s.all
		_, err = s.ID()
	}
	if err == nil {
		r.patched, err = s.Tree(ctx)
	}
	return s, err
}

// Run runs mutants, those with the fastest checks first, and reports them in the
// order of their names. A mutant that survives is no error of Run but of
// Report.Err. An error stands for exit.PatchFailed if some do not apply, or it is
// one that ended the run early.
func (r *Runner) Run(ctx context.Context, mutants []*Mutant) (*Report, error) {
	original, err := r.original(ctx)
	if err != nil {
		return nil, err
	}
	// Errors in the mutants themselves come before anything is run.
	if err := r.try(mutants, func(m *Mutant, on tree.Tree) error {
		_, err := m.change.Try(on, series.Options{})
		return err
	}); err != nil {
		return nil, err
	}
	checks := make(map[string]check)
	for _, m := range mutants {
		if m.Unnoticed != "" {
			continue
		}
		if checks[m.KilledBy.String()], err = r.check(m.KilledBy); err != nil {
			return nil, fmt.Errorf("%s: %w", m.File, err)
		}
	}
	report := &Report{}
	for cost := costRead; cost <= costDebug; cost++ {
		some := slices.DeleteFunc(slices.Clone(mutants), func(m *Mutant) bool { return m.KilledBy.cost() != cost })
		// The slow ones first: one that began last would run alone.
		slices.SortStableFunc(some, func(a, b *Mutant) int { return cmp.Compare(slowRank(a), slowRank(b)) })
		results := make([]Result, len(some))
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(r.atOnce(cost))
		for i, m := range some {
			g.Go(func() error {
				if err := gctx.Err(); err != nil {
					return err
				}
				step := r.Log.Step(fmt.Sprintf("mutant %d of %d, %s", len(report.Results)+i+1, len(mutants), m.Name))
				res, err := r.runMutant(gctx, m, checks[m.KilledBy.String()], original)
				if err != nil {
					step.Fail(err)
					return fmt.Errorf("%s, %s: %w", m.Name, m.KilledBy, err)
				}
				step.Done("%s", res.short())
				results[i] = *res
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		report.Results = append(report.Results, results...)
	}
	slices.SortFunc(report.Results, func(a, b Result) int { return cmp.Compare(a.Name, b.Name) })
	return report, nil
}

func slowRank(m *Mutant) int {
	if m.Slow {
		return 0
	}
	return 1
}

// atOnce returns how many mutants whose checks take that much run at a time: one
// kernel is compiled while another one runs and a third is put away, and what is read
// takes one processor. To compile objects alone uses all processors.
func (r *Runner) atOnce(cost int) int {
	switch cost {
	case costCompile:
		return 1
	case costGuest:
		return 3
	case costDebug:
		return min(2, max(1, r.LargeGuests))
	}
	return 2
}

func (r *Runner) check(k Killer) (check, error) {
	switch k.Kind {
	case Apply:
		return applyCheck{}, nil
	case Matrix:
		i := slices.IndexFunc(r.Columns, func(c kbuild.ObjectSpec) bool { return c.Name == k.Column })
		if i < 0 {
			return nil, exit.With(exit.Usage, fmt.Errorf("the build matrix has no column %q", k.Column))
		}
		return matrixCheck{r, r.Columns[i], k.Each}, nil
	case Selftest:
		g, err := r.Guests(k.Config)
		return selftestCheck{r, k, g}, err
	}
	chosen, err := verify.Choose(k.Check)
	if err != nil {
		return nil, err
	}
	return verifyCheck{r, chosen[0]}, nil
}

func (r *Runner) runMutant(ctx context.Context, m *Mutant, c check, original *Specimen) (_ *Result, err error) {
	mutated, err := r.specimen(m)
	defer func() { err = errors.Join(err, mutated.remove(ctx)) }()
	if err != nil {
		return nil, err
	}

	res := &Result{Mutant: m}
	details, err := r.judge(ctx, c, pair{original, mutated}, res)
	if barred, ok := errors.AsType[*barredError](err); ok {
		details = mutated.places(barred.err.Error())
		res.Fate, res.Findings, err = Otherwise, []Complaint{{barred.stage, details}}, nil
	}
	if err != nil {
		return nil, err
	}
	return res, r.keep(details, res)
}

// judge has a check look at both, and returns what is to be kept for people.
func (r *Runner) judge(ctx context.Context, c check, p pair, res *Result) (details string, err error) {
	res.Fate = Unnoticed
	if res.Unnoticed != "" {
		if _, err := p.mutant.ID(); err != nil {
			return "", err
		}
	} else {
		clean, err := r.run(ctx, res.KilledBy, c, p.series, p)
		if err != nil {
			return "", err
		}
		wrong, err := r.beyondBase(ctx, c, p, res.KilledBy, clean)
		if err != nil {
			return "", err
		}
		if len(wrong) > 0 {
			res.Fate, res.Findings = Unfounded, wrong
			return clean.Details, nil
		}
		found, err := r.run(ctx, res.KilledBy, c, p.mutant, p)
		if err != nil {
			return "", err
		}
		res.Seconds, res.Cached, res.Findings, details = found.Seconds, found.cached, found.beyond(clean.Splats, res.KilledBy.Test), found.Details
		res.Fate = Survived
		if i := res.finds(res.Findings); i >= 0 {
			res.Fate, res.Found = Killed, &res.Findings[i]
			return details, nil
		}
	}
	if len(res.Findings) == 0 {
		res.Findings, err = r.runOthers(ctx, p)
	}
	if len(res.Findings) > 0 {
		res.Fate = Otherwise
	}
	return details, err
}

// beyondBase returns what a check found in the sets as they are, but for what the
// base kernel complains of, too.
func (r *Runner) beyondBase(ctx context.Context, c check, p pair, k Killer, clean *observation) ([]Complaint, error) {
	known := &observation{}
	if len(clean.Splats) > 0 {
		var err error
		if known, err = r.run(ctx, k, c, &Specimen{Name: "the base", base: true, r: r}, p); err != nil {
			return nil, err
		}
	}
	return clean.beyond(known.Splats, k.Test), nil
}

// keep writes the log of a mutant.
func (r *Runner) keep(details string, res *Result) error {
	res.Log = filepath.Join(r.Out, res.Name+".log")
	text := fmt.Sprintf("%s\n%s\n%s: %s\n", res.Name, res.Fault, res.by(), res.Fate)
	for _, f := range res.Findings {
		text += f.String() + "\n"
	}
	return os.WriteFile(res.Log, []byte(text+"\n"+details), 0o644)
}

// Refresh rewrites mutants whose lines have moved: it finds them by their
// context, all of which must exist, in one place only. It returns those that it
// rewrote. The error stands for exit.PatchFailed if some cannot be found so.
func (r *Runner) Refresh(ctx context.Context, mutants []*Mutant) (written []*Mutant, err error) {
	if _, err := r.original(ctx); err != nil {
		return nil, err
	}
	err = r.try(mutants, func(m *Mutant, on tree.Tree) error {
		report, err := m.change.Try(on, series.Options{Relocate: true})
		if err != nil {
			return err
		}
		if report.Patches[0].Status == series.Already {
			return &series.ApplyError{Patch: m.Name, Reason: "the series has the fault itself", Err: series.ErrApplied}
		}
		if len(report.Shifts) == 0 {
			return nil
		}
		written = append(written, m)
		return renameio.WriteFile(m.File, slices.Concat(m.head, move(m.diff, report.Shifts)), 0o644)
	})
	return written, err
}

// move returns a diff with the numbers of the lines at which its hunks are found.
func move(diff []byte, shifts []series.Shift) []byte {
	var b bytes.Buffer
	file, hunk := "", 0
	for line := range strings.Lines(string(diff)) {
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			file, hunk = strings.TrimSpace(name), 0
		}
		var was, wasN, is, isN int
		if n, _ := fmt.Sscanf(line, "@@ -%d,%d +%d,%d @@", &was, &wasN, &is, &isN); n == 4 {
			hunk++
			for _, s := range shifts {
				if s.File == file && s.Hunk == hunk {
					_, heading, _ := strings.Cut(line, " @@")
					line = fmt.Sprintf("@@ -%d,%d +%d,%d @@%s", was+s.Offset, wasN, is+s.Offset, isN, heading)
				}
			}
		}
		b.WriteString(line)
	}
	return b.Bytes()
}
