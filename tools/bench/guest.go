// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
	"vcpulab/tools/vm"
)

// Candidate is a kernel to measure.
type Candidate struct {
	// Kernel is what results say of it. Name, About, Limit, Design, Series and Patches
	// come from who makes the candidate, the rest from what was built.
	results.Kernel
	Built *kbuild.Kernel
	Loops string // the path of vcpuloops.ko, built against the kernel
}

// modules are the modules that a measurement loads, in addition to those
// that they depend on.
func (c Candidate) modules(accel vm.Accel) ([]vm.Module, error) {
	kvm, err := c.Built.ModulePath(vm.KVMModule(arch.X86_64(), accel))
	if err != nil {
		return nil, err
	}
	return []vm.Module{{Host: kvm}, {Host: c.Loops}}, nil
}

// describe says in the results what was measured.
func describe(candidates []Candidate, out *results.Results) error {
	for _, c := range candidates {
		config, err := c.Built.Config()
		if err != nil {
			return fmt.Errorf("%s: configuration: %w", c.Name, err)
		}
		k := c.Kernel
		k.Release, k.Tree, k.Config = c.Built.Release, c.Built.Tree.ID, c.Built.ConfigHash
		k.Compiler, k.Image = c.Built.Toolchain.Compiler, c.Built.SHA256[c.Built.Image]
		if k.HZ, k.Preemption, k.RCU = running.Scheduling(config); k.HZ == 0 {
			return fmt.Errorf("%s: configuration: CONFIG_HZ: expected a number, found %q", c.Name, config.Value("CONFIG_HZ"))
		}
		out.Kernels = append(out.Kernels, k)
	}
	return nil
}

// directory is the directory of an absolute path in a command line. QEMU has the
// commas of a path doubled.
var directory = regexp.MustCompile(`(^|[ =,'])/(?:[^ =,']|,,)+/`)

// withoutDirectories leaves the names of the files in a command line: results are
// for others to read, and where files are on this machine is private.
func withoutDirectories(command string) string { return directory.ReplaceAllString(command, "$1") }

// Bounds of one boot. The longest a guest is silent is a loop over a linear
// scan; the machine may be busy with other things.
const (
	bootTimeout = 10 * time.Minute
	bootSilence = 90 * time.Second
)

const guestMemMiB = 1024 // 1024 vCPUs and their pages fit

// Guests measures in guests, with KVM in them.
type Guests struct {
	Cache      *cache.Cache
	Candidates []Candidate
	// KeepDir is where a boot that failed leaves its console and what is
	// needed to repeat it; "" keeps nothing.
	KeepDir string
	Source  string // as in vm.Guest
}

// Prepare is part of Runner: guests can measure everything.
func (g *Guests) Prepare(_ context.Context, _ *Plan, out *results.Results, _ *progress.Log) error {
	return describe(g.Candidates, out)
}

// Boot is part of Runner. Its errors are those of vm.Boot.
func (g *Guests) Boot(ctx context.Context, kernel int, plan Plan, b *results.Boot, step *progress.Step) error {
	keep := ""
	if g.KeepDir != "" {
		keep = filepath.Join(g.KeepDir, fmt.Sprintf("%s-%d", b.Column(), b.Round))
	}
	job := wire.Job{Measure: &plan.Params, Mounts: []string{"tracefs", "debugfs"}}
	res, err := g.boot(ctx, g.Candidates[kernel], plan, vm.Guest{Job: job}, vm.Options{
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

// boot boots a guest with what measuring a kernel takes.
func (g *Guests) boot(ctx context.Context, c Candidate, plan Plan, guest vm.Guest, o vm.Options) (res *vm.Result, err error) {
	m := machine(c, plan)
	if guest.Modules, err = c.modules(m.Accel); err != nil {
		return nil, err
	}
	guest.ModuleDir, guest.Source = filepath.Join(c.Built.Dir, "modules"), g.Source
	return vm.Boot(ctx, g.Cache, m, guest, o)
}

// machine is the guest that measures a kernel.
func machine(c Candidate, plan Plan) vm.Machine {
	m := vm.Machine{
		Arch: arch.X86_64(), Accel: vm.TCG, Kernel: c.Built.ImagePath(), MemMiB: guestMemMiB,
		ICount: plan.Method == results.ICount,
		Append: []string{"clocksource=tsc", "tsc=reliable"},
	}
	if plan.Method == results.KVM {
		m.Accel = vm.KVM
		if plan.Params.Stalls != nil {
			// The thread that grows a VM and the running vCPU need not share a processor.
			m.CPUs = 2
		}
		return m
	}
	// Under icount a cycle is a nanosecond. The kernel is kept from measuring that against other
	// timers: it would be off by some parts in a million, which shows in what it counts.
	m.Append = append(m.Append, "tsc_early_khz=1000000", "hpet=disable", "pmtmr=0")
	return m
}
