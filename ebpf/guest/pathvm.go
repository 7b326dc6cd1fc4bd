// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/paths"
)

// KVM's requests, from linux/kvm.h and x86's asm/kvm.h.
const (
	kvmEnableCap  = 0x4068aea3
	kvmSetMPState = 0x4004ae99
	kvmGetLAPIC   = 0x8400ae8e

	kvmCapSplitIRQChip = 121
)

// ioAPICPins is how many pins the I/O APIC of user space has, which is nobody.
const ioAPICPins = 24

// enableCap is struct kvm_enable_cap.
type enableCap struct {
	cap, flags uint32
	args       [4]uint64
	_          [64]uint8
}

func (v *virtualMachine) enable(what uint32, arg uint64) error {
	c := enableCap{cap: what, args: [4]uint64{arg}}
	if err := pointerRequest(v.fd, kvmEnableCap, unsafe.Pointer(&c)); err != nil {
		return fmt.Errorf("KVM_ENABLE_CAP %d: %w", what, err)
	}
	return nil
}

// pathVM is a VM whose first vCPU has KVM look up the others.
type pathVM struct {
	*virtualMachine
	shape   measure.VM
	ids     []int
	memory  []byte
	payload *paths.Payload
	state   []byte // struct kvm_run of the first vCPU
	start   measure.Start
	// wanted are the interrupts that have to be pending, by vCPU.
	wanted []vectors
	// deaf is a vCPU that never runs, 0 if there is none: see measure.PathBreak.
	deaf int
}

// createPathVM creates a VM, and all its vCPUs after prepare, if that is not nil.
func createPathVM(shape measure.VM, prepare func(*virtualMachine) error) (_ *pathVM, err error) {
	p := &pathVM{
		shape: shape, ids: shape.IDs.Of(shape.VCPUs), start: measure.Start{VM: shape}, wanted: make([]vectors, shape.VCPUs),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.memory, err = unix.Mmap(-1, 0, paths.MemorySize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return nil, fmt.Errorf("memory of the VM: %w", err)
	}
	if p.payload, err = paths.NewPayload(p.memory); err != nil {
		return nil, err
	}
	began := monotonic()
	if p.virtualMachine, err = newVM(); err != nil {
		return nil, err
	}
	if err := p.enable(kvmCapSplitIRQChip, ioAPICPins); err != nil {
		return nil, err
	}
	if prepare != nil {
		if err := prepare(p.virtualMachine); err != nil {
			return nil, err
		}
	}
	if err := p.setMemory(0, 0, p.memory); err != nil {
		return nil, err
	}
	for _, id := range p.ids {
		if err := p.createVCPU(id); err != nil {
			return nil, err
		}
	}
	p.start.Created = monotonic() - began
	return p, p.mapState()
}

// newPathVM creates a VM and runs each of its vCPUs once, as far as to turn on
// its local APIC. The vCPU deaf is left out of that, if it is not 0.
func newPathVM(shape measure.VM, deaf int) (_ *pathVM, err error) {
	p, err := createPathVM(shape, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := offerHyperV(p.vcpus[0]); err != nil {
		return nil, err
	}
	p.deaf = deaf
	began, ran := monotonic(), 0
	for i, fd := range p.vcpus {
		if err := protectedMode(fd, paths.EntryStart); err != nil {
			return nil, fmt.Errorf("vCPU %d: %w", i, err)
		}
		if p.isDeaf(i) {
			continue
		}
		if err := runVCPU(fd); err != nil {
			return nil, fmt.Errorf("vCPU %d: %w", i, err)
		}
		ran++
	}
	p.start.Ran = p.start.Created + monotonic() - began
	if n := p.payload.Started(); n != ran {
		return nil, fmt.Errorf("%w: expected %d vCPUs to start, found %d", paths.ErrPayload, ran, n)
	}
	return p, p.useHyperV()
}

func (p *pathVM) isDeaf(vcpu int) bool { return p.deaf != 0 && vcpu == p.deaf }

// wake runs each vCPU but the first as far as to its next exit.
func (p *pathVM) wake() error {
	before, ran := p.payload.Started(), 0
	for i, fd := range p.vcpus {
		if i == 0 || p.isDeaf(i) {
			continue
		}
		if err := runVCPU(fd); err != nil {
			return fmt.Errorf("vCPU %d: %w", i, err)
		}
		ran++
	}
	if n := p.payload.Started() - before; n != ran {
		return fmt.Errorf("%w: expected %d vCPUs to wake up, found %d", paths.ErrPayload, ran, n)
	}
	return nil
}

// spread returns the indices of the vCPUs that a run of so many operations is
// for, spread evenly over all.
func (p *pathVM) spread(ops int) []int {
	return measure.Sequential.Arrange(min(ops, len(p.vcpus)), len(p.vcpus))
}

// mapState gets hold of why the first vCPU exits.
func (p *pathVM) mapState() error {
	kvm, err := os.Open("/dev/kvm")
	if err != nil {
		return err
	}
	defer kvm.Close()
	size, err := request(int(kvm.Fd()), kvmGetVCPUMmapSize, 0)
	if err != nil {
		return fmt.Errorf("KVM_GET_VCPU_MMAP_SIZE: %w", err)
	}
	if p.state, err = unix.Mmap(p.vcpus[0], 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("state of the vCPU: %w", err)
	}
	return nil
}

// protectedMode has a vCPU begin at an address, in 32-bit protected mode, and
// without waiting for another one to start it.
func protectedMode(fd int, address uint64) error {
	var s sregs
	if err := pointerRequest(fd, kvmGetSregs, unsafe.Pointer(&s)); err != nil {
		return fmt.Errorf("KVM_GET_SREGS: %w", err)
	}
	flat := segment{limit: 0xffffffff, selector: 0x10, kind: 3, present: 1, db: 1, s: 1, g: 1}
	s.ds, s.es, s.fs, s.gs, s.ss = flat, flat, flat, flat, flat
	s.cs = flat
	s.cs.selector, s.cs.kind = 0x8, 11
	s.cr0 |= 1
	if err := pointerRequest(fd, kvmSetSregs, unsafe.Pointer(&s)); err != nil {
		return fmt.Errorf("KVM_SET_SREGS: %w", err)
	}
	runnable := uint32(0)
	if err := pointerRequest(fd, kvmSetMPState, unsafe.Pointer(&runnable)); err != nil {
		return fmt.Errorf("KVM_SET_MP_STATE: %w", err)
	}
	return setEntry(fd, address)
}

// setEntry has a vCPU go on at an address.
func setEntry(fd int, address uint64) error {
	g := regs{sp: paths.StackAddress, ip: address, flags: 2}
	if err := rawRequest(fd, kvmSetRegs, unsafe.Pointer(&g)); err != nil {
		return fmt.Errorf("KVM_SET_REGS: %w", err)
	}
	return nil
}

// runVCPU runs a vCPU until it exits to user space. Go's runtime is not told: it
// would wake up a thread every 20 microseconds to see whether that takes long.
func runVCPU(fd int) error {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), kvmRun, 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return fmt.Errorf("KVM_RUN: %w", errno)
		}
	}
}

// do has the first vCPU do so many operations, all of which have to go well.
func (p *pathVM) do(entry uint64, count int, r paths.Registers, step uint32) error {
	p.payload.Prepare(count, r, step)
	if err := setEntry(p.vcpus[0], entry); err != nil {
		return err
	}
	if err := p.run(); err != nil {
		return err
	}
	if done := p.payload.Done(); done != count {
		return fmt.Errorf("%w: expected %d operations to go well, found %d", paths.ErrPayload, count, done)
	}
	return nil
}

// run runs the first vCPU until the payload says that it is done.
func (p *pathVM) run() error {
	if err := runVCPU(p.vcpus[0]); err != nil {
		return err
	}
	if reason := binary.LittleEndian.Uint32(p.state[8:]); reason != kvmExitIO {
		return fmt.Errorf("%w: KVM_RUN: expected an access to a port, found exit reason %d", paths.ErrPayload, reason)
	}
	return nil
}

// vectors are interrupts, a bit each.
type vectors [8]uint32

// vectorsOf returns count vectors from first on.
func vectorsOf(first, count int) (v vectors) {
	v.add(first, count)
	return v
}

func (v *vectors) add(first, count int) {
	for n := first; n < first+count; n++ {
		v[n/32] |= 1 << (n % 32)
	}
}

// Where the local APIC's state has the interrupts that it was asked for.
const (
	apicIRR    = 0x200
	apicStride = 0x10
)

// pending returns which interrupts wait for a vCPU, by index.
func (p *pathVM) pending(vcpu int) (v vectors, err error) {
	var state [1024]byte
	if err := pointerRequest(p.vcpus[vcpu], kvmGetLAPIC, unsafe.Pointer(&state)); err != nil {
		return v, fmt.Errorf("KVM_GET_LAPIC of vCPU %d: %w", vcpu, err)
	}
	for i := range v {
		v[i] = binary.LittleEndian.Uint32(state[apicIRR+i*apicStride:])
	}
	return v, nil
}

// checkPending looks whether the interrupts wait for each vCPU that ought to, and
// no other.
func (p *pathVM) checkPending() error {
	for i, want := range p.wanted {
		got, err := p.pending(i)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%w: vCPU %d: expected interrupts %x to be pending, found %x", paths.ErrPayload, i, want, got)
		}
	}
	return nil
}

// close destroys the VM.
func (p *pathVM) close() error {
	var errs []error
	if p.virtualMachine != nil {
		errs = append(errs, p.virtualMachine.close())
	}
	for _, m := range [][]byte{p.state, p.memory} {
		if m != nil {
			errs = append(errs, unix.Munmap(m))
		}
	}
	return errors.Join(errs...)
}
