// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOverlay holds what is made in memory to what is made on disk.
func TestOverlay(t *testing.T) {
	s, base := loadTest(t), testBase(t)
	for through := 1; through <= len(s.Patches); through++ {
		made, _, err := s.Apply(t.Context(), base, Options{Through: through, Cache: openCache(t)})
		if err != nil {
			t.Fatal(err)
		}
		files, report, err := s.Overlay(base, Options{Through: through})
		if err != nil {
			t.Fatal(err)
		}
		if report.Through != through {
			t.Errorf("expected %d patches, found %d", through, report.Through)
		}
		if diff := cmp.Diff(made.Changed, slices.Sorted(maps.Keys(files))); diff != "" {
			t.Errorf("through %d: %s", through, diff)
		}
		for name, data := range files {
			want, err := os.ReadFile(filepath.Join(made.Dir, name))
			if data == nil && errors.Is(err, os.ErrNotExist) {
				continue
			}
			if diff := cmp.Diff(string(want), string(data)); err != nil || diff != "" {
				t.Errorf("through %d: %s: %v: %s", through, name, err, diff)
			}
		}
	}
	if _, _, err := s.Overlay(base, Options{Through: len(s.Patches) + 1}); err == nil {
		t.Error("more patches than there are: expected an error, found none")
	}
}

// TestLoadLeavesRules loads a series that has semantic patches beside it.
func TestLoadLeavesRules(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(testSeries)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rule.cocci"), []byte("@@ @@\n- x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := loadTest(t); s.ID != want.ID || len(s.Patches) != len(want.Patches) {
		t.Errorf("expected the series %s, found %s", want.ID, s.ID)
	}
}
