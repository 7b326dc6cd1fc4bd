// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"vcpulab/tools/cache"
)

// How many are kept of what this package puts into the cache. A work area
// takes 1.2 GB, a kernel 120 MB; each change of a patch makes another kernel,
// each change of a fragment another of both.
const (
	keepAreas   = 8
	keepKernels = 64
)

// trimPatience is how long an entry that somebody else uses is waited for
// before it is left alone.
const trimPatience = 100 * time.Millisecond

// used notes that an entry was used now.
func used(c *cache.Cache, kind, key string) error {
	now := time.Now()
	if err := os.Chtimes(c.Path(kind, key), now, now); err != nil {
		return fmt.Errorf("note that %s/%s was used: %w", kind, key, err)
	}
	return nil
}

// trim removes the entries of a kind that were not used for the longest time,
// so that keep are left. Those that are locked stay.
func trim(ctx context.Context, c *cache.Cache, kind string, keep int) error {
	keys, err := c.Keys(kind)
	if err != nil || len(keys) <= keep {
		return err
	}
	age := make(map[string]time.Time, len(keys))
	for _, key := range keys {
		// One that another process has just removed counts as oldest.
		if info, err := os.Stat(c.Path(kind, key)); err == nil {
			age[key] = info.ModTime()
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return age[b].Compare(age[a]) })
	for _, key := range keys[keep:] {
		short, cancel := context.WithTimeout(ctx, trimPatience)
		err := c.Remove(short, kind, key)
		locked := short.Err() != nil
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil && !locked {
			return fmt.Errorf("make room for another build: %w", err)
		}
	}
	return nil
}

// Forget removes a kernel from the cache, for one that nobody will ask for
// again: others would be removed to make room.
func (b *Builder) Forget(ctx context.Context, k *Kernel) error {
	return b.Cache.Remove(ctx, kindKernel, k.Key)
}
