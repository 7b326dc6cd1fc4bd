// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"vcpulab/tools/arch"
	"vcpulab/tools/bench"
	"vcpulab/tools/exit"
	"vcpulab/tools/host"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/selftest"
	"vcpulab/tools/unittests"
	"vcpulab/tools/vm"
)

type selftestCmd struct {
	kernelFlags
	Arch  string   `help:"${tested}, or all of them, one after the other." default:"x86_64" placeholder:"ARCH"`
	Quick bool     `help:"Only the tests that touch the lookup of vCPUs, and those that the series adds: minutes (the default with --config debug and kcsan)."`
	Only  []string `help:"Names of tests; * and ? are wild. May be given again." placeholder:"PATTERN"`
	Accel string   `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	paramFlag
	Known     string `help:"A list of yours, in TOML, of tests that are known to fail and why, as [[known]] test = 'x86/*' why = '...': they do not fail the run, but for what the kernel complains of." placeholder:"FILE" type:"existingfile"`
	UnitTests string `name:"kvm-unit-tests" help:"Run those of this tree of kvm-unit-tests instead, with this machine's QEMU in guests with both kernels, on x86_64. The tree is only read." placeholder:"DIR" type:"existingdir"`
	Out       string `help:"Directory for logs, JSON, JUnit and KTAP; each architecture has its own in it." default:"out/selftests" placeholder:"DIR"`
}

const maxGuests = 8

// Run prints the results of both kernels side by side, and a line that counts them.
func (c selftestCmd) Run(ctx context.Context, l *lab) error {
	plans, err := c.plans(ctx, l)
	if err != nil {
		return err
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}

	var comparisons []selftest.Comparison
	var errs []error
	for _, p := range plans {
		if len(plans) > 1 && !l.JSON {
			l.printf("%s:\n", p)
		}
		compared, err := c.run(ctx, l, p, filepath.Join(out, p.dir()))
		if ctx.Err() != nil || len(plans) == 1 && compared == nil {
			return err
		}
		if err != nil && len(plans) > 1 {
			err = fmt.Errorf("%s: %w", p, err)
		}
		if compared == nil {
			// The results of the others are still of use.
			compared = &selftest.Comparison{Arch: p.arch.Name, Params: vm.JoinParams(p.params), Incomplete: inOneLine(err)}
			if !l.JSON {
				l.printf("%v\n\n", err)
			}
		}
		comparisons, errs = append(comparisons, *compared), append(errs, err)
	}

	switch {
	case l.JSON && len(plans) == 1:
		errs = append(errs, l.printJSON(comparisons[0]))
	case l.JSON:
		errs = append(errs, l.printJSON(comparisons))
	case len(plans) > 1:
		l.printf("%s", selftest.Sum(comparisons))
	}
	return errors.Join(errs...)
}

// run builds what a plan needs and runs it. The comparison was printed, and the error says
// what is wrong with it; it is nil if there was nothing to compare.
func (c selftestCmd) run(ctx context.Context, l *lab, p selftestPlan, out string) (*selftest.Comparison, error) {
	// The results of an earlier run must not pass for those of this one.
	for _, name := range selftest.Files {
		if err := os.RemoveAll(filepath.Join(out, name)); err != nil {
			return nil, fmt.Errorf("remove the results of an earlier run: %w", err)
		}
	}

	built, err := l.kernels(ctx, c.kernelFlags, p.arch.Name, nil)
	if err != nil {
		return nil, err
	}
	v, err := l.accel(ctx, c.Accel, built[0].Built)
	if err != nil {
		return nil, err
	}
	opts := selftest.Options{Accel: v.Accel, Params: p.params, Parallel: l.guestsAtOnce(selftest.DefaultMemMiB), Log: l.log, Source: l.root}
	var kernels []selftest.Kernel
	if c.UnitTests == "" {
		kernels, err = c.kernels(ctx, l, p, built, v.Accel)
	} else {
		kernels, err = c.unitTests(ctx, l, built, v.Accel, &opts)
	}
	if err != nil {
		return nil, err
	}
	if v.Accel == vm.KVM {
		// Times matter more than throughput where tests have deadlines.
		opts.Parallel = 1
	}
	if err := l.guestOptions(c.Config, &opts); err != nil {
		return nil, err
	}
	qemu, err := vm.QEMUVersion(ctx, p.arch)
	if err != nil {
		return nil, err
	}
	p.setting = selftest.Setting{
		Command: shellescape.QuoteCommand(append([]string{"vcpulab"}, os.Args[1:]...)),
		Base:    built[0].Built.Tree.ID, Patched: built[1].Built.Tree.ID, Host: l.host(ctx),
	}
	p.setting.Host.QEMU, p.setting.Host.Accel = qemu, fmt.Sprintf("%s: %s", v.Accel, v.Reason)
	return c.compare(ctx, l, p, kernels, opts, out)
}

// guestsAtOnce is how many guests with that much memory this machine runs at a time:
// under TCG each keeps one processor busy, and QEMU needs some memory itself.
func (l *lab) guestsAtOnce(memMiB int) int {
	h := host.Read(l.cache.Dir())
	n := min(h.Cores, maxGuests)
	if h.Available > 0 {
		n = min(n, int(h.Available>>20)/(memMiB*5/4))
	}
	return max(1, n)
}

// compare runs the tests of both kernels, and prints and writes the comparison. It is
// incomplete if the patched kernel's run ends early; if the base's does, there is none.
func (c selftestCmd) compare(ctx context.Context, l *lab, p selftestPlan, kernels []selftest.Kernel, opts selftest.Options, out string) (*selftest.Comparison, error) {
	id := fmt.Sprintf("%s-%s-%s", p.arch.Name, opts.Accel, c.Config)
	if c.UnitTests != "" {
		id += "-unit-tests"
	}
	if len(p.params) > 0 {
		id += "-" + vm.JoinParams(p.params)
	}
	opts.History = selftest.LoadHistory(l.cache, id)
	var results [2][]selftest.Result
	var runErr error
	for i, k := range kernels {
		opts.KeepDir = filepath.Join(out, k.Name)
		var err error
		results[i], err = selftest.Run(ctx, l.cache, k, opts)
		err = errors.Join(err, selftest.SaveHistory(l.cache, id, k.Name, results[i]))
		if err != nil && (i == 0 || ctx.Err() != nil) {
			return nil, err
		}
		opts.Elsewhere = results[i]
		// On the patched kernel, luck must not help the tests of the series.
		opts.Once = p.expect.Added
		runErr = err
	}

	e := p.expect
	e.History = selftest.LoadHistory(l.cache, id)
	if runErr != nil {
		e.Incomplete = inOneLine(runErr)
	}
	compared := selftest.Compare(results[0], results[1], e)
	compared.Arch, compared.Params, compared.Setting = p.arch.Name, vm.JoinParams(p.params), &p.setting
	err := compared.Save(out)
	if !l.JSON {
		l.printf("logs: %s\n\n", out)
		err = errors.Join(err, compared.WriteText(l.stdout, c.again(l.Base, p)))
	}
	err = errors.Join(runErr, selftest.DiskFull(err))
	if runErr == nil {
		err = errors.Join(err, compared.Err())
	}
	return &compared, err
}

func inOneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// kernels returns both kernels, each with the tests of its own tree. Tests that
// only the series has run on the base kernel as well, as built with it.
func (c selftestCmd) kernels(ctx context.Context, l *lab, p selftestPlan, built []bench.Candidate, accel vm.Accel) ([]selftest.Kernel, error) {
	if p.base == nil {
		p.base = slices.DeleteFunc(slices.Clone(p.patched), func(n string) bool { return !kbuild.HasSelftest(built[0].Built.Tree, n) })
	}
	var kernels []selftest.Kernel
	for i, names := range [][]string{p.base, p.patched} {
		var err error
		tests := &kbuild.Selftests{}
		if len(names) > 0 {
			if !c.quick() && len(c.Only) == 0 {
				names = nil // so that the cache has them for any selection
			}
			if tests, err = l.builder().BuildSelftests(ctx, built[i].Built.Tree, kbuild.Spec{Arch: p.arch}, names); err != nil {
				return nil, err
			}
		}
		for _, added := range p.expect.Added {
			// That is a fault of the series: to skip the test would hide it.
			if why, ok := tests.Unbuilt[added]; ok {
				return nil, exit.With(exit.BuildFailed, fmt.Errorf("%s, which comes with the series, cannot be built: %s", added, why))
			}
		}
		k, err := selftest.NewKernel(built[i].Name, built[i].Built, tests, accel)
		if err != nil {
			return nil, err
		}
		kernels = append(kernels, k)
	}

	for i := range kernels[1].Tests {
		t := &kernels[1].Tests[i]
		if j := slices.IndexFunc(p.expect.Proofs, func(q selftest.Proof) bool { return q.Test == t.Name }); j >= 0 {
			t.Machine = p.expect.Proofs[j].Machine
		}
		if !slices.Contains(p.base, t.Name) {
			kernels[0].Tests = append(kernels[0].Tests, *t)
		}
	}
	return kernels, nil
}

// unitTests returns both kernels with the same unit tests, and has options bring their files.
func (c selftestCmd) unitTests(ctx context.Context, l *lab, built []bench.Candidate, accel vm.Accel, opts *selftest.Options) ([]selftest.Kernel, error) {
	suite, err := unittests.Build(ctx, l.cache, c.UnitTests, c.Only, accel)
	if err != nil {
		return nil, err
	}
	opts.Files = suite.Files
	var kernels []selftest.Kernel
	for _, b := range built {
		k, err := selftest.NewKernel(b.Name, b.Built, &kbuild.Selftests{}, accel)
		if err != nil {
			return nil, err
		}
		k.Tests, k.Skipped = suite.Tests, suite.Skipped
		kernels = append(kernels, k)
	}
	return kernels, nil
}

// again is the command that runs a test again, with %s for its name.
func (c selftestCmd) again(base string, p selftestPlan) string {
	again := "bin/vcpulab selftest"
	for _, flag := range [][2]string{{"--series", c.Series}, {"--base", base}, {"--set", c.Set}, {"--through", c.Through}} {
		if flag[1] != "" {
			again += " " + flag[0] + " " + strings.ReplaceAll(shellescape.Quote(flag[1]), "%", "%%")
		}
	}
	if p.arch.Name != arch.X86_64().Name {
		again += " --arch " + p.arch.Name
	}
	for _, param := range p.params {
		again += " --param " + param.String()
	}
	if c.searching() {
		again += " --config " + c.Config
	}
	if c.UnitTests != "" {
		again += " --kvm-unit-tests " + shellescape.Quote(c.UnitTests)
	}
	return again + " --only %s"
}
