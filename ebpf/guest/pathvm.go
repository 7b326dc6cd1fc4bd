// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/wire"
)

// pathVM is a VM whose first vCPU has KVM look up the others.
type pathVM struct {
	*virtualMachine
	ids    []int
	start  measure.Start
	wanted []vectors // the interrupts that have to be pending, by vCPU
	// deaf is one that never runs but should, 0 is none: see measure.Break.
	deaf int
}

// createPathVM creates a VM with these capabilities besides its own, and all its vCPUs.
func createPathVM(shape measure.VM, capabilities ...enableCap) (*pathVM, error) {
	ids := shape.IDs.Of(shape.VCPUs)
	const ioAPICPins = 24 // of the I/O APIC of user space; there is none
	splitIRQChip := enableCap{cap: kvmCapSplitIRQChip, args: [4]uint64{ioAPICPins}}
	vm, err := newPayloadVM(ids, append([]enableCap{splitIRQChip}, capabilities...)...)
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
func newPathVM(shape measure.VM, deaf int) (*pathVM, error) {
	p, err := createPathVM(shape)
	if err != nil {
		return nil, err
	}
	p.deaf = deaf
	if err := offerHyperV(p.vcpus[0]); err != nil {
		return nil, err
	}

	began := monotonic()
	for i, fd := range p.vcpus[:shape.Runs()] {
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

// runs tells whether a vCPU ever runs.
func (p *pathVM) runs(vcpu int) bool {
	return vcpu < p.start.VM.Runs() && (p.deaf == 0 || vcpu != p.deaf)
}

// runFrom runs each vCPU from first on as far as to its next exit from EntryStart.
func (p *pathVM) runFrom(first int) error {
	before, want := p.payload.Started(), 0
	for i := first; i < len(p.vcpus); i++ {
		if !p.runs(i) {
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

// spread returns the indices of the vCPUs that so many operations are for.
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

func vectorsOf(first, count int) (v vectors) {
	v.add(first, count)
	return v
}

func (v *vectors) add(first, count int) {
	for n := first; n < first+count; n++ {
		v[n/32] |= 1 << (n % 32)
	}
}

// checkPending tells whether the interrupts of wanted are pending, and no others.
func (p *pathVM) checkPending() error {
	const apicIRR, apicStride = 0x200, 0x10 // those that were requested, in struct kvm_lapic_state
	for i, want := range p.wanted {
		var state [1024]byte
		if err := kvmGetLAPIC.with(p.vcpus[i], unsafe.Pointer(&state)); err != nil {
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

func (p *pathVM) flushes() ([]uint64, error) {
	var out []uint64
	data := make([]byte, 64<<10)
	for i, vcpu := range p.vcpus {
		fd, err := kvmGetStatsFD.do(vcpu, 0)
		if err != nil {
			return nil, fmt.Errorf("vCPU %d: %w", i, err)
		}
		n, err := unix.Pread(fd, data, 0)
		var value uint64
		if err == nil {
			value, err = statistic(data[:n], "tlb_flush")
		}
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return nil, fmt.Errorf("statistics of vCPU %d: %w", i, err)
		}
		out = append(out, value)
	}
	return out, nil
}

// statistic returns the first value of a statistic: data begins with a struct
// kvm_stats_header, whose last member is where the values are. The name is what
// follows a struct kvm_stats_desc, whose last members are where the value is among
// them, and 0 for a value that is no histogram.
func statistic(data []byte, name string) (uint64, error) {
	i := bytes.Index(data, []byte("\x00\x00\x00\x00"+name+"\x00"))
	if i >= statsHeaderSize {
		at := uint64(binary.LittleEndian.Uint32(data[statsHeaderSize-4:])) + uint64(binary.LittleEndian.Uint32(data[i-4:]))
		if at+8 <= uint64(len(data)) {
			return binary.LittleEndian.Uint64(data[at:]), nil
		}
	}
	return 0, fmt.Errorf("expected a statistic %s, found none", name)
}

const statsHeaderSize = 24 // of struct kvm_stats_header, in bytes

// The dirty rings.
const (
	kvmMemLogDirty = 1
	ringBytes      = 16 << 10 // of each, with room for what Intel's processors log by themselves
	ringOffset     = 64       // in a vCPU's descriptor, in pages
	entryDirty     = 1        // flags of an entry
	entryReset     = 2
)

// dirtyGFN is struct kvm_dirty_gfn.
type dirtyGFN struct {
	flags, slot uint32
	offset      uint64
}

// ringVM is a VM with dirty rings. Its first vCPU alone runs, and writes.
type ringVM struct {
	*pathVM
	ring []byte
	next uint32 // entry of the ring that KVM fills next
}

// dirtyRing writes to pages in turn, and resets the rings after each, in a VM like p.
func dirtyRing(p *pathVM, _ int) (load, error) {
	pages, err := sharedMemory(2 * measure.MaxPathOps * os.Getpagesize())
	if err != nil {
		return load{}, err
	}
	vm, err := createPathVM(p.start.VM, enableCap{cap: kvmCapDirtyLogRing, args: [4]uint64{ringBytes}})
	if err != nil {
		return load{}, err
	}
	r := &ringVM{pathVM: vm}
	r.mapped = append(r.mapped, pages)
	if err := r.setMemory(extraSlot, kvmMemLogDirty, extraAddress, pages); err != nil {
		return load{}, err
	}
	if r.ring, err = r.mapVCPU(ringOffset, ringBytes); err != nil {
		return load{}, err
	}
	end := func(int) error { return r.close() }
	return load{do: r.write, end: end}, protectedMode(r.vcpus[0], payload.EntryStart)
}

func (r *ringVM) write(count int) error {
	r.payload.Prepare(count, payload.Registers{AX: extraAddress}, 0)
	if err := setEntry(r.vcpus[0], payload.EntryWrite); err != nil {
		return err
	}
	for page := range count {
		if err := r.run(); err != nil {
			return err
		}
		if err := r.collect(page); err != nil {
			return fmt.Errorf("page %d: %w", page, err)
		}
	}
	return nil
}

// collect takes what the ring has, one page, and has KVM watch it again.
func (r *ringVM) collect(page int) error {
	entries := unsafe.Slice((*dirtyGFN)(unsafe.Pointer(&r.ring[0])), ringBytes/int(unsafe.Sizeof(dirtyGFN{})))
	e := &entries[int(r.next)%len(entries)]
	if flags := atomic.LoadUint32(&e.flags); flags != entryDirty || e.slot != extraSlot || e.offset != uint64(page) {
		return fmt.Errorf("%w: expected it in the dirty ring, found flags %d, slot %d, offset %d", wire.ErrPayload, flags, e.slot, e.offset)
	}
	atomic.StoreUint32(&e.flags, entryReset)
	r.next++

	n, err := kvmResetDirtyRings.quietly(r.fd, nil)
	if err == nil && n != 1 {
		err = fmt.Errorf("%w: KVM_RESET_DIRTY_RINGS: expected 1 page, found %d", wire.ErrPayload, n)
	}
	return err
}
