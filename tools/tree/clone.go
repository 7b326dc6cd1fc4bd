// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/program"
)

// Clone makes dst, which must not exist, a tree with the same files as src: by hard links, or
// copies where there can be none. The files must never be written in place, as a user's own
// are. When Clone fails or ctx ends, dst is removed.
func Clone(ctx context.Context, src, dst string) error {
	return create("clone", src, dst, func() error {
		cp := program.Program{Name: "cp"}
		_, _, err := cp.Run(ctx, "--archive", "--no-target-directory", "--link", src, dst)
		if _, failed := errors.AsType[*program.StatusError](err); failed {
			// Links may be impossible there, too many of a file, or forbidden to other users' files.
			_, _, err = cp.Run(ctx, "--archive", "--no-target-directory", "--remove-destination", src, dst)
		}
		return err
	})
}

// Copy makes dst, which must not exist, a tree of files of its own, which may be
// edited. When Copy fails or ctx ends, dst is removed.
func Copy(ctx context.Context, src, dst string) error {
	return create("copy", src, dst, func() error {
		_, _, err := program.Program{Name: "cp"}.Run(ctx, "--archive", "--no-target-directory", "--reflink=auto", src, dst)
		return err
	})
}

// create makes the directory dst and fills it. It is removed if that fails.
func create(verb, src, dst string, fill func() error) error {
	err := os.Mkdir(dst, 0o755)
	if err == nil {
		if err = fill(); err != nil {
			os.RemoveAll(dst)
		}
	}
	if err != nil {
		return fmt.Errorf("%s the tree %s to %s: %w", verb, src, dst, err)
	}
	return nil
}

var errChanged = errors.New("changed while it was copied")

// CopyEntries is Copy for the files that entries list. One that has changed since its entry
// was read is an error.
func CopyEntries(ctx context.Context, src, dst string, entries []Entry) error {
	return create("copy", src, dst, func() error {
		from, err := os.OpenRoot(src)
		if err != nil {
			return err
		}
		defer from.Close()
		to, err := os.OpenRoot(dst)
		if err != nil {
			return err
		}
		defer to.Close()

		return eachFile(ctx, from, entries, func(in *os.Root, base string, e *Entry) error {
			mode, blob, err := copyEntry(in, base, to, e)
			if err == nil && (mode != e.Mode || blob != e.Blob) {
				err = errChanged
			}
			return err
		})
	})
}

// copyEntry copies a file, and returns its mode and git's id of its content.
func copyEntry(in *os.Root, base string, to *os.Root, e *Entry) (mode, blob string, err error) {
	if e.Mode == ModeSymlink {
		mode, data, err := ReadFile(in, base)
		if err == nil {
			err = Put(to, e.Path, mode, data)
		}
		return mode, BlobID(data), err
	}
	if err := to.MkdirAll(path.Dir(e.Path), 0o755); err != nil {
		return "", "", err
	}
	f, err := to.OpenFile(e.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", "", err
	}
	mode, blob, err = copyFile(in, base, f)
	return mode, blob, errors.Join(err, f.Chmod(permissions(e.Mode)), f.Close())
}

// eachFile calls do for each file of root that entries list, by its directory and its
// name there, several directories at a time: os.Root walks down a path step by step, so
// files are opened relative to their directory. It ends at the first error.
func eachFile(ctx context.Context, root *os.Root, entries []Entry, do func(in *os.Root, base string, e *Entry) error) error {
	byDirectory := make(map[string][]*Entry)
	for i := range entries {
		dir := path.Dir(entries[i].Path)
		byDirectory[dir] = append(byDirectory[dir], &entries[i])
	}

	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for dir, files := range byDirectory {
		g.Go(func() error {
			in, err := root.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer in.Close()
			for _, e := range files {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(in, path.Base(e.Path), e); err != nil {
					return fmt.Errorf("%s: %w", e.Path, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}
