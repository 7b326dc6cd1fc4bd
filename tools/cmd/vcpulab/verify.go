// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
	"vcpulab/tools/verify"
)

// verifyCmd checks the series.
type verifyCmd struct {
	Set  string   `help:"Check this set of patches/sets.toml on top of what it needs, instead of the series." placeholder:"NAME"`
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
	subject, err := l.subject(ctx, c.Set)
	if err != nil {
		return err
	}
	if c.Set != "" {
		of, left := verify.OfSets(checks)
		if len(left) > 0 && len(c.Only) > 0 {
			return exit.With(exit.Usage, fmt.Errorf("not a check of a set, but of the whole series: %s", strings.Join(left, ", ")))
		}
		if len(left) > 0 {
			fmt.Fprintf(l.stderr, "not checked, as they are about the whole series: %s\n", strings.Join(left, ", "))
		}
		checks = of
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
	Set     string `help:"Prepare this set of patches/sets.toml instead of the series." placeholder:"NAME"`
	Name    string `required:"" help:"Your name, as in Signed-off-by." placeholder:"NAME"`
	Email   string `required:"" help:"Your mail address." placeholder:"ADDRESS"`
	Version int    `help:"Version of the series." default:"1" placeholder:"N"`
	Tag     string `help:"A word before PATCH, such as RFC." placeholder:"WORD"`
	Out     string `help:"Directory to make for the patches." default:"out/send" placeholder:"DIR"`
	Replace bool   `help:"Replace that directory if it exists and holds nothing but patches."`

	Reproducer bool `help:"With a private set: do not leave out the patches that show how to reach the fault."`
}

// Run writes the patches and prints the command that sends them.
func (c prepareCmd) Run(ctx context.Context, l *lab) error {
	s, _, base, err := l.setOnBase(ctx, "prepare", c.Set)
	if err != nil {
		return err
	}
	o := series.PrepareOptions{
		Submitter: series.Person{Name: c.Name, Email: c.Email},
		Version:   c.Version, Tag: c.Tag,
		Base: "Linux " + base.Version, TreeDir: base.Dir, OutDir: c.Out, Replace: c.Replace,
	}
	if c.Set != "" {
		if err := c.useSet(l, &o); err != nil {
			return err
		}
	}
	p, err := s.Prepare(ctx, o)
	if err != nil {
		return err
	}

	if l.JSON {
		return l.printJSON(p)
	}
	for _, m := range p.Mails {
		l.printf("%s\n", m)
	}
	for _, subject := range p.LeftOut {
		l.printf("left out: %s\n", subject)
	}
	if o.Private {
		l.printf("\nThis set is private: it goes to the following addresses, and to no list.\n")
	}
	l.printf("\nRead them, then send them with\n\n  %s\n", shellescape.QuoteCommand(p.Command))
	return nil
}

// useSet sets what the list of sets says of how one is sent.
func (c prepareCmd) useSet(l *lab, o *series.PrepareOptions) error {
	sets, err := series.LoadSets(l.path("patches"))
	if err != nil {
		return err
	}
	set, err := sets.Find(c.Set)
	if err != nil {
		return err
	}
	if len(set.Needs) > 0 {
		o.Base += " with the sets " + strings.Join(set.Needs, ", ")
	}
	if o.Private = set.Private; set.Private {
		o.Recipients = set.Recipients
		if !c.Reproducer {
			o.LeaveOut = set.Reproducers
		}
	}
	return nil
}

// setOnBase returns the series and the pinned tree; with the name of a set that
// set alone, what it needs, and the tree that this makes.
func (l *lab) setOnBase(ctx context.Context, verb, name string) (s, needs *series.Series, base tree.Tree, err error) {
	needs = &series.Series{}
	if name == "" {
		s, err = l.series("")
	} else if s, needs, err = l.set(name); err != nil {
		return nil, nil, tree.Tree{}, err
	}
	if err == nil {
		base, err = l.pinned(ctx, verb)
	}
	if err == nil && len(needs.Patches) > 0 {
		base, _, err = needs.Apply(ctx, base, l.seriesOptions(sourceFlags{Set: name}))
	}
	return s, needs, base, err
}

// set reads a set of patches, and what it needs.
func (l *lab) set(name string) (s, needs *series.Series, err error) {
	sets, err := series.LoadSets(l.path("patches"))
	if err != nil {
		return nil, nil, err
	}
	if needs, err = sets.LoadNeeds(name); err != nil {
		return nil, nil, err
	}
	s, err = series.Load(l.path("patches", name))
	return s, needs, err
}

// subject returns the series of the repository, or a set, as what is verified.
func (l *lab) subject(ctx context.Context, set string) (*verify.Submission, error) {
	p, err := l.pin()
	if err != nil {
		return nil, err
	}
	list, err := l.packages()
	if err != nil {
		return nil, err
	}
	s, needs, base, err := l.setOnBase(ctx, "verify", set)
	if err != nil {
		return nil, err
	}
	return &verify.Submission{
		Series: s, Base: base, Needs: needs.Paths(), Pin: p, Author: series.Placeholder(), Tables: l.path("ci", "verify"),
		Packages: list, Cache: l.cache, Log: l.log,
	}, nil
}
