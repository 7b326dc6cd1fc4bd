// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"vcpulab/tools/tree"
)

// BlobID returns the blob id that the pin has for a path, and whether it has
// one. A patch may only touch files that are pinned: what else it could be
// applied to would be anybody's guess. For a file that Debian patches it is
// the id of Debian's.
func (p *Pin) BlobID(name string) (string, bool) {
	if id, ok := p.Blobs.All[name]; ok {
		return id, true
	}
	id, ok := p.Blobs.Debian[name]
	return id, ok
}

// Files returns the paths of all pinned files, sorted.
func (p *Pin) Files() []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(p.Blobs.All)), maps.Keys(p.Blobs.Debian))
	slices.Sort(names)
	return names
}

// blobsOf returns the ids to verify in a tree from a source of that kind. In
// upstream's own tree, the files that Debian patches are not known.
func (p *Pin) blobsOf(kind Kind) map[string]string {
	if kind != Debian {
		return p.Blobs.All
	}
	all := maps.Clone(p.Blobs.All)
	maps.Copy(all, p.Blobs.Debian)
	return all
}

// Diff compares files of the tree in dir with the pin, all pinned ones if
// none are named, and returns those that differ, sorted. A named file that is
// not pinned is an error.
func (p *Pin) Diff(ctx context.Context, dir string, names ...string) ([]Mismatch, error) {
	want := p.Blobs.All // upstream's trees are those that users have
	if len(names) > 0 {
		want = make(map[string]string, len(names))
		for _, name := range names {
			id, ok := p.BlobID(name)
			if !ok {
				return nil, fmt.Errorf("compare %s with linux-%s: %s is not pinned in %s", dir, p.Version, name, p.file)
			}
			want[name] = id
		}
	}
	return diff(ctx, dir, want)
}

// diff returns the files in dir that do not have the wanted blob ids.
func diff(ctx context.Context, dir string, want map[string]string) ([]Mismatch, error) {
	names := slices.Sorted(maps.Keys(want))
	ids, err := tree.BlobIDs(ctx, dir, names)
	if err != nil {
		return nil, fmt.Errorf("verify the kernel tree: %w", err)
	}
	var found []Mismatch
	for _, name := range names {
		if ids[name] != want[name] {
			found = append(found, Mismatch{Path: name, Expected: want[name], Found: ids[name]})
		}
	}
	return found, nil
}
