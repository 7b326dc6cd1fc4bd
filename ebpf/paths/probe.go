// SPDX-License-Identifier: GPL-2.0-only

package paths

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/probe"
)

// MaxCalls is how many calls a Probe keeps at a time.
const MaxCalls = measure.MaxCalls

// Empty is the function whose bracket is as good as empty: the loop of
// vcpuloops.ko that looks nothing up.
const Empty = "vcpuloops_nop"

// Probe brackets functions of KVM, one at a time: a bracket within another
// would be measured with it.
type Probe struct {
	coll  *ebpf.Collection
	links []link.Link
	funcs []string
}

// Load loads the programs and attaches none. KVM and vcpuloops.ko must be
// loaded.
func Load() (*Probe, error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, err
	}
	p := &Probe{funcs: functions(spec)}
	if p.coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, fmt.Errorf("load the brackets: %w", err)
	}
	return p, nil
}

// functions lists those that can be bracketed.
func functions(spec *ebpf.CollectionSpec) []string {
	var all []string
	for name := range spec.Programs {
		if f, ok := strings.CutSuffix(name, entrySuffix); ok {
			all = append(all, f)
		}
	}
	return all
}

// The ends of the programs' names.
const (
	entrySuffix = "_entry"
	exitSuffix  = "_exit"
)

// Bracket brackets a function, in the place of the one before, for the calls
// that a thread makes. Without is the end of the name of a program that is not
// attached, to see that it is noticed; "" is for all others.
func (p *Probe) Bracket(function string, tid int, without string) (err error) {
	if err := p.Release(); err != nil {
		return err
	}
	for name, v := range map[string]uint32{bpfVarCalls: 0, bpfVarWatched: uint32(tid)} {
		if err := p.coll.Variables[name].Set(v); err != nil {
			return fmt.Errorf("bracket %s: %w", function, err)
		}
	}
	// What the exit needs, the entry has prepared: attach the exit first.
	for _, suffix := range []string{exitSuffix, entrySuffix} {
		if suffix == without {
			continue
		}
		program := p.coll.Programs[function+suffix]
		if program == nil {
			return fmt.Errorf("bracket %s: there is no program %s", function, function+suffix)
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: program})
		if err != nil {
			return errors.Join(fmt.Errorf("bracket %s: %w", function, err), p.Release())
		}
		p.links = append(p.links, l)
	}
	return nil
}

// Calls returns how long each call took since Bracket, in nanoseconds of the
// kernel's clock. The error is probe.ErrMissed if a program was skipped or there
// were more calls than are kept.
func (p *Probe) Calls() ([]int64, error) {
	var calls uint32
	var nanos [MaxCalls]uint64
	if err := errors.Join(p.coll.Variables[bpfVarCalls].Get(&calls), p.coll.Variables[bpfVarNanos].Get(&nanos)); err != nil {
		return nil, fmt.Errorf("read the calls: %w", err)
	}
	if calls > MaxCalls {
		return nil, fmt.Errorf("%w: %d calls, of which %d are kept", probe.ErrMissed, calls, MaxCalls)
	}
	for name, program := range p.coll.Programs {
		s, err := program.Stats()
		if err != nil {
			return nil, fmt.Errorf("statistics of %s: %w", name, err)
		}
		if s.RecursionMisses != 0 {
			return nil, fmt.Errorf("%w: %s skipped %d calls", probe.ErrMissed, name, s.RecursionMisses)
		}
	}
	out := make([]int64, calls)
	for i := range out {
		out[i] = int64(nanos[i])
	}
	return out, nil
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

// Close detaches the programs and unloads them.
func (p *Probe) Close() error {
	err := p.Release()
	p.coll.Close()
	return err
}
