// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vcpulab/ebpf/loops"
	"vcpulab/tools/bench"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/report"
	"vcpulab/tools/results"
	"vcpulab/tools/vm"
)

// benchCmd measures.
type benchCmd struct {
	sourceFlags
	Rounds int    `help:"How often each kernel is booted (default: once where instructions are counted)." placeholder:"N"`
	Accel  string `help:"tcg counts instructions, kvm measures time; auto does both where KVM works." enum:"auto,tcg,kvm" default:"auto" env:"ACCEL"`
	Out    string `help:"Folder for the results." default:"out" placeholder:"DIR"`
	Count  []int  `name:"memory-at" help:"Count the memory of VMs with so many vCPUs, too. 4096 take the unpatched kernel some ten seconds each." placeholder:"N"`
	Seed   uint64 `help:"Shuffles the order of the boots." default:"1" placeholder:"N"`
}

// Validate refuses what cannot be measured, before anything is done.
func (c benchCmd) Validate() error {
	if c.Rounds < 0 {
		return fmt.Errorf("--rounds: expected 1 or more, found %d", c.Rounds)
	}
	for _, n := range c.Count {
		if n < 1 || n > bench.MaxVCPUs {
			return fmt.Errorf("--memory-at: expected 1 to %d vCPUs, found %d", bench.MaxVCPUs, n)
		}
	}
	return nil
}

// Run prints the table and the paths of the three files.
func (c benchCmd) Run(ctx context.Context, l *lab) error {
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	subjects, err := l.subjects(ctx, c.sourceFlags)
	if err != nil {
		return err
	}
	r, runErr := c.measure(ctx, l, subjects, filepath.Join(out, "failed"))
	if r == nil || len(r.Boots) == 0 {
		// Nothing takes the place of results that are there.
		return runErr
	}
	files, err := writeResults(out, r)
	if err != nil {
		return err
	}
	if l.JSON {
		if err := l.printJSON(r.Figures); err != nil {
			return err
		}
		return runErr
	}
	if err := report.Table(l.stdout, r, report.OptionsFor(l.stdout)); err != nil {
		return err
	}
	l.printf("\n")
	for _, f := range files {
		l.printf("%s\n", f)
	}
	return runErr
}

// measure runs each arm that the accelerator allows.
func (c benchCmd) measure(ctx context.Context, l *lab, subjects []bench.Subject, keep string) (*results.Results, error) {
	arms, found, err := c.arms(ctx, l, subjects[0].Kernel)
	if err != nil {
		return nil, err
	}
	host, err := describeHost(ctx, l, subjects[0].Kernel, found)
	if err != nil {
		return nil, err
	}
	var all *results.Results
	for _, arm := range arms {
		plan := bench.DefaultPlan(arm)
		plan.Seed = c.Seed
		if c.Rounds > 0 {
			plan.Rounds = c.Rounds
		}
		for _, n := range c.Count {
			plan.Count(n)
		}
		r, err := bench.Run(ctx, l.cache, subjects, plan, bench.Options{Log: l.log, KeepDir: keep})
		switch {
		case r == nil:
			return all, err
		case all == nil:
			all = r
			all.Host = host
		default:
			all.Boots = append(all.Boots, r.Boots...)
			all.Interrupted = r.Interrupted
			if drawErr := all.Draw(); drawErr != nil {
				return nil, drawErr
			}
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// arms returns the ways to measure on this machine, and says what was found
// out about its accelerator. Instructions are counted unless only times were
// asked for.
func (c benchCmd) arms(ctx context.Context, l *lab, k *kbuild.Kernel) ([]results.Arm, string, error) {
	v, err := l.accel(ctx, c.Accel, k)
	if err != nil {
		return nil, "", err
	}
	found := fmt.Sprintf("%s: %s", v.Accel, v.Reason)
	switch {
	case v.Accel != vm.KVM:
		return []results.Arm{results.ICount}, found, nil
	case c.Accel == "kvm":
		return []results.Arm{results.KVM}, found, nil
	}
	return []results.Arm{results.ICount, results.KVM}, found, nil
}

// subjects builds both kernels and the loops against each.
func (l *lab) subjects(ctx context.Context, f sourceFlags) ([]bench.Subject, error) {
	s, err := l.series()
	if err != nil {
		return nil, err
	}
	base, patched, err := l.kernels(ctx, kernelFlags{sourceFlags: f}, "x86_64")
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "vcpulab-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	src := filepath.Join(tmp, "vcpuloops")
	if err := os.CopyFS(src, loops.Source); err != nil {
		return nil, fmt.Errorf("write the loops' source: %w", err)
	}
	subjects := []bench.Subject{{Name: nameBase, Kernel: base}, {Name: namePatched, Kernel: patched, Series: s.ID}}
	for _, p := range s.Patches {
		if f.Through == 0 || p.Number <= f.Through {
			subjects[1].Patches = append(subjects[1].Patches, p.Subject)
		}
	}
	for i := range subjects {
		built, err := l.builder().BuildModule(ctx, subjects[i].Kernel, src)
		if err != nil {
			return nil, err
		}
		subjects[i].Loops = built[0]
	}
	return subjects, nil
}
