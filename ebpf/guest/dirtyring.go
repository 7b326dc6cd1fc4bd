// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/wire"
)

const kvmMemLogDirty = 1

// The dirty rings: the size of each in bytes, with room for what Intel's
// processors log by themselves, and their place in a vCPU's descriptor, in pages.
const (
	ringBytes  = 16 << 10
	ringOffset = 64
)

// Flags of an entry.
const (
	entryDirty = 1
	entryReset = 2
)

// dirtyGFN is struct kvm_dirty_gfn.
type dirtyGFN struct {
	flags, slot uint32
	offset      uint64
}

// ringVM is a VM with dirty rings. Its first vCPU alone runs, and writes to memory
// that is watched.
type ringVM struct {
	*pathVM
	ring []byte
	next uint32 // entry of the ring that KVM fills next
}

// dirtyRing writes to one page after the other, and resets the rings after each,
// in a VM of its own like p.
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
	return load{do: r.write, close: r.close}, protectedMode(r.vcpus[0], payload.EntryStart)
}

// write writes to so many pages and resets the rings after each.
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
