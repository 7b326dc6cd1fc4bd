// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
	"vcpulab/tools/vm"
)

// Bounds of one boot. The longest a guest is silent is a loop over a linear
// scan; the machine may be busy with other things.
const (
	bootTimeout = 10 * time.Minute
	bootSilence = 90 * time.Second
)

// guestMemMiB is the guest's memory: 1024 vCPUs and their pages fit.
const guestMemMiB = 1024

// Guests measures in guests, with KVM in them.
type Guests struct {
	Cache      *cache.Cache
	Candidates []Candidate
	// KeepDir is where a boot that failed leaves its console and what is
	// needed to repeat it; "" keeps nothing.
	KeepDir string
	// Source is as in vm.Guest.
	Source string
}

// Prepare is part of Runner: guests can measure everything.
func (g *Guests) Prepare(_ context.Context, _ *Plan, out *results.Results, _ *progress.Log) error {
	return describe(g.Candidates, out)
}

// Boot is part of Runner. Its errors are those of vm.Boot.
func (g *Guests) Boot(ctx context.Context, kernel int, plan Plan, b *results.Boot, step *progress.Step) error {
	job := wire.Job{Measure: &plan.Params, Mounts: []string{"tracefs", "debugfs"}}
	m := machine(g.Candidates[kernel], plan)
	modules, err := g.Candidates[kernel].modules(m.Accel)
	if err != nil {
		return err
	}

	keep := ""
	if g.KeepDir != "" {
		keep = filepath.Join(g.KeepDir, fmt.Sprintf("%s-%d", b.Column(), b.Round))
	}
	res, err := vm.Boot(ctx, g.Cache, m,
		vm.Guest{Job: job, Modules: modules, ModuleDir: g.Candidates[kernel].moduleDir(), Source: g.Source},
		vm.Options{
			Timeout: bootTimeout, Silence: bootSilence, KeepDir: keep,
			OnRecord: func(rec wire.Record) error { addSample(b, step, rec); return nil },
		})
	if err != nil {
		return err
	}

	b.Command = withoutDirectories(res.Command)
	b.BootID, b.Release, b.Cmdline = res.Hello.BootID, res.Hello.Kernel, res.Hello.Cmdline
	b.Seconds = res.Timing.Gone.Seconds()
	if err := b.Complete(plan.Params); err != nil {
		return err
	}
	if keep == "" {
		return nil
	}
	if err := os.RemoveAll(keep); err != nil {
		return fmt.Errorf("remove the log of a good boot: %w", err)
	}
	return nil
}

// machine is the guest that measures a kernel.
func machine(c Candidate, plan Plan) vm.Machine {
	m := vm.Machine{
		Arch: arch.X86_64(), Accel: vm.TCG, Kernel: c.Kernel.ImagePath(), MemMiB: guestMemMiB,
		ICount: plan.Method == results.ICount,
		Append: []string{"clocksource=tsc", "tsc=reliable"},
	}
	if plan.Method == results.KVM {
		m.Accel = vm.KVM
		if plan.Params.Stalls != nil {
			// The thread that grows a VM and the running vCPU need not share
			// a processor.
			m.CPUs = 2
		}
		return m
	}
	// Under icount a cycle is a nanosecond. The kernel is told, and kept from
	// measuring it against other timers: the result would be off by some parts in
	// a million, which shows in what it counts.
	m.Append = append(m.Append, "tsc_early_khz=1000000", "hpet=disable", "pmtmr=0")
	return m
}
