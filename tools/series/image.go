// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"vcpulab/tools/tree"
)

// File is a file as git sees it: its content, or where the link points to, and its mode.
type File struct {
	Data []byte
	Mode string // as package tree has it

	id string // blob id, when it was needed
}

func (n *File) blobID() string {
	if n.id == "" {
		n.id = tree.BlobID(n.Data)
	}
	return n.id
}

func (n *File) same(o *File) bool {
	return n == nil && o == nil || n != nil && o != nil && n.Mode == o.Mode && string(n.Data) == string(o.Data)
}

// image is the part of a tree that a series touches, in memory: the files of the base, and as
// the patches so far leave them. A nil File does not exist.
type image struct {
	root *os.Root
	base map[string]*File
	now  map[string]*File
	read int64
}

func newImage(root *os.Root) *image {
	return &image{root: root, base: make(map[string]*File), now: make(map[string]*File)}
}

// get returns the file as the patches so far leave it. Errors are for what must not be touched.
func (m *image) get(name string) (*File, error) {
	if n, ok := m.now[name]; ok {
		return n, nil
	}
	if err := checkPath(name); err != nil {
		return nil, err
	}
	// As git does: the file would be another one than the path says.
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, isLink := m.readLink(dir); isLink {
			return nil, fmt.Errorf("%q is beyond the symbolic link %q: %w", name, dir, ErrUnsafePath)
		}
	}
	n, err := m.load(name)
	if err != nil {
		return nil, err
	}
	m.base[name], m.now[name] = n, n
	return n, nil
}

// load reads a file of the base tree.
func (m *image) load(name string) (*File, error) {
	info, err := m.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%q is a directory: %w", name, ErrFile)
	case info.Mode().Type()&^fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%q is neither a file nor a symbolic link: %w", name, ErrFile)
	case info.Size() > MaxTreeFile:
		return nil, fmt.Errorf("%q has %d bytes, more than %d: %w", name, info.Size(), MaxTreeFile, ErrTooLarge)
	}
	if m.read += info.Size(); m.read > MaxTouched {
		return nil, errTouched
	}
	n := new(File)
	n.Mode, n.Data, err = tree.ReadFile(m.root, name)
	return n, err
}

var errTouched = fmt.Errorf("the touched files have more than %d bytes: %w", MaxTouched, ErrTooLarge)

// put takes over what a patch makes of files, nil for those it removes.
func (m *image) put(files map[string]*File) error {
	next := image{root: m.root, now: maps.Clone(m.now)}
	maps.Copy(next.now, files)
	total := 0
	for name, n := range next.now {
		if n == nil {
			continue
		}
		if total += len(n.Data); total > MaxTouched {
			return errTouched
		}
		// What is above has to be a directory.
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			above, known := next.now[dir]
			isFile := above != nil
			if files[name] != nil && !known {
				info, err := m.root.Lstat(dir)
				isFile = err == nil && !info.IsDir()
			}
			if isFile {
				return fmt.Errorf("%q is a file, %q needs a directory there: %w", dir, name, ErrFile)
			}
		}
		if n.Mode == tree.ModeSymlink && !n.same(m.base[name]) {
			if err := next.checkLink(name); err != nil {
				return err
			}
		}
	}
	m.now = next.now
	return nil
}

// checkLink refuses a symbolic link of the series that leads out of the tree through others.
func (m *image) checkLink(name string) error {
	const maxLinks = 40 // the kernel follows no more

	var at []string
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == ".." && len(at) > 0:
			at = at[:len(at)-1]
			continue
		case part == "..":
			return fmt.Errorf("the symbolic link %q leads out of the tree: %w", name, ErrUnsafePath)
		}

		at = append(at, part)
		target, ok := m.readLink(strings.Join(at, "/"))
		if !ok {
			continue
		}
		if strings.HasPrefix(target, "/") {
			return fmt.Errorf("the symbolic link %q leads out of the tree: %w", name, ErrUnsafePath)
		}
		if links++; links > maxLinks {
			return nil
		}
		at = at[:len(at)-1]
		rest = append(strings.Split(target, "/"), rest...)
	}
	return nil
}

// readLink returns where the link of that name points to; ok is false if it is none.
func (m *image) readLink(name string) (target string, ok bool) {
	if n, known := m.now[name]; known {
		if n == nil || n.Mode != tree.ModeSymlink {
			return "", false
		}
		return string(n.Data), true
	}
	target, err := m.root.Readlink(name)
	return target, err == nil
}

// changed returns the paths that differ from the base, sorted.
func (m *image) changed() []string {
	var names []string
	for name, n := range m.now {
		if !n.same(m.base[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// checkPath refuses a path that git would not put into a tree (verify_path() in its
// read-cache.c): one that is absolute, leaves the tree, or belongs to git.
func checkPath(name string) error {
	if name == "." || !filepath.IsLocal(name) || path.Clean(name) != name {
		return fmt.Errorf("the path %q leaves the tree, or is not in its shortest form: %w", name, ErrUnsafePath)
	}
	for part := range strings.SplitSeq(name, "/") {
		// A file system that ignores case, or the ends of names, could take it for .git.
		if part = strings.ToLower(strings.TrimRight(part, " .")); part == ".git" || part == "git~1" {
			return fmt.Errorf("the path %q is git's own: %w", name, ErrUnsafePath)
		}
	}
	return nil
}

// checkTarget refuses a symbolic link that points out of the tree: whoever
// follows it later would leave the tree. This is stricter than git.
func checkTarget(name, target string) error {
	if target == "" || strings.HasPrefix(target, "/") || strings.ContainsRune(target, 0) || !filepath.IsLocal(path.Join(path.Dir(name), target)) {
		return fmt.Errorf("the symbolic link %q points to %q: %w", name, target, ErrUnsafePath)
	}
	return nil
}
