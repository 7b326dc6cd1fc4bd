// SPDX-License-Identifier: GPL-2.0-only

package gotest

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/program"
)

// fuzzTarget is the name of a target on a line of its own, as go test -list prints
// it, or the line that ends a package.
var fuzzTarget = regexp.MustCompile(`^(?:(Fuzz\w+)|ok\s+(\S+)\s.*)$`)

// Fuzz runs each fuzz target of the packages for a time, one after the other. What it
// finds is a failure, and a file that go test leaves in testdata/fuzz.
func Fuzz(ctx context.Context, o Options, each time.Duration) (*Result, error) {
	list := program.Program{Name: "go", Dir: o.Dir, InheritEnv: true, Env: o.Env}
	listed, stderr, err := list.Run(ctx, append([]string{"test", "-list", "^Fuzz"}, o.Packages...)...)
	if err != nil {
		return nil, fmt.Errorf("list the fuzz targets: %w\n%s%s", err, listed, stderr)
	}

	all := &Result{}
	for _, t := range fuzzTargets(string(listed)) {
		one := o
		one.Packages = []string{t.Package}
		one.Flags = slices.Concat(o.Flags, []string{"-run=^$", "-fuzz=^" + t.Name + "$", "-fuzztime=" + each.String(), "-fuzzminimizetime=50x"})
		r, err := Run(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("fuzz %s: %w", t, err)
		}
		if outOfTime(r.Failed) {
			r = &Result{Passed: 1}
		}
		all.Passed += r.Passed
		all.Failed, all.Skipped = append(all.Failed, r.Failed...), append(all.Skipped, r.Skipped...)
	}
	return all, nil
}

// outOfTime tells whether a target failed only because its time was over while go
// test was busy with an input, which it takes for a failure. Of one that it found it
// says where it is.
func outOfTime(failed []Test) bool {
	says := func(text string) bool {
		return slices.ContainsFunc(failed, func(t Test) bool { return strings.Contains(t.Output, text) })
	}
	return says("context deadline exceeded") && !says("Failing input written") && !says("panic:")
}

// fuzzTargets reads what go test -list prints.
func fuzzTargets(listed string) (targets []Test) {
	begin := 0
	for line := range strings.Lines(listed) {
		m := fuzzTarget.FindStringSubmatch(strings.TrimSpace(line))
		switch {
		case m == nil:
		case m[1] != "":
			targets = append(targets, Test{Name: m[1]})
		default:
			for i := begin; i < len(targets); i++ {
				targets[i].Package = m[2]
			}
			begin = len(targets)
		}
	}
	return targets[:begin]
}
