// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"vcpulab/ebpf/wire"
)

// AttachFunction brackets a function of the kernel or a module. The error is wire.ErrAttach.
func AttachFunction(name string) (*Probe, error) {
	const ring = 4 << 20 // for 262,144 calls, 16 bytes each
	p, err := load(function, ring, name)
	if err != nil {
		return nil, err
	}
	for _, program := range function.programs {
		if err := p.attach(program); err != nil {
			return nil, errors.Join(fmt.Errorf("%w to %s: %w", wire.ErrAttach, name, err), p.Close())
		}
	}
	return p, nil
}

// FunctionCalls detaches from the function and returns how long each call took. The error
// is wire.ErrProbeMissed if not every call was seen by itself from entry to return.
func (p *Probe) FunctionCalls() ([]int64, error) {
	// First from its entry: who is in it is seen to return.
	slices.Reverse(p.links)
	if err := p.Release(); err != nil {
		return nil, err
	}
	var c functionCount
	if err := errors.Join(
		p.coll.Variables[bpfVarFunctionEntries].Get(&c.entries),
		p.coll.Variables[bpfVarFunctionReturns].Get(&c.returns),
		p.coll.Variables[bpfVarFunctionNested].Get(&c.nested),
	); err != nil {
		return nil, fmt.Errorf("read the calls: %w", err)
	}
	// After a program was skipped the counts say nothing.
	if err := cmp.Or(p.Check(), c.check()); err != nil {
		return nil, err
	}

	// The programs wake no reader up.
	if err := p.reader.Flush(); err != nil {
		return nil, fmt.Errorf("read the calls: %w", err)
	}
	nanos := make([]int64, c.returns)
	for i := range nanos {
		if err := p.next(&nanos[i]); err != nil {
			return nil, fmt.Errorf("call %d of %d: %w", i+1, len(nanos), err)
		}
	}
	return nanos, nil
}

// functionCount is what the programs have seen of a function.
type functionCount struct{ entries, returns, nested uint32 }

func (c functionCount) check() error {
	switch {
	case c.nested > 0:
		return fmt.Errorf("%w: %d began before the task's last one had returned: the function calls itself, or interrupts call it", wire.ErrProbeMissed, c.nested)
	case c.entries != c.returns:
		return fmt.Errorf("%w: %d began and %d returned", wire.ErrProbeMissed, c.entries, c.returns)
	}
	return nil
}
