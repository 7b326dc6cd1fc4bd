// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// BuildModule builds the kernel module in srcDir, a folder with a Kbuild file
// or Makefile for kbuild, against a kernel and returns the absolute paths of
// the modules, sorted. The folder and the kernel are only read.
//
// The kernel's source tree must be there; its work area is not needed.
func (b *Builder) BuildModule(ctx context.Context, k *Kernel, srcDir string) (ko []string, err error) {
	doing := fmt.Sprintf("build the module %s against linux %s for %s", filepath.Base(srcDir), k.Release, k.Arch.Name)
	if err := b.checkDir(); err != nil {
		return nil, err
	}
	sources, err := readSources(srcDir)
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("%s: %w", doing, err))
	}
	parts := []string{kindModule, version, k.Key}
	for _, s := range sources {
		parts = append(parts, s.name, string(s.data))
	}
	key := cache.Key(parts...)
	dir, _, err := b.Cache.Populate(ctx, kindModule, key, func(ctx context.Context, tmp string) (err error) {
		step := b.Progress.Step(doing)
		defer func() { step.End(err, "") }()
		work := filepath.Join(tmp, "work")
		if err := writeSources(work, sources); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		build := filepath.Join(k.Dir, dirBuild)
		vars := []string{"O=" + build, "M=" + work, "ARCH=" + k.Arch.Make}
		vars = append(vars, k.Toolchain.vars...)
		vars = append(vars, k.Toolchain.reproducible("-ffile-prefix-map="+k.Tree.Dir+"/=",
			"-ffile-prefix-map="+work+"="+filepath.Base(srcDir))...)
		m := &makeRun{
			doing: doing, dir: k.Tree.Dir, vars: vars, targets: []string{"modules"},
			jobs: b.jobs(), env: b.env(), log: b.log(kindModule, key), step: step,
		}
		if err := os.Remove(m.log); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := m.run(ctx); err != nil {
			return relate(err, work, srcDir)
		}
		built, err := filepath.Glob(filepath.Join(work, "*.ko"))
		if err != nil {
			return err
		}
		if len(built) == 0 {
			return fmt.Errorf("%s: make made no *.ko; does %s have a Kbuild file with obj-m?", doing, srcDir)
		}
		for _, from := range built {
			if err := os.Rename(from, filepath.Join(tmp, filepath.Base(from))); err != nil {
				return err
			}
		}
		return os.RemoveAll(work)
	})
	if err != nil {
		return nil, b.Cache.Full(doing, err)
	}
	return filepath.Glob(filepath.Join(dir, "*.ko"))
}

// relate names files in an error as the caller knows them: the folder that
// make worked in is gone.
func relate(err error, work, srcDir string) error {
	var e *Error
	if errors.As(err, &e) {
		if rel, ok := strings.CutPrefix(e.Fault.File, work+"/"); ok {
			e.Fault.File = filepath.Join(srcDir, rel)
		} else if e.Fault.File != "" && !filepath.IsAbs(e.Fault.File) {
			if _, statErr := os.Stat(filepath.Join(srcDir, e.Fault.File)); statErr == nil {
				e.Fault.File = filepath.Join(srcDir, e.Fault.File)
			}
		}
		e.Command = strings.ReplaceAll(e.Command, work, srcDir)
	}
	return err
}

// source is a file of a module.
type source struct {
	name string // relative to the folder, with slashes
	data []byte
}

// readSources reads the files of a module that kbuild uses: C, assembler,
// headers and makefiles, in a fixed order.
func readSources(dir string) ([]source, error) {
	rootDir, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer rootDir.Close()
	var list []source
	err = fs.WalkDir(rootDir.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !isSource(p) {
			return err
		}
		data, err := rootDir.ReadFile(p)
		list = append(list, source{p, data})
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s holds no source of a module", dir)
	}
	return list, nil
}

func isSource(name string) bool {
	switch filepath.Base(name) {
	case "Kbuild", "Makefile":
		return true
	}
	// *.mod.c is what an earlier build by hand left.
	switch filepath.Ext(name) {
	case ".c", ".h", ".S":
		return !strings.HasSuffix(name, ".mod.c")
	}
	return false
}

func writeSources(dir string, sources []source) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	rootDir, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer rootDir.Close()
	for _, s := range sources {
		if err := tree.Replace(rootDir, s.name, s.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
