// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/arch"
	"vcpulab/tools/bench"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/report"
	"vcpulab/tools/results"
	"vcpulab/tools/variant"
	"vcpulab/tools/vm"
)

type benchCmd struct {
	Run     benchRunCmd     `cmd:"" default:"withargs" help:"Measure and report (what bench does if nothing else is said)."`
	Compare benchCompareCmd `cmd:"" help:"Say what is different between two results."`
	Func    benchFuncCmd    `cmd:"" help:"Measure the calls of any function while a program runs."`
}

type benchRunCmd struct {
	seriesFlags
	runningFlags
	Variant []string `help:"Measure this kernel, too: a milestone of the series or a comparator, see ci/variants.toml. May be repeated." placeholder:"NAME" sep:"none"`
	Designs bool     `help:"Compare ways to hold vCPUs: the kernel without patches, that with all sets, the rivals and the comparators, counted and timed, in one table. With --variant only these."`
	Quick   bool     `help:"Fewer sizes: two minutes once the kernels are built." xor:"axes"`
	Full    bool     `help:"All variants, and all sizes, IDs and orders of lookups; then, without --hz, who waits with 100 ticks a second, into hz100 beside the other results." xor:"axes"`
	Max     bool     `help:"Also VMs of the most vCPUs that KVM takes, 4096."`
	Sizes   []int    `help:"Numbers of vCPUs of the VMs, instead of those that would be measured." placeholder:"N"`
	IDs     []string `name:"ids" help:"How VMs number their vCPUs: dense, shuffled or sparse." placeholder:"IDS" enum:"dense,shuffled,sparse"`
	Order   []string `help:"Orders in which vCPUs are looked up: sequential, same or random." placeholder:"ORDER" enum:"sequential,same,random"`
	Paths   []int    `help:"Numbers of vCPUs of VMs whose guests have KVM look vCPUs up, 0 for none (default: 8, 64 and 512; 64 with --quick, also 1024 and 4096 with --full). Of more than 1024 the first 8 run." placeholder:"N"`
	GrowTo  *int     `help:"Watch who waits while VMs grow to so many vCPUs, 0 for none (default: 520; 66 with --quick; for lookups in user space meanwhile 1024)." placeholder:"N"`
	HZ      *string  `name:"hz" help:"Ticks a second of the kernels: 100 or 1000, which is the default. A grace period takes some ticks." enum:"100,1000"`
	Rounds  int      `help:"How often each kernel is booted (default: once where instructions are counted)." placeholder:"N"`
	Accel   string   `help:"tcg counts instructions, kvm measures time; auto does both where KVM works. With --native also none, which boots nothing." enum:"auto,tcg,kvm,none" default:"auto" env:"ACCEL"`
	Native  bool     `help:"Time lookups in user space on this processor, too, also while vCPUs' cache lines are another processor's, or in no cache."`
	Out     string   `help:"Directory for the results (default: out; out/running with --running)." placeholder:"DIR"`
	Count   []int    `name:"memory-at" help:"Count the memory of VMs with so many vCPUs, too. 4096 take the unpatched kernel some ten seconds each." placeholder:"N"`
	Trial   bool     `help:"Run everything and report no figures, where times mean nothing, as in an emulator's guests."`
	Seed    uint64   `help:"Shuffles the order of the boots." default:"1" placeholder:"N"`
}

// Validate refuses what cannot be measured, before anything is done.
func (c benchRunCmd) Validate() error {
	var growTo []int
	if c.GrowTo != nil {
		growTo = []int{*c.GrowTo}
	}
	for _, f := range []struct {
		flag        string
		values      []int
		least, most int
		what        string
		zero        bool // may stand there, too
	}{
		{"--rounds", []int{c.Rounds}, 1, bench.MaxRounds, "", true},
		{"--sizes", c.Sizes, 1, bench.MaxVCPUs, " vCPUs", false},
		{"--memory-at", c.Count, 1, bench.MaxVCPUs, " vCPUs", false},
		{"--grow-to", growTo, 2, bench.MaxVCPUs, " vCPUs, or 0", true},
		{"--paths", c.Paths, 2, bench.MaxVCPUs, " vCPUs, or 0 alone", len(c.Paths) == 1},
	} {
		for _, n := range f.values {
			if (n < f.least || n > f.most) && (n != 0 || !f.zero) {
				return fmt.Errorf("%s: expected %d to %d%s, found %d", f.flag, f.least, f.most, f.what, n)
			}
		}
	}
	return c.contradiction()
}

func (c benchRunCmd) contradiction() error {
	designs, running, variants := c.Designs, c.Running, c.Full || len(c.Variant) > 0
	for _, wrong := range []struct {
		given bool
		text  string
	}{
		{c.Accel == "none" && !c.Native && !designs, "--accel none: nothing would be measured: expected --native with it"},
		{c.Through != "" && variants, "--through: variants are milestones of the whole series and measured beside it: leave out one or the other"},
		{c.Series != "" && variants, "--series: variants are of the project's own patches: leave out --full and --variant"},

		{designs && c.Full, "--full: contradicts --designs: milestones are no designs"},
		{designs && c.Set != "", "--set: contradicts --designs: all sets are compared with the rivals"},
		{designs && c.Through != "", "--through: contradicts --designs: all sets are compared with the rivals"},
		{designs && c.Series != "", "--series: contradicts --designs: all sets are compared with the rivals"},
		{designs && c.Accel == "kvm", "--accel kvm: contradicts --designs: the table has instructions, and times of user space"},
		{designs && c.Trial, "--trial: contradicts --designs: the table is made of figures"},
		{designs && c.Max, "--max: contradicts --designs: the table has sizes of its own"},
		{designs && len(c.Sizes) > 0, "--sizes: contradicts --designs: the table has sizes of its own"},
		{designs && len(c.IDs) > 0, "--ids: contradicts --designs: the table has sizes of its own"},
		{designs && len(c.Order) > 0, "--order: contradicts --designs: the table has lookups in one order"},
		{designs && len(c.Paths) > 0, "--paths: contradicts --designs: the table has lookups alone"},
		{designs && c.GrowTo != nil, "--grow-to: contradicts --designs: the table has sizes of its own"},

		{!running && c.runningFlags != (runningFlags{}), "--kernel-build: expected --running with it"},
		{running && len(c.Variant) > 0, "--variant: contradicts --running: no kernel is built"},
		{running && c.Set != "", "--set: contradicts --running: no kernel is built"},
		{running && c.Through != "", "--through: contradicts --running: no kernel is built"},
		{running && c.Series != "", "--series: contradicts --running: no kernel is built"},
		{running && c.HZ != nil, "--hz: contradicts --running: the running kernel ticks as it does"},
		{running && c.Accel != "auto", "--accel (or ACCEL): contradicts --running: nothing is booted"},
		{running && designs, "--designs: contradicts --running: no kernel is built"},
		{running && c.Native, "--native: contradicts --running: no kernel's source is at hand"},
		{running && c.GrowTo != nil && *c.GrowTo != 0, "--grow-to: contradicts --running: who waits is measured in guests alone"},
		{running && len(c.Paths) > 0 && c.Paths[0] != 0, "--paths: contradicts --running: what lookups are worth is measured in guests alone"},
		{running && c.Module != "" && c.KernelBuild != "", "--module: contradicts --running: nothing is built in --kernel-build then"},
	} {
		if wrong.given {
			return errors.New(wrong.text)
		}
	}
	return nil
}

func (c benchRunCmd) kernelFlags() kernelFlags {
	f := kernelFlags{seriesFlags: c.seriesFlags, Config: configDefault}
	if c.HZ != nil && *c.HZ == "100" {
		f.Config = configHZ100
	}
	return f
}

func (c benchRunCmd) axes() bench.Axes {
	a := bench.DefaultAxes
	switch {
	case c.Designs && c.Quick:
		a = bench.QuickDesignAxes
	case c.Designs:
		a = bench.DesignAxes
	case c.Quick:
		a = bench.QuickAxes
	case c.Full:
		a = bench.FullAxes
	}
	if len(c.Sizes) > 0 {
		a.Sizes = sorted(c.Sizes)
	}
	if c.Max {
		a.Sizes = sorted(append(a.Sizes, bench.MaxVCPUs))
	}
	if len(c.IDs) > 0 {
		a.IDs = chosen(measure.AllIDs, c.IDs)
	}
	if c.GrowTo != nil {
		a.Growth, a.Readers = *c.GrowTo, *c.GrowTo
	}
	if len(c.Paths) > 0 {
		a.Paths = slices.DeleteFunc(sorted(c.Paths), func(n int) bool { return n == 0 })
	}
	if len(c.Order) > 0 {
		a.Orders = chosen(measure.AllOrders, c.Order)
	}
	return a
}

// sorted returns each number once, the smallest first.
func sorted(numbers []int) []int {
	return slices.Compact(slices.Sorted(slices.Values(numbers)))
}

// chosen returns those of all that have a name, in the order of all.
func chosen[T ~string](all []T, names []string) []T {
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return !slices.Contains(names, string(v)) })
}

// Run prints what came out, and where the rest is.
func (c benchRunCmd) Run(ctx context.Context, l *lab) error {
	show := l.showBrief
	switch {
	case c.Running:
		return c.measureRunning(ctx, l)
	case c.Designs:
		show = l.showDesigns
	}
	err := c.measureKernels(ctx, l, show)
	if !c.Full || c.HZ != nil || c.Accel == "none" || err != nil && exit.Code(err) != exit.CheckFailed {
		return err
	}
	if l.JSON {
		// One document is printed.
		show = func(*results.Results, report.Files) error { return nil }
	}
	return errors.Join(err, c.slowTick().measureKernels(ctx, l, show))
}

// slowTick is what --full measures on kernels with a slow tick, for which grace
// periods are the longer: who waits, with each design, and nothing that does not depend on it.
func (c benchRunCmd) slowTick() benchRunCmd {
	hz := "100"
	c.HZ, c.Out, c.Native, c.Max, c.Count = &hz, filepath.Join(cmp.Or(c.Out, "out"), "hz100"), false, false, nil
	c.Sizes, c.IDs, c.Order, c.Paths = []int{1}, []string{string(measure.Dense)}, []string{string(measure.Sequential)}, []int{0}
	return c
}

func (c benchRunCmd) measureKernels(ctx context.Context, l *lab, show func(*results.Results, report.Files) error) error {
	choose, to := l.variants, "out"
	if c.Designs {
		choose, to = l.designs, filepath.Join("out", "designs")
	}
	chosen, err := choose(c.Variant, c.Full)
	if err != nil {
		return err
	}
	if _, err := l.findBase(ctx, c.seriesFlags); err != nil {
		return err
	}
	out, err := outDir(cmp.Or(c.Out, to))
	if err != nil {
		return err
	}
	candidates, err := l.kernels(ctx, c.kernelFlags(), arch.X86_64().Name, chosen)
	if err == nil && c.Designs {
		var designs map[string]*results.Design
		designs, err = l.changes(chosen)
		for i := range candidates {
			candidates[i].Design = designs[candidates[i].Name]
		}
	}
	if err == nil {
		err = l.addLoops(ctx, candidates)
	}
	if err != nil {
		return err
	}
	failed := filepath.Join(out, "failed")
	r, runErr := c.measure(ctx, l, candidates, failed)
	_ = os.Remove(failed) // unless there is something in it
	if c.Trial {
		return l.showTrial(r, runErr)
	}
	// A part of the series, and what others have made, is held to no goal.
	if err := l.deliver(out, r, show, runErr); err != nil || c.Designs || c.seriesFlags != (seriesFlags{}) {
		return err
	}
	return checkGoals(r)
}

// checkGoals returns an error if the series misses a goal for no known reason.
func checkGoals(r *results.Results) error {
	missed := report.UnexplainedGoals(r)
	if len(missed) == 0 {
		return nil
	}
	return exit.With(exit.CheckFailed, fmt.Errorf("bench: goals that are missed for no known reason: %s: mend the patches, or say why in tools/figure/operations.toml",
		strings.Join(missed, "; ")))
}

// deliver writes the results and shows what came out; runErr is why there may be
// fewer than was asked for, or none.
func (l *lab) deliver(out string, r *results.Results, show func(*results.Results, report.Files) error, runErr error) error {
	if r == nil || len(r.Boots) == 0 {
		// Nothing takes the place of results that are there.
		return runErr
	}
	// What came out is shown even if the results cannot be written.
	files, writeErr := writeResults(out, r)
	return errors.Join(runErr, writeErr, show(r, files))
}

// showBrief prints the main table, or all figures for programs.
func (l *lab) showBrief(r *results.Results, files report.Files) error {
	return l.show(r.Figures, func(w io.Writer) error { return report.Brief(w, r, files, report.Colours(w)) })
}

// showTrial says that everything was done, unless runErr says that it was not.
func (l *lab) showTrial(r *results.Results, runErr error) error {
	if runErr != nil {
		return runErr
	}
	did := map[string]int{"boots": len(r.Boots), "kernels": len(r.Kernels)}
	return l.print(did, "the trial is complete, runs: {{.boots}}, kernels: {{.kernels}}; no figure is reported\n")
}

// designs returns those with these names, or all of them.
func (l *lab) designs(names []string, _ bool) ([]variant.Variant, error) {
	all, err := l.allVariants()
	if err != nil {
		return nil, err
	}
	return variant.ChooseDesigns(all, names)
}

// showDesigns prints the comparison of designs, also for programs.
func (l *lab) showDesigns(r *results.Results, files report.Files) error {
	d, err := report.NewDesigns(r)
	if err != nil {
		return err
	}
	return l.show(d, func(w io.Writer) error { return d.WriteText(w, files, report.Colours(w)) })
}

// changes returns what is compared of designs besides figures, by the names of kernels.
func (l *lab) changes(chosen []variant.Variant) (map[string]*results.Design, error) {
	sets, err := l.sets()
	if err != nil {
		return nil, err
	}
	return variant.Designs(sets, chosen)
}

// measure measures with each method that the accelerator allows.
func (c benchRunCmd) measure(ctx context.Context, l *lab, candidates []bench.Candidate, keep string) (*results.Results, error) {
	methods, found, err := c.methods(ctx, l, candidates[0].Built)
	if err != nil {
		return nil, err
	}
	qemu, err := vm.QEMUVersion(ctx, arch.X86_64())
	if err != nil {
		return nil, err
	}
	host := l.host(ctx)
	host.QEMU, host.Accel, host.Pahole = qemu, found, candidates[0].Built.Toolchain.Pahole

	var all *results.Results
	for _, method := range methods {
		plan := c.complete(bench.NewPlan(method, c.axes()))
		var runner bench.Runner = &bench.Guests{Cache: l.cache, Candidates: candidates, KeepDir: keep, Source: l.root}
		if method == results.Native {
			runner = &bench.Native{Cache: l.cache, Candidates: candidates}
		}

		r, err := bench.Measure(ctx, runner, plan, l.log)
		switch {
		case r == nil && all != nil:
			all.Interrupted = true // what was measured with other methods is kept
		case r != nil && all == nil:
			all = r
			all.Host = host
		case r != nil:
			if mergeErr := all.Add(r); mergeErr != nil {
				return nil, mergeErr
			}
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func (c benchRunCmd) complete(plan bench.Plan) bench.Plan {
	plan.Seed, plan.Trial = c.Seed, c.Trial
	if c.Rounds > 0 {
		plan.Rounds = c.Rounds
	}
	for _, n := range c.Count {
		plan.Count(n)
	}
	return plan
}

// methods returns the ways to measure on this machine, and what was found out about its
// accelerator. Instructions are counted unless only times were asked for.
func (c benchRunCmd) methods(ctx context.Context, l *lab, k *kbuild.Kernel) (methods []results.Method, found string, err error) {
	found = "none: nothing was booted"
	if c.Accel != "none" {
		v, err := l.accel(ctx, c.Accel, k)
		if err != nil {
			return nil, "", err
		}
		found = fmt.Sprintf("%s: %s", v.Accel, v.Reason)
		if v.Accel != vm.KVM || c.Accel != "kvm" {
			methods = append(methods, results.ICount)
		}
		if v.Accel == vm.KVM && !c.Designs {
			methods = append(methods, results.KVM)
		}
	}
	if c.Native || c.Designs {
		methods = append(methods, results.Native)
	}
	return methods, found, nil
}
