// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/distro"
	"vcpulab/tools/exit"
	"vcpulab/tools/host"
	"vcpulab/tools/program"
	"vcpulab/tools/variant"
	"vcpulab/tools/vm"
)

type nestedCmd struct {
	Memory  int      `help:"Memory of the guest in MiB, of which what the command writes is a part." default:"4096" placeholder:"MIB"`
	CPUs    int      `name:"cpus" help:"Processors of the guest, up to 8." default:"1" placeholder:"N"`
	Headers bool     `help:"Give the guest the headers of its kernel, to build modules as bench --running does (ignored if the command runs on this machine)."`
	Always  bool     `help:"Also where this machine's own KVM works."`
	Out     string   `help:"Directory for the console, and for what repeats a boot that failed." default:"out/nested" placeholder:"DIR"`
	Command []string `arg:"" passthrough:"" help:"The command and its arguments."`
}

// nestedCPU has AMD's virtualization, what KVM's selftests are compiled for
// (x86-64-v2), and no extended state: with a newer processor QEMU 7.2 gives guests of
// its guests another layout of that state than it says, and they die of it.
const nestedCPU = "Opteron_G3,+svm,+npt,+ssse3,+sse4.1,+sse4.2"

// Bounds of the guest. The command has limits of its own, and may be silent for long.
const (
	nestedLimit     = 24 * time.Hour
	nestedHeartbeat = time.Second
	nestedSilence   = 2 * time.Minute
)

// Validate refuses what QEMU would.
func (c nestedCmd) Validate() error {
	if c.CPUs < 1 || c.CPUs > 8 {
		return fmt.Errorf("--cpus: expected 1 to 8, found %d", c.CPUs)
	}
	return nil
}

// Run runs the command on this machine if its KVM boots a kernel, otherwise in a guest
// that sees this machine's files and keeps to itself what is written to them.
func (c nestedCmd) Run(ctx context.Context, l *lab) error {
	if c.Command[0] == "--" {
		c.Command = c.Command[1:]
	}
	if len(c.Command) == 0 {
		return exit.With(exit.Usage, errors.New("which command? vcpulab nested --help has examples"))
	}
	// Whether this machine's KVM works takes a kernel, i.e. may take long.
	inGuest, err := c.inGuest()
	if err != nil {
		return err
	}
	if c.Always {
		return c.boot(ctx, l, inGuest)
	}
	here, why, err := ownKVM(ctx, l)
	if err != nil {
		return err
	}
	if !here {
		l.log.Printf("in a guest that has KVM, as for this machine: %s", why)
		return c.boot(ctx, l, inGuest)
	}
	l.log.Printf("this machine's own KVM works: %s", why)
	command := program.Program{Name: c.Command[0], InheritEnv: true, Stdout: l.stdout, Stderr: l.stderr, Foreground: true}
	_, _, err = command.Run(ctx, c.Command[1:]...)
	if status, ok := errors.AsType[*program.StatusError](err); ok {
		return exit.With(status.Status, err)
	}
	return err
}

// ownKVM tells whether this machine's KVM boots the pinned kernel, and what shows it.
func ownKVM(ctx context.Context, l *lab) (works bool, why string, err error) {
	if kvm := host.ReadKVM("/dev/kvm"); !kvm.Opens {
		return false, kvm.Why, nil
	}
	k, err := l.bootable(ctx, kernelFlags{}, variant.Base, arch.X86_64().Name)
	if err != nil {
		return false, "", err
	}
	choice, err := l.accel(ctx, "", k)
	return choice.Accel == vm.KVM, choice.Reason, err
}

func (c nestedCmd) boot(ctx context.Context, l *lab, command wire.Program) error {
	k, err := distro.Fetch(ctx, l.cache, l.log)
	if err != nil {
		return err
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	drivers, err := k.Find("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "kvm-amd")
	if err != nil {
		return err
	}
	m := vm.Machine{Arch: arch.X86_64(), Kernel: k.Image, MemMiB: c.Memory, CPUs: c.CPUs, HostRoot: true}
	m.Arch.QEMU.TCG.CPU = nestedCPU
	if c.Headers {
		if m.HostLayer, err = distro.FetchHeaders(ctx, l.cache, l.log, k); err != nil {
			return err
		}
	}
	guest := vm.Guest{
		Source: l.root, Drivers: drivers, ModuleDir: k.Modules,
		Job: wire.Job{
			Mounts:  []string{wire.HostMount},
			Layered: m.HostLayer != "",
			// The guest does not see who locks what here, and would remove what is
			// half done.
			Emptied:         []string{l.cache.TmpDir()},
			HeartbeatMillis: nestedHeartbeat.Milliseconds(),
			Exec:            &wire.Exec{Programs: []wire.Program{command}},
		},
	}

	var ended wire.Test
	o := vm.Options{Timeout: nestedLimit, Silence: nestedSilence, AllowWarnings: true, KeepDir: out}
	o.OnRecord = func(r wire.Record) error {
		if r.Test != nil {
			ended = *r.Test
		}
		if r.Output == nil {
			return nil
		}
		to := l.stdout
		if r.Output.Stderr {
			to = l.stderr
		}
		_, err := to.Write(r.Output.Data)
		return err
	}
	_, err = vm.Boot(ctx, l.cache, m, guest, o)
	if hang, ok := hung(err); ok && ctx.Err() == nil {
		// Now and then the emulator does not deliver an interrupt. What the command
		// wrote is gone, so that it may well run once more.
		l.log.Printf("the guest with KVM hung and is started once more: %s", hang.Title)
		_, err = vm.Boot(ctx, l.cache, m, guest, o)
	}
	if err != nil {
		return err
	}
	switch {
	case ended.Outcome != wire.OutcomeExit:
		return fmt.Errorf("%s: %s %s%s", command.Name, ended.Outcome, ended.Signal, ended.Message)
	case ended.Code != exit.Good:
		return exit.With(ended.Code, fmt.Errorf("%s: exit status %d", command.Name, ended.Code))
	}
	return nil
}

// hung tells whether a guest went silent, and neither ended nor complained.
func hung(err error) (*vm.Fault, bool) {
	fault, ok := errors.AsType[*vm.Fault](err)
	return fault, ok && fault.Kind == vm.Hang
}

// inGuest is the command as the guest runs it: as here, in this directory.
func (c nestedCmd) inGuest() (p wire.Program, err error) {
	p = wire.Program{Name: c.Command[0], Args: c.Command[1:], Env: os.Environ(), Root: wire.HostRoot, Live: true}
	if p.Path, err = exec.LookPath(p.Name); err != nil {
		return p, exit.With(exit.Usage, err)
	}
	if p.Path, err = filepath.Abs(p.Path); err != nil {
		return p, err
	}
	p.Dir, err = os.Getwd()
	return p, err
}
