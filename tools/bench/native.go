// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"time"

	"vcpulab/tools/cache"
	"vcpulab/tools/native"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

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

// Native measures the lookups of the candidates' source in user space. A process
// takes the place of a boot.
type Native struct {
	Cache      *cache.Cache
	Candidates []Candidate

	programs []string // of the candidates
}

// Prepare is part of Runner: it builds a program from each candidate's source.
func (n *Native) Prepare(ctx context.Context, plan *Plan, out *results.Results, log *progress.Log) error {
	n.programs = nil
	for _, c := range n.Candidates {
		program, err := native.Build(ctx, n.Cache, c.Kernel.Tree)
		if err != nil {
			return err
		}
		n.programs = append(n.programs, program)
	}

	out.Omitted = plan.omit(native.Processors, native.Cycles)
	for _, o := range out.Omitted {
		log.Step(o.What).Done("cannot be measured: %s", o.Why)
	}
	return describe(n.Candidates, out)
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
