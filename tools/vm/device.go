// SPDX-License-Identifier: GPL-2.0-only

package vm

import "fmt"

// Device is something that hangs on a machine. It knows its own arguments,
// those of QEMU and those of the kernel.
type Device interface {
	// Args returns arguments of QEMU.
	Args() []string
	// Append returns arguments of the kernel.
	Append() []string
}

// Args is a Device that is nothing but arguments, for what this package does
// not know.
type Args struct {
	QEMU   []string // arguments of QEMU
	Kernel []string // arguments of the kernel
}

// Args returns a.QEMU.
func (a Args) Args() []string { return a.QEMU }

// Append returns a.Kernel.
func (a Args) Append() []string { return a.Kernel }

// serialConsole is the kernel's console, on QEMU's standard output.
type serialConsole struct{ tty string }

func (s serialConsole) Args() []string {
	return []string{"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"}
}

func (s serialConsole) Append() []string { return []string{"console=" + s.tty} }

// recordPort is the virtio-serial port that records go to, through a file of
// the host that QEMU opens.
type recordPort struct{ name, file string }

func (p recordPort) Args() []string {
	return []string{
		"-device", "virtio-serial-pci,id=serial0",
		"-chardev", "file,id=records,path=" + quoteOption(p.file),
		"-device", "virtserialport,bus=serial0.0,chardev=records,name=" + p.name,
	}
}

func (p recordPort) Append() []string { return nil }

// debugPort is the port of an x86 machine that stands for the record port of
// guests that know no virtio.
type debugPort struct {
	port uint16
	file string
}

func (p debugPort) Args() []string {
	return []string{
		"-chardev", "file,id=records,path=" + quoteOption(p.file),
		"-device", fmt.Sprintf("isa-debugcon,iobase=%#x,chardev=records", p.port),
	}
}

func (p debugPort) Append() []string { return nil }

// monitor is QEMU's own protocol over a connected socket that QEMU inherits.
type monitor struct{ fd string }

func (m monitor) Args() []string {
	return []string{"-chardev", "socket,id=qmp,fd=" + m.fd, "-mon", "chardev=qmp,mode=control"}
}

func (m monitor) Append() []string { return nil }
