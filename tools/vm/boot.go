// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
	// ModuleDir is where modules that others depend on are looked for; ""
	// for nowhere.
	ModuleDir string
	// Files are what the job needs besides, such as static test programs.
	Files []File
}

// moduleFolder is where modules lie in the guest.
const moduleFolder = "modules"

// Boot builds the guest program, unless c has it, and the initramfs, and runs
// the machine with it. m.Initrd is not looked at. See Run for what it
// returns; a Fault's command works as long as o.KeepDir is there.
func Boot(ctx context.Context, c *cache.Cache, m Machine, g Guest, o Options) (*Result, error) {
	program, err := GuestProgram(ctx, c, m.Arch)
	if err != nil {
		return nil, err
	}
	files, err := g.files(program)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "vcpulab-vm-")
	if err != nil {
		return nil, fmt.Errorf("boot %s: %w", m.Arch.Name, err)
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "initramfs.cpio")
	if err := writeInitramfsFile(made, files); err != nil {
		return nil, fmt.Errorf("boot %s: %w", m.Arch.Name, err)
	}
	m.Initrd = made
	res, err := Run(ctx, m, o)
	if fault, ok := errors.AsType[*Fault](err); ok && o.KeepDir != "" {
		m.Initrd = filepath.Join(o.KeepDir, "initramfs.cpio")
		if keepErr := moveFile(made, m.Initrd); keepErr != nil {
			return res, errors.Join(err, fmt.Errorf("keep the initramfs: %w", keepErr))
		}
		fault.Command = m.Command(filepath.Join(o.KeepDir, "records.jsonl"))
		res.Command = fault.Command
	}
	return res, err
}

// files returns the content of the initramfs.
func (g Guest) files(program string) ([]File, error) {
	var pool map[string]string
	if g.ModuleDir != "" {
		var err error
		if pool, err = ModulePool(g.ModuleDir); err != nil {
			return nil, err
		}
	}
	modules, err := OrderModules(g.Modules, pool, nil)
	if err != nil {
		return nil, err
	}
	files := []File{{Path: "init", Mode: 0o755, Host: program}}
	job := g.Job
	for _, m := range modules {
		name := moduleFolder + "/" + filepath.Base(m.Host)
		files = append(files, File{Path: name, Host: m.Host})
		job.Modules = append(job.Modules, wire.Module{Path: "/" + name, Args: m.Args})
	}
	data, err := job.Marshal()
	if err != nil {
		return nil, err
	}
	files = append(files, File{Path: wire.JobPath, Data: data})
	return append(files, g.Files...), nil
}

func writeInitramfsFile(name string, files []File) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := WriteInitramfs(w, files); err != nil {
		return err
	}
	return w.Flush()
}

// moveFile moves a file, across file systems by copying.
func moveFile(from, to string) (err error) {
	if os.Rename(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
