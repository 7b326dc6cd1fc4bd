// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"cmp"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/pattern"
	"vcpulab/tools/program"
)

// StripModules returns a directory with the modules of a kernel without what only
// debuggers read, which is most of them: a guest loads them sooner.
func (b *Builder) StripModules(ctx context.Context, k *Kernel) (dir string, err error) {
	dir, _, err = b.Cache.Populate(ctx, kindModule, cache.Key(kindModule, "stripped", "1", k.Key), func(ctx context.Context, tmp string) error {
		for _, name := range k.Modules {
			strip := program.Program{Name: k.Arch.CrossPrefix() + "strip"}
			if _, _, err := strip.Run(ctx, "--strip-debug", "-o", filepath.Join(tmp, filepath.Base(name)), filepath.Join(k.Dir, name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("strip the modules of linux %s: %w", k.Release, b.Cache.Full("strip modules", err))
	}
	return dir, nil
}

// BuildModule builds the kernel module in srcDir, a directory with a Kbuild file
// or Makefile for kbuild, against a kernel, whose source tree must exist, and
// returns the absolute paths of the modules, sorted. Both are only read.
func (b *Builder) BuildModule(ctx context.Context, k *Kernel, srcDir string) (ko []string, err error) {
	doing := fmt.Sprintf("build the module %s against linux %s for %s", filepath.Base(srcDir), k.Release, k.Arch.Name)
	m, err := readModule(srcDir)
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("%s: %w", doing, err))
	}

	parts := []string{kindModule, version, k.Key}
	for _, f := range m.Files {
		parts = append(parts, f.Name, string(f.Data))
	}
	key := cache.Key(parts...)
	dir, _, err := b.Cache.Populate(ctx, kindModule, key, func(ctx context.Context, tmp string) (err error) {
		step := b.Progress.Step(doing)
		defer func() { step.End(err, "") }()
		run, err := b.newMake(doing, kindModule, key, step)
		if err != nil {
			return err
		}
		work := filepath.Join(tmp, "work")
		run.dir = k.Tree.Dir
		run.vars = slices.Concat([]string{"O=" + filepath.Join(k.Dir, dirBuild), "ARCH=" + k.Arch.Make}, k.Toolchain.vars,
			k.Toolchain.reproducible("-ffile-prefix-map="+k.Tree.Dir+"/=", "-ffile-prefix-map="+work+"="+filepath.Base(srcDir)))

		built, err := m.build(ctx, run, work)
		if err != nil {
			return err
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
	return pattern.Files(dir, "*.ko")
}

// Installed is a kernel that was not built here but is installed, as far as
// modules are built against it.
type Installed struct {
	Release string // uname -r
	Dir     string // what /lib/modules/<Release>/build leads to
	// BTF is the file with the kernel's types: /sys/kernel/btf/vmlinux of the
	// running kernel. It is for a Dir without the kernel's vmlinux, against
	// which kbuild makes no BTF.
	BTF string
}

// BuildInstalled builds the kernel module in srcDir against an installed kernel,
// below the directory work, and returns the absolute path of the module. Only the
// log goes to the cache.
func (b *Builder) BuildInstalled(ctx context.Context, k Installed, srcDir, work string) (ko string, err error) {
	doing := fmt.Sprintf("build the module %s against linux %s in %s", filepath.Base(srcDir), k.Release, k.Dir)
	step := b.Progress.Step(doing)
	defer func() { step.End(err, "") }()
	m, err := readModule(srcDir)
	if err != nil {
		return "", exit.With(exit.Usage, fmt.Errorf("%s: %w", doing, err))
	}
	if err := need(doing, "make", "pahole"); err != nil {
		return "", err
	}
	config, err := installedConfig(k.Dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}

	run, err := b.newMake(doing, "installed", cache.Key(k.Release, k.Dir, srcDir), step)
	if err != nil {
		return "", err
	}
	run.dir, run.vars = k.Dir, installedCompiler(config)
	built, err := m.build(ctx, run, filepath.Join(work, filepath.Base(srcDir)))
	if err != nil {
		return "", err
	}
	if len(built) != 1 {
		return "", fmt.Errorf("%s: expected make to make one *.ko, found %d; see %s", doing, len(built), run.log)
	}
	return built[0], addBTF(ctx, built[0], k.BTF)
}

// moduleSource is the source of a module: the files of a directory that kbuild
// uses, which are C, assembler, headers and makefiles, in a fixed order.
type moduleSource struct {
	dir string
	txtar.Archive
}

func readModule(dir string) (*moduleSource, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()

	m := &moduleSource{dir: dir}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !moduleFile.MatchString(name) || strings.HasSuffix(name, ".mod.c") {
			return err
		}
		data, err := root.ReadFile(name)
		m.Files = append(m.Files, txtar.File{Name: name, Data: data})
		return err
	})
	if err == nil && len(m.Files) == 0 {
		err = fmt.Errorf("%s has no source of a module", dir)
	}
	return m, err
}

// moduleFile is a name of such a file, but for those that an earlier build by hand left,
// *.mod.c.
var moduleFile = regexp.MustCompile(`(^|/)(Kbuild|Makefile|[^/]*\.[chS])$`)

// build builds the module in work, a new directory, with a run of make that knows
// the kernel, and returns the paths of its modules.
func (m *moduleSource) build(ctx context.Context, run *makeRun, work string) (ko []string, err error) {
	if err := txtar.Write(&m.Archive, work); err != nil {
		return nil, fmt.Errorf("%s: %w", run.doing, err)
	}
	run.vars = append([]string{"M=" + work}, run.vars...)
	run.targets = []string{"modules"}
	if _, err := run.run(ctx); err != nil {
		return nil, m.relate(err, work)
	}

	built, err := pattern.Files(work, "*.ko")
	if err == nil && len(built) == 0 {
		err = fmt.Errorf("%s: make made no *.ko; does %s have a Kbuild file with obj-m?", run.doing, m.dir)
	}
	return built, err
}

// relate names files in an error as the caller knows them: the directory that
// make worked in is gone.
func (m *moduleSource) relate(err error, work string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	file := strings.TrimPrefix(e.Fault.File, work+"/")
	if slices.ContainsFunc(m.Files, func(f txtar.File) bool { return f.Name == file }) {
		e.Fault.File = filepath.Join(m.dir, file)
	}
	e.Command = strings.ReplaceAll(e.Command, work, m.dir)
	return err
}

// installedConfig reads the configuration that modules are built with, in which
// newer kernels have strings without their quotes.
func installedConfig(dir string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "include", "config", "auto.conf"))
	if err != nil {
		return nil, exit.With(exit.MachineLacks, fmt.Errorf("%w: the kernel was not built or prepared there", err))
	}
	c := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if symbol, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			c[symbol] = strings.Trim(value, `"`)
		}
	}
	return c, nil
}

var (
	clangVersion = regexp.MustCompile(`clang version ([0-9]+)\.`)
	compilerName = regexp.MustCompile(`^[A-Za-z0-9_.+-]+$`)
)

// installedCompiler returns what to tell make so that it uses the compiler that
// the configuration says the kernel was compiled with, if the machine has that
// one: nothing where make finds it by itself, or where a newer one must do.
func installedCompiler(c map[string]string) []string {
	text := c["CONFIG_CC_VERSION_TEXT"]
	has := func(name string) bool { return len(missingPrograms(name)) == 0 }

	if c["CONFIG_CC_IS_CLANG"] == "y" {
		if m := clangVersion.FindStringSubmatch(text); m != nil && has("clang-"+m[1]) {
			return []string{"LLVM=-" + m[1]}
		}
		return []string{"LLVM=1"}
	}
	if name, _, _ := strings.Cut(text, " "); name != GCC && compilerName.MatchString(name) && has(name) {
		return []string{"CC=" + name}
	}
	return nil
}

const sectionBTF = ".BTF" // has the types

// HasBTF says whether a kernel or a module, an ELF file, has types with it.
func HasBTF(name string) (bool, error) {
	f, err := elf.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return f.Section(sectionBTF) != nil, nil
}

// addBTF gives the module types, based on those in the file base, unless kbuild
// did: fentry programs attach to functions that have a type.
func addBTF(ctx context.Context, ko, base string) error {
	if has, err := HasBTF(ko); err != nil || has {
		return err
	}

	// What kbuild does, with the kernel's types in place of its vmlinux.
	args := []string{"-J", "--btf_gen_floats", "--btf_base", base, ko}
	pahole := program.Program{Name: "pahole", Env: []string{locale}}
	stdout, stderr, err := pahole.Run(ctx, args...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	has, elfErr := HasBTF(ko)
	if has && err == nil {
		return nil
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("make types of %s, without which no probe attaches: %v %s%s\n  is CONFIG_DEBUG_INFO in the kernel, and pahole new enough for its types?\n  again: %s",
		filepath.Base(ko), cmp.Or(err, elfErr), stdout, stderr, pahole.Command(args...)))
}
