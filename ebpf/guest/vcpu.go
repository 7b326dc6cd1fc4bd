// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/stalls"
)

// KVM's requests, from linux/kvm.h and x86's asm/kvm.h.
const (
	kvmGetVCPUMmapSize     = 0xae04
	kvmSetUserMemoryRegion = 0x4020ae46
	kvmRun                 = 0xae80
	kvmSetRegs             = 0x4090ae82
	kvmGetSregs            = 0x8138ae83
	kvmSetSregs            = 0x4138ae84
	kvmGetTSCKHz           = 0xaea3

	kvmExitIO = 2
)

// memoryRegion is struct kvm_userspace_memory_region.
type memoryRegion struct {
	slot, flags              uint32
	guest, size, userAddress uint64
}

// setMemory puts memory of this process at an address of the VM; none deletes
// the slot.
func (v *virtualMachine) setMemory(slot int, address uint64, memory []byte) error {
	return v.setSlot(slot, 0, address, memory)
}

// setSlot is setMemory with flags.
func (v *virtualMachine) setSlot(slot int, flags uint32, address uint64, memory []byte) error {
	r := memoryRegion{slot: uint32(slot), flags: flags, guest: address, size: uint64(len(memory))}
	if len(memory) > 0 {
		r.userAddress = uint64(uintptr(unsafe.Pointer(&memory[0])))
	}
	if err := pointerRequest(v.fd, kvmSetUserMemoryRegion, unsafe.Pointer(&r)); err != nil {
		return fmt.Errorf("KVM_SET_USER_MEMORY_REGION, slot %d: %w", slot, err)
	}
	return nil
}

// pointerRequest is ioctl(2) for requests that take a structure.
func pointerRequest(fd int, req uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// rawRequest is pointerRequest, but does not tell Go's runtime.
func rawRequest(fd int, req uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// segment, table and sregs are struct kvm_segment, kvm_dtable and kvm_sregs of
// x86.
type segment struct {
	base                                              uint64
	limit                                             uint32
	selector                                          uint16
	kind, present, dpl, db, s, l, g, avl, unusable, _ uint8
}

type table struct {
	base  uint64
	limit uint16
	_     [3]uint16
}

type sregs struct {
	cs, ds, es, fs, gs, ss, tr, ldt       segment
	gdt, idt                              table
	cr0, cr2, cr3, cr4, cr8, efer, apicID uint64
	interrupts                            [4]uint64
}

// regs is struct kvm_regs of x86.
type regs struct {
	ax, bx, cx, dx, si, di, sp, bp uint64
	other                          [8]uint64
	ip, flags                      uint64
}

// runningVCPU is a vCPU with the payload.
type runningVCPU struct {
	fd      int
	state   []byte // struct kvm_run
	memory  []byte
	payload *stalls.Payload
	khz     int64
}

// newRunning makes the first vCPU of the VM one that can run the payload, and
// has the payload show that it sorts right.
func newRunning(vm *virtualMachine) (_ *runningVCPU, err error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the payload is for x86, not for %s", runtime.GOARCH)
	}
	r := &runningVCPU{fd: vm.vcpus[0]}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.memory, err = unix.Mmap(-1, 0, stalls.MemorySize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return nil, fmt.Errorf("memory of the VM: %w", err)
	}
	if err := vm.setMemory(0, 0, r.memory); err != nil {
		return nil, err
	}
	kvm, err := os.Open("/dev/kvm")
	if err != nil {
		return nil, err
	}
	defer kvm.Close()
	size, err := request(int(kvm.Fd()), kvmGetVCPUMmapSize, 0)
	if err != nil {
		return nil, fmt.Errorf("KVM_GET_VCPU_MMAP_SIZE: %w", err)
	}
	if r.state, err = unix.Mmap(r.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("state of the vCPU: %w", err)
	}
	khz, err := request(r.fd, kvmGetTSCKHz, 0)
	if err != nil {
		return nil, fmt.Errorf("KVM_GET_TSC_KHZ: %w", err)
	}
	r.khz = int64(khz)
	if r.payload, err = stalls.NewPayload(r.memory); err != nil {
		return nil, err
	}
	if err := r.reset(stalls.EntrySort); err != nil {
		return nil, err
	}
	if err := r.payload.CheckSort(r.run); err != nil {
		return nil, err
	}
	return r, r.reset(stalls.EntrySpin)
}

// reset has the vCPU begin at an address, in 32-bit protected mode.
func (r *runningVCPU) reset(address uint64) error {
	var s sregs
	if err := pointerRequest(r.fd, kvmGetSregs, unsafe.Pointer(&s)); err != nil {
		return fmt.Errorf("KVM_GET_SREGS: %w", err)
	}
	flat := segment{limit: 0xffffffff, selector: 0x10, kind: 3, present: 1, db: 1, s: 1, g: 1}
	s.ds, s.es, s.fs, s.gs, s.ss = flat, flat, flat, flat, flat
	s.cs = flat
	s.cs.selector, s.cs.kind = 0x8, 11
	s.cr0 |= 1
	if err := pointerRequest(r.fd, kvmSetSregs, unsafe.Pointer(&s)); err != nil {
		return fmt.Errorf("KVM_SET_SREGS: %w", err)
	}
	g := regs{sp: stalls.StackAddress, ip: address, flags: 2}
	if err := pointerRequest(r.fd, kvmSetRegs, unsafe.Pointer(&g)); err != nil {
		return fmt.Errorf("KVM_SET_REGS: %w", err)
	}
	return nil
}

// run runs the vCPU until the payload says that it is done.
func (r *runningVCPU) run() error {
	for {
		_, err := request(r.fd, kvmRun, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("KVM_RUN: %w", err)
		}
		if reason := binary.LittleEndian.Uint32(r.state[8:]); reason != kvmExitIO {
			return fmt.Errorf("%w: KVM_RUN: expected an access to a port, found exit reason %d", stalls.ErrPayload, reason)
		}
		return nil
	}
}

func (r *runningVCPU) close() error {
	var errs []error
	for _, m := range [][]byte{r.state, r.memory} {
		if m != nil {
			errs = append(errs, unix.Munmap(m))
		}
	}
	return errors.Join(errs...)
}
