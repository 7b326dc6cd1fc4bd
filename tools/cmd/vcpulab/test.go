// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/gotest"
	"vcpulab/tools/kbuild"
)

// testCmd runs the project's own tests.
type testCmd struct {
	Packages []string `arg:"" optional:"" help:"Packages to test (default: all)."`
	Run_     string   `name:"run" help:"Only tests whose name matches, as for go test." placeholder:"REGEXP"`
}

// The environment that tests find the real things by. Tests that lack one are
// skipped when they are run by hand, and fail here.
const (
	envTree    = "VCPULAB_TEST_TREE"    // the pinned kernel's tree
	envKernel  = "VCPULAB_TEST_KERNEL"  // the unpatched kernel's image
	envModules = "VCPULAB_TEST_MODULES" // the folder of its modules
	// the folder of KVM's selftests, built from its tree
	envSelftests = "VCPULAB_TEST_SELFTESTS"
)

// Run prints what failed and, last, how many tests passed and failed.
func (c testCmd) Run(ctx context.Context, l *lab) error {
	env, err := l.testEnv(ctx)
	if err != nil {
		return err
	}
	failed, passed := 0, 0
	report := func(name string, err error) {
		if err == nil {
			passed++
			return
		}
		failed++
		l.printf("FAIL %s\n%v\n", name, err)
	}
	if len(c.Packages) == 0 {
		c.Packages = []string{"./..."}
		for _, tool := range linters {
			err := l.lint(ctx, tool)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			report(strings.Join(tool, " "), err)
		}
		report("vcpulab verify", verifyCmd{Out: l.path("out", "verify")}.Run(ctx, l))
	}
	args := c.Packages
	if c.Run_ != "" {
		args = append([]string{"-run", c.Run_}, args...)
	}
	r, err := gotest.Run(ctx, l.root, env, args, l.log)
	if err != nil {
		return err
	}
	for _, f := range r.Failed {
		report(f.Name(), errors.New(f.Output))
	}
	for _, s := range r.Skipped {
		l.printf("SKIP %s\n%s", s.Name(), s.Output)
	}
	passed += r.Passed
	l.printf("%d passed, %d failed, %d skipped\n", passed, failed, len(r.Skipped))
	if failed > 0 {
		return exit.With(exit.CheckFailed, fmt.Errorf("test: %d failed", failed))
	}
	return nil
}

// linters must print nothing.
var linters = [][]string{
	{"gofmt", "-l", "ci", "ebpf", "tools"},
	{"go", "vet", "./..."},
	{"go", "tool", "staticcheck", "./..."},
}

// lint runs a program in the repository; its output is its error.
func (l *lab) lint(ctx context.Context, args []string) (err error) {
	step := l.log.Step(strings.Join(args, " "))
	defer func() { step.End(err, "clean") }()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = l.root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if said := complaints(string(out)); said != "" {
		return fmt.Errorf("expected no output, found\n%s", said)
	}
	return nil
}

// complaints is what a linter says, without what go says when it is used for the
// first time on a machine.
func complaints(out string) string {
	var said strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "go: downloading ") {
			said.WriteString(line)
		}
	}
	return said.String()
}

// testEnv makes what tests need that cannot be in the repository.
func (l *lab) testEnv(ctx context.Context) ([]string, error) {
	base, err := l.base(ctx, sourceFlags{})
	if err != nil {
		return nil, err
	}
	spec, err := l.spec(kernelFlags{}, "x86_64")
	if err != nil {
		return nil, err
	}
	var k *kbuild.Kernel
	if k, err = l.builder().Build(ctx, nameBase, base, spec); err != nil {
		return nil, err
	}
	tests, err := l.builder().BuildSelftests(ctx, base, spec, spec.Arch.QuickTests)
	if err != nil {
		return nil, err
	}
	return []string{
		envSelftests + "=" + tests.Dir,
		envTree + "=" + base.Dir,
		envKernel + "=" + k.ImagePath(),
		envModules + "=" + filepath.Join(k.Dir, "modules"),
	}, nil
}
