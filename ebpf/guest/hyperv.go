// SPDX-License-Identifier: GPL-2.0-only

package main

import (
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
	n, err := kvmSetMSRs.with(fd, unsafe.Pointer(&arg))
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
	_, err := kvmSetCPUID2.with(fd, unsafe.Pointer(&arg))
	return err
}

// useHyperV gives each vCPU its VP index, which is its ID, and opens the
// hypercalls. An interrupt of the SynIC that ends by itself keeps the processor
// from delivering interrupts without KVM, where it can.
func (p *pathVM) useHyperV() error {
	if err := setMSR(p.vcpus[0], hvMSRGuestOSID, 1); err != nil {
		return err
	}
	if err := p.useSynIC(0, hvAutoSINT, hvAutoEOI|autoVector); err != nil {
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

// requestAll flushes the TLBs of all vCPUs.
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
		check: func(int) error {
			if err := p.runFrom(1); err != nil {
				return err
			}
			now, err := p.flushes()
			if err != nil {
				return err
			}
			for i, n := range now {
				if i > 0 && !p.isDeaf(i) && n == before[i] {
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
		check: func(most int) error {
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

// synIC raises an interrupt of the SynIC of one vCPU after the other, spread
// evenly over all.
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
	if _, err := kvmSetGSIRouting.with(p.fd, unsafe.Pointer(&routing)); err != nil {
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
		check: func(int) error {
			for _, to := range targets {
				p.wanted[to].add(synICVector, 1)
			}
			return p.checkPending()
		},
	}, nil
}
