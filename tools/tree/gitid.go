// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// The modes that git knows.
const (
	ModeFile       = "100644"
	ModeExecutable = "100755"
	ModeSymlink    = "120000"
	modeTree       = "40000"
)

// Entry is a file or symbolic link of a tree as git sees it.
type Entry struct {
	Path string // relative, with slashes
	Mode string // ModeFile, ModeExecutable or ModeSymlink
	Blob string // git's id of the content, 40 hexadecimal digits
}

// Entries reads all files of the tree in dir and returns them sorted by path.
// keep, unless nil, is asked for each path whether it belongs to the tree; a
// folder that does not is left out with all that is in it. Files that are
// neither regular nor symbolic links are an error, empty folders are left
// out.
func Entries(ctx context.Context, dir string, keep func(name string, isDir bool) bool) ([]Entry, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	defer root.Close()
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case keep != nil && !keep(name, d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", dir, err)
	}
	return read(ctx, root, names)
}

// ReadEntries reads the named files of the tree in dir, relative paths with
// slashes, and returns them sorted by path.
func ReadEntries(ctx context.Context, dir string, names []string) ([]Entry, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	defer root.Close()
	return read(ctx, root, names)
}

// BlobIDs returns git's blob ids of the named files of the tree in dir, by
// path. Files that are not there are left out.
func BlobIDs(ctx context.Context, dir string, names []string) (map[string]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	defer root.Close()
	found := make([]string, len(names))
	err = inParallel(ctx, len(names), func(i int, dirs *folders) error {
		in, err := dirs.enter(root, path.Dir(names[i]))
		if err == nil {
			_, found[i], err = modeAndBlob(in, path.Base(names[i]))
		} else if _, statErr := root.Lstat(names[i]); statErr != nil {
			err = statErr // that a folder is a file, only this error tells
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", dir, err)
	}
	ids := make(map[string]string, len(names))
	for i, name := range names {
		if found[i] != "" {
			ids[name] = found[i]
		}
	}
	return ids, nil
}

func read(ctx context.Context, root *os.Root, names []string) ([]Entry, error) {
	entries := make([]Entry, len(names))
	err := inParallel(ctx, len(names), func(i int, dirs *folders) error {
		in, err := dirs.enter(root, path.Dir(names[i]))
		if err != nil {
			return err
		}
		mode, blob, err := modeAndBlob(in, path.Base(names[i]))
		if err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		entries[i] = Entry{Path: names[i], Mode: mode, Blob: blob}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", root.Name(), err)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	return entries, nil
}

// GitID returns the id that git gives to a tree with these entries, which is
// what git write-tree prints. They need not be sorted.
func GitID(entries []Entry) (string, error) {
	top := newGitDir()
	for _, e := range entries {
		id, err := hex.DecodeString(e.Blob)
		if err != nil || len(id) != sha1.Size {
			return "", fmt.Errorf("%s: %q is no git blob id", e.Path, e.Blob)
		}
		if !fs.ValidPath(e.Path) || e.Path == "." {
			return "", fmt.Errorf("%q is no path in a tree", e.Path)
		}
		if err := top.add(e.Path, e.Mode, id); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(top.id()), nil
}

// gitDir is a folder on the way to its id.
type gitDir struct {
	dirs  map[string]*gitDir
	files map[string]gitFile
}

type gitFile struct {
	mode string
	id   []byte
}

func newGitDir() *gitDir {
	return &gitDir{dirs: map[string]*gitDir{}, files: map[string]gitFile{}}
}

func (d *gitDir) add(name, mode string, id []byte) error {
	dir, base := path.Split(name)
	for part := range strings.SplitSeq(strings.TrimSuffix(dir, "/"), "/") {
		if part == "" {
			continue
		}
		sub := d.dirs[part]
		if sub == nil {
			sub = newGitDir()
			d.dirs[part] = sub
		}
		d = sub
	}
	if _, twice := d.files[base]; twice {
		return errors.New(name + ": listed twice")
	}
	d.files[base] = gitFile{mode, id}
	return nil
}

func (d *gitDir) id() []byte {
	type item struct {
		sortKey, name, mode string
		id                  []byte
	}
	items := make([]item, 0, len(d.dirs)+len(d.files))
	for name, f := range d.files {
		items = append(items, item{name, name, f.mode, f.id})
	}
	for name, sub := range d.dirs {
		// git sorts folders as if their names ended in a slash.
		items = append(items, item{name + "/", name, modeTree, sub.id()})
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.sortKey, b.sortKey) })
	var body []byte
	for _, it := range items {
		body = append(body, it.mode+" "+it.name+"\x00"...)
		body = append(body, it.id...)
	}
	h := sha1.New()
	fmt.Fprintf(h, "tree %d\x00", len(body))
	h.Write(body)
	return h.Sum(nil)
}
