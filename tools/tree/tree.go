// SPDX-License-Identifier: GPL-2.0-only

// Package tree handles kernel source trees on disk: what identifies one, how one is made from
// another cheaply, and how a file of it is replaced.
//
// Trees share the files that they have in common by hard links. Therefore a file of a tree is
// never written in place: Put puts a new file in its stead.
package tree

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"vcpulab/tools/jsonfile"
)

// Tree is a kernel source tree on disk.
type Tree struct {
	// Dir is the absolute path of the directory.
	Dir string `json:"dir"`
	// ID identifies the content: two trees with the same ID have the same files.
	ID string `json:"id"`
	// Version is the kernel's version as its Makefile has it ("7.3.4").
	Version string `json:"version"`
	// Base is the Dir of the tree that this one was made from, "" for one that was fetched.
	Base string `json:"base,omitempty"`
	// Changed are the relative paths that differ from Base, sorted.
	Changed []string `json:"changed,omitempty"`
}

// metaFile returns where a tree's description is: beside it, as it holds kernel sources alone.
func metaFile(dir string) string { return filepath.Clean(dir) + ".json" }

// Save writes the description of t beside its directory, as <Dir>.json.
func Save(t Tree) error {
	if err := jsonfile.Save(metaFile(t.Dir), t); err != nil {
		return fmt.Errorf("save the description of %s: %w", t.Dir, err)
	}
	return nil
}

// Load reads the description of the tree in dir, which may have been renamed.
func Load(dir string) (Tree, error) {
	var t Tree
	err := jsonfile.Load(metaFile(dir), &t)
	if err == nil && t.ID == "" {
		err = fmt.Errorf("%s has no id", metaFile(dir))
	}
	if err != nil {
		return t, fmt.Errorf("load the description of %s: %w", dir, err)
	}
	t.Dir = dir
	return t, nil
}

// Root returns the first of the bases that t was made from, and all paths in which t differs.
func (t Tree) Root() (base Tree, changed []string, err error) {
	for base = t; base.Base != ""; {
		changed = append(changed, base.Changed...)
		if base, err = Load(base.Base); err != nil {
			return Tree{}, nil, fmt.Errorf("find the base of the tree %s: %w", t.Dir, err)
		}
	}
	slices.Sort(changed)
	return base, slices.Compact(changed), nil
}

// Put puts a file or symbolic link with this content and one of the modes that git knows in
// the place of name, and makes the directories above it. The old one, which other trees may
// share, is not written to. A failure leaves it.
func Put(root *os.Root, name, mode string, data []byte) error {
	dir, base := path.Split(name)
	tmp := dir + "." + base + "." + rand.Text()
	err := root.MkdirAll(path.Clean(dir), 0o755)
	if err == nil && mode == ModeSymlink {
		err = root.Symlink(string(data), tmp)
	} else if err == nil {
		err = root.WriteFile(tmp, data, 0o600)
	}
	if err == nil && mode != ModeSymlink {
		err = root.Chmod(tmp, permissions(mode))
	}
	if err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		root.Remove(tmp)
		return fmt.Errorf("replace %s: %w", name, err)
	}
	return nil
}

// permissions are those of a file with one of git's modes, whatever the umask is.
func permissions(mode string) fs.FileMode {
	if mode == ModeExecutable {
		return 0o755
	}
	return 0o644
}

// Remove removes the named file and, as git does, the directories that become empty.
func Remove(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err == nil && info.IsDir() {
		err = errors.New("is a directory")
	}
	if err == nil {
		err = root.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}

	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if root.Remove(dir) != nil {
			break // not empty
		}
	}
	return nil
}

// Sync puts the named file of from, which may lack it, into to, and says whether it differed.
func Sync(from, to *os.Root, name string) (changed bool, err error) {
	mode, data, err := ReadFile(from, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	oldMode, old, err := ReadFile(to, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if mode == oldMode && bytes.Equal(data, old) {
		return false, nil // or missing in both
	}

	if mode == "" {
		return true, Remove(to, name)
	}
	return true, Put(to, name, mode, data)
}
