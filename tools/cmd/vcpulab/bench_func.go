// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"vcpulab/tools/arch"
	"vcpulab/tools/bench"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
)

type benchFuncCmd struct {
	seriesFlags
	Function string   `arg:"" help:"A function of the kernel or of KVM's modules."`
	Workload string   `help:"What calls it: the name of a KVM selftest, or the path of a static program, with arguments." default:"kvm_create_max_vcpus" placeholder:"CMD"`
	Variant  []string `help:"Measure this kernel, too, see ci/variants.toml. May be repeated." placeholder:"NAME" sep:"none"`
	Accel    string   `help:"tcg counts instructions, kvm measures time." enum:"tcg,kvm" default:"tcg" env:"ACCEL"`
}

// Run prints what a call costs on each kernel.
func (c benchFuncCmd) Run(ctx context.Context, l *lab) error {
	words := strings.Fields(c.Workload)
	if len(words) == 0 {
		return exit.With(exit.Usage, errors.New("--workload: expected a selftest or a program, found nothing"))
	}
	program, err := staticProgram(words[0])
	if err != nil {
		return err
	}
	variants, err := l.variants(c.Variant, false)
	if err != nil {
		return err
	}
	kernels, err := l.kernels(ctx, kernelFlags{seriesFlags: c.seriesFlags, Config: configDefault}, arch.X86_64().Name, variants)
	if err == nil {
		err = l.addLoops(ctx, kernels)
	}
	if err == nil && program == "" {
		program, err = l.selftestProgram(ctx, kernels, words[0])
	}
	if err != nil {
		return err
	}
	method := results.ICount
	if c.Accel == "kvm" {
		if _, err := l.accel(ctx, c.Accel, kernels[0].Built); err != nil {
			return err
		}
		method = results.KVM
	}

	guests := &bench.Guests{Cache: l.cache, Candidates: kernels, Source: l.root}
	all, err := c.measure(ctx, l, guests, method, bench.Workload{Name: words[0], Path: program, Args: words[1:]})
	if err != nil {
		return err
	}
	err = l.show(all, func(w io.Writer) error { return writeFunctions(w, c.Function, method, all) })
	if slices.ContainsFunc(all, func(f bench.Function) bool { return f.Refused != "" }) {
		err = errors.Join(err, exit.With(exit.CheckFailed, fmt.Errorf("bench func: %s cannot be measured on each kernel", c.Function)))
	}
	return err
}

func (c benchFuncCmd) measure(ctx context.Context, l *lab, g *bench.Guests, method results.Method, w bench.Workload) (all []bench.Function, err error) {
	step := l.log.Step(fmt.Sprintf("measure %s while %s runs", c.Function, w.Name))
	defer func() { step.End(err, "") }()
	for i, k := range g.Candidates {
		step.Update("%s, kernel %d of %d", k.Name, i+1, len(g.Candidates))
		f, err := g.Function(ctx, i, method, c.Function, w)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// staticProgram returns the absolute path of the user's program, "" if there is no such file.
func staticProgram(name string) (string, error) {
	name = inHome(name)
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	refuse := func(why string) error {
		return exit.With(exit.Usage, fmt.Errorf("--workload %s: expected a program for x86_64 that is linked statically, as guests have no libraries; found %s", name, why))
	}
	f, err := elf.Open(name)
	if err != nil {
		return "", refuse("no ELF file")
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 || f.Class != elf.ELFCLASS64 {
		return "", refuse("one for " + f.Machine.String())
	}
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return "", refuse("one that is linked dynamically")
	}
	return filepath.Abs(name)
}

// selftestProgram builds a selftest of the first tree that has it.
func (l *lab) selftestProgram(ctx context.Context, kernels []bench.Candidate, name string) (string, error) {
	for _, k := range kernels {
		tests, err := l.builder().ListSelftests(ctx, k.Built.Tree, kbuild.Spec{Arch: arch.X86_64()})
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(tests, func(t string) bool { return t == name || filepath.Base(t) == name }) {
			continue
		}
		built, err := l.builder().BuildSelftests(ctx, k.Built.Tree, kbuild.Spec{Arch: arch.X86_64()}, []string{name})
		if err != nil {
			return "", err
		}
		for unbuilt, why := range built.Unbuilt {
			return "", exit.With(exit.BuildFailed, fmt.Errorf("%s does not build: %s", unbuilt, why))
		}
		return built.Path(built.Names[0]), nil
	}
	return "", exit.With(exit.Usage, fmt.Errorf("--workload %s: no such file, and no such selftest of KVM's: vcpulab selftest --only NAME lists those that there are", name))
}

func writeFunctions(w io.Writer, function string, method results.Method, all []bench.Function) error {
	unit := "nanoseconds"
	if method.Exact() {
		unit = "instructions"
	}
	fmt.Fprintf(w, "%s: %s a call, from entry to return\n", function, unit)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "kernel\tcalls\tleast\tmedian\t99 %\tmost\tall calls\t")
	for _, f := range all {
		if f.Refused == "" {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", f.Kernel, f.Calls, f.Least, f.Median, f.P99, f.Most, f.Sum)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range all {
		if f.Refused != "" {
			fmt.Fprintf(w, "%s: no result: %s\n", f.Kernel, f.Refused)
		}
	}
	return nil
}
