// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/verify"
)

type verifyCmd struct {
	Series string   `help:"Check your own series: a directory of patches, an mbox as lists archive it, or commits, TREE@A..B; without the checks of the project's own." placeholder:"SERIES"`
	Set    string   `help:"Check this set or rival of patches/sets.toml alone." placeholder:"NAME"`
	Only   []string `help:"Run only the checks whose names match; may be given more than once." placeholder:"PATTERN"`
	List   bool     `help:"Say what checks there are, and why."`
	Out    string   `help:"Directory for logs, JSON and JUnit." default:"out/verify" placeholder:"DIR"`
	Jobs   int      `short:"j" help:"How many programs to run at a time (default: one a processor)." placeholder:"N"`
}

// Run prints what was found; there must be nothing.
func (c verifyCmd) Run(ctx context.Context, l *lab) error {
	checks, err := verify.Choose(c.Only...)
	if err != nil {
		return err
	}
	if c.List {
		return l.show(checks, func(w io.Writer) error { return verify.WriteList(w, checks) })
	}
	flags := seriesFlags{Series: c.Series}
	sets, err := l.setsOf(ctx, flags)
	if err != nil {
		return err
	}
	if c.Series != "" {
		checks, err = c.leaveOut(l, checks, "of the project's own patches", func(check verify.Check) bool { return check.Own })
	}
	// With what it needs, a rival is as much as all sets are.
	if err == nil && c.Set != "" && !sets.IsRival(c.Set) {
		checks, err = c.leaveOut(l, checks, "of all sets together", func(check verify.Check) bool { return check.Whole })
	}
	if err != nil {
		return err
	}
	common, err := l.submission(ctx, flags)
	if err != nil {
		return err
	}
	common.Jobs = c.Jobs
	list, err := common.OfSets(ctx, sets, c.Set)
	if err != nil {
		return err
	}
	dir, err := outDir(c.Out)
	if err != nil {
		return err
	}
	r, err := verify.Run(ctx, list, checks, dir)
	if err != nil {
		return err
	}
	if err := r.Write(); err != nil {
		return err
	}
	return errors.Join(l.show(r, r.WriteText), r.Err())
}

// leaveOut returns the checks that are made of less than all of the project's own
// patches, and says which are not, because they are of what.
func (c verifyCmd) leaveOut(l *lab, checks []verify.Check, what string, out func(verify.Check) bool) ([]verify.Check, error) {
	var left []string
	of := slices.DeleteFunc(slices.Clone(checks), func(check verify.Check) bool {
		if out(check) {
			left = append(left, check.Name)
		}
		return out(check)
	})
	names := strings.Join(left, ", ")
	if len(left) > 0 && len(c.Only) > 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("a check %s: %s", what, names))
	}
	if len(left) > 0 {
		fmt.Fprintf(l.stderr, "not checked, as they are %s: %s\n", what, names)
	}
	return of, nil
}

// submission returns what all that is verified has in common.
func (l *lab) submission(ctx context.Context, f seriesFlags) (s *verify.Submission, err error) {
	b, err := l.findBase(ctx, f)
	if err != nil {
		return nil, err
	}
	s = &verify.Submission{Pin: b.Pin, Tables: l.path("ci", "verify"), Cache: l.cache, Log: l.log, Relocate: f.Series != ""}
	if f.Series == "" {
		s.Author = series.Placeholder()
	}
	if b.Tree != "" && f.Series == "" {
		return nil, exit.With(exit.Usage, fmt.Errorf("vcpulab verify is about the pinned kernel, not %s: unset %s, or name a series of your own with --series", l.Base, envKernelSrc))
	}
	if s.Packages, err = l.packages(); err != nil {
		return nil, err
	}
	s.Base, err = b.Fetch(ctx, l.fetchOptions())
	return s, err
}
