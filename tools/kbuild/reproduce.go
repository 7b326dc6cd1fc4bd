// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"vcpulab/tools/cache"
	"vcpulab/tools/tree"
)

// Reproduction is the result of building a kernel a second time.
type Reproduction struct {
	First, Second map[string]string // SHA-256 by file, as in Kernel.SHA256
	Differ        []string          // files that are not the same, sorted
	Seconds       float64           // how long the second build took
}

// OK says whether both builds gave the same bytes.
func (r *Reproduction) OK() bool { return len(r.Differ) == 0 }

// Reproduce builds a kernel, which may come from the cache, and once more
// from nothing in another folder, without ccache, and compares the image, the
// debug information and the modules byte for byte. The second build is
// removed again; it takes as long as a first one, and 2 GB.
func (b *Builder) Reproduce(ctx context.Context, name string, t tree.Tree, spec Spec) (_ *Reproduction, err error) {
	first, err := b.Build(ctx, name, t, spec)
	if err != nil {
		return nil, err
	}
	// On the disk of the cache: temporary folders may be in memory.
	dir, err := os.MkdirTemp(b.Cache.Dir(), "reproduce-")
	if err != nil {
		return nil, fmt.Errorf("build %s a second time: %w", name, err)
	}
	defer func() {
		if rmErr := os.RemoveAll(dir); err == nil {
			err = rmErr
		}
	}()
	other, err := cache.Open(dir)
	if err != nil {
		return nil, err
	}
	again := &Builder{Cache: other, Progress: b.Progress, Jobs: b.Jobs, NoCCache: true}
	second, err := again.Build(ctx, "second "+name, t, spec)
	if err != nil {
		return nil, err
	}
	r := &Reproduction{First: first.SHA256, Second: second.SHA256, Seconds: second.Seconds}
	all := maps.Clone(first.SHA256)
	maps.Copy(all, second.SHA256)
	for _, file := range slices.Sorted(maps.Keys(all)) {
		if first.SHA256[file] != second.SHA256[file] {
			r.Differ = append(r.Differ, file)
		}
	}
	return r, nil
}
