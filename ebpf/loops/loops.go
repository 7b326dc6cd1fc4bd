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

	"vcpulab/ebpf/wire"
)

// Source is the module's source: everything that kbuild needs.
//
//go:embed Kbuild device.c memory.c vcpuloops.h
var Source embed.FS

// Module is the file name of the built module.
const Module = "vcpuloops.ko"

// Path is the module's device node.
const Path = "/dev/vcpuloops"

// MaxNumbers is the most numbers that a loop takes.
const MaxNumbers = 16384

// Errors of Device.Run and Device.Memory that mean that the kernel returned a wrong vCPU.
var (
	// ErrFound: other means found more or fewer vCPUs than expected.
	ErrFound = wire.ErrFound
	// ErrChecksum: the loop's lookups returned other vCPUs than a walk.
	ErrChecksum = wire.ErrChecksum
)

// Device is the module's device, bound to one VM at a time.
type Device struct{ f *os.File }

// Run is one run of one loop.
type Run struct {
	Op      uint32  // enum vcpuloops_op
	Passes  uint32  // how often to go through Numbers
	Numbers []int32 // indices or IDs, at most MaxNumbers
	Found   uint32  // how many vCPUs a pass must find
}

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

// Unbind lets go of the VM, which is destroyed if nobody else holds it.
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

// Run runs a loop once and returns its checksum. An error that is ErrFound or
// ErrChecksum says that the kernel is wrong.
func (d *Device) Run(r Run) (checksum uint64, err error) {
	if len(r.Numbers) == 0 || len(r.Numbers) > MaxNumbers {
		return 0, fmt.Errorf("run a loop: expected 1 to %d numbers, found %d", MaxNumbers, len(r.Numbers))
	}
	arg := ioctlRun{
		op: r.Op, nr: uint32(len(r.Numbers)), passes: r.Passes, found: r.Found,
		numbers: uint64(uintptr(unsafe.Pointer(&r.Numbers[0]))),
	}
	err = d.ioctl(ioctlRunNum, unsafe.Pointer(&arg))
	runtime.KeepAlive(r.Numbers)
	switch {
	case errors.Is(err, unix.ENODATA):
		err = ErrFound
	case errors.Is(err, unix.EBADMSG):
		err = fmt.Errorf("%w: expected %#x, found %#x", ErrChecksum, arg.expected, arg.checksum)
	}
	if err != nil {
		return 0, fmt.Errorf("run loop %d: %w", r.Op, err)
	}
	return arg.checksum, nil
}

// Sizes returns the sizes of struct kvm and struct kvm_vcpu, in bytes.
func (d *Device) Sizes() (kvm, vcpu uint32, err error) {
	var arg ioctlSizes
	if err := d.ioctl(ioctlSize, unsafe.Pointer(&arg)); err != nil {
		return 0, 0, fmt.Errorf("ask for the structures' sizes: %w", err)
	}
	return arg.kvm, arg.vcpu, nil
}

// Memory is what a VM takes, in bytes by the account of the kernel's allocators:
// with what pads each object.
type Memory struct {
	Container uint64 // of all that holds its vCPUs, beyond struct kvm and struct kvm_vcpu
	Objects   uint32 // how many objects that is
	KVM       uint64 // of the object that has struct kvm
	VCPU      uint64 // of the object that has a struct kvm_vcpu
}

// Memory returns what the VM takes, which must have this many vCPUs, one at
// least, all found in what was counted: else the error is ErrFound.
func (d *Device) Memory(vcpus int) (Memory, error) {
	var arg ioctlMemory
	err := d.ioctl(ioctlMem, unsafe.Pointer(&arg))
	switch {
	case errors.Is(err, unix.ENODATA):
		err = ErrFound
	case err == nil && int(arg.vcpus) != vcpus:
		err = fmt.Errorf("%w: expected %d, found %d", ErrFound, vcpus, arg.vcpus)
	}
	if err != nil {
		return Memory{}, fmt.Errorf("count the VM's memory: %w", err)
	}
	return Memory{Container: arg.container, Objects: arg.objects, KVM: arg.kvm, VCPU: arg.vcpu}, nil
}

// Close closes the device and lets go of the VM.
func (d *Device) Close() error { return d.f.Close() }

func (d *Device) ioctl(req uint, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.f.Fd(), uintptr(req), uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}
