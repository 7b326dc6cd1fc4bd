// SPDX-License-Identifier: GPL-2.0-only

// Package tree handles kernel source trees on disk: what identifies one, how
// one is made from another cheaply, and how a file of it is replaced.
//
// Trees are made from each other by hard links, so that a patched tree costs
// no disk for the files that it shares with its base. Therefore a file of a
// tree is never written in place: Replace puts a new file in its stead.
package tree

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
)

// Tree is a kernel source tree on disk.
type Tree struct {
	// Dir is the absolute path of the folder.
	Dir string `json:"dir"`
	// ID identifies the content: two trees with the same ID have the same
	// files.
	ID string `json:"id"`
	// Version is the kernel's version as its Makefile has it ("7.3.4").
	Version string `json:"version"`
	// Base is the Dir of the tree that this one was made from, "" for one
	// that was fetched.
	Base string `json:"base,omitempty"`
	// Changed holds the paths, relative with slashes and sorted, that differ
	// from Base: added, removed and modified.
	Changed []string `json:"changed,omitempty"`
}

// metaFile returns where the description of the tree in dir is stored: beside
// it, so that the tree holds kernel sources alone.
func metaFile(dir string) string { return filepath.Clean(dir) + ".json" }

// Save writes the description of t beside its folder, as <Dir>.json.
func Save(t Tree) error {
	data, err := json.MarshalIndent(t, "", "\t")
	if err != nil {
		return fmt.Errorf("save the description of %s: %w", t.Dir, err)
	}
	tmp := metaFile(t.Dir) + ".new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("save the description of %s: %w", t.Dir, err)
	}
	if err := os.Rename(tmp, metaFile(t.Dir)); err != nil {
		return fmt.Errorf("save the description of %s: %w", t.Dir, err)
	}
	return nil
}

// Load reads the description of the tree in dir. Dir of the result is dir,
// whatever the folder was called when the description was saved.
func Load(dir string) (Tree, error) {
	var t Tree
	data, err := os.ReadFile(metaFile(dir))
	if err != nil {
		return t, fmt.Errorf("load the description of %s: %w", dir, err)
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("load the description of %s: %s: %w", dir, metaFile(dir), err)
	}
	if t.ID == "" {
		return t, fmt.Errorf("load the description of %s: %s has no id", dir, metaFile(dir))
	}
	t.Dir = dir
	return t, nil
}

// blobHash returns git's hash of a file of size bytes, to write them to.
func blobHash(size int64) hash.Hash {
	h := sha1.New()
	h.Write(strconv.AppendInt([]byte("blob "), size, 10))
	h.Write([]byte{0})
	return h
}

// BlobID returns the id that git gives to a file with this content: 40
// hexadecimal digits.
func BlobID(data []byte) string {
	h := blobHash(int64(len(data)))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// FileBlobID returns the id that git gives to the named file of root. A
// symbolic link's content is where it points to, and is not followed.
func FileBlobID(root *os.Root, name string) (string, error) {
	_, id, err := modeAndBlob(root, name)
	return id, err
}

// buffers are for reading files: a new one for each of 96,000 files would
// keep the garbage collector busier than the disk.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// modeAndBlob returns what git has of a file.
func modeAndBlob(root *os.Root, name string) (mode, id string, err error) {
	info, err := root.Lstat(name)
	if err != nil {
		return "", "", err
	}
	mode = ModeFile
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(name)
		if err != nil {
			return "", "", err
		}
		return ModeSymlink, BlobID([]byte(target)), nil
	case !info.Mode().IsRegular():
		return "", "", fmt.Errorf("%s: neither a file nor a symbolic link", name)
	case info.Mode()&0o100 != 0:
		mode = ModeExecutable
	}
	f, err := root.Open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	h := blobHash(info.Size())
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	// Without its other methods f cannot bring a buffer of its own.
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, buf[:])
	if err != nil {
		return "", "", err
	}
	if n != info.Size() {
		return "", "", fmt.Errorf("%s: changed while it was read (%d bytes, then %d)", name, info.Size(), n)
	}
	return mode, hex.EncodeToString(h.Sum(nil)), nil
}

// Replace puts a file with this content and mode in the place of name, a
// relative path with slashes, and makes the folders above it. The old file is
// not written to: other trees may share it. A failure leaves the old file.
func Replace(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	tmp, err := writeNew(root, name, data, mode)
	if err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	if err := root.Rename(tmp, name); err != nil {
		root.Remove(tmp)
		return fmt.Errorf("replace %s: %w", name, err)
	}
	return nil
}

// writeNew writes a file of a new name beside name and returns that name.
func writeNew(root *os.Root, name string, data []byte, mode fs.FileMode) (string, error) {
	dir, base := path.Split(name)
	if dir != "" {
		if err := root.MkdirAll(path.Clean(dir), 0o755); err != nil {
			return "", err
		}
	}
	for i := range 1000 {
		tmp := dir + "." + base + ".new" + strconv.Itoa(i)
		f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(data)
		// Not left to OpenFile: that would apply the umask.
		err = errors.Join(err, f.Chmod(mode.Perm()), f.Close())
		if err != nil {
			root.Remove(tmp)
			return "", err
		}
		return tmp, nil
	}
	return "", fs.ErrExist
}

// Remove removes the named file and the folders above it that become empty,
// as git does.
func Remove(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	if info.IsDir() {
		return fmt.Errorf("remove %s: is a folder", name)
	}
	if err := root.Remove(name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if root.Remove(dir) != nil {
			break // not empty
		}
	}
	return nil
}
