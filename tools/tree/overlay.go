// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"vcpulab/tools/exit"
)

// Overlay is a tree with files over its own, as patches make them. It is only read.
type Overlay struct {
	Dir string
	// Over has the files by path; nil is one that is removed.
	Over map[string][]byte
	// Err is the first error of reading: what was found is incomplete then.
	Err error
}

// Read returns a file, nil if there is none.
func (o *Overlay) Read(name string) []byte {
	if data, ok := o.Over[name]; ok {
		return data
	}
	return o.Before(name)
}

// Before returns a file of the tree itself, nil if there is none.
func (o *Overlay) Before(name string) []byte {
	data, err := fs.ReadFile(os.DirFS(o.Dir), name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.fail(err)
	}
	return data
}

// fail keeps the first error.
func (o *Overlay) fail(err error) {
	if err != nil {
		o.Err = cmp.Or(o.Err, fmt.Errorf("%s: %w", o.Dir, err))
	}
}

// Names returns the files that patterns of path.Match name, or that are in directories that
// they name, with one of the extensions, sorted. Symbolic links are not followed.
func (o *Overlay) Names(patterns []string, exts ...string) []string {
	found := make(map[string]bool)
	for _, pattern := range patterns {
		tops, err := fs.Glob(os.DirFS(o.Dir), pattern)
		if err != nil || !fs.ValidPath(pattern) {
			o.fail(exit.With(exit.Usage, fmt.Errorf("%q is no pattern for paths in a kernel tree", pattern)))
			return nil
		}
		for _, top := range tops {
			o.fail(fs.WalkDir(os.DirFS(o.Dir), top, func(name string, d fs.DirEntry, err error) error {
				found[name] = err == nil && d.Type().IsRegular()
				return err
			}))
		}
		for name := range o.Over {
			for at := name; at != "."; at = path.Dir(at) {
				ok, _ := path.Match(pattern, at)
				found[name] = found[name] || ok
			}
		}
	}
	maps.DeleteFunc(found, func(name string, in bool) bool {
		data, changed := o.Over[name]
		return !in || changed && data == nil || !slices.Contains(exts, path.Ext(name))
	})
	return slices.Sorted(maps.Keys(found))
}
