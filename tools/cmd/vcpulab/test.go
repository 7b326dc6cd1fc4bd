// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/gotest"
	"vcpulab/tools/host"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/program"
	"vcpulab/tools/variant"
)

type testCmd struct {
	Packages []string      `arg:"" optional:"" help:"Packages to test (default: all)."`
	Run_     string        `name:"run" help:"Only tests whose name matches, as for go test." placeholder:"REGEXP"`
	Fuzz     time.Duration `help:"Run each fuzz target for so long, and no tests." placeholder:"TIME"`
}

// The environment by which tests find what cannot be in the repository. Tests
// that need one of these are skipped without it.
const (
	envTree        = "VCPULAB_TEST_TREE"         // directory of the pinned kernel's tree
	envKernel      = "VCPULAB_TEST_KERNEL"       // image of the unpatched kernel
	envModules     = "VCPULAB_TEST_MODULES"      // directory of its modules
	envFaulty      = "VCPULAB_TEST_FAULTY"       // a module for it that breaks it
	envDebugKernel = "VCPULAB_TEST_DEBUG_KERNEL" // image of one that looks for faults, if it is built
	envKCSANKernel = "VCPULAB_TEST_KCSAN_KERNEL" // and of one that looks for data races
	envSelftests   = "VCPULAB_TEST_SELFTESTS"    // directory of KVM's selftests, built from its tree
)

// testGroups are the packages that the tests need; "make test" installs them.
var testGroups = []string{"build", "boot", "shell", "bpf", "verify", "generate", "selftests", "test"}

// testSilence is how long the tests may show no progress. A kernel that is
// built on a slow machine takes this long at most.
const testSilence = time.Hour

// slowest are the packages whose tests take longest. They are begun first, so that
// none of them is left at the end with a processor that has nothing to do.
var slowest = []string{
	"./tools/selftest", "./tools/cmd/vcpulab", "./tools/bench", "./tools/kbuild", "./tools/vm", "./tools/verify", "./tools/native", "./tools/series",
}

// Run prints what failed and, last, how many tests passed and failed.
func (c testCmd) Run(ctx context.Context, l *lab) error {
	var err error
	t := testReport{lab: l}
	o := gotest.Options{Dir: l.root, Packages: c.Packages, Silence: testSilence, Log: l.log}
	if c.Run_ != "" {
		o.Flags = []string{"-run", c.Run_}
	}
	run := gotest.Run
	if c.Fuzz > 0 {
		run = func(ctx context.Context, o gotest.Options) (*gotest.Result, error) {
			return gotest.Fuzz(ctx, o, c.Fuzz)
		}
	} else if o.Env, err = l.testEnv(ctx); err != nil {
		return err
	}
	all := len(c.Packages) == 0
	if all {
		o.Packages = []string{"./..."}
	}
	if all && c.Fuzz == 0 {
		for _, linter := range linters {
			err := l.lint(ctx, linter)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.add(strings.Join(linter, " "), err)
		}
		err := verifyCmd{Out: l.path("out", "verify")}.Run(ctx, l)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.add("vcpulab verify", err)
		// Go takes them in this order, and each once.
		o.Packages = slices.Concat(slowest, o.Packages)
	}

	r, err := run(ctx, o)
	if err != nil {
		return err
	}
	for _, f := range r.Failed {
		t.add(f.String(), errors.New(f.Output))
	}
	t.passed += r.Passed
	if err := t.addSkipped(ctx, r.Skipped); err != nil {
		return err
	}

	l.printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 {
		return exit.With(exit.CheckFailed, fmt.Errorf("test: %d failed", t.failed))
	}
	return nil
}

type testReport struct {
	lab                     *lab
	passed, failed, skipped int
}

// add counts a check; err is nil if it passed.
func (t *testReport) add(name string, err error) {
	if err == nil {
		t.passed++
		return
	}
	t.failed++
	t.lab.printf("FAIL %s\n%s\n", name, strings.TrimRight(err.Error(), "\n"))
}

// addSkipped prints and counts the tests that were skipped. For lack of a program that
// "vcpulab install" brings they have failed: on such a machine they prove nothing.
func (t *testReport) addSkipped(ctx context.Context, tests []gotest.Test) error {
	list, err := t.lab.packages()
	if err != nil {
		return err
	}
	missing, err := list.Missing(ctx, testGroups...)
	if err != nil {
		return err
	}
	for _, test := range tests {
		if lacking := lackingFor(test.Output, missing); lacking != nil {
			t.add(test.String(), fmt.Errorf("%swas skipped for lack of %s: run %q",
				test.Output, lacking.Name, "bin/vcpulab install "+strings.Join(testGroups, " ")))
			continue
		}
		t.skipped++
		t.lab.printf("SKIP %s\n%s", test, test.Output)
	}
	return nil
}

// word is what may name a package, a program or a header.
var word = regexp.MustCompile(`[\pL\pN_+.<>/-]+`)

// lackingFor returns the missing package that a test was skipped for, if that is the reason.
func lackingFor(reason string, missing []host.Package) *host.Package {
	for _, name := range word.FindAllString(reason, -1) {
		name = strings.TrimRight(name, ".")
		if i := slices.IndexFunc(missing, func(p host.Package) bool { return name == p.Name || name == p.Provides }); i >= 0 {
			return &missing[i]
		}
	}
	return nil
}

// linters must print nothing, but to standard error, where go says what it downloads.
var linters = [][]string{
	{"gofmt", "-l", "ci", "ebpf", "tools"},
	{"go", "mod", "tidy", "-diff"},
	{"go", "vet", "./..."},
	{"go", "tool", "staticcheck", "./..."},
}

// lint runs a program in the repository; its output is its error.
func (l *lab) lint(ctx context.Context, args []string) (err error) {
	step := l.log.Step(strings.Join(args, " "))
	defer func() { step.End(err, "clean") }()

	p := program.Program{Name: args[0], Dir: l.root, InheritEnv: true}
	stdout, stderr, err := p.Run(ctx, args[1:]...)
	if err != nil {
		return fmt.Errorf("%w\n%s%s", err, stdout, stderr)
	}
	if len(stdout) > 0 {
		return fmt.Errorf("expected no output, found\n%s", stdout)
	}
	return nil
}

// testEnv builds what the environment above leads to.
func (l *lab) testEnv(ctx context.Context) ([]string, error) {
	k, err := l.bootable(ctx, kernelFlags{}, variant.Base, arch.X86_64().Name)
	if err != nil {
		return nil, err
	}
	tests, err := l.builder().BuildSelftests(ctx, k.Tree, kbuild.Spec{Arch: k.Arch}, k.Arch.QuickTests)
	if err != nil {
		return nil, err
	}
	faulty, err := l.builder().BuildModule(ctx, k, l.path("tools", "vm", "testdata", "faulty"))
	if err != nil {
		return nil, err
	}
	env := []string{
		envSelftests + "=" + tests.Dir,
		envTree + "=" + k.Tree.Dir,
		envKernel + "=" + k.ImagePath(),
		envModules + "=" + filepath.Join(k.Dir, "modules"),
		envFaulty + "=" + faulty[0],
	}
	// These take long to build: make test-kernel-debug and test-kernel-kcsan do.
	for name, config := range map[string]string{envDebugKernel: configDebug, envKCSANKernel: configKCSAN} {
		spec, err := l.spec(kernelFlags{Config: config}, k.Arch.Name)
		if err != nil {
			return nil, err
		}
		searching, err := l.builder().Built(ctx, k.Tree, spec)
		if err != nil {
			return nil, err
		}
		if searching != nil {
			env = append(env, name+"="+searching.ImagePath())
		}
	}
	return env, nil
}
