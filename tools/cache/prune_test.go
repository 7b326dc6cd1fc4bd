// SPDX-License-Identifier: GPL-2.0-only

package cache

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPrune(t *testing.T) {
	const size = 8192
	made := time.Now()
	for name, tc := range map[string]struct {
		days int
		most int64
		lock string // an entry that is in use
		left []string
	}{
		"nothing is old":       {10, -1, "", []string{"c", "b", "a"}},
		"one is old":           {3, -1, "", []string{"c", "b"}},
		"one is old, and used": {3, -1, "a", []string{"c", "b", "a"}},
		"room for two":         {10, 3 * size, "", []string{"c", "b"}},
		"room for none":        {10, 0, "", nil},
		"all are old":          {0, -1, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for i, key := range []string{"a", "b", "c"} {
				dir, _, err := c.Populate(t.Context(), "kind", key, func(_ context.Context, tmp string) error {
					return os.WriteFile(filepath.Join(tmp, "f"), []byte(strings.Repeat("x", size)), 0o644)
				})
				if err != nil {
					t.Fatal(err)
				}
				used := made.AddDate(0, 0, 2*(i-2))
				if err := os.Chtimes(dir, used, used); err != nil {
					t.Fatal(err)
				}
			}
			if tc.lock != "" {
				unlock, err := c.Lock(t.Context(), "kind", tc.lock)
				if err != nil {
					t.Fatal(err)
				}
				defer unlock()
			}
			entries := func() (keys []string, all []Entry) {
				all, err := c.Entries(t.Context(), func(string) []string { return nil })
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range all {
					if keys = append(keys, e.Key); e.Bytes < size {
						t.Errorf("%s: expected %d bytes at least, found %d", e.Key, size, e.Bytes)
					}
				}
				return keys, all
			}
			_, all := entries()
			removed, err := c.Prune(t.Context(), all, time.Now().AddDate(0, 0, -tc.days), tc.most)
			if err != nil {
				t.Fatal(err)
			}
			left, _ := entries()
			if diff := cmp.Diff(tc.left, left); diff != "" || len(removed) != 3-len(left) {
				t.Errorf("removed %v (-want +got):\n%s", removed, diff)
			}
		})
	}
}

// TestUsed: an entry that is found counts as used now.
func TestUsed(t *testing.T) {
	c, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fill := func(context.Context, string) error { return nil }
	dir, _, err := c.Populate(t.Context(), "kind", "a", fill)
	if err == nil {
		err = os.Chtimes(dir, time.Unix(1, 0), time.Unix(1, 0))
	}
	if err == nil {
		_, _, err = c.Populate(t.Context(), "kind", "a", fill)
	}
	if err != nil {
		t.Fatal(err)
	}
	if all, err := c.Entries(t.Context(), func(string) []string { return nil }); err != nil || len(all) != 1 || time.Since(all[0].Used) > time.Hour {
		t.Errorf("expected one entry that was just used, found %v, %v", all, err)
	}
	for kind, want := range map[string]int{"kind": 1, "other": 0} {
		if all, err := c.Entries(t.Context(), func(string) []string { return nil }, kind); err != nil || len(all) != want {
			t.Errorf("of kind %q alone: expected %d, found %v, %v", kind, want, all, err)
		}
	}
}

// TestEntriesShare: a file of two entries counts for one of them.
func TestEntriesShare(t *testing.T) {
	c, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const size = 1 << 20
	first := ""
	for _, key := range []string{"a", "b"} {
		_, _, err := c.Populate(t.Context(), "kind", key, func(_ context.Context, tmp string) error {
			if first != "" {
				return os.Link(first, filepath.Join(tmp, "f"))
			}
			first = filepath.Join(c.Path("kind", key), "f")
			return os.WriteFile(filepath.Join(tmp, "f"), make([]byte, size), 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := c.Entries(t.Context(), func(string) []string { return nil })
	if err != nil || len(all) != 2 || all[0].Bytes+all[1].Bytes > size*3/2 {
		t.Errorf("expected two entries of %d bytes together, found %v, %v", size, all, err)
	}
}
