// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"time"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/cache"
	"vcpulab/tools/native"
	"vcpulab/tools/progress"
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

// processAttempts is how often a process is tried: other programs share the
// processor.
const processAttempts = 4

// Native measures the lookups of the candidates' source in user space. A process
// takes the place of a boot.
type Native struct {
	Cache      *cache.Cache
	Candidates []Candidate

	programs []string // of the candidates
}

// About is part of Runner.
func (n *Native) About() string { return "in user space" }

// Kernels is part of Runner.
func (n *Native) Kernels() ([]results.Kernel, error) { return describe(n.Candidates) }

// Attempts is part of Runner.
func (n *Native) Attempts() int { return processAttempts }

// Prepare is part of Runner: it builds a program from each candidate's source.
func (n *Native) Prepare(ctx context.Context, plan *Plan, log *progress.Log) ([]results.Omitted, error) {
	n.programs = nil
	for _, c := range n.Candidates {
		program, err := native.Build(ctx, n.Cache, c.Kernel.Tree)
		if err != nil {
			return nil, err
		}
		n.programs = append(n.programs, program)
	}

	omitted := plan.omit(native.Processors, native.Cycles)
	for _, o := range omitted {
		log.Step(o.What).Done("cannot be measured: %s", o.Why)
	}
	return omitted, nil
}

// Boot is part of Runner.
func (n *Native) Boot(ctx context.Context, kernel int, plan Plan, b *results.Boot, _ *progress.Step) error {
	start := time.Now()
	measured, err := native.Measure(ctx, n.programs[kernel], plan.Params)
	if err != nil {
		return err
	}
	b.Command, b.Release = "lookups", n.Candidates[kernel].Kernel.Release
	b.Loops, b.Races = measured.Loops, measured.Races
	b.Seconds = time.Since(start).Seconds()
	return b.Check()
}
