// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"vcpulab/tools/tree"
)

// limits bound what an archive may unpack to. A kernel has 96,000 files of
// 1.7 GB in all, and none above 30 MB.
type limits struct {
	files int
	bytes int64
	file  int64
}

var kernelLimits = limits{files: 300_000, bytes: 6 << 30, file: 64 << 20}

var (
	errOutside  = errors.New("leads out of the tree")
	errSpecial  = errors.New("is a device, a pipe or something else that no source tree has")
	errTooMany  = errors.New("more files than any kernel has")
	errTooLarge = errors.New("larger than any kernel is")
	errTwice    = errors.New("is there twice")
	errTop      = errors.New("is not below the one folder that all is in")
)

// untar unpacks a tar stream into the empty folder dir without the one top
// folder that everything in it is below, and returns what it wrote. Whatever
// would come to lie or lead outside is refused.
//
// Files get the mode 0644 or 0755, and their time from the archive.
// progress, unless nil, is called with the number of files so far.
func untar(ctx context.Context, r io.Reader, dir string, lim limits, progress func(files int)) ([]tree.Entry, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	u := &untarrer{root: root, lim: lim, made: map[string]bool{".": true}, byPath: map[string]*tree.Entry{}}
	u.group, ctx = errgroup.WithContext(ctx)
	u.group.SetLimit(2 * runtime.GOMAXPROCS(0))

	err = u.all(ctx, r, progress)
	u.folder.release()
	// A failed writer ends ctx: its error is the cause, not ctx's.
	if werr := u.group.Wait(); werr != nil {
		err = werr
	}
	if err != nil {
		return nil, err
	}
	entries := make([]tree.Entry, 0, len(u.entries))
	for _, e := range u.entries {
		entries = append(entries, *e)
	}
	return entries, nil
}

type untarrer struct {
	root    *os.Root
	lim     limits
	group   *errgroup.Group
	top     string          // the folder to strip
	made    map[string]bool // folders that exist
	entries []*tree.Entry
	byPath  map[string]*tree.Entry
	bytes   int64
	pending sync.WaitGroup // files that are being written
	folder  *folder        // of the last file
}

// folder is a folder that files are written to. Archives list the files of a
// folder one after the other: to open it once saves most of the system calls,
// as os.Root goes down the path of each file step by step.
type folder struct {
	name string
	root *os.Root
	refs atomic.Int32 // it is closed by the last of its users
}

func (f *folder) release() {
	if f != nil && f.refs.Add(-1) == 0 {
		f.root.Close()
	}
}

// enter returns the folder of that name, which exists, for one more user.
func (u *untarrer) enter(name string) (*folder, error) {
	if u.folder == nil || u.folder.name != name {
		root, err := u.root.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		u.folder.release()
		u.folder = &folder{name: name, root: root}
		u.folder.refs.Store(1)
	}
	u.folder.refs.Add(1)
	return u.folder, nil
}

func (u *untarrer) all(ctx context.Context, r io.Reader, progress func(int)) error {
	in := tar.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return cutOff(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // git archive puts the commit there
		}
		if err := u.one(ctx, h, in); err != nil {
			return &ArchiveError{Member: h.Name, Err: err}
		}
		if progress != nil {
			progress(len(u.entries))
		}
	}
	if len(u.entries) == 0 {
		return errors.New("it holds no files")
	}
	// What follows the end of the archive has to be read as well: only then
	// has the decompressor seen its own checksum.
	_, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
	return err
}

// one unpacks a member.
func (u *untarrer) one(ctx context.Context, h *tar.Header, in io.Reader) error {
	name, err := u.strip(h.Name)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return u.mkdir(name)
	}
	if name == "." {
		return errTop
	}
	if len(u.entries) >= u.lim.files {
		return errTooMany
	}
	if err := u.mkdir(path.Dir(name)); err != nil {
		return err
	}
	e := &tree.Entry{Path: name, Mode: tree.ModeFile}
	if u.byPath[name] != nil {
		return errTwice
	}
	u.entries = append(u.entries, e)
	u.byPath[name] = e
	switch h.Typeflag {
	case tar.TypeReg:
		return u.file(ctx, h, in, e)
	case tar.TypeSymlink:
		if !staysInside(name, h.Linkname) {
			return fmt.Errorf("link to %q: %w", h.Linkname, errOutside)
		}
		e.Mode, e.Blob = tree.ModeSymlink, tree.BlobID([]byte(h.Linkname))
		return u.root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return u.hardLink(h, e)
	}
	return errSpecial
}

// strip takes the top folder off a name.
func (u *untarrer) strip(full string) (string, error) {
	name := path.Clean(full)
	if path.IsAbs(full) || !fs.ValidPath(name) {
		return "", errOutside
	}
	if name == "." {
		return ".", nil
	}
	top, rest, below := strings.Cut(name, "/")
	if u.top == "" {
		u.top = top
	}
	if top != u.top {
		return "", errTop
	}
	if !below {
		return ".", nil
	}
	return rest, nil
}

// staysInside reports whether a symbolic link of that name leads to a place in
// the tree. It may go up first and then down: after going down, which another
// link may turn into going anywhere, a ".." would lead to who knows where.
func staysInside(name, target string) bool {
	if target == "" || path.IsAbs(target) || !fs.ValidPath(path.Join(path.Dir(name), target)) {
		return false
	}
	down := false
	for part := range strings.SplitSeq(target, "/") {
		if part == ".." && down {
			return false
		}
		down = down || part != ".." && part != "." && part != ""
	}
	return true
}

// mkdir makes a folder and those above it, none of which may be a link.
func (u *untarrer) mkdir(name string) error {
	if u.made[name] {
		return nil
	}
	for up := name; up != "."; up = path.Dir(up) {
		if u.byPath[up] != nil {
			return fmt.Errorf("%s is no folder", up)
		}
	}
	if len(u.made) > u.lim.files {
		return errTooMany
	}
	if err := u.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	u.made[name] = true
	return nil
}

// file reads a file and lets another goroutine write it: decompression goes
// on meanwhile.
func (u *untarrer) file(ctx context.Context, h *tar.Header, in io.Reader, e *tree.Entry) error {
	u.bytes += h.Size
	if h.Size > u.lim.file || u.bytes > u.lim.bytes {
		return errTooLarge
	}
	data := make([]byte, h.Size)
	if _, err := io.ReadFull(in, data); err != nil {
		return cutOff(err)
	}
	mode := fs.FileMode(0o644)
	if h.Mode&0o100 != 0 {
		e.Mode, mode = tree.ModeExecutable, 0o755
	}
	modTime := h.ModTime
	dir, err := u.enter(path.Dir(e.Path))
	if err != nil {
		return err
	}
	u.pending.Add(1)
	u.group.Go(func() error {
		defer u.pending.Done()
		defer dir.release()
		if err := ctx.Err(); err != nil {
			return err
		}
		e.Blob = tree.BlobID(data)
		if err := writeFile(dir.root, path.Base(e.Path), data, mode, modTime); err != nil {
			return &ArchiveError{Member: h.Name, Err: err}
		}
		return nil
	})
	return nil
}

func writeFile(root *os.Root, name string, data []byte, mode fs.FileMode, modTime time.Time) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode)) // whatever the umask is
	when := unix.NsecToTimeval(modTime.UnixNano())
	return errors.Join(err, unix.Futimes(int(f.Fd()), []unix.Timeval{when, when}), f.Close())
}

// hardLink makes a link to a file that was unpacked before.
func (u *untarrer) hardLink(h *tar.Header, e *tree.Entry) error {
	target, err := u.strip(h.Linkname)
	if err != nil {
		return fmt.Errorf("link to %q: %w", h.Linkname, err)
	}
	old := u.byPath[target]
	if old == nil || old == e {
		return fmt.Errorf("link to %q, which is not in the archive before it", h.Linkname)
	}
	u.pending.Wait() // it may be among those
	e.Mode, e.Blob = old.Mode, old.Blob
	return u.root.Link(target, e.Path)
}
