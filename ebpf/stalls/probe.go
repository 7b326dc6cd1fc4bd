// SPDX-License-Identifier: GPL-2.0-only

package stalls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/probe"
)

// NumPhases is how many phases the probe tells apart.
const NumPhases = 8

// Class says how a gap ended up as long as it is: the first one that holds.
type Class int

// The classes of a gap, as enum gap_class in stalls.bpf.c.
const (
	ClassUser      Class = iota // the vCPU went to user space
	ClassHalted                 // it had nothing to do
	ClassBlocked                // its thread waited for something: a stall
	ClassPreempted              // the scheduler ran another thread
	ClassRan                    // none of these
	NumClasses
)

// NumDeferrals is how many functions free memory after a grace period: enum
// deferral in stalls.bpf.c, whose names are measure.Deferrals.
const NumDeferrals = len(measure.Deferrals)

// Kind is what a span is, as enum span_kind.
type Kind uint64

// The spans that are sent one by one.
const (
	KindCreate  Kind = 1 // KVM_CREATE_VCPU
	KindMemslot Kind = 2 // KVM_SET_USER_MEMORY_REGION
)

// Span is an ioctl from entry to return, or a gap between the exit of a vCPU
// and its next entry. Times are in nanoseconds of the kernel's clock; under
// icount one is an instruction, or a nanosecond that an idle processor waited
// for its timer.
type Span struct {
	Kind      Kind
	Arg       uint64 // of the ioctl
	Ret       int64
	Nanos     uint64
	ArchNanos uint64 // in kvm_arch_vcpu_create()
	// Preempted is how often the scheduler ran another thread, Blocked how
	// often the thread waited for something; each with the time that the
	// thread did not run.
	Preempted, PreemptedNanos uint64
	Blocked, BlockedNanos     uint64
	// Contended are the locks that somebody else held.
	Contended, ContendedNanos uint64
	Waits                     [probe.NumWaits]uint64 // grace periods waited for
	WaitNanos                 [probe.NumWaits]uint64
	Deferred                  [NumDeferrals]uint64
	// Longest is the longest time that the thread was blocked, Stack where
	// in the kernel it was then.
	Longest uint64
	Stack   []uint64
}

// Gaps are the gaps between exit and entry of a phase.
type Gaps struct {
	Count   [NumClasses]uint64
	Nanos   [NumClasses]uint64
	Largest [NumClasses]uint64
	Longest Span                       // of those that were blocked
	Ran     [measure.NumBuckets]uint64 // by length, those of ClassRan
}

// Runs is how often a thread's vCPU left the guest and entered it.
type Runs struct{ Exits, Entries uint64 }

// Probe watches threads.
type Probe struct {
	coll   *ebpf.Collection
	links  []link.Link
	reader *ringbuf.Reader
}

// Attach loads the programs and attaches them, but for what the Break leaves out.
// KVM must be loaded.
func Attach(o measure.Break) (_ *Probe, err error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, err
	}
	if o.Ring != 0 {
		spec.Maps[bpfMapEvents].MaxEntries = uint32(o.Ring)
	}
	for _, name := range o.Without {
		if spec.Programs[name] == nil {
			return nil, fmt.Errorf("watch for stalls: there is no program %s to leave out", name)
		}
		delete(spec.Programs, name)
	}
	p := &Probe{}
	defer func() {
		if err != nil {
			err = fmt.Errorf("watch for stalls: %w", errors.Join(err, p.Close()))
		}
	}()
	if p.coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, err
	}
	if p.reader, err = ringbuf.NewReader(p.coll.Maps[bpfMapEvents]); err != nil {
		return nil, err
	}
	// What the end of a span needs, its beginning has prepared: attach the
	// beginnings last.
	names := make([]string, 0, len(spec.Programs))
	for name := range spec.Programs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if first := begins(a); first != begins(b) {
			if first {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		l, err := attach(spec.Programs[name], p.coll.Programs[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		p.links = append(p.links, l)
	}
	return p, nil
}

// begins says that the program is at the beginning of a span or of something
// in it.
func begins(program string) bool {
	return program != "vcpu_entry" && (strings.HasSuffix(program, "_entry") ||
		strings.HasSuffix(program, "_begin") || program == "vcpu_exit")
}

func attach(spec *ebpf.ProgramSpec, p *ebpf.Program) (link.Link, error) {
	switch spec.Type {
	case ebpf.Tracing:
		return link.AttachTracing(link.TracingOptions{Program: p})
	case ebpf.RawTracepoint:
		return link.AttachRawTracepoint(link.RawTracepointOptions{Name: spec.AttachTo, Program: p})
	}
	return nil, fmt.Errorf("a program of type %v", spec.Type)
}

// AskBucket is an ioctl for a VM that KVM does not know. The programs answer it
// with the bucket of its argument.
const AskBucket = 0x7600

// CheckBuckets compares the buckets of the programs, as the kernel runs them,
// with those of measure.Bucket, at every seam. ask does the ioctl AskBucket. The error
// is probe.ErrMissed if they are not the same.
func (p *Probe) CheckBuckets(ask func(value uint64)) error {
	answer := p.coll.Variables[bpfVarAskedBucket]
	return compareBuckets(func(v uint64) (got uint64, err error) {
		ask(v)
		err = answer.Get(&got)
		return got, err
	})
}

func compareBuckets(bucket func(uint64) (uint64, error)) error {
	for _, v := range measure.Seams() {
		got, err := bucket(v)
		if err != nil {
			return fmt.Errorf("bucket of %d: %w", v, err)
		}
		if want := measure.Bucket(v); got != uint64(want) {
			return fmt.Errorf("%w: expected %d in bucket %d, found it in %d", probe.ErrMissed, v, want, got)
		}
	}
	return nil
}

// Watch begins to watch a thread, which is known to no other call by then.
func (p *Probe) Watch(tid int) error {
	if err := p.coll.Maps[bpfMapThreads].Update(uint32(tid), &bpfThread{}, ebpf.UpdateNoExist); err != nil {
		return fmt.Errorf("watch thread %d: %w", tid, err)
	}
	return nil
}

// Forget ends watching a thread and returns how often its vCPU was run.
func (p *Probe) Forget(tid int) (Runs, error) {
	var t bpfThread
	if err := p.coll.Maps[bpfMapThreads].LookupAndDelete(uint32(tid), &t); err != nil {
		return Runs{}, fmt.Errorf("%w: thread %d: %w", probe.ErrMissed, tid, err)
	}
	return Runs{Exits: t.Exits, Entries: t.Entries}, nil
}

// SetPhase says to which phase gaps that end from now on belong.
func (p *Probe) SetPhase(phase int) error {
	return p.coll.Variables[bpfVarPhase].Set(uint32(phase))
}

// Take returns the gaps of a phase, and forgets them. The phase must be over.
func (p *Probe) Take(phase int) (Gaps, error) {
	var g bpfGaps
	m := p.coll.Maps[bpfMapPhases]
	if err := m.Lookup(uint32(phase), &g); err != nil {
		return Gaps{}, fmt.Errorf("gaps of phase %d: %w", phase, err)
	}
	if err := m.Put(uint32(phase), &bpfGaps{}); err != nil {
		return Gaps{}, fmt.Errorf("gaps of phase %d: %w", phase, err)
	}
	return Gaps{Count: g.Count, Nanos: g.Nanos, Largest: g.Largest, Longest: g.Longest.span(), Ran: g.Ran}, nil
}

// Next returns the next ioctl of a watched thread. It fails when there is
// none: it is in the buffer before the ioctl returns.
func (p *Probe) Next() (Span, error) {
	p.reader.SetDeadline(time.Now().Add(time.Second))
	r, err := p.reader.Read()
	if err != nil {
		return Span{}, fmt.Errorf("%w: no event: %w", probe.ErrMissed, err)
	}
	var e bpfSpan
	if err := binary.Read(bytes.NewReader(r.RawSample), binary.LittleEndian, &e); err != nil {
		return Span{}, err
	}
	return e.span(), nil
}

func (e *bpfSpan) span() Span {
	return Span{
		Kind: Kind(e.Kind), Arg: e.Arg, Ret: e.Ret, Nanos: e.Nanos, ArchNanos: e.ArchNanos,
		Preempted: e.Preempted, PreemptedNanos: e.PreemptedNanos,
		Blocked: e.Blocked, BlockedNanos: e.BlockedNanos,
		Contended: e.Contended, ContendedNanos: e.ContendedNanos,
		Waits: e.Waits, WaitNanos: e.WaitNanos, Deferred: e.Deferred,
		Longest: e.LongestNanos, Stack: slices.Clone(e.Stack[:min(int(e.Frames), len(e.Stack))]),
	}
}

// Check returns a probe.ErrMissed if a program was skipped or an event lost.
func (p *Probe) Check() error {
	var lost uint64
	if err := p.coll.Variables[bpfVarLostEvents].Get(&lost); err != nil {
		return fmt.Errorf("read %s: %w", bpfVarLostEvents, err)
	}
	misses := make(map[string]uint64)
	for name, program := range p.coll.Programs {
		s, err := program.Stats()
		if err != nil {
			return fmt.Errorf("statistics of %s: %w", name, err)
		}
		misses[name] = s.RecursionMisses
	}
	return missed(lost, misses)
}

// missed is what Check finds.
func missed(lost uint64, misses map[string]uint64) error {
	var all []string
	if lost != 0 {
		all = append(all, fmt.Sprintf("%d events found no room", lost))
	}
	for name, n := range misses {
		if n != 0 {
			all = append(all, fmt.Sprintf("%s skipped %d calls", name, n))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return fmt.Errorf("%w: %s", probe.ErrMissed, strings.Join(all, ", "))
}

// Close detaches the programs. It may be called twice.
func (p *Probe) Close() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	p.links = nil
	if p.reader != nil {
		errs = append(errs, p.reader.Close())
		p.reader = nil
	}
	if p.coll != nil {
		p.coll.Close()
		p.coll = nil
	}
	return errors.Join(errs...)
}
