// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"vcpulab/ebpf/wire"
)

// Defaults of a Machine.
const (
	DefaultCPUs   = 1
	DefaultMemMiB = 512
)

// Machine is what QEMU is asked to start. It is a value: the same Machine may
// be run by several goroutines at once.
type Machine struct {
	Arch  Arch
	Accel Accel // "" is TCG
	// CPUs is the number of processors of the guest; 0 is DefaultCPUs.
	CPUs int
	// MemMiB is the guest's memory in MiB; 0 is DefaultMemMiB.
	MemMiB int
	// ICount makes the guest's clock count instructions, one nanosecond
	// each, so that what the guest measures is exact and the same in every
	// boot. It takes TCG and one CPU: with two, QEMU 7.2 stalls.
	ICount bool
	// Seed is what the guest's random numbers are drawn from under ICount,
	// where the date is always the same too. Two boots with the same seed
	// differ by some ten thousand of 260 million instructions, with
	// different ones by some million; what is measured must not differ.
	Seed uint32
	// Kernel is the path of the kernel: a bzImage or Image, or on x86 a
	// vmlinux with a PVH note, which boots quickest.
	Kernel string
	// Initrd is the path of the initramfs. Boot makes one.
	Initrd string
	// Append are further kernel arguments. They come last and win.
	Append []string
	// Devices hang on the machine besides its console and record port.
	Devices []Device
	// QEMU is the program to start; "" is Arch's.
	QEMU string

	// initramfs, when set, is what QEMU reads instead of Initrd.
	initramfs *os.File
}

// channels are the files that a machine speaks to its host through.
type channels struct {
	records string // path that QEMU writes records to
	qmp     string // number of the inherited monitor socket; "" for none
	initrd  string // path that QEMU reads the initramfs from; "" is Machine.Initrd
}

func (m Machine) withDefaults() Machine {
	if m.Accel == "" {
		m.Accel = TCG
	}
	if m.CPUs == 0 {
		m.CPUs = DefaultCPUs
	}
	if m.MemMiB == 0 {
		m.MemMiB = DefaultMemMiB
	}
	if m.QEMU == "" {
		m.QEMU = m.Arch.QEMU
	}
	return m
}

// check refuses what QEMU would take and then do something else with.
func (m Machine) check() error {
	switch {
	case m.Arch.Name == "":
		return errors.New("machine: expected an architecture, found none")
	case m.Arch.cpu[m.Accel] == "":
		return fmt.Errorf("machine: accelerator %q: expected kvm or tcg", m.Accel)
	case m.Kernel == "":
		return errors.New("machine: expected a kernel, found none")
	case m.CPUs < 0 || m.MemMiB < 0:
		return fmt.Errorf("machine: %d CPUs and %d MiB: neither can be negative", m.CPUs, m.MemMiB)
	case m.ICount && m.Accel != TCG:
		return fmt.Errorf("machine: instructions are counted by TCG, not by %s", m.Accel)
	case m.ICount && m.CPUs != 1:
		return fmt.Errorf("machine: instructions are counted with one CPU, found %d", m.CPUs)
	}
	return nil
}

// devices returns all devices, those that every machine has first.
func (m Machine) devices(ch channels) []Device {
	var records Device = recordPort{wire.PortName, ch.records}
	if port := m.Arch.debugPort; port != 0 {
		records = debugPort{port, ch.records}
	}
	all := []Device{serialConsole{m.Arch.Console}, records}
	if ch.qmp != "" {
		all = append(all, monitor{ch.qmp})
	}
	return append(all, m.Devices...)
}

// commonAppend are the kernel arguments of every guest.
var commonAppend = [...]string{
	"panic=-1",     // a panic resets at once, which ends QEMU
	"oops=panic",   // and so does an oops: what follows it is no result
	"loglevel=5",   // warnings and worse: a serial line costs boot time
	"nokaslr",      // the same addresses in every boot
	"rdinit=/init", // said, so that a missing one is noticed
}

// append returns the kernel's command line.
func (m Machine) append(devices []Device) string {
	args := append([]string(nil), commonAppend[:]...)
	args = append(args, m.Arch.append...)
	if m.Accel == TCG {
		args = append(args, m.Arch.tcg...)
	}
	if m.ICount {
		args = append(args, m.Arch.icount...)
	}
	for _, d := range devices {
		args = append(args, d.Append()...)
	}
	return strings.Join(append(args, m.Append...), " ")
}

// command returns the command line that starts the machine, the program
// first.
func (m Machine) command(ch channels) []string {
	devices := m.devices(ch)
	args := []string{
		m.QEMU,
		"-nodefaults", "-no-user-config", "-no-reboot",
		"-display", "none",
		"-machine", m.Arch.machine[m.Accel],
		"-cpu", m.Arch.cpu[m.Accel],
		"-accel", m.accelArg(),
		"-smp", strconv.Itoa(m.CPUs),
		"-m", strconv.Itoa(m.MemMiB),
	}
	if m.ICount {
		args = append(args,
			"-icount", "shift=0,sleep=off",
			"-rtc", "base=2026-01-01,clock=vm",
			"-seed", strconv.FormatUint(uint64(m.Seed), 10))
	}
	for _, d := range devices {
		args = append(args, d.Args()...)
	}
	args = append(args, "-kernel", m.Kernel)
	if initrd := cmp.Or(ch.initrd, m.Initrd); initrd != "" {
		args = append(args, "-initrd", initrd)
	}
	return append(args, "-append", m.append(devices))
}

// accelArg returns -accel. The processors of a guest under TCG take turns on
// one thread: with a thread each, QEMU 7.2 runs into code that another
// processor is patching, and Linux patches its own a lot (static branches,
// ftrace). The guest then dies, once in a few boots, in the middle of a nop.
func (m Machine) accelArg() string {
	if m.Accel == TCG && !m.ICount && m.CPUs > 1 {
		return "tcg,thread=single"
	}
	return string(m.Accel)
}

// Command returns a command line that starts the machine by hand: console
// on the terminal, records in a file of that path.
func (m Machine) Command(records string) string {
	return quote(m.withDefaults().command(channels{records: records}))
}

// quoteOption doubles the commas of a value in a QEMU option.
func quoteOption(v string) string { return strings.ReplaceAll(v, ",", ",,") }
