// SPDX-License-Identifier: GPL-2.0-only

package shell

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"slices"

	"vcpulab/tools/exit"
)

// FindBusybox returns the path of this machine's busybox.
func FindBusybox() (string, error) {
	file, err := exec.LookPath("busybox")
	if err != nil {
		return "", exit.With(exit.MachineLacks, fmt.Errorf("this machine lacks busybox, which has the programs of the guest: %s", howToInstall))
	}
	return file, nil
}

// CheckBusybox looks whether guests with a kernel can run a busybox.
func CheckBusybox(file, vmlinux string) error {
	if err := checkProgram(file, vmlinux); err != nil {
		return exit.With(exit.MachineLacks, fmt.Errorf("busybox: %w: %s", err, howToInstall))
	}
	return nil
}

const howToInstall = "install Debian's package busybox-static, as \"vcpulab install shell\" does, or give one for the guest's architecture with --busybox"

func checkProgram(file, vmlinux string) error {
	kernel, err := elf.Open(vmlinux)
	if err != nil {
		return fmt.Errorf("%s: %w", vmlinux, err)
	}
	defer kernel.Close()
	program, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	defer program.Close()

	if program.Machine != kernel.Machine {
		return fmt.Errorf("%s is for %v, and the guest is %v", file, program.Machine, kernel.Machine)
	}
	if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("%s needs libraries, which the guest has not", file)
	}
	return nil
}
