// SPDX-License-Identifier: GPL-2.0-only

// Package probe holds the eBPF programs that measure, loads them and makes samples
// of what they saw.
//
// A Probe has the programs of one Group: Creations brackets the ioctls of a VM,
// Lookups the loops of vcpuloops.ko too, Stalls says what threads waited for, and
// Paths brackets functions of KVM one at a time. AttachFunction brackets any other.
//
// The generated files are committed: building the project takes no clang. They have
// no build constraint, so that the program of the guest builds for big-endian
// processors too, where nothing is measured and loading the object fails.
package probe

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -cflags "-O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu" -type loop_event -type span -type span_kind -type thread -type gaps -type gap_class -type wait -type deferral bpf probe.bpf.c -- -fdebug-prefix-map=$PWD=.
//go:generate sed -i -e "1i // SPDX-License-Identifier: GPL-2.0-only" -e "/^.*go:build /d" bpf_bpfel.go

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// Group is a set of programs that are loaded together, in the order in which they
// are attached: what a program at an end needs, the one at the beginning has
// prepared, so ends come first. What a group costs is a part of what is measured:
// a program that is added to one changes figures.
type Group struct {
	name     string
	programs []string
}

// The groups.
var (
	// Creations brackets the ioctls of a VM, and in them kvm_arch_vcpu_create() and
	// waits for grace periods. KVM must be loaded.
	Creations = Group{"KVM_CREATE_VCPU", brackets(append([]string{"vm_ioctl", "arch_create"}, measure.Waits[:]...)...)}

	// Lookups is Creations, and brackets the loops of vcpuloops.ko, which must be
	// loaded, too: neither is on the path of what the other measures.
	Lookups = Group{"the loops and KVM_CREATE_VCPU", slices.Concat(brackets(measure.Ops...), Creations.programs)}

	// Stalls is Creations, with all that makes a thread wait, and brackets from
	// the exit of a vCPU to its next entry.
	Stalls = Group{"threads that may wait", slices.Concat(
		[]string{"sched_switch", "contention_end", "vcpu_entry"},
		Creations.programs,
		[]string{
			"call_rcu_entry", "call_srcu_entry", "kvfree_call_rcu_entry", "__kvm_vcpu_kick_entry", "contention_begin",
			"userspace_exit", "vcpu_halt_entry", "vcpu_exit",
		},
	)}

	// Beside is Stalls for a thread that creates vCPUs beside one that does not run. It
	// leaves out what frees memory later: with local APICs each creation does, and each
	// time an interrupt may hit the program and do so, too, which the program misses then.
	Beside = Group{"a thread that creates vCPUs", slices.Concat(
		[]string{"sched_switch", "contention_end"}, Creations.programs, []string{"__kvm_vcpu_kick_entry", "contention_begin"},
	)}

	// Paths is for Probe.Bracket. KVM and vcpuloops.ko must be loaded.
	Paths = Group{"functions of KVM", brackets(pathFunctions...)}

	// function brackets a function that is named later, see AttachFunction.
	function = Group{"a function", brackets("function")}
)

// The ends of the names of programs that bracket a function.
const (
	entrySuffix = "_entry"
	exitSuffix  = "_exit"
)

func brackets[S ~string](functions ...S) []string {
	var programs []string
	for _, suffix := range []string{exitSuffix, entrySuffix} {
		for _, f := range functions {
			programs = append(programs, string(f)+suffix)
		}
	}
	return programs
}

// Probe is a group of programs in the kernel.
type Probe struct {
	spec   *ebpf.CollectionSpec
	coll   *ebpf.Collection
	links  []link.Link
	reader *ringbuf.Reader
}

// Attach loads the programs of a group and attaches them, but for what broken
// leaves out. The error is wire.ErrAttach.
func Attach(g Group, broken measure.Break) (*Probe, error) {
	p, err := Load(g, broken.Ring)
	if err != nil {
		return nil, err
	}
	for _, name := range broken.Without {
		if !slices.Contains(g.programs, name) {
			return nil, errors.Join(fmt.Errorf("%w to %s: no program %s to leave out", wire.ErrAttach, g.name, name), p.Close())
		}
	}
	for _, name := range g.programs {
		if slices.Contains(broken.Without, name) {
			continue
		}
		if err := p.attach(name); err != nil {
			return nil, errors.Join(fmt.Errorf("%w to %s: %w", wire.ErrAttach, g.name, err), p.Close())
		}
	}
	return p, nil
}

// Load loads the programs of a group, and the maps that they use, and attaches none. Ring
// is the size of the ring buffer, 0 that of the object. The error is wire.ErrAttach.
func Load(g Group, ring int) (*Probe, error) { return load(g, ring, "") }

// load is Load, for programs that are attached to a function unless to is "".
func load(g Group, ring int, to string) (_ *Probe, err error) {
	p := &Probe{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w to %s: %w", wire.ErrAttach, g.name, err), p.Close())
		}
	}()

	spec, err := loadBpf()
	if err != nil {
		return nil, err
	}
	if err := choose(spec, g); err != nil {
		return nil, err
	}
	for _, program := range spec.Programs {
		program.AttachTo = cmp.Or(to, program.AttachTo)
	}
	events := spec.Maps[bpfMapEvents]
	if events != nil && ring != 0 {
		events.MaxEntries = uint32(ring)
	}

	p.spec = spec
	if p.coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, err
	}
	if events != nil {
		p.reader, err = ringbuf.NewReader(p.coll.Maps[bpfMapEvents])
	}
	return p, err
}

// choose leaves the programs of a group in spec, and the maps that they use.
func choose(spec *ebpf.CollectionSpec, g Group) error {
	programs, maps := make(map[string]*ebpf.ProgramSpec), make(map[string]*ebpf.MapSpec)
	for _, name := range g.programs {
		program := spec.Programs[name]
		if program == nil {
			return fmt.Errorf("no program %s in the object", name)
		}
		programs[name] = program
		for _, instruction := range program.Instructions {
			if m := spec.Maps[instruction.Reference()]; m != nil {
				maps[instruction.Reference()] = m
			}
		}
	}
	spec.Programs, spec.Maps = programs, maps
	return nil
}

func (p *Probe) attach(name string) error {
	program := p.coll.Programs[name]
	var l link.Link
	var err error
	if program.Type() == ebpf.Tracing {
		l, err = link.AttachTracing(link.TracingOptions{Program: program})
	} else {
		l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: p.spec.Programs[name].AttachTo, Program: program})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.links = append(p.links, l)
	return nil
}

// NextLoop returns the next loop that ran, see next.
func (p *Probe) NextLoop() (e Loop, err error) {
	return e, p.next(&e)
}

// NextSpan returns the next ioctl of a watched thread, see next.
func (p *Probe) NextSpan() (e Span, err error) {
	return e, p.next(&e)
}

// next reads the next event. It must be in the buffer, as it is before the loop
// or the ioctl returns to user space: else it was lost.
func (p *Probe) next(event any) error {
	p.reader.SetDeadline(time.Now().Add(time.Second))
	r, err := p.reader.Read()
	if err != nil {
		return fmt.Errorf("%w: no event: %w", wire.ErrProbeMissed, err)
	}
	return binary.Read(bytes.NewReader(r.RawSample), binary.LittleEndian, event)
}

// Check returns a wire.ErrProbeMissed if a program was skipped or an event lost.
func (p *Probe) Check() error {
	var lost uint64
	if err := p.coll.Variables[bpfVarLostEvents].Get(&lost); err != nil {
		return fmt.Errorf("read %s: %w", bpfVarLostEvents, err)
	}

	skipped := make(map[string]uint64)
	for name, program := range p.coll.Programs {
		s, err := program.Stats()
		if err != nil {
			return fmt.Errorf("statistics of %s: %w", name, err)
		}
		skipped[name] = s.RecursionMisses
	}
	return checkMissed(lost, skipped)
}

// checkMissed returns a wire.ErrProbeMissed if an event was lost, or if a program
// skipped a call: the kernel runs no program on a processor that runs it already.
func checkMissed(lost uint64, skipped map[string]uint64) error {
	var missed []string
	if lost != 0 {
		missed = append(missed, fmt.Sprintf("%d events found no room", lost))
	}
	for name, n := range skipped {
		if n != 0 {
			missed = append(missed, fmt.Sprintf("%s skipped %d calls", name, n))
		}
	}
	if len(missed) == 0 {
		return nil
	}
	slices.Sort(missed)
	return fmt.Errorf("%w: %s", wire.ErrProbeMissed, strings.Join(missed, ", "))
}

// Release detaches the programs.
func (p *Probe) Release() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	p.links = nil
	return errors.Join(errs...)
}

// Close detaches the programs and unloads them. It may be called twice.
func (p *Probe) Close() error {
	errs := []error{p.Release()}
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

// EmptyFunction is the function whose bracket is almost empty: the loop of
// vcpuloops.ko that looks nothing up.
const EmptyFunction = "vcpuloops_nop"

// pathFunctions are those that can be bracketed one at a time: a bracket in
// another one would be measured with it.
var pathFunctions = append([]string{EmptyFunction}, slices.Compact(slices.Sorted(maps.Values(measure.PathFunctions)))...)

// Bracket brackets a function, instead of the one before, for the calls of a thread.
// Without are the ends of the names of programs that are not attached, see measure.Break.
func (p *Probe) Bracket(function string, tid int, without []string) error {
	if err := p.Release(); err != nil {
		return err
	}
	for name, v := range map[string]uint32{bpfVarCalls: 0, bpfVarCaller: uint32(tid)} {
		if err := p.coll.Variables[name].Set(v); err != nil {
			return fmt.Errorf("bracket %s: %w", function, err)
		}
	}

	for _, suffix := range []string{exitSuffix, entrySuffix} {
		if slices.Contains(without, suffix) {
			continue
		}
		if err := p.attach(function + suffix); err != nil {
			return errors.Join(fmt.Errorf("bracket %s: %w: %w", function, wire.ErrAttach, err), p.Release())
		}
	}
	return nil
}

// Calls returns how long each call took since Bracket, in nanoseconds of the
// kernel's clock. The error is wire.ErrProbeMissed if a program was skipped or
// there were more calls than are kept.
func (p *Probe) Calls() ([]int64, error) {
	var calls uint32
	var nanos [measure.MaxCalls]uint64
	if err := errors.Join(p.coll.Variables[bpfVarCalls].Get(&calls), p.coll.Variables[bpfVarCallNanos].Get(&nanos)); err != nil {
		return nil, fmt.Errorf("read the calls: %w", err)
	}
	if calls > measure.MaxCalls {
		return nil, fmt.Errorf("%w: %d calls, of which %d are kept", wire.ErrProbeMissed, calls, measure.MaxCalls)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}

	out := make([]int64, calls)
	for i := range out {
		out[i] = int64(nanos[i])
	}
	return out, nil
}
