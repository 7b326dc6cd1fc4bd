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

// Clone makes dst, which must not exist, a tree with the same content as src
// by hard links; symbolic links are made anew. Where src and dst are on
// different file systems, files are copied. Only trees that nobody writes to
// in place may be cloned: for a user's own tree there is Copy.
//
// When it fails or ctx ends, dst is removed.
func Clone(ctx context.Context, src, dst string) error {
	if err := replicate(ctx, src, dst, true); err != nil {
		return fmt.Errorf("clone the tree %s to %s: %w", src, dst, err)
	}
	return nil
}

// Copy is Clone with copies instead of hard links.
func Copy(ctx context.Context, src, dst string) error {
	if err := replicate(ctx, src, dst, false); err != nil {
		return fmt.Errorf("copy the tree %s to %s: %w", src, dst, err)
	}
	return nil
}

func replicate(ctx context.Context, src, dst string, link bool) (err error) {
	in, err := unix.Open(src, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: src, Err: err}
	}
	if err := os.Mkdir(dst, 0o755); err != nil {
		unix.Close(in)
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dst)
		}
	}()
	out, err := unix.Open(dst, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(in)
		return &fs.PathError{Op: "open", Path: dst, Err: err}
	}

	g, ctx := errgroup.WithContext(ctx)
	// The system calls wait for locks of the file system, so more of them
	// than there are processors keep those busy.
	g.SetLimit(4 * runtime.GOMAXPROCS(0))
	r := &replicator{group: g}
	r.link.Store(link)
	g.Go(func() error { return r.dir(ctx, in, out, ".") })
	return g.Wait()
}

// replicator replicates folders in parallel. It works relative to descriptors
// of folders: resolving the whole path of each of 96,000 files would take
// longer than linking them.
type replicator struct {
	group *errgroup.Group
	link  atomic.Bool // whether hard links still are worth a try
}

// dir replicates what is in the folder in to the folder out, and closes both.
// name is its path in the tree, for errors.
func (r *replicator) dir(ctx context.Context, in, out int, name string) error {
	from, to := os.NewFile(uintptr(in), name), os.NewFile(uintptr(out), name)
	defer from.Close()
	defer to.Close()
	entries, err := from.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		child := filepath.Join(name, e.Name())
		switch {
		case e.IsDir():
			err = r.subdir(ctx, in, out, e.Name(), child)
		case e.Type()&fs.ModeSymlink != 0:
			err = symlink(in, out, e.Name())
		case e.Type().IsRegular():
			err = r.file(in, out, e.Name())
		default:
			err = fmt.Errorf("neither a file, a folder nor a symbolic link")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", child, err)
		}
	}
	return nil
}

func (r *replicator) subdir(ctx context.Context, in, out int, base, name string) error {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if err := unix.Mkdirat(out, base, 0o755); err != nil {
		return err
	}
	subIn, err := unix.Openat(in, base, flags, 0)
	if err != nil {
		return err
	}
	subOut, err := unix.Openat(out, base, flags, 0)
	if err != nil {
		unix.Close(subIn)
		return err
	}
	work := func() error { return r.dir(ctx, subIn, subOut, name) }
	// When all workers are busy this one goes on by itself: waiting for a
	// free one here would be waiting for itself.
	if r.group.TryGo(work) {
		return nil
	}
	return work()
}

func (r *replicator) file(in, out int, base string) error {
	if r.link.Load() {
		err := unix.Linkat(in, base, out, base, 0)
		// Another file system, one without hard links, a limit on links, or
		// links to other users' files forbidden: a copy does as well.
		if err == nil || !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EPERM) &&
			!errors.Is(err, unix.EMLINK) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		if errors.Is(err, unix.EXDEV) {
			r.link.Store(false)
		}
	}
	return copyFile(in, out, base)
}

func copyFile(in, out int, base string) error {
	src, err := unix.Openat(in, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	from := os.NewFile(uintptr(src), base)
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	mode := uint32(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	dst, err := unix.Openat(out, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, mode)
	if err != nil {
		return err
	}
	to := os.NewFile(uintptr(dst), base)
	_, err = io.Copy(to, from) // copy_file_range(2): no copy at all where the file system can share
	return errors.Join(err, to.Close())
}

// maxTarget is more than any path that Linux takes.
const maxTarget = 8192

func symlink(in, out int, base string) error {
	buf := make([]byte, maxTarget)
	n, err := unix.Readlinkat(in, base, buf)
	if err != nil {
		return err
	}
	return unix.Symlinkat(string(buf[:n]), out, base)
}

// CopyEntries makes dst, which must not exist, a tree of copies of the files of
// src that entries list. A file that is not any more what its entry says is an
// error. When it fails or ctx ends, dst is removed.
func CopyEntries(ctx context.Context, src, dst string, entries []Entry) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy the tree %s to %s: %w", src, dst, err)
		}
	}()
	from, err := os.OpenRoot(src)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.Mkdir(dst, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dst)
		}
	}()
	to, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer to.Close()
	made := map[string]bool{".": true}
	for _, e := range entries {
		if dir := path.Dir(e.Path); !made[dir] {
			made[dir] = true
			if err := to.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
	}
	return inParallel(ctx, len(entries), func(i int, dirs *folders) error {
		e := entries[i]
		in, err := dirs.enter(from, path.Dir(e.Path))
		if err != nil {
			return err
		}
		out, err := dirs.enter(to, path.Dir(e.Path))
		if err != nil {
			return err
		}
		if err := copyEntry(in, out, path.Base(e.Path), e); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		return nil
	})
}

var errChanged = errors.New("changed while it was copied")

// copyEntry copies the file base, which is the entry e, from one folder to
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
	data, err := from.ReadFile(base)
	if err != nil {
		return err
	}
	if BlobID(data) != e.Blob {
		return errChanged
	}
	mode := fs.FileMode(0o644)
	if e.Mode == ModeExecutable {
		mode = 0o755
	}
	f, err := to.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Close())
}
