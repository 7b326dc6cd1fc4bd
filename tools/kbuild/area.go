// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"vcpulab/tools/cache"
	"vcpulab/tools/header"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/tree"
)

// area is the work area of one base tree, configuration and toolchain, held
// under its lock.
type area struct {
	dir   string
	src   string // hard links to a tree, and files of its own where it was switched
	out   string // kbuild's output, in src: see kernelBuild.fill
	state areaState
	close func() // unlocks it

	considered []string          // the paths that this switch may have replaced
	replaced   map[string][]byte // those that it has, with the headers' content before
	wasDone    bool              // state.Done before this switch
}

// areaState describes the content of a work area. It is saved before that is
// changed.
type areaState struct {
	// Tree is the id of the tree whose files are in src, "" while they are
	// being replaced or have not been cloned.
	Tree string `json:"tree"`
	// Changed are the paths in which src may differ from the base: those of
	// Tree, and until a switch is complete those that it replaces.
	Changed []string `json:"changed,omitempty"`
	// Building is set while src is cloned and while make runs. If it is set when
	// the area is opened, there may be half-made files: all is built again.
	Building bool `json:"building,omitempty"`
	// Started is set once kbuild has run, even if it failed: out is not empty.
	Started bool `json:"started,omitempty"`
	// Done says that make has made all that it is to make of Tree.
	Done bool `json:"done,omitempty"`
	// Spared are objects in out that make was kept from making of Tree, see spare.
	Spared []string `json:"spared,omitempty"`
	// Warnings are those about each target when it was last made, where they are
	// recorded: make prints none for targets that it does not make again.
	Warnings map[string][]Warning `json:"warnings,omitempty"`
}

// identify returns what identifies a tree as far as a result depends on it: its
// base, and what those paths hold that differ from it and matter.
func identify(base, t tree.Tree, changed []string, matters func(name string) bool) ([]string, error) {
	dir, err := os.OpenRoot(t.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()

	seen := []string{base.ID}
	for _, name := range changed {
		if !matters(name) {
			continue
		}
		id, err := tree.FileBlobID(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			id, err = "removed", nil
		}
		if err != nil {
			return nil, err
		}
		seen = append(seen, name, id)
	}
	return seen, nil
}

// openArea locks a work area, makes it if it is missing, and clears it if make was
// killed in it. close must be called.
func openArea(ctx context.Context, c *cache.Cache, kind, key string) (a *area, err error) {
	unlock, err := c.Lock(ctx, kind, key)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock()
			err = fmt.Errorf("open the work area %s: %w", c.Path(kind, key), err)
		}
	}()

	a = &area{dir: c.Path(kind, key), close: unlock}
	a.src = filepath.Join(a.dir, "src")
	a.out = filepath.Join(a.src, "out")
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return nil, err
	}
	err = jsonfile.Load(a.stateFile(), &a.state)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil || a.state.Building || kind != kindArea && a.state.Started && a.state.Warnings == nil {
		// It is unknown what the files in out were made of, whether they are
		// whole, or what make said about them.
		return a, a.clear()
	}
	return a, nil
}

// run runs make in the area and keeps the area's state up to date.
func (a *area) run(ctx context.Context, m *makeRun, configuring bool) error {
	a.state.Building = true
	a.state.Started = a.state.Started || !configuring
	if err := a.save(); err != nil {
		return err
	}

	clean, err := m.run(ctx)
	a.state.Building = !clean
	if m.said != nil {
		delete(a.state.Warnings, "") // warnings before the first target are printed each time
		if a.state.Warnings == nil {
			a.state.Warnings = make(map[string][]Warning)
		}
		maps.Copy(a.state.Warnings, m.said.made)
	}
	return cmp.Or(err, a.save())
}

func (a *area) stateFile() string { return filepath.Join(a.dir, "state.json") }

func (a *area) save() error {
	if err := jsonfile.Save(a.stateFile(), a.state); err != nil {
		return fmt.Errorf("save the state of a work area: %w", err)
	}
	return nil
}

// switchTo makes src a copy of the tree t, of which changed are the paths that
// differ from base, and returns how many files were replaced. Replaced
// files are new files with the current time: what was made of the old ones is
// older, whatever the times in t.
func (a *area) switchTo(ctx context.Context, base, t tree.Tree, changed []string) (replaced int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("switch the work area %s to the tree %s: %w", a.dir, t.Dir, err)
		}
	}()
	if _, err := os.Lstat(a.src); errors.Is(err, fs.ErrNotExist) {
		return 0, a.clone(ctx, t, changed)
	}
	// A tree that was made again had been edited, and the area may share the files.
	again, err := a.olderThan(base)
	if err != nil {
		return 0, err
	}
	if again {
		return 0, a.clone(ctx, t, changed)
	}
	if again, err := a.olderThan(t); a.state.Tree == t.ID && !again || err != nil {
		return 0, err
	}

	paths := slices.Concat(a.state.Changed, changed)
	slices.Sort(paths)
	paths = slices.Compact(paths)
	a.considered, a.replaced, a.wasDone = paths, make(map[string][]byte), a.state.Done
	a.state.Tree, a.state.Changed, a.state.Done = "", paths, false
	if err := a.save(); err != nil {
		return 0, err
	}

	from, err := os.OpenRoot(t.Dir)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to, err := os.OpenRoot(a.src)
	if err != nil {
		return 0, err
	}
	defer to.Close()
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return replaced, err
		}
		var before []byte
		if header.Is(p) {
			if before, err = to.ReadFile(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return replaced, err
			}
		}
		changed, err := tree.Sync(from, to, p)
		if err != nil {
			return replaced, err
		}
		if changed {
			a.replaced[p] = before
			replaced++
		}
	}

	a.state.Tree, a.state.Changed = t.ID, changed
	return replaced, a.save()
}

// olderThan tells whether a tree was made after the area was last used, or it is not
// known when that was.
func (a *area) olderThan(t tree.Tree) (bool, error) {
	used, err := os.Stat(a.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	made, err := tree.Made(t.Dir)
	return made.After(used.ModTime()), err
}

// clear empties an area: what is in out is useless without the files in src that
// it was made of, or without knowing which these are.
func (a *area) clear() error {
	// If this is interrupted, it is done again.
	a.state = areaState{Building: true}
	if err := a.save(); err != nil {
		return err
	}
	if err := os.RemoveAll(a.src); err != nil {
		return fmt.Errorf("clear a work area: %w", err)
	}
	return nil
}

// clone makes src from nothing.
func (a *area) clone(ctx context.Context, t tree.Tree, changed []string) error {
	if err := a.clear(); err != nil {
		return err
	}
	if err := tree.Clone(ctx, t.Dir, a.src); err != nil {
		return err
	}
	if err := os.Mkdir(a.out, 0o755); err != nil {
		return err
	}
	a.state = areaState{Tree: t.ID, Changed: changed}
	return a.save()
}
