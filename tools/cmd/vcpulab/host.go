// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
)

// describeHost says in the results what machine measured. accel is what was
// found about the accelerator.
func describeHost(ctx context.Context, l *lab, k *kbuild.Kernel, accel string) (results.Host, error) {
	qemu, err := firstLine(ctx, arch.X86_64().QEMU.Program, "--version")
	if err != nil {
		return results.Host{}, err
	}
	host := l.host(ctx)
	host.QEMU, host.Accel, host.Pahole = qemu, accel, k.Toolchain.Pahole
	return host, nil
}

// host is what there is to say of the machine, whatever is measured on it.
func (l *lab) host(ctx context.Context) results.Host {
	// The tool may have been unpacked from an archive: then it has no commit.
	revision, err := firstLine(ctx, "git", "-C", l.root, "describe", "--always", "--dirty", "--abbrev=12")
	if err != nil {
		revision = "unknown"
	}
	return results.Host{
		CPU:   field("/proc/cpuinfo", "model name", ":"),
		Cores: runtime.NumCPU(),
		OS:    strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
		Go:    runtime.Version(),
		Tool:  revision,
	}
}

// firstLine returns the first line that a program prints.
func firstLine(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}

// field returns the value of the first line of a file that has this key,
// "unknown" if there is none.
func field(file, key, sep string) string {
	f, err := os.Open(file)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), sep); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}
