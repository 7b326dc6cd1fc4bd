// SPDX-License-Identifier: GPL-2.0-only

// Package vm boots a kernel in QEMU with one static program as init, streams back what
// that program finds, and tells apart the ways in which that can fail.
//
// Boot is the usual entry point. Results come as records (package wire) over
// virtio-serial; the serial console is kept for the log and searched for the kernel's
// complaints. Everything that goes wrong in the guest, the kernel or QEMU is a *Fault,
// which carries the last lines of the console and the command that repeats the run.
package vm

import (
	"bytes"
	"cmp"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"
	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/cache"
)

// Guest is what a machine is started for.
type Guest struct {
	Job wire.Job // what the guest program does. Its modules are filled in
	// Modules are loaded before the job starts, Drivers before anything is mounted
	// and the host is told, for kernels in which what that takes is not built in.
	Modules, Drivers []Module
	ModuleDir        string  // where modules that others depend on are looked for; "" is nowhere
	Params           []Param // parameters of the modules that are loaded, or of the kernel
	Files            []File  // what the job needs besides, such as static test programs
	Source           string  // the directory of the guest program's source, see GuestProgram
}

// initramfsName is what the initramfs is called in Options.KeepDir.
const initramfsName = "initramfs.cpio"

// Boot builds the guest program, unless c has it, and the initramfs, and runs
// the machine with it. It ignores m.Initrd and returns what Run does. The
// command of a Fault works as long as o.KeepDir exists.
func Boot(ctx context.Context, c *cache.Cache, m Machine, g Guest, o Options) (*Result, error) {
	program, err := GuestProgram(ctx, c, m.Arch, g.Source)
	if err != nil {
		return nil, err
	}
	files, line, err := g.files(program)
	if err != nil {
		return nil, err
	}
	m.Append = slices.Concat(tscArgs(m.Accel), m.Append, line)
	var initramfs bytes.Buffer
	if err := WriteInitramfs(&initramfs, files); err != nil {
		return nil, fmt.Errorf("boot %s: %w", m.Arch.Name, err)
	}
	m.Initrd = filepath.Join(o.KeepDir, initramfsName)
	if m.initramfs, err = memoryFile(initramfsName, initramfs.Bytes()); err != nil {
		return nil, fmt.Errorf("boot %s: %w", m.Arch.Name, err)
	}
	defer m.initramfs.Close()

	res, err := Run(ctx, m, o)
	if _, ok := errors.AsType[*Fault](err); ok && o.KeepDir != "" {
		err = errors.Join(err, os.WriteFile(m.Initrd, initramfs.Bytes(), 0o644))
	}
	return res, err
}

// files returns the content of the initramfs, and what is for the kernel's command line.
func (g Guest) files(program string) (files []File, line []string, err error) {
	modules, err := OrderModules(g.Modules, g.ModuleDir)
	if err != nil {
		return nil, nil, err
	}
	if line, err = setParams(modules, g.Params); err != nil {
		return nil, nil, err
	}
	drivers, err := OrderModules(g.Drivers, g.ModuleDir)
	if err != nil {
		return nil, nil, err
	}

	files = []File{{Path: "init", Mode: 0o755, Host: program}}
	add := func(modules []Module) (list []wire.Module) {
		for _, m := range modules {
			f := File{Path: "modules/" + filepath.Base(m.Host), Host: m.Host}
			if !slices.ContainsFunc(files, func(other File) bool { return other.Path == f.Path }) {
				files = append(files, f)
			}
			list = append(list, wire.Module{Path: "/" + f.Path, Args: m.Args})
		}
		return list
	}
	job := g.Job
	job.Drivers, job.Modules = add(drivers), add(modules)
	data, err := json.Marshal(job)
	if err != nil {
		return nil, nil, err
	}
	files = append(files, File{Path: wire.JobPath, Data: data})
	return append(files, g.Files...), line, nil
}

// memoryFile returns a file with this content in memory: QEMU inherits it, and
// however this process ends, nothing is left on a disk.
func memoryFile(name string, data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// File is a file of an initramfs.
type File struct {
	Path string      // there: clean, with or without a leading slash
	Mode fs.FileMode // its permission bits; 0 is 0644
	// Its content is Data, or that of the file Host of this machine.
	Data []byte
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
	mode := cpio.FileMode(cmp.Or(f.Mode.Perm(), 0o644))
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

	if err := cw.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeReg | mode, Links: 1, Size: size}); err != nil {
		return err
	}
	n, err := io.Copy(cw, content)
	if err == nil && n != size {
		err = fmt.Errorf("expected %d bytes, found %d: the file changed while it was read", size, n)
	}
	return err
}

// Module is a kernel module file of this machine.
type Module struct {
	Host string // path of the .ko file, not compressed
	Args string // its parameters, as insmod takes them
}

// dependencies returns the names of the modules that a module depends on.
func dependencies(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", file, err)
	}
	defer f.Close()
	err = errors.New("not a kernel module: no .modinfo section")
	var data []byte
	if section := f.Section(".modinfo"); section != nil {
		data, err = section.Data()
	}
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", file, err)
	}
	return parseDepends(data), nil
}

// parseDepends reads a .modinfo section: name=value, each ended by one NUL or more.
func parseDepends(modinfo []byte) []string {
	var depends []string
	for field := range strings.SplitSeq(string(modinfo), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok {
			depends = append(depends, strings.FieldsFunc(canonical(list), func(r rune) bool { return r == ',' })...)
		}
	}
	return depends
}

// canonical is how the kernel names a module, whose file may have a dash for an underscore.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// moduleName is the kernel's name for the module in a file.
func moduleName(file string) string {
	return canonical(strings.TrimSuffix(filepath.Base(file), ".ko"))
}

// OrderModules returns modules each after those that it depends on, otherwise as given.
// A dependency that is not in the list is looked for below dir, unless that is "".
func OrderModules(modules []Module, dir string) ([]Module, error) {
	pool, err := modulePool(dir)
	if err != nil {
		return nil, err
	}
	given := map[string]Module{}
	for _, m := range modules {
		name := moduleName(m.Host)
		if _, ok := given[name]; ok {
			return nil, fmt.Errorf("modules: duplicate %s", name)
		}
		given[name] = m
	}

	var ordered []Module
	visited := make(map[string]bool) // false while dependencies are visited
	var visit func(name, from string) error
	visit = func(name, from string) error {
		if done, found := visited[name]; done {
			return nil
		} else if found {
			return fmt.Errorf("modules: %s and %s depend on each other", from, name)
		}
		m := cmp.Or(given[name], Module{Host: pool[name]})
		if m.Host == "" {
			return fmt.Errorf("modules: %s depends on %s, which has no file", from, name)
		}
		depends, err := dependencies(m.Host)
		if err != nil {
			return err
		}

		visited[name] = false
		for _, d := range depends {
			if err := visit(d, name); err != nil {
				return err
			}
		}
		visited[name] = true
		ordered = append(ordered, m)
		return nil
	}
	for _, m := range modules {
		if err := visit(moduleName(m.Host), ""); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}

// modulePool maps the names of all .ko files below dir to their paths.
func modulePool(dir string) (map[string]string, error) {
	pool := map[string]string{}
	if dir == "" {
		return pool, nil
	}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(p, ".ko") {
			pool[moduleName(p)] = p
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("modules: %w", err)
	}
	return pool, nil
}
