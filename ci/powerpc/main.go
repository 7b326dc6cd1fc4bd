// SPDX-License-Identifier: GPL-2.0-only

// The powerpc program tests how KVM finds vCPUs on powerpc, for which the kernel has no
// selftests: it creates vCPUs most of whose IDs differ from their indices, and has a guest
// of four instructions call H_PROD for each ID, and for IDs that no vCPU has.
//
// It runs in a guest of QEMU's pseries machine, which is little endian and has KVM in
// hypervisor mode; its own guest is big endian.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of include/uapi/linux/kvm.h in powerpc's encoding, where _IOC_NONE is a bit of
// its own.
const (
	createVM     = none | 0x01
	mmapSize     = none | 0x04
	createVCPU   = none | 0x41
	run          = none | 0x80
	setMemory    = write | unsafe.Sizeof(memory{})<<16 | 0x46
	setRegisters = write | unsafe.Sizeof(registers{})<<16 | 0x82
	enableCap    = write | unsafe.Sizeof(capability{})<<16 | 0xa3

	none  = 1<<29 | 0xae<<8
	write = 4<<29 | 0xae<<8

	vmPPCHV     = 1  // KVM_VM_PPC_HV
	capPAPR     = 68 // KVM_CAP_PPC_PAPR
	exitHcall   = 19 // KVM_EXIT_PAPR_HCALL
	exitReason  = 8  // offsets in struct kvm_run
	hcallNumber = 32
	hcallReturn = 40
	hcallArgs   = 48
)

// PAPR's hypercalls and what they return.
const (
	hProd      = 0xe8
	hParameter = -4
	// unhandled is a number that KVM leaves to userspace.
	unhandled = 0x7ffc
)

// memory, registers and capability are struct kvm_userspace_memory_region, kvm_regs and
// kvm_enable_cap.
type (
	memory    struct{ slotFlags, guest, size, host uint64 }
	registers struct {
		pc, cr, ctr, lr, xer, msr, srr0, srr1, pid uint64
		sprg                                       [8]uint64
		gpr                                        [32]uint64
	}
	capability struct {
		number, flags uint32
		args          [4]uint64
		_             [64]byte
	}
)

// code is where the guest begins. What the first hypercall returns is in r4 when the
// second one gets to userspace.
const code = 0x1000

var instructions = []uint32{
	0x44000022,             // sc 1
	0x7c641b78,             // mr r4,r3
	0x38600000 | unhandled, // li r3,unhandled
	0x44000022,             // sc 1
}

func main() {
	if err := test([]uint64{0, 8, 16, 4}, []uint64{1, 2, 3, 5, 17, 1 << 20, 1 << 32, 1<<32 | 8}); err != nil {
		fmt.Fprintln(os.Stderr, "powerpc:", err)
		os.Exit(1)
	}
	fmt.Println("KVM finds vCPUs by their IDs")
}

// test creates vCPUs with IDs, and looks for them and for others that are missing.
func test(ids, missing []uint64) error {
	kvm, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/kvm: %w", err)
	}
	vm, err := ioctl("create a VM", kvm, createVM, vmPPCHV)
	if err != nil {
		return err
	}
	ram, err := unix.Mmap(-1, 0, 16<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for i, word := range instructions {
		binary.BigEndian.PutUint32(ram[code+4*i:], word)
	}
	slot := memory{size: uint64(len(ram)), host: uint64(uintptr(unsafe.Pointer(&ram[0])))}
	if _, err := ioctl("set memory", vm, setMemory, uintptr(unsafe.Pointer(&slot))); err != nil {
		return err
	}

	var first int
	for i, id := range ids {
		vcpu, err := ioctl(fmt.Sprintf("create vCPU %d", id), vm, createVCPU, uintptr(id))
		if err != nil {
			return err
		}
		papr := capability{number: capPAPR}
		if _, err := ioctl("enable hypercalls", vcpu, enableCap, uintptr(unsafe.Pointer(&papr))); err != nil {
			return err
		}
		if i == 0 {
			first = vcpu
		}
		if _, err := ioctl("", vm, createVCPU, uintptr(id)); !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("create vCPU %d twice: expected EEXIST, found %w", id, err)
		}
	}
	size, err := ioctl("ask for the size of struct kvm_run", kvm, mmapSize, 0)
	if err != nil {
		return err
	}
	shared, err := unix.Mmap(first, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	for _, id := range slices.Concat(ids, missing) {
		want := int64(0)
		if slices.Contains(missing, id) {
			want = hParameter
		}
		found, err := prod(first, shared, id)
		if err != nil {
			return fmt.Errorf("H_PROD of vCPU %#x: %w", id, err)
		}
		if found != want {
			return fmt.Errorf("H_PROD of vCPU %#x: expected %d, found %d", id, want, found)
		}
	}
	return nil
}

// prod has a vCPU call H_PROD, and returns what that returns. From the second call on
// KVM loads r3 to r12 from what userspace returns for the previous hypercall.
func prod(vcpu int, shared []byte, id uint64) (int64, error) {
	r := registers{pc: code, msr: 1<<63 | 1<<12} // 64 bits, machine checks
	r.gpr[3], r.gpr[4] = hProd, id
	binary.NativeEndian.PutUint64(shared[hcallReturn:], hProd)
	binary.NativeEndian.PutUint64(shared[hcallArgs:], id)
	if _, err := ioctl("set registers", vcpu, setRegisters, uintptr(unsafe.Pointer(&r))); err != nil {
		return 0, err
	}
	if _, err := ioctl("run", vcpu, run, 0); err != nil {
		return 0, err
	}
	reason, number := binary.NativeEndian.Uint32(shared[exitReason:]), binary.NativeEndian.Uint64(shared[hcallNumber:])
	if reason != exitHcall || number != unhandled {
		return 0, fmt.Errorf("expected the exit %d for hypercall %#x, found %d for %#x", exitHcall, unhandled, reason, number)
	}
	return int64(binary.NativeEndian.Uint64(shared[hcallArgs:])), nil
}

// ioctl returns the file descriptor or the number that an ioctl returns.
//
//go:uintptrescapes
func ioctl(doing string, fd int, request, arg uintptr) (int, error) {
	for {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, arg)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR: // by a signal of Go's scheduler
		default:
			return 0, fmt.Errorf("%s: %w", doing, errno)
		}
	}
}
