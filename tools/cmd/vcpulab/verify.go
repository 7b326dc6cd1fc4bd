// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/verify"
)

// verifyCmd checks the sets of patches.
type verifyCmd struct {
	Set  string   `help:"Check this set or rival of patches/sets.toml alone." placeholder:"NAME"`
	Only []string `help:"Run only the checks whose names match; may be given more than once." placeholder:"PATTERN"`
	List bool     `help:"Say what checks there are, and why."`
	Out  string   `help:"Directory for logs, JSON and JUnit." default:"out/verify" placeholder:"DIR"`
	Jobs int      `short:"j" help:"How many programs to run at a time (default: one a processor)." placeholder:"N"`
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
	sets, err := l.sets()
	if err != nil {
		return err
	}
	// With what it needs, a rival is as much as all sets are.
	if c.Set != "" && !sets.IsRival(c.Set) {
		if checks, err = c.ofSet(l, checks); err != nil {
			return err
		}
	}
	common, err := l.submission(ctx)
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

// ofSet returns the checks that are made of a set alone, and says which are not.
func (c verifyCmd) ofSet(l *lab, checks []verify.Check) ([]verify.Check, error) {
	var left []string
	of := slices.DeleteFunc(slices.Clone(checks), func(check verify.Check) bool {
		if check.Whole {
			left = append(left, check.Name)
		}
		return check.Whole
	})
	names := strings.Join(left, ", ")
	if len(left) > 0 && len(c.Only) > 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("not a check of one set, but of all together: %s", names))
	}
	if len(left) > 0 {
		fmt.Fprintf(l.stderr, "not checked, as they are about all sets together: %s\n", names)
	}
	return of, nil
}

// submission returns what all that is verified has in common.
func (l *lab) submission(ctx context.Context) (*verify.Submission, error) {
	if dir := os.Getenv(envKernelSrc); dir != "" {
		return nil, exit.With(exit.Usage, fmt.Errorf("vcpulab verify is about the pinned kernel, not %s: unset %s", dir, envKernelSrc))
	}
	p, err := l.pin()
	if err != nil {
		return nil, err
	}
	list, err := l.packages()
	if err != nil {
		return nil, err
	}
	base, err := l.base(ctx, sourceFlags{})
	return &verify.Submission{
		Base: base, Pin: p, Author: series.Placeholder(), Tables: l.path("ci", "verify"), Packages: list, Cache: l.cache, Log: l.log,
	}, err
}
