// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Clone makes dst, which must not exist, a tree with the same files as src, by
// hard links. Files are copied where they cannot be linked, as to another file
// system. Only trees whose files are never written in place may be cloned: a
// user's own tree is not among them. Empty directories are left out.
//
// When Clone fails or ctx ends, dst is removed.
func Clone(ctx context.Context, src, dst string) error {
	return create("clone", src, dst, func() error {
		names, err := list(ctx, src, nil)
		if err != nil {
			return err
		}
		return eachDirectory(ctx, names, func(dir string, indices []int) error {
			to := filepath.Join(dst, dir)
			if err := os.MkdirAll(to, 0o755); err != nil {
				return err
			}
			in, err := os.Open(filepath.Join(src, dir))
			if err != nil {
				return err
			}
			defer in.Close()
			out, err := os.Open(to)
			if err != nil {
				return err
			}
			defer out.Close()

			for _, i := range indices {
				if err := cloneFile(in, out, path.Base(names[i])); err != nil {
					return err
				}
			}
			return nil
		})
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

// cloneFile links or copies a file or symbolic link. It is named relative to
// open directories: resolving the whole path of each of 96,000 files takes as
// long as linking it.
func cloneFile(in, out *os.File, base string) error {
	from, to := filepath.Join(in.Name(), base), filepath.Join(out.Name(), base)
	err := unix.Linkat(int(in.Fd()), base, int(out.Fd()), base, 0)
	switch err {
	case nil:
		return nil
	case unix.EXDEV, unix.EPERM, unix.EMLINK, unix.EOPNOTSUPP:
		// No hard links there, too many of this file, or links to other
		// users' files are forbidden.
	default:
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}

	if target, err := os.Readlink(from); err == nil {
		return os.Symlink(target, to)
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePermissions(info.Mode()&0o100 != 0))
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// filePermissions returns the permissions of a file in a tree.
func filePermissions(executable bool) fs.FileMode {
	if executable {
		return 0o755
	}
	return 0o644
}

// CopyEntries makes dst, which must not exist, a tree of copies of the files of
// src that entries list. A file that has changed since its entry was read is an
// error. When CopyEntries fails or ctx ends, dst is removed.
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

		names := make([]string, len(entries))
		for i, e := range entries {
			names[i] = e.Path
		}
		return eachDirectory(ctx, names, func(dir string, indices []int) error {
			if err := to.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			in, err := from.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer in.Close()
			out, err := to.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer out.Close()

			for _, i := range indices {
				if err := copyEntry(in, out, path.Base(names[i]), entries[i]); err != nil {
					return fmt.Errorf("%s: %w", names[i], err)
				}
			}
			return nil
		})
	})
}

var errChanged = errors.New("changed while it was copied")

// copyEntry copies the file base, which is the entry e, from one directory to
// another.
func copyEntry(from, to *os.Root, base string, e Entry) error {
	if e.Mode == ModeSymlink {
		target, err := from.Readlink(base)
		if err != nil {
			return err
		}
		if BlobID([]byte(target)) != e.Blob {
			return errChanged
		}
		return to.Symlink(target, base)
	}

	in, err := from.Open(base)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	mode := filePermissions(e.Mode == ModeExecutable)
	out, err := to.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}

	id, err := hashBlob(info.Size(), in, out)
	if err == nil && id != e.Blob {
		err = errChanged
	}
	// The mode is set again because OpenFile applies the umask.
	return errors.Join(err, out.Chmod(mode), out.Close())
}

// eachDirectory calls do once for each directory of the named files, with the
// indices of the names in it, several at a time: os.Root walks down a path step
// by step, so files are opened relative to their directory. It ends at the
// first error.
func eachDirectory(ctx context.Context, names []string, do func(dir string, indices []int) error) error {
	byDirectory := make(map[string][]int)
	for i, name := range names {
		dir := path.Dir(name)
		byDirectory[dir] = append(byDirectory[dir], i)
	}

	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for dir, indices := range byDirectory {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(dir, indices)
		})
	}
	return g.Wait()
}
