// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// Source is a kernel tree, of which only what a rule is about is read.
type Source struct {
	// Dir is the tree's folder. It is only read.
	Dir string
	// Overlay has files that are to be other than in Dir, by their paths; nil
	// is a file that is not there. Package series makes such.
	Overlay map[string][]byte
}

// attributes says how git finds the names of functions for hunk headers.
const attributes = ".gitattributes"

// inputs returns the files of a source that a rule is to change, by their
// paths, and the places in them. A folder that a pattern names is searched for
// C files; symbolic links are not followed.
func (r *Rule) inputs(src Source) (files map[string][]byte, found []Place, err error) {
	doing := fmt.Sprintf("find what %s is about in %s", r.Name, src.Dir)
	root, err := os.OpenRoot(src.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer root.Close()
	names, err := r.names(root.FS(), src.Overlay)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", doing, err)
	}
	files = make(map[string][]byte)
	for _, name := range names {
		data, err := src.read(root, name)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", doing, err)
		}
		if in := places(name, data, r.Places); data != nil && len(in) > 0 {
			files[name] = data
			found = append(found, in...)
		}
	}
	return files, found, nil
}

// read returns a file of the source, nil if there is none.
func (s Source) read(root *os.Root, name string) ([]byte, error) {
	if data, ok := s.Overlay[name]; ok {
		return data, nil
	}
	data, err := root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// attributes returns the tree's .gitattributes, nil if it has none.
func (s Source) attributes() ([]byte, error) {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return s.read(root, attributes)
}

// names returns the paths of the C files that the rule's patterns name,
// sorted.
func (r *Rule) names(tree fs.FS, overlay map[string][]byte) ([]string, error) {
	names := make(map[string]bool)
	for _, pattern := range r.Paths {
		tops, err := fs.Glob(tree, pattern)
		if err != nil {
			return nil, err
		}
		for _, top := range tops {
			err := fs.WalkDir(tree, top, func(name string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() && isC(name) {
					names[name] = true
				}
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		for name := range overlay {
			if isC(name) && below(pattern, name) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func isC(name string) bool {
	ext := path.Ext(name)
	return ext == ".c" || ext == ".h"
}

// below says whether name, or a folder that it is in, matches pattern.
func below(pattern, name string) bool {
	depth := strings.Count(pattern, "/") + 1
	parts := strings.SplitN(name, "/", depth+1)
	if len(parts) < depth {
		return false
	}
	ok, _ := path.Match(pattern, strings.Join(parts[:depth], "/"))
	return ok
}
