// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/tree"
)

// fileDependencies is in the output directory, beside the ledger.
const fileDependencies = ".vcpulab-dependencies.json"

// dependencies are the source files on which everything depends that was ever
// made in a work area, as kbuild recorded them. nil means unknown.
type dependencies struct {
	// Since tells them from those of an earlier work area, of which other files
	// may have been known.
	Since string `json:"since"`
	// Files are relative to the tree, with slashes, and sorted.
	Files []string `json:"files"`
}

// readDependencies reads an area's.
func readDependencies(a *area) *dependencies {
	d := &dependencies{}
	if readJSON(filepath.Join(a.out, fileDependencies), d) != nil || d.Since == "" || len(d.Files) == 0 {
		return nil
	}
	return d
}

// updateDependencies adds the files that kbuild recorded for all targets in an
// area, and returns all, nil if there are none. Earlier ones stay: another
// tree's objects need them.
func updateDependencies(a *area) (*dependencies, error) {
	d := readDependencies(a)
	if d == nil {
		d = &dependencies{Since: rand.Text()}
	}
	err := filepath.WalkDir(a.out, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".cmd" {
			return err
		}
		data, err := os.ReadFile(name)
		d.add(data)
		return err
	})
	slices.Sort(d.Files)
	d.Files = slices.Compact(d.Files)

	if err == nil && len(d.Files) == 0 {
		return nil, nil
	}
	if err == nil {
		err = writeJSON(filepath.Join(a.out, fileDependencies), d)
	}
	if err != nil {
		return nil, fmt.Errorf("record what the objects in a work area depend on: %w", err)
	}
	return d, nil
}

// add takes the source files from a .cmd file. They are relative to the output
// directory, which is in the tree: ../virt/kvm/kvm_main.c.
func (d *dependencies) add(cmd []byte) {
	words := bufio.NewScanner(bytes.NewReader(cmd))
	words.Buffer(nil, len(cmd)+1)
	words.Split(bufio.ScanWords)
	for words.Scan() {
		name, ok := strings.CutPrefix(words.Text(), "../")
		if name = path.Clean(name); ok && filepath.IsLocal(name) {
			d.Files = append(d.Files, name)
		}
	}
}

// key is that of all trees with the same result: the files in which they differ
// from the base do not matter, or are the same.
func (d *dependencies) key(o *objectBuild) (key string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("compare %s with its base: %w", o.tree.Dir, err)
		}
	}()
	is, err := os.OpenRoot(o.tree.Dir)
	if err != nil {
		return "", err
	}
	defer is.Close()
	was, err := os.OpenRoot(o.base.Dir)
	if err != nil {
		return "", err
	}
	defer was.Close()

	parts := append([]string{kindObjects, "what matters", d.Since, o.base.ID}, o.setup...)
	for _, name := range o.changed {
		now, err := blobID(is, name)
		if err != nil {
			return "", err
		}
		before, err := blobID(was, name)
		if err != nil {
			return "", err
		}
		stays := now != removed && before != removed
		if now != before && d.matters(name, stays) {
			parts = append(parts, name, now)
		}
	}
	return cache.Key(parts...), nil
}

// removed stands for the ID of a missing file.
const removed = "removed"

// blobID returns what identifies a file's content.
func blobID(dir *os.Root, name string) (string, error) {
	id, err := tree.FileBlobID(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return removed, nil
	}
	return id, err
}

// matters tells whether a file may affect what is made. Sources that are in both
// trees matter only if something depends on them: a file that starts to include
// another one matters itself, and so does the file that makes it do so. A new
// file may be found in place of another. For files that are not sources, and for
// sources of programs of the build, kbuild does not record what reads them.
func (d *dependencies) matters(name string, stays bool) bool {
	if strings.HasPrefix(name, "Documentation/") || strings.HasPrefix(name, "tools/testing/") {
		return false
	}
	ofHost := strings.HasPrefix(name, "tools/") || strings.HasPrefix(name, "scripts/")
	isSource := slices.Contains([]string{".c", ".h", ".S"}, path.Ext(name))
	if ofHost || !isSource || !stays {
		return true
	}
	_, found := slices.BinarySearch(d.Files, name)
	return found
}
