// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"vcpulab/ebpf/loops"
	"vcpulab/ebpf/measure"
	"vcpulab/tools/arch"
	"vcpulab/tools/bench"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
	"vcpulab/tools/vm"
)

// runningFlags are about the kernel that runs.
type runningFlags struct {
	Running     bool   `help:"Measure the kernel that runs on this machine: lookups, creations and memory, in nanoseconds. Loads a module into it. As root."`
	KernelBuild string `help:"With --running: the directory that the running kernel was built in (default: /lib/modules/RELEASE/build)." placeholder:"DIR" type:"existingdir"`
	// What was built elsewhere, for a machine without compilers.
	Module  string `help:"With --running: the module, built before." placeholder:"FILE" type:"existingfile" hidden:""`
	Program string `help:"With --running: the measuring program, built before." placeholder:"FILE" type:"existingfile" hidden:""`
	// System is the directory that has proc, sys, dev and lib.
	System string `help:"With --running: look at this directory instead of the machine, and do nothing." placeholder:"DIR" type:"existingdir" hidden:""`
}

func (c benchRunCmd) measureRunning(ctx context.Context, l *lab) error {
	if l.Base != "" {
		return exit.With(exit.Usage, errors.New("--base (or KERNEL_SRC): contradicts --running: no kernel is built; --kernel-build is the build directory of the one that runs"))
	}
	s := running.System{Root: cmp.Or(c.System, "/"), Build: c.KernelBuild, Module: c.Module}
	if err := running.Check(s); err != nil {
		return fmt.Errorf("bench --running: %w", err)
	}
	if _, err := exec.LookPath("go"); err != nil && c.Program == "" {
		return exit.With(exit.MachineLacks, fmt.Errorf(`bench --running: build the measuring program: %w; sudo has a PATH of its own: run it with sudo env "PATH=$PATH"`, err))
	}
	if c.System != "" {
		l.printf("the kernel in %s can be measured\n", c.System)
		return nil
	}
	plan := c.complete(bench.NewPlan(results.Running, c.axes()))
	if err := running.CheckSizes(s, sizesOf(plan.Params)); err != nil {
		return err
	}
	out, err := outDir(cmp.Or(c.Out, filepath.Join("out", bench.NameRunning)))
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "vcpulab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)

	h := &bench.Running{System: s, Loops: c.Module, Program: c.Program}
	if h.Kernel, h.Host, err = running.Describe(s, bench.NameRunning); err != nil {
		return err
	}
	l.announce(s, plan)
	if h.Loops == "" {
		if h.Loops, err = l.buildLoopsForRunning(ctx, s, tmp); err != nil {
			return err
		}
	}
	if h.Program == "" {
		if h.Program, err = vm.GuestProgram(ctx, l.cache, arch.X86_64(), l.root); err != nil {
			return err
		}
	}
	if err := running.CheckModule(s, h.Loops); err != nil {
		return fmt.Errorf("bench --running: %w", err)
	}
	counts, err := running.CountsMemory(h.Loops)
	if err != nil {
		return err
	}
	if !counts {
		if len(c.Count) > 0 {
			return exit.With(exit.Usage, fmt.Errorf("--memory-at: the module cannot count memory: %s", noMemory))
		}
		plan.Params.NoMemory, h.Host.NoMemory = true, noMemory
	}
	r, runErr := bench.Measure(ctx, h, plan, l.log)
	if r != nil {
		r.Host = l.host(ctx)
		r.Host.Running = h.Host
		r.Host.Running.Load[1] = s.Load()
	}
	if c.Trial {
		return l.showTrial(r, runErr)
	}
	return l.deliver(out, r, l.showBrief, runErr)
}

// noMemory is why what VMs take is not counted.
const noMemory = "mm/slab.h is not where the kernel's headers are"

// sizesOf is the largest number of vCPUs and the largest ID that VMs have.
func sizesOf(p measure.Params) (largest running.Sizes) {
	for _, vm := range slices.Concat(p.VMs, p.Counted) {
		largest.VCPUs = max(largest.VCPUs, vm.VCPUs)
		largest.ID = max(largest.ID, slices.Max(vm.IDs.Of(vm.VCPUs)))
	}
	return largest
}

func (l *lab) announce(s running.System, plan bench.Plan) {
	from := "builds it in " + s.BuildDir()
	if s.Module != "" {
		from = "takes " + s.Module
	}
	fmt.Fprintf(l.stderr, `This changes the kernel that runs, Linux %s:
  module: %s, %s
  it is not signed and not part of the kernel: loading it taints the kernel until the next boot
  loads and unloads it %d times, and attaches BPF programs to it and to kvm meanwhile
  creates VMs of up to %d vCPUs, with interrupts off for as long as a loop takes, milliseconds
`, s.Release(), loops.Module, from, 2*plan.Rounds, sizesOf(plan.Params).VCPUs)
}

func (l *lab) buildLoopsForRunning(ctx context.Context, s running.System, tmp string) (string, error) {
	src, work := filepath.Join(tmp, running.ModuleName), filepath.Join(tmp, "work")
	if err := os.CopyFS(src, loops.Source); err != nil {
		return "", fmt.Errorf("write the loops' source: %w", err)
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return "", err
	}
	return l.builder().BuildInstalled(ctx, kbuild.Installed{Release: s.Release(), Dir: s.BuildDir(), BTF: s.Types()}, src, work)
}
