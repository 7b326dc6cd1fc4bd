// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
)

// Renew removes a tree from the cache if one of the named files was written to since it was
// made: people see where trees are. Unedited looks at all files, which takes seconds.
func Renew(ctx context.Context, c *cache.Cache, kind, key string, t Tree, names []string, log *progress.Log) error {
	made, err := Made(t.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for edited files in %s: %w", t.Dir, err)
	}
	// A base that was made again had been edited, and t may share the files. One from
	// outside the cache has no description.
	if base, err := Made(t.Base); t.Base != "" && err == nil && base.After(made) {
		return c.Remove(ctx, kind, key)
	}
	for _, name := range names {
		info, err := os.Lstat(filepath.Join(t.Dir, filepath.FromSlash(name)))
		if err == nil && info.Mode().IsRegular() && info.ModTime().After(made) {
			log.Printf("%s in %s was edited: the tree is made again. To edit one, copy it: vcpulab apply --out DIR", name, t.Dir)
			return c.Remove(ctx, kind, key)
		}
	}
	return nil
}

// Unedited returns an error if any file of a tree that was fetched was written to since,
// and removes the tree from the cache then. It looks once in a process.
func Unedited(ctx context.Context, c *cache.Cache, t Tree) error {
	return c.Once("edited", t.Dir, func() error {
		if _, err := Made(t.Dir); errors.Is(err, fs.ErrNotExist) {
			return nil // it stands elsewhere
		}
		find := program.Program{Name: "find"}
		out, _, err := find.Run(ctx, t.Dir, "-type", "f", "-newer", metaFile(t.Dir), "-print", "-quit")
		if err != nil {
			return fmt.Errorf("look for edited files in %s: %w", t.Dir, err)
		}
		edited := strings.TrimSuffix(string(out), "\n")
		if edited == "" {
			return nil
		}
		entry := filepath.Dir(t.Dir)
		if kind, key := filepath.Base(filepath.Dir(entry)), filepath.Base(entry); entry == c.Path(kind, key) {
			err = c.Remove(ctx, kind, key)
		}
		return exit.With(exit.CheckFailed, errors.Join(err, fmt.Errorf(
			"%s was edited: other trees share it, so they are removed. Run the command again. To edit a tree, copy it: vcpulab apply --out DIR", edited)))
	})
}

// Made returns when the tree in dir was made.
func Made(dir string) (time.Time, error) {
	info, err := os.Stat(metaFile(dir))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}
