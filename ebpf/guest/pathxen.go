// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/paths"
)

// KVM's requests, from linux/kvm.h.
const (
	kvmXenHVMConfig   = 0x4038ae7a
	kvmXenHVMSetAttr  = 0x4048aec9
	kvmXenVCPUSetAttr = 0x4048aecb
	kvmXenEvtchnSend  = 0x400caed0
)

// Of Xen, and of KVM's interface for it, from x86's asm/kvm.h.
const (
	xenInterceptHypercalls = 1 << 1
	xenEvtchnSend          = 1 << 5
	xenMSR                 = 0x40000200 // of the hypercall page, which nobody asks for
	xenAttrSharedInfo      = 1
	xenAttrEvtchn          = 3
	xenVCPUAttrInfo        = 0
	xenInfoSize            = 64 // of a vCPU's part of the shared page, the first of which are there
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

// useXen has KVM take the guest for one of Xen's, with a port for each event,
// each to a vCPU of its own, spread evenly over all.
func (p *pathVM) useXen(ops int) error {
	config := struct {
		flags, msr uint32
		_          [6]uint64
	}{flags: xenInterceptHypercalls | xenEvtchnSend, msr: xenMSR}
	if err := pointerRequest(p.fd, kvmXenHVMConfig, unsafe.Pointer(&config)); err != nil {
		return fmt.Errorf("KVM_XEN_HVM_CONFIG: %w", err)
	}
	if err := p.setXen(xenAttr{kind: xenAttrSharedInfo, u: [16]uint32{paths.SharedAddress >> 12}}); err != nil {
		return fmt.Errorf("shared info: %w", err)
	}
	targets := p.spread(ops)
	for i, to := range targets {
		a := xenAttr{kind: xenVCPUAttrInfo, u: [16]uint32{uint32(paths.SharedAddress + i*xenInfoSize)}}
		if err := pointerRequest(p.vcpus[to], kvmXenVCPUSetAttr, unsafe.Pointer(&a)); err != nil {
			return fmt.Errorf("KVM_XEN_VCPU_SET_ATTR of vCPU %d: %w", to, err)
		}
	}
	for port := xenFirstPort; port < xenFirstPort+2*measure.MaxPathOps; port++ {
		n := uint32(port)
		a := xenAttr{kind: xenAttrEvtchn, u: [16]uint32{n, xenStatusIPI, 0, n, p.xenTarget(targets, port), xenPriority2Level}}
		if err := p.setXen(a); err != nil {
			return fmt.Errorf("port %d: %w", port, err)
		}
	}
	return nil
}

func (p *pathVM) setXen(a xenAttr) error {
	if err := pointerRequest(p.fd, kvmXenHVMSetAttr, unsafe.Pointer(&a)); err != nil {
		return fmt.Errorf("KVM_XEN_HVM_SET_ATTR: %w", err)
	}
	return nil
}

// xenTarget is the ID of the vCPU that a port's events go to.
func (p *pathVM) xenTarget(targets []int, port int) uint32 {
	return uint32(p.ids[targets[(port-xenFirstPort)%len(targets)]])
}

// clearEvents forgets all events, as a guest does that has handled them.
func (p *pathVM) clearEvents() {
	clear(p.payload.Shared()[:xenPending+4*xenWords])
}

// checkEvents looks whether the events of the first count ports are pending, and
// no other.
func (p *pathVM) checkEvents(count int) error {
	want := vectorsOf(xenFirstPort, count)
	for i, w := range want {
		if got := binary.LittleEndian.Uint32(p.payload.Shared()[xenPending+4*i:]); got != w {
			return fmt.Errorf("%w: expected events of %d ports from %d on, found %#x in word %d", paths.ErrPayload, count, xenFirstPort, got, i)
		}
	}
	return nil
}

// xenSend has the guest send events.
func (p *pathVM) xenSend(ops int) (load, error) {
	if err := p.useXen(ops); err != nil {
		return load{}, err
	}
	return load{
		do: func(count int) error {
			p.clearEvents()
			p.words(xenFirstPort)
			return p.do(paths.EntryHypercall, count, paths.Registers{AX: xenCallEvtchn, BX: xenOpSend, CX: paths.InputAddress}, paths.InputAddress)
		},
		checkRun: p.checkEvents,
	}, nil
}

// xenIoctl has user space send events.
func (p *pathVM) xenIoctl(ops int) load {
	targets := p.spread(ops)
	return load{
		do: func(count int) error {
			p.clearEvents()
			for port := xenFirstPort; port < xenFirstPort+count; port++ {
				event := struct{ port, vcpu, priority uint32 }{uint32(port), p.xenTarget(targets, port), xenPriority2Level}
				if err := rawRequest(p.fd, kvmXenEvtchnSend, unsafe.Pointer(&event)); err != nil {
					return fmt.Errorf("KVM_XEN_HVM_EVTCHN_SEND, port %d: %w", port, err)
				}
			}
			return nil
		},
		checkRun: p.checkEvents,
	}
}
