// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// A Specimen is what a check inspects: the sets as they are, or with a mutant, or
// the base.
type Specimen struct {
	Name   string  // the mutant's, or says that there is none
	Dir    string  // of the sets
	Mutant *Mutant // nil for the sets as they are

	base bool // without any patch
	r    *Runner
	all  *series.Series // the sets as one series
	err  error          // why there is none
	id   string         // see ID
	made []tree.Tree    // for a mutant, as tmp
	tmp  string
}

// A barredError says that a mutant was caught before its check could run: the
// sets cannot be read, do not apply or do not build.
type barredError struct {
	stage string
	err   error
}

func (e *barredError) Error() string { return fmt.Sprintf("%s: %v", e.stage, e.err) }

// barred makes a *barredError of an error with an exit code if s has a mutant.
func (s *Specimen) barred(code int, stage string, err error) error {
	if err == nil || s.Mutant == nil || exit.Code(err) != code {
		return err
	}
	return &barredError{stage, err}
}

// specimen returns the sets with a mutant, nil for none. Also with an error, remove
// has to be called.
func (r *Runner) specimen(m *Mutant) (s *Specimen, err error) {
	s = &Specimen{Name: "the series", Dir: r.Patches, Mutant: m, r: r}
	if m != nil {
		s.Name = m.Name
	}
	if m != nil && m.OfSeries {
		if s.tmp, err = os.MkdirTemp("", "vcpulab-mutant-"); err == nil {
			s.Dir, err = m.copySeries(r.Patches, s.tmp)
		}
		if err != nil {
			return s, err
		}
	}
	switch {
	case m == nil || m.OfSeries:
		s.all, s.err = series.LoadStack(s.Dir, r.Rival)
	case m.Revert:
		s.all, s.err = m.without(r.sets, r.Verify.Base)
	default:
		s.all = after(r.sets, m.change.Patches[0])
	}
	s.err = s.barred(exit.PatchFailed, "the sets cannot be read", s.err)
	if _, ok := errors.AsType[*barredError](s.err); ok {
		return s, nil // the check apply is for that
	}
	return s, s.err
}

func (s *Specimen) remove(ctx context.Context) error {
	errs := []error{os.RemoveAll(s.tmp)}
	for _, t := range s.made {
		errs = append(errs, series.Forget(context.WithoutCancel(ctx), s.r.Cache, t))
	}
	return errors.Join(errs...)
}

// ID tells specimens apart by the tree that they make: another word in a
// message is no reason to boot anything again.
func (s *Specimen) ID() (string, error) {
	if s.base {
		return s.r.Verify.Base.ID, nil
	}
	if s.id != "" || s.err != nil {
		return s.id, s.err
	}
	files, _, err := s.all.Overlay(s.r.Verify.Base, series.Options{})
	if err != nil {
		return "", s.barred(exit.PatchFailed, "the sets do not apply", err)
	}
	parts := []string{"specimen", s.r.Verify.Base.ID}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		parts = append(parts, name, fmt.Sprint(files[name] == nil), string(files[name]))
	}
	s.id = cache.Key(parts...)
	return s.id, nil
}

// Tree returns the tree that all sets make, or that of the base.
func (s *Specimen) Tree(ctx context.Context) (tree.Tree, error) {
	if s.base {
		return s.r.Verify.Base, nil
	}
	if s.err != nil {
		return tree.Tree{}, s.err
	}
	return s.apply(ctx, s.all, s.r.Verify.Base, 0)
}

// apply makes the tree after a patch of a series; 0 is the last one.
func (s *Specimen) apply(ctx context.Context, of *series.Series, base tree.Tree, through int) (tree.Tree, error) {
	t, report, err := of.Apply(ctx, base, series.Options{Through: through, Cache: s.r.Cache})
	if err == nil && s.Mutant != nil && !report.Cached {
		s.made = append(s.made, t)
	}
	return t, s.barred(exit.PatchFailed, "the sets do not apply", err)
}

// set returns the patches of a set alone, and the tree that they are for.
func (s *Specimen) set(ctx context.Context, name string) (own *series.Series, on tree.Tree, err error) {
	sets, err := series.LoadSets(s.Dir)
	if err != nil {
		return nil, tree.Tree{}, err
	}
	set, err := sets.Find(name)
	if err != nil {
		return nil, tree.Tree{}, err
	}
	own, on, err = sets.LoadOn(ctx, s.r.Verify.Base, set, series.Options{Cache: s.r.Cache})
	return own, on, s.barred(exit.PatchFailed, "the sets cannot be read", err)
}

// try calls do with the diff of each mutant, and the tree that it is of: the one
// that all sets make, or the directory that they are in. The error for those whose
// diffs do not apply stands for exit.PatchFailed.
func (r *Runner) try(mutants []*Mutant, do func(m *Mutant, on tree.Tree) error) error {
	var stale []error
	for _, m := range mutants {
		if m.Revert {
			continue
		}
		if m.OfSeries && filepath.Base(r.Patches) != PatchesDir {
			return fmt.Errorf("%s: the sets are in %s: mutants of their files need a directory named %s", m.File, r.Patches, PatchesDir)
		}
		on := r.patched
		if m.OfSeries {
			on = tree.Tree{Dir: filepath.Dir(r.Patches)}
		}
		err := do(m, on)
		if failed, ok := errors.AsType[*series.ApplyError](err); ok {
			failed.Hint = "" // of users' own trees
			stale = append(stale, fmt.Errorf("%s: %w", m.File, err))
		} else if err != nil {
			return fmt.Errorf("%s: %w", m.File, err)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	const hint = "vcpulab mutants --refresh rewrites those whose lines have only moved; change the others by hand, and keep the fault"
	return exit.With(exit.PatchFailed, fmt.Errorf("mutants that no longer apply to the series:\n%w\n%s", errors.Join(stale...), hint))
}

// copySeries makes a copy of the sets below dir, with the mutant, and returns its
// directory.
func (m *Mutant) copySeries(from, dir string) (string, error) {
	to := filepath.Join(dir, PatchesDir)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return "", err
	}
	files, _, err := m.change.Overlay(tree.Tree{Dir: dir}, series.Options{})
	if err != nil {
		return "", err
	}
	for name, data := range files {
		if data == nil {
			err = os.Remove(filepath.Join(dir, name))
		} else {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	return to, nil
}

// places returns text without the temporary directory that s may be in.
func (s *Specimen) places(text string) string { return strings.ReplaceAll(text, s.Dir, PatchesDir) }
