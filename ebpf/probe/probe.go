// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// ErrMissed means that a program did not run for every call of its function,
// or that an event found no room. What was measured is no result then.
var ErrMissed = wire.ErrProbeMissed

// ErrAttach means that a program was not loaded or attached: the kernel has not
// what that takes, or not the function.
var ErrAttach = wire.ErrAttach

// NumWaits is how many functions wait for a grace period: enum wait in
// probe.bpf.c, whose names are measure.Waits.
const NumWaits = len(measure.Waits)

// The functions that each group brackets: those of a group have their fentry
// program in <name>_entry and their fexit program in <name>_exit.
var (
	loopFuncs   = []string{"nop", "get", "by_id", "walk"}
	createFuncs = []string{
		"vm_ioctl", "arch_create", "synchronize_rcu", "synchronize_rcu_expedited",
		"synchronize_srcu", "synchronize_srcu_expedited",
	}
)

// Loops brackets the loops of vcpuloops.ko.
type Loops struct{ group }

// Creations brackets KVM_CREATE_VCPU.
type Creations struct{ group }

// Loop is one run of one loop.
type Loop struct {
	Op       uint64        // enum vcpuloops_op
	Nr       uint64        // numbers in a pass
	Passes   uint64        // passes over the numbers
	Time     time.Duration // from entry to return; under icount 1 ns is an instruction
	Checksum uint64        // what the loop returned
}

// Creation is one KVM_CREATE_VCPU.
type Creation struct {
	ID       uint64                  // the vcpu_id asked for
	Ret      int32                   // descriptor or negative errno
	Time     time.Duration           // of the whole ioctl
	ArchTime time.Duration           // of kvm_arch_vcpu_create()
	Waits    [NumWaits]uint64        // grace periods waited for
	WaitTime [NumWaits]time.Duration // and for how long
}

// AttachLoops loads and attaches the programs around the loops. The module
// vcpuloops.ko must be loaded, the kernel must have BTF for modules.
func AttachLoops() (*Loops, error) {
	g, err := attach(loopFuncs)
	if err != nil {
		return nil, fmt.Errorf("%w to the loops: %w", ErrAttach, err)
	}
	return &Loops{*g}, nil
}

// AttachCreations loads and attaches the programs around KVM_CREATE_VCPU. KVM
// must be loaded.
func AttachCreations() (*Creations, error) {
	g, err := attach(createFuncs)
	if err != nil {
		return nil, fmt.Errorf("%w to KVM_CREATE_VCPU: %w", ErrAttach, err)
	}
	return &Creations{*g}, nil
}

// AddTo appends the creation to a sample.
func (p Creation) AddTo(c *measure.Create) {
	c.Nanos = append(c.Nanos, p.Time.Nanoseconds())
	c.ArchNanos = append(c.ArchNanos, p.ArchTime.Nanoseconds())
	for w, n := range p.Waits {
		if n == 0 {
			continue
		}
		if c.Waits == nil {
			c.Waits, c.WaitNanos = make(map[string]uint64), make(map[string]int64)
		}
		c.Waits[measure.Waits[w]] += n
		c.WaitNanos[measure.Waits[w]] += p.WaitTime[w].Nanoseconds()
	}
}

// Next returns the next loop that ran. It fails when there is none: an event
// is in the buffer before the loop's caller goes on.
func (l *Loops) Next() (Loop, error) {
	var e bpfLoopEvent
	if err := l.next(&e); err != nil {
		return Loop{}, err
	}
	return Loop{Op: e.Op, Nr: e.Nr, Passes: e.Passes, Time: time.Duration(e.Nanos), Checksum: e.Checksum}, nil
}

// Next returns the next creation, as Loops.Next does for loops.
func (c *Creations) Next() (Creation, error) {
	var e bpfCreateEvent
	if err := c.next(&e); err != nil {
		return Creation{}, err
	}
	out := Creation{
		ID: e.Id, Ret: e.Ret, Time: time.Duration(e.Nanos), ArchTime: time.Duration(e.ArchNanos),
		Waits: e.Waits,
	}
	for i, n := range e.WaitNanos {
		out.WaitTime[i] = time.Duration(n)
	}
	return out, nil
}

// group is a set of programs with their own ring buffer.
type group struct {
	coll   *ebpf.Collection
	links  []link.Link
	reader *ringbuf.Reader
}

func attach(funcs []string) (_ *group, err error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, err
	}
	programs := make(map[string]*ebpf.ProgramSpec)
	for _, f := range funcs {
		for _, name := range []string{f + "_entry", f + "_exit"} {
			if programs[name] = spec.Programs[name]; programs[name] == nil {
				return nil, fmt.Errorf("no program %s in the object", name)
			}
		}
	}
	spec.Programs = programs

	g := &group{}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, err
	}
	if g.reader, err = ringbuf.NewReader(g.coll.Maps[bpfMapEvents]); err != nil {
		return nil, err
	}
	// What a function's exit needs, its entry has prepared: attach exits first.
	for _, suffix := range []string{"_exit", "_entry"} {
		for _, f := range funcs {
			l, err := link.AttachTracing(link.TracingOptions{Program: g.coll.Programs[f+suffix]})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f+suffix, err)
			}
			g.links = append(g.links, l)
		}
	}
	return g, nil
}

func (g *group) next(event any) error {
	// The event is there already, or it was lost.
	g.reader.SetDeadline(time.Now().Add(time.Second))
	r, err := g.reader.Read()
	if err != nil {
		return fmt.Errorf("%w: no event: %w", ErrMissed, err)
	}
	return binary.Read(bytes.NewReader(r.RawSample), binary.LittleEndian, event)
}

// Check returns an ErrMissed if a program was skipped or an event lost.
func (g *group) Check() error {
	var lost uint64
	if err := g.coll.Variables[bpfVarLostEvents].Get(&lost); err != nil {
		return fmt.Errorf("read %s: %w", bpfVarLostEvents, err)
	}
	skipped := make(map[string]uint64)
	for name, p := range g.coll.Programs {
		info, err := p.Stats()
		if err != nil {
			return fmt.Errorf("statistics of %s: %w", name, err)
		}
		skipped[name] = info.RecursionMisses
	}
	return complete(lost, skipped)
}

// complete returns an ErrMissed if an event was lost, or if a program skipped a
// call: the kernel does not run one while it runs on that processor already.
func complete(lost uint64, skipped map[string]uint64) error {
	if lost != 0 {
		return fmt.Errorf("%w: %d events found no room", ErrMissed, lost)
	}
	for name, n := range skipped {
		if n != 0 {
			return fmt.Errorf("%w: %s skipped %d calls", ErrMissed, name, n)
		}
	}
	return nil
}

// Close detaches the programs. It may be called twice.
func (g *group) Close() error {
	var errs []error
	for _, l := range g.links {
		errs = append(errs, l.Close())
	}
	g.links = nil
	if g.reader != nil {
		errs = append(errs, g.reader.Close())
		g.reader = nil
	}
	if g.coll != nil {
		g.coll.Close()
		g.coll = nil
	}
	return errors.Join(errs...)
}
