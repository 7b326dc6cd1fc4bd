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
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/bench"
	"vcpulab/tools/bisect"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/program"
	"vcpulab/tools/results"
	"vcpulab/tools/selftest"
	"vcpulab/tools/tree"
)

type bisectCmd struct {
	kernelFlags
	Selftest string `help:"Whether this selftest fails, built as after all patches." placeholder:"NAME"`
	Splat    string `help:"Whether the kernel complains with this text while the selftest runs." placeholder:"TEXT"`
	Warning  string `help:"Whether compiling KVM warns with this text, in the column --arch of ci/matrix." placeholder:"TEXT" xor:"what"`
	Figure   string `help:"Whether this figure, by its name in results.bench, is nearer to that after all patches than to that of the base." placeholder:"NAME" xor:"what"`
	Command  string `name:"run" help:"Whether this command fails, which finds the patched tree in $VCPULAB_TREE; 125 is for what cannot be told." placeholder:"COMMAND" xor:"what"`
	Arch     string `help:"Architecture; with --warning a column of ci/matrix." default:"x86_64" placeholder:"ARCH"`
	Out      string `help:"Directory for the logs." default:"out/bisect" placeholder:"DIR"`
}

// found is what is known after a patch: whether it is there, or a figure, and a log.
type found struct {
	has   bool
	value float64
	log   string
}

// errUnknown is for a patch of which nothing can be told.
var errUnknown = errors.New("it cannot be told")

// Run prints which patch it is.
func (c bisectCmd) Run(ctx context.Context, l *lab) error {
	if (c.Selftest != "") == (c.Warning+c.Figure+c.Command != "") || c.Splat != "" && c.Selftest == "" {
		return exit.With(exit.Usage, errors.New("bisect: expected one of --selftest, --warning, --figure and --run, and --splat with a --selftest"))
	}
	s, last, err := l.series(ctx, c.seriesFlags)
	if err != nil {
		return err
	}
	if last == 0 {
		return exit.With(exit.Usage, errors.New("bisect: there is no patch up to --through 0"))
	}
	look, err := c.judge(ctx, l)
	if err != nil {
		return err
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}

	var ends []float64 // the figure of the base, and after all patches
	r, err := bisect.Find(ctx, last, func(ctx context.Context, patch int) (st bisect.State, err error) {
		step := l.log.Step(fmt.Sprintf("bisect: patch %d", patch))
		defer func() { step.End(err, "%s", cmp.Or(st.Why, map[bool]string{true: "yes", false: "no"}[st.Has])) }()
		f := c
		f.Through = fmt.Sprint(patch)
		a, err := l.apply(ctx, f.seriesFlags)
		if err != nil {
			return st, err
		}
		got, err := look(ctx, patch, a.patched)
		if code := exit.Code(err); ctx.Err() == nil && (errors.Is(err, errUnknown) || code == exit.BuildFailed || code == exit.BootFailed) {
			st.Why, err = err.Error(), nil
			got.log += "\n" + st.Why
		}
		if st.Has = got.has; c.Figure != "" {
			if ends = append(ends, got.value); len(ends) > 1 {
				st.Has = (got.value-ends[0])/(ends[1]-ends[0]) > 0.5
			}
		}
		st.Log = filepath.Join(out, fmt.Sprintf("%04d.log", patch))
		return st, errors.Join(err, os.WriteFile(st.Log, []byte(got.log), 0o644))
	})
	if err != nil {
		return err
	}
	return l.show(r, func(w io.Writer) error {
		for p := r.Before.Patch + 1; p < r.After.Patch; p++ {
			fmt.Fprintf(w, "cannot be told: %d  %s\n", p, s.Patches[p-1].Subject)
		}
		verb := "makes it so"
		if r.Before.Has {
			verb = "ends it"
		}
		_, err := fmt.Fprintf(w, "patch %d %s: %s: %s\nbefore: %s\nafter:  %s\n", r.After.Patch, verb, s.Patches[r.After.Patch-1].Name, s.Patches[r.After.Patch-1].Subject, r.Before.Log, r.After.Log)
		return err
	})
}

// judge returns what looks at the tree after a patch.
func (c bisectCmd) judge(ctx context.Context, l *lab) (func(ctx context.Context, patch int, t tree.Tree) (found, error), error) {
	switch {
	case c.Command != "":
		return c.command, nil
	case c.Warning != "":
		columns, err := matrix.Load(l.path("ci", "matrix"))
		if err == nil {
			columns, err = matrix.Choose(columns, c.Arch)
		}
		return func(ctx context.Context, patch int, t tree.Tree) (f found, err error) {
			for _, column := range columns {
				o, err := l.builder().Objects(ctx, matrix.Row{Patch: patch}.Name(), t, column)
				if err != nil {
					return f, err
				}
				for _, w := range o.Warnings {
					f.has = f.has || strings.Contains(w.String(), c.Warning)
					f.log += column.Name + ": " + w.String() + "\n"
				}
			}
			return f, nil
		}, err
	}

	spec, err := l.spec(c.kernelFlags, c.Arch)
	if err != nil {
		return nil, err
	}
	if c.Figure != "" && c.Arch != arch.X86_64().Name {
		return nil, exit.With(exit.Usage, fmt.Errorf("--figure is for x86_64, not for %s", c.Arch))
	}
	var tests *kbuild.Selftests
	if c.Selftest != "" {
		all, err := l.apply(ctx, c.seriesFlags)
		if err == nil {
			tests, err = l.builder().BuildSelftests(ctx, all.patched, kbuild.Spec{Arch: spec.Arch}, []string{c.Selftest})
		}
		if err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, patch int, t tree.Tree) (found, error) {
		k, err := l.builder().Build(ctx, matrix.Row{Patch: patch}.Name(), t, spec)
		if err != nil {
			return found{}, err
		}
		if c.Figure != "" {
			return c.figure(ctx, l, k)
		}
		return c.selftest(ctx, l, k, tests)
	}, nil
}

func (c bisectCmd) command(ctx context.Context, patch int, t tree.Tree) (found, error) {
	p := program.Program{Name: "sh", InheritEnv: true, Env: []string{"VCPULAB_TREE=" + t.Dir, fmt.Sprintf("VCPULAB_PATCH=%d", patch)}}
	out, errs, err := p.Run(ctx, "-c", c.Command)
	f := found{log: string(out) + string(errs)}
	if status, ok := errors.AsType[*program.StatusError](err); ok {
		if f.has, err = true, nil; status.Status == 125 {
			err = errUnknown
		}
	}
	return f, err
}

func (c bisectCmd) selftest(ctx context.Context, l *lab, k *kbuild.Kernel, tests *kbuild.Selftests) (f found, err error) {
	v, err := l.accel(ctx, "auto", k)
	if err != nil {
		return f, err
	}
	kernel, err := selftest.NewKernel(k.Release, k, tests, v.Accel)
	if err != nil {
		return f, err
	}
	o := selftest.Options{Accel: v.Accel, Parallel: 1, Log: l.log, Source: l.root}
	if err := l.guestOptions(c.Config, &o); err != nil {
		return f, err
	}
	list, err := selftest.Run(ctx, l.cache, kernel, o)
	for _, r := range list {
		f.log += fmt.Sprintf("%s: %s: %s\n%s\n%s\n", r.Name, r.Outcome, r.Reason, r.Output, r.Console)
		f.has = f.has || c.Splat == "" && r.Outcome != selftest.Pass && r.Outcome != selftest.Skip
		for _, s := range r.Splats {
			f.has = f.has || c.Splat != "" && strings.Contains(s.Title+"\n"+s.About, c.Splat)
		}
	}
	return f, err
}

func (c bisectCmd) figure(ctx context.Context, l *lab, k *kbuild.Kernel) (f found, err error) {
	one := []bench.Candidate{{Kernel: results.Kernel{Name: k.Release}, Built: k}}
	if err := l.addLoops(ctx, one); err != nil {
		return f, err
	}
	r, err := bench.Measure(ctx, &bench.Guests{Cache: l.cache, Candidates: one, Source: l.root}, bench.NewPlan(results.ICount, bench.DefaultAxes), l.log)
	if err != nil {
		return f, err
	}
	for _, g := range r.Figures {
		f.log += fmt.Sprintf("%s %g %s\n", g.Name(), g.Value, g.Unit())
		if g.Name() == c.Figure && g.Column == k.Release {
			f.has, f.value = true, g.Value
		}
	}
	if !f.has {
		return f, exit.With(exit.Usage, fmt.Errorf("unknown figure %q: expected one of those that vcpulab report --format bench prints", c.Figure))
	}
	f.has = false
	return f, nil
}
