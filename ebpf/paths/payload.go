// SPDX-License-Identifier: GPL-2.0-only

package paths

import (
	_ "embed"
	"fmt"
	"sync/atomic"
	"unsafe"

	"vcpulab/ebpf/wire"
)

// Code is what vCPUs run, in 32-bit protected mode with flat segments and
// without paging; see payload.S. It is loaded at CodeAddress of the VM's memory.
//
//go:embed payload.bin
var Code []byte

// Where things are in the VM's memory. What begins with Entry is where a vCPU
// starts; the same stand in payload.S.
const (
	MemorySize     = 0x10000
	CodeAddress    = 0x1000
	InputAddress   = 0x3000 // what hypercalls read
	SharedAddress  = 0x4000 // a page of Xen's
	StackAddress   = 0x9000 // its end
	EntryStart     = CodeAddress
	EntryIPI       = CodeAddress + 0x40
	EntryHypercall = CodeAddress + 0x80
	EntryWrite     = CodeAddress + 0xe0
	Port           = 0x10 // an access to it ends a run

	dataStarted = 0x2000
	dataCount   = 0x2004
	dataDone    = 0x2008
	dataStep    = 0x200c
	dataAX      = 0x2010
	dataBX      = 0x2014
	dataCX      = 0x2018
	dataDX      = 0x201c
	dataSI      = 0x2020
	dataDI      = 0x2024
)

// ErrPayload means that what ran in the VM, or what KVM did for it, is not what
// was asked for.
var ErrPayload = wire.ErrPayload

// Payload is the memory of a VM with the code in it.
type Payload struct{ memory []byte }

// Registers are what a hypercall takes, or AX what the other entries take.
type Registers struct{ AX, BX, CX, DX, SI, DI uint32 }

// NewPayload loads the code into the memory of a VM, MemorySize bytes that
// are aligned to a page.
func NewPayload(memory []byte) (*Payload, error) {
	if len(memory) != MemorySize || len(Code) > dataStarted-CodeAddress {
		return nil, fmt.Errorf("payload: expected %d bytes of memory and room for %d, found %d", MemorySize, len(Code), len(memory))
	}
	copy(memory[CodeAddress:], Code)
	return &Payload{memory}, nil
}

// Started returns how often vCPUs passed by EntryStart.
func (p *Payload) Started() int { return int(atomic.LoadUint32(p.word(dataStarted))) }

// Prepare has the next run do so many operations. After each, 1 is added to the
// word at step, an address of the VM; 0 is for no word that matters.
func (p *Payload) Prepare(count int, r Registers, step uint32) {
	if step == 0 {
		step = InputAddress + 0xff0
	}
	for at, v := range map[int]uint32{
		dataCount: uint32(count), dataDone: 0, dataStep: step,
		dataAX: r.AX, dataBX: r.BX, dataCX: r.CX, dataDX: r.DX, dataSI: r.SI, dataDI: r.DI,
	} {
		atomic.StoreUint32(p.word(at), v)
	}
}

// Done returns how many operations went well.
func (p *Payload) Done() int { return int(atomic.LoadUint32(p.word(dataDone))) }

// Input is what hypercalls read, at InputAddress.
func (p *Payload) Input() []byte { return p.memory[InputAddress:SharedAddress] }

// Shared is the page of Xen's, at SharedAddress.
func (p *Payload) Shared() []byte { return p.memory[SharedAddress : SharedAddress+0x1000] }

func (p *Payload) word(address int) *uint32 {
	return (*uint32)(unsafe.Pointer(&p.memory[address]))
}
