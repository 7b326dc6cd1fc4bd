// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// What the programs send and keep, in nanoseconds of the kernel's clock. Under icount one
// is an instruction, or a nanosecond that an idle processor waited for its timer.
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
	if err = m.Lookup(uint32(phase), &g); err == nil {
		err = m.Put(uint32(phase), &Gaps{})
	}
	if err != nil {
		return g, fmt.Errorf("gaps of phase %d: %w", phase, err)
	}
	return g, nil
}

// AddCreation appends a span of KVM_CREATE_VCPU to a sample.
func AddCreation(c *measure.Create, s Span) {
	c.Nanos = append(c.Nanos, int64(s.Nanos))
	c.ArchNanos = append(c.ArchNanos, int64(s.ArchNanos))
	addWaits(&c.Waits, &c.WaitNanos, s)
}

// addWaits adds the waits of a span by name. Functions that were not called stay absent.
func addWaits(counts *map[string]uint64, nanos *map[string]int64, s Span) {
	for w, n := range s.Waits {
		if n == 0 {
			continue
		}
		if *counts == nil {
			*counts, *nanos = make(map[string]uint64), make(map[string]int64)
		}
		(*counts)[measure.Waits[w]] += n
		(*nanos)[measure.Waits[w]] += int64(s.WaitNanos[w])
	}
}

// NewCall returns the sample of a span.
func NewCall(s Span, symbols Symbols) measure.Call {
	c := measure.Call{
		Nanos: int64(s.Nanos), ArchNanos: int64(s.ArchNanos),
		Preempted: s.Preempted, PreemptedNanos: int64(s.PreemptedNanos),
		Blocked: s.Blocked, BlockedNanos: int64(s.BlockedNanos), LongestNanos: int64(s.LongestNanos),
		Contended: s.Contended, ContendedNanos: int64(s.ContendedNanos), Kicks: s.Kicks,
	}
	if s.Blocked > 0 {
		c.Stack = symbols.Names(s.Stack[:min(int(s.Frames), len(s.Stack))])
	}
	addWaits(&c.Waits, &c.WaitNanos, s)
	for d, n := range s.Deferred {
		if n == 0 {
			continue
		}
		if c.Deferred == nil {
			c.Deferred = make(map[string]uint64)
		}
		c.Deferred[measure.Deferrals[d]] = n
	}
	return c
}

// NewGaps returns the sample of the gaps of a phase, without what the vCPU saw.
func NewGaps(g Gaps, symbols Symbols) measure.Gaps {
	sum := func(class bpfGapClass) measure.GapSum {
		return measure.GapSum{Count: g.Count[class], Nanos: int64(g.Nanos[class]), Largest: int64(g.Largest[class])}
	}
	out := measure.Gaps{
		User:      sum(bpfGapClassGAP_USER),
		Halted:    sum(bpfGapClassGAP_HALTED),
		Blocked:   sum(bpfGapClassGAP_BLOCKED),
		Preempted: sum(bpfGapClassGAP_PREEMPTED),
		RanSum:    sum(bpfGapClassGAP_RAN),
		Ran:       measure.CountBuckets(g.Ran[:]),
	}
	for _, n := range g.Count {
		out.All += n
	}
	if out.Blocked.Count > 0 {
		c := NewCall(g.Longest, symbols)
		out.Longest = &c
	}
	return out
}

// Symbols knows the kernel's functions by address.
type Symbols []symbol

type symbol struct {
	address uint64
	name    string
}

// ReadSymbols reads /proc/kallsyms, without data.
func ReadSymbols(r io.Reader) (Symbols, error) {
	var all Symbols
	in := bufio.NewScanner(r)
	for in.Scan() {
		f := strings.Fields(in.Text())
		if len(f) < 3 || !strings.ContainsAny(f[1], "tTwW") {
			continue
		}
		address, err := strconv.ParseUint(f[0], 16, 64)
		if err != nil {
			return nil, fmt.Errorf("symbols of the kernel: %q: %w", in.Text(), err)
		}
		all = append(all, symbol{address, f[2]})
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("symbols of the kernel: %w", err)
	}
	slices.SortStableFunc(all, func(a, b symbol) int { return cmp.Compare(a.address, b.address) })
	return all, nil
}

// Names returns the functions of the addresses of a stack, the innermost first,
// without those of eBPF. An address below all functions is shown as a number.
func (s Symbols) Names(stack []uint64) []string {
	var out []string
	for _, address := range stack {
		// A return address may be the first of the next function, if the
		// call is the last thing that its function does.
		i, _ := slices.BinarySearchFunc(s, address, func(e symbol, a uint64) int { return cmp.Compare(e.address, a) })
		if i == 0 {
			out = append(out, fmt.Sprintf("%#x", address))
			continue
		}
		name := s[i-1].name
		if len(out) == 0 && strings.HasPrefix(name, "bpf_") || strings.HasPrefix(name, "bpf_trampoline_") {
			continue
		}
		out = append(out, name)
	}
	return out
}
