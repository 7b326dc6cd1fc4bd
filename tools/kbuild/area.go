// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vcpulab/tools/cache"
	"vcpulab/tools/tree"
)

// Kinds of work areas in the cache's folder, of kernels and of objects alone.
// They are no entries: they change, under their lock.
const (
	kindArea       = "kbuild"
	kindObjectArea = "kbuild-objects"
)

// area is the work area of one base tree, configuration and toolchain, held
// under its lock.
type area struct {
	dir    string
	src    string // hard links to a tree, and files of our own where it was switched
	out    string // kbuild's output, in src: see kernelBuild.make
	state  areaState
	unlock func()
}

// areaState is what stands in a work area. It is saved before anything is
// changed that it describes.
type areaState struct {
	// Tree is the id of the tree whose files are in src, "" while they are
	// being replaced or have not been cloned.
	Tree string `json:"tree"`
	// Changed are the paths in which Tree differs from the base.
	Changed []string `json:"changed,omitempty"`
	// Doubtful are the paths that an interrupted switch may have replaced.
	Doubtful []string `json:"doubtful,omitempty"`
	// Building is set while make runs: if it is set when the area is opened,
	// make was killed and may have left half-made files.
	Building bool `json:"building,omitempty"`
	// Started is set once kbuild was run, be it in vain: out is not empty.
	Started bool `json:"started,omitempty"`
}

// root returns the tree at the beginning of a chain of bases, and all paths in
// which t differs from it.
func root(t tree.Tree) (base tree.Tree, changed []string, err error) {
	for {
		changed = append(changed, t.Changed...)
		if t.Base == "" {
			slices.Sort(changed)
			return t, slices.Compact(changed), nil
		}
		base, err := tree.Load(t.Base)
		if err != nil {
			return tree.Tree{}, nil, fmt.Errorf("find the base of the tree %s: %w", t.Dir, err)
		}
		t = base
	}
}

// openArea locks a work area, makes it if it is not there, and mends what an
// interrupted build left. close must be called.
func openArea(ctx context.Context, c *cache.Cache, kind, key string) (a *area, err error) {
	unlock, err := c.Lock(ctx, kind, key)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	a = &area{dir: c.Path(kind, key), unlock: unlock}
	a.src = filepath.Join(a.dir, "src")
	a.out = filepath.Join(a.src, "out")
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a work area: %w", err)
	}
	data, err := os.ReadFile(a.stateFile())
	switch {
	case err == nil:
		// Without its state nobody knows what the files in out were made of.
		if json.Unmarshal(data, &a.state) != nil {
			a.state = areaState{}
			if err := a.clear(); err != nil {
				return nil, err
			}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the state of a work area: %w", err)
	}
	if a.state.Building {
		if err := dropRecent(a.out, suspect); err != nil {
			return nil, fmt.Errorf("mend the work area %s after a build that was killed: %w", a.dir, err)
		}
		a.state.Building = false
		if err := a.save(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *area) close() { a.unlock() }

// run runs make in the area and keeps the area's state true.
func (a *area) run(ctx context.Context, m *makeRun, configuring bool) error {
	a.state.Building = true
	a.state.Started = a.state.Started || !configuring
	if err := a.save(); err != nil {
		return err
	}
	clean, err := m.run(ctx)
	a.state.Building = !clean
	if saveErr := a.save(); err == nil {
		err = saveErr
	}
	return err
}

func (a *area) stateFile() string { return filepath.Join(a.dir, "state.json") }

func (a *area) save() error {
	data, err := json.MarshalIndent(a.state, "", "\t")
	if err != nil {
		return err
	}
	tmp := a.stateFile() + ".new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("save the state of a work area: %w", err)
	}
	if err := os.Rename(tmp, a.stateFile()); err != nil {
		return fmt.Errorf("save the state of a work area: %w", err)
	}
	return nil
}

// suspect is how old, before the last sign of life of a build that was
// killed, a file may be and still have been half written then. The longest
// single step, linking vmlinux, takes a quarter of it.
const suspect = 2 * time.Minute

// dropRecent removes the files below dir that were written within age of the
// newest one, so that make makes them again.
func dropRecent(dir string, age time.Duration) error {
	type file struct {
		name string
		when time.Time
	}
	var files []file
	var newest time.Time
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		files = append(files, file{name, info.ModTime()})
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		if newest.Sub(f.when) <= age {
			if err := os.Remove(f.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// stand makes src a copy of the tree t, of which changed are the paths that
// differ from the base, and returns how many files were replaced. Replaced
// files are new files with the time of now: what was made of the old ones is
// older, whatever the times in t.
func (a *area) stand(ctx context.Context, t tree.Tree, changed []string) (replaced int, err error) {
	if _, err := os.Lstat(a.src); errors.Is(err, fs.ErrNotExist) {
		return 0, a.clone(ctx, t, changed)
	}
	if a.state.Tree == t.ID {
		return 0, nil
	}
	paths := slices.Concat(a.state.Changed, a.state.Doubtful, changed)
	slices.Sort(paths)
	paths = slices.Compact(paths)

	a.state.Tree, a.state.Doubtful = "", paths
	if err := a.save(); err != nil {
		return 0, err
	}
	from, err := os.OpenRoot(t.Dir)
	if err != nil {
		return 0, fmt.Errorf("switch the work area to another tree: %w", err)
	}
	defer from.Close()
	to, err := os.OpenRoot(a.src)
	if err != nil {
		return 0, fmt.Errorf("switch the work area to another tree: %w", err)
	}
	defer to.Close()
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return replaced, fmt.Errorf("switch the work area to another tree: %w", err)
		}
		did, err := transfer(from, to, p)
		if err != nil {
			return replaced, fmt.Errorf("switch the work area %s to the tree %s: %w", a.dir, t.Dir, err)
		}
		if did {
			replaced++
		}
	}
	a.state.Tree, a.state.Changed, a.state.Doubtful = t.ID, changed, nil
	return replaced, a.save()
}

// clear makes an area empty: what is in out is of no use without the files
// in src that it was made of.
func (a *area) clear() error {
	for _, dir := range []string{a.src, a.src + ".new"} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("clear a work area: %w", err)
		}
	}
	return nil
}

// clone makes src from nothing.
func (a *area) clone(ctx context.Context, t tree.Tree, changed []string) error {
	if err := a.clear(); err != nil {
		return err
	}
	tmp := a.src + ".new"
	if err := tree.Clone(ctx, t.Dir, tmp); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(tmp, filepath.Base(a.out)), 0o755); err != nil {
		return fmt.Errorf("make a work area: %w", err)
	}
	a.state = areaState{Doubtful: changed}
	if err := a.save(); err != nil {
		return err
	}
	if err := os.Rename(tmp, a.src); err != nil {
		return fmt.Errorf("make a work area: %w", err)
	}
	a.state = areaState{Tree: t.ID, Changed: changed}
	return a.save()
}

// transfer makes the file name of to what it is in from, and says whether it
// had to be changed.
func transfer(from, to *os.Root, name string) (changed bool, err error) {
	want, err := from.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := to.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return true, tree.Remove(to, name)
	}
	if err != nil {
		return false, err
	}
	have, haveErr := to.Lstat(name)
	if haveErr != nil && !errors.Is(haveErr, fs.ErrNotExist) {
		return false, haveErr
	}
	if haveErr == nil && os.SameFile(want, have) {
		return false, nil
	}
	if want.Mode()&fs.ModeSymlink != 0 {
		return transferLink(from, to, name, haveErr == nil)
	}
	data, err := from.ReadFile(name)
	if err != nil {
		return false, err
	}
	if haveErr == nil && have.Mode() == want.Mode() && have.Size() == want.Size() {
		old, err := to.ReadFile(name)
		if err != nil {
			return false, err
		}
		if bytes.Equal(old, data) {
			return false, nil
		}
	}
	return true, tree.Replace(to, name, data, want.Mode().Perm())
}

func transferLink(from, to *os.Root, name string, exists bool) (changed bool, err error) {
	target, err := from.Readlink(name)
	if err != nil {
		return false, err
	}
	if exists {
		if old, err := to.Readlink(name); err == nil && old == target {
			return false, nil
		}
		if err := tree.Remove(to, name); err != nil {
			return false, err
		}
	}
	if err := to.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return false, err
	}
	return true, to.Symlink(target, name)
}
