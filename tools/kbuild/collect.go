// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// collect copies what was built from kbuild's output folder to dir, and
// completes and saves the description of the kernel there.
func (k *Kernel) collect(out, dir, log string) error {
	release, err := os.ReadFile(filepath.Join(out, "include/config/kernel.release"))
	if err != nil {
		return err
	}
	k.Release = strings.TrimSpace(string(release))

	type file struct{ from, to string }
	files := []file{
		{"vmlinux", fileVmlinux}, {".config", fileConfig}, {"System.map", fileMap},
	}
	k.Image = filepath.Base(k.Arch.ImagePath)
	if k.Image != fileVmlinux {
		files = append(files, file{k.Arch.ImagePath, k.Image})
	}
	objects, err := modulesOrder(filepath.Join(out, "modules.order"))
	if err != nil {
		return err
	}
	for _, o := range objects {
		ko := strings.TrimSuffix(o, ".o") + ".ko"
		to := filepath.Join(dirModules, filepath.Base(ko))
		if slices.Contains(k.Modules, to) {
			return fmt.Errorf("two modules are called %s", filepath.Base(ko))
		}
		k.Modules = append(k.Modules, to)
		files = append(files, file{ko, to})
	}
	// Without modules there is none to write.
	if _, err := os.Lstat(filepath.Join(out, "Module.symvers")); err == nil {
		files = append(files, file{"Module.symvers", fileSymvers})
	}
	for _, f := range files {
		if err := copyFile(filepath.Join(dir, f.to), filepath.Join(out, f.from)); err != nil {
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
	for _, name := range append([]string{k.Image, fileVmlinux}, k.Modules...) {
		if k.SHA256[name], err = hashFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return k.save(dir)
}

// modulesOrder reads kbuild's list of modules: paths of objects, one a line.
func modulesOrder(name string) ([]string, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel without loadable modules
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []string
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		if line := strings.TrimSpace(scan.Text()); line != "" {
			list = append(list, line)
		}
	}
	return list, scan.Err()
}

// collectBuild copies what building a module from outside needs of kbuild's
// output: the same that distributions put into their packages of headers.
func collectBuild(out, dir, source string) error {
	for _, name := range []string{
		".config", "Module.symvers", "include",
		filepath.Join("arch", source, "include"),
		"scripts",
		"tools/objtool/objtool",
		"tools/bpf/resolve_btfids/resolve_btfids",
		// linked into each module there
		"arch/powerpc/lib/crtsavres.o",
	} {
		from := filepath.Join(out, name)
		info, err := os.Lstat(from)
		if errors.Is(err, fs.ErrNotExist) {
			continue // not of this architecture or configuration
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			if err := copyFile(filepath.Join(dir, name), from); err != nil {
				return err
			}
			continue
		}
		err = filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			if ext := filepath.Ext(p); ext == ".o" || ext == ".a" || ext == ".cmd" {
				return nil // of use to kbuild only for making them again
			}
			rel, err := filepath.Rel(out, p)
			if err != nil {
				return err
			}
			return copyFile(filepath.Join(dir, rel), p)
		})
		if err != nil {
			return err
		}
	}
	// The type information of modules is made on top of the kernel's.
	return os.Symlink(filepath.Join("..", fileVmlinux), filepath.Join(dir, "vmlinux"))
}
