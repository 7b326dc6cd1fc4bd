// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// BlobID returns the blob id that the pin has for a path, and whether it has
// one. A patch may only touch pinned files: nothing is known of others. For a
// file that Debian patches it is the id of Debian's.
func (p *Pin) BlobID(name string) (string, bool) {
	if id, ok := p.Blobs.Debian[name]; ok {
		return id, true
	}
	id, ok := p.Blobs.All[name]
	return id, ok
}

// blobsOf returns the ids to verify in a tree from a source of that kind. In
// upstream's own tree, the files that Debian patches are not known.
func (p *Pin) blobsOf(kind Kind) map[string]string {
	if kind != Debian || len(p.Blobs.Debian) == 0 {
		return p.Blobs.All
	}
	all := maps.Clone(p.Blobs.All)
	maps.Copy(all, p.Blobs.Debian)
	return all
}

// Mismatch is a file that is not as the pin has it.
type Mismatch struct {
	Path     string
	Expected string // blob id
	Found    string // blob id, "" if there is no such file
}

func (m Mismatch) String() string {
	found := m.Found
	if found == "" {
		found = "no such file"
	}
	return fmt.Sprintf("%s: expected blob %s, found %s", m.Path, m.Expected, found)
}

// ContentError says that files of a tree are not as the pin has them.
type ContentError struct {
	Tree  string // the directory, or the archive that it was to come from
	Files []Mismatch
	Next  string // what to do about it
}

func (e *ContentError) Error() string {
	const most = 10
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of the files that the series builds on are not the pinned ones:", e.Tree, len(e.Files))
	for _, m := range e.Files[:min(most, len(e.Files))] {
		fmt.Fprintf(&b, "\n    %s", m)
	}
	if len(e.Files) > most {
		fmt.Fprintf(&b, "\n    and %d more", len(e.Files)-most)
	}
	return b.String() + "\n" + e.Next
}

// ExitCode makes it a check that failed.
func (e *ContentError) ExitCode() int { return exit.CheckFailed }

// verify returns a *ContentError if files in dir do not have the wanted blob
// ids. The error calls the tree name, and says what to do next.
func verify(ctx context.Context, name, dir string, want map[string]string, next string) error {
	names := slices.Sorted(maps.Keys(want))
	ids, err := tree.BlobIDs(ctx, dir, names)
	if err != nil {
		return exit.With(exit.CheckFailed, fmt.Errorf("verify the kernel tree: %w\n%s", err, next))
	}

	var found []Mismatch
	for _, file := range names {
		if ids[file] != want[file] {
			found = append(found, Mismatch{Path: file, Expected: want[file], Found: ids[file]})
		}
	}
	if len(found) > 0 {
		return &ContentError{Tree: name, Files: found, Next: next}
	}
	return nil
}
