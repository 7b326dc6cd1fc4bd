// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/reply"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// replyCmd writes the mail that says what was tested. It sends nothing.
type replyCmd struct {
	Series    string   `required:"" help:"The series to answer: a directory of patches, an mbox as lists archive it, or commits, TREE@A..B." placeholder:"SERIES"`
	Selftests []string `help:"What selftest wrote (default: out/selftests/x86_64/selftests.json, unless there are figures). May be given again." placeholder:"FILE" sep:"none"`
	Figures   []string `help:"A results.json that bench wrote. May be given again." placeholder:"FILE" sep:"none"`
	From      string   `help:"Your name and address (default: those that git knows)." placeholder:"NAME <ADDRESS>"`
}

// defaultSelftests is where selftest writes if it is told nothing else.
const defaultSelftests = "out/selftests/x86_64/selftests.json"

// Run prints the mail.
func (c replyCmd) Run(ctx context.Context, l *lab) error {
	from, err := c.person(ctx)
	if err != nil {
		return err
	}
	flags := seriesFlags{Series: c.Series}
	w, err := l.open(ctx, flags)
	if err != nil {
		return err
	}
	r := reply.Reply{Base: w.base}
	if w.from.Rev != "" {
		id, err := tree.Git(ctx, w.from.Tree, nil, "rev-parse", w.from.Rev+"^{commit}")
		if err != nil {
			return err
		}
		r.On = fmt.Sprintf("commit %.12s", id)
	}
	if len(w.sets.All) > 1 {
		return exit.With(exit.Usage, fmt.Errorf("%s has several sets, and a reply is to one: name its directory", c.Series))
	}
	if r.Series, err = w.sets.LoadAlone(w.sets.All[0]); err != nil {
		return err
	}
	made, err := l.apply(ctx, flags)
	if err != nil {
		return err
	}
	r.Patched = made.patched

	if len(c.Selftests)+len(c.Figures) == 0 {
		c.Selftests = []string{defaultSelftests}
	}
	for _, file := range c.Selftests {
		if err := r.Selftests(file); err != nil {
			return err
		}
	}
	for _, file := range c.Figures {
		if err := r.Figures(file); err != nil {
			return err
		}
	}
	answer := r.Answer(from)
	return l.show(answer, answer.WriteText)
}

// person is who answers, as git is configured: an address that git guesses is not taken.
func (c replyCmd) person(ctx context.Context) (series.Person, error) {
	if c.From != "" {
		return series.ParsePerson(c.From)
	}
	git := program.Program{Name: "git", InheritEnv: true}
	out, _, err := git.Run(ctx, "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
	if err != nil {
		return series.Person{}, exit.With(exit.Usage, fmt.Errorf("git does not know who you are: expected --from \"NAME <ADDRESS>\", or git config user.name and user.email"))
	}
	ident := string(out)
	return series.ParsePerson(ident[:strings.LastIndex(ident, ">")+1])
}
