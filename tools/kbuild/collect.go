// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/jsonfile"
)

// collect copies what was built from kbuild's output directory to dir, and
// completes and saves the description of the kernel there.
func (k *Kernel) collect(out, dir, log string) error {
	release, err := os.ReadFile(filepath.Join(out, "include/config/kernel.release"))
	if err != nil {
		return err
	}
	k.Release = strings.TrimSpace(string(release))
	k.Image = filepath.Base(k.Arch.ImagePath)

	// By their names in dir.
	files := map[string]string{
		fileVmlinux: "vmlinux",
		k.Image:     k.Arch.ImagePath,
		fileConfig:  ".config",
		fileMap:     "System.map",
	}
	// Without modules there is none.
	if _, err := os.Lstat(filepath.Join(out, "Module.symvers")); err == nil {
		files[fileSymvers] = "Module.symvers"
	}
	order, err := os.ReadFile(filepath.Join(out, "modules.order"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, object := range strings.Fields(string(order)) {
		ko := strings.TrimSuffix(object, ".o") + ".ko"
		module := filepath.Join(dirModules, filepath.Base(ko))
		if files[module] != "" {
			return fmt.Errorf("two modules are called %s", filepath.Base(ko))
		}
		k.Modules = append(k.Modules, module)
		files[module] = ko
	}

	for to, from := range files {
		if err := copyFile(filepath.Join(dir, to), filepath.Join(out, from)); err != nil {
			return err
		}
	}
	if err := copyFile(filepath.Join(dir, fileLog), log); err != nil {
		return err
	}
	if err := collectBuild(out, filepath.Join(dir, dirBuild), k.Arch.Source); err != nil {
		return err
	}

	k.SHA256 = make(map[string]string)
	for _, name := range slices.Concat([]string{k.Image, fileVmlinux}, k.Modules) {
		if k.SHA256[name], err = hashFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return jsonfile.Save(filepath.Join(dir, fileMeta), k)
}

// collectBuild copies what it takes to build an external module from kbuild's
// output: what distributions put into their packages of headers.
func collectBuild(out, dir, source string) error {
	for _, name := range []string{
		".config", "Module.symvers", "include",
		filepath.Join("arch", source, "include"),
		"scripts",
		"tools/objtool/objtool",
		"tools/bpf/resolve_btfids/resolve_btfids",
		"arch/powerpc/lib/crtsavres.o", // linked into each module there
	} {
		err := fs.WalkDir(os.DirFS(out), name, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			// Below a directory, kbuild uses these only to make them again.
			if ext := filepath.Ext(p); p != name && (ext == ".o" || ext == ".a" || ext == ".cmd") {
				return nil
			}
			return copyFile(filepath.Join(dir, p), filepath.Join(out, p))
		})
		// Not all are of this architecture or configuration.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// The type information of modules is based on the kernel's.
	return os.Symlink(filepath.Join("..", fileVmlinux), filepath.Join(dir, "vmlinux"))
}

// hashFile returns the SHA-256 of a file in hexadecimal.
func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()

	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// copyFile copies a file, sharing its blocks where the file system can. It is
// never a hard link: the linker and the programs that run after it write to
// their output in place.
func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}

	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
