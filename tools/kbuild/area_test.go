// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/tree"
)

// files are the content of a tree by path; "->x" is a symbolic link to x.
type files map[string]string

// writeTree writes a tree with old times, and its description. Files that are
// the same in base are hard links, as in trees made by applying patches.
func writeTree(t *testing.T, dir, id string, base *tree.Tree, baseFiles, content files) tree.Tree {
	t.Helper()
	tr := tree.Tree{Dir: dir, ID: id, Version: "7.3.4"}
	old := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, data := range content {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case base != nil && baseFiles[name] == data:
			err = os.Link(filepath.Join(base.Dir, name), p)
		case len(data) > 2 && data[:2] == "->":
			err = os.Symlink(data[2:], p)
		default:
			err = errors.Join(os.WriteFile(p, []byte(data), 0o644), os.Chtimes(p, old, old))
		}
		if err != nil {
			t.Fatal(err)
		}
		if base != nil && baseFiles[name] != data {
			tr.Changed = append(tr.Changed, name)
		}
	}
	if base != nil {
		tr.Base = base.Dir
		for name := range baseFiles {
			if _, ok := content[name]; !ok {
				tr.Changed = append(tr.Changed, name)
			}
		}
	}
	if err := tree.Save(tr); err != nil {
		t.Fatal(err)
	}
	return tr
}

// readTree reads a tree back.
func readTree(t *testing.T, dir string) files {
	t.Helper()
	got := files{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == "out" && p != dir {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(p)
			got[rel] = "->" + target
			return err
		}
		data, err := os.ReadFile(p)
		got[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func modTime(t *testing.T, name string) time.Time {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// testTrees are a base tree and trees made from it.
type testTrees struct {
	cache   *cache.Cache
	content map[string]files
	trees   map[string]tree.Tree
}

func newTestTrees(t *testing.T) *testTrees {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base := files{"Makefile": "VERSION = 7\n", "virt/kvm.c": "old\n", "virt/kvm.h": "same\n", "gone.c": "x\n", "link": "->Makefile", "mm/a.c": "a\n"}
	g := &testTrees{cache: c, trees: map[string]tree.Tree{}, content: map[string]files{
		"base": base,
		"one":  {"Makefile": base["Makefile"], "virt/kvm.c": "new\n", "virt/kvm.h": "same\n", "gone.c": "x\n", "link": "->Makefile", "mm/a.c": "a\n"},
		"two": {"Makefile": base["Makefile"], "virt/kvm.c": "newer\n", "virt/kvm.h": "same\n", "link": "->virt/kvm.h", "mm/a.c": "a\n",
			"virt/deep/er.c": "added\n"},
	}}
	dir := t.TempDir()
	b := writeTree(t, filepath.Join(dir, "base"), "id-base", nil, nil, base)
	g.trees["base"] = b
	for _, name := range []string{"one", "two"} {
		g.trees[name] = writeTree(t, filepath.Join(dir, name), "id-"+name, &b, base, g.content[name])
	}
	return g
}

func (g *testTrees) open(t *testing.T) *area {
	t.Helper()
	a, err := openArea(t.Context(), g.cache, kindArea, "area")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (g *testTrees) switchTo(t *testing.T, a *area, name string) int {
	t.Helper()
	base, changed, err := g.trees[name].Root()
	if err != nil || base.ID != "id-base" {
		t.Fatalf("Root of %s = %s, %v", name, base.ID, err)
	}
	n, err := a.switchTo(t.Context(), base, g.trees[name], changed)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(g.content[name], readTree(t, a.src)); d != "" {
		t.Fatalf("after the switch to %s: %s", name, d)
	}
	return n
}

func TestSwitchTo(t *testing.T) {
	g := newTestTrees(t)
	a := g.open(t)
	defer a.close()
	for i, step := range []struct {
		to       string
		replaced int
	}{
		{"base", 0}, {"base", 0}, {"one", 1}, {"two", 4}, {"two", 0}, {"base", 4}, {"two", 4}, {"one", 4}, {"base", 1},
	} {
		before := time.Now().Add(-time.Second)
		if n := g.switchTo(t, a, step.to); n != step.replaced {
			t.Errorf("step %d, to %s: %d files replaced, want %d", i, step.to, n, step.replaced)
		}
		// kbuild rebuilds by time: replaced files are new, the others as old
		// as in the tree.
		if step.replaced > 0 && modTime(t, filepath.Join(a.src, "virt/kvm.c")).Before(before) {
			t.Errorf("step %d, to %s: a replaced file is old", i, step.to)
		}
		if modTime(t, filepath.Join(a.src, "mm/a.c")).After(before) {
			t.Errorf("step %d, to %s: an unchanged file is new", i, step.to)
		}
	}
	// The trees themselves are unchanged.
	for name, tr := range g.trees {
		if d := cmp.Diff(g.content[name], readTree(t, tr.Dir)); d != "" {
			t.Errorf("tree %s changed: %s", name, d)
		}
	}
}

// TestSwitchInterrupted switches after a switch that ended in the middle.
func TestSwitchInterrupted(t *testing.T) {
	for _, next := range []string{"base", "one", "two"} {
		t.Run(next, func(t *testing.T) {
			g := newTestTrees(t)
			a := g.open(t)
			g.switchTo(t, a, "one")
			// As if a switch to two had died after its first file.
			a.state.Tree, a.state.Changed = "", append(g.trees["one"].Changed, g.trees["two"].Changed...)
			if err := a.save(); err != nil {
				t.Fatal(err)
			}
			from, to := openRoot(t, g.trees["two"].Dir), openRoot(t, a.src)
			if _, err := tree.Sync(from, to, "virt/deep/er.c"); err != nil {
				t.Fatal(err)
			}
			a.close()
			b := g.open(t)
			defer b.close()
			g.switchTo(t, b, next)
		})
	}
}

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestCloneInterrupted dies between the clone and the state that records it.
func TestCloneInterrupted(t *testing.T) {
	g := newTestTrees(t)
	a := g.open(t)
	g.switchTo(t, a, "two")
	a.state = areaState{Building: true}
	if err := a.save(); err != nil {
		t.Fatal(err)
	}
	a.close()
	b := g.open(t)
	defer b.close()
	g.switchTo(t, b, "base")
}

func TestUnreadableStateClearsTheArea(t *testing.T) {
	g := newTestTrees(t)
	a := g.open(t)
	g.switchTo(t, a, "one")
	if err := os.WriteFile(filepath.Join(a.out, "fork.o"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.stateFile(), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	a.close()
	b := g.open(t)
	defer b.close()
	if _, err := os.Lstat(a.out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("out still exists: %v", err)
	}
	g.switchTo(t, b, "base")
}

// TestEditedTree switches to trees that were made again because a file of theirs,
// which the area shares, was edited.
func TestEditedTree(t *testing.T) {
	g := newTestTrees(t)
	a := g.open(t)
	defer a.close()
	for _, tc := range []struct{ tree, file, of string }{{"base", "mm/a.c", "base"}, {"one", "mm/a.c", "base"}, {"one", "virt/kvm.c", "one"}} {
		if err := a.clear(); err != nil {
			t.Fatal(err)
		}
		g.switchTo(t, a, tc.tree)
		good := []byte(g.content[tc.tree][tc.file])
		if err := os.WriteFile(filepath.Join(a.src, filepath.FromSlash(tc.file)), []byte("edited\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		// The tree and those with it for a base are made again: a new file, and a new
		// description.
		for _, made := range []string{"base", "one", "two"} {
			if made != tc.of && tc.of != "base" {
				continue
			}
			name := filepath.Join(g.trees[made].Dir, filepath.FromSlash(tc.file))
			if err := errors.Join(os.Remove(name), os.WriteFile(name, good, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		later := time.Now().Add(time.Minute)
		if err := os.Chtimes(g.trees[tc.of].Dir+".json", later, later); err != nil {
			t.Fatal(err)
		}
		g.switchTo(t, a, tc.tree)
	}
}

// TestUnknownBase: what was built stays if it is not known whether the base was edited.
func TestUnknownBase(t *testing.T) {
	g := newTestTrees(t)
	a := g.open(t)
	defer a.close()
	g.switchTo(t, a, "one")
	object := filepath.Join(a.out, "kvm.o")
	if err := errors.Join(os.WriteFile(object, nil, 0o644), os.Remove(g.trees["base"].Dir+".json")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.switchTo(t.Context(), g.trees["base"], g.trees["two"], nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected an error for a base without a description, found %v", err)
	}
	if _, err := os.Lstat(object); err != nil {
		t.Errorf("expected the object to be there, found %v", err)
	}
}

// TestKilledBuildIsCleared opens an area whose build was killed.
func TestKilledBuildIsCleared(t *testing.T) {
	g := newTestTrees(t)
	a := g.open(t)
	for _, building := range []bool{false, true} {
		g.switchTo(t, a, "base")
		if err := os.WriteFile(filepath.Join(a.out, "half.o"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		a.state.Building = building
		if err := a.save(); err != nil {
			t.Fatal(err)
		}
		a.close()
		a = g.open(t)
		if _, err := os.Lstat(filepath.Join(a.out, "half.o")); errors.Is(err, fs.ErrNotExist) != building {
			t.Errorf("building %v: %v", building, err)
		}
	}
	g.switchTo(t, a, "one")
	a.close()
}
