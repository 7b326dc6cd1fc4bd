// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/probe"
	"vcpulab/ebpf/stalls"
	"vcpulab/ebpf/wire"
)

// The slot that is added and deleted, and where. The payload's is slot 0.
const (
	extraSlot    = 1
	extraAddress = 1 << 30
)

// settleNanos is how long a phase lasts at its ends beyond what goes on in it:
// a gap that is under way when something begins or ends is in the phase of it.
// settleGaps is how many gaps there must be by then, settleTries how often to
// wait for them.
const (
	settleNanos = 200_000
	settleGaps  = 4
	settleTries = 10_000
)

// stallMeter looks for who waits while VMs grow.
type stallMeter struct {
	guest   *guest
	params  measure.Stalls
	probe   *stalls.Probe
	symbols stalls.Symbols
	page    []byte // of the extra slot
}

// measureStalls has VMs grow, with and without a vCPU that runs, and sends what
// the creator and the vCPU waited for.
func measureStalls(g *guest, p measure.Stalls) (err error) {
	if p.VCPUs < 2 || p.QuietNanos < 1 {
		return fmt.Errorf("%w: expected at least 2 vCPUs and some time, found %+v", wire.ErrInvalid, p)
	}
	m := &stallMeter{guest: g, params: p}
	kallsyms, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer kallsyms.Close()
	if m.symbols, err = stalls.ReadSymbols(kallsyms); err != nil {
		return err
	}
	if m.page, err = unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return fmt.Errorf("memory of a slot: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(m.page)) }()
	if p.Break == nil {
		m.params.Break = &measure.Break{}
	}
	if m.probe, err = stalls.Attach(*m.params.Break); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.probe.Close()) }()

	if err := m.checkBuckets(); err != nil {
		return err
	}
	if err := m.idle(); err != nil {
		return err
	}
	during, err := m.grow()
	if err != nil {
		return err
	}
	if err := m.controls(during); err != nil {
		return err
	}
	return m.probe.Check()
}

func (m *stallMeter) vm() measure.VM { return measure.VM{VCPUs: m.params.VCPUs, IDs: measure.Dense} }

// checkBuckets asks the programs for the bucket of each value that may be in the
// wrong one.
func (m *stallMeter) checkBuckets() (err error) {
	vm, err := newVM()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vm.close()) }()
	return m.probe.CheckBuckets(func(v uint64) {
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(vm.fd), stalls.AskBucket, uintptr(v)) // fails: KVM does not know it
	})
}

// idle grows a VM none of whose vCPUs runs.
func (m *stallMeter) idle() (err error) {
	vm, err := newVM()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vm.close()) }()
	g, err := m.fill(vm, 1, true)
	if err != nil {
		return fmt.Errorf("growing a VM that is idle: %w", err)
	}
	return m.guest.sample(measure.TypeGrowth, g)
}

// fill creates the vCPUs of a VM from the nth on, with changes of memory slots
// between them or without.
func (m *stallMeter) fill(vm *virtualMachine, from int, slots bool) (g measure.Growth, err error) {
	g.VM = m.vm()
	tid := unix.Gettid()
	if err := m.probe.Watch(tid); err != nil {
		return g, err
	}
	var changed []int
	for n := from; n <= m.params.VCPUs; n++ {
		if err := vm.createVCPU(n - 1); err != nil {
			return g, err
		}
		if !slots || !measure.SlotsChange(n) {
			continue
		}
		changed = append(changed, n)
		for range 2 {
			for _, memory := range [][]byte{m.page, nil} {
				if err := vm.setMemory(extraSlot, extraAddress, memory); err != nil {
					return g, err
				}
			}
		}
	}
	if _, err := m.probe.Forget(tid); err != nil {
		return g, err
	}
	// Reading the events in between would be one more thing that goes on.
	for n := from; n <= m.params.VCPUs; n++ {
		s, err := m.probe.Next()
		if err != nil {
			return g, err
		}
		if s.Kind != stalls.KindCreate || s.Arg != uint64(n-1) || s.Ret < 0 {
			return g, fmt.Errorf("%w: expected the creation of vCPU %d, found %+v", probe.ErrMissed, n-1, s)
		}
		g.Create = append(g.Create, stalls.NewCall(s, m.symbols))
		if !slices.Contains(changed, n) {
			continue
		}
		calls, err := m.slotCalls()
		if err != nil {
			return g, err
		}
		calls.VCPU = n
		g.Slots = append(g.Slots, calls)
	}
	return g, nil
}

// slotCalls reads the four changes of slots that follow a creation.
func (m *stallMeter) slotCalls() (measure.SlotCalls, error) {
	var all [4]measure.Call
	for i := range all {
		s, err := m.probe.Next()
		if err != nil {
			return measure.SlotCalls{}, err
		}
		if s.Kind != stalls.KindMemslot || s.Ret != 0 {
			return measure.SlotCalls{}, fmt.Errorf("%w: expected a change of a slot, found %+v", probe.ErrMissed, s)
		}
		all[i] = stalls.NewCall(s, m.symbols)
	}
	return measure.SlotCalls{After: all[0], Control: all[2]}, nil
}

// grow watches a vCPU before, while and after its VM grows, and returns how
// long that took.
func (m *stallMeter) grow() (during int64, err error) {
	took, err := m.watch([]action{
		{phase: measure.Before, nanos: m.params.QuietNanos},
		{phase: measure.During, do: func(vm *virtualMachine) (measure.Growth, error) { return m.fill(vm, 2, false) }},
		{phase: measure.After, nanos: m.params.QuietNanos},
	})
	if err != nil {
		return 0, err
	}
	return took[1], nil
}

// controls watches a vCPU while nothing happens for so long and while another VM
// grows, and then while its own does and memory slots change.
func (m *stallMeter) controls(nanos int64) (err error) {
	other, err := newVM()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.close()) }()
	_, err = m.watch([]action{
		{phase: measure.None, nanos: nanos},
		{phase: measure.Other, do: func(*virtualMachine) (measure.Growth, error) { return m.fill(other, 1, false) }},
		{phase: measure.Slots, do: func(vm *virtualMachine) (measure.Growth, error) { return m.fill(vm, 2, true) }},
	})
	return err
}

// action is what goes on in a phase: something that is done, or nothing for so
// long.
type action struct {
	phase measure.Phase
	nanos int64
	do    func(*virtualMachine) (measure.Growth, error)
}

// watch runs a vCPU while the actions are done, sends its gaps, and
// returns how long each action took.
func (m *stallMeter) watch(actions []action) (took []int64, err error) {
	vm, err := newVM()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, vm.close()) }()
	if err := vm.createVCPU(0); err != nil {
		return nil, err
	}
	vcpu, err := newRunning(vm)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, vcpu.close()) }()

	tid, ended := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		tid <- unix.Gettid()
		<-tid
		if m.params.Break.Idle {
			ended <- nil
			return
		}
		ended <- vcpu.run()
	}()
	runner := <-tid
	if err := m.probe.Watch(runner); err != nil {
		return nil, err
	}
	tid <- runner

	took, growths, err := m.act(vm, vcpu, actions)
	vcpu.payload.Stop()
	if err := errors.Join(err, <-ended); err != nil {
		return nil, err
	}
	runs, err := m.probe.Forget(runner)
	if err != nil {
		return nil, err
	}
	for _, g := range growths {
		if err := m.guest.sample(measure.TypeGrowth, g); err != nil {
			return nil, err
		}
	}
	return took, m.send(vcpu, actions, took, runs)
}

// act does the actions and returns how long each took.
func (m *stallMeter) act(vm *virtualMachine, vcpu *runningVCPU, actions []action) (took []int64, growths []measure.Growth, err error) {
	if err := settle(vcpu, 0); err != nil {
		return nil, nil, err
	}
	for i, a := range actions {
		start := monotonic()
		phase := i + 1
		if err := m.setPhase(vcpu, phase); err != nil {
			return nil, nil, err
		}
		if err := settle(vcpu, phase); err != nil {
			return nil, nil, fmt.Errorf("phase %s: %w", a.phase, err)
		}
		if a.do == nil {
			sleep(a.nanos)
		} else {
			g, err := a.do(vm)
			if err != nil {
				return nil, nil, fmt.Errorf("phase %s: %w", a.phase, err)
			}
			g.Running, g.Phase = true, a.phase
			growths = append(growths, g)
		}
		if err := settle(vcpu, phase); err != nil {
			return nil, nil, fmt.Errorf("phase %s: %w", a.phase, err)
		}
		took = append(took, monotonic()-start)
	}
	return took, growths, m.setPhase(vcpu, 0)
}

func (m *stallMeter) setPhase(vcpu *runningVCPU, phase int) error {
	vcpu.payload.SetPhase(phase)
	return m.probe.SetPhase(phase)
}

// send sends the gaps of all phases.
func (m *stallMeter) send(vcpu *runningVCPU, actions []action, took []int64, runs stalls.Runs) error {
	var out []measure.Gaps
	all := uint64(0)
	for phase := range len(actions) + 1 {
		g, err := m.probe.Take(phase)
		if err != nil {
			return err
		}
		for _, n := range g.Count {
			all += n
		}
		if phase == 0 {
			continue // what is between the others
		}
		s := stalls.NewGaps(g, vcpu.payload.Record(phase), m.symbols)
		s.VM, s.Phase, s.Nanos = m.vm(), actions[phase-1].phase, took[phase-1]
		s.Guest.KHz = vcpu.khz
		out = append(out, s)
	}
	for _, s := range out {
		s.Exits, s.Entries, s.All = runs.Exits, runs.Entries, all
		if err := m.guest.sample(measure.TypeGaps, s); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until the payload has seen some gaps more in this phase.
func settle(vcpu *runningVCPU, phase int) error {
	for seen, try := vcpu.payload.Count(phase), 0; try < settleTries; try++ {
		sleep(settleNanos)
		if vcpu.payload.Count(phase) >= seen+settleGaps {
			return nil
		}
	}
	return fmt.Errorf("%w: the vCPU does not run", stalls.ErrPayload)
}

// sleep sleeps in the kernel: a timer of Go's would wake up threads of it.
func sleep(nanos int64) {
	left := unix.NsecToTimespec(nanos)
	for errors.Is(unix.Nanosleep(&left, &left), unix.EINTR) {
	}
}
