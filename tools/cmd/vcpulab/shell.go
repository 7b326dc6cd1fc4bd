// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/distro"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/pattern"
	"vcpulab/tools/shell"
	"vcpulab/tools/variant"
	"vcpulab/tools/vm"
)

type shellCmd struct {
	kernelFlags
	Kernel  string   `arg:"" help:"base or patched." enum:"base,patched"`
	Command []string `arg:"" optional:"" help:"After --: a command and its arguments to run there instead of a shell."`
	Arch    string   `help:"${bootable}." default:"x86_64" placeholder:"ARCH"`
	Accel   string   `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Only    []string `help:"KVM's selftests to take along, which are built; * and ? are wild. May be given again (default: the quick ones, if they are built)." placeholder:"PATTERN"`
	CPUs    int      `name:"cpus" help:"Processors of the guest." default:"2" placeholder:"N"`
	Memory  int      `help:"Its memory, in MiB." default:"2048" placeholder:"MIB"`
	GDB     bool     `name:"gdb" help:"Stop before the first instruction, and say how to attach gdb."`
	VMCore  string   `name:"vmcore" help:"If the kernel panics, write the guest's memory there, for gdb and crash." placeholder:"FILE" type:"path"`
	Param   []string `help:"A parameter of KVM's modules, or of a kernel without modules, as kvm_amd.npt=0. May be repeated." placeholder:"MODULE.NAME=VALUE" sep:"none"`
	Busybox string   `help:"A static busybox for the guest (default: this machine's; for arm64 and ppc64le Debian's, which is downloaded)." placeholder:"FILE" type:"existingfile"`
	Out     string   `help:"Directory for the kernel's console." default:"out/shell" placeholder:"DIR"`
}

// Run ends as the program in the guest did.
func (c shellCmd) Run(ctx context.Context, l *lab) error {
	s := shell.Session{Args: c.Command, Name: c.Kernel, Stdin: os.Stdin, Stdout: l.stdout, Stderr: l.stderr}
	params, err := c.params()
	if err := errors.Join(s.Check(), c.check(), err); err != nil {
		return err
	}
	if s.Busybox, err = c.busybox(ctx, l); err != nil {
		return err
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	k, err := l.bootable(ctx, c.kernelFlags, c.Kernel, c.Arch)
	if err != nil {
		return err
	}
	if err := shell.CheckBusybox(s.Busybox, k.Vmlinux()); err != nil {
		return err
	}
	choice, err := l.accel(ctx, c.Accel, k)
	if err != nil {
		return err
	}
	tests, err := c.tests(ctx, l, k)
	if err != nil {
		return err
	}

	m := vm.Machine{Arch: k.Arch, Accel: choice.Accel, Kernel: k.ImagePath(), CPUs: c.CPUs, MemMiB: c.Memory}
	g, err := l.kvmGuest(k, choice.Accel, params)
	if err != nil {
		return err
	}
	if len(g.Modules) > 0 {
		if g.ModuleDir, err = l.builder().StripModules(ctx, k); err != nil {
			return err
		}
		g.Modules[0].Host = filepath.Join(g.ModuleDir, filepath.Base(g.Modules[0].Host))
	}
	if g.Job.Mounts, err = mounts(k); err != nil {
		return err
	}
	for _, name := range tests.Names {
		g.Files = append(g.Files, vm.File{Path: path.Join(wire.TestsDir, name), Mode: 0o755, Host: tests.Path(name)})
	}
	s.About = fmt.Sprintf("%s, %s, %d of KVM's selftests in %s", c.Kernel, choice.Accel, len(tests.Names), wire.TestsDir)
	if c.GDB {
		d, err := newDebugger(k, l.stderr)
		if err != nil {
			return err
		}
		defer d.close()
		m.GDB, s.Started = d.socket, d.started
	}
	res, err := s.Run(ctx, l.cache, m, g, vm.Options{KeepDir: out, Core: c.VMCore})
	if _, ok := errors.AsType[*vm.Fault](err); !ok && res != nil {
		for _, splat := range res.Splats {
			fmt.Fprintf(l.stderr, "%s: %s (%s)\n", splat.Kind, splat.Title, filepath.Join(out, "console.log"))
		}
	}
	return err
}

func (c shellCmd) check() error {
	if err := pattern.Check(c.Only); err != nil {
		return fmt.Errorf("select selftests: %w", err)
	}
	if c.CPUs < 1 || c.Memory < 1 {
		return exit.With(exit.Usage, fmt.Errorf("--cpus %d --memory %d: expected 1 or more", c.CPUs, c.Memory))
	}
	return nil
}

// params returns the parameters of the guest's modules, each with one value.
func (c shellCmd) params() ([]vm.Param, error) {
	combined, err := paramFlag{c.Param}.combineParams()
	if err != nil {
		return nil, err
	}
	if len(combined) > 1 {
		return nil, exit.With(exit.Usage, fmt.Errorf("--param %s: expected one value for each parameter: a shell has one guest", strings.Join(c.Param, " --param ")))
	}
	return combined[0], nil
}

func (c shellCmd) busybox(ctx context.Context, l *lab) (string, error) {
	a, err := arch.Find(c.Arch)
	switch {
	case c.Busybox != "":
		return c.Busybox, nil
	case err != nil || a.IsHost() || !a.Boots(): // what cannot be booted is told later
		return shell.FindBusybox()
	}
	file, err := distro.FetchBusybox(ctx, l.cache, l.log, a)
	if err != nil {
		return "", fmt.Errorf("%w\ngive a static busybox for %s with --busybox", err, a.Name)
	}
	return file, nil
}

// mounts returns the file systems that a guest mounts: those that its kernel has.
func mounts(k *kbuild.Kernel) ([]string, error) {
	config, err := k.Config()
	if err != nil {
		return nil, err
	}
	names := []string{"tmpfs", "shm"}
	for _, m := range []struct{ name, symbol string }{
		{"debugfs", "CONFIG_DEBUG_FS"}, {"tracefs", "CONFIG_TRACING"}, {"bpf", "CONFIG_BPF_SYSCALL"}, {"cgroup2", "CONFIG_CGROUPS"},
	} {
		if config.Value(m.symbol) == "y" {
			names = append(names, m.name)
		}
	}
	return names, nil
}

func (c shellCmd) tests(ctx context.Context, l *lab, k *kbuild.Kernel) (*kbuild.Selftests, error) {
	spec := kbuild.Spec{Arch: k.Arch}
	if len(c.Only) > 0 {
		all, err := l.builder().ListSelftests(ctx, k.Tree, spec)
		if err == nil {
			all, err = selftestCmd{Only: c.Only}.selected(all)
		}
		if err != nil {
			return nil, err
		}
		return l.builder().BuildSelftests(ctx, k.Tree, spec, all)
	}

	quick := slices.Clone(k.Arch.QuickTests)
	if c.Kernel == variant.Patched {
		s, through, err := l.series(ctx, c.seriesFlags)
		if err != nil {
			return nil, err
		}
		quick = append(quick, addedTests(s, through, k.Arch)...)
	}
	quick = kbuild.FindSelftests(k.Tree, k.Arch, quick)
	built, err := l.builder().BuiltSelftests(ctx, k.Tree, spec, quick)
	if err == nil && built == nil {
		built = &kbuild.Selftests{}
	}
	return built, err
}

// debugger is a gdb that the user may attach.
type debugger struct {
	kernel *kbuild.Kernel
	stderr io.Writer
	dir    string // of the socket's name, and of a script
	socket *os.File
}

// newDebugger says how to attach gdb. It may be attached before QEMU is there.
func newDebugger(k *kbuild.Kernel, stderr io.Writer) (*debugger, error) {
	dir, err := os.MkdirTemp("", "vcpulab-")
	if err != nil {
		return nil, err
	}
	d := &debugger{kernel: k, stderr: stderr, dir: dir}
	name := filepath.Join(dir, "gdb")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name})
	if err == nil {
		listener.SetUnlinkOnClose(false) // it goes with the directory
		d.socket, err = listener.File()
		err = errors.Join(err, listener.Close())
	}
	if err != nil {
		d.close()
		return nil, fmt.Errorf("make a socket for gdb: %w", err)
	}
	fmt.Fprintf(stderr, "the guest waits for: %s\n",
		shellescape.QuoteCommand([]string{"gdb", "-d", k.Tree.Dir, "-ex", "target remote " + name, k.Vmlinux()}))
	return d, nil
}

func (d *debugger) close() {
	d.socket.Close()
	os.RemoveAll(d.dir)
}

// started says how gdb gets to know the modules, which are loaded now.
func (d *debugger) started(modules []wire.Loaded) error {
	var script strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&script, "add-symbol-file %s %s\n", filepath.Join(d.kernel.Dir, "modules", path.Base(m.Path)), m.Text)
	}
	name := filepath.Join(d.dir, "modules.gdb")
	if err := os.WriteFile(name, []byte(script.String()), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(d.stderr, "for KVM's modules, in gdb: source %s\n", name)
	return nil
}
