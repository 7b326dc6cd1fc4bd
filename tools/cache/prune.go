// SPDX-License-Identifier: GPL-2.0-only

package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Entry is something in the cache.
type Entry struct {
	Kind, Key string
	Used      time.Time // the last time
	// Bytes is the room that removing it would make; a file of several counts for one of them.
	Bytes int64
}

// Entries returns what is in the cache, the one first that was used last; only what is of
// these kinds if any are named, as looking at a large cache takes minutes. own
// returns which files of an entry's directory are not links to others', by their
// paths; it returns nil where all have to be looked at.
func (c *Cache) Entries(ctx context.Context, own func(dir string) []string, only ...string) ([]Entry, error) {
	kinds, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	seen := map[uint64]bool{}
	var all []Entry
	for _, d := range kinds {
		kind := d.Name()
		if !d.IsDir() || !validName.MatchString(kind) || len(only) > 0 && !slices.Contains(only, kind) {
			continue
		}
		keys, err := c.Keys(kind)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			dir := c.Path(kind, key)
			info, err := os.Lstat(dir)
			if err != nil {
				continue // another process has just removed it
			}
			e := Entry{Kind: kind, Key: key, Used: info.ModTime()}
			if e.Bytes, err = sizeOf(ctx, dir, own(dir), seen); err != nil {
				return nil, fmt.Errorf("cache: %w", err)
			}
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return b.Used.Compare(a.Used) })
	return all, nil
}

// sizeOf returns how much room files take on disk that were not seen before.
func sizeOf(ctx context.Context, dir string, files []string, seen map[uint64]bool) (bytes int64, err error) {
	const block = 512
	count := func(_ string, d fs.DirEntry, err error) error {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			if st := info.Sys().(*syscall.Stat_t); !seen[st.Ino] {
				seen[st.Ino] = true
				bytes += st.Blocks * block
			}
		}
		return err
	}
	if files == nil {
		files = []string{dir}
	}
	for _, f := range files {
		if err := filepath.WalkDir(f, count); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return bytes, err
		}
	}
	return bytes, nil
}

// removePatience is how long Prune waits for an entry that is in use.
const removePatience = 100 * time.Millisecond

// Prune removes entries, which are sorted as by Entries, that were not used since a
// time, and the last of the others until they take no more than most bytes; below
// 0 is any number. It returns those that it removed. Entries that are in use stay.
func (c *Cache) Prune(ctx context.Context, all []Entry, since time.Time, most int64) (removed []Entry, err error) {
	total := int64(0)
	for _, e := range all {
		total += e.Bytes
	}
	for _, e := range slices.Backward(all) {
		if !e.Used.Before(since) && (most < 0 || total <= most) {
			break
		}
		short, cancel := context.WithTimeout(ctx, removePatience)
		unlock, err := c.Lock(short, e.Kind, e.Key)
		cancel()
		if ctx.Err() != nil {
			return removed, ctx.Err()
		}
		if err != nil {
			continue
		}
		unlock()
		if err := c.Remove(ctx, e.Kind, e.Key); err != nil {
			return removed, err
		}
		removed, total = append(removed, e), total-e.Bytes
	}
	return removed, nil
}
