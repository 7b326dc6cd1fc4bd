// SPDX-License-Identifier: GPL-2.0-only

// Package payload is the code that vCPUs run while KVM is measured, and the memory
// of a VM with that code in it.
//
// The generated file is committed: building the project takes no assembler.
package payload

//go:generate gcc -m32 -c -o payload.o payload.S
//go:generate objcopy -O binary -j .text payload.o payload.bin
//go:generate rm payload.o

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// code is what vCPUs run; see payload.S. It is loaded at codeAddress of the VM's
// memory.
//
//go:embed payload.bin
var code []byte

// Addresses in the VM's memory, the same as in payload.S. A vCPU starts at one of
// those that begin with Entry.
const (
	MemorySize     = 0x10000
	InputAddress   = 0x3000 // what hypercalls read
	SharedAddress  = 0x4000 // a page of Xen's
	StackAddress   = 0x9000 // its end
	EntryStart     = codeAddress
	EntryIPI       = codeAddress + 0x40
	EntryHypercall = codeAddress + 0x80
	EntryWrite     = codeAddress + 0xe0
	EntrySort      = codeAddress + 0x100
	EntrySpin      = codeAddress + 0x140

	codeAddress   = 0x1000
	dataStarted   = 0x2000
	dataCount     = 0x2004
	dataDone      = 0x2008
	dataStep      = 0x200c
	dataAX        = 0x2010
	dataBX        = 0x2014
	dataCX        = 0x2018
	dataDX        = 0x201c
	dataSI        = 0x2020
	dataDI        = 0x2024
	dataPhase     = 0x2028
	dataStop      = 0x202c
	dataNr        = 0x2030
	unused        = 0x3ff0 // where the host adds to if no word is asked for
	values        = 0x5000
	records       = 0x6000
	recordShift   = 9
	recordLargest = 0x008
	recordBuckets = 0x010
	numBuckets    = 32
)

// Port is the I/O port whose access ends a run.
const Port = 0x10

// Payload is the memory of a VM with the code in it. A vCPU writes to it while it
// runs: a record of the current phase may be torn.
type Payload struct{ memory []byte }

// New loads the code into the memory of a VM, MemorySize bytes that are aligned to
// a page.
func New(memory []byte) (*Payload, error) {
	if len(memory) != MemorySize || len(code) > dataStarted-codeAddress {
		return nil, fmt.Errorf("payload: expected %d bytes of memory and room for %d, found %d", MemorySize, len(code), len(memory))
	}
	copy(memory[codeAddress:], code)
	return &Payload{memory}, nil
}

// Registers are those of a hypercall; the other entries take AX alone.
type Registers struct{ AX, BX, CX, DX, SI, DI uint32 }

// Started returns how often vCPUs passed by EntryStart.
func (p *Payload) Started() int { return int(atomic.LoadUint32(p.word(dataStarted))) }

// Prepare has the next run do so many operations. After each, 1 is added to the
// word at the address step of the VM; 0 means none.
func (p *Payload) Prepare(count int, r Registers, step uint32) {
	if step == 0 {
		step = unused
	}
	for at, v := range map[int]uint32{
		dataCount: uint32(count), dataDone: 0, dataStep: step,
		dataAX: r.AX, dataBX: r.BX, dataCX: r.CX, dataDX: r.DX, dataSI: r.SI, dataDI: r.DI,
	} {
		atomic.StoreUint32(p.word(at), v)
	}
}

// Done returns how many operations succeeded.
func (p *Payload) Done() int { return int(atomic.LoadUint32(p.word(dataDone))) }

// Input is the memory that hypercalls read, at InputAddress, and Shared the page of Xen's, at
// SharedAddress.
func (p *Payload) Input() []byte  { return p.memory[InputAddress:SharedAddress] }
func (p *Payload) Shared() []byte { return p.memory[SharedAddress : SharedAddress+0x1000] }

// SetPhase sets the record that EntrySpin writes to, and Stop ends it at its next gap.
func (p *Payload) SetPhase(phase int) { atomic.StoreUint32(p.word(dataPhase), uint32(phase)) }
func (p *Payload) Stop()              { atomic.StoreUint32(p.word(dataStop), 1) }

// Gaps returns what EntrySpin saw in a phase, in ticks of the VM's time stamp
// counter: gaps between two exits that it asked for.
func (p *Payload) Gaps(phase int) measure.GuestGaps {
	m := p.memory[records+phase<<recordShift:]
	var buckets [numBuckets]uint64
	for i := range buckets {
		buckets[i] = binary.LittleEndian.Uint64(m[recordBuckets+8*i:])
	}
	return measure.GuestGaps{
		Count:   binary.LittleEndian.Uint64(m),
		Largest: binary.LittleEndian.Uint32(m[recordLargest:]),
		Buckets: measure.CountBuckets(buckets[:]),
	}
}

// Count returns the number of gaps in a phase, also while it goes on.
func (p *Payload) Count(phase int) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&p.memory[records+phase<<recordShift])))
}

// bucketOf returns the bucket that the payload counts v in.
func bucketOf(v uint32) int { return bits.Len32(v|1) - 1 }

// CheckSort has the payload sort the values at the seams into buckets, and compares
// them with bucketOf. run runs the vCPU from EntrySort to its end. The error is
// wire.ErrPayload if a value is in the wrong bucket.
func (p *Payload) CheckSort(run func() error) error {
	var in []uint32
	for power := range 32 {
		v := uint32(1) << power
		in = append(in, v-1, v, v+1)
	}
	in = append(in, math.MaxUint32-1, math.MaxUint32)

	*p.word(dataNr) = uint32(len(in))
	for i, v := range in {
		*p.word(values + 4*i) = v
	}
	if err := run(); err != nil {
		return fmt.Errorf("sort %d values: %w", len(in), err)
	}

	for i, v := range in {
		if got, want := *p.word(values + 4*i), uint32(bucketOf(v)); got != want {
			return fmt.Errorf("%w: expected %d in bucket %d, found it in %d", wire.ErrPayload, v, want, got)
		}
	}
	return nil
}

func (p *Payload) word(address int) *uint32 {
	return (*uint32)(unsafe.Pointer(&p.memory[address]))
}
