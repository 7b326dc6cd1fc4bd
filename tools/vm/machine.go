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
	"vcpulab/tools/arch"
	"vcpulab/tools/program"
)

// Defaults of a Machine.
const (
	DefaultCPUs   = 1
	DefaultMemMiB = 512
)

// Machine is what QEMU is asked to start. It is a value: the same Machine may
// be run by several goroutines at once.
type Machine struct {
	Arch  arch.Arch
	Accel Accel // "" is TCG
	// CPUs is the number of processors of the guest; 0 is DefaultCPUs.
	CPUs int
	// MemMiB is the guest's memory in MiB; 0 is DefaultMemMiB.
	MemMiB int
	// ICount makes the guest's clock count instructions, one nanosecond each,
	// so that what the guest measures is exact and the same in every boot. It
	// takes TCG and one CPU: with two, QEMU 7.2 stalls.
	ICount bool
	// Seed is what the guest's random numbers are drawn from under ICount,
	// where the date is always the same too. Two boots with the same seed
	// differ by some ten thousand of 260 million instructions, with different
	// ones by some million; what is measured must not differ.
	Seed uint32
	// Kernel is the path of the kernel: a bzImage or Image, or on x86 a vmlinux
	// with a PVH note, which boots quickest.
	Kernel string
	// Initrd is the path of the initramfs. Boot makes one.
	Initrd string
	// HostRoot lets the guest read this machine's files, for wire.HostMount.
	HostRoot bool
	// HostLayer is a directory with files that the guest sees there, too, for
	// wire.Job.Layered; "" is none.
	HostLayer string
	// Options are further options of QEMU's -machine, such as gic-version=2.
	// They win.
	Options string
	// Append are further kernel arguments. They come last and win.
	Append []string
	// GDB, if set, is a socket that listens, at which QEMU waits for gdb before the
	// first instruction.
	GDB *os.File

	// initramfs, if set, is what QEMU reads instead of Initrd.
	initramfs *os.File
	// terminal and input, if set, are QEMU's ends of the connections with whoever
	// talks to the guest.
	terminal, input *os.File
}

// channels are the files through which a machine talks to its host.
type channels struct {
	records string // path that QEMU writes records to
	qmp     string // number of the inherited monitor socket; "" for none
	initrd  string // path that QEMU reads the initramfs from; "" is Machine.Initrd
	// Numbers of inherited sockets, "" for none: of the guest's wire.TerminalDevice,
	// its wire.InputPort, and for gdb.
	terminal, input, gdb string
}

func (m Machine) withDefaults() Machine {
	m.Accel = cmp.Or(m.Accel, TCG)
	m.CPUs = cmp.Or(m.CPUs, DefaultCPUs)
	m.MemMiB = cmp.Or(m.MemMiB, DefaultMemMiB)
	return m
}

// check refuses what QEMU would accept and then do differently.
func (m Machine) check() error {
	switch {
	case !m.Arch.Boots():
		return fmt.Errorf("architecture %q cannot be booted", m.Arch.Name)
	case m.Accel != TCG && m.Accel != KVM:
		return fmt.Errorf("accelerator %q: expected kvm or tcg", m.Accel)
	case m.Kernel == "":
		return errors.New("no kernel")
	case m.CPUs < 0 || m.MemMiB < 0:
		return fmt.Errorf("%d CPUs and %d MiB: neither can be negative", m.CPUs, m.MemMiB)
	case m.ICount && m.Accel != TCG:
		return fmt.Errorf("instructions are counted by TCG, not by %s", m.Accel)
	case m.ICount && m.CPUs != 1:
		return fmt.Errorf("instructions are counted with one CPU, found %d", m.CPUs)
	}
	return nil
}

// commonAppend are the kernel arguments of every guest.
var commonAppend = [...]string{
	"panic=-1",     // a panic resets at once, which ends QEMU
	"oops=panic",   // and so does an oops: what follows it is not a result
	"loglevel=5",   // warnings and worse: a serial line costs boot time
	"nokaslr",      // the same addresses in every boot
	"rdinit=/init", // given, so that a missing one is noticed
}

// append returns the kernel's command line.
func (m Machine) append() string {
	q := m.Arch.QEMU
	args := append(commonAppend[:len(commonAppend):len(commonAppend)], q.Append...)
	if m.ICount {
		args = append(args, q.AppendICount...)
	}
	args = append(args, "console="+q.Console)
	return strings.Join(append(args, m.Append...), " ")
}

// args returns QEMU's arguments.
func (m Machine) args(ch channels) []string {
	hardware := m.Arch.QEMU.TCG
	if m.Accel == KVM {
		hardware = m.Arch.QEMU.KVM
	}
	accel := string(m.Accel)
	if m.Accel == TCG && !m.ICount && m.CPUs > 1 {
		// The processors of a guest under TCG take turns on one thread: with a
		// thread each, QEMU 7.2 runs into code that another processor is patching,
		// and Linux patches its own a lot (static branches, ftrace). The guest then
		// dies, once in a few boots, in the middle of a nop.
		accel += ",thread=single"
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot",
		"-display", "none",
		"-machine", strings.TrimSuffix(hardware.Machine+","+m.Options, ","),
		"-cpu", hardware.CPU,
		"-accel", accel,
		"-smp", strconv.Itoa(m.CPUs),
		"-m", strconv.Itoa(m.MemMiB),
	}
	if m.ICount {
		args = append(args,
			"-icount", "shift=0,sleep=off",
			"-rtc", "base=2026-01-01,clock=vm",
			"-seed", strconv.FormatUint(uint64(m.Seed), 10))
	}

	// The kernel's console is QEMU's standard output. Records come over
	// virtio-serial, or a debug port from guests that have no virtio.
	args = append(args, "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
	records := []string{"-chardev", "file,id=records,path=" + strings.ReplaceAll(ch.records, ",", ",,")}
	if port := m.Arch.QEMU.DebugPort; port != 0 {
		args = append(append(args, records...), "-device", fmt.Sprintf("isa-debugcon,iobase=%#x,chardev=records", port))
	} else {
		args = append(append(args, "-device", "virtio-serial-pci,id=serial0"), records...)
		args = append(args, "-device", "virtserialport,bus=serial0.0,chardev=records,nr=1")
	}
	if ch.terminal != "" {
		args = append(args, "-chardev", "socket,id=terminal,fd="+ch.terminal, "-device", "virtconsole,bus=serial0.0,chardev=terminal,nr=0")
	}
	if ch.input != "" {
		args = append(args, "-chardev", "socket,id=input,fd="+ch.input, "-device", "virtserialport,bus=serial0.0,chardev=input,nr=2")
	}
	if ch.gdb != "" {
		args = append(args, "-chardev", "socket,id=gdb,server=on,wait=off,fd="+ch.gdb, "-gdb", "chardev:gdb", "-S")
	}
	if ch.qmp != "" {
		args = append(args, "-chardev", "socket,id=qmp,fd="+ch.qmp, "-mon", "chardev=qmp,mode=control")
	}

	if m.HostRoot {
		args = append(args,
			"-fsdev", "local,id=host,path=/,readonly=on,security_model=none,multidevs=remap",
			"-device", "virtio-9p-pci,fsdev=host,mount_tag="+wire.HostTag)
	}
	if m.HostLayer != "" {
		args = append(args,
			"-fsdev", "local,id=layer,path="+strings.ReplaceAll(m.HostLayer, ",", ",,")+",readonly=on,security_model=none",
			"-device", "virtio-9p-pci,fsdev=layer,mount_tag="+wire.LayerTag)
	}

	args = append(args, "-kernel", m.Kernel)
	if initrd := cmp.Or(ch.initrd, m.Initrd); initrd != "" {
		args = append(args, "-initrd", initrd)
	}
	return append(args, "-append", m.append())
}

// Command returns a command line that starts the machine by hand: console on
// the terminal, records in a file of that path.
func (m Machine) Command(records string) string {
	m = m.withDefaults()
	return program.Program{Name: m.Arch.QEMU.Program, InheritEnv: true}.Command(m.args(channels{records: records})...)
}
