// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// setsDir makes a directory with a list of sets, and in each of dirs a patch.
func setsDir(t *testing.T, list string, dirs ...string) string {
	t.Helper()
	dir := t.TempDir()
	patch, err := os.ReadFile("testdata/checkpatch/clean.patch")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{SetsFile: []byte(list)}
	for _, d := range dirs {
		files[filepath.Join(d, "0001-a.patch")] = patch
	}
	for name, data := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// set is the entry of a set in a list.
func set(name string, more ...string) string {
	return "[[set]]\nname = '" + name + "'\nabout = 'x'\nto = 'y'\n" + strings.Join(more, "\n") + "\n"
}

// rival is the entry of a rival in a list.
func rival(name string, more ...string) string {
	return strings.Replace(set(name, more...), "[[set]]", "[[rival]]", 1)
}

func TestLoadSetsBad(t *testing.T) {
	for name, tt := range map[string]struct {
		list string
		dirs []string
		says string
	}{
		"empty":           {list: "# to be done\n", says: "expected a table [[set]] for each set, found none"},
		"only rivals":     {list: rival("r"), dirs: []string{"rivals/r"}, says: "expected a table [[set]]"},
		"no name":         {list: "[[set]]\nabout = 'x'\n", says: "set 1: expected the name of a directory"},
		"leads out":       {list: set("../a"), says: `found "../a"`},
		"twice":           {list: set("a") + set("a"), says: `duplicate set "a"`},
		"says nothing":    {list: "[[set]]\nname = 'a'\n", says: "expected about"},
		"unknown key":     {list: set("a", "need = ['b']"), says: "need"},
		"missing need":    {list: set("a", "needs = ['b']"), says: `set "a" needs "b": unknown set, expected one of a`},
		"itself":          {list: set("a", "needs = ['a']"), says: `set "a" needs "a": expected that one before it`},
		"circle":          {list: set("a", "needs = ['c']") + set("b", "needs = ['a']") + set("c", "needs = ['b']"), says: `set "a" needs "c": expected that one before it`},
		"before its need": {list: set("a", "needs = ['b']") + set("b"), says: `set "a" needs "b": expected that one before it`},
		"not listed":      {list: set("a"), dirs: []string{"a", "b"}, says: "b/0001-a.patch is in no set"},
		"at the top":      {list: set("a"), dirs: []string{"a", "."}, says: "0001-a.patch is in no set"},
		"private":         {list: set("a", "private = true"), says: "expected recipients"},
		"rival of a name": {list: set("a") + rival("a"), says: `duplicate set "a"`},
		"rival unlisted":  {list: set("a") + rival("r"), dirs: []string{"a", "rivals/r", "rivals/s"}, says: "rivals/s/0001-a.patch is in no set"},
		"rival misplaced": {list: set("a") + rival("r"), dirs: []string{"a", "r"}, says: "r/0001-a.patch is in no set"},
		"needs a rival":   {list: set("a", "needs = ['r']") + rival("r"), says: `set "a" needs "r": unknown set, expected one of a`},
		"rivals' need":    {list: set("a") + rival("r", "needs = ['b']"), says: `set "r" needs "b": unknown set, expected one of a`},
		"limit, no rival": {list: set("a", "limit = true"), says: `set "a": limit is for rivals`},
		"named rivals":    {list: set("rivals"), says: "the directory of the rivals"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadSets(setsDir(t, tt.list, tt.dirs...))
			if err == nil || !strings.Contains(err.Error(), tt.says) || exit.Code(err) != exit.Usage {
				t.Errorf("expected %q, found %v (exit code %d)", tt.says, err, exit.Code(err))
			}
		})
	}
}

func TestStack(t *testing.T) {
	sets, err := LoadSets(setsDir(t, set("a")+set("b")+set("c", "needs = ['b']")+set("d", "needs = ['c']")+set("none"), "a", "b", "c", "d"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"a": {"a"}, "c": {"b", "c"}, "d": {"b", "c", "d"}, "": {"a", "b", "c", "d", "none"},
	} {
		stack, err := sets.Stack(name)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range stack {
			names = append(names, s.Name)
		}
		if d := cmp.Diff(want, names); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}

	s, err := sets.Load("d")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, p := range s.Patches {
		names = append(names, p.Name)
		if p.Number != i+1 {
			t.Errorf("%s: expected number %d, found %d", p.Name, i+1, p.Number)
		}
	}
	if d := cmp.Diff([]string{"b/0001-a.patch", "c/0001-a.patch", "d/0001-a.patch"}, names); d != "" {
		t.Errorf("patches (-want +got):\n%s", d)
	}
	for through, want := range map[string]int{"": 3, "0": 0, "2": 2, "c/1": 2, "d/1": 3} {
		if n, err := s.Last(through); n != want || err != nil {
			t.Errorf("through %q: expected %d, found %d, %v", through, want, n, err)
		}
	}
	for _, through := range []string{"4", "-1", "c/2", "c", "a/1", "1.5"} {
		if _, err := s.Last(through); exit.Code(err) != exit.Usage {
			t.Errorf("through %q: expected exit code %d, found %v", through, exit.Usage, err)
		}
	}
	if _, err := sets.Load("x"); exit.Code(err) != exit.Usage {
		t.Errorf("expected exit code %d, found %v", exit.Usage, err)
	}
	if _, err := sets.Load("none"); exit.Code(err) != exit.PatchFailed {
		t.Errorf("expected exit code %d, found %v", exit.PatchFailed, err)
	}
}

// TestRivals: a rival is applied on what it needs alone, and is none of all sets.
func TestRivals(t *testing.T) {
	list := set("a") + set("b", "needs = ['a']") + set("c", "needs = ['b']") + rival("r", "needs = ['b']") + rival("s")
	sets, err := LoadSets(setsDir(t, list, "a", "b", "c", "rivals/r", "rivals/s"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"":  {"a/0001-a.patch", "b/0001-a.patch", "c/0001-a.patch"},
		"r": {"a/0001-a.patch", "b/0001-a.patch", "r/0001-a.patch"},
		"s": {"s/0001-a.patch"},
	} {
		s, err := sets.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range s.Patches {
			names = append(names, p.Name)
		}
		if d := cmp.Diff(want, names); d != "" {
			t.Errorf("%q (-want +got):\n%s", name, d)
		}
	}
	if !sets.IsRival("r") || sets.IsRival("a") || sets.IsRival("") {
		t.Error("expected r to be a rival, and no set")
	}
	_, err = sets.Find("x")
	if err == nil || !strings.Contains(err.Error(), `unknown set "x": expected one of a, b, c, r, s`) || exit.Code(err) != exit.Usage {
		t.Errorf("expected wrong use that lists sets and rivals, found %v", err)
	}
}

// TestLoadStack: a directory of patches without a list is one set.
func TestLoadStack(t *testing.T) {
	want := loadTest(t)
	s, err := LoadStack(testSeries, "")
	if err != nil {
		t.Fatal(err)
	}
	if s.stacked || len(s.Patches) != len(want.Patches) || s.Patches[0].Name != want.Patches[0].Name {
		t.Errorf("expected the same patches, found %v", s.Patches)
	}
}

// TestOwnSets applies each committed set, strictly, to the pinned kernel with
// what it needs, and all of them one after the other.
func TestOwnSets(t *testing.T) {
	sets, err := LoadSets(patchesDir)
	if err != nil {
		t.Fatal(err)
	}
	base, err := tree.Load(pinned(t).Dir)
	if err != nil {
		t.Fatal(err)
	}
	// The cache that verify uses: it has these trees, as a rule.
	c, err := cache.Open(filepath.Dir(filepath.Dir(filepath.Dir(base.Dir))))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range slices.Concat(sets.All, sets.Rivals) {
		t.Run(set.Name, func(t *testing.T) {
			s, on, err := sets.LoadOn(t.Context(), base, set, Options{Cache: c})
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Patches) > 15 {
				t.Errorf("expected at most 15 patches, found %d", len(s.Patches))
			}
			for _, f := range s.Check(Placeholder()) {
				t.Error(f)
			}
			if _, _, err := s.Overlay(on, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := ownSeries(t).Try(base, Options{}); err != nil {
		t.Error(err)
	}
}

func TestWithout(t *testing.T) {
	s := &Series{Patches: []*Patch{{Number: 1, Subject: "a"}, {Number: 2, Subject: "b"}, {Number: 3, Subject: "c"}}}
	sent, left, err := s.without([]string{"b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"b", "c"}, left); d != "" || len(sent.Patches) != 1 {
		t.Errorf("%d patches are sent, left out (-want +got):\n%s", len(sent.Patches), d)
	}
	if _, _, err := s.without([]string{"b"}); err == nil {
		t.Error("a patch before one that is sent was left out")
	}
}

// TestOwnReproducers finds each patch that a private set is to leave out where it
// can be left out.
func TestOwnReproducers(t *testing.T) {
	sets, err := LoadSets(patchesDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets.All {
		own, err := Load(filepath.Join(sets.Dir, set.Name))
		if err != nil {
			t.Fatal(err)
		}
		_, left, err := own.without(set.Reproducers)
		if d := cmp.Diff(set.Reproducers, left); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", set.Name, err, d)
		}
	}
}
