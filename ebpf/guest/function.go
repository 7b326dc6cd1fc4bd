// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"vcpulab/ebpf/loops"
	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/probe"
	"vcpulab/ebpf/wire"
)

// functionMeter measures a function's calls while programs run; a nil one measures nothing.
type functionMeter struct {
	function string
	bracket  int64 // what an empty one takes
}

// newFunctionMeter returns a meter of a function, nil if that is "".
func newFunctionMeter(function string) (*functionMeter, error) {
	if function == "" {
		return nil, nil
	}
	if err := attachable("", function); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dev, err := loops.Open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()

	m := &functionMeter{function: function}
	var p *probe.Probe
	begin := func() (err error) { p, err = probe.AttachFunction(probe.EmptyFunction); return err }
	calls := func() ([]int64, error) { return p.FunctionCalls() }
	if m.bracket, err = measureEmpty(dev, begin, calls); err != nil {
		return nil, fmt.Errorf("an empty bracket: %w", err)
	}
	return m, p.Close()
}

// during returns the calls while run runs, which it may do several times.
func (m *functionMeter) during(run func() error) (*measure.Calls, error) {
	if m == nil {
		return nil, run()
	}
	nanos, err := unmissed(func() ([]int64, error) {
		p, err := probe.AttachFunction(m.function)
		if err != nil {
			return nil, err
		}
		if err := run(); err != nil {
			return nil, errors.Join(err, p.Close())
		}
		nanos, err := p.FunctionCalls()
		return nanos, errors.Join(err, p.Close())
	})
	return &measure.Calls{Nanos: nanos, Bracket: m.bracket}, err
}

// unmissed runs until no call was missed. A task may lose the processor in the middle of one
// of the bracket's programs: then the kernel runs it for no other task until it goes on.
func unmissed(run func() ([]int64, error)) (nanos []int64, err error) {
	for range wire.MaxRuns {
		if nanos, err = run(); !errors.Is(err, wire.ErrProbeMissed) {
			return nanos, err
		}
	}
	return nil, fmt.Errorf("in each of %d runs: %w", wire.MaxRuns, err)
}

// Files that say which functions there are.
const (
	symbolsFile   = "/proc/kallsyms"
	traceableFile = "/sys/kernel/tracing/available_filter_functions"
)

// attachable returns a wire.ErrAttach that says why nothing can be attached to a
// function, if that can be told. The files are those of a guest's root.
func attachable(root, function string) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s "+format, append([]any{wire.ErrAttach, function}, args...)...)
	}
	symbols, err := functionNames(root+symbolsFile, 2, function)
	if err != nil {
		return err
	}
	traceable, err := functionNames(root+traceableFile, 0, function)
	switch {
	case err != nil:
		return err
	case len(symbols) == 0:
		return refuse("is no function of this kernel or of a module that is loaded: it is inlined everywhere, or its name is another")
	case symbols[function] == 0:
		for other := range symbols {
			return refuse("is %s in this kernel: the compiler has changed its arguments", other)
		}
	case symbols[function] > 1:
		return refuse("is the name of %d functions of this kernel", symbols[function])
	case traceable[function] == 0:
		return refuse("cannot be traced in this kernel (notrace)")
	}
	return nil
}

// functionNames counts in a file those functions, in a field of each line, that have a
// name or begin with it and a dot.
func functionNames(file string, field int, function string) (map[string]int, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := make(map[string]int)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= field {
			continue
		}
		if name := fields[field]; name == function || strings.HasPrefix(name, function+".") && !strings.HasSuffix(name, ".cold") {
			found[name]++
		}
	}
	return found, lines.Err()
}
