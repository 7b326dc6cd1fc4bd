// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"runtime"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/host"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/program"
	"vcpulab/tools/results"
	"vcpulab/tools/vm"
)

// describeHost describes the machine for the results. accel is what was found
// about the accelerator.
func describeHost(ctx context.Context, l *lab, k *kbuild.Kernel, accel string) (results.Host, error) {
	qemu, err := vm.QEMUVersion(ctx, arch.X86_64())
	if err != nil {
		return results.Host{}, err
	}
	h := l.host(ctx)
	h.QEMU, h.Accel, h.Pahole = qemu, accel, k.Toolchain.Pahole
	return h, nil
}

// host describes the machine, whatever is measured on it.
func (l *lab) host(ctx context.Context) results.Host {
	h := host.Read(l.cache.Dir())
	// A tool that was unpacked from an archive has no commit.
	git := program.Program{Name: "git", Dir: l.root, InheritEnv: true}
	revision, _, _ := git.Run(ctx, "describe", "--always", "--dirty", "--abbrev=12")
	return results.Host{
		CPU:   cmp.Or(h.CPU, "unknown"),
		Cores: h.Cores,
		OS:    cmp.Or(h.OS, "unknown"),
		Go:    runtime.Version(),
		Tool:  cmp.Or(strings.TrimSpace(string(revision)), "unknown"),
	}
}
