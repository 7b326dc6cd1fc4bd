// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	err  error // the first of reading: what was found is incomplete
}

// inTree returns the function of a check that reads the patched tree.
func inTree(look func(ctx context.Context, s *Submission, src *patched, log io.Writer) ([]Finding, error)) func(context.Context, *Submission, io.Writer) ([]Finding, error) {
	return func(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		src, err := s.open()
		if err != nil {
			return nil, err
		}
		found, err := look(ctx, s, src, log)
		if err := cmp.Or(err, src.err); err != nil {
			return nil, err
		}
		return found, nil
	}
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

// fail keeps the first error.
func (p *patched) fail(err error) { p.err = cmp.Or(p.err, err) }

// read returns a file of the patched tree, before one of the base; nil if
// there is none.
func (p *patched) read(name string) []byte {
	if data, ok := p.over[name]; ok {
		return data
	}
	return p.before(name)
}

func (p *patched) before(name string) []byte {
	data, err := fs.ReadFile(p.base, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.fail(err)
	}
	return data
}

// names returns the files of the patched tree that patterns name, or that are
// in directories that they name, with one of the extensions, sorted. Symbolic
// links are not followed. A pattern is one of path.Match.
func (p *patched) names(patterns []string, exts ...string) []string {
	found := make(map[string]bool)
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || !fs.ValidPath(pattern) {
			p.fail(exit.With(exit.Usage, fmt.Errorf("%q is no pattern for paths in a kernel tree", pattern)))
			return nil
		}
		tops, _ := fs.Glob(p.base, pattern) // its only error is that of the pattern
		for _, top := range tops {
			p.fail(fs.WalkDir(p.base, top, func(name string, d fs.DirEntry, err error) error {
				found[name] = err == nil && d.Type().IsRegular()
				return err
			}))
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
	return slices.Sorted(maps.Keys(found))
}
