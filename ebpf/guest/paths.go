// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/loops"
	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/paths"
	"vcpulab/ebpf/probe"
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
	if p.Ops < 1 || p.Ops > measure.MaxPathOps || p.Repeat < 1 {
		return fmt.Errorf("parameters: expected 1 to %d operations, at least once, found %+v", measure.MaxPathOps, p)
	}
	if p.Break == nil {
		p.Break = &measure.PathBreak{}
	}
	m := &pathMeter{guest: g, params: p}
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
	for _, passes := range []uint32{1, 2} {
		if _, err := dev.Run(loops.Run{Passes: passes, Numbers: []int32{0}}); err != nil {
			return 0, err
		}
	}
	calls, err := m.probe.Calls()
	if err != nil {
		return 0, err
	}
	if len(calls) != 2 {
		return 0, fmt.Errorf("expected 2 calls, found %d", len(calls))
	}
	return 2*calls[0] - calls[1], m.probe.Release()
}

// measure measures all paths on one VM.
func (m *pathMeter) measure(shape measure.VM) (err error) {
	vm, err := newPathVM(shape, m.params.Break.Deaf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vm.close()) }()
	if err := m.guest.sample(measure.TypeStart, vm.start); err != nil {
		return err
	}
	for _, p := range measure.AllPaths {
		if err := m.path(vm, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// load is what a path is measured with.
type load struct {
	// do does so many operations, check looks whether KVM did what it was
	// asked for in all that were done until now, up to most in one go.
	do    func(count int) error
	check func(most int) error
}

func (p *pathVM) load(path measure.Path) (load, error) {
	switch path {
	case measure.PathIPI:
		return p.broadcast(), nil
	}
	return load{}, errors.New("this guest program does not know it")
}

// path measures one path.
func (m *pathMeter) path(vm *pathVM, path measure.Path) error {
	l, err := vm.load(path)
	if err != nil {
		return err
	}
	s := measure.PathSample{VM: vm.shape, Path: path, Function: path.Function(), Ops: m.params.Ops, Bracket: m.bracket}
	timed := func(count int) (int64, error) {
		began := monotonic()
		err := l.do(count)
		return monotonic() - began, err
	}
	// What is done once only is done now.
	if _, err := timed(1); err != nil {
		return err
	}
	for range m.params.Repeat {
		once, err := timed(s.Ops)
		if err != nil {
			return err
		}
		twice, err := timed(2 * s.Ops)
		if err != nil {
			return err
		}
		s.Once, s.Twice = append(s.Once, once), append(s.Twice, twice)
	}
	if err := m.probe.Bracket(s.Function, unix.Gettid(), m.params.Break.Without); err != nil {
		return err
	}
	if _, err := timed(s.Ops); err != nil {
		return err
	}
	if s.Calls, err = m.probe.Calls(); err != nil {
		return err
	}
	if len(s.Calls) != s.Ops {
		return fmt.Errorf("%w: %d operations called %s %d times", probe.ErrMissed, s.Ops, s.Function, len(s.Calls))
	}
	if err := m.probe.Release(); err != nil {
		return err
	}
	if err := l.check(2 * s.Ops); err != nil {
		return err
	}
	return m.guest.sample(measure.TypePath, s)
}

// The vectors of IPIs: 2 * measure.MaxPathOps from each on.
const (
	broadcastVector = 0x20
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
			want := vectorsOf(broadcastVector, most)
			for i := range p.vcpus {
				got, err := p.pending(i)
				if err != nil {
					return err
				}
				if i == 0 {
					want := vectors{}
					if got != want {
						return fmt.Errorf("%w: expected no IPI at its sender, found vectors %x", paths.ErrPayload, got)
					}
				} else if got != want {
					return fmt.Errorf("%w: vCPU %d: expected IPIs with vectors %x, found %x", paths.ErrPayload, i, want, got)
				}
			}
			return nil
		},
	}
}
