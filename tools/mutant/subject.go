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
	"slices"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// A Subject is what a check looks at: the series as it is, or with a mutant.
type Subject struct {
	// Name is the mutant's, or says that it is the series.
	Name string
	// ID tells subjects apart by what they make of the tree.
	ID string
	// Dir is the folder with the files of the series.
	Dir string
	// Base is the tree that the series applies to.
	Base tree.Tree
	// Mutant is what was done to it, nil for nothing.
	Mutant *Mutant

	cache *cache.Cache
	made  []tree.Tree // that were not in the cache
}

// seriesName is what the series without a mutant is called.
const seriesName = "the series"

// A barredError says that a mutant was caught before the check had its turn:
// the series cannot be read, does not apply or does not build.
type barredError struct {
	stage string
	err   error
}

func (e *barredError) Error() string { return fmt.Sprintf("%s: %v", e.stage, e.err) }
func (e *barredError) Unwrap() error { return e.err }

// A StaleError says that mutants are of another state of the series.
type StaleError struct {
	Mutants []*Mutant
	Errs    []error // one a mutant
}

// Error says which ones, why, and how they are made anew.
func (e *StaleError) Error() string {
	text := "mutants that no longer apply to the series:"
	for i, m := range e.Mutants {
		text += fmt.Sprintf("\n%s: %v", m.File, e.Errs[i])
	}
	return text + "\nvcpulab mutants --refresh writes them anew where their lines have but moved; else change them by hand, and keep the fault"
}

// ExitCode implements [exit.Coder].
func (e *StaleError) ExitCode() int { return exit.PatchFailed }

// newSubject returns the series in dir without a mutant.
func newSubject(dir string, base tree.Tree, c *cache.Cache) (*Subject, error) {
	s := &Subject{Name: seriesName, Dir: dir, Base: base, cache: c}
	return s, s.identify()
}

// identify sets the ID. Checks whose results are kept look at what the series
// does to the tree, and not at what its mails say: a word in the cover letter
// is no reason to boot anything again.
func (s *Subject) identify() error {
	parts := []string{"subject", s.Base.ID}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(s.Dir, e.Name()))
		if err != nil {
			return err
		}
		parts = append(parts, e.Name(), string(changes(data)))
	}
	if m := s.Mutant; m != nil && !m.OfSeries {
		parts = append(parts, string(m.diff()))
	}
	s.ID = cache.Key(parts...)
	return nil
}

// changes returns what a mail does to the tree, nothing for a cover letter, and
// all of a file that is no mail.
func changes(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte("From ")) {
		return data
	}
	_, after, _ := bytes.Cut(data, []byte("\ndiff --git "))
	return after
}

// diff returns what is below the head.
func (m *Mutant) diff() []byte {
	rest := m.text
	for range m.head {
		i := slices.Index(rest, '\n')
		rest = rest[i+1:]
	}
	return rest
}

// Series reads the files of the series. A mutant of the tree is one more patch
// at its end.
func (s *Subject) Series() (*series.Series, error) {
	ser, err := series.Load(s.Dir)
	if s.Mutant == nil {
		return ser, err
	}
	if err != nil {
		return nil, &barredError{"the series cannot be read", err}
	}
	if s.Mutant.OfSeries {
		return ser, nil
	}
	mail, err := s.Mutant.mail()
	if err != nil {
		return nil, err
	}
	last := *mail.Patches[0]
	last.Number = len(ser.Patches) + 1
	ser.Patches = append(ser.Patches, &last)
	ser.ID = s.ID
	return ser, nil
}

// Tree returns the tree after a patch of the series, or, with 0, after the
// last one, with the mutant if that is of the tree.
func (s *Subject) Tree(ctx context.Context, through int) (tree.Tree, error) {
	ser, err := s.Series()
	if err != nil {
		return tree.Tree{}, err
	}
	t, report, err := ser.Apply(ctx, s.Base, series.Options{Through: through, Cache: s.cache})
	if err != nil && s.Mutant != nil && exit.Code(err) == exit.PatchFailed {
		err = &barredError{"the series does not apply", err}
	}
	if err == nil && s.Mutant != nil && !report.Cached {
		s.made = append(s.made, t)
	}
	return t, err
}

// with returns the series with a mutant, and a function that removes what was
// made for it. An error that stands for exit.PatchFailed says that it does not
// apply.
func (s *Subject) with(m *Mutant) (*Subject, func() error, error) {
	mutated := *s
	mutated.Name, mutated.Mutant, mutated.made = m.Name, m, nil
	remove := func() error { return nil }
	if m.OfSeries {
		dir, err := os.MkdirTemp("", "vcpulab-mutant-")
		if err != nil {
			return nil, nil, err
		}
		remove = func() error { return os.RemoveAll(dir) }
		if mutated.Dir, err = m.copySeries(s.Dir, dir); err != nil {
			return nil, nil, errors.Join(err, remove())
		}
	}
	if err := mutated.identify(); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return &mutated, remove, nil
}

// forget removes the trees that were made for the subject from the cache: they
// are made anew in seconds.
func (s *Subject) forget(ctx context.Context) error {
	for _, t := range s.made {
		if err := series.Forget(context.WithoutCancel(ctx), s.cache, t); err != nil {
			return err
		}
	}
	s.made = nil
	return nil
}

// copySeries makes a copy of the series in dir, with the mutant, and returns
// the folder that it is in.
func (m *Mutant) copySeries(from, dir string) (string, error) {
	to := filepath.Join(dir, PatchesDir)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return "", err
	}
	mail, err := m.mail()
	if err != nil {
		return "", err
	}
	files, _, err := mail.Overlay(tree.Tree{Dir: dir}, series.Options{})
	if err != nil {
		return "", err
	}
	return to, writeFiles(dir, files)
}

// writeFiles makes files below dir what they should be, nil for none.
func writeFiles(dir string, files map[string][]byte) error {
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if data == nil {
			if err := os.Remove(name); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// lacks returns an error if the mutant does not apply. patched is the tree
// that the series makes.
func (m *Mutant) lacks(dir string, patched tree.Tree) error {
	mail, err := m.mail()
	if err != nil {
		return err
	}
	base := patched
	if m.OfSeries {
		if path.Base(dir) != PatchesDir {
			return fmt.Errorf("the series is in %s; a mutant of its files wants a folder of the name %s", dir, PatchesDir)
		}
		base = tree.Tree{Dir: filepath.Dir(dir)}
	}
	_, err = mail.Try(base, series.Options{})
	return err
}

// stale returns a *StaleError if one of the mutants does not apply.
func stale(mutants []*Mutant, dir string, patched tree.Tree) error {
	e := &StaleError{}
	for _, m := range mutants {
		err := m.lacks(dir, patched)
		if err == nil {
			continue
		}
		if exit.Code(err) != exit.PatchFailed {
			return err
		}
		if failed, ok := errors.AsType[*series.ApplyError](err); ok {
			failed.Hint = "" // of users' own trees
		}
		e.Mutants, e.Errs = append(e.Mutants, m), append(e.Errs, err)
	}
	if len(e.Mutants) == 0 {
		return nil
	}
	return e
}
