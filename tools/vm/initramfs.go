// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// File is a file of an initramfs.
type File struct {
	// Path is its path there: clean, slash-separated, with or without a leading
	// slash.
	Path string
	// Mode are its permission bits; 0 is 0644.
	Mode fs.FileMode
	// Data is its content, unless Host is set.
	Data []byte
	// Host is the path of a file of this machine with its content.
	Host string
}

// maxFile is the largest file of an archive in the newc format, in bytes: sizes
// have eight hexadecimal digits, and cpio.Writer cuts larger ones.
const maxFile = math.MaxUint32

// WriteInitramfs writes an initramfs with these files and the directories that
// they need, in cpio's newc format. The same files give the same bytes: they
// are sorted, belong to root and carry no time. It is not compressed: a guest
// takes longer to unpack it than to be handed the bytes.
func WriteInitramfs(w io.Writer, files []File) error {
	byPath := make(map[string]File, len(files))
	for _, f := range files {
		name := strings.TrimPrefix(f.Path, "/")
		if !fs.ValidPath(name) || name == "." || strings.ContainsRune(name, 0) {
			return fmt.Errorf("initramfs: %q: expected a clean path of a file", f.Path)
		}
		if _, ok := byPath[name]; ok {
			return fmt.Errorf("initramfs: duplicate %s", name)
		}
		byPath[name] = f
	}
	dirs := map[string]bool{}
	for name := range byPath {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := byPath[dir]; ok {
				return fmt.Errorf("initramfs: %s is a file and the directory of %s", dir, name)
			}
			dirs[dir] = true
		}
	}

	cw := cpio.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(dirs)) {
		if err := cw.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeDir | 0o755, Links: 2}); err != nil {
			return fmt.Errorf("initramfs: %s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byPath)) {
		if err := writeFile(cw, name, byPath[name]); err != nil {
			return fmt.Errorf("initramfs: %s: %w", name, err)
		}
	}
	return cw.Close()
}

func writeFile(cw *cpio.Writer, name string, f File) error {
	mode := cmp.Or(f.Mode.Perm(), 0o644)
	size, content := int64(len(f.Data)), io.Reader(bytes.NewReader(f.Data))
	if f.Host != "" {
		file, err := os.Open(f.Host)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", f.Host)
		}
		size, content = info.Size(), file
	}
	if size > maxFile {
		return fmt.Errorf("%s has %d bytes, more than the format's %d", f.Host, size, int64(maxFile))
	}

	h := &cpio.Header{Name: name, Mode: cpio.TypeReg | cpio.FileMode(mode), Links: 1, Size: size}
	if err := cw.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(cw, content)
	if err == nil && n != size {
		err = fmt.Errorf("expected %d bytes, found %d: the file changed while it was read", size, n)
	}
	return err
}
