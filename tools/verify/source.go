// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"vcpulab/tools/exit"
)

// patched is the patched tree: the base, with the files that the series
// changes over it.
type patched struct {
	base fs.FS
	over map[string][]byte
}

// open returns the patched tree. Where the series does not apply the error is
// errNotApplied, or why all sets together do not: no check says that.
func (s *Submission) open() (*patched, error) {
	a := s.apply()
	if a.err != nil && s.Whole {
		return nil, a.err
	}
	if a.err != nil {
		return nil, errNotApplied
	}
	return &patched{base: os.DirFS(s.Base.Dir), over: a.files}, nil
}

// read returns a file of the patched tree, before one of the base; nil if
// there is none.
func (p *patched) read(name string) ([]byte, error) {
	if data, ok := p.over[name]; ok {
		return data, nil
	}
	return p.before(name)
}

func (p *patched) before(name string) ([]byte, error) {
	data, err := fs.ReadFile(p.base, name)
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
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || !fs.ValidPath(pattern) {
			return nil, exit.With(exit.Usage, fmt.Errorf("%q is no pattern for paths in a kernel tree", pattern))
		}
		tops, err := fs.Glob(p.base, pattern)
		if err != nil {
			return nil, err
		}
		for _, top := range tops {
			err := fs.WalkDir(p.base, top, func(name string, d fs.DirEntry, err error) error {
				found[name] = err == nil && d.Type().IsRegular()
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		for name := range p.over {
			for at := name; at != "."; at = path.Dir(at) {
				ok, _ := path.Match(pattern, at)
				found[name] = found[name] || ok
			}
		}
	}
	maps.DeleteFunc(found, func(name string, in bool) bool {
		data, changed := p.over[name]
		return !in || changed && data == nil || !slices.Contains(exts, path.Ext(name))
	})
	return slices.Sorted(maps.Keys(found)), nil
}
