// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/loops"
	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/probe"
	"vcpulab/ebpf/wire"
)

// measureVMs creates the VMs that the job asks for, one after the other, and
// sends what the creations and the lookups cost.
func measureVMs(out *wire.Encoder, p measure.Params) error {
	if err := raiseFileLimit(); err != nil {
		return err
	}
	// The probes tell threads apart.
	runtime.LockOSThread()
	if err := blockPreemption(); err != nil {
		return err
	}
	dev, err := loops.Open()
	if err != nil {
		return err
	}
	defer dev.Close()
	sizes, err := dev.Sizes()
	if err != nil {
		return err
	}
	samples := &sender{out: out}
	samples.send(measure.Sample{Sizes: &sizes})
	clock := measure.Clock{Before: settledClock()}
	if vms := slices.Concat(p.VMs, p.Counted); len(vms) > 0 {
		if err := (&meter{sender: samples, params: p, dev: dev}).measure(vms); err != nil {
			return err
		}
	}
	if p.Stalls != nil {
		if err := measureStalls(samples, *p.Stalls); err != nil {
			return fmt.Errorf("stalls: %w", err)
		}
	}
	if p.Paths != nil {
		if err := measurePaths(samples, dev, *p.Paths); err != nil {
			return fmt.Errorf("paths: %w", err)
		}
	}
	clock.After = clockSource()
	samples.send(measure.Sample{Clock: &clock})
	return samples.err
}

// blockPreemption blocks the signal by which Go's runtime preempts a thread that has
// run for 10 ms: KVM breaks off some calls while a signal is pending, and
// KVM_RESET_DIRTY_RINGS then returns as if there had been nothing to do.
func blockPreemption() error {
	urgent := unix.Sigset_t{}
	urgent.Val[0] = 1 << (unix.SIGURG - 1)
	return os.NewSyscallError("block SIGURG", unix.PthreadSigmask(unix.SIG_BLOCK, &urgent, nil))
}

// meter is what a measurement is made with. All probes stay attached: loading them
// takes an emulated guest longer than all its measurements.
type meter struct {
	*sender
	params measure.Params
	dev    *loops.Device
	probe  *probe.Probe
}

// measure creates VMs, of which those that are only to be counted come last.
func (m *meter) measure(vms []measure.VM) (err error) {
	if m.probe, err = probe.Attach(probe.Lookups, measure.Break{}); err != nil {
		return err
	}
	if err := m.probe.Watch(unix.Gettid()); err != nil {
		return err
	}
	for i, vm := range vms {
		if err := withVM(func(v *virtualMachine) error { return m.measureVM(v, vm, i < len(m.params.VMs)) }); err != nil {
			return fmt.Errorf("%v: %w", vm, err)
		}
	}
	return errors.Join(m.probe.Check(), m.probe.Close())
}

// measureVM creates the VM's vCPUs, counts its memory and, unless that is all that
// is asked for, runs the loops on it.
func (m *meter) measureVM(vm *virtualMachine, shape measure.VM, all bool) error {
	create, err := m.createVCPUs(vm, shape)
	if err != nil {
		return err
	}
	if all {
		m.send(measure.Sample{Create: &create})
	}
	if err := m.dev.Bind(vm.fd); err != nil {
		return err
	}

	if !m.params.NoMemory {
		memory, err := m.dev.Memory(shape)
		if err != nil {
			return err
		}
		m.send(measure.Sample{Memory: &memory})
	}
	if !all {
		return m.dev.Bind(loops.Unbind)
	}
	for _, r := range m.params.RunsOf(shape) {
		s, err := m.measureLoop(r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Loop.Op, err)
		}
		m.send(measure.Sample{Loop: &s})
	}
	return m.dev.Bind(loops.Unbind)
}

func (m *meter) createVCPUs(vm *virtualMachine, shape measure.VM) (measure.Create, error) {
	out := measure.Create{VM: shape}
	for _, id := range shape.IDs.Of(shape.VCPUs) {
		if err := vm.createVCPU(id); err != nil {
			return out, err
		}
		s, err := m.probe.NextSpan()
		if err != nil {
			return out, err
		}
		if s.Kind != probe.SpanCreate || s.Arg != uint64(id) || s.Ret < 0 {
			return out, fmt.Errorf("%w: expected the creation of vCPU %d, found that of %d, which returned %d",
				wire.ErrProbeMissed, id, s.Arg, s.Ret)
		}
		probe.AddCreation(&out, s)
	}
	return out, nil
}

// measureLoop runs a loop with N and with 2N passes, after a run that tells how large
// N should be. Under icount N is the same in every boot.
func (m *meter) measureLoop(l measure.Run) (measure.Loop, error) {
	out := l.Loop
	warm, err := m.run(l, 1)
	if err != nil {
		return out, err
	}
	out.Passes = m.params.Passes(warm)
	out.Once, out.Twice, err = runTwice(m.params.Repeat, out.Passes, func(passes int) (int64, error) { return m.run(l, passes) })
	return out, err
}

// runTwice calls run with n and with 2n in turn, repeat times, and returns its results.
func runTwice(repeat, n int, run func(int) (int64, error)) (once, twice []int64, err error) {
	for i := range 2 * repeat {
		t, err := run(n << (i % 2))
		if err != nil {
			return nil, nil, err
		}
		if i%2 == 0 {
			once = append(once, t)
		} else {
			twice = append(twice, t)
		}
	}
	return once, twice, nil
}

func (m *meter) run(l measure.Run, passes int) (int64, error) {
	sum, err := m.dev.Run(l, passes)
	if err != nil {
		return 0, err
	}
	e, err := m.probe.NextLoop()
	if err != nil {
		return 0, err
	}
	if e.Op != uint64(l.Number()) || e.Nr != uint64(len(l.Numbers)) || e.Passes != uint64(passes) || e.Checksum != sum {
		return 0, fmt.Errorf("%w: the event is of another run: %+v", wire.ErrProbeMissed, e)
	}
	return int64(e.Nanos), nil
}

// settledClock returns the clock source once the kernel has made up its mind: on x86 it
// replaces the first after a second, when it knows how long a cycle is.
func settledClock() string {
	for tries := 0; tries < 100 && strings.HasSuffix(clockSource(), "-early"); tries++ {
		time.Sleep(50 * time.Millisecond)
	}
	return clockSource()
}

// raiseFileLimit makes room for a descriptor a vCPU, and makes the table of
// descriptors grow to that size now: it waits for a grace period each time it
// doubles, which would show up in KVM_CREATE_VCPU.
func raiseFileLimit() error {
	const want = 8192
	lim := unix.Rlimit{Cur: want, Max: want}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w", want, err)
	}
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, want-1)
	if err != nil {
		return fmt.Errorf("grow the table of descriptors to %d: %w", want, err)
	}
	return unix.Close(fd)
}

func clockSource() string {
	return readLine("/sys/devices/system/clocksource/clocksource0/current_clocksource")
}
