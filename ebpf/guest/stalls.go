// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/payload"
	"vcpulab/ebpf/probe"
	"vcpulab/ebpf/wire"
)

// The slot that is added and deleted, and where. The payload's is slot 0.
const (
	extraSlot    = 1
	extraAddress = 1 << 30
)

// What a phase has at its ends beyond what goes on in it: a gap that is under way when
// something begins or ends is in the phase of it.
const (
	settleNanos = 200_000
	settleGaps  = 4      // that there must be by then
	settleTries = 10_000 // of waiting for them
)

type stallMeter struct {
	*sender
	params  measure.Stalls
	probe   *probe.Probe
	symbols probe.Symbols
	page    []byte // of the extra slot
}

// measureStalls has VMs grow, with and without a vCPU that runs, and sends what
// the creator and the vCPU waited for.
func measureStalls(s *sender, p measure.Stalls) error {
	m := &stallMeter{sender: s, params: p}

	kallsyms, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer kallsyms.Close()
	if m.symbols, err = probe.ReadSymbols(kallsyms); err != nil {
		return err
	}
	if m.page, err = sharedMemory(os.Getpagesize()); err != nil {
		return err
	}
	if m.probe, err = probe.Attach(probe.Stalls, p.Break); err != nil {
		return err
	}

	if p.Devices > 0 {
		for _, devices := range []int{p.Devices, 0} {
			setup, err := m.setUp(devices)
			if err != nil {
				return fmt.Errorf("setting a VM with %d ioeventfds up: %w", devices, err)
			}
			m.send(measure.Sample{Setup: setup})
		}
	}
	if err := withVM(func(vm *virtualMachine) error {
		growth, err := m.grow(vm, "")
		if err != nil {
			return fmt.Errorf("growing a VM that is idle: %w", err)
		}
		m.send(measure.Sample{Growth: growth})
		return nil
	}); err != nil {
		return err
	}

	actions := []action{
		{phase: measure.Before, do: pause(p.QuietNanos)},
		{phase: measure.During, do: func(vm *virtualMachine) (*measure.Growth, error) { return m.grow(vm, measure.During) }},
		{phase: measure.After, do: pause(p.QuietNanos)},
	}
	if err := m.watch(actions); err != nil {
		return err
	}
	// The controls: nothing for as long, another VM, and memory slots besides.
	if err := withVM(func(other *virtualMachine) error {
		return m.watch([]action{
			{phase: measure.None, do: pause(actions[1].took)},
			{phase: measure.Other, do: func(*virtualMachine) (*measure.Growth, error) { return m.grow(other, measure.Other) }},
			{phase: measure.Slots, do: func(vm *virtualMachine) (*measure.Growth, error) { return m.grow(vm, measure.Slots) }},
		})
	}); err != nil {
		return err
	}
	if err := errors.Join(m.probe.Check(), m.probe.Close()); err != nil {
		return err
	}

	if m.probe, err = probe.Attach(probe.Beside, measure.Break{Ring: p.Break.Ring}); err != nil {
		return err
	}
	for _, phase := range []measure.Phase{measure.Halted, measure.Stuck} {
		growth, err := m.growBeside(phase)
		if err != nil {
			return fmt.Errorf("growing a VM with a vCPU that is %s: %w", phase, err)
		}
		m.send(measure.Sample{Growth: growth})
	}
	return errors.Join(m.probe.Check(), m.probe.Close())
}

func withVM(f func(*virtualMachine) error) error {
	vm, err := newVM()
	if err != nil {
		return err
	}
	return errors.Join(f(vm), vm.close())
}

func (m *stallMeter) vm() measure.VM { return measure.VM{VCPUs: m.params.VCPUs, IDs: measure.Dense} }

// grow creates the vCPUs of a VM that the phase has not yet, and may change memory
// slots between.
func (m *stallMeter) grow(vm *virtualMachine, phase measure.Phase) (*measure.Growth, error) {
	from, slots := phase.GrowsFrom(), phase == "" || phase == measure.Slots
	tid := unix.Gettid()
	if err := m.probe.Watch(tid); err != nil {
		return nil, err
	}
	for n := from; n <= m.params.VCPUs; n++ {
		if err := vm.createVCPU(n - 1); err != nil {
			return nil, err
		}
		if !slots || !measure.SlotsChange(n) {
			continue
		}
		for _, memory := range [][]byte{m.page, nil, m.page, nil} {
			if err := vm.setMemory(extraSlot, 0, extraAddress, memory); err != nil {
				return nil, err
			}
		}
	}
	if _, _, err := m.probe.Forget(tid); err != nil {
		return nil, err
	}

	// Read the events now: it would be in the way before.
	g := &measure.Growth{VM: m.vm(), Phase: phase}
	for n := from; n <= m.params.VCPUs; n++ {
		create, err := m.nextCall(probe.SpanCreate)
		if err != nil {
			return nil, fmt.Errorf("creation of vCPU %d: %w", n-1, err)
		}
		g.Create = append(g.Create, create)
		if !slots || !measure.SlotsChange(n) {
			continue
		}
		var calls [4]measure.Call
		for i := range calls {
			if calls[i], err = m.nextCall(probe.SpanMemslot); err != nil {
				return nil, fmt.Errorf("change of a slot after vCPU %d: %w", n-1, err)
			}
		}
		// The other two delete the slot.
		g.Slots = append(g.Slots, measure.SlotCalls{VCPU: n, After: calls[0], Control: calls[2]})
	}
	return g, nil
}

// nextCall reads the next ioctl, which must be of that kind and have succeeded.
func (m *stallMeter) nextCall(kind uint64) (measure.Call, error) {
	s, err := m.probe.NextSpan()
	if err != nil {
		return measure.Call{}, err
	}
	if s.Kind != kind || s.Ret < 0 {
		return measure.Call{}, fmt.Errorf("%w: expected kind %d, found %d, which returned %d", wire.ErrProbeMissed, kind, s.Kind, s.Ret)
	}
	return probe.NewCall(s, m.symbols), nil
}

// action is what goes on in a phase, to the vCPU's VM or beside it.
type action struct {
	phase measure.Phase
	do    func(*virtualMachine) (*measure.Growth, error)
	took  int64 // in nanoseconds, once it is done
}

func pause(nanos int64) func(*virtualMachine) (*measure.Growth, error) {
	return func(*virtualMachine) (*measure.Growth, error) { sleep(nanos); return nil, nil }
}

// newSpinningVM creates a VM with one vCPU that is ready for the loop of exits,
// after the payload has shown that it sorts right.
func newSpinningVM() (*virtualMachine, error) {
	vm, err := newPayloadVM([]int{0})
	if err != nil {
		return nil, err
	}
	if err := protectedMode(vm.vcpus[0], payload.EntrySort); err != nil {
		return nil, err
	}
	if err := vm.payload.CheckSort(vm.runLong); err != nil {
		return nil, err
	}
	return vm, setEntry(vm.vcpus[0], payload.EntrySpin)
}

func (m *stallMeter) watch(actions []action) error {
	vm, err := newSpinningVM()
	if err != nil {
		return err
	}

	// The vCPU's thread is watched before it runs the vCPU.
	tid, ended := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		tid <- unix.Gettid()
		<-tid
		if m.params.Break.Idle {
			ended <- nil
			return
		}
		ended <- vm.runLong()
	}()
	runner := <-tid
	if err := m.probe.Watch(runner); err != nil {
		return err
	}
	tid <- runner

	growths, err := m.act(vm, actions)
	vm.payload.Stop()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	for _, g := range growths {
		m.send(measure.Sample{Growth: g})
	}
	return errors.Join(m.sendGaps(vm, actions, runner), vm.close())
}

func (m *stallMeter) act(vm *virtualMachine, actions []action) (growths []*measure.Growth, err error) {
	if err := m.enter(vm, 0); err != nil {
		return nil, err
	}
	for i := range actions {
		a, start := &actions[i], monotonic()
		if err := m.enter(vm, i+1); err != nil {
			return nil, fmt.Errorf("phase %s: %w", a.phase, err)
		}
		g, err := a.do(vm)
		if err == nil {
			err = settle(vm, i+1)
		}
		if err != nil {
			return nil, fmt.Errorf("phase %s: %w", a.phase, err)
		}
		a.took = monotonic() - start
		if g != nil {
			growths = append(growths, g)
		}
	}
	return growths, m.enter(vm, 0)
}

// enter begins a phase, of which 0 is what is between the actions.
func (m *stallMeter) enter(vm *virtualMachine, phase int) error {
	vm.payload.SetPhase(phase)
	if err := m.probe.SetPhase(phase); err != nil {
		return err
	}
	return settle(vm, phase)
}

func (m *stallMeter) sendGaps(vm *virtualMachine, actions []action, runner int) error {
	khz, err := kvmGetTSCKHz.do(vm.vcpus[0], 0)
	if err != nil {
		return err
	}
	exits, entries, err := m.probe.Forget(runner)
	if err != nil {
		return err
	}
	var samples []measure.Gaps
	sum := uint64(0)
	for phase := range len(actions) + 1 {
		g, err := m.probe.TakeGaps(phase)
		if err != nil {
			return err
		}
		s := probe.NewGaps(g, m.symbols)
		sum += s.All
		if phase == 0 {
			continue
		}
		s.VM, s.Phase, s.Nanos = m.vm(), actions[phase-1].phase, actions[phase-1].took
		s.Guest = vm.payload.Gaps(phase)
		s.Guest.KHz = int64(khz)
		samples = append(samples, s)
	}

	for _, s := range samples {
		s.Exits, s.Entries, s.All = exits, entries, sum
		m.send(measure.Sample{Gaps: &s})
	}
	return nil
}

// settle waits until the payload has seen some more gaps in this phase.
func settle(vm *virtualMachine, phase int) error {
	seen := vm.payload.Count(phase)
	for range settleTries {
		sleep(settleNanos)
		if vm.payload.Count(phase) >= seen+settleGaps {
			return nil
		}
	}
	return fmt.Errorf("%w: the vCPU does not run", wire.ErrPayload)
}

// sleep sleeps in the kernel: a timer of Go's would wake up threads of it.
func sleep(nanos int64) {
	left := unix.NsecToTimespec(nanos)
	for errors.Is(unix.Nanosleep(&left, &left), unix.EINTR) {
	}
}
