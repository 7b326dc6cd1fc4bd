// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/paths"
)

// KVM's requests, from linux/kvm.h.
const (
	kvmSetMSRs       = 0x4008ae89
	kvmSetCPUID2     = 0x4008ae90
	kvmSetGSIRouting = 0x4008ae6a
	kvmIRQLineStatus = 0xc008ae67

	kvmCapHyperVSynIC2 = 148
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
)

// msr is struct kvm_msr_entry.
type msr struct {
	index, _ uint32
	data     uint64
}

// setMSR writes a register of a vCPU.
func setMSR(fd int, index uint32, data uint64) error {
	arg := struct {
		count, _ uint32
		msr      msr
	}{count: 1, msr: msr{index: index, data: data}}
	if n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), kvmSetMSRs, uintptr(unsafe.Pointer(&arg))); errno != 0 || n != 1 {
		return fmt.Errorf("KVM_SET_MSRS %#x: expected 1 to be set, found %d: %w", index, n, errno)
	}
	return nil
}

// offerHyperV has a vCPU see Hyper-V, before it runs.
func offerHyperV(fd int) error {
	arg := struct {
		count, _                                         uint32
		function, index, flags, eax, ebx, ecx, edx, _, _ uint32
		_                                                uint32
	}{count: 1, function: hvCPUIDInterface, eax: hvSignature}
	if err := pointerRequest(fd, kvmSetCPUID2, unsafe.Pointer(&arg)); err != nil {
		return fmt.Errorf("KVM_SET_CPUID2: %w", err)
	}
	return nil
}

// useHyperV gives each vCPU its VP index, which is its ID, and opens the
// hypercalls. An interrupt of the SynIC that ends by itself keeps the processor
// from delivering interrupts without KVM, where it can.
func (p *pathVM) useHyperV() error {
	if err := setMSR(p.vcpus[0], hvMSRGuestOSID, 1); err != nil {
		return err
	}
	if err := enableVCPU(p.vcpus[0], kvmCapHyperVSynIC2); err != nil {
		return err
	}
	if err := setMSR(p.vcpus[0], hvMSRSINT0+hvAutoSINT, hvAutoEOI|autoVector); err != nil {
		return err
	}
	for i, fd := range p.vcpus {
		if err := setMSR(fd, hvMSRVPIndex, uint64(p.ids[i])); err != nil {
			return fmt.Errorf("vCPU %d: %w", i, err)
		}
	}
	return nil
}

// words puts 64-bit words where hypercalls read them.
func (p *pathVM) words(all ...uint64) {
	for i, w := range all {
		binary.LittleEndian.PutUint64(p.payload.Input()[8*i:], w)
	}
}

// requestAll flushes the TLBs of all vCPUs.
func (p *pathVM) requestAll() (load, error) {
	// What is left from the start is done now.
	if err := p.wake(); err != nil {
		return load{}, err
	}
	flushes, err := p.flushes()
	if err != nil {
		return load{}, err
	}
	p.words(0, hvFlushAll|hvFlushSpaces, 0)
	return load{
		do: func(count int) error {
			return p.do(paths.EntryHypercall, count, paths.Registers{AX: hvCallFlush, CX: paths.InputAddress}, 0)
		},
		check: func(int) error {
			if err := p.wake(); err != nil {
				return err
			}
			now, err := p.flushes()
			if err != nil {
				return err
			}
			for i, n := range now {
				if i > 0 && !p.isDeaf(i) && n == flushes[i] {
					return fmt.Errorf("%w: vCPU %d: expected it to flush its TLB, found that it did not", paths.ErrPayload, i)
				}
			}
			return nil
		},
	}, nil
}

// yield says that the first vCPU has spun for long. No vCPU is one to yield to:
// the others have never been preempted.
func (p *pathVM) yield() load {
	return load{
		do: func(count int) error {
			return p.do(paths.EntryHypercall, count, paths.Registers{AX: hvCallSpin | hvFast, CX: hvSpinForever}, 0)
		},
		// That it was called is all that there is to see.
		check: func(int) error { return nil },
	}
}

// hyperVIPI sends IPIs to the vCPU in the middle.
func (p *pathVM) hyperVIPI() load {
	to := len(p.vcpus) / 2
	return load{
		do: func(count int) error {
			p.words(hyperVVector, 0 /* sparse set */, 1<<(p.ids[to]/hvBankBits), 1<<(p.ids[to]%hvBankBits))
			return p.do(paths.EntryHypercall, count, paths.Registers{AX: hvCallIPIEx | 1<<hvVarHead, CX: paths.InputAddress}, paths.InputAddress)
		},
		check: func(most int) error {
			p.wanted[to].add(hyperVVector, most)
			return p.checkPending()
		},
	}
}

// hvSINT is the SynIC's interrupt that is used, hvAutoSINT one that never comes.
const (
	hvSINT     = 3
	hvAutoSINT = 4
	hvAutoEOI  = 1 << 17
)

// synIC raises an interrupt of the SynIC of one vCPU after the other, spread
// evenly over all.
func (p *pathVM) synIC(ops int) (load, error) {
	type entry struct {
		gsi, kind, flags, _ uint32
		vcpu, sint          uint32
		_                   [6]uint32
	}
	var routing struct {
		count, flags uint32
		entries      [measure.MaxPathOps]entry
	}
	targets := p.spread(ops)
	for i, to := range targets {
		if err := enableVCPU(p.vcpus[to], kvmCapHyperVSynIC2); err != nil {
			return load{}, fmt.Errorf("vCPU %d: %w", to, err)
		}
		if err := setMSR(p.vcpus[to], hvMSRSINT0+hvSINT, synICVector); err != nil {
			return load{}, fmt.Errorf("vCPU %d: %w", to, err)
		}
		routing.entries[i] = entry{gsi: uint32(i), kind: kvmIRQRoutingHVSINT, vcpu: uint32(p.ids[to]), sint: hvSINT}
	}
	routing.count = uint32(len(targets))
	if err := pointerRequest(p.fd, kvmSetGSIRouting, unsafe.Pointer(&routing)); err != nil {
		return load{}, fmt.Errorf("KVM_SET_GSI_ROUTING: %w", err)
	}
	return load{
		do: func(count int) error {
			for i := range count {
				line := struct{ irq, level uint32 }{uint32(i % len(targets)), 1}
				if err := rawRequest(p.fd, kvmIRQLineStatus, unsafe.Pointer(&line)); err != nil {
					return fmt.Errorf("KVM_IRQ_LINE_STATUS: %w", err)
				}
				if line.irq != 1 {
					return fmt.Errorf("%w: KVM_IRQ_LINE_STATUS: expected one vCPU to get the interrupt, found %d", paths.ErrPayload, int32(line.irq))
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

// kvmIRQRoutingHVSINT is KVM_IRQ_ROUTING_HV_SINT.
const kvmIRQRoutingHVSINT = 4

// enableVCPU enables a capability of a vCPU.
func enableVCPU(fd int, what uint32) error {
	c := enableCap{cap: what}
	if err := pointerRequest(fd, kvmEnableCap, unsafe.Pointer(&c)); err != nil {
		return fmt.Errorf("KVM_ENABLE_CAP %d: %w", what, err)
	}
	return nil
}
