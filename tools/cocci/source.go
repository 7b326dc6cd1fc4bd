// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Source is a kernel tree. Only the files that a rule is about are read.
type Source struct {
	// Dir is the tree's directory.
	Dir string
	// Overlay has files that replace those in Dir, by path; nil is a deleted
	// file. Package series makes such.
	Overlay map[string][]byte
}

// attributes tells git how to find the names of functions for hunk headers.
const attributes = ".gitattributes"

// inputs returns the files of a source that a rule is to change, by path, the
// places in them and the tree's .gitattributes, nil if it has none. A directory
// that a pattern names is searched for C files; symbolic links are not followed.
func (r *Rule) inputs(src Source) (files map[string][]byte, found []Place, attrs []byte, err error) {
	root, err := os.OpenRoot(src.Dir)
	if err != nil {
		return nil, nil, nil, err
	}
	defer root.Close()
	names, err := r.names(root.FS(), src.Overlay)
	if err != nil {
		return nil, nil, nil, err
	}
	files = make(map[string][]byte)
	for _, name := range names {
		data, err := src.read(root, name)
		if err != nil {
			return nil, nil, nil, err
		}
		if in := places(name, data, r.Places); len(in) > 0 {
			files[name] = data
			found = append(found, in...)
		}
	}
	attrs, err = src.read(root, attributes)
	return files, found, attrs, err
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

// below reports whether name, or a directory that it is in, matches pattern.
func below(pattern, name string) bool {
	depth := strings.Count(pattern, "/") + 1
	parts := strings.SplitN(name, "/", depth+1)
	if len(parts) < depth {
		return false
	}
	ok, _ := path.Match(pattern, strings.Join(parts[:depth], "/"))
	return ok
}

// Place is a place in a file that a rule is to change.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"` // 1-based
	Text string `json:"text"` // the line, without the space around it
}

// places returns where re matches in the code of a C file.
func places(name string, src []byte, re *regexp.Regexp) []Place {
	var found []Place
	for _, at := range re.FindAllIndex(code(src), -1) {
		above := src[:at[0]]
		text, _, _ := bytes.Cut(src[bytes.LastIndexByte(above, '\n')+1:], []byte("\n"))
		found = append(found, Place{
			File: name, Line: bytes.Count(above, []byte("\n")) + 1, Text: strings.TrimSpace(string(text)),
		})
	}
	return found
}

// notCode are comments, strings and character constants. A string without an
// end in its line ends there: it is an apostrophe in an #error or in assembly.
var notCode = regexp.MustCompile(`/\*(?s:.*?)(?:\*/|\z)|//[^\n]*|"(?:\\(?s:.)|[^"\\\n])*["\\]?|'(?:\\(?s:.)|[^'\\\n])*['\\]?`)

// code returns C source with what is not code replaced by blanks. Lines keep
// their numbers.
func code(src []byte) []byte {
	out := bytes.Clone(src)
	for _, at := range notCode.FindAllIndex(src, -1) {
		for i := at[0]; i < at[1]; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	return out
}
