// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/cache"
	"vcpulab/tools/native"
	"vcpulab/tools/results"
)

// nativeRounds is how often the lookups of each kernel are measured, and
// nativeNanos how long a loop runs: not so long that something else always runs
// meanwhile.
const (
	nativeRounds = 15
	nativeNanos  = 400_000
)

// NativePlan measures lookups in user space along the axes. More vCPUs are
// looked up in a pass than elsewhere: here the processor's caches matter.
func NativePlan(a Axes) Plan {
	p := NewPlan(results.Native, a)
	p.Rounds = nativeRounds
	p.Params.LoopNanos, p.Params.Repeat, p.Params.MaxNumbers = nativeNanos, 3, 256
	p.Params.Stalls, p.Params.Paths = nil, nil // there is no guest
	p.Params.Cycles = true
	if a.Readers > 0 {
		p.Params.Readers = &measure.Readers{VCPUs: a.Readers, Growths: readerGrowths, RunNanos: readerNanos}
	}
	return p
}

// omit takes out of the plan what this machine cannot measure, and says what that
// is, and why.
func (p *Plan) omit(processors func() (native.Pair, error), cycles func() error) []results.Omitted {
	var out []results.Omitted
	leave := func(what string, err error) {
		out = append(out, results.Omitted{Method: p.Method, What: what, Why: err.Error()})
	}
	if p.Params.Readers != nil {
		if _, err := processors(); err != nil {
			p.Params.Readers = nil
			leave("lookups while vCPUs are created", err)
		}
	}
	if p.Params.Cycles {
		if err := cycles(); err != nil {
			p.Params.Cycles = false
			leave("cycles", err)
		}
	}
	return out
}

// processAttempts is how often a process is measured whose samples contradict
// themselves: other programs share the processor.
const processAttempts = 4

// process measures in one process, and throws away what is no result: it returns
// what that was.
func process(ctx context.Context, program string, plan Plan, boot *results.Boot) (discarded []results.Discarded, err error) {
	for range processAttempts {
		start := time.Now()
		var measured native.Measured
		if measured, err = native.Measure(ctx, program, plan.Params); err != nil {
			return discarded, err
		}
		boot.Loops, boot.Races = measured.Loops, measured.Races
		boot.Seconds = time.Since(start).Seconds()
		if err = boot.Check(); !errors.Is(err, results.ErrInvalid) {
			return discarded, err
		}
		discarded = append(discarded, boot.Discard(err.Error()))
	}
	return discarded, fmt.Errorf("thrown away %d times: %w", processAttempts, err)
}

// RunNative measures the lookups of the subjects in user space, a process in
// the place of a boot. It returns what Run does.
func RunNative(ctx context.Context, c *cache.Cache, subjects []Subject, plan Plan, o Options) (*results.Results, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	if len(subjects) == 0 {
		return nil, errors.New("bench: no kernel to measure")
	}
	out := &results.Results{Format: results.Format, Created: time.Now().UTC().Truncate(time.Second)}
	programs := make([]string, len(subjects))
	for i, s := range subjects {
		k, err := s.describe()
		if err != nil {
			return nil, err
		}
		out.Kernels = append(out.Kernels, k)
		if programs[i], err = native.Build(ctx, c, s.Kernel.Tree); err != nil {
			return nil, err
		}
	}
	out.Omitted = plan.omit(native.Processors, native.Cycles)
	for _, left := range out.Omitted {
		o.Log.Step(left.What).Done("cannot be measured: %s", left.Why)
	}
	boots := plan.boots(len(subjects))
	step := o.Log.Step("measure in user space")
	for n, b := range boots {
		s := subjects[b.kernel]
		boot := results.Boot{
			Kernel: s.Name, Again: b.again, Round: b.round, Method: plan.Method,
			Command: "lookups", Release: s.Kernel.Release,
		}
		step.Update("%s, round %d of %d", boot.Column(), b.round+1, plan.Rounds)
		discarded, err := process(ctx, programs[b.kernel], plan, &boot)
		if ctx.Err() != nil {
			out.Interrupted = true
			break
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", boot.Column(), err)
			step.Fail(err)
			return nil, err
		}
		out.Discarded = append(out.Discarded, discarded...)
		out.Boots = append(out.Boots, boot)
		if n == len(boots)-1 {
			step.Done("%d processes", len(boots))
		}
	}
	if err := out.Draw(); err != nil {
		step.Fail(err)
		return nil, err
	}
	return out, ctx.Err()
}
