// SPDX-License-Identifier: GPL-2.0-only

package unittests

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/pattern"
	"vcpulab/tools/program"
	"vcpulab/tools/selftest"
	"vcpulab/tools/tree"
	"vcpulab/tools/vm"
)

const (
	kind   = "unittests"         // of these builds in the cache
	config = "x86/unittests.cfg" // where x86's tests are listed
)

// Suite is a set of built tests and the files that a guest needs to run them.
type Suite struct {
	Tests   []selftest.Test
	Skipped map[string]string // the tests that cannot run here, and why
	Files   []vm.File         // QEMU and what it loads
}

// Build builds the tests for x86_64 in dir, a tree of kvm-unit-tests, which is only read,
// and returns those whose names match patterns, for guests that are run by accel.
func Build(ctx context.Context, c *cache.Cache, dir string, patterns []string, accel vm.Accel) (*Suite, error) {
	list, err := os.Open(filepath.Join(dir, config))
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("%s is not a kvm-unit-tests tree: %w", dir, err))
	}
	defer list.Close()
	entries, err := Read(list)
	if err == nil {
		entries, err = pattern.Select(entries, patterns, func(e Entry) string { return e.Name })
	}
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("%s: %w", list.Name(), err))
	}
	files, err := qemuFiles(ctx)
	if err != nil {
		return nil, err
	}
	built, err := compile(ctx, c, dir)
	if err != nil {
		return nil, err
	}

	s := &Suite{Skipped: make(map[string]string), Files: files}
	for _, e := range entries {
		file := filepath.Join(built, "x86", e.File)
		if _, err := os.Stat(file); e.Skip == "" && errors.Is(err, fs.ErrNotExist) {
			e.Skip = "it is not built for x86_64"
		}
		if e.Skip != "" {
			s.Skipped[e.Name] = e.Skip
			continue
		}
		s.Tests = append(s.Tests, e.test(file, accel))
	}
	return s, nil
}

// source reports whether a file is source, not left there by an earlier build.
func source(name string, isDir bool) bool {
	switch path.Ext(name) {
	case ".o", ".d", ".a", ".elf", ".flat", ".efi", ".aux":
		return isDir
	}
	return name != ".git" && name != "config.mak" && name != "lib/config.h" && name != "logs"
}

// compile builds all tests, once for each state of the tree.
func compile(ctx context.Context, c *cache.Cache, dir string) (string, error) {
	from, err := tree.Entries(ctx, dir, source)
	if err != nil {
		return "", exit.With(exit.Usage, err)
	}
	if _, err := exec.LookPath("make"); err != nil {
		return "", exit.With(exit.MachineLacks, err)
	}
	gcc := program.Program{Name: "gcc"}
	compiler, _, err := gcc.Run(ctx, "--version")
	if err != nil {
		return "", exit.With(exit.MachineLacks, err)
	}
	built, _, err := c.Populate(ctx, kind, cache.Key(kind, "1", string(compiler), tree.GitID(from)), func(ctx context.Context, tmp string) error {
		src := filepath.Join(tmp, "src")
		if err := tree.CopyEntries(ctx, dir, src, from); err != nil {
			return err
		}
		for _, p := range [][]string{{filepath.Join(src, "configure"), "--arch=x86_64"}, {"make", "-s", "-j" + strconv.Itoa(runtime.NumCPU())}} {
			step := program.Program{Name: p[0], Dir: src}
			if stdout, stderr, err := step.Run(ctx, p[1:]...); err != nil {
				return exit.With(exit.BuildFailed, fmt.Errorf("%w\n%s%s", err, stdout, stderr))
			}
		}
		err := os.Rename(filepath.Join(src, "x86"), filepath.Join(tmp, "x86"))
		return errors.Join(err, os.RemoveAll(src))
	})
	if err != nil {
		return "", fmt.Errorf("build the unit tests in %s: %w", dir, c.Full("build unit tests", err))
	}
	return built, nil
}

// test is how a guest runs the program in file, as x86/run does.
func (e Entry) test(file string, accel vm.Accel) selftest.Test {
	limit := e.Timeout
	if accel != vm.KVM {
		limit *= slackTCG
	}
	args := []string{
		"-L", firmwareDir, "--no-reboot", "-nodefaults", "-global", "kvm-pit.lost_tick_policy=discard",
		"-device", "pc-testdev", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", "-device", "pci-testdev",
		"-display", "none", "-serial", "stdio", "-machine", "accel=kvm",
		"-kernel", path.Join(wire.TestsDir, e.Name), "-smp", strconv.Itoa(e.CPUs),
	}
	if e.Args != "" {
		args = append(args, "-append", e.Args)
	}
	return selftest.Test{Name: e.Name, Path: file, Runner: qemuPath, Args: append(args, e.Params...), Status: status, Limit: limit}
}

// slackTCG is how many times as long as on real hardware a test may take with emulated KVM.
const slackTCG = 8

// complaint is a line that QEMU writes of its own.
var complaint = regexp.MustCompile(`(?m)^qemu-system-x86_64: (.*)$`)

// status is the exit status of a selftest for one of QEMU's, which isa-debug-exit makes odd
// of what the program ends with; 77 says that all of it was skipped. QEMU itself fails
// with 1, too, and says why: then the program has not run.
func status(code int, output string) int {
	const good, failed, skipped = 1, 1, 77
	fatal := func(said []string) bool { return !strings.Contains(strings.ToLower(said[1]), "warning") }
	switch {
	case code == skipped<<1|1:
		return selftest.StatusSkip
	case code != good || slices.ContainsFunc(complaint.FindAllStringSubmatch(output, -1), fatal):
		return failed
	}
	return 0
}

// Where QEMU is in the guest, and what it loads into guests of its own.
const (
	qemuPath    = "/usr/bin/qemu-system-x86_64"
	firmwareDir = "/usr/share/qemu"
)

// firmware is what a PC needs that starts a program by multiboot.
var firmware = []string{"bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin", "multiboot.bin", "multiboot_dma.bin"}

// library matches a line of ldd that has a path, i.e. not the vDSO.
var library = regexp.MustCompile(`(?m)(?:=> |^\s+)(/\S+) \(0x`)

// qemuFiles are this machine's QEMU and what it loads, for a guest.
func qemuFiles(ctx context.Context) ([]vm.File, error) {
	qemu, err := exec.LookPath(arch.X86_64().QEMU.Program)
	if err != nil {
		return nil, exit.With(exit.MachineLacks, fmt.Errorf("%w: vcpulab install boot installs it", err))
	}
	ldd := program.Program{Name: "ldd"}
	stdout, _, err := ldd.Run(ctx, qemu)
	if err != nil {
		return nil, err
	}
	files := []vm.File{{Path: qemuPath, Mode: 0o755, Host: qemu}}
	for _, m := range library.FindAllStringSubmatch(string(stdout), -1) {
		files = append(files, vm.File{Path: m[1], Mode: 0o755, Host: m[1]})
	}
	for _, name := range firmware {
		dirs := []string{firmwareDir, "/usr/share/seabios"}
		i := slices.IndexFunc(dirs, func(dir string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil
		})
		if i < 0 {
			return nil, exit.With(exit.MachineLacks, fmt.Errorf("QEMU's %s is in none of %s", name, strings.Join(dirs, ", ")))
		}
		files = append(files, vm.File{Path: path.Join(firmwareDir, name), Host: filepath.Join(dirs[i], name)})
	}
	return files, nil
}
