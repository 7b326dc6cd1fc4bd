// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/selftest"
	"vcpulab/tools/vm"
)

// selftestCmd runs KVM's selftests on both kernels.
type selftestCmd struct {
	kernelFlags
	Arch  string   `help:"${bootable}, or all of them, one after the other." default:"x86_64" placeholder:"ARCH"`
	Quick bool     `help:"Only the tests that touch the lookup of vCPUs, and those that the series adds: minutes (the default with --config debug and kcsan)."`
	Only  []string `help:"Names of tests; * and ? are wild. May be given again." placeholder:"PATTERN"`
	Accel string   `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Out   string   `help:"Folder for logs, JSON and JUnit, in one for each architecture." default:"out/selftests" placeholder:"DIR"`
}

// maxGuests bounds how many guests run at a time.
const maxGuests = 8

// Run prints both kernels' results side by side, and a line that counts them.
func (c selftestCmd) Run(ctx context.Context, l *lab) error {
	plans, err := c.plans(ctx, l)
	if err != nil {
		return err
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	var all []selftest.Comparison
	var errs []error
	for _, p := range plans {
		if len(plans) > 1 && !l.JSON {
			l.printf("%s:\n", p.name)
		}
		cmp, err := c.run(ctx, l, p, filepath.Join(out, p.name))
		if ctx.Err() != nil || len(plans) == 1 && cmp == nil {
			return err
		}
		if err != nil && len(plans) > 1 {
			err = fmt.Errorf("%s: %w", p.name, err)
		}
		if cmp == nil {
			// The others' results are worth having.
			cmp = &selftest.Comparison{Arch: p.name, Incomplete: inOneLine(err)}
			if !l.JSON {
				l.printf("%v\n\n", err)
			}
		}
		all, errs = append(all, *cmp), append(errs, err)
	}
	if l.JSON && len(plans) == 1 {
		errs = append(errs, all[0].WriteJSON(l.stdout))
	} else if l.JSON {
		errs = append(errs, l.printJSON(all))
	} else if len(plans) > 1 {
		l.printf("%s", selftest.Sum(all))
	}
	return errors.Join(errs...)
}

// run builds what a plan wants and runs it. The comparison is nil if there was
// nothing to compare; else it was printed, and the error says what is wrong
// with it.
func (c selftestCmd) run(ctx context.Context, l *lab, p selftestPlan, out string) (*selftest.Comparison, error) {
	// What is left of an earlier run is no result of this one.
	if err := removeResults(out); err != nil {
		return nil, err
	}
	base, patched, err := l.kernels(ctx, c.kernelFlags, p.name)
	if err != nil {
		return nil, err
	}
	v, err := l.accel(ctx, c.Accel, base)
	if err != nil {
		return nil, err
	}
	subjects, err := c.subjects(ctx, l, p, base, patched, v.Accel)
	if err != nil {
		return nil, err
	}
	opts := selftest.Options{Accel: v.Accel, Parallel: guestsAtOnce(), Log: l.log, Source: l.root}
	if v.Accel == vm.KVM {
		// Times matter more than throughput where tests have deadlines.
		opts.Parallel = 1
	}
	if err := l.guestOptions(c.Config, &opts); err != nil {
		return nil, err
	}
	cmp, err := c.compare(ctx, l, p, subjects, opts, out)
	return cmp, c.conclude(l, cmp, err, out)
}

// conclude shows a comparison, unless it is nil, and returns what is wrong: why
// the run did not come to its end before all.
func (c selftestCmd) conclude(l *lab, cmp *selftest.Comparison, runErr error, out string) error {
	if cmp == nil {
		return runErr
	}
	err := errors.Join(runErr, c.show(l, out, *cmp))
	if runErr != nil {
		return err
	}
	return errors.Join(err, cmp.Err())
}

// guestsAtOnce is how many guests this machine runs at a time: under TCG each
// keeps one processor busy.
func guestsAtOnce() int {
	n := min(runtime.NumCPU(), maxGuests)
	if free := availableMiB(); free > 0 {
		// QEMU needs some itself.
		n = min(n, free/(selftest.DefaultMemMiB*5/4))
	}
	return max(1, n)
}

// availableMiB is how much memory new programs can have, 0 if it is not known.
func availableMiB() int {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kib int
	for line := range strings.Lines(string(data)) {
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); err == nil {
			return kib >> 10
		}
	}
	return 0
}

// compare runs the tests of both kernels. There is a comparison, marked as
// incomplete, also of a run in which the patched kernel could not be run to
// the end; not if that befell the base kernel, or if ctx ended.
func (c selftestCmd) compare(ctx context.Context, l *lab, p selftestPlan, subjects []selftest.Subject, opts selftest.Options, out string) (*selftest.Comparison, error) {
	id := fmt.Sprintf("%s-%s-%s", p.name, opts.Accel, c.Config)
	opts.History = selftest.LoadHistory(l.cache, id)
	var results [2][]selftest.Result
	var runErr error
	for i, s := range subjects {
		opts.KeepDir = filepath.Join(out, s.Name)
		var err error
		results[i], err = selftest.Run(ctx, l.cache, s, opts)
		if saveErr := selftest.SaveHistory(l.cache, id, results[i]); saveErr != nil {
			err = errors.Join(err, saveErr)
		}
		if err != nil && (i == 0 || ctx.Err() != nil) {
			return nil, err
		}
		opts.Expect, opts.Failing = selftest.Expect(results[i]), selftest.Failing(results[i])
		// On the patched kernel, luck must not help the tests of the series.
		opts.Once = p.expect.Added
		runErr = err
	}
	e := p.expect
	if runErr != nil {
		e.Incomplete = inOneLine(runErr)
	}
	cmp := selftest.Compare(results[0], results[1], e)
	cmp.Arch = p.name
	return &cmp, runErr
}

func inOneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// subjects are both kernels, each with the tests of its own tree. Tests that
// only the series has are run on the base kernel as well, as built with it.
func (c selftestCmd) subjects(ctx context.Context, l *lab, p selftestPlan, base, patched *kbuild.Kernel, accel vm.Accel) ([]selftest.Subject, error) {
	spec := kbuild.Spec{Arch: p.arch}
	if p.base == nil {
		p.base = slices.DeleteFunc(slices.Clone(p.patched), func(n string) bool { return !kbuild.HasSelftest(base.Tree, n) })
	}
	subject := func(name string, k *kbuild.Kernel, names []string) (selftest.Subject, error) {
		built := &kbuild.Selftests{}
		if len(names) > 0 {
			want := names
			if p.all {
				want = nil // so that they are found again whichever are asked for
			}
			var err error
			if built, err = l.builder().BuildSelftests(ctx, k.Tree, spec, want); err != nil {
				return selftest.Subject{}, err
			}
		}
		if err := addedBuilt(p.expect.Added, built.Unbuilt); err != nil {
			return selftest.Subject{}, err
		}
		return selftest.NewSubject(name, k, built, accel)
	}
	withSeries, err := subject(namePatched, patched, p.patched)
	if err != nil {
		return nil, err
	}
	without, err := subject(nameBase, base, p.base)
	if err != nil {
		return nil, err
	}
	for _, t := range withSeries.Tests {
		if !slices.Contains(p.base, t.Name) {
			without.Tests = append(without.Tests, t)
		}
	}
	return []selftest.Subject{without, withSeries}, nil
}

// addedBuilt refuses to skip a test that the series brings because it cannot be
// built: that is a fault of the series.
func addedBuilt(added []string, unbuilt map[string]string) error {
	for _, name := range added {
		if why, ok := unbuilt[name]; ok {
			return exit.With(exit.BuildFailed, fmt.Errorf("%s, which comes with the series, cannot be built: %s", name, why))
		}
	}
	return nil
}

// The files of results in the folder of an architecture.
const (
	selftestsJSON  = "selftests.json"
	selftestsJUnit = "selftests.xml"
)

// removeResults removes what show has written.
func removeResults(out string) error {
	for _, name := range []string{selftestsJSON, selftestsJUnit} {
		if err := os.Remove(filepath.Join(out, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the results of an earlier run: %w", err)
		}
	}
	return nil
}

// show prints the comparison and writes it for programs.
func (c selftestCmd) show(l *lab, out string, cmp selftest.Comparison) error {
	err := errors.Join(
		writeFile(filepath.Join(out, selftestsJSON), func(f *os.File) error { return cmp.WriteJSON(f) }),
		writeFile(filepath.Join(out, selftestsJUnit), func(f *os.File) error { return cmp.WriteJUnit(f) }),
	)
	if !l.JSON {
		l.printf("logs: %s\n\n", out)
		err = errors.Join(err, cmp.WriteText(l.stdout, c.again(cmp.Arch)))
	}
	return selftest.DiskFull(err)
}

// again is how a test is run again, with %s for its name.
func (c selftestCmd) again(name string) string {
	again := "bin/vcpulab selftest"
	if name != arch.X86_64().Name {
		again += " --arch " + name
	}
	if c.searching() {
		again += " --config " + c.Config
	}
	return again + " --only %s"
}

// writeFile writes a file of results, whole or not at all.
func writeFile(name string, write func(*os.File) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
