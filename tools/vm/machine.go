// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/program"
)

// Machine is what QEMU is asked to start. It is a value: the same Machine may
// be run by several goroutines at once.
type Machine struct {
	Arch   arch.Arch
	Accel  Accel // "" is TCG
	CPUs   int   // 0 is 1
	MemMiB int   // 0 is 512
	// ICount makes the guest's clock count instructions, one nanosecond each,
	// so that what the guest measures is exact and the same in every boot. It
	// takes TCG and one CPU: with two, QEMU 7.2 stalls.
	ICount bool
	// Kernel is the path of a bzImage or Image, or on x86 of a vmlinux with a PVH note,
	// which boots quickest. Initrd is that of the initramfs, which Boot makes.
	Kernel, Initrd string
	// HostRoot lets the guest read this machine's files, for wire.HostMount, and those of
	// HostLayer, too, for wire.Job.Layered; "" is none.
	HostRoot  bool
	HostLayer string
	// Options are further options of QEMU's -machine, such as gic-version=2, and
	// Append further kernel arguments. They come last and win.
	Options string
	Append  []string
	// GDB, if set, is a socket at which QEMU waits for gdb before the first instruction.
	GDB *os.File

	// initramfs, if set, is what QEMU reads instead of Initrd. The others, if set, are
	// its ends of the connections with us and with whoever talks to the guest.
	initramfs, records, qmp, terminal, input *os.File
}

func (m Machine) withDefaults() Machine {
	m.Accel = cmp.Or(m.Accel, TCG)
	m.CPUs = cmp.Or(m.CPUs, 1)
	m.MemMiB = cmp.Or(m.MemMiB, 512)
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
var commonAppend = []string{
	"panic=-1",     // a panic resets at once, which ends QEMU
	"oops=panic",   // and so does an oops: what follows it is not a result
	"loglevel=5",   // warnings and worse: a serial line costs boot time
	"nokaslr",      // the same addresses in every boot
	"rdinit=/init", // given, so that a missing one is noticed
}

func (m Machine) append() string {
	q := m.Arch.QEMU
	if !m.ICount {
		q.AppendICount = nil
	}
	return strings.Join(slices.Concat(commonAppend, q.Append, q.AppendICount, []string{"console=" + q.Console}, m.Append), " ")
}

// args returns QEMU's arguments, and the files that it inherits, as file descriptors
// from 3 on: none has a name. Records go to a file of that path if m.records is nil.
func (m Machine) args(records string) (args []string, inherited []*os.File) {
	number := func(f *os.File) string {
		inherited = append(inherited, f)
		return strconv.Itoa(2 + len(inherited))
	}
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
	args = []string{
		"-nodefaults", "-no-user-config", "-no-reboot",
		"-display", "none",
		"-machine", strings.TrimSuffix(hardware.Machine+","+m.Options, ","),
		"-cpu", hardware.CPU,
		"-accel", accel,
		"-smp", strconv.Itoa(m.CPUs),
		"-m", strconv.Itoa(m.MemMiB),
	}
	if m.ICount {
		// With the same seed of random numbers, and the same date, two boots differ by some
		// ten thousand of 260 million instructions, with different ones by some million.
		args = append(args, "-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-seed", "0")
	}

	// The kernel's console is QEMU's standard output. Records come over
	// virtio-serial, or a debug port from guests that have no virtio.
	args = append(args, "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
	if m.records != nil {
		records = "/dev/fd/" + number(m.records)
	}
	chardev := "file,id=records,path=" + strings.ReplaceAll(records, ",", ",,")
	if port := m.Arch.QEMU.DebugPort; port != 0 {
		args = append(args, "-chardev", chardev, "-device", fmt.Sprintf("isa-debugcon,iobase=%#x,chardev=records", port))
	} else {
		args = append(args, "-device", "virtio-serial-pci,id=serial0", "-chardev", chardev,
			"-device", "virtserialport,bus=serial0.0,chardev=records,nr=1")
	}
	connect := func(socket *os.File, chardev string, device ...string) {
		if socket != nil {
			args = append(append(args, "-chardev", "socket,"+chardev+",fd="+number(socket)), device...)
		}
	}
	connect(m.terminal, "id=terminal", "-device", "virtconsole,bus=serial0.0,chardev=terminal,nr=0")
	connect(m.input, "id=input", "-device", "virtserialport,bus=serial0.0,chardev=input,nr=2")
	connect(m.GDB, "id=gdb,server=on,wait=off", "-gdb", "chardev:gdb", "-S")
	connect(m.qmp, "id=qmp", "-mon", "chardev=qmp,mode=control")

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
	if m.initramfs != nil {
		args = append(args, "-initrd", "/dev/fd/"+number(m.initramfs))
	} else if m.Initrd != "" {
		args = append(args, "-initrd", m.Initrd)
	}
	return append(args, "-append", m.append()), inherited
}

// Command returns a command line that starts the machine by hand: console on
// the terminal, records in a file of that path.
func (m Machine) Command(records string) string {
	m.initramfs = nil
	args, _ := m.withDefaults().args(records)
	return program.Program{Name: m.Arch.QEMU.Program, InheritEnv: true}.Command(args...)
}
