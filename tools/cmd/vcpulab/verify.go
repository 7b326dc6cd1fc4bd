// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"

	"vcpulab/tools/series"
	"vcpulab/tools/verify"
)

// verifyCmd checks the series.
type verifyCmd struct {
	Only []string `help:"Run this check only; may be given more than once." placeholder:"NAME"`
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
		if l.JSON {
			return l.printJSON(checks)
		}
		return verify.WriteList(l.stdout, checks)
	}
	subject, err := l.subject(ctx)
	if err != nil {
		return err
	}
	subject.Jobs = c.Jobs
	dir, err := outDir(c.Out)
	if err != nil {
		return err
	}
	r, err := verify.Run(ctx, subject, checks, dir)
	if err != nil {
		return err
	}
	if err := r.Write(); err != nil {
		return err
	}
	if l.JSON {
		err = l.printJSON(r)
	} else {
		err = r.WriteText(l.stdout)
	}
	if err != nil {
		return err
	}
	return r.Err()
}

// subject returns the series of the repository as what is verified.
func (l *lab) subject(ctx context.Context) (*verify.Submission, error) {
	s, err := l.series()
	if err != nil {
		return nil, err
	}
	p, err := l.pin()
	if err != nil {
		return nil, err
	}
	list, err := l.packages()
	if err != nil {
		return nil, err
	}
	base, err := l.pinned(ctx, "verify")
	if err != nil {
		return nil, err
	}
	return &verify.Submission{
		Series: s, Base: base, Pin: p, Author: series.Placeholder(), Tables: l.path("ci", "verify"),
		Packages: list, Cache: l.cache, Log: l.log,
	}, nil
}
