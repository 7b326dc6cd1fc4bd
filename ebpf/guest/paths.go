// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/loops"
	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/paths"
	"vcpulab/ebpf/probe"
	"vcpulab/ebpf/wire"
)

// pathMeter measures what lookups are worth where KVM uses them.
type pathMeter struct {
	guest   *guest
	params  measure.Paths
	probe   *paths.Probe
	bracket int64
}

// measurePaths has guests do what KVM looks vCPUs up for, and sends what that
// costs.
func measurePaths(g *guest, dev *loops.Device, p measure.Paths) (err error) {
	if p.Ops < 1 || p.Ops > measure.MaxPathOps || p.Repeat < 1 || p.Repeat*p.Ops > measure.MaxCalls {
		return fmt.Errorf("%w: expected 1 to %d operations, at least once and %d in all, found %+v",
			wire.ErrInvalid, measure.MaxPathOps, measure.MaxCalls, p)
	}
	if p.Break == nil {
		p.Break = &measure.PathBreak{}
	}
	m := &pathMeter{guest: g, params: p}
	// A vCPU that moves to another processor has its TLB flushed for that.
	unpin, err := pin()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unpin()) }()
	if m.probe, err = paths.Load(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.probe.Close()) }()
	if m.bracket, err = m.empty(dev); err != nil {
		return fmt.Errorf("an empty bracket: %w", err)
	}
	for _, vm := range p.VMs {
		if err := m.measure(vm); err != nil {
			return fmt.Errorf("%v: %w", vm, err)
		}
	}
	return nil
}

// empty returns what a bracket takes around a function that does nothing: what
// is left of the loop that looks nothing up if it makes no pass.
func (m *pathMeter) empty(dev *loops.Device) (_ int64, err error) {
	vm, err := newVM()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, vm.close()) }()
	if err := vm.createVCPU(0); err != nil {
		return 0, err
	}
	if err := dev.Bind(vm.fd); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, dev.Bind(loops.Unbind)) }()
	if err := m.probe.Bracket(paths.Empty, unix.Gettid(), ""); err != nil {
		return 0, err
	}
	for range emptyRuns {
		for _, passes := range []uint32{1, 2} {
			if _, err := dev.Run(loops.Run{Passes: passes, Numbers: []int32{0}}); err != nil {
				return 0, err
			}
		}
	}
	calls, err := m.probe.Calls()
	if err != nil {
		return 0, err
	}
	if len(calls) != 2*emptyRuns {
		return 0, fmt.Errorf("%w: expected %d calls, found %d", probe.ErrMissed, 2*emptyRuns, len(calls))
	}
	var all []int64
	for i := 0; i < len(calls); i += 2 {
		all = append(all, 2*calls[i]-calls[i+1])
	}
	slices.Sort(all)
	return all[len(all)/2], m.probe.Release()
}

// emptyRuns is how often an empty bracket is measured: of times the median
// counts.
const emptyRuns = 15

// pin keeps the thread on the processor that it is on, until unpin is called.
func pin() (unpin func() error, err error) {
	var old, now unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return nil, fmt.Errorf("processors of the thread: %w", err)
	}
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return nil, fmt.Errorf("processor of the thread: %w", errno)
	}
	now.Set(int(cpu))
	if err := unix.SchedSetaffinity(0, &now); err != nil {
		return nil, fmt.Errorf("keep the thread on processor %d: %w", cpu, err)
	}
	return func() error { return unix.SchedSetaffinity(0, &old) }, nil
}

// measure measures all paths on VMs of one shape.
func (m *pathMeter) measure(shape measure.VM) (err error) {
	vm, err := newPathVM(shape, m.params.Break.Deaf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vm.close()) }()
	if err := m.guest.sample(measure.TypeStart, vm.start); err != nil {
		return err
	}
	rest(m.params.SettleNanos)
	for _, p := range measure.AllPaths {
		l, err := vm.load(p, m.params.Ops)
		if err == nil {
			err = m.path(shape, p, l)
		}
		if l.close != nil {
			err = errors.Join(err, l.close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// load is what a path is measured with. All but do may be nil.
type load struct {
	// do does so many operations.
	do func(count int) error
	// checkRun looks whether KVM did what it was asked for in the last run of
	// so many operations, check whether it did so in all runs, of most at
	// most.
	checkRun func(count int) error
	check    func(most int) error
	close    func() error
}

// load returns what a path is measured with, in runs of so many operations.
func (p *pathVM) load(path measure.Path, ops int) (load, error) {
	switch path {
	case measure.PathRequest:
		return p.requestAll()
	case measure.PathYield:
		return p.yield(), nil
	case measure.PathIPI:
		return p.broadcast(), nil
	case measure.PathHyperVIPI:
		return p.hyperVIPI(), nil
	case measure.PathSynIC:
		return p.synIC(ops)
	case measure.PathXenSend:
		return p.xenSend(ops)
	case measure.PathXenIoctl:
		return p.xenIoctl(ops), nil
	case measure.PathDirtyRing:
		return dirtyRing(p.shape)
	}
	return load{}, wire.ErrUnimplemented
}

// run does so many operations and returns how long that took.
func (m *pathMeter) run(l load, count int) (int64, error) {
	rest(m.params.QuietNanos)
	began := monotonic()
	if err := l.do(count); err != nil {
		return 0, err
	}
	took := monotonic() - began
	if l.checkRun != nil {
		return took, l.checkRun(count)
	}
	return took, nil
}

// rest does nothing for so long. Go's runtime is not told: it takes the thread
// for one that computes.
func rest(nanos int64) {
	for end := monotonic() + nanos; ; {
		left := end - monotonic()
		if left <= 0 {
			return
		}
		ts := unix.NsecToTimespec(left)
		// A signal may end it early.
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
}

// path measures one path.
func (m *pathMeter) path(shape measure.VM, path measure.Path, l load) error {
	s := measure.PathSample{VM: shape, Path: path, Function: path.Function(), Ops: m.params.Ops, Bracket: m.bracket}
	// What is done once only is done now.
	if _, err := m.run(l, 1); err != nil {
		return err
	}
	for range m.params.Repeat {
		once, err := m.run(l, s.Ops)
		if err != nil {
			return err
		}
		twice, err := m.run(l, 2*s.Ops)
		if err != nil {
			return err
		}
		s.Once, s.Twice = append(s.Once, once), append(s.Twice, twice)
	}
	if err := m.calls(&s, l); err != nil {
		return err
	}
	if l.check != nil {
		if err := l.check(2 * s.Ops); err != nil {
			return err
		}
	}
	return m.guest.sample(measure.TypePath, s)
}

// calls does runs with the function in brackets.
func (m *pathMeter) calls(s *measure.PathSample, l load) error {
	if err := m.probe.Bracket(s.Function, unix.Gettid(), m.params.Break.Without); err != nil {
		return err
	}
	count := s.Ops
	if m.params.Break.Lazy {
		count--
	}
	for range m.params.Repeat {
		if _, err := m.run(l, count); err != nil {
			return err
		}
	}
	var err error
	if s.Calls, err = m.probe.Calls(); err != nil {
		return err
	}
	if want := s.Ops * m.params.Repeat; len(s.Calls) != want {
		return fmt.Errorf("%w: %d operations called %s %d times", probe.ErrMissed, want, s.Function, len(s.Calls))
	}
	return m.probe.Release()
}

// The vectors of interrupts: 2 * measure.MaxPathOps from each on, but one of the
// SynIC's.
const (
	broadcastVector = 0x20
	hyperVVector    = 0x60
	synICVector     = 0xa0
	autoVector      = 0xa1
)

// Fields of the local APIC's interrupt command register.
const (
	icrAssert     = 1 << 14
	icrAllButSelf = 3 << 18
)

// broadcast sends IPIs to all vCPUs but the first, each with a vector of its
// own.
func (p *pathVM) broadcast() load {
	return load{
		do: func(count int) error {
			return p.do(paths.EntryIPI, count, paths.Registers{AX: icrAllButSelf | icrAssert | broadcastVector}, 0)
		},
		check: func(most int) error {
			for i := range p.wanted[1:] {
				p.wanted[1+i].add(broadcastVector, most)
			}
			return p.checkPending()
		},
	}
}
