// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"unsafe"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// vcpuState is what a monitor saves of a vCPU and gives to another one, as far as KVM's
// work for it depends on other vCPUs: a changed local APIC has the map of all made again.
type vcpuState struct {
	regs    regs
	sregs   sregs
	lapic   [1024]byte // struct kvm_lapic_state
	mpState uint32
}

func saveVCPU(fd int) (s vcpuState, err error) {
	for _, part := range s.parts(kvmGetSregs, kvmGetLAPIC, kvmGetMPState, kvmGetRegs) {
		if err := part.with(fd, part.state); err != nil {
			return s, err
		}
	}
	return s, nil
}

// giveTo gives the state to a vCPU, in the order in which QEMU does.
func (s *vcpuState) giveTo(fd int) error {
	for _, part := range s.parts(kvmSetSregs, kvmSetLAPIC, kvmSetMPState, kvmSetRegs) {
		if _, err := part.quietly(fd, part.state); err != nil {
			return err
		}
	}
	return nil
}

type statePart struct {
	request
	state unsafe.Pointer
}

func (s *vcpuState) parts(sregs, lapic, mpState, regs request) [4]statePart {
	return [4]statePart{
		{sregs, unsafe.Pointer(&s.sregs)}, {lapic, unsafe.Pointer(&s.lapic)},
		{mpState, unsafe.Pointer(&s.mpState)}, {regs, unsafe.Pointer(&s.regs)},
	}
}

func (p *pathVM) save() (saved []vcpuState, err error) {
	saved = make([]vcpuState, len(p.vcpus))
	for i, fd := range p.vcpus {
		if saved[i], err = saveVCPU(fd); err != nil {
			return nil, fmt.Errorf("save vCPU %d: %w", i, err)
		}
	}
	return saved, nil
}

// restore creates a VM like one that was saved, gives each of its vCPUs the state of
// the one there, and returns how long that took from KVM_CREATE_VM on. The one that was
// saved is gone by then: both would be more files than a process may have.
func restore(shape measure.VM, saved []vcpuState) (nanos int64, err error) {
	vm, err := createPathVM(shape)
	if err != nil {
		return 0, err
	}
	for i, fd := range vm.vcpus {
		if err := saved[i].giveTo(fd); err != nil {
			return 0, errors.Join(fmt.Errorf("vCPU %d: %w", i, err), vm.close())
		}
	}
	nanos = monotonic() - vm.began
	return nanos, errors.Join(vm.checkRestored(saved), vm.close())
}

func (p *pathVM) checkRestored(saved []vcpuState) error {
	for i, fd := range p.vcpus {
		now, err := saveVCPU(fd)
		if err != nil {
			return fmt.Errorf("vCPU %d: %w", i, err)
		}
		if now != saved[i] {
			return fmt.Errorf("%w: vCPU %d does not have the state that it was given", wire.ErrPayload, i)
		}
	}
	return nil
}
