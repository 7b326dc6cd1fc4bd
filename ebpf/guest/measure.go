// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
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
func measureVMs(ctx context.Context, g *guest, job wire.Job) (err error) {
	var p measure.Params
	if err := job.Decode(&p); err != nil {
		return err
	}
	if p.LoopNanos < 1 || p.Repeat < 1 || p.MaxNumbers < 1 {
		return fmt.Errorf("%w: expected positive numbers, found %+v", wire.ErrInvalid, p)
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	// The probes tell threads apart.
	runtime.LockOSThread()

	dev, err := loops.Open()
	if err != nil {
		return err
	}
	defer dev.Close()
	kvm, vcpu, err := dev.Sizes()
	if err != nil {
		return err
	}
	if err := g.sample(measure.TypeSizes, measure.Sizes{KVM: kvm, VCPU: vcpu}); err != nil {
		return err
	}
	clock := measure.Clock{Before: settledClock(ctx)}
	m, err := newMeter(p, dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	for _, vm := range p.VMs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.measure(g, vm); err != nil {
			return fmt.Errorf("%v: %w", vm, err)
		}
	}
	for _, vm := range p.Counted {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.count(g, vm); err != nil {
			return fmt.Errorf("%v: %w", vm, err)
		}
	}
	if err := errors.Join(m.check(), m.close()); err != nil {
		return err
	}
	if p.Stalls != nil {
		if err := measureStalls(g, *p.Stalls); err != nil {
			return fmt.Errorf("stalls: %w", err)
		}
	}
	if p.Paths != nil {
		if err := measurePaths(g, dev, *p.Paths); err != nil {
			return fmt.Errorf("paths: %w", err)
		}
	}
	clock.After = clockSource()
	return g.sample(measure.TypeClock, clock)
}

// meter is what a measurement is made with. Both groups of probes are attached
// all the time: neither is on the path of what the other measures, and loading
// them takes an emulated guest longer than all that it measures.
type meter struct {
	params    measure.Params
	dev       *loops.Device
	loops     *probe.Loops
	creations *probe.Creations
}

func newMeter(p measure.Params, dev *loops.Device) (*meter, error) {
	l, err := probe.AttachLoops()
	if err != nil {
		return nil, err
	}
	c, err := probe.AttachCreations()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &meter{p, dev, l, c}, nil
}

func (m *meter) check() error { return errors.Join(m.loops.Check(), m.creations.Check()) }
func (m *meter) close() error { return errors.Join(m.loops.Close(), m.creations.Close()) }

// measure creates a VM, runs the loops on it and destroys it.
func (m *meter) measure(g *guest, shape measure.VM) (err error) {
	vm, err := newVM()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vm.close()) }()

	create, err := m.createVCPUs(vm, shape)
	if err != nil {
		return err
	}
	if err := g.sample(measure.TypeCreate, create); err != nil {
		return err
	}
	if err := m.dev.Bind(vm.fd); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.dev.Bind(loops.Unbind)) }()

	if err := m.memory(g, shape); err != nil {
		return err
	}
	for _, l := range m.params.RunsOf(shape) {
		s, err := m.loop(l)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Loop.Op, err)
		}
		if err := g.sample(measure.TypeLoop, s); err != nil {
			return err
		}
	}
	return nil
}

// count creates a VM, counts its memory and destroys it.
func (m *meter) count(g *guest, shape measure.VM) (err error) {
	vm, err := newVM()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vm.close()) }()

	if _, err := m.createVCPUs(vm, shape); err != nil {
		return err
	}
	if err := m.dev.Bind(vm.fd); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.dev.Bind(loops.Unbind)) }()
	return m.memory(g, shape)
}

// memory sends what the VM takes that the device is bound to.
func (m *meter) memory(g *guest, shape measure.VM) error {
	if m.params.NoMemory {
		return nil
	}
	v, err := m.dev.Memory(shape.VCPUs)
	if err != nil {
		return err
	}
	return g.sample(measure.TypeMemory, measure.Memory{
		VM: shape, Container: v.Container, Objects: v.Objects, KVM: v.KVM, VCPU: v.VCPU,
	})
}

// createVCPUs fills the VM.
func (m *meter) createVCPUs(vm *virtualMachine, shape measure.VM) (measure.Create, error) {
	out := measure.Create{VM: shape}
	for _, id := range shape.IDs.Of(shape.VCPUs) {
		if err := vm.createVCPU(id); err != nil {
			return out, err
		}
		c, err := m.creations.Next()
		if err != nil {
			return out, err
		}
		if c.ID != uint64(id) || c.Ret < 0 {
			return out, fmt.Errorf("%w: expected the creation of vCPU %d, found that of %d, which returned %d",
				probe.ErrMissed, id, c.ID, c.Ret)
		}
		c.AddTo(&out)
	}
	return out, nil
}

// loop runs a loop with N and with 2N passes, after a run that tells how large
// N should be. Under icount N is the same in every boot.
func (m *meter) loop(l measure.Run) (measure.Loop, error) {
	out := l.Loop
	warm, err := m.run(l, 1)
	if err != nil {
		return out, err
	}
	out.Passes = m.params.Passes(warm)
	for range m.params.Repeat {
		once, err := m.run(l, out.Passes)
		if err != nil {
			return out, err
		}
		twice, err := m.run(l, 2*out.Passes)
		if err != nil {
			return out, err
		}
		out.Once, out.Twice = append(out.Once, once), append(out.Twice, twice)
	}
	return out, nil
}

// run runs the loop once and returns what the probe saw, in nanoseconds.
func (m *meter) run(l measure.Run, passes int) (int64, error) {
	op := uint32(slices.Index(measure.Ops, l.Loop.Op))
	sum, err := m.dev.Run(loops.Run{Op: op, Passes: uint32(passes), Numbers: l.Numbers, Found: uint32(l.Found)})
	if err != nil {
		return 0, err
	}
	e, err := m.loops.Next()
	if err != nil {
		return 0, err
	}
	if e.Op != uint64(op) || e.Nr != uint64(len(l.Numbers)) || e.Passes != uint64(passes) || e.Checksum != sum {
		return 0, fmt.Errorf("%w: the event is of another run: %+v", probe.ErrMissed, e)
	}
	return e.Time.Nanoseconds(), nil
}

// settledClock returns the clock source once the kernel has made up its mind:
// on x86 it starts with one that it replaces after a second, when it knows
// how long a cycle is.
func settledClock(ctx context.Context) string {
	for range 100 {
		if !strings.HasSuffix(clockSource(), "-early") {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
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
