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

	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/wire"
)

type request struct {
	number uintptr
	name   string
}

// The requests, from linux/kvm.h and x86's asm/kvm.h.
var (
	kvmCreateVM            = request{0xae01, "KVM_CREATE_VM"}
	kvmGetVCPUMmapSize     = request{0xae04, "KVM_GET_VCPU_MMAP_SIZE"}
	kvmCreateIRQChip       = request{0xae60, "KVM_CREATE_IRQCHIP"}
	kvmCreatePIT2          = request{0x4040ae77, "KVM_CREATE_PIT2"}
	kvmIOEventFD           = request{0x4040ae79, "KVM_IOEVENTFD"}
	kvmCreateVCPU          = request{0xae41, "KVM_CREATE_VCPU"}
	kvmSetUserMemoryRegion = request{0x4020ae46, "KVM_SET_USER_MEMORY_REGION"}
	kvmIRQLineStatus       = request{0xc008ae67, "KVM_IRQ_LINE_STATUS"}
	kvmSetGSIRouting       = request{0x4008ae6a, "KVM_SET_GSI_ROUTING"}
	kvmXenHVMConfig        = request{0x4038ae7a, "KVM_XEN_HVM_CONFIG"}
	kvmRun                 = request{0xae80, "KVM_RUN"}
	kvmGetRegs             = request{0x8090ae81, "KVM_GET_REGS"}
	kvmSetRegs             = request{0x4090ae82, "KVM_SET_REGS"}
	kvmGetSregs            = request{0x8138ae83, "KVM_GET_SREGS"}
	kvmSetSregs            = request{0x4138ae84, "KVM_SET_SREGS"}
	kvmSetMSRs             = request{0x4008ae89, "KVM_SET_MSRS"}
	kvmGetLAPIC            = request{0x8400ae8e, "KVM_GET_LAPIC"}
	kvmSetLAPIC            = request{0x4400ae8f, "KVM_SET_LAPIC"}
	kvmSetCPUID2           = request{0x4008ae90, "KVM_SET_CPUID2"}
	kvmGetMPState          = request{0x8004ae98, "KVM_GET_MP_STATE"}
	kvmSetMPState          = request{0x4004ae99, "KVM_SET_MP_STATE"}
	kvmEnableCap           = request{0x4068aea3, "KVM_ENABLE_CAP"}
	kvmGetTSCKHz           = request{0xaea3, "KVM_GET_TSC_KHZ"}
	kvmResetDirtyRings     = request{0xaec7, "KVM_RESET_DIRTY_RINGS"}
	kvmXenHVMSetAttr       = request{0x4048aec9, "KVM_XEN_HVM_SET_ATTR"}
	kvmXenVCPUSetAttr      = request{0x4048aecb, "KVM_XEN_VCPU_SET_ATTR"}
	kvmGetStatsFD          = request{0xaece, "KVM_GET_STATS_FD"}
	kvmXenEvtchnSend       = request{0x400caed0, "KVM_XEN_HVM_EVTCHN_SEND"}
)

// Capabilities.
const (
	kvmCapSplitIRQChip = 121
	kvmCapHyperVSynIC2 = 148
	kvmCapDirtyLogRing = 192
)

// do performs the request with a number. Its result is that of ioctl(2).
func (r request) do(fd, arg int) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), r.number, uintptr(arg))
	return r.result(n, errno)
}

// with performs the request with a pointer.
func (r request) with(fd int, arg unsafe.Pointer) error {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), r.number, uintptr(arg))
	_, err := r.result(n, errno)
	return err
}

// quietly is for a pointer, too, but does not tell Go's runtime, which would wake up a
// thread every 20 microseconds to see whether the request takes long.
func (r request) quietly(fd int, arg unsafe.Pointer) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), r.number, uintptr(arg))
	return r.result(n, errno)
}

func (r request) result(n uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return -1, fmt.Errorf("%s: %w", r.name, errno)
	}
	return int(n), nil
}

// virtualMachine is a VM of KVM with nothing but vCPUs, or with a payload.
type virtualMachine struct {
	fd    int
	vcpus []int
	size  int // of struct kvm_run, in bytes

	// began and created are when the creation of the VM began and when the last
	// vCPU was created, in nanoseconds.
	began, created int64

	payload *payload.Payload
	state   []byte   // struct kvm_run of the first vCPU
	mapped  [][]byte // to be unmapped with the VM
}

func newVM() (*virtualMachine, error) {
	began := monotonic()
	kvm, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/kvm: %w", err)
	}
	defer unix.Close(kvm)

	size, err := kvmGetVCPUMmapSize.do(kvm, 0)
	if err != nil {
		return nil, err
	}
	fd, err := kvmCreateVM.do(kvm, 0)
	if err != nil {
		return nil, err
	}
	return &virtualMachine{fd: fd, size: size, began: began}, nil
}

func (v *virtualMachine) createVCPU(id int) error {
	fd, err := kvmCreateVCPU.do(v.fd, id)
	if err != nil {
		return fmt.Errorf("ID %d, after %d vCPUs: %w", id, len(v.vcpus), err)
	}
	v.vcpus = append(v.vcpus, fd)
	return nil
}

// close closes the VM's descriptors, which destroys it if there are no others.
func (v *virtualMachine) close() error {
	var errs []error
	for _, fd := range append(v.vcpus, v.fd) {
		errs = append(errs, unix.Close(fd))
	}
	for _, m := range v.mapped {
		errs = append(errs, unix.Munmap(m))
	}
	return errors.Join(errs...)
}

// mapVCPU maps a part of the state of the first vCPU: size bytes from a page on.
func (v *virtualMachine) mapVCPU(page, size int) ([]byte, error) {
	m, err := unix.Mmap(v.vcpus[0], int64(page*os.Getpagesize()), size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("state of the vCPU, from page %d on: %w", page, err)
	}
	v.mapped = append(v.mapped, m)
	return m, nil
}

// memoryRegion is struct kvm_userspace_memory_region.
type memoryRegion struct {
	slot, flags              uint32
	guest, size, userAddress uint64
}

// setMemory puts memory of this process at an address of the VM; none deletes the slot.
func (v *virtualMachine) setMemory(slot int, flags uint32, address uint64, memory []byte) error {
	r := memoryRegion{slot: uint32(slot), flags: flags, guest: address, size: uint64(len(memory))}
	if len(memory) > 0 {
		r.userAddress = uint64(uintptr(unsafe.Pointer(&memory[0])))
	}
	if err := kvmSetUserMemoryRegion.with(v.fd, unsafe.Pointer(&r)); err != nil {
		return fmt.Errorf("slot %d: %w", slot, err)
	}
	return nil
}

// enableCap is struct kvm_enable_cap.
type enableCap struct {
	cap, flags uint32
	args       [4]uint64
	_          [64]uint8
}

func (c enableCap) enable(fd int) error {
	if err := kvmEnableCap.with(fd, unsafe.Pointer(&c)); err != nil {
		return fmt.Errorf("capability %d: %w", c.cap, err)
	}
	return nil
}

// sharedMemory returns memory for a VM, all of it present.
func sharedMemory(size int) ([]byte, error) {
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of memory for a VM: %w", size, err)
	}
	return m, nil
}

const kvmExitIO = 2

// segment and sregs are struct kvm_segment and kvm_sregs of x86.
type segment struct {
	base                                              uint64
	limit                                             uint32
	selector                                          uint16
	kind, present, dpl, db, s, l, g, avl, unusable, _ uint8
}

type sregs struct {
	cs, ds, es, fs, gs, ss, tr, ldt       segment
	gdt, idt                              [2]uint64 // struct kvm_dtable
	cr0, cr2, cr3, cr4, cr8, efer, apicID uint64
	interrupts                            [4]uint64
}

// regs is struct kvm_regs of x86.
type regs struct {
	ax, bx, cx, dx, si, di, sp, bp uint64
	other                          [8]uint64
	ip, flags                      uint64
}

// protectedMode has a vCPU begin at an address, in 32-bit protected mode, and
// without another vCPU that starts it.
func protectedMode(fd int, address uint64) error {
	var s sregs
	if err := kvmGetSregs.with(fd, unsafe.Pointer(&s)); err != nil {
		return err
	}
	flat := segment{limit: 0xffffffff, selector: 0x10, kind: 3, present: 1, db: 1, s: 1, g: 1}
	s.ds, s.es, s.fs, s.gs, s.ss = flat, flat, flat, flat, flat
	s.cs = flat
	s.cs.selector, s.cs.kind = 0x8, 11
	s.cr0 |= 1
	if err := kvmSetSregs.with(fd, unsafe.Pointer(&s)); err != nil {
		return err
	}
	runnable := uint32(0)
	if err := kvmSetMPState.with(fd, unsafe.Pointer(&runnable)); err != nil {
		return err
	}
	return setEntry(fd, address)
}

func setEntry(fd int, address uint64) error {
	g := regs{sp: payload.StackAddress, ip: address, flags: 2}
	_, err := kvmSetRegs.quietly(fd, unsafe.Pointer(&g))
	return err
}

// runVCPU runs a vCPU until it exits to user space, without telling Go's runtime.
func runVCPU(fd int) error {
	for {
		if _, err := kvmRun.quietly(fd, nil); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// newPayloadVM creates a VM with capabilities and vCPUs, and the payload in its memory.
func newPayloadVM(ids []int, capabilities ...enableCap) (*virtualMachine, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the payload is for x86, not for %s", runtime.GOARCH)
	}
	memory, err := sharedMemory(payload.MemorySize)
	if err != nil {
		return nil, err
	}
	code, err := payload.New(memory)
	if err != nil {
		return nil, err
	}

	v, err := newVM()
	if err != nil {
		return nil, err
	}
	v.payload, v.mapped = code, [][]byte{memory}
	for _, c := range capabilities {
		if err := c.enable(v.fd); err != nil {
			return nil, err
		}
	}
	if err := v.setMemory(0, 0, 0, memory); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := v.createVCPU(id); err != nil {
			return nil, err
		}
	}
	v.created = monotonic()
	v.state, err = v.mapVCPU(0, v.size)
	return v, err
}

// run runs the first vCPU until the payload ends the run.
func (v *virtualMachine) run() error { return v.ended(runVCPU(v.vcpus[0])) }

// runLong is run for a vCPU that runs for long, beside other threads of Go's.
func (v *virtualMachine) runLong() error {
	for {
		if _, err := kvmRun.do(v.vcpus[0], 0); !errors.Is(err, unix.EINTR) {
			return v.ended(err)
		}
	}
}

// ended tells whether the payload ended a run that returned err.
func (v *virtualMachine) ended(err error) error {
	if err != nil {
		return err
	}
	if reason := binary.LittleEndian.Uint32(v.state[8:]); reason != kvmExitIO {
		return fmt.Errorf("%w: KVM_RUN: expected an access to a port, found exit reason %d", wire.ErrPayload, reason)
	}
	return nil
}
