// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

// bootCmd boots a kernel to its first record and ends it.
type bootCmd struct {
	kernelFlags
	Kernel string `arg:"" optional:"" help:"base or patched." enum:"base,patched" default:"patched"`
	Arch   string `help:"${bootable}." default:"x86_64" placeholder:"ARCH"`
	Accel  string `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Out    string `help:"Directory for the console, and for what repeats a boot that failed." default:"out/boot" placeholder:"DIR"`
}

// Run prints how long the boot took.
func (c bootCmd) Run(ctx context.Context, l *lab) error {
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	spec, err := l.spec(c.kernelFlags, c.Arch)
	if err != nil {
		return err
	}
	if !spec.Arch.Boots() {
		return exit.With(exit.Usage, fmt.Errorf("architecture %q cannot be booted: expected one of %s", c.Arch, arch.Names(arch.Bootable())))
	}
	k, err := l.kernel(ctx, c.kernelFlags, c.Kernel, spec)
	if err != nil {
		return err
	}
	choice, err := l.accel(ctx, c.Accel, k)
	if err != nil {
		return err
	}

	res, err := vm.Boot(ctx, l.cache,
		vm.Machine{Arch: k.Arch, Accel: choice.Accel, Kernel: k.ImagePath()},
		vm.Guest{Source: l.root}, vm.Options{KeepDir: filepath.Join(out, c.Kernel)})
	if err != nil {
		return err
	}
	if l.JSON {
		return l.printJSON(res)
	}
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	l.printf("%s %s: Linux %s with %s: first record after %v, QEMU ended after %v\n",
		c.Kernel, k.Arch.Name, res.Hello.Kernel, choice.Accel, ms(res.Timing.Hello), ms(res.Timing.Gone))
	return nil
}
