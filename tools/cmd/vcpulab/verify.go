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
	"vcpulab/tools/verify"
)

// verifyCmd checks the sets of patches.
type verifyCmd struct {
	Set  string   `help:"Check this set of patches/sets.toml alone." placeholder:"NAME"`
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
	if c.Set != "" {
		if checks, err = c.ofSet(l, checks); err != nil {
			return err
		}
	}
	sets, err := l.sets()
	if err != nil {
		return err
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
	var of []verify.Check
	var left []string
	for _, check := range checks {
		if check.Whole {
			left = append(left, check.Name)
		} else {
			of = append(of, check)
		}
	}
	names := strings.Join(left, ", ")
	if len(left) > 0 && len(c.Only) > 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("not a check of one set, but of all together: %s", names))
	}
	if len(left) > 0 {
		fmt.Fprintf(l.stderr, "not checked, as they are about all sets together: %s\n", names)
	}
	return of, nil
}

// prepareCmd makes a set ready to send. It sends nothing.
type prepareCmd struct {
	Set     string `help:"The set of patches/sets.toml to send." placeholder:"NAME"`
	Name    string `required:"" help:"Your name, as in Signed-off-by." placeholder:"NAME"`
	Email   string `required:"" help:"Your mail address." placeholder:"ADDRESS"`
	Version int    `help:"Version of the set." default:"1" placeholder:"N"`
	Tag     string `help:"A word before PATCH, such as RFC." placeholder:"WORD"`
	Out     string `help:"Directory to make for the patches." default:"out/send" placeholder:"DIR"`
	Replace bool   `help:"Replace that directory if it exists and holds nothing but patches."`

	Reproducer bool `help:"With a private set: do not leave out the patches that show how to reach the fault."`
}

// Run writes the patches and prints the command that sends them.
func (c prepareCmd) Run(ctx context.Context, l *lab) error {
	set, sets, err := c.choose(l)
	if err != nil {
		return err
	}
	pinned, err := l.pinned(ctx, "prepare")
	if err != nil {
		return err
	}
	s, base, err := sets.LoadOn(ctx, pinned, set, l.seriesOptions(sourceFlags{}))
	if err != nil {
		return err
	}

	o := series.PrepareOptions{
		Submitter: series.Person{Name: c.Name, Email: c.Email},
		Version:   c.Version, Tag: c.Tag,
		Base: "Linux " + base.Version, TreeDir: base.Dir, OutDir: c.Out, Replace: c.Replace,
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

// choose returns the set to send. No maintainer takes several at once.
func (c prepareCmd) choose(l *lab) (series.Set, *series.Sets, error) {
	sets, err := l.sets()
	if err != nil {
		return series.Set{}, nil, err
	}
	if c.Set == "" && len(sets.All) == 1 {
		return sets.All[0], sets, nil
	}
	if c.Set == "" {
		return series.Set{}, nil, exit.With(exit.Usage, fmt.Errorf("each set goes to maintainers of its own: expected --set with one of %s", strings.Join(sets.Names(), ", ")))
	}
	set, err := sets.Find(c.Set)
	return set, sets, err
}

// submission returns what all that is verified has in common.
func (l *lab) submission(ctx context.Context) (*verify.Submission, error) {
	p, err := l.pin()
	if err != nil {
		return nil, err
	}
	list, err := l.packages()
	if err != nil {
		return nil, err
	}
	base, err := l.pinned(ctx, "verify")
	return &verify.Submission{
		Base: base, Pin: p, Author: series.Placeholder(), Tables: l.path("ci", "verify"), Packages: list, Cache: l.cache, Log: l.log,
	}, err
}
