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
	"slices"
	"strings"
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

// Entries reads all files of the tree in dir and returns them sorted by path, but those
// that keep, unless it is nil, leaves out, or whose directory it does. Files that are
// neither regular nor symbolic links are an error.
func Entries(ctx context.Context, dir string, keep func(name string, isDir bool) bool) ([]Entry, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	defer root.Close()

	var names []string
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch err := cmp.Or(err, ctx.Err()); {
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
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", dir, err)
	}
	return ReadEntries(ctx, dir, names)
}

var errNoFile = errors.New("neither a file nor a symbolic link")

// ReadEntries reads the named files of the tree in dir and returns them sorted by path.
func ReadEntries(ctx context.Context, dir string, names []string) ([]Entry, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	defer root.Close()

	entries := make([]Entry, len(names))
	for i, name := range names {
		entries[i].Path = name
	}
	err = eachFile(ctx, root, entries, func(in *os.Root, base string, e *Entry) (err error) {
		e.Mode, e.Blob, err = copyFile(in, base, io.Discard)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", dir, err)
	}

	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	return entries, nil
}

// BlobIDs returns git's ids, by path, of those of the named files that the tree in dir has.
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

// BlobID returns the id that git gives to a file with this content, in hexadecimal.
func BlobID(data []byte) string {
	id := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(data), data))
	return hex.EncodeToString(id[:])
}

// FileBlobID returns the id that git gives to the named file of root, or to a link.
func FileBlobID(root *os.Root, name string) (string, error) {
	_, blob, err := copyFile(root, name, io.Discard)
	return blob, err
}

// copyFile writes what ReadFile returns, piece by piece, and returns the mode and
// the id that git gives to the content: a user's tree may have files of any size.
func copyFile(root *os.Root, name string, to io.Writer) (mode, blob string, err error) {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return "", "", err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(name)
		if err == nil {
			_, err = io.WriteString(to, target)
		}
		return ModeSymlink, BlobID([]byte(target)), err
	case !info.Mode().IsRegular():
		return "", "", fmt.Errorf("%s: %w", name, errNoFile)
	case info.Mode()&0o100 != 0:
		mode = ModeExecutable
	default:
		mode = ModeFile
	}

	f, err := root.Open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", info.Size())
	n, err := io.Copy(io.MultiWriter(h, to), f)
	if err == nil && n != info.Size() {
		err = fmt.Errorf("%s: %w", name, errChanged)
	}
	return mode, hex.EncodeToString(h.Sum(nil)), err
}

// ReadFile returns a file's mode and content as git sees them; of a link that is the target.
func ReadFile(root *os.Root, name string) (mode string, data []byte, err error) {
	var content bytes.Buffer
	mode, _, err = copyFile(root, name, &content)
	return mode, content.Bytes(), err
}

// GitID returns what git write-tree prints for these entries, which are sorted by path.
func GitID(entries []Entry) string { return hex.EncodeToString(treeID(entries, 0)) }

// treeID returns git's id of a directory with these entries; at is where the names
// relative to it begin. Sorted paths are in git's order, in which a directory's name ends
// in a slash.
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
