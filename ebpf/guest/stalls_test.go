// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"math/bits"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// kvmPatience is how long the payload may take on this machine's own KVM, which
// may be one that does not run everything.
const kvmPatience = 20 * time.Second

// TestPayloadRuns runs the payload on the KVM of this machine, where it has one:
// it sorts right at every seam, and counts its gaps in the phase that it is told.
func TestPayloadRuns(t *testing.T) {
	ended := make(chan error, 1)
	var got [3]measure.GuestGaps
	go func() {
		runtime.LockOSThread()
		var err error
		got, err = runPayload()
		ended <- err
	}()
	select {
	case <-time.After(kvmPatience):
		t.Skip("NOT RUN: the KVM of this machine does not come to an end")
	case err := <-ended:
		if errors.Is(err, wire.ErrPayload) {
			t.Fatal(err)
		}
		if err != nil {
			t.Skipf("NOT RUN: no KVM on this machine that can: %v", err)
		}
	}
	for phase, r := range got {
		if (r.Count == 0) != (phase == 1) {
			t.Errorf("phase %d: found %d gaps", phase, r.Count)
		}
		sum, largest := uint64(0), 0
		for _, b := range r.Buckets {
			sum, largest = sum+b.Count, b.Bucket
		}
		if sum != r.Count || r.Count > 0 && bits.Len32(r.Largest|1)-1 != largest {
			t.Errorf("phase %d: expected %d gaps in buckets, the last one that of %d, found %d and bucket %d", phase, r.Count, r.Largest, sum, largest)
		}
	}
}

// runPayload runs it in phase 0 and then in phase 2.
func runPayload() (got [3]measure.GuestGaps, err error) {
	vm, err := newSpinningVM()
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, vm.close()) }()
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		ended <- vm.runLong()
	}()
	for _, phase := range []int{0, 2} {
		vm.payload.SetPhase(phase)
		if err := settle(vm, phase); err != nil {
			vm.payload.Stop()
			return got, errors.Join(err, <-ended)
		}
	}
	vm.payload.Stop()
	err = <-ended
	for phase := range got {
		got[phase] = vm.payload.Gaps(phase)
	}
	return got, err
}

// TestKVMStructures compares sizes with those that the requests' numbers carry.
func TestKVMStructures(t *testing.T) {
	for name, tt := range map[string]struct {
		request request
		size    uintptr
	}{
		"kvm_userspace_memory_region": {kvmSetUserMemoryRegion, unsafe.Sizeof(memoryRegion{})},
		"kvm_regs":                    {kvmSetRegs, unsafe.Sizeof(regs{})},
		"kvm_sregs, get":              {kvmGetSregs, unsafe.Sizeof(sregs{})},
		"kvm_sregs, set":              {kvmSetSregs, unsafe.Sizeof(sregs{})},
	} {
		if want := uintptr(tt.request.number >> 16 & 0x3fff); tt.size != want {
			t.Errorf("%s: expected %d bytes, found %d", name, want, tt.size)
		}
	}
}
