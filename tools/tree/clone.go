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
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Clone makes dst, which must not exist, a tree with the same content as src,
// by hard links. Symbolic links are created again, and files are copied where
// they cannot be linked, as to another file system. Only trees whose files are
// never written in place may be cloned: a user's own tree is not among them.
//
// When Clone fails or ctx ends, dst is removed.
func Clone(ctx context.Context, src, dst string) error {
	return create("clone", src, dst, func() error {
		c := cloner{src: src, dst: dst}
		c.group, ctx = errgroup.WithContext(ctx)
		// System calls wait for locks of the file system: only more of them
		// than there are processors keep those busy.
		c.group.SetLimit(4 * runtime.GOMAXPROCS(0))
		c.group.Go(func() error { return c.cloneDirectory(ctx, ".") })
		return c.group.Wait()
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

// cloner clones directories in parallel.
type cloner struct {
	src, dst string
	group    *errgroup.Group
	copying  atomic.Bool // src and dst are on different file systems
}

// cloneDirectory clones a directory, by its path in the tree.
func (c *cloner) cloneDirectory(ctx context.Context, dir string) error {
	in, err := os.Open(filepath.Join(c.src, dir))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Open(filepath.Join(c.dst, dir))
	if err != nil {
		return err
	}
	defer out.Close()
	entries, err := in.ReadDir(-1)
	if err != nil {
		return err
	}

	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := filepath.Join(dir, e.Name())
		from, to := filepath.Join(c.src, name), filepath.Join(c.dst, name)

		switch {
		case e.IsDir():
			if err := os.Mkdir(to, 0o755); err != nil {
				return err
			}
			clone := func() error { return c.cloneDirectory(ctx, name) }
			// When all workers are busy, this one goes on by itself: it would
			// wait for itself here.
			if !c.group.TryGo(clone) {
				err = clone()
			}
		case e.Type() == fs.ModeSymlink:
			var target string
			if target, err = os.Readlink(from); err == nil {
				err = os.Symlink(target, to)
			}
		case e.Type().IsRegular():
			err = c.cloneFile(in, out, e.Name())
		default:
			err = fmt.Errorf("%s: neither a file, a directory nor a symbolic link", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cloneFile links or copies a file. It is named relative to open directories:
// resolving the whole path of each of 96,000 files takes as long as linking it.
func (c *cloner) cloneFile(in, out *os.File, base string) error {
	if !c.copying.Load() {
		err := unix.Linkat(int(in.Fd()), base, int(out.Fd()), base, 0)
		switch {
		case errors.Is(err, unix.EXDEV):
			c.copying.Store(true)
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.EMLINK), errors.Is(err, unix.EOPNOTSUPP):
			// No hard links there, too many of this file, or links to other
			// users' files are forbidden.
		case err != nil:
			return &os.LinkError{Op: "link", Old: filepath.Join(in.Name(), base), New: filepath.Join(out.Name(), base), Err: err}
		default:
			return nil
		}
	}

	from, err := os.Open(filepath.Join(in.Name(), base))
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(filepath.Join(out.Name(), base), os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePermissions(info.Mode()&0o100 != 0))
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
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
