// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vcpulab/tools/cache"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// Options say how to apply a series.
type Options struct {
	// Through stops after the patch with this number; 0 applies all.
	Through int
	// Relocate is for a tree that may not be the one that the series was made for: where the
	// index lines name other files, hunks are placed by their context, all of which must be
	// there (no fuzz), in one place only. A patch that is in the tree already is left out.
	Relocate bool
	// Cache is where the patched tree is made, or found. Apply needs it.
	Cache *cache.Cache
	// Log shows progress; nil is silent.
	Log *progress.Log

	each func(p *Patch, files map[string]*File) error
}

// treeKind is the kind of patched trees in the cache, treeName the tree in such an entry: its
// description is stored beside it.
const (
	treeKind = "patched"
	treeName = "linux"
)

// Try applies the series in memory and reports what Apply would do.
func (s *Series) Try(base tree.Tree, opts Options) (*Report, error) {
	_, report, err := s.inMemory(base, opts)
	return report, err
}

// Apply makes the tree that results from applying the series to base, in the cache, and says
// what was done. The tree shares files with base by hard links, so base has to be one that is
// never written to, as those of package pin are. When a patch does not apply the error is an
// *[ApplyError] and nothing was written. Where base has all patches the result is base.
func (s *Series) Apply(ctx context.Context, base tree.Tree, opts Options) (t tree.Tree, report *Report, err error) {
	step := opts.Log.Step("apply the series")
	done := ""
	defer func() { step.End(err, "%s", done) }()
	img, report, err := s.inMemory(base, opts)
	if err != nil {
		return t, nil, err
	}
	if t, report.Cached, err = img.makeTree(ctx, base, opts); err != nil {
		return t, nil, fmt.Errorf("make the patched tree: %w", err)
	}

	report.TreeDir, report.TreeID = t.Dir, t.ID
	done = progress.Count(len(report.Patches), "patch") + ", " + progress.Count(len(t.Changed), "file")
	if report.Cached {
		done += ", tree made before"
	}
	return t, report, nil
}

// inMemory applies the series to what it touches of base.
func (s *Series) inMemory(base tree.Tree, opts Options) (*image, *Report, error) {
	through := cmp.Or(opts.Through, len(s.Patches))
	root, err := os.OpenRoot(base.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("apply the series: open the tree: %w", err)
	}
	defer root.Close()

	a := &applier{image: newImage(root), relocate: opts.Relocate || s.stacked, report: s.newReport(base, through), each: opts.each}
	if err := a.applyAll(s.Patches[:through]); err != nil {
		if e, ok := errors.AsType[*ApplyError](err); ok {
			a.advise(s, e)
		}
		return nil, nil, err
	}
	if a.report.Differences, err = differences(s.Patches[:through], a.image); err != nil {
		return nil, nil, err
	}
	return a.image, a.report, nil
}

// makeTree puts the patched tree into the cache, or finds it there, by the base's ID and what
// the changed files become: patches with other messages make the same tree.
func (m *image) makeTree(ctx context.Context, base tree.Tree, opts Options) (t tree.Tree, cached bool, err error) {
	changed := m.changed()
	if len(changed) == 0 {
		return base, true, nil
	}

	parts := []string{"patched tree", "1", base.ID}
	for _, name := range changed {
		mode, id := "", ""
		if n := m.now[name]; n != nil {
			mode, id = n.Mode, n.blobID()
		}
		parts = append(parts, name, mode, id)
	}
	key := cache.Key(parts...)

	t = tree.Tree{
		Dir: filepath.Join(opts.Cache.Path(treeKind, key), treeName), ID: key,
		Version: base.Version, Base: base.Dir, Changed: changed,
	}
	if err := tree.Renew(ctx, opts.Cache, treeKind, key, t, changed, opts.Log); err != nil {
		return t, false, err
	}
	_, cached, err = opts.Cache.Populate(ctx, treeKind, key, func(ctx context.Context, tmp string) error {
		made := t
		made.Dir = filepath.Join(tmp, treeName)
		if err := tree.Clone(ctx, base.Dir, made.Dir); err != nil {
			return err
		}
		if err := m.write(made.Dir, changed); err != nil {
			return err
		}
		return tree.Save(made)
	})
	return t, cached, err
}

// write puts the changed files into the tree in dir. A file may take the place of a directory.
func (m *image) write(dir string, changed []string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range changed {
		if m.now[name] == nil {
			err = errors.Join(err, tree.Remove(root, name))
		}
	}
	for _, name := range changed {
		if n := m.now[name]; n != nil && err == nil {
			err = tree.Put(root, name, n.Mode, n.Data)
		}
	}
	return err
}

// Forget removes a tree that Apply has made from the cache. One that stands elsewhere stays.
func Forget(ctx context.Context, c *cache.Cache, t tree.Tree) error {
	if t.Dir != filepath.Join(c.Path(treeKind, t.ID), treeName) {
		return nil
	}
	return c.Remove(ctx, treeKind, t.ID)
}

// Overlay applies the series to base in memory, as Apply does, and returns what becomes of
// each file that it changes, by its path; nil is removed. base may be any tree.
func (s *Series) Overlay(base tree.Tree, opts Options) (map[string][]byte, *Report, error) {
	img, report, err := s.inMemory(base, opts)
	if err != nil {
		return nil, nil, err
	}
	files := make(map[string][]byte)
	for _, name := range img.changed() {
		files[name] = nil
		if n := img.now[name]; n != nil {
			files[name] = append([]byte{}, n.Data...)
		}
	}
	return files, report, nil
}

// Steps applies the series to base in memory, as Overlay does, and calls each with what
// every patch makes of the files that it changes, by path; nil is removed. A patch that
// is in base already is left out.
func (s *Series) Steps(base tree.Tree, opts Options, each func(p *Patch, files map[string]*File) error) error {
	opts.each = each
	_, _, err := s.inMemory(base, opts)
	return err
}
