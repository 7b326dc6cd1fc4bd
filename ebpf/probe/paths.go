// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// EmptyFunction is the function whose bracket is almost empty: the loop of
// vcpuloops.ko that looks nothing up.
const EmptyFunction = "vcpuloops_nop"

// pathFunctions are those that can be bracketed one at a time: a bracket in
// another one would be measured with it.
var pathFunctions = append([]string{EmptyFunction}, slices.Compact(slices.Sorted(maps.Values(measure.PathFunctions)))...)

// Bracket brackets a function, instead of the one before, for the calls that a
// thread makes. Without are the ends of the names of programs that are not attached,
// see measure.Break.
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
