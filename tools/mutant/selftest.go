// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/selftest"
	"vcpulab/tools/vm"
)

// Guests say how guests are run for a configuration.
type Guests struct {
	Spec kbuild.Spec
	// Options say how tests are run, and which complaints do not count.
	Options selftest.Options
	// Overlooked says in words what Options.Overlook overlooks: results that
	// are kept are of no use when it changes.
	Overlooked string
}

// selftestCheck runs one of KVM's selftests.
type selftestCheck struct {
	*Runner
	k      Killer
	guests Guests
}

func (r *Runner) newSelftestCheck(k Killer) (check, error) {
	g, err := r.Guests(k.Config)
	if err != nil {
		return nil, err
	}
	return selftestCheck{r, k, g}, nil
}

func (c selftestCheck) parts(*Subject, pair) ([]string, error) {
	cfg, err := kbuild.ReadFragments(c.guests.Spec.Fragments...)
	if err != nil {
		return nil, err
	}
	text, err := sources(c.Root, "tools/selftest", "tools/vm", "ebpf/guest", "ebpf/wire")
	return append([]string{cfg.String(), text, c.guests.Overlooked}, c.guests.Options.Append...), err
}

// look builds the kernel and the tests, and runs the test. It is run once on a
// mutant, which has to fail at the first try, and may be run again on the
// series.
func (c selftestCheck) look(ctx context.Context, s *Subject, p pair) (_ *looked, err error) {
	t, err := s.Tree(ctx, 0)
	if err != nil {
		return nil, err
	}
	k, err := c.Builder.Build(ctx, s.Name, t, c.guests.Spec)
	if err != nil {
		if s.Mutant != nil && exit.Code(err) == exit.BuildFailed {
			err = &barredError{"the kernel does not build", err}
		}
		return nil, err
	}
	if s.Mutant != nil {
		defer func() { err = errors.Join(err, c.Builder.Forget(context.WithoutCancel(ctx), k)) }()
	}
	built, err := c.Builder.BuildSelftests(ctx, t, c.guests.Spec, c.tests())
	if err != nil {
		if s.Mutant != nil && exit.Code(err) == exit.BuildFailed {
			err = &barredError{"the selftests do not build", err}
		}
		return nil, err
	}
	accel, err := c.Accel(ctx, k)
	if err != nil {
		return nil, err
	}
	subject, err := selftest.NewSubject(s.Name, k, built, accel)
	if err != nil {
		return nil, err
	}
	subject.Tests = slices.DeleteFunc(subject.Tests, func(t selftest.Test) bool { return t.Name != c.k.Test })
	for i := range subject.Tests {
		subject.Tests[i].Args = c.k.Args
	}
	o := c.guests.Options
	o.Accel, o.Log = accel, c.Log
	if s.Mutant != nil {
		o.Retries = -1
		// How long the test takes where nothing is wrong was seen before.
		if clean, err := c.Runner.run(ctx, c.k, c, p.series, p); err == nil {
			o.Expect = map[string]float64{c.k.Test: clean.Took}
		}
	}
	if o.KeepDir, err = os.MkdirTemp(c.Out, ".guests-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(o.KeepDir)
	results, err := selftest.Run(ctx, c.Cache, subject, o)
	if fault, ok := errors.AsType[*vm.Fault](err); ok && !fault.Infrastructure() {
		return &looked{Findings: []Finding{{"boot", fault.Error()}}, Details: fault.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	return c.found(results)
}

// tests returns the names of the tests to build: those of all mutants, which
// are built once.
func (c selftestCheck) tests() []string {
	names := append(slices.Clone(c.Tests), c.k.Test)
	slices.Sort(names)
	return slices.Compact(names)
}

// Tests returns the names of the selftests that mutants are run with.
func Tests(all []*Mutant) []string {
	var tests []string
	for _, m := range all {
		if m.KilledBy.Kind == Selftest && !slices.Contains(tests, m.KilledBy.Test) {
			tests = append(tests, m.KilledBy.Test)
		}
	}
	return tests
}

// found returns what a run of the test says.
func (c selftestCheck) found(results []selftest.Result) (*looked, error) {
	if len(results) != 1 {
		return nil, fmt.Errorf("selftest %s: expected one result, found %d", c.k.Test, len(results))
	}
	r := results[0]
	l := &looked{Took: r.Seconds}
	if r.Outcome != selftest.Pass {
		l.Findings = append(l.Findings, Finding{r.Name, fmt.Sprintf("%s: %s", r.Outcome, r.Reason)})
	}
	for _, s := range r.Splats {
		if !strings.Contains(r.Reason, s.Title) {
			l.Findings = append(l.Findings, Finding{r.Name, fmt.Sprintf("%s: %s", s.Kind, s.Title)})
		}
	}
	// The log is that of one guest of many; its name is of no use to anybody.
	if data, err := os.ReadFile(r.Log); err == nil {
		l.Details = string(data)
	}
	return l, nil
}

// logName is where the details of a mutant are kept.
func (r *Runner) logName(m *Mutant) string { return filepath.Join(r.Out, m.Name+".log") }

// took rounds a time for people.
func took(seconds float64) string {
	if seconds < 10 {
		return fmt.Sprintf("%.1fs", seconds)
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
