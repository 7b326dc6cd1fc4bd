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

// Of Hyper-V, from hyperv/hvgdk_mini.h and hvhdk_mini.h.
const (
	hvCPUIDInterface = 0x40000001
	hvSignature      = 0x31237648 // "Hv#1"
	hvMSRGuestOSID   = 0x40000000
	hvMSRVPIndex     = 0x40000002
	hvMSRSINT0       = 0x40000090

	hvCallFlush   = 0x02 // HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE
	hvCallSpin    = 0x08 // HVCALL_NOTIFY_LONG_SPIN_WAIT
	hvCallIPIEx   = 0x15 // HVCALL_SEND_IPI_EX
	hvFast        = 1 << 16
	hvVarHead     = 17
	hvFlushAll    = 1 << 0
	hvFlushSpaces = 1 << 1
	hvBankBits    = 64
	hvSpinForever = 0xffffffff

	hvSINT     = 3 // the SynIC's interrupt that is used
	hvAutoSINT = 4 // one that never comes
	hvAutoEOI  = 1 << 17

	kvmIRQRoutingHVSINT = 4 // KVM_IRQ_ROUTING_HV_SINT
)

func setMSR(fd int, index uint32, data uint64) error {
	// struct kvm_msrs with one entry.
	arg := struct {
		count, _ uint32
		index, _ uint32
		data     uint64
	}{count: 1, index: index, data: data}
	n, err := kvmSetMSRs.quietly(fd, unsafe.Pointer(&arg))
	if err == nil && n != 1 {
		err = fmt.Errorf("KVM_SET_MSRS: expected 1 register to be set, found %d", n)
	}
	if err != nil {
		return fmt.Errorf("register %#x: %w", index, err)
	}
	return nil
}

// offerHyperV has a vCPU see Hyper-V, before it runs.
func offerHyperV(fd int) error {
	// struct kvm_cpuid2 with one entry.
	arg := struct {
		count, _                                         uint32
		function, index, flags, eax, ebx, ecx, edx, _, _ uint32
		_                                                uint32
	}{count: 1, function: hvCPUIDInterface, eax: hvSignature}
	return kvmSetCPUID2.with(fd, unsafe.Pointer(&arg))
}

// useHyperV gives each vCPU its VP index, which is its ID but for those of a pool,
// and opens the hypercalls. An interrupt of the SynIC that ends by itself keeps the processor
// from delivering interrupts without KVM, where it can.
func (p *pathVM) useHyperV() error {
	if err := setMSR(p.vcpus[0], hvMSRGuestOSID, 1); err != nil {
		return err
	}
	err := p.useSynIC(0, hvAutoSINT, hvAutoEOI|autoVector)
	if err != nil || p.start.VM.Pool() { // of a pool some IDs are too large
		return err
	}
	for i, fd := range p.vcpus {
		if err := setMSR(fd, hvMSRVPIndex, uint64(p.ids[i])); err != nil {
			return fmt.Errorf("vCPU %d: %w", i, err)
		}
	}
	return nil
}

func (p *pathVM) useSynIC(vcpu, sint int, value uint64) error {
	err := enableCap{cap: kvmCapHyperVSynIC2}.enable(p.vcpus[vcpu])
	if err == nil {
		err = setMSR(p.vcpus[vcpu], uint32(hvMSRSINT0+sint), value)
	}
	if err != nil {
		return fmt.Errorf("SynIC of vCPU %d: %w", vcpu, err)
	}
	return nil
}

func requestAll(p *pathVM, _ int) (load, error) {
	// Requests that are left from the start are done now.
	if err := p.runFrom(1); err != nil {
		return load{}, err
	}
	before, err := p.flushes()
	if err != nil {
		return load{}, err
	}
	flush := payload.Registers{AX: hvCallFlush, CX: payload.InputAddress}
	return load{
		do: p.hypercalls(flush, 0, 0, hvFlushAll|hvFlushSpaces, 0),
		end: func(int) error {
			if err := p.runFrom(1); err != nil {
				return err
			}
			now, err := p.flushes()
			if err != nil {
				return err
			}
			for i, n := range now {
				if i > 0 && p.runs(i) && n == before[i] {
					return fmt.Errorf("%w: vCPU %d did not flush its TLB", wire.ErrPayload, i)
				}
			}
			return nil
		},
	}, nil
}

// yield tells KVM that the first vCPU has spun for long. It can yield to no vCPU:
// the others have never been preempted. That KVM looks for one is all to see.
func yield(p *pathVM, _ int) (load, error) {
	return load{do: p.hypercalls(payload.Registers{AX: hvCallSpin | hvFast, CX: hvSpinForever}, 0)}, nil
}

// hyperVIPI sends IPIs to the vCPU in the middle, each with a vector of its own.
func hyperVIPI(p *pathVM, _ int) (load, error) {
	to := len(p.vcpus) / 2
	id := p.ids[to]
	send := payload.Registers{AX: hvCallIPIEx | 1<<hvVarHead, CX: payload.InputAddress}
	return load{
		do: p.hypercalls(send, payload.InputAddress, hyperVVector, 0 /* sparse set */, 1<<(id/hvBankBits), 1<<(id%hvBankBits)),
		end: func(most int) error {
			p.wanted[to].add(hyperVVector, most)
			return p.checkPending()
		},
	}, nil
}

// routingEntry is struct kvm_irq_routing_entry for an interrupt of the SynIC.
type routingEntry struct {
	gsi, kind, flags, _ uint32
	vcpu, sint          uint32
	_                   [6]uint32
}

// synIC raises an interrupt of the SynIC of vCPUs in turn, spread evenly over all.
func synIC(p *pathVM, ops int) (load, error) {
	var routing struct {
		count, flags uint32
		entries      [measure.MaxPathOps]routingEntry
	}
	targets := p.spread(ops)
	routing.count = uint32(len(targets))
	for i, to := range targets {
		if err := p.useSynIC(to, hvSINT, synICVector); err != nil {
			return load{}, err
		}
		routing.entries[i] = routingEntry{gsi: uint32(i), kind: kvmIRQRoutingHVSINT, vcpu: uint32(p.ids[to]), sint: hvSINT}
	}
	if err := kvmSetGSIRouting.with(p.fd, unsafe.Pointer(&routing)); err != nil {
		return load{}, err
	}

	return load{
		do: func(count int) error {
			for i := range count {
				line := struct{ irq, level uint32 }{uint32(i % len(targets)), 1}
				if _, err := kvmIRQLineStatus.quietly(p.fd, unsafe.Pointer(&line)); err != nil {
					return err
				}
				if line.irq != 1 {
					return fmt.Errorf("%w: KVM_IRQ_LINE_STATUS: expected one vCPU to get the interrupt, found %d", wire.ErrPayload, int32(line.irq))
				}
			}
			return nil
		},
		end: func(int) error {
			for _, to := range targets {
				p.wanted[to].add(synICVector, 1)
			}
			return p.checkPending()
		},
	}, nil
}

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
	if err := kvmXenHVMConfig.with(p.fd, unsafe.Pointer(&config)); err != nil {
		return err
	}

	shared := xenAttr{kind: xenAttrSharedInfo, u: [16]uint32{payload.SharedAddress >> 12}}
	if err := kvmXenHVMSetAttr.with(p.fd, unsafe.Pointer(&shared)); err != nil {
		return fmt.Errorf("shared info: %w", err)
	}
	targets := p.spread(ops)
	for i, to := range targets {
		info := xenAttr{kind: xenVCPUAttrInfo, u: [16]uint32{uint32(payload.SharedAddress + i*xenInfoSize)}}
		if err := kvmXenVCPUSetAttr.with(p.vcpus[to], unsafe.Pointer(&info)); err != nil {
			return fmt.Errorf("vCPU %d: %w", to, err)
		}
	}
	for port := xenFirstPort; port < xenFirstPort+2*measure.MaxPathOps; port++ {
		n := uint32(port)
		channel := xenAttr{kind: xenAttrEvtchn, u: [16]uint32{n, xenStatusIPI, 0, n, p.xenTarget(targets, port), xenPriority2Level}}
		if err := kvmXenHVMSetAttr.with(p.fd, unsafe.Pointer(&channel)); err != nil {
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

// checkEvents expects the events of the first count ports to be pending, and no others.
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
