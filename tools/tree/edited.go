// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/cache"
	"vcpulab/tools/progress"
)

// Renew removes a tree from the cache if a file of it was written to since it was
// made: people are shown where trees are, and many share a file. Of a tree with a
// base only what it does not share with that is looked at.
func Renew(ctx context.Context, c *cache.Cache, kind, key string, t Tree, log *progress.Log) error {
	made, err := Made(t.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	edited := ""
	switch {
	case err != nil:
	case t.Base == "":
		edited, err = editedSince(ctx, t.Dir, made)
	default:
		for _, name := range t.Changed {
			info, err := os.Lstat(filepath.Join(t.Dir, filepath.FromSlash(name)))
			if err == nil && info.Mode().IsRegular() && info.ModTime().After(made) {
				edited = name
			}
		}
		// A base from outside the cache has no description.
		if base, err := Made(t.Base); err == nil && base.After(made) {
			// Its files may be those of a tree that was edited.
			return c.Remove(ctx, kind, key)
		}
	}
	if err != nil {
		return fmt.Errorf("look for edited files in %s: %w", t.Dir, err)
	}
	if edited == "" {
		return nil
	}
	log.Printf("%s in %s was edited: the tree is made again. To edit one, copy it: vcpulab apply --out DIR", edited, t.Dir)
	return c.Remove(ctx, kind, key)
}

// Made returns when the tree in dir was made.
func Made(dir string) (time.Time, error) {
	info, err := os.Stat(metaFile(dir))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// editedSince returns the name of a file in dir that was written to after a time, ""
// if there is none.
func editedSince(ctx context.Context, dir string, made time.Time) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	edited := make([]string, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	for i, e := range entries {
		g.Go(func() error {
			return filepath.WalkDir(filepath.Join(dir, e.Name()), func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return errors.Join(err, ctx.Err())
				}
				if info, err := d.Info(); err != nil || !info.ModTime().After(made) {
					return err
				}
				edited[i] = path
				return fs.SkipAll
			})
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	return strings.TrimPrefix(cmp.Or(edited...), dir+string(filepath.Separator)), nil
}
