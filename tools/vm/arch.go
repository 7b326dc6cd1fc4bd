// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"fmt"
	"slices"
)

// Accel is how QEMU runs the guest's processor.
type Accel string

// The accelerators.
const (
	TCG Accel = "tcg" // by translating instructions: works everywhere, can count them
	KVM Accel = "kvm" // by the processor itself
)

// Arch is everything that differs between the processors of guests. Take one
// from X86_64, ARM64, RISCV64 or ArchByName.
type Arch struct {
	// Name is the kernel's name for it on the tools' side: x86_64, arm64,
	// riscv64.
	Name string
	// GOARCH is Go's name for it.
	GOARCH string
	// QEMU is the program that runs it.
	QEMU string
	// Package is the Debian package that brings QEMU.
	Package string
	// Console is the serial console's name in the guest.
	Console string

	machine map[Accel]string // -machine
	cpu     map[Accel]string // -cpu
	append  []string         // further kernel arguments
	tcg     []string         // further kernel arguments under TCG
	icount  []string         // further kernel arguments when instructions are counted

	debugPort uint16 // that takes records; 0 is the virtio-serial port
}

// WithDebugPort returns x86_64 with records taken from a debug port in the
// place of the virtio-serial port: for guests that know no virtio.
func (a Arch) WithDebugPort(port uint16) Arch {
	a.debugPort = port
	return a
}

// X86_64 is a q35 with AMD's virtualization, the only one that TCG has.
func X86_64() Arch {
	return Arch{
		Name:    "x86_64",
		GOARCH:  "amd64",
		QEMU:    "qemu-system-x86_64",
		Package: "qemu-system-x86",
		Console: "ttyS0",
		machine: map[Accel]string{TCG: "q35", KVM: "q35"},
		cpu:     map[Accel]string{TCG: "max,+svm", KVM: "host"},
		// On a busy host the timer's interrupts come late and the kernel
		// panics with "8254 timer not connected to IO-APIC".
		tcg: []string{"no_timer_check"},
		// Calibrating the local APIC's timer takes 100 million instructions,
		// without a PM timer 200 million and sometimes no end. Where the
		// clock is exact the HPET does as well; elsewhere it loses events.
		icount: []string{"nolapic_timer"},
	}
}

// ARM64 is QEMU's virt machine with EL2, on which KVM runs in VHE mode.
func ARM64() Arch {
	return Arch{
		Name:    "arm64",
		GOARCH:  "arm64",
		QEMU:    "qemu-system-aarch64",
		Package: "qemu-system-arm",
		Console: "ttyAMA0",
		machine: map[Accel]string{TCG: "virt,virtualization=on,gic-version=3", KVM: "virt,gic-version=host"},
		cpu:     map[Accel]string{TCG: "cortex-a76", KVM: "host"},
	}
}

// RISCV64 is QEMU's virt machine with the hypervisor extension, started by
// the OpenSBI that QEMU brings.
func RISCV64() Arch {
	return Arch{
		Name:    "riscv64",
		GOARCH:  "riscv64",
		QEMU:    "qemu-system-riscv64",
		Package: "qemu-system-misc",
		Console: "ttyS0",
		machine: map[Accel]string{TCG: "virt", KVM: "virt"},
		cpu:     map[Accel]string{TCG: "rv64,h=true", KVM: "host"},
		// What goes wrong before there is a console is said, too.
		append: []string{"earlycon"},
	}
}

// Archs returns the architectures that can be booted.
func Archs() []Arch { return []Arch{X86_64(), ARM64(), RISCV64()} }

// ArchByName finds an architecture by its own or Go's name.
func ArchByName(name string) (Arch, error) {
	var names []string
	for _, a := range Archs() {
		if a.Name == name || a.GOARCH == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return Arch{}, fmt.Errorf("architecture %q: expected one of %v", name, names)
}
