// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/paths"
)

// KVM's requests, from linux/kvm.h.
const (
	kvmResetDirtyRings = 0xaec7

	kvmCapDirtyLogRing = 192
	kvmMemLogDirty     = 1
)

// The dirty rings: bytes of each, with room for what Intel's processors log by
// themselves, and where in a vCPU's descriptor they are, in pages.
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

// ringVM is a VM with dirty rings, of which the first vCPU alone writes to
// memory that is watched.
type ringVM struct {
	*pathVM
	pages []byte
	ring  []byte
	next  uint32 // entry of the ring that KVM fills next
}

// newRingVM creates a VM like another one. Its vCPUs but the first do not run.
func newRingVM(shape measure.VM) (_ *ringVM, err error) {
	r := &ringVM{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.pages, err = unix.Mmap(-1, 0, 2*measure.MaxPathOps*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return nil, fmt.Errorf("memory of a slot: %w", err)
	}
	if r.pathVM, err = createPathVM(shape, func(vm *virtualMachine) error { return vm.enable(kvmCapDirtyLogRing, ringBytes) }); err != nil {
		return nil, err
	}
	if err := r.setSlot(extraSlot, kvmMemLogDirty, extraAddress, r.pages); err != nil {
		return nil, err
	}
	if r.ring, err = unix.Mmap(r.vcpus[0], ringOffset*int64(os.Getpagesize()), ringBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("the vCPU's dirty ring: %w", err)
	}
	return r, protectedMode(r.vcpus[0], paths.EntryStart)
}

// reset writes to one page after the other, and resets the rings after each.
func (r *ringVM) reset() load {
	return load{do: func(count int) error {
		r.payload.Prepare(count, paths.Registers{AX: extraAddress}, 0)
		if err := setEntry(r.vcpus[0], paths.EntryWrite); err != nil {
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
	}}
}

// collect takes what the ring has, one page, and has KVM watch it again.
func (r *ringVM) collect(page int) error {
	entries := unsafe.Slice((*dirtyGFN)(unsafe.Pointer(&r.ring[0])), ringBytes/int(unsafe.Sizeof(dirtyGFN{})))
	e := &entries[int(r.next)%len(entries)]
	if flags := atomic.LoadUint32(&e.flags); flags != entryDirty || e.slot != extraSlot || e.offset != uint64(page) {
		return fmt.Errorf("%w: expected it in the dirty ring, found flags %d, slot %d, offset %d", paths.ErrPayload, flags, e.slot, e.offset)
	}
	atomic.StoreUint32(&e.flags, entryReset)
	r.next++
	n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(r.fd), kvmResetDirtyRings, 0)
	if errno != 0 {
		return fmt.Errorf("KVM_RESET_DIRTY_RINGS: %w", errno)
	}
	if n != 1 {
		return fmt.Errorf("%w: KVM_RESET_DIRTY_RINGS: expected 1 page, found %d", paths.ErrPayload, n)
	}
	return nil
}

func (r *ringVM) close() error {
	var errs []error
	if r.ring != nil {
		errs = append(errs, unix.Munmap(r.ring))
	}
	if r.pathVM != nil {
		errs = append(errs, r.pathVM.close())
	}
	if r.pages != nil {
		errs = append(errs, unix.Munmap(r.pages))
	}
	return errors.Join(errs...)
}

// dirtyRing is a load on a VM of its own.
func dirtyRing(shape measure.VM) (load, error) {
	r, err := newRingVM(shape)
	if err != nil {
		return load{}, err
	}
	l := r.reset()
	l.close = r.close
	return l, nil
}
