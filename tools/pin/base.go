// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// Base is what patches are applied to: a pinned kernel, or a tree of the user's.
type Base struct {
	// Pin is the pinned kernel; of a tree the default one, which says what files matter.
	Pin *Pin
	// Tree is the user's tree, "" for a pinned kernel, Rev a revision, "" for what stands there.
	Tree, Rev string
}

// Default tells whether it is the kernel that the project's own patches are made for.
func (b *Base) Default() bool { return b.Tree == "" && b.Pin.Default }

// debianKind is what the cache has of kernels that Debian packages: a pin file each.
const debianKind = "debian"

// FindBase returns the base of a name: a pin of dir, "" for the default one, a directory,
// DIR@REV for a revision in it, or a version that Debian packages, which is pinned in the
// cache. Errors stand for exit.Usage, unless the machine cannot reach a mirror.
func FindBase(ctx context.Context, dir, name string, opts FetchOptions) (*Base, error) {
	p, err := Find(dir, name)
	if err == nil || name == "" {
		return &Base{Pin: p}, err
	}
	if slices.Contains(names(dir), pinName(name)) {
		return nil, err // a pin that cannot be read
	}

	if at, rev, ok := CutTree(name); ok {
		p, err := Find(dir, "")
		return &Base{Pin: p, Tree: at, Rev: rev}, err
	}
	version := kernelVersion(name)
	if !versionRE.MatchString(version) {
		_, err = Version(name)
		return nil, fmt.Errorf("base %s: %w, one of the pins %s, a version that Debian packages, or TREE@REVISION", name, err, strings.Join(names(dir), ", "))
	}
	entry, _, err := opts.Cache.Populate(ctx, debianKind, version, func(ctx context.Context, tmp string) error {
		_, err := create(ctx, filepath.Join(tmp, filePrefix+version+fileSuffix), version, usedSuites(dir), nil, opts)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("base %s is neither a tree nor one of the pins %s: %w", name, strings.Join(names(dir), ", "), err)
	}
	p, err = Load(filepath.Join(entry, filePrefix+version+fileSuffix))
	return &Base{Pin: p}, err
}

func names(dir string) (names []string) {
	for _, l := range List(dir) {
		names = append(names, l.Name)
	}
	return names
}

// CutTree cuts the name of a directory, which an @ and something that git knows there may
// follow, as in ~/linux@v7.3. ok is false if there is no such directory.
func CutTree(name string) (dir, rev string, ok bool) {
	if isDir(name) {
		return name, "", true
	}
	for at := range name {
		if name[at] == '@' && isDir(name[:at]) {
			return name[:at], cmp.Or(name[at+1:], "HEAD"), true
		}
	}
	return "", "", false
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// Fetch returns the base's tree, which is never written to.
func (b *Base) Fetch(ctx context.Context, opts FetchOptions) (t tree.Tree, err error) {
	switch {
	case b.Tree == "":
		return b.Pin.Fetch(ctx, opts)
	case b.Rev == "":
		return UserTree(ctx, b.Pin, b.Tree, opts)
	}
	if err := opts.Cache.CheckOutside(b.Tree); err != nil {
		return t, err
	}
	id, err := tree.Revision(ctx, b.Tree, nil, b.Rev, "tree")
	if err != nil {
		return t, exit.With(exit.Usage, fmt.Errorf("base %s@%s: %w", b.Tree, b.Rev, err))
	}
	// A copy of a checkout of that revision has the same id.
	doing, done := fmt.Sprintf("copy %s of %s", b.Rev, b.Tree), fmt.Sprintf("tree %.12s", id)
	return opts.copied(ctx, b.Pin, id, doing, done, nil, func(ctx context.Context, to string) (string, error) {
		index := []string{"GIT_INDEX_FILE=" + to + ".index", "GIT_WORK_TREE=."}
		for _, args := range [][]string{{"read-tree", id}, {"checkout-index", "--all", "--prefix=" + to + "/"}} {
			if _, err := tree.Git(ctx, b.Tree, index, args...); err != nil {
				return "", err
			}
		}
		version, err := Version(to)
		if err != nil {
			err = fmt.Errorf("base %s@%s: %w", b.Tree, b.Rev, err)
		}
		return version, err
	})
}
