// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

// Installed is a kernel that was built and installed by somebody else, as far as
// modules are built against it.
type Installed struct {
	Release string // uname -r
	// Dir is what /lib/modules/<Release>/build leads to.
	Dir string
	// BTF is the file with the kernel's types: /sys/kernel/btf/vmlinux of the
	// kernel that runs. It is for a Dir without the kernel's vmlinux, against
	// which kbuild makes no BTF.
	BTF string
}

// kindInstalled is what logs of builds against installed kernels are called.
const kindInstalled = "installed"

// BuildInstalled builds the kernel module in srcDir against an installed kernel,
// below work, a folder that is there, and returns the absolute path of the
// module. srcDir and the kernel's own folders are only read; nothing goes to the
// cache but the log.
func (b *Builder) BuildInstalled(ctx context.Context, k Installed, srcDir, work string) (ko string, err error) {
	doing := fmt.Sprintf("build the module %s against linux %s in %s", filepath.Base(srcDir), k.Release, k.Dir)
	step := b.Progress.Step(doing)
	defer func() { step.End(err, "") }()
	sources, err := readSources(srcDir)
	if err != nil {
		return "", exit.With(exit.Usage, fmt.Errorf("%s: %w", doing, err))
	}
	if missing := lacking("make", "pahole"); len(missing) > 0 {
		return "", &MissingError{Doing: doing, Programs: missing}
	}
	config, err := installedConfig(k.Dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	dir := filepath.Join(work, filepath.Base(srcDir))
	if err := writeSources(dir, sources); err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	m := &makeRun{
		doing: doing, dir: k.Dir, vars: append([]string{"M=" + dir}, installedCompiler(config)...), targets: []string{"modules"},
		jobs: b.jobs(), env: b.env(), log: b.log(kindInstalled, cache.Key(k.Release, k.Dir, srcDir)), step: step,
	}
	if err := os.Remove(m.log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if _, err := m.run(ctx); err != nil {
		return "", relate(err, dir, srcDir)
	}
	built, err := filepath.Glob(filepath.Join(dir, "*.ko"))
	if err != nil {
		return "", err
	}
	if len(built) != 1 {
		return "", fmt.Errorf("%s: expected make to make one *.ko, found %d; see %s", doing, len(built), m.log)
	}
	return built[0], addBTF(ctx, built[0], k.BTF)
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

var clangVersion = regexp.MustCompile(`clang version ([0-9]+)\.`)

// installedCompiler returns what to tell make so that it uses the compiler that
// the configuration says the kernel was compiled with, if the machine has that
// one: nothing where make finds it by itself, or where a newer one must do.
func installedCompiler(c map[string]string) []string {
	text := c["CONFIG_CC_VERSION_TEXT"]
	has := func(program string) bool { return len(lacking(program)) == 0 }
	if c["CONFIG_CC_IS_CLANG"] == "y" {
		if m := clangVersion.FindStringSubmatch(text); m != nil && has("clang-"+m[1]) {
			return []string{"LLVM=-" + m[1]}
		}
		return []string{"LLVM=1"}
	}
	name, _, _ := strings.Cut(text, " ")
	if name != "" && name != GCC && plainWord.MatchString(name) && has(name) {
		return []string{"CC=" + name}
	}
	return nil
}

// sectionBTF is the section with a module's types.
const sectionBTF = ".BTF"

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
	// What kbuild does, with the kernel's types in the place of its vmlinux.
	cmd := exec.CommandContext(ctx, "pahole", "-J", "--btf_gen_floats", "--btf_base", base, ko)
	cmd.Env = environment(nil)
	out, err := cmd.CombinedOutput()
	has, _ := HasBTF(ko)
	if err != nil || !has {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return exit.With(exit.MachineLacks, fmt.Errorf("make types of %s, without which no probe attaches: %v %s\n  is CONFIG_DEBUG_INFO in the kernel, and pahole new enough for its types?\n  again: %s",
			filepath.Base(ko), err, strings.TrimSpace(string(out)), ShellQuote(cmd.Args...)))
	}
	return nil
}
