// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/cache"
)

// Guest is what a machine is started for.
type Guest struct {
	// Job is what the guest program does. Its Modules are filled in from
	// the field below.
	Job wire.Job
	// Modules are loaded before the job starts, each after those that it
	// depends on.
	Modules []Module
	// ModuleDir is where modules that others depend on are looked for, unless
	// it is "".
	ModuleDir string
	// Files are what the job needs besides, such as static test programs.
	Files []File
	// Source is the directory of the guest program's source, see GuestProgram.
	Source string
}

// guestModules is the directory of the modules in the guest.
const guestModules = "modules"

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
	files, err := g.files(program)
	if err != nil {
		return nil, err
	}
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

// files returns the content of the initramfs.
func (g Guest) files(program string) ([]File, error) {
	modules, err := OrderModules(g.Modules, g.ModuleDir)
	if err != nil {
		return nil, err
	}

	files := []File{{Path: "init", Mode: 0o755, Host: program}}
	job := g.Job
	for _, m := range modules {
		name := guestModules + "/" + filepath.Base(m.Host)
		files = append(files, File{Path: name, Host: m.Host})
		job.Modules = append(job.Modules, wire.Module{Path: "/" + name, Args: m.Args})
	}
	data, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	files = append(files, File{Path: wire.JobPath, Data: data})
	return append(files, g.Files...), nil
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
