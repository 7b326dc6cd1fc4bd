// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"vcpulab/tools/exit"
)

// patched is the patched tree: the base, with the files that the series
// changes over it.
type patched struct {
	root *os.Root
	over map[string][]byte
}

// open returns the patched tree, which has to be closed. Where the series does
// not apply the error is errNotApplied.
func (s *Submission) open() (*patched, error) {
	a := s.apply()
	if a.err != nil {
		return nil, errNotApplied
	}
	root, err := os.OpenRoot(s.Base.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the tree: %w", err)
	}
	return &patched{root: root, over: a.files}, nil
}

func (p *patched) close() { p.root.Close() }

// read returns a file of the patched tree, before one of the base; nil if
// there is none.
func (p *patched) read(name string) ([]byte, error) {
	if data, ok := p.over[name]; ok {
		return data, nil
	}
	return p.before(name)
}

func (p *patched) before(name string) ([]byte, error) {
	data, err := p.root.ReadFile(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// names returns the files of the patched tree that patterns name, or that are
// in directories that they name, with one of the extensions, sorted. Symbolic
// links are not followed. A pattern is one of path.Match.
func (p *patched) names(patterns []string, exts ...string) ([]string, error) {
	found := make(map[string]bool)
	add := func(name string) {
		if slices.Contains(exts, path.Ext(name)) {
			found[name] = true
		}
	}
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || !fs.ValidPath(pattern) {
			return nil, exit.With(exit.Usage, fmt.Errorf("%q is no pattern for paths in a kernel tree", pattern))
		}
		tops, err := fs.Glob(p.root.FS(), pattern)
		if err != nil {
			return nil, err
		}
		for _, top := range tops {
			err := fs.WalkDir(p.root.FS(), top, func(name string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					add(name)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	for name, data := range p.over {
		if data == nil {
			delete(found, name)
			continue
		}
		for at := name; at != "."; at = path.Dir(at) {
			if slices.ContainsFunc(patterns, func(pattern string) bool { ok, _ := path.Match(pattern, at); return ok }) {
				add(name)
			}
		}
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
