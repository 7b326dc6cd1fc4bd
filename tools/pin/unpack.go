// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"

	"vcpulab/tools/program"
	"vcpulab/tools/progress"
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
	errOutside  = errors.New("is outside the tree")
	errSpecial  = errors.New("is a device, a pipe or another file that no source tree has")
	errTooMany  = errors.New("more files than any kernel has")
	errTooLarge = errors.New("larger than any kernel")
	errTop      = errors.New("is not below the one top-level directory")
)

// unpacker unpacks a kernel. Nothing is written outside of its directory.
type unpacker struct {
	limits limits
	step   *progress.Step
	files  int // that were written
	bytes  int64

	root  *os.Root
	top   string   // the top-level directory of the archive, which is left out
	links []string // symbolic links
}

// needUnpackers checks before a long download that it can be unpacked.
func needUnpackers() error {
	for _, name := range []string{"xz", "tar", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			return &program.MissingError{Program: name, Err: err}
		}
	}
	return nil
}

// unpackArchive unpacks the kernel in file, a .tar.xz or, with a member, a .deb
// that holds such a file, into the empty directory dir. All is one stream: only
// the kernel's files are written.
func (u *unpacker) unpackArchive(ctx context.Context, file, member, dir string) error {
	unxz := func(r io.Reader) error {
		return pipe(ctx, r, func(r io.Reader) error { return u.unpackTar(ctx, r, dir) }, "xz", "-dc", "-T0")
	}
	if member != "" {
		return pipe(ctx, nil, func(r io.Reader) error {
			return pipe(ctx, r, unxz, "tar", "-xO", "./"+path.Clean(member))
		}, "dpkg-deb", "--fsys-tarfile", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unxz(f)
}

// pipe runs a program and has read read what it prints. What read leaves over
// is skipped, so that the program finishes its own checks.
func pipe(ctx context.Context, stdin io.Reader, read func(io.Reader) error, name string, args ...string) error {
	process, err := program.Program{Name: name, Stdin: stdin, PipeStdout: true}.Start(ctx, args...)
	if err != nil {
		return err
	}

	err = read(process.Stdout)
	_, next := errors.AsType[*program.StatusError](err)
	if err != nil && !next && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, tar.ErrHeader) {
		process.Kill() // it may be waiting for a reader
		process.Wait()
		return errors.Join(ctx.Err(), err)
	}
	_, left := io.Copy(io.Discard, process.Stdout)
	// If the stream ended early, the first program knows best why.
	return cmp.Or(process.Wait(), err, left)
}

// unpackTar unpacks a tar stream without its top-level directory. Files get
// mode 0644 or 0755, and their time from the archive, which [Pin.Update] needs.
func (u *unpacker) unpackTar(ctx context.Context, r io.Reader, dir string) (err error) {
	if u.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	defer u.root.Close()

	in := tar.NewReader(r)
	for ctx.Err() == nil {
		h, err := in.Next()
		if err == io.EOF {
			return u.checkLinks()
		}
		if err != nil {
			return err
		}
		if err := u.unpackMember(h, in); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
		u.step.Update("%d files", u.files)
	}
	return ctx.Err()
}

func (u *unpacker) unpackMember(h *tar.Header, in io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // git archive puts the commit there
	}
	full := path.Clean(h.Name)
	if path.IsAbs(h.Name) || !fs.ValidPath(full) {
		return errOutside
	}
	top, name, _ := strings.Cut(full, "/")
	if top != "." {
		if u.top = cmp.Or(u.top, top); u.top != top {
			return errTop
		}
	}
	if h.Typeflag == tar.TypeDir {
		return u.root.MkdirAll(cmp.Or(name, "."), 0o755)
	}
	u.files, u.bytes = u.files+1, u.bytes+h.Size
	switch {
	case name == "":
		return errTop
	case u.files > u.limits.files:
		return errTooMany
	case h.Size > u.limits.file || u.bytes > u.limits.bytes:
		return errTooLarge
	}

	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return u.writeFile(name, h, in)
	case tar.TypeSymlink:
		u.links = append(u.links, name)
		return u.root.Symlink(h.Linkname, name)
	}
	return errSpecial
}

func (u *unpacker) writeFile(name string, h *tar.Header, in io.Reader) error {
	mode := fs.FileMode(0o644)
	if h.Mode&0o100 != 0 {
		mode = 0o755
	}
	data := make([]byte, h.Size)
	if _, err := io.ReadFull(in, data); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close()) // whatever the umask is
	if err != nil {
		return err
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

// checkLinks refuses symbolic links that lead out of the tree, also by way of
// one another. They may lead to nothing.
func (u *unpacker) checkLinks() error {
	if u.files == 0 {
		return fmt.Errorf("it holds no files: %w", io.ErrUnexpectedEOF)
	}
	for _, name := range u.links {
		if _, err := u.root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%q: symbolic link: %w (%w)", name, errOutside, err)
		}
	}
	return nil
}
