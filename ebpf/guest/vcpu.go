// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/wire"
)

const kvmExitIO = 2

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

// protectedMode has a vCPU begin at an address, in 32-bit protected mode, and
// without another vCPU that starts it.
func protectedMode(fd int, address uint64) error {
	var s sregs
	if _, err := kvmGetSregs.with(fd, unsafe.Pointer(&s)); err != nil {
		return err
	}
	flat := segment{limit: 0xffffffff, selector: 0x10, kind: 3, present: 1, db: 1, s: 1, g: 1}
	s.ds, s.es, s.fs, s.gs, s.ss = flat, flat, flat, flat, flat
	s.cs = flat
	s.cs.selector, s.cs.kind = 0x8, 11
	s.cr0 |= 1
	if _, err := kvmSetSregs.with(fd, unsafe.Pointer(&s)); err != nil {
		return err
	}

	runnable := uint32(0)
	if _, err := kvmSetMPState.with(fd, unsafe.Pointer(&runnable)); err != nil {
		return err
	}
	return setEntry(fd, address)
}

// setEntry has a vCPU go on at an address.
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

// newPayloadVM creates a VM with these capabilities, with the payload in its memory and
// with these vCPUs.
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
