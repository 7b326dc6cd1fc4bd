// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"io"

	"al.essio.dev/pkg/shellescape"

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
		return l.show(checks, func(w io.Writer) error { return verify.WriteList(w, checks) })
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
	return errors.Join(l.show(r, r.WriteText), r.Err())
}

// prepareCmd makes the series ready to send. It sends nothing.
type prepareCmd struct {
	Name    string `required:"" help:"Your name, as in Signed-off-by." placeholder:"NAME"`
	Email   string `required:"" help:"Your mail address." placeholder:"ADDRESS"`
	Version int    `help:"Version of the series." default:"1" placeholder:"N"`
	Tag     string `help:"A word before PATCH, such as RFC." placeholder:"WORD"`
	Out     string `help:"Directory to make for the patches." default:"out/send" placeholder:"DIR"`
	Replace bool   `help:"Replace that directory if it exists and holds nothing but patches."`
}

// Run writes the patches and prints the command that sends them.
func (c prepareCmd) Run(ctx context.Context, l *lab) error {
	s, err := l.series()
	if err != nil {
		return err
	}
	base, err := l.pinned(ctx, "prepare")
	if err != nil {
		return err
	}
	p, err := s.Prepare(ctx, series.PrepareOptions{
		Submitter: series.Person{Name: c.Name, Email: c.Email},
		Version:   c.Version, Tag: c.Tag,
		Base: "Linux " + base.Version, TreeDir: base.Dir, OutDir: c.Out, Replace: c.Replace,
	})
	if err != nil {
		return err
	}

	if l.JSON {
		return l.printJSON(p)
	}
	for _, m := range p.Mails {
		l.printf("%s\n", m)
	}
	l.printf("\nRead them, then send them with\n\n  %s\n", shellescape.QuoteCommand(p.Command))
	return nil
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
