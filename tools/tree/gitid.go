// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// The modes that git knows.
const (
	ModeFile       = "100644"
	ModeExecutable = "100755"
	ModeSymlink    = "120000"
	modeTree       = "40000"
)

// Entry is a file or symbolic link of a tree as git sees it.
type Entry struct {
	Path string // relative, with slashes
	Mode string // ModeFile, ModeExecutable or ModeSymlink
	Blob string // git's id of the content, 40 hexadecimal digits
}

// Entries reads all files of the tree in dir and returns them sorted by path.
// keep, unless nil, is asked for each path whether it belongs to the tree; a
// directory that does not is left out with everything in it. Files that are
// neither regular nor symbolic links are an error, empty directories are left
// out.
func Entries(ctx context.Context, dir string, keep func(name string, isDir bool) bool) ([]Entry, error) {
	names, err := list(ctx, dir, keep)
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", dir, err)
	}
	return ReadEntries(ctx, dir, names)
}

// list returns the paths of the files and symbolic links of the tree in dir, as
// Entries does.
func list(ctx context.Context, dir string, keep func(name string, isDir bool) bool) (names []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return err
		case name != "." && keep != nil && !keep(name, d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type()&^fs.ModeSymlink != 0 && !d.IsDir():
			return fmt.Errorf("%s: %w", name, errNoFile)
		case !d.IsDir():
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

var errNoFile = errors.New("neither a file nor a symbolic link")

// ReadEntries reads the named files of the tree in dir, relative paths with
// slashes, and returns them sorted by path.
func ReadEntries(ctx context.Context, dir string, names []string) ([]Entry, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	defer root.Close()

	entries := make([]Entry, len(names))
	err = eachDirectory(ctx, names, func(sub string, indices []int) error {
		in, err := root.OpenRoot(sub)
		if err != nil {
			return err
		}
		defer in.Close()

		for _, i := range indices {
			mode, blob, err := modeAndBlob(in, path.Base(names[i]))
			if err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			entries[i] = Entry{Path: names[i], Mode: mode, Blob: blob}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", dir, err)
	}

	slices.SortFunc(entries, compareEntries)
	return entries, nil
}

func compareEntries(a, b Entry) int { return cmp.Compare(a.Path, b.Path) }

// BlobIDs returns git's blob ids of the named files of the tree in dir, by
// path. Missing files are left out.
func BlobIDs(ctx context.Context, dir string, names []string) (map[string]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	defer root.Close()

	entries, err := ReadEntries(ctx, dir, slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, err := root.Lstat(name)
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	}))
	if err != nil {
		return nil, err
	}
	ids := make(map[string]string, len(entries))
	for _, e := range entries {
		ids[e.Path] = e.Blob
	}
	return ids, nil
}

// BlobID returns the id that git gives to a file with this content: 40
// hexadecimal digits.
func BlobID(data []byte) string {
	id, _ := hashBlob(int64(len(data)), bytes.NewReader(data), io.Discard)
	return id
}

// FileBlobID returns the id that git gives to the named file of root. A
// symbolic link's content is its target; it is not followed.
func FileBlobID(root *os.Root, name string) (string, error) {
	_, id, err := modeAndBlob(root, name)
	return id, err
}

// modeAndBlob returns what git records of a file.
func modeAndBlob(root *os.Root, name string) (mode, id string, err error) {
	info, err := root.Lstat(name)
	if err != nil {
		return "", "", err
	}
	mode = ModeFile
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(name)
		return ModeSymlink, BlobID([]byte(target)), err
	case !info.Mode().IsRegular():
		return "", "", fmt.Errorf("%s: %w", name, errNoFile)
	case info.Mode()&0o100 != 0:
		mode = ModeExecutable
	}

	f, err := root.Open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	id, err = hashBlob(info.Size(), f, io.Discard)
	return mode, id, err
}

// buffers are for reading files: a new one for each of 96,000 files would
// keep the garbage collector busier than the disk.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// hashBlob copies a file of size bytes and returns git's id of it.
func hashBlob(size int64, from io.Reader, to io.Writer) (string, error) {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", size)
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)

	// Hidden behind a plain Reader and Writer: their other methods would
	// allocate buffers of their own.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(h, to)}, struct{ io.Reader }{from}, buf[:])
	if err == nil && n != size {
		err = fmt.Errorf("changed while it was read (%d bytes, then %d)", size, n)
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// GitID returns the id that git gives to a tree with these entries, which is
// what git write-tree prints. They need not be sorted.
func GitID(entries []Entry) (string, error) {
	entries = slices.SortedFunc(slices.Values(entries), compareEntries)
	for i, e := range entries {
		if id, err := hex.DecodeString(e.Blob); err != nil || len(id) != sha1.Size {
			return "", fmt.Errorf("%s: %q is not a git blob id", e.Path, e.Blob)
		}
		if !fs.ValidPath(e.Path) || e.Path == "." {
			return "", fmt.Errorf("%q is not a path in a tree", e.Path)
		}
		if i > 0 && e.Path == entries[i-1].Path {
			return "", fmt.Errorf("%s: listed twice", e.Path)
		}
	}
	return hex.EncodeToString(treeID(entries, 0)), nil
}

// treeID returns git's id of a directory with these entries, which are sorted
// by path; at is where the names relative to it begin. Sorted paths are in
// git's order, in which a directory's name ends in a slash.
func treeID(entries []Entry, at int) []byte {
	var body []byte
	for len(entries) > 0 {
		first := entries[0]
		name, _, isDir := strings.Cut(first.Path[at:], "/")
		if !isDir {
			body = fmt.Appendf(body, "%s %s\x00", first.Mode, name)
			body, _ = hex.AppendDecode(body, []byte(first.Blob))
			entries = entries[1:]
			continue
		}

		prefix := first.Path[:at+len(name)+1]
		n := slices.IndexFunc(entries, func(e Entry) bool { return !strings.HasPrefix(e.Path, prefix) })
		if n < 0 {
			n = len(entries)
		}
		body = fmt.Appendf(body, "%s %s\x00", modeTree, name)
		body = append(body, treeID(entries[:n], len(prefix))...)
		entries = entries[n:]
	}

	id := sha1.Sum(fmt.Appendf(nil, "tree %d\x00%s", len(body), body))
	return id[:]
}
