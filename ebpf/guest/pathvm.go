// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/wire"
)

// ioAPICPins is how many pins the I/O APIC of user space has; there is none.
const ioAPICPins = 24

// pathVM is a VM whose first vCPU has KVM look up the others.
type pathVM struct {
	*virtualMachine
	ids   []int
	start measure.Start
	// wanted are the interrupts that have to be pending, by vCPU.
	wanted []vectors
	// deaf is a vCPU that never runs, 0 if there is none: see measure.PathBreak.
	deaf int
}

// createPathVM creates a VM, and all its vCPUs after prepare.
func createPathVM(shape measure.VM, prepare func(*virtualMachine) error) (*pathVM, error) {
	ids := shape.IDs.Of(shape.VCPUs)
	vm, err := newPayloadVM(ids, func(vm *virtualMachine) error {
		return errors.Join(enable(vm.fd, kvmCapSplitIRQChip, ioAPICPins), prepare(vm))
	})
	if err != nil {
		return nil, err
	}
	return &pathVM{
		virtualMachine: vm, ids: ids, wanted: make([]vectors, shape.VCPUs),
		start: measure.Start{VM: shape, Created: vm.created - vm.began},
	}, nil
}

// newPathVM creates a VM and runs each of its vCPUs once, as far as to turn on
// its local APIC, but for the vCPU deaf if that is not 0.
func newPathVM(shape measure.VM, deaf int) (_ *pathVM, err error) {
	p, err := createPathVM(shape, func(*virtualMachine) error { return nil })
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	p.deaf = deaf
	if err := offerHyperV(p.vcpus[0]); err != nil {
		return nil, err
	}

	began := monotonic()
	for i, fd := range p.vcpus {
		if err := protectedMode(fd, payload.EntryStart); err != nil {
			return nil, fmt.Errorf("vCPU %d: %w", i, err)
		}
	}
	if err := p.runFrom(0); err != nil {
		return nil, err
	}
	p.start.Ran = p.start.Created + monotonic() - began
	return p, p.useHyperV()
}

func (p *pathVM) isDeaf(vcpu int) bool { return p.deaf != 0 && vcpu == p.deaf }

// runFrom runs each vCPU from first on as far as to its next exit from EntryStart.
func (p *pathVM) runFrom(first int) error {
	before, want := p.payload.Started(), 0
	for i := first; i < len(p.vcpus); i++ {
		if p.isDeaf(i) {
			continue
		}
		if err := runVCPU(p.vcpus[i]); err != nil {
			return fmt.Errorf("vCPU %d: %w", i, err)
		}
		want++
	}
	if n := p.payload.Started() - before; n != want {
		return fmt.Errorf("%w: expected %d vCPUs to start, found %d", wire.ErrPayload, want, n)
	}
	return nil
}

// spread returns the indices of the vCPUs that a run of so many operations is
// for, spread evenly over all.
func (p *pathVM) spread(ops int) []int {
	return measure.Sequential.Arrange(min(ops, len(p.vcpus)), len(p.vcpus))
}

// do has the first vCPU do so many operations, all of which have to succeed.
func (p *pathVM) do(entry uint64, count int, r payload.Registers, step uint32) error {
	p.payload.Prepare(count, r, step)
	if err := setEntry(p.vcpus[0], entry); err != nil {
		return err
	}
	if err := p.run(); err != nil {
		return err
	}
	if done := p.payload.Done(); done != count {
		return fmt.Errorf("%w: expected %d operations to succeed, found %d", wire.ErrPayload, count, done)
	}
	return nil
}

// hypercalls is a load of hypercalls. They read input.
func (p *pathVM) hypercalls(r payload.Registers, step uint32, input ...uint64) func(count int) error {
	return func(count int) error {
		for i, w := range input {
			binary.LittleEndian.PutUint64(p.payload.Input()[8*i:], w)
		}
		return p.do(payload.EntryHypercall, count, r, step)
	}
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

// Where struct kvm_lapic_state has the interrupts that were requested.
const (
	apicIRR    = 0x200
	apicStride = 0x10
)

// checkPending tells whether the interrupts of wanted are pending, and no others.
func (p *pathVM) checkPending() error {
	for i, want := range p.wanted {
		var state [1024]byte
		if _, err := kvmGetLAPIC.with(p.vcpus[i], unsafe.Pointer(&state)); err != nil {
			return fmt.Errorf("vCPU %d: %w", i, err)
		}
		var got vectors
		for word := range got {
			got[word] = binary.LittleEndian.Uint32(state[apicIRR+word*apicStride:])
		}
		if got != want {
			return fmt.Errorf("%w: vCPU %d: expected interrupts %x to be pending, found %x", wire.ErrPayload, i, want, got)
		}
	}
	return nil
}

// statsHeader is struct kvm_stats_header, statsDesc struct kvm_stats_desc
// without the name that follows it.
type (
	statsHeader struct{ Flags, NameSize, Count, ID, Descs, Data uint32 }
	statsDesc   struct {
		Flags          uint32
		Exponent       int16
		Size           uint16
		Offset, Bucket uint32
	}
)

// flushes returns how often each vCPU has flushed its TLB.
func (p *pathVM) flushes() ([]uint64, error) {
	var out []uint64
	at := int64(0)
	for i, vcpu := range p.vcpus {
		fd, err := kvmGetStatsFD.do(vcpu, 0)
		if err != nil {
			return nil, fmt.Errorf("vCPU %d: %w", i, err)
		}
		if i == 0 {
			head := make([]byte, 64<<10)
			var n int
			if n, err = unix.Pread(fd, head, 0); err == nil {
				at, err = statAt(head[:n], "tlb_flush")
			}
		}
		var value [8]byte
		if err == nil {
			_, err = unix.Pread(fd, value[:], at)
		}
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return nil, fmt.Errorf("statistics of vCPU %d: %w", i, err)
		}
		out = append(out, binary.LittleEndian.Uint64(value[:]))
	}
	return out, nil
}

// statAt returns the offset of a statistic in a file that begins with data.
func statAt(data []byte, name string) (int64, error) {
	var h statsHeader
	if _, err := binary.Decode(data, binary.LittleEndian, &h); err != nil {
		return 0, err
	}
	size := uint64(binary.Size(statsDesc{})) + uint64(h.NameSize)
	for i := range uint64(h.Count) {
		at := uint64(h.Descs) + i*size
		if at+size > uint64(len(data)) {
			break
		}
		var d statsDesc
		used, err := binary.Decode(data[at:at+size], binary.LittleEndian, &d)
		if err != nil {
			return 0, err
		}
		if found, _, _ := bytes.Cut(data[at+uint64(used):at+size], []byte{0}); string(found) == name {
			return int64(h.Data) + int64(d.Offset), nil
		}
	}
	return 0, fmt.Errorf("expected a statistic %s, found none", name)
}
