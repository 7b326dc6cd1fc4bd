// SPDX-License-Identifier: GPL-2.0-only

// Package loops is the Go side of vcpuloops.ko, the kernel module with loops
// around KVM's vCPU lookups.
//
// The module's source is embedded, see Source: it is built against each kernel
// that is measured.
package loops

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// Source is the module's source: everything that kbuild needs.
//
//go:embed Kbuild device.c memory.c vcpuloops.h
var Source embed.FS

const (
	Module     = "vcpuloops.ko"   // the file name of the built module
	Path       = "/dev/vcpuloops" // its device node
	MaxNumbers = 16384            // bounds the numbers of a loop
)

// Device is the module's device, bound to one VM at a time.
type Device struct{ f *os.File }

type ioctlRun struct {
	op, nr, passes, found       uint32
	numbers, checksum, expected uint64
}

type ioctlSizes struct{ kvm, vcpu uint32 }

type ioctlMemory struct {
	container, kvm, vcpu uint64
	objects, vcpus       uint32
}

// The numbers of the requests, as _IOW() and friends make them.
const (
	ioctlBind   = 1<<30 | uint(unsafe.Sizeof(int32(0)))<<16 | 'v'<<8
	ioctlRunNum = 3<<30 | uint(unsafe.Sizeof(ioctlRun{}))<<16 | 'v'<<8 | 1
	ioctlSize   = 2<<30 | uint(unsafe.Sizeof(ioctlSizes{}))<<16 | 'v'<<8 | 2
	ioctlMem    = 2<<30 | uint(unsafe.Sizeof(ioctlMemory{}))<<16 | 'v'<<8 | 3
)

// Open opens the device. The module must be loaded.
func Open() (*Device, error) {
	f, err := os.OpenFile(Path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the loops: %w", err)
	}
	return &Device{f}, nil
}

// Unbind drops the reference to the VM, which is destroyed if it was the last.
const Unbind = -1

// Bind makes the following runs use the VM with this descriptor. The device
// keeps the VM alive until the next Bind, or until it is closed.
func (d *Device) Bind(vm int) error {
	fd := int32(vm)
	if err := d.ioctl(ioctlBind, unsafe.Pointer(&fd)); err != nil {
		return fmt.Errorf("bind the loops to the VM: %w", err)
	}
	return nil
}

// Run runs a loop once, with so many passes over its numbers, 1 to MaxNumbers of
// them, and returns its checksum. The error is wire.ErrFound or wire.ErrChecksum if
// the kernel returned a wrong vCPU.
func (d *Device) Run(r measure.Run, passes int) (checksum uint64, err error) {
	if len(r.Numbers) == 0 || len(r.Numbers) > MaxNumbers {
		return 0, fmt.Errorf("run a loop: expected 1 to %d numbers, found %d", MaxNumbers, len(r.Numbers))
	}
	arg := ioctlRun{
		op: r.Number(), nr: uint32(len(r.Numbers)), passes: uint32(passes), found: uint32(r.Found),
		numbers: uint64(uintptr(unsafe.Pointer(&r.Numbers[0]))),
	}
	err = d.ioctl(ioctlRunNum, unsafe.Pointer(&arg))
	runtime.KeepAlive(r.Numbers)
	if errors.Is(err, wire.ErrChecksum) {
		err = fmt.Errorf("%w: expected %#x, found %#x", err, arg.expected, arg.checksum)
	}
	if err != nil {
		return 0, fmt.Errorf("run loop %d: %w", arg.op, err)
	}
	return arg.checksum, nil
}

// Sizes returns the sizes of the kernel's structures.
func (d *Device) Sizes() (measure.Sizes, error) {
	var arg ioctlSizes
	if err := d.ioctl(ioctlSize, unsafe.Pointer(&arg)); err != nil {
		return measure.Sizes{}, fmt.Errorf("ask for the structures' sizes: %w", err)
	}
	return measure.Sizes{KVM: arg.kvm, VCPU: arg.vcpu}, nil
}

// Memory returns what the bound VM takes. The error is wire.ErrFound if it does not
// have the vCPUs of vm, one at least, or if not all are in what was counted.
func (d *Device) Memory(vm measure.VM) (measure.Memory, error) {
	var arg ioctlMemory
	err := d.ioctl(ioctlMem, unsafe.Pointer(&arg))
	if err == nil && int(arg.vcpus) != vm.VCPUs {
		err = fmt.Errorf("%w: expected %d, found %d", wire.ErrFound, vm.VCPUs, arg.vcpus)
	}
	if err != nil {
		return measure.Memory{}, fmt.Errorf("count the VM's memory: %w", err)
	}
	return measure.Memory{VM: vm, Container: arg.container, Objects: arg.objects, KVM: arg.kvm, VCPU: arg.vcpu}, nil
}

// Close closes the device and drops its reference to the VM.
func (d *Device) Close() error { return d.f.Close() }

// ioctl performs a request. Errors that mean that the kernel is wrong become those
// of package wire.
func (d *Device) ioctl(req uint, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.f.Fd(), uintptr(req), uintptr(arg))
	switch errno {
	case 0:
		return nil
	case unix.ENODATA:
		return wire.ErrFound
	case unix.EBADMSG:
		return wire.ErrChecksum
	}
	return errno
}
