// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/tree"
)

// Manifest describes a fetched kernel. It lies beside the tree in the cache.
type Manifest struct {
	Version string `json:"version"`
	Source  string `json:"source"`  // where it came from
	Archive string `json:"archive"` // file name
	SHA256  string `json:"sha256"`  // of the archive
	GitTree string `json:"gitTree"` // git's id of the whole tree
	Files   int    `json:"files"`   // files and symbolic links
}

// Names of the files of a manifest, beside the tree.
const (
	manifestName = "manifest.json"
	listName     = "files.txt" // all files, as git ls-tree -r lists them
)

func writeManifest(entryDir, version string, a archive, entries []tree.Entry) error {
	slices.SortFunc(entries, func(a, b tree.Entry) int { return cmp.Compare(a.Path, b.Path) })
	id, err := tree.GitID(entries)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(entryDir, listName))
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, e := range entries {
		fmt.Fprintf(w, "%s blob %s\t%s\n", e.Mode, e.Blob, e.Path)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(Manifest{
		Version: version, Source: a.source, Archive: a.name, SHA256: a.sha256, GitTree: id, Files: len(entries),
	}, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(entryDir, manifestName), append(data, '\n'), 0o644)
}

// ReadManifest returns the manifest of a tree that Fetch returned.
func ReadManifest(t tree.Tree) (Manifest, error) {
	var m Manifest
	name := filepath.Join(filepath.Dir(t.Dir), manifestName)
	data, err := os.ReadFile(name)
	if err != nil {
		return m, fmt.Errorf("read the manifest of %s: %w", t.Dir, err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("read the manifest of %s: %s: %w", t.Dir, name, err)
	}
	return m, nil
}

// Audit reads every file of a tree that Fetch returned and returns those that
// are not as they were unpacked, sorted: what Fetch does at each use for the
// pinned files alone, in some seconds for all. Files that were added are
// returned with no Expected.
func Audit(ctx context.Context, t tree.Tree) ([]Mismatch, error) {
	name := filepath.Join(filepath.Dir(t.Dir), listName)
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("audit %s: %w", t.Dir, err)
	}
	defer f.Close()
	want := map[string]string{} // "mode blob" by path
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		meta, file, ok := strings.Cut(lines.Text(), "\t")
		fields := strings.Fields(meta)
		if !ok || len(fields) != 3 {
			return nil, fmt.Errorf("audit %s: %s: damaged line %.80q", t.Dir, name, lines.Text())
		}
		want[file] = fields[0] + " " + fields[2]
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("audit %s: %w", t.Dir, err)
	}
	if len(want) == 0 {
		return nil, errors.New("audit " + t.Dir + ": " + name + " is empty")
	}
	entries, err := tree.Entries(ctx, t.Dir, nil)
	if err != nil {
		return nil, err
	}
	var bad []Mismatch
	for _, e := range entries {
		found := e.Mode + " " + e.Blob
		if want[e.Path] != found {
			bad = append(bad, Mismatch{Path: e.Path, Expected: want[e.Path], Found: found})
		}
		delete(want, e.Path)
	}
	for file, id := range want {
		bad = append(bad, Mismatch{Path: file, Expected: id})
	}
	slices.SortFunc(bad, func(a, b Mismatch) int { return cmp.Compare(a.Path, b.Path) })
	return bad, nil
}
