// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
	"vcpulab/tools/vm"
)

type buildCmd struct {
	kernelFlags
	Variant []string `help:"Build this kernel, too: a milestone of the series or a comparator, see ci/variants.toml. May be repeated." placeholder:"NAME" sep:"none"`
	Arch    string   `help:"Architecture to build for; with --objects also a column of ci/matrix, or all." default:"x86_64" placeholder:"ARCH"`
	Objects bool     `help:"Compile KVM's objects alone, with W=1 and sparse, and compare warnings."`
	Each    bool     `help:"With --objects: after each patch, compared with the one before."`
	Out     string   `help:"With --objects: directory for logs, JSON and JUnit." default:"out/matrix" placeholder:"DIR"`
	Jobs    int      `short:"j" help:"With --objects: jobs of make, for each of the two columns compiled at a time (default: as many as there are processors)." placeholder:"N"`
}

// Run prints where the two images are, or what compiling the objects found.
func (c buildCmd) Run(ctx context.Context, l *lab) error {
	if len(c.Variant) > 0 && (c.Objects || c.Through != "") {
		return exit.With(exit.Usage, errors.New("--variant builds kernels of the whole series: leave out --objects and --through"))
	}
	if c.Objects {
		return c.objects(ctx, l)
	}
	if c.Each {
		return exit.With(exit.Usage, errors.New("--each is for --objects"))
	}
	chosen, err := l.variants(c.Variant, false)
	if err != nil {
		return err
	}
	built, err := l.kernels(ctx, c.kernelFlags, c.Arch, chosen)
	if err != nil {
		return err
	}
	kernels := make(map[string]*kbuild.Kernel)
	for _, b := range built {
		kernels[b.Name] = b.Built
	}
	return l.show(kernels, func(w io.Writer) error {
		for _, b := range built {
			k := b.Built
			fmt.Fprintf(w, "%-8s %s  %s, %s in %s\n", b.Name, k.ImagePath(), k.Release, progress.Count(k.Steps, "step"), k.Elapsed().Round(time.Second))
		}
		return nil
	})
}

// parallelColumns is how many columns are compiled at a time: make's own work,
// and the largest file of a column, keep one processor busy.
const parallelColumns = 2

// objects compiles KVM without and with the series, or patch by patch.
func (c buildCmd) objects(ctx context.Context, l *lab) error {
	columns, err := matrix.Load(l.path("ci", "matrix"))
	if err != nil {
		return err
	}
	if columns, err = matrix.Choose(columns, c.Arch); err != nil {
		return err
	}
	if l.another(c.seriesFlags) {
		for i := range columns {
			columns[i].ForAnother = columns[i].Fragments
		}
	}
	s, through, err := l.series(ctx, c.seriesFlags)
	if err != nil {
		return err
	}

	w, err := l.open(ctx, c.seriesFlags)
	if err != nil {
		return err
	}
	rows := []matrix.Row{{Subject: "Linux " + w.base.Version, Tree: func(context.Context) (tree.Tree, error) { return w.base, nil }}}
	for n := 1; n <= through; n++ {
		if n < through && !c.Each {
			continue
		}
		rows = append(rows, matrix.Row{Patch: n, Subject: s.Patches[n-1].Subject, Tree: func(ctx context.Context) (tree.Tree, error) {
			o := w.options
			o.Through = n
			t, _, err := s.Apply(ctx, w.base, o)
			return t, err
		}})
	}

	b := l.builder()
	b.Jobs = cmp.Or(c.Jobs, runtime.NumCPU()) // for each column
	r, err := matrix.Run(ctx, b, columns, rows, parallelColumns)
	if err != nil {
		return err
	}

	dir, err := outDir(c.Out)
	if err != nil {
		return err
	}
	if err := r.Write(dir); err != nil {
		return err
	}
	return errors.Join(l.show(r, r.WriteText), r.Err())
}

type bootCmd struct {
	kernelFlags
	Kernel string `arg:"" optional:"" help:"base or patched." enum:"base,patched" default:"patched"`
	Arch   string `help:"${bootable}." default:"x86_64" placeholder:"ARCH"`
	Accel  string `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Out    string `help:"Directory for the console, and for what repeats a boot that failed." default:"out/boot" placeholder:"DIR"`
	paramFlag
}

type paramFlag struct {
	Param []string `help:"A parameter of KVM's modules, or of a kernel without modules, and its values, as kvm_amd.npt=0,1. Repeated, each combination is booted." placeholder:"MODULE.NAME=VALUE" sep:"none"`
}

// combineParams returns all combinations, one without parameters if none was given.
func (f paramFlag) combineParams() ([][]vm.Param, error) {
	combined, err := vm.CombineParams(f.Param)
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("--param: %w", err))
	}
	return combined, nil
}

// Run prints how long each boot took.
func (c bootCmd) Run(ctx context.Context, l *lab) error {
	combined, err := c.combineParams()
	if err != nil {
		return err
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	k, err := l.bootable(ctx, c.kernelFlags, c.Kernel, c.Arch)
	if err != nil {
		return err
	}
	choice, err := l.accel(ctx, c.Accel, k)
	if err != nil {
		return err
	}

	for _, params := range combined {
		guest := vm.Guest{Source: l.root}
		if len(params) > 0 {
			if guest, err = l.kvmGuest(k, choice.Accel, params); err != nil {
				return err
			}
		}
		res, err := vm.Boot(ctx, l.cache, vm.Machine{Arch: k.Arch, Accel: choice.Accel, Kernel: k.ImagePath()},
			guest, vm.Options{KeepDir: filepath.Join(out, c.Kernel)})
		if err == nil {
			err = c.report(l, res, choice.Accel, params)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c bootCmd) report(l *lab, res *vm.Result, accel vm.Accel, params []vm.Param) error {
	with := string(accel)
	if len(params) > 0 {
		with += ", " + vm.JoinParams(params)
	}
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	return l.show(res, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s: Linux %s with %s: first record after %v, QEMU ended after %v\n",
			c.Kernel, c.Arch, res.Hello.Kernel, with, ms(res.Timing.Hello), ms(res.Timing.Gone))
		return err
	})
}
