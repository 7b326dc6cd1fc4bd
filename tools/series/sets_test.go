// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
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

func TestLoadSetsBad(t *testing.T) {
	for name, tt := range map[string]struct {
		list string
		dirs []string
		says string
	}{
		"no name":         {list: "[[set]]\nabout = 'x'\n", says: "set 1: expected the name of a directory"},
		"leads out":       {list: set("../a"), says: `found "../a"`},
		"name of all":     {list: set("all"), says: `found "all"`},
		"twice":           {list: set("a") + set("a"), says: `duplicate set "a"`},
		"says nothing":    {list: "[[set]]\nname = 'a'\n", says: "expected about"},
		"unknown key":     {list: set("a", "need = ['b']"), says: "need"},
		"missing need":    {list: set("a", "needs = ['b']"), says: `set "a" needs "b": unknown set, expected one of a`},
		"itself":          {list: set("a", "needs = ['a']"), says: "a needs a"},
		"circle":          {list: set("a", "needs = ['c']") + set("b", "needs = ['a']") + set("c", "needs = ['b']"), says: "a needs c needs b needs a"},
		"before its need": {list: set("a", "needs = ['b']") + set("b"), says: `set "a" needs "b": expected that one before it`},
		"not listed":      {list: set("a"), dirs: []string{"a", "b"}, says: "b/ has patches and is no set"},
		"private":         {list: set("a", "private = true"), says: "expected recipients"},
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
		"a": {"a"}, "c": {"b", "c"}, "d": {"b", "c", "d"}, AllSets: {"a", "b", "c", "d", "none"},
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
	if needs, err := sets.LoadNeeds("d"); err != nil || len(needs.Patches) != 2 {
		t.Errorf("expected what d needs, found %v, %v", needs, err)
	}
	for _, name := range []string{"x", "none", ""} {
		if _, err := sets.Load(name); exit.Code(err) != exit.Usage {
			t.Errorf("%q: expected exit code %d, found %v", name, exit.Usage, err)
		}
	}
}

// TestOwnSets applies each committed set, strictly, to the pinned kernel with
// what it needs, and all of them one after the other.
func TestOwnSets(t *testing.T) {
	sets, err := LoadSets(patchesDir)
	if err != nil {
		t.Fatal(err)
	}
	base := pinned(t)
	for _, set := range sets.All {
		t.Run(set.Name, func(t *testing.T) {
			s, err := Load(filepath.Join(patchesDir, set.Name))
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Patches) > 15 {
				t.Errorf("expected at most 15 patches, found %d", len(s.Patches))
			}
			if len(s.Patches) > 1 && s.Cover == nil {
				t.Error("expected a cover letter, found none")
			}
			needs, err := sets.LoadNeeds(set.Name)
			if err != nil {
				t.Fatal(err)
			}
			on := base
			if len(needs.Patches) > 0 {
				if on, _, err = needs.Apply(t.Context(), base, Options{Relocate: true, Cache: kernelCache(t)}); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := s.Overlay(on, Options{}); err != nil {
				t.Error(err)
			}
			for _, subject := range set.Reproducers {
				if !slices.ContainsFunc(s.Patches, func(p *Patch) bool { return p.Subject == subject }) {
					t.Errorf("no patch has the subject %q, which is to be left out", subject)
				}
			}
		})
	}
	all, err := sets.Load(AllSets)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := all.Overlay(base, Options{Relocate: true}); err != nil {
		t.Error(err)
	}
}
