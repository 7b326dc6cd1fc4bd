// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// A Specimen is what a check inspects: the series as it is, or with a mutant.
type Specimen struct {
	// Name is the mutant's, or says that it is the series.
	Name string
	// ID tells specimens apart by what they make of the tree.
	ID string
	// Dir is the directory with the files of the series.
	Dir string
	// Base is the tree that the series applies to.
	Base tree.Tree
	// Mutant is nil for the series as it is.
	Mutant *Mutant

	cache *cache.Cache
	made  []tree.Tree // that were not in the cache
}

// seriesName is the name of the series without a mutant.
const seriesName = "the series"

// A barredError says that a mutant was caught before its check could run: the
// series cannot be read, does not apply or does not build.
type barredError struct {
	stage string
	err   error
}

func (e *barredError) Error() string { return fmt.Sprintf("%s: %v", e.stage, e.err) }
func (e *barredError) Unwrap() error { return e.err }

// barred makes a *barredError of an error with an exit code if s has a mutant.
func (s *Specimen) barred(code int, stage string, err error) error {
	if err == nil || s.Mutant == nil || exit.Code(err) != code {
		return err
	}
	return &barredError{stage, err}
}

// A StaleError says that mutants do not apply to the series.
type StaleError struct {
	Mutants []*Mutant
	Errs    []error // one a mutant
}

// Error says which ones, why, and how to rewrite them.
func (e *StaleError) Error() string {
	text := "mutants that no longer apply to the series:"
	for i, m := range e.Mutants {
		text += fmt.Sprintf("\n%s: %v", m.File, e.Errs[i])
	}
	return text + "\nvcpulab mutants --refresh rewrites those whose lines have only moved; change the others by hand, and keep the fault"
}

// ExitCode implements [exit.Coder].
func (e *StaleError) ExitCode() int { return exit.PatchFailed }

func (e *StaleError) add(m *Mutant, err error) {
	e.Mutants, e.Errs = append(e.Mutants, m), append(e.Errs, err)
}

// orNil returns e unless it has no mutants.
func (e *StaleError) orNil() error {
	if len(e.Mutants) == 0 {
		return nil
	}
	return e
}

// loadSeries returns the series without a mutant, and the tree that it makes.
func (r *Runner) loadSeries(ctx context.Context) (*Specimen, tree.Tree, error) {
	s := &Specimen{Name: seriesName, Dir: r.Patches, Base: r.Base, cache: r.Cache}
	if err := s.identify(); err != nil {
		return nil, tree.Tree{}, err
	}
	t, err := s.Tree(ctx, 0)
	return s, t, err
}

// identify sets the ID. Checks whose results are kept inspect what the series
// does to the tree, not its messages: another word in the cover letter is no
// reason to boot anything again.
func (s *Specimen) identify() error {
	parts := []string{"subject", s.Base.ID}
	sets, err := series.LoadSets(s.Dir)
	if err != nil {
		return err
	}
	for _, set := range sets.All {
		entries, err := os.ReadDir(filepath.Join(s.Dir, set.Name))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			data, err := os.ReadFile(filepath.Join(s.Dir, set.Name, e.Name()))
			if err != nil {
				return err
			}
			parts = append(parts, path.Join(set.Name, e.Name()), string(changes(data)))
		}
	}
	if m := s.Mutant; m != nil && !m.OfSeries {
		parts = append(parts, string(m.diff()))
	}
	s.ID = cache.Key(parts...)
	return nil
}

// changes returns what a patch does to the tree: nothing for a cover letter,
// and all of a file that is not a patch.
func changes(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte("From ")) {
		return data
	}
	_, after, _ := bytes.Cut(data, []byte("\ndiff --git "))
	return after
}

// Series reads the files of the series. A mutant of the tree is one more patch
// at its end.
func (s *Specimen) Series() (*series.Series, error) {
	ser, err := series.LoadAll(s.Dir)
	if s.Mutant == nil {
		return ser, err
	}
	if err != nil {
		return nil, &barredError{"the series cannot be read", err}
	}
	if s.Mutant.OfSeries {
		return ser, nil
	}

	mutation, err := s.Mutant.patch()
	if err != nil {
		return nil, err
	}
	last := *mutation.Patches[0]
	last.Number = len(ser.Patches) + 1
	ser.Patches = append(ser.Patches, &last)
	ser.ID = s.ID
	return ser, nil
}

// Tree returns the tree after a patch of the series or, with 0, after the last
// one, with the mutant if that is of the tree.
func (s *Specimen) Tree(ctx context.Context, through int) (tree.Tree, error) {
	ser, err := s.Series()
	if err != nil {
		return tree.Tree{}, err
	}
	t, report, err := ser.Apply(ctx, s.Base, series.Options{Through: through, Cache: s.cache})
	if err == nil && s.Mutant != nil && !report.Cached {
		s.made = append(s.made, t)
	}
	return t, s.barred(exit.PatchFailed, "the series does not apply", err)
}

// with returns the series with a mutant, and a function that removes what was
// made for it.
func (s *Specimen) with(m *Mutant) (*Specimen, func(context.Context) error, error) {
	mutated := *s
	mutated.Name, mutated.Mutant, mutated.made = m.Name, m, nil
	var dir string
	var err error
	if m.OfSeries {
		if dir, err = os.MkdirTemp("", "vcpulab-mutant-"); err != nil {
			return nil, nil, err
		}
		mutated.Dir, err = m.copySeries(s.Dir, dir)
	}
	if err == nil {
		err = mutated.identify()
	}

	remove := func(ctx context.Context) error {
		var errs []error
		for _, t := range mutated.made {
			errs = append(errs, series.Forget(context.WithoutCancel(ctx), s.cache, t))
		}
		if dir != "" {
			errs = append(errs, os.RemoveAll(dir))
		}
		return errors.Join(errs...)
	}
	if err != nil {
		return nil, nil, errors.Join(err, remove(context.Background()))
	}
	return &mutated, remove, nil
}

// copySeries makes a copy of the series below dir, with the mutant, and returns
// its directory.
func (m *Mutant) copySeries(from, dir string) (string, error) {
	to := filepath.Join(dir, PatchesDir)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return "", err
	}
	mutation, err := m.patch()
	if err != nil {
		return "", err
	}
	files, _, err := mutation.Overlay(tree.Tree{Dir: dir}, series.Options{})
	if err != nil {
		return "", err
	}
	return to, writeFiles(dir, files)
}

// writeFiles writes files below dir; nil removes one.
func writeFiles(dir string, files map[string][]byte) error {
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if err == nil && data == nil {
			err = os.Remove(name)
		} else if err == nil {
			err = os.WriteFile(name, data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// try returns an error if the mutant does not apply to the tree that the series
// in dir makes, or to its files.
func (m *Mutant) try(dir string, patched tree.Tree) error {
	mutation, err := m.patch()
	if err != nil {
		return err
	}
	if m.OfSeries {
		if path.Base(dir) != PatchesDir {
			return fmt.Errorf("the series is in %s: mutants of its files need a directory named %s", dir, PatchesDir)
		}
		patched = tree.Tree{Dir: filepath.Dir(dir)}
	}
	_, err = mutation.Try(patched, series.Options{})
	return err
}

// checkStale returns a *StaleError if some mutants do not apply.
func checkStale(mutants []*Mutant, dir string, patched tree.Tree) error {
	stale := &StaleError{}
	for _, m := range mutants {
		err := m.try(dir, patched)
		if err == nil {
			continue
		}
		if exit.Code(err) != exit.PatchFailed {
			return err
		}
		if failed, ok := errors.AsType[*series.ApplyError](err); ok {
			failed.Hint = "" // of users' own trees
		}
		stale.add(m, err)
	}
	return stale.orNil()
}
