// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/wire"
)

// Of Xen, and of KVM's interface for it, from x86's asm/kvm.h.
const (
	xenInterceptHypercalls = 1 << 1
	xenEvtchnSend          = 1 << 5
	xenMSR                 = 0x40000200 // of the hypercall page, which is not used
	xenAttrSharedInfo      = 1
	xenAttrEvtchn          = 3
	xenVCPUAttrInfo        = 0
	xenInfoSize            = 64 // of a vCPU's part of the shared page, which begins with these
	xenStatusIPI           = 5  // EVTCHNSTAT_ipi
	xenPriority2Level      = 0xffffffff
	xenCallEvtchn          = 32 // __HYPERVISOR_event_channel_op
	xenOpSend              = 4  // EVTCHNOP_send
	xenPending             = 0x800
	xenWords               = 32
	xenFirstPort           = 1
)

// xenAttr is struct kvm_xen_hvm_attr, and kvm_xen_vcpu_attr.
type xenAttr struct {
	kind uint16
	_    [3]uint16
	u    [16]uint32
}

// useXen has KVM treat the guest as one of Xen's, with a port for each event, each
// to a vCPU of its own, spread evenly over all.
func (p *pathVM) useXen(ops int) error {
	config := struct {
		flags, msr uint32
		_          [6]uint64
	}{flags: xenInterceptHypercalls | xenEvtchnSend, msr: xenMSR}
	if _, err := kvmXenHVMConfig.with(p.fd, unsafe.Pointer(&config)); err != nil {
		return err
	}

	shared := xenAttr{kind: xenAttrSharedInfo, u: [16]uint32{payload.SharedAddress >> 12}}
	if _, err := kvmXenHVMSetAttr.with(p.fd, unsafe.Pointer(&shared)); err != nil {
		return fmt.Errorf("shared info: %w", err)
	}
	targets := p.spread(ops)
	for i, to := range targets {
		info := xenAttr{kind: xenVCPUAttrInfo, u: [16]uint32{uint32(payload.SharedAddress + i*xenInfoSize)}}
		if _, err := kvmXenVCPUSetAttr.with(p.vcpus[to], unsafe.Pointer(&info)); err != nil {
			return fmt.Errorf("vCPU %d: %w", to, err)
		}
	}
	for port := xenFirstPort; port < xenFirstPort+2*measure.MaxPathOps; port++ {
		n := uint32(port)
		channel := xenAttr{kind: xenAttrEvtchn, u: [16]uint32{n, xenStatusIPI, 0, n, p.xenTarget(targets, port), xenPriority2Level}}
		if _, err := kvmXenHVMSetAttr.with(p.fd, unsafe.Pointer(&channel)); err != nil {
			return fmt.Errorf("port %d: %w", port, err)
		}
	}
	return nil
}

// xenTarget returns the ID of the vCPU that a port's events go to.
func (p *pathVM) xenTarget(targets []int, port int) uint32 {
	return uint32(p.ids[targets[(port-xenFirstPort)%len(targets)]])
}

// clearEvents forgets all events, as a guest does that has handled them.
func (p *pathVM) clearEvents() { clear(p.payload.Shared()[:xenPending+4*xenWords]) }

// checkEvents tells whether the events of the first count ports are pending, and
// no others.
func (p *pathVM) checkEvents(count int) error {
	for i, want := range vectorsOf(xenFirstPort, count) {
		if got := binary.LittleEndian.Uint32(p.payload.Shared()[xenPending+4*i:]); got != want {
			return fmt.Errorf("%w: expected events of %d ports from %d on, found %#x in word %d", wire.ErrPayload, count, xenFirstPort, got, i)
		}
	}
	return nil
}

func xenSend(p *pathVM, ops int) (load, error) {
	if err := p.useXen(ops); err != nil {
		return load{}, err
	}
	send := p.hypercalls(payload.Registers{AX: xenCallEvtchn, BX: xenOpSend, CX: payload.InputAddress}, payload.InputAddress, xenFirstPort)
	return load{
		do:       func(count int) error { p.clearEvents(); return send(count) },
		checkRun: p.checkEvents,
	}, nil
}

// xenIoctl has user space send events, after xenSend.
func xenIoctl(p *pathVM, ops int) (load, error) {
	targets := p.spread(ops)
	return load{
		do: func(count int) error {
			p.clearEvents()
			for port := xenFirstPort; port < xenFirstPort+count; port++ {
				event := struct{ port, vcpu, priority uint32 }{uint32(port), p.xenTarget(targets, port), xenPriority2Level}
				if _, err := kvmXenEvtchnSend.quietly(p.fd, unsafe.Pointer(&event)); err != nil {
					return fmt.Errorf("port %d: %w", port, err)
				}
			}
			return nil
		},
		checkRun: p.checkEvents,
	}, nil
}
