// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"

	"vcpulab/ebpf/wire"
)

// What the programs send and keep, in nanoseconds of the kernel's clock. Under
// icount one is an instruction, or a nanosecond that an idle processor waited for
// its timer. See the C types.
type (
	// Loop is one run of one loop.
	Loop = bpfLoopEvent
	// Span is an ioctl of a watched thread, or a gap.
	Span = bpfSpan
	// Gaps are the gaps of a phase.
	Gaps = bpfGaps
)

// Kinds of Span that NextSpan returns.
const (
	SpanCreate  = uint64(bpfSpanKindSPAN_CREATE)  // KVM_CREATE_VCPU
	SpanMemslot = uint64(bpfSpanKindSPAN_MEMSLOT) // KVM_SET_USER_MEMORY_REGION
)

// threadKey is the key of a thread of this process in the map of threads.
func threadKey(tid int) uint64 { return uint64(os.Getpid())<<32 | uint64(tid) }

// Watch begins to watch a thread of this process.
func (p *Probe) Watch(tid int) error {
	if err := p.coll.Maps[bpfMapThreads].Update(threadKey(tid), &bpfThread{}, ebpf.UpdateNoExist); err != nil {
		return fmt.Errorf("watch thread %d: %w", tid, err)
	}
	return nil
}

// Forget ends watching a thread and returns how often its vCPU left the guest and
// entered it. The error is wire.ErrProbeMissed if it was not watched.
func (p *Probe) Forget(tid int) (exits, entries uint64, err error) {
	var t bpfThread
	if err := p.coll.Maps[bpfMapThreads].LookupAndDelete(threadKey(tid), &t); err != nil {
		return 0, 0, fmt.Errorf("%w: thread %d: %w", wire.ErrProbeMissed, tid, err)
	}
	return t.Exits, t.Entries, nil
}

// SetPhase sets the phase of gaps that end from now on.
func (p *Probe) SetPhase(phase int) error {
	return p.coll.Variables[bpfVarPhase].Set(uint32(phase))
}

// TakeGaps returns the gaps of a phase and clears them. The phase must be over.
func (p *Probe) TakeGaps(phase int) (g Gaps, err error) {
	m := p.coll.Maps[bpfMapPhases]
	if err := m.Lookup(uint32(phase), &g); err != nil {
		return g, fmt.Errorf("gaps of phase %d: %w", phase, err)
	}
	if err := m.Put(uint32(phase), &Gaps{}); err != nil {
		return g, fmt.Errorf("gaps of phase %d: %w", phase, err)
	}
	return g, nil
}
