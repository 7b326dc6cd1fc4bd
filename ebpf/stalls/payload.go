// SPDX-License-Identifier: GPL-2.0-only

package stalls

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"vcpulab/ebpf/wire"
)

// Code is what a vCPU runs, in 32-bit protected mode with flat segments; see
// payload.S. It is loaded at CodeAddress of the VM's memory.
//
//go:embed payload.bin
var Code []byte

// Where things are in the VM's memory, and what the vCPU starts with. The
// same stand in payload.S.
const (
	MemorySize   = 0x10000
	CodeAddress  = 0x1000
	StackAddress = 0x9000 // its end
	EntrySpin    = CodeAddress
	EntrySort    = CodeAddress + 0x10
	Port         = 0x10 // an access to it ends a run

	dataPhase      = 0x2000
	dataStop       = 0x2004
	dataNr         = 0x2008
	records        = 0x3000
	recordShift    = 9
	recordLargest  = 0x008
	recordBuckets  = 0x010
	values         = 0x5000
	payloadBuckets = 32
)

// ErrPayload means that what ran in the vCPU does not count as it should.
var ErrPayload = wire.ErrPayload

// Payload is the memory of a VM with the code in it. The vCPU writes to it
// while it runs: what is read of a phase that goes on may be torn.
type Payload struct{ memory []byte }

// Record is what the payload has seen in a phase, in ticks of the VM's time
// stamp counter.
type Record struct {
	Count   uint64                 // of gaps between two exits that it asked for
	Largest uint32                 // gap, math.MaxUint32 if it was larger
	Buckets [payloadBuckets]uint64 // by power of two
}

// NewPayload loads the code into the memory of a VM, MemorySize bytes that
// are aligned to a page.
func NewPayload(memory []byte) (*Payload, error) {
	if len(memory) != MemorySize || len(Code) > dataPhase-CodeAddress {
		return nil, fmt.Errorf("payload: expected %d bytes of memory and room for %d, found %d", MemorySize, len(Code), len(memory))
	}
	copy(memory[CodeAddress:], Code)
	return &Payload{memory}, nil
}

// SetPhase says which record the payload writes to.
func (p *Payload) SetPhase(phase int) { atomic.StoreUint32(p.word(dataPhase), uint32(phase)) }

// Stop ends the payload at its next gap.
func (p *Payload) Stop() { atomic.StoreUint32(p.word(dataStop), 1) }

// Record returns what was seen in a phase.
func (p *Payload) Record(phase int) Record {
	m := p.memory[records+phase<<recordShift:]
	r := Record{Count: binary.LittleEndian.Uint64(m), Largest: binary.LittleEndian.Uint32(m[recordLargest:])}
	for i := range r.Buckets {
		r.Buckets[i] = binary.LittleEndian.Uint64(m[recordBuckets+8*i:])
	}
	return r
}

// Count returns the number of gaps in a phase, also while it goes on.
func (p *Payload) Count(phase int) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&p.memory[records+phase<<recordShift])))
}

// PayloadBucket returns the bucket that the payload counts v in.
func PayloadBucket(v uint32) int { return bits.Len32(v|1) - 1 }

// CheckSort has the payload sort the values at its seams into buckets, and
// compares with PayloadBucket. run runs the vCPU from EntrySort to its end.
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
		if got, want := *p.word(values + 4*i), uint32(PayloadBucket(v)); got != want {
			return fmt.Errorf("%w: expected %d in bucket %d, found it in %d", ErrPayload, v, want, got)
		}
	}
	return nil
}

func (p *Payload) word(address int) *uint32 {
	return (*uint32)(unsafe.Pointer(&p.memory[address]))
}
