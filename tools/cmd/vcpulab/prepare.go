// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"

	"al.essio.dev/pkg/shellescape"

	"vcpulab/tools/series"
)

// prepareCmd makes the series ready to send. It sends nothing.
type prepareCmd struct {
	Name    string `required:"" help:"Your name, as in Signed-off-by." placeholder:"NAME"`
	Email   string `required:"" help:"Your mail address." placeholder:"ADDRESS"`
	Version int    `help:"Version of the series." default:"1" placeholder:"N"`
	Tag     string `help:"A word before PATCH, such as RFC." placeholder:"WORD"`
	Out     string `help:"Directory to make for the patches." default:"out/send" placeholder:"DIR"`
	Replace bool   `help:"Replace that directory if it exists and holds nothing but patches."`
}

// Help shows examples.
func (prepareCmd) Help() string {
	return `Examples:
  vcpulab prepare --name 'Jane Doe' --email jane@example.org
  vcpulab prepare --name 'Jane Doe' --email jane@example.org --tag RFC --version 2 --replace`
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
