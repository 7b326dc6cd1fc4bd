// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMost: a few tests that cannot be built are known by name, and do not keep
// the others from being built; many are a build that failed.
func TestMost(t *testing.T) {
	const makefile = "%/good1 %/good2 %/good3: ; touch $@\n%/bad%: ; @echo 'bad.c:1:2: error: no such thing' >&2; false\n"
	for name, tt := range map[string]struct {
		names, built, unbuilt []string // sorted
		fails                 bool
	}{
		"all":       {names: []string{"good1", "good2"}, built: []string{"good1", "good2"}},
		"but one":   {names: []string{"bad1", "good1", "good2"}, built: []string{"good1", "good2"}, unbuilt: []string{"bad1"}},
		"but three": {names: []string{"bad1", "bad2", "bad3", "good1"}, built: []string{"good1"}, unbuilt: []string{"bad1", "bad2", "bad3"}},
		"but many":  {names: []string{"bad1", "bad2", "bad3", "bad4", "good1"}, fails: true},
		"none":      {names: []string{"bad1"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			work, dir := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(work, "Makefile"), []byte(strings.ReplaceAll(makefile, "%/", work+"/")), 0o644); err != nil {
				t.Fatal(err)
			}
			m := &makeRun{doing: "build tests", dir: work, jobs: 2, log: filepath.Join(work, "log")}
			for _, n := range tt.names {
				m.targets = append(m.targets, filepath.Join(work, n))
			}
			built, err := (&selftestBuild{doing: "build tests"}).most(context.Background(), m, tt.names, dir)
			if (err != nil) != tt.fails || !slices.Equal(built, tt.built) {
				t.Errorf("expected %q, found %q and %v", tt.built, built, err)
			}
			why, err := loadUnbuilt(dir)
			if err != nil || len(why) != len(tt.unbuilt) {
				t.Errorf("expected %q to be written down, found %q, error %v", tt.unbuilt, why, err)
			}
			for _, n := range tt.unbuilt {
				if want := "bad.c:1:2: no such thing"; why[n] != want {
					t.Errorf("%s: expected %q, found %q", n, want, why[n])
				}
			}
		})
	}
	if _, err := loadUnbuilt(t.TempDir()); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileUnbuilt), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if why, err := loadUnbuilt(dir); err == nil {
		t.Error(fmt.Sprint("expected an error, found ", why))
	}
}
