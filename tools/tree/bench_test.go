// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"os"
	"path/filepath"
	"testing"

	"vcpulab/tools/cache"
)

// kernel returns a kernel tree of the cache.
func kernel(b *testing.B) (dir string, c *cache.Cache) {
	b.Helper()
	c, err := cache.Open("")
	if err != nil {
		b.Fatal(err)
	}
	found, _ := filepath.Glob(c.Path("pin", "*/linux"))
	if len(found) == 0 {
		b.Skipf("no kernel in the cache %s", c.Dir())
	}
	return found[0], c
}

// BenchmarkClone makes a tree that shares its files with another.
func BenchmarkClone(b *testing.B) {
	src, c := kernel(b)
	tmp, err := os.MkdirTemp(c.Dir(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	dst := filepath.Join(tmp, "linux")
	for range b.N {
		if err := Clone(b.Context(), src, dst); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		os.RemoveAll(dst)
		b.StartTimer()
	}
}

// BenchmarkEntries identifies a user's tree.
func BenchmarkEntries(b *testing.B) {
	src, _ := kernel(b)
	for b.Loop() {
		if _, err := Entries(b.Context(), src, nil); err != nil {
			b.Fatal(err)
		}
	}
}
