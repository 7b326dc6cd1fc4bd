// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
)

func TestTrim(t *testing.T) {
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range []string{"a", "b", "c", "d"} {
		dir, _, err := c.Populate(t.Context(), "kernel", key, func(_ context.Context, tmp string) error {
			return os.WriteFile(filepath.Join(tmp, "f"), nil, 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	b := &Builder{Cache: c}
	if err := os.Chtimes(c.Path("kernel", "b"), time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	unlock, err := c.Lock(t.Context(), "kernel", "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		keep int
		want []string
	}{
		{4, []string{"a", "b", "c", "d"}},
		{2, []string{"a", "b", "d"}}, // a is older than all, but locked
	} {
		if err := b.trim(t.Context(), "kernel", step.keep); err != nil {
			t.Fatal(err)
		}
		got, err := c.Keys("kernel")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(step.want, got); d != "" {
			t.Errorf("keep %d: %s", step.keep, d)
		}
	}
	unlock()
	if err := b.trim(t.Context(), "kernel", 0); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Keys("kernel"); err != nil || len(got) > 0 {
		t.Error(got, err)
	}
	if err := b.trim(t.Context(), "none", 1); err != nil {
		t.Error(err)
	}
}
