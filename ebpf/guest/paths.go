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
	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/probe"
	"vcpulab/ebpf/wire"
)

// pathMeter measures what lookups cost where KVM uses them.
type pathMeter struct {
	*sender
	params  measure.Paths
	probe   *probe.Probe
	bracket int64 // what an empty one takes
}

// measurePaths has guests do what KVM looks vCPUs up for, and sends what that costs.
func measurePaths(s *sender, dev *loops.Device, p measure.Paths) (err error) {
	m := &pathMeter{sender: s, params: p}

	// A vCPU that moves to another processor has its TLB flushed for that.
	if err := pin(); err != nil {
		return err
	}
	if m.probe, err = probe.Load(probe.Paths, 0); err != nil {
		return err
	}

	begin := func() error { return m.probe.Bracket(probe.EmptyFunction, unix.Gettid(), nil) }
	if m.bracket, err = measureEmpty(dev, begin, m.probe.Calls); err != nil {
		return fmt.Errorf("an empty bracket: %w", err)
	}
	if err := m.probe.Release(); err != nil {
		return err
	}
	for _, vm := range p.VMs {
		if err := m.measureVM(vm); err != nil {
			return fmt.Errorf("%v: %w", vm, err)
		}
	}
	return m.probe.Close()
}

// measureEmpty returns what a bracket takes around a function that does nothing:
// the loop that looks nothing up, extrapolated to no pass. From begin on that is
// bracketed, and calls returns how long each took.
func measureEmpty(dev *loops.Device, begin func() error, calls func() ([]int64, error)) (int64, error) {
	const emptyRuns = 15 // of which the median counts
	vm, err := newVM()
	if err != nil {
		return 0, err
	}
	if err := vm.createVCPU(0); err != nil {
		return 0, err
	}
	if err := dev.Bind(vm.fd); err != nil {
		return 0, err
	}
	if err := begin(); err != nil {
		return 0, err
	}
	for range emptyRuns {
		for passes := 1; passes <= 2; passes++ {
			if _, err := dev.Run(measure.Run{Loop: measure.Loop{Shape: measure.Shape{Op: measure.Nop}}, Numbers: []int32{0}}, passes); err != nil {
				return 0, err
			}
		}
	}
	nanos, err := calls()
	if err != nil {
		return 0, err
	}
	if len(nanos) != 2*emptyRuns {
		return 0, fmt.Errorf("%w: expected %d calls, found %d", wire.ErrProbeMissed, 2*emptyRuns, len(nanos))
	}

	var empty []int64
	for pair := range slices.Chunk(nanos, 2) {
		empty = append(empty, 2*pair[0]-pair[1])
	}
	slices.Sort(empty)
	return empty[len(empty)/2], errors.Join(dev.Bind(loops.Unbind), vm.close())
}

func pin() error {
	var now unix.CPUSet
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return fmt.Errorf("processor of the thread: %w", errno)
	}
	now.Set(int(cpu))
	if err := unix.SchedSetaffinity(0, &now); err != nil {
		return fmt.Errorf("keep the thread on processor %d: %w", cpu, err)
	}
	return nil
}

func (m *pathMeter) measureVM(shape measure.VM) error {
	vm, err := newPathVM(shape, m.params.Break.Deaf)
	if err != nil {
		return err
	}
	rest(m.params.SettleNanos)

	for _, p := range shape.Paths() {
		if err := m.measurePath(vm, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	start, saved, err := vm.start, []vcpuState(nil), error(nil)
	if m.params.Restore {
		saved, err = vm.save()
	}
	if err := errors.Join(err, vm.close()); err != nil {
		return err
	}
	if m.params.Restore {
		if start.Restored, err = restore(shape, saved); err != nil {
			return fmt.Errorf("restoring it: %w", err)
		}
	}
	m.send(measure.Sample{Start: &start})
	return nil
}

// load is what a path is measured with. All but do may be nil.
type load struct {
	// do does so many operations.
	do func(count int) error
	// checkRun tells whether KVM did what it was asked for in the last run of
	// so many operations. end tells whether it did in all runs, of most at most, and
	// closes what the load has of its own.
	checkRun func(count int) error
	end      func(most int) error
}

var loads = map[measure.Path]func(vm *pathVM, ops int) (load, error){
	measure.PathRequest:   requestAll,
	measure.PathYield:     yield,
	measure.PathIPI:       broadcast,
	measure.PathHyperVIPI: hyperVIPI,
	measure.PathSynIC:     synIC,
	measure.PathXenSend:   xenSend,
	measure.PathXenIoctl:  xenIoctl,
	measure.PathDirtyRing: dirtyRing,
}

func (m *pathMeter) measurePath(vm *pathVM, path measure.Path) error {
	s := measure.PathSample{VM: vm.start.VM, Path: path, Function: measure.PathFunctions[path], Ops: m.params.Ops, Bracket: m.bracket}
	l, err := loads[path](vm, s.Ops)
	if err != nil {
		return err
	}

	// Do now what is done only once.
	if _, err := m.run(l, 1); err != nil {
		return err
	}
	s.Once, s.Twice, err = runTwice(m.params.Repeat, s.Ops, func(ops int) (int64, error) { return m.run(l, ops) })
	if err != nil {
		return err
	}
	if err := m.measureCalls(&s, l); err != nil {
		return err
	}
	if l.end != nil {
		if err := l.end(2 * s.Ops); err != nil {
			return err
		}
	}
	m.send(measure.Sample{Path: &s})
	return nil
}

func (m *pathMeter) measureCalls(s *measure.PathSample, l load) (err error) {
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

	if s.Calls, err = m.probe.Calls(); err != nil {
		return err
	}
	if want := s.Ops * m.params.Repeat; len(s.Calls) != want {
		return fmt.Errorf("%w: %d operations called %s %d times", wire.ErrProbeMissed, want, s.Function, len(s.Calls))
	}
	return m.probe.Release()
}

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

// rest does nothing for so long, which Go's runtime takes for computing.
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

// The first vectors of 2 * measure.MaxPathOps interrupts, or of one: the last two.
const (
	broadcastVector = 0x20
	hyperVVector    = 0x60
	synICVector     = 0xa0
	autoVector      = 0xa1
)

// broadcast sends IPIs to all vCPUs but the first, each with a vector of its own.
func broadcast(p *pathVM, _ int) (load, error) {
	const icrAssert, icrAllButSelf = 1 << 14, 3 << 18 // of the interrupt command register
	return load{
		do: func(count int) error {
			return p.do(payload.EntryIPI, count, payload.Registers{AX: icrAllButSelf | icrAssert | broadcastVector}, 0)
		},
		end: func(most int) error {
			for i := range p.wanted[1:] {
				p.wanted[1+i].add(broadcastVector, most)
			}
			return p.checkPending()
		},
	}, nil
}
