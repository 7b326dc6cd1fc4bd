// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"errors"
	"slices"
	"time"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/native"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
	"vcpulab/tools/variant"
	"vcpulab/tools/vm"
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
	if c := p.Params.Caches; c != nil && slices.Contains(c.States, measure.Written) {
		if err := native.Writer(processors()); err != nil {
			without := *c
			without.States = slices.DeleteFunc(slices.Clone(c.States), func(s measure.State) bool { return s == measure.Written })
			p.Params.Caches = &without
			leave("walks and lookups after another processor wrote to the vCPUs", err)
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
		program, err := n.build(ctx, c)
		if err = errors.Join(plan.leaveOut(c.Name, err, out), ctx.Err()); err != nil {
			return err
		}
		n.programs = append(n.programs, program)
	}

	out.Omitted = append(out.Omitted, plan.omit(native.Processors, native.Cycles)...)
	for _, o := range out.Omitted {
		log.Step(o.What).Done("cannot be measured: %s", o.Why)
	}
	return describe(n.Candidates, out)
}

// leaveOut leaves out a kernel that cannot be built to be measured, and says why in
// out. It returns the error that says so if the kernel is needed: the baseline is.
func (p *Plan) leaveOut(kernel string, err error, out *results.Results) error {
	if err == nil || !p.Optional || kernel == variant.Base || exit.Code(err) != exit.BuildFailed {
		return err
	}
	p.Without = append(p.Without, kernel)
	out.Omitted = append(out.Omitted, results.Omitted{Method: p.Method, Kernel: kernel, What: "times of " + kernel, Why: withoutDirectories(err.Error())})
	return nil
}

func (n *Native) build(ctx context.Context, c Candidate) (string, error) {
	module, err := c.Built.ModulePath(vm.KVMModule(arch.X86_64(), vm.TCG))
	if err != nil {
		return "", err
	}
	layout, err := native.ReadLayout(c.Built.Vmlinux(), module)
	if err != nil {
		return "", err
	}
	return native.Build(ctx, n.Cache, c.Built.Tree, layout)
}

// Boot is part of Runner.
func (n *Native) Boot(ctx context.Context, kernel int, plan Plan, b *results.Boot, _ *progress.Step) error {
	start := time.Now()
	measured, err := native.Measure(ctx, n.programs[kernel], plan.Params)
	if err != nil {
		return err
	}
	b.Command, b.Release = "lookups", n.Candidates[kernel].Built.Release
	b.Loops, b.Races, b.Cached = measured.Loops, measured.Races, measured.Cached
	b.Seconds = time.Since(start).Seconds()
	return b.Check()
}
