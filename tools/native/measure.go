// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/program"
	"vcpulab/tools/results"
)

// ErrWrong means that a lookup found something else than it should have: the
// kernel, or what was taken out of it, is wrong.
var ErrWrong = errors.New("wrong result of a lookup")

// ErrCycles means that the processor's cycles cannot be counted.
var ErrCycles = errors.New("cycles cannot be counted")

// disturbed is by how much the time of 2N passes may miss twice that of N. If it does both are
// measured again, attempts times at most, and the fastest run of each counts: a run is only ever
// slowed down. As a processor's speed may change, runs are compared with those near to them.
const (
	disturbed = 0.04
	attempts  = 300
	near      = 10
)

const sureAfter = 5 // how many runs have to take long before it is the passes that do

const mostPasses = 1 << 24 // of a run

// Measure has a program that Build built run the loops that p asks for, walks and lookups by
// the state of the caches, and the races: the boot has nothing else. The error is
// ErrProcessors if there are no two for what needs them.
func Measure(ctx context.Context, path string, p measure.Params) (all results.Boot, err error) {
	var pair Pair
	if p.Readers != nil || p.Caches != nil {
		pair, err = Processors()
		if p.Readers == nil && !slices.Contains(p.Caches.States, measure.Written) {
			err = nil // one is enough
		}
		if err != nil {
			return all, err
		}
	}
	process, err := program.Program{Name: path, PipeStdin: true, PipeStdout: true}.Start(ctx)
	if err != nil {
		return all, fmt.Errorf("measure in user space: %w", err)
	}
	defer func() {
		process.Kill() // it has nothing to save
		_ = process.Wait()
	}()

	m := meter{in: process.Stdin, out: bufio.NewReader(process.Stdout), params: p}
	if p.Cycles {
		if err := m.count(unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES); err != nil {
			return all, fmt.Errorf("measure in user space: %w", err)
		}
	}
	for _, vm := range p.VMs {
		got, err := m.vm(vm)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return all, fmt.Errorf("measure in user space: %v: %w", vm, err)
		}
		all.Loops = append(all.Loops, got...)
	}
	if p.Caches != nil {
		for _, vm := range p.Caches.VMs {
			got, err := m.cached(vm, pair)
			if err = errors.Join(err, ctx.Err()); err != nil {
				return all, fmt.Errorf("measure in user space: caches, %v: %w", vm, err)
			}
			all.Cached = append(all.Cached, got)
		}
	}
	if p.Readers == nil {
		return all, nil
	}
	for _, r := range p.Readers.RacesOf() {
		if err := errors.Join(m.race(&r, pair), ctx.Err()); err != nil {
			return all, fmt.Errorf("measure in user space: %s in %v while it grows: %w", r.Op, r.VM, err)
		}
		all.Races = append(all.Races, r)
	}
	return all, nil
}

// meter speaks to the program.
type meter struct {
	in     io.Writer
	out    *bufio.Reader
	params measure.Params
	counts bool // an event, too
}

// took is what a run took: nanoseconds, and how often the event happened if one is
// counted.
type took struct{ nanos, events int64 }

// count has runs count an event of perf_event_open from now on.
func (m *meter) count(kind, config int) error {
	m.counts = true
	return m.order("count %d %d", kind, config)
}

// order has the program do something to which it says ok.
func (m *meter) order(format string, args ...any) error {
	answer, err := m.ask(format, args...)
	if err == nil && answer != "ok" {
		err = fmt.Errorf("expected ok, found %q", answer)
	}
	return err
}

func (m *meter) build(vm measure.VM) error {
	return m.order("vm %d%s", vm.VCPUs, numbers(vm.IDs.Of(vm.VCPUs)))
}

// vm has a VM built, and runs the loops on it.
func (m *meter) vm(vm measure.VM) ([]measure.Loop, error) {
	if err := m.build(vm); err != nil {
		return nil, err
	}
	var all []measure.Loop
	for _, r := range m.params.RunsOf(vm) {
		l, err := m.loop(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Loop.Op, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// loop runs a loop with N and with 2N passes, often enough.
func (m *meter) loop(r measure.Run) (measure.Loop, error) {
	out := r.Loop
	// Reading the clock takes as long as many a pass: what one takes does not
	// tell how many there should be.
	for out.Passes = 1; out.Passes < mostPasses; out.Passes *= 4 {
		long, err := m.takes(r, out.Passes, m.params.LoopNanos/4)
		if err != nil {
			return out, err
		}
		if long {
			break
		}
	}
	for range m.params.Repeat {
		once, twice, err := m.pair(r, out.Passes)
		if err != nil {
			return out, err
		}
		out.Once, out.Twice = append(out.Once, once.nanos), append(out.Twice, twice.nanos)
		if m.counts {
			out.OnceCycles, out.TwiceCycles = append(out.OnceCycles, once.events), append(out.TwiceCycles, twice.events)
		}
	}
	return out, nil
}

// takes tells whether a run takes so many nanoseconds. One that was disturbed
// seems to, with far fewer passes than it takes; several are not all disturbed.
func (m *meter) takes(r measure.Run, passes int, nanos int64) (bool, error) {
	for range sureAfter {
		took, err := m.run(r, passes)
		if err != nil || took.nanos < nanos {
			return false, err
		}
	}
	return true, nil
}

// pair measures N and 2N passes, again if they do not fit.
func (m *meter) pair(r measure.Run, passes int) (once, twice took, err error) {
	for n := range attempts {
		a, err := m.run(r, passes)
		if err != nil {
			return once, twice, err
		}
		b, err := m.run(r, 2*passes)
		if err != nil {
			return once, twice, err
		}
		if n%near == 0 {
			once, twice = a, b
		}
		once, twice = fastest(once, a), fastest(twice, b)
		if ratio := float64(twice.nanos) / float64(max(once.nanos, 1)) / 2; ratio > 1-disturbed && ratio < 1+disturbed {
			break
		}
	}
	// What still does not fit is for those to refuse who look at samples.
	return once, twice, nil
}

func fastest(a, b took) took { return took{min(a.nanos, b.nanos), min(a.events, b.events)} }

// run runs a loop once and returns what that took.
func (m *meter) run(r measure.Run, passes int) (t took, err error) {
	answer, err := m.ask("run %d %d %d %d%s", slices.Index(measure.Ops, r.Loop.Op), passes, r.Found, len(r.Numbers), numbers(r.Numbers))
	if err != nil {
		return t, err
	}
	n, _ := fmt.Sscan(answer, &t.nanos, &t.events)
	switch {
	case n < 1:
		return t, fmt.Errorf("expected nanoseconds, found %q", answer)
	case m.counts && t.events <= 0:
		return t, fmt.Errorf("expected nanoseconds and how often the event happened, found %q", answer)
	}
	return t, nil
}

// ask sends a line and returns the one that answers it.
func (m *meter) ask(format string, args ...any) (string, error) {
	// If it has ended, its last line may say why.
	_, sent := fmt.Fprintf(m.in, format+"\n", args...)
	line, err := m.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the program ended: %w", errors.Join(err, sent))
	}
	line = strings.TrimSuffix(line, "\n")
	// It may find out after some of the numbers.
	if _, what, wrong := strings.Cut(line, "!"); wrong {
		return "", fmt.Errorf("%w: %s", ErrWrong, what)
	}
	return line, nil
}

// numbers writes them as words, each after a blank.
func numbers[T int | int32](all []T) string {
	var b strings.Builder
	for _, n := range all {
		fmt.Fprintf(&b, " %d", n)
	}
	return b.String()
}

// Cycles tries to count the processor's cycles. The error is ErrCycles, and says
// why they cannot be counted here.
func Cycles() error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_CPU_CYCLES,
		Size: unix.PERF_ATTR_SIZE_VER0, Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err == nil {
		return unix.Close(fd)
	}
	paranoid, _ := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	return whyNoCycles(err, strings.TrimSpace(string(paranoid)))
}

// whyNoCycles says what an error of perf_event_open means.
func whyNoCycles(err error, paranoid string) error {
	why := "it failed"
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODEV):
		why = "the kernel knows no such counter of this processor, as in a virtual machine that is given none"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		why = fmt.Sprintf("it is not allowed: kernel.perf_event_paranoid is %s, expected 2 or less, or root", paranoid)
	case errors.Is(err, unix.ENOSYS):
		why = "the kernel has no perf events"
	}
	return fmt.Errorf("%w: perf_event_open: %w: %s", ErrCycles, err, why)
}
