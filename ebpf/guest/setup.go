// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/probe"
)

// ioEventFD is struct kvm_ioeventfd.
type ioEventFD struct {
	match, address uint64
	size           uint32
	fd             int32
	flags          uint32
	_              [36]uint8
}

// pitConfig is struct kvm_pit_config.
type pitConfig struct{ flags, _ [8]uint32 }

// setUp makes the first calls of a VM with so many ioeventfds, see addDevices, or no device.
func (m *stallMeter) setUp(devices int) (s *measure.Setup, err error) {
	vm, err := newVM()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, vm.close()) }()
	if devices > 0 {
		if err := vm.addDevices(devices); err != nil {
			return nil, err
		}
	}

	tid := unix.Gettid()
	if err := m.probe.Watch(tid); err != nil {
		return nil, err
	}
	if err := vm.setMemory(0, 0, 0, m.page); err != nil {
		return nil, err
	}
	if err := vm.createVCPU(0); err != nil {
		return nil, err
	}
	if _, _, err := m.probe.Forget(tid); err != nil {
		return nil, err
	}

	s = &measure.Setup{Devices: devices}
	if s.Slot, err = m.nextCall(probe.SpanMemslot); err != nil {
		return nil, fmt.Errorf("first memory slot: %w", err)
	}
	if s.VCPU, err = m.nextCall(probe.SpanCreate); err != nil {
		return nil, fmt.Errorf("first vCPU: %w", err)
	}
	return s, nil
}

// addDevices adds an irqchip, a PIT and ioeventfds, in that order, as monitors do.
func (v *virtualMachine) addDevices(ioeventfds int) error {
	const deviceAddress = 3 << 30 // of the first ioeventfd, the others a page apart: above any slot
	if _, err := kvmCreateIRQChip.do(v.fd, 0); err != nil {
		return err
	}
	var pit pitConfig
	if err := kvmCreatePIT2.with(v.fd, unsafe.Pointer(&pit)); err != nil {
		return err
	}
	for i := range ioeventfds {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		device := ioEventFD{address: uint64(deviceAddress + i<<12), size: 4, fd: int32(fd)}
		err = kvmIOEventFD.with(v.fd, unsafe.Pointer(&device))
		// KVM has a reference of its own.
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return fmt.Errorf("ioeventfd %d: %w", i, err)
		}
	}
	return nil
}
