// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/wire"
)

// TestPathStructures compares sizes with those that the requests' numbers carry.
func TestPathStructures(t *testing.T) {
	for name, tt := range map[string]struct {
		request request
		size    uintptr
	}{
		"kvm_enable_cap":            {kvmEnableCap, unsafe.Sizeof(enableCap{})},
		"kvm_xen_hvm_attr":          {kvmXenHVMSetAttr, unsafe.Sizeof(xenAttr{})},
		"kvm_xen_vcpu_attr":         {kvmXenVCPUSetAttr, unsafe.Sizeof(xenAttr{})},
		"kvm_ioeventfd":             {kvmIOEventFD, unsafe.Sizeof(ioEventFD{})},
		"kvm_pit_config":            {kvmCreatePIT2, unsafe.Sizeof(pitConfig{})},
		"kvm_regs":                  {kvmGetRegs, unsafe.Sizeof(regs{})},
		"kvm_mp_state":              {kvmSetMPState, 4},
		"kvm_lapic_state":           {kvmGetLAPIC, 1024},
		"kvm_msrs":                  {kvmSetMSRs, 8},
		"kvm_cpuid2":                {kvmSetCPUID2, 8},
		"kvm_irq_routing":           {kvmSetGSIRouting, 8},
		"kvm_irq_level":             {kvmIRQLineStatus, 8},
		"kvm_irq_routing_xen_event": {kvmXenEvtchnSend, 12},
	} {
		if want := uintptr(tt.request.number >> 16 & 0x3fff); tt.size != want {
			t.Errorf("%s: expected %d bytes, found %d", name, want, tt.size)
		}
	}
	if got := unsafe.Sizeof(dirtyGFN{}); got != 16 {
		t.Errorf("kvm_dirty_gfn: expected 16 bytes, found %d", got)
	}
}

// TestVectors: the interrupts of two paths do not meet, and none is an
// exception.
func TestVectors(t *testing.T) {
	var all vectors
	for _, v := range []struct{ first, count int }{
		{broadcastVector, 2 * measure.MaxPathOps}, {hyperVVector, 2 * measure.MaxPathOps}, {synICVector, 1},
	} {
		if v.first < 32 {
			t.Errorf("vector %#x is an exception", v.first)
		}
		for i, bits := range vectorsOf(v.first, v.count) {
			if all[i]&bits != 0 {
				t.Errorf("vectors from %#x on: used twice", v.first)
			}
			all[i] |= bits
		}
	}
	if got, want := vectorsOf(62, 4), (vectors{1: 3 << 30, 2: 3}); got != want {
		t.Errorf("expected %x, found %x", want, got)
	}
}

// TestEvents looks for events of Xen's in the page that it shares.
func TestEvents(t *testing.T) {
	memory := make([]byte, payload.MemorySize)
	code, err := payload.New(memory)
	if err != nil {
		t.Fatal(err)
	}
	p := &pathVM{virtualMachine: &virtualMachine{payload: code}}
	pending := code.Shared()[xenPending:]
	binary.LittleEndian.PutUint32(pending, 0xfffffffe) // ports 1 to 31
	binary.LittleEndian.PutUint32(pending[4:], 1)      // port 32
	if err := p.checkEvents(32); err != nil {
		t.Error(err)
	}
	for name, count := range map[string]int{"one missing": 33, "one more": 31} {
		if err := p.checkEvents(count); !errors.Is(err, wire.ErrPayload) {
			t.Errorf("%s: expected an ErrPayload, found %v", name, err)
		}
	}
	p.clearEvents()
	if err := p.checkEvents(0); err != nil || slices.Max(code.Shared()) != 0 {
		t.Errorf("expected no event, found %v", err)
	}
}

// TestCollect takes pages from a dirty ring that does not have them.
func TestCollect(t *testing.T) {
	for name, e := range map[string]dirtyGFN{
		"nothing":      {},
		"another page": {flags: entryDirty, slot: extraSlot, offset: 6},
		"another slot": {flags: entryDirty, slot: 0, offset: 5},
		"taken before": {flags: entryDirty | entryReset, slot: extraSlot, offset: 5},
	} {
		r := &ringVM{ring: make([]byte, ringBytes), next: ringBytes/16 + 2} // once around
		*(*dirtyGFN)(unsafe.Pointer(&r.ring[2*16])) = e
		if err := r.collect(5); !errors.Is(err, wire.ErrPayload) || !strings.Contains(err.Error(), "expected it in the dirty ring") {
			t.Errorf("%s: expected an ErrPayload, found %v", name, err)
		}
	}
}

// TestStatistic finds a statistic by its name.
func TestStatistic(t *testing.T) {
	var b bytes.Buffer
	write := func(values ...any) {
		for _, v := range values {
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	const values = 6*4 + 3*(16+24)
	write([6]uint32{0, 24, 3, 0, 24, values}) // struct kvm_stats_header
	for i, name := range []string{"remote_tlb_flush", "tlb_flush_more", "tlb_flush"} {
		// struct kvm_stats_desc: flags, exponent and size, offset, bucket size.
		write([4]uint32{0, 1 << 16, uint32(8 * i), 0}, append([]byte(name), make([]byte, 24-len(name))...))
	}
	write([3]uint64{5, 6, 7})
	if n, err := statistic(b.Bytes(), "tlb_flush"); err != nil || n != 7 {
		t.Errorf("expected 7, found %d, %v", n, err)
	}
	for name, data := range map[string][]byte{"cut": b.Bytes()[:b.Len()-1], "no values": b.Bytes()[:values], "empty": nil} {
		if _, err := statistic(data, "tlb_flush"); err == nil {
			t.Errorf("%s: expected an error", name)
		}
	}
}

// TestLoads: each path has a load and a function.
func TestLoads(t *testing.T) {
	for _, path := range measure.AllPaths {
		if loads[path] == nil || measure.PathFunctions[path] == "" {
			t.Errorf("%s: expected a load and a function", path)
		}
	}
}
