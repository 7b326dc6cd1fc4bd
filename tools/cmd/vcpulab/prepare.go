// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// prepareCmd makes a set ready to send. It sends nothing.
type prepareCmd struct {
	Set     string `help:"The set or rival of patches/sets.toml to send." placeholder:"NAME"`
	Name    string `required:"" help:"Your name, as in Signed-off-by." placeholder:"NAME"`
	Email   string `required:"" help:"Your mail address." placeholder:"ADDRESS"`
	Version int    `help:"Version of the set." default:"1" placeholder:"N"`
	Tag     string `help:"A word before PATCH, such as RFC." placeholder:"WORD"`
	Out     string `help:"Directory to make for the patches." default:"out/send" placeholder:"DIR"`
	Replace bool   `help:"Replace that directory if it exists and holds nothing but patches."`

	Reproducer bool `help:"With a private set: do not leave out the patches that show how to reach the fault."`
}

// Run writes the patches and prints the command that sends them.
func (c prepareCmd) Run(ctx context.Context, l *lab, sets *series.Sets) error {
	set, err := c.choose(sets)
	if err != nil {
		return err
	}
	w, err := l.open(ctx, seriesFlags{})
	if err != nil {
		return err
	}
	s, on, err := sets.LoadOn(ctx, w.base, set, w.options)
	if err == nil {
		_, err = s.Try(on, w.options)
	}
	if err != nil {
		return err
	}

	o := series.PrepareOptions{
		Submitter: series.Person{Name: c.Name, Email: c.Email},
		Version:   c.Version, Tag: c.Tag, TreeDir: on.Dir, OutDir: c.Out, Replace: c.Replace,
	}
	if o.Base, err = c.baseText(ctx, w, set); err != nil {
		return err
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
	stack, err := sets.Stack(set.Name)
	if err != nil {
		return err
	}
	for _, needed := range stack {
		// The patches of a public set show what those change.
		if needed.Private && !set.Private {
			p.WaitsFor = append(p.WaitsFor, needed.Name)
		}
	}

	return l.print(struct {
		*series.Prepared
		Private bool `json:"-"`
	}{p, set.Private}, preparedText)
}

const preparedText = `{{range .Mails}}{{.}}
{{end}}{{range .LeftOut}}left out: {{.}}
{{end}}{{if .Private}}
This set is private: it goes to the following addresses, and to no list.
{{end}}{{range .WaitsFor}}
It needs {{.}}, which is private: send it to a list only once {{.}} is public.
{{end}}
Read them, then send them with

  {{words .Command}}
`

// choose returns the set to send. No maintainer takes several at once.
func (c prepareCmd) choose(sets *series.Sets) (series.Set, error) {
	switch {
	case c.Set != "":
		return sets.Find(c.Set)
	case len(sets.All) == 1:
		return sets.All[0], nil
	}
	return series.Set{}, exit.With(exit.Usage, fmt.Errorf("each set goes to maintainers of its own: expected --set with one of %s", strings.Join(sets.Names(), ", ")))
}

// baseText says at the end of the cover letter what the set applies to: a commit, as
// git format-patch --base does, or the release that is pinned, which comes without
// its history.
func (c prepareCmd) baseText(ctx context.Context, w work, set series.Set) (string, error) {
	b := w.from
	text := "This series applies to Linux " + w.base.Version
	if b.Tree == "" {
		text += ", the tag v" + w.base.Version
	}
	switch len(set.Needs) {
	case 0:
	case 1:
		text += ", with the set " + set.Needs[0]
	default:
		text += ", with the sets " + strings.Join(set.Needs, ", ")
	}
	if text += ".\n"; b.Tree == "" {
		return text, nil
	}

	commit, err := tree.Git(ctx, b.Tree, nil, "rev-parse", cmp.Or(b.Rev, "HEAD")+"^{commit}")
	if err != nil {
		return "", exit.With(exit.Usage, fmt.Errorf("find the base commit: %s is no git checkout: %w", b.Tree, err))
	}
	if b.Rev != "" {
		return text + "\nbase-commit: " + commit + "\n", nil
	}
	changed, err := tree.Git(ctx, b.Tree, nil, "status", "--porcelain", "--untracked-files=no")
	if err == nil && changed != "" {
		err = exit.With(exit.Usage, fmt.Errorf("%s has changes that are in no commit: the set would be sent for another tree than it was tried on", b.Tree))
	}
	return text + "\nbase-commit: " + commit + "\n", err
}
