// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vcpulab/tools/cache"
)

// TestEdited: a tree one of whose files was written to, through whichever link, is
// not used again.
func TestEdited(t *testing.T) {
	const name = "kernel/fork.c"
	for which, look := range map[string]func(c *cache.Cache, kind, key string, tr Tree) error{
		"named": func(c *cache.Cache, kind, key string, tr Tree) error {
			return Renew(t.Context(), c, kind, key, tr, []string{name}, nil)
		},
		"all": func(c *cache.Cache, _, _ string, tr Tree) error { return Unedited(t.Context(), c, tr) },
	} {
		t.Run(which, func(t *testing.T) { testEdited(t, which == "all", look) })
	}
}

func testEdited(t *testing.T, says bool, look func(c *cache.Cache, kind, key string, tr Tree) error) {
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const kind, key = "pin", "k"
	file := filepath.Join(c.Path(kind, key), "linux", "kernel", "fork.c")
	other := filepath.Join(t.TempDir(), "fork.c")
	_, _, err = c.Populate(t.Context(), kind, key, func(_ context.Context, tmp string) error {
		dir := filepath.Join(tmp, "linux")
		if err := os.MkdirAll(filepath.Join(dir, "kernel"), 0o755); err != nil {
			return err
		}
		name := filepath.Join(dir, "kernel", "fork.c")
		if err := os.WriteFile(name, []byte("a\n"), 0o644); err != nil {
			return err
		}
		if err := os.Symlink("fork.c", filepath.Join(dir, "kernel", "link.c")); err != nil {
			return err
		}
		return Save(Tree{Dir: dir, ID: "id", Version: "7"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(file, other); err != nil {
		t.Fatal(err)
	}
	check := func(want bool) {
		t.Helper()
		tr := Tree{Dir: filepath.Join(c.Path(kind, key), "linux")}
		if err := look(c, kind, key, tr); (err != nil) != (says && !want) {
			t.Errorf("error %v", err)
		}
		if _, ok := c.Lookup(kind, key); ok != want {
			t.Errorf("expected the tree to be there: %v, found %v", want, ok)
		}
	}
	check(true)

	// A clock may have a coarse tick: the edit is one that is later for sure.
	later := time.Now().Add(time.Minute)
	if err := os.WriteFile(other, []byte("a\nx\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(other, later, later); err != nil {
		t.Fatal(err)
	}
	if says {
		check(true) // it looks once in a process
		dir := c.Dir()
		if c, err = cache.Open(dir); err != nil {
			t.Fatal(err)
		}
	}
	check(false)
	check(false)
}
