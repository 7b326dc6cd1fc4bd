// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
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

// fileDependencies is in the output folder, beside the ledger.
const fileDependencies = ".vcpulab-dependencies.json"

// dependencies are the source files that what was ever made in a work area
// depends on, as kbuild has noted it. nil is that nobody knows.
type dependencies struct {
	// Since tells them from those of an earlier work area, of which others may
	// have been known.
	Since string `json:"since"`
	// Files are relative to the tree, with slashes, and sorted.
	Files []string `json:"files"`
}

// readDependencies reads an area's.
func readDependencies(a *area) *dependencies {
	data, err := os.ReadFile(filepath.Join(a.out, fileDependencies))
	d := &dependencies{}
	if err != nil || json.Unmarshal(data, d) != nil || d.Since == "" || len(d.Files) == 0 {
		return nil
	}
	return d
}

// noteDependencies adds what kbuild's notes of all targets in an area name, and
// returns all, nil if there are none. Those of before stay: another tree's
// objects need them.
func noteDependencies(a *area) (*dependencies, error) {
	d := readDependencies(a)
	if d == nil {
		d = &dependencies{Since: rand.Text()}
	}
	err := filepath.WalkDir(a.out, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".cmd" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		d.add(data)
		return nil
	})
	slices.Sort(d.Files)
	d.Files = slices.Compact(d.Files)
	data, jsonErr := json.Marshal(d)
	if err = errors.Join(err, jsonErr); err == nil && len(d.Files) > 0 {
		err = os.WriteFile(filepath.Join(a.out, fileDependencies), data, 0o644)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("note what the objects in a work area depend on: %w", err)
	case len(d.Files) == 0:
		return nil, nil
	}
	return d, nil
}

// add takes the source files from a .cmd file. They are relative to the output
// folder, which is in the tree: ../virt/kvm/kvm_main.c.
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

// key stands for all trees of which the same comes as of t, when it is compiled
// as setup says: their files differ from base's in nothing that matters. changed
// are the paths in which t differs.
func (d *dependencies) key(setup []string, base, t tree.Tree, changed []string) (string, error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("compare %s with its base: %w", t.Dir, err)
	}
	is, err := os.OpenRoot(t.Dir)
	if err != nil {
		return fail(err)
	}
	defer is.Close()
	was, err := os.OpenRoot(base.Dir)
	if err != nil {
		return fail(err)
	}
	defer was.Close()
	parts := append([]string{kindObjects, "what matters", d.Since, base.ID}, setup...)
	for _, name := range changed {
		now, err := blobID(is, name)
		if err != nil {
			return fail(err)
		}
		before, err := blobID(was, name)
		if err != nil {
			return fail(err)
		}
		stays := now != removed && before != removed
		if now != before && d.matters(name, stays) {
			parts = append(parts, name, now)
		}
	}
	return cache.Key(parts...), nil
}

// removed stands for the ID of a file that is not there.
const removed = "removed"

// blobID returns what identifies a file's content.
func blobID(dir *os.Root, name string) (string, error) {
	id, err := tree.FileBlobID(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return removed, nil
	}
	return id, err
}

// matters tells whether a file may have a part in what is made. Of sources that
// stay where they are only those do on which something depends: whatever comes
// to include another one is among them, and so is the file that makes it so. A
// new file may be found in the place of another; and who reads a file that is
// no source, or one of a program of the build, is not noted.
func (d *dependencies) matters(name string, stays bool) bool {
	if strings.HasPrefix(name, "Documentation/") || strings.HasPrefix(name, "tools/testing/") {
		return false
	}
	hosts := strings.HasPrefix(name, "tools/") || strings.HasPrefix(name, "scripts/")
	switch ext := path.Ext(name); {
	case !hosts && (ext == ".c" || ext == ".h" || ext == ".S"):
		_, found := slices.BinarySearch(d.Files, name)
		return found || !stays
	}
	return true
}
